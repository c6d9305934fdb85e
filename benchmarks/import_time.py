"""How long `import imagegen` takes, beside `import httpx`, in one run.

Each import runs in a fresh interpreter, interleaved; only the import statement itself is
timed, so that starting Python does not count.
"""

import re
import statistics
import subprocess
import sys

RUNS = 15
STATEMENTS = {
    "imagegen": "import imagegen",
    "imagegen.Client": "from imagegen import Client",
    "httpx": "import httpx",
    "httpx, attrs, cattrs": "import httpx, attrs, cattrs",
}


def seconds(statement: str) -> float:
    """Time one statement's imports in a fresh interpreter."""
    tool = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", tool], capture_output=True, text=True, check=True)
    return float(re.findall(r"[0-9.e-]+", done.stdout)[-1])


def main() -> None:
    """Print medians, spread, and the ratio to httpx."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(RUNS):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    base = statistics.median(times["httpx"])
    print(f"{'import':24}{'median ms':>10}{'min':>8}{'max':>8}{'/ httpx':>9}")
    for name, taken in times.items():
        median = statistics.median(taken)
        low, high = min(taken), max(taken)
        print(f"{name:24}{median * 1e3:10.1f}{low * 1e3:8.1f}{high * 1e3:8.1f}{median / base:9.2f}")


if __name__ == "__main__":
    main()
