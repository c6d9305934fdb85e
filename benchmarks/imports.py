"""How long `import imagegen` takes, and how soon the command says something.

Each runs in a fresh interpreter. Of an import only the statement itself is timed, so that starting
Python does not count; the command is timed whole.
"""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from benchmarks.measure import Figure, Part, Row, Verdict, in_turns, ratios, spread

BASE = "import httpx"
STATEMENTS = (
    BASE,
    "import imagegen",
    "from imagegen import Client",
    "import httpx, attrs, cattrs",
    "import openai",
    "import wavespeed",
    "from huggingface_hub import InferenceClient",
    "import litellm",
)
COMMANDS = {
    "python -c 'import click'": ("-c", "import click"),
    "imagegen --help": ("-m", "imagegen.cli", "--help"),
}


def measure(quick: bool) -> Figure:  # noqa: FBT001 - as `Part.measure`
    """Time all statements, then both commands."""
    rounds = 2 if quick else 7
    imports = in_turns({each: partial(imported, each) for each in STATEMENTS}, rounds)
    commands = in_turns(
        {name: partial(ran, *arguments) for name, arguments in COMMANDS.items()}, 3 * rounds
    )
    rows = _rows(imports, "÷ import httpx") + _rows(commands, "÷ import click")
    ratio = {row["what"]: row.get("÷ import httpx", row.get("÷ import click", 0)) for row in rows}
    verdicts = [
        Verdict.of("`import imagegen` ÷ `import httpx`", ratio["import imagegen"], 0.5),
        Verdict.of("`imagegen --help` ÷ Python and click", ratio["imagegen --help"], 2.0),
    ]
    return Figure(rows, verdicts)


def imported(statement: str) -> float:
    """Seconds that *statement* takes in a fresh interpreter."""
    tool = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", tool], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def ran(*arguments: str) -> float:
    """Seconds that Python takes with *arguments*, from its start to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return time.perf_counter() - started


def _rows(taken: dict[str, list[float]], ratio: str) -> list[Row]:
    base = next(iter(taken.values()))
    return [
        {"what": name, "ms": spread(each * 1e3 for each in seconds), ratio: ratios(seconds, base)}
        for name, seconds in taken.items()
    ]


IMPORTS = Part(
    "imports",
    "Imports and the command",
    """Each statement in a fresh interpreter; only the statement counts. `import imagegen` loads
little; what a name needs is loaded when it is first used, as in the next line. The command is timed
from its start to its end, beside a Python that imports click and nothing else.""",
    measure,
)
