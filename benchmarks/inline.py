"""What nine large pictures cost that come as base64 in one JSON reply of 70 MB.

1. Decoding: seconds of CPU from the chunks of the body to the pictures, beside `json.loads` of the
   joined body and `base64.b64decode` of each string, interleaved in a fresh process.
2. Memory: what a process takes at its peak beyond what it had, for each byte of the body, to get
   the pictures from a server of another process, and to save them; beside httpx and `b64decode`.
   Each case has a fresh process, which has made a small exchange of the same kind before.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import httpx

from imagegen import AsyncClient, Client, GeneratedImage, ImageRequest, MiniMax, codec
from imagegen.backends.pictures import inline_image
from imagegen.drivers.body import Body
from imagegen.drivers.exchanges import SHORTEST_KEY

PICTURES = 9
BYTES = 5_800_000
"""Of one picture; a JPEG of 2048x2048 that is hard to compress."""
CHUNK = 65_536
PROCESSES, ROUNDS = 3, 7
KEY = "benchmark".ljust(SHORTEST_KEY, "-")
"""Long enough to be looked for in the reply."""

Row = dict[str, Any]


def picture(seed: int, size: int) -> bytes:
    """A file of *size* bytes in the order of a JPEG, with noise for its pixels."""
    frame = b"\xff\xc0\x00\x11\x08\x08\x00\x08\x00\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"
    noise = random.Random(seed).randbytes(size).replace(b"\xff", b"\xfe")  # noqa: S311 - noise
    return b"\xff\xd8" + frame + scan + noise + b"\xff\xd9"


def reply(size: int) -> bytes:
    """MiniMax's answer with pictures of *size* bytes."""
    texts = [base64.b64encode(picture(seed, size)).decode() for seed in range(PICTURES)]
    answer = {"id": "0" * 32, "data": {"image_base64": texts}, "base_resp": {"status_code": 0}}
    return json.dumps(answer).encode()


# Decoding


def ours(chunks: list[bytes]) -> int:
    """Read the pictures as a driver and a backend do."""
    taken = Body("", sum(map(len, chunks)), pictures=True)
    for chunk in chunks:
        taken.add(chunk, late=False)
    answer = codec.decode(taken.joined(), pictures=taken.pictures)
    images = [inline_image(item, GeneratedImage()) for item in answer["data"]["image_base64"]]
    return sum(len(image.data or b"") for image in images if image)


def usual(body: bytes) -> int:
    """Read the pictures as everybody does."""
    texts = json.loads(body)["data"]["image_base64"]
    return sum(map(len, [base64.b64decode(text) for text in texts]))


def seconds(read: Callable[[Any], int], body: object) -> float:
    """CPU time of one reading."""
    started = time.process_time()
    read(body)
    return time.process_time() - started


def decoding() -> list[list[float]]:
    """Seconds of ours and of the usual, interleaved."""
    body = reply(BYTES)
    chunks = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
    return [[seconds(ours, chunks), seconds(usual, body)] for _ in range(ROUNDS)]


# Memory


def blocking(origin: str, prompt: str, folder: Path | None) -> None:
    """Buy with the `Client`."""
    with Client([MiniMax(api_key=KEY, base_url=origin)]) as client:
        made = client.generate(ImageRequest(prompt, n=PICTURES, output="bytes"))
        if folder:
            client.save(made, folder)


def asynchronous(origin: str, prompt: str, folder: Path | None) -> None:
    """Buy with the `AsyncClient`."""

    async def bought() -> None:
        async with AsyncClient([MiniMax(api_key=KEY, base_url=origin)]) as client:
            made = await client.generate(ImageRequest(prompt, n=PICTURES, output="bytes"))
            if folder:
                await client.save(made, folder)

    asyncio.run(bought())


def bare(origin: str, prompt: str, folder: Path | None) -> None:
    """Ask with httpx, and decode."""
    with httpx.Client() as client:
        answer = client.post(f"{origin}/v1/image_generation", json={"prompt": prompt}).json()
        images = [base64.b64decode(text) for text in answer["data"]["image_base64"]]
        for index, data in enumerate(images if folder else ()):
            (folder or Path()).joinpath(f"{index}.jpg").write_bytes(data)


BUYERS = {"Client": blocking, "AsyncClient": asynchronous, "httpx and b64decode": bare}


def resident(name: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at the peak (VmHWM)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def grown(buyer: str, origin: str, save: str, trace: str) -> float:
    """Bytes that the process takes more at its peak; with *trace*, those that Python counts."""
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) if save else None
        BUYERS[buyer](origin, "small", into)
        before = resident("VmRSS")
        if trace:
            tracemalloc.start()
        BUYERS[buyer](origin, "large", into)
        return tracemalloc.get_traced_memory()[1] if trace else resident("VmHWM") - before


def serve() -> None:
    """Answer every request on a free port, until standard input ends."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    bodies = {word: reply(size) for word, size in ((b"small", 20_000), (b"large", BYTES))}
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            asked = b""
            while word := connection.recv(CHUNK):
                asked += word
                for name, body in bodies.items():
                    if name in asked:
                        asked = b""
                        connection.sendall(head % len(body) + body)

    def accept() -> None:
        while True:
            threading.Thread(target=answer, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], len(bodies[b"large"]), flush=True)
    sys.stdin.read()
    os._exit(0)


@contextlib.contextmanager
def server() -> Generator[tuple[str, int]]:
    """Serve in a process of its own; yield the origin and the bytes of the large body."""
    command = [sys.executable, __file__, "--within", "serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port, size = map(int, process.stdout.readline().split()) if process.stdout else (0, 0)
        yield f"http://127.0.0.1:{port}", size


STEPS: dict[str, Callable[..., Any]] = {"decoding": decoding, "grown": grown, "serve": serve}


def in_a_process(*step: str) -> Any:
    """What *step* returns in a fresh process."""
    command = [sys.executable, __file__, "--within", *step]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def row(figure: str, values: Iterable[float], target: float | None = None) -> Row:
    """A figure with its median and its spread."""
    low, *_, high = several = sorted(values)
    value = statistics.median(several)
    return {"figure": figure, "value": value, "target": target, "low": low, "high": high}


def rows() -> list[Row]:
    """All figures: each with its value, its target where there is one, and its spread."""
    pairs = [pair for _ in range(PROCESSES) for pair in in_a_process("decoding")]
    made = [row("decode, CPU ÷ json.loads and b64decode", (a / b for a, b in pairs), 0.6)]
    made += [row(f"decode, {name}, s", times) for name, times in _named(pairs)]
    with server() as (origin, size):
        for save, trace in (("", ""), ("save", ""), ("", "trace"), ("save", "trace")):
            for buyer in BUYERS:
                peaks = [in_a_process("grown", buyer, origin, save, trace) for _ in range(3)]
                target = None if trace or buyer.startswith("httpx") else 1.4 if save else 2.2
                what = f"memory{', saved' if save else ''}{', traced' if trace else ''}"
                figure = f"{what} ÷ body, {buyer}"
                made.append(row(figure, (peak / size for peak in peaks), target))
    return made


def _named(pairs: list[list[float]]) -> Iterable[tuple[str, list[float]]]:
    mine, others = zip(*pairs, strict=True)
    return ("imagegen", list(mine)), ("json.loads and b64decode", list(others))


def main() -> None:
    """Print every figure, or write them to a file as well."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    options.add_argument("--within", nargs="+", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.within:
        name, *arguments = given.within
        print(json.dumps(STEPS[name](*arguments)))
        return
    made = rows()
    print(f"{'':48}{'median':>8}{'low':>8}{'high':>8}{'target':>8}")
    for one in made:
        numbers = "".join(f"{one[name]:8.3f}" for name in ("value", "low", "high"))
        print(f"{one['figure']:48}{numbers}{one['target'] or '':>8}")
    if given.json:
        given.json.write_text(json.dumps(made, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
