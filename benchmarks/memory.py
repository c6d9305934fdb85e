"""How much memory a reply with pictures in it takes at its peak, beside the size of the reply.

Each case runs in a fresh process, whose peak before the call is taken off.
"""

from __future__ import annotations

import base64
import resource
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from benchmarks.competitors import BODY, HEADERS, KEY, PATH, PROMPT
from benchmarks.measure import Figure, Part, Row, Verdict, in_turns, spread
from benchmarks.server import Server
from benchmarks.workers import Worker

PICTURES = 9
SIZES = (1, 4, 16, 32, 64)
"""Megabytes of reply."""
INLINE = {**BODY, "n": PICTURES, "response_format": "base64"}


def with_httpx(origin: str) -> int:
    """`httpx.Client.post().json()`, then each picture decoded: bytes of them all."""
    reply = httpx.Client(headers=HEADERS, timeout=60).post(origin + PATH, json=INLINE).json()
    pictures = [base64.b64decode(text) for text in reply["data"]["image_base64"]]
    return sum(map(len, pictures))


def with_imagegen(origin: str) -> int:
    """`Client.generate` with the pictures as bytes."""
    return sum(len(image.data) for image in _generation(origin)[1].images)


def saved_with_imagegen(origin: str) -> int:
    """The same, and `Client.save`."""
    client, generation = _generation(origin)
    with tempfile.TemporaryDirectory() as folder:
        return sum(path.stat().st_size for path in client.save(generation, Path(folder)))


def _generation(origin: str) -> tuple[Any, Any]:
    imagegen: Any = import_module("imagegen")
    client = imagegen.Client([imagegen.MiniMax(api_key=KEY, base_url=origin)])
    request = imagegen.ImageRequest(PROMPT, n=PICTURES, output="bytes")
    return client, client.generate(request)


OURS, SAVED = "imagegen", "imagegen, saved to files"
CASES: Mapping[str, Callable[[str], int]] = {
    OURS: with_imagegen,
    SAVED: saved_with_imagegen,
    "httpx, json and b64decode": with_httpx,
}


class Reader:
    """Reads one reply, and tells the peak of its process."""

    def __init__(self, case: Callable[[str], int], origin: str) -> None:
        self._case, self._origin = case, origin

    def warm_up(self) -> None:
        """Import all, and read a small reply."""
        self._case(self._origin)

    def peak(self) -> int:
        """Bytes by which the peak has grown when the large reply is read."""
        before = _peak()
        self._case(self._origin)
        return _peak() - before


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(quick: bool) -> Figure:  # noqa: FBT001 - as `Part.measure`
    """The peaks of all cases, for each size of reply."""
    rows: list[Row] = []
    sizes, rounds = (SIZES[1:2], 1) if quick else (SIZES, 3)
    with Server() as server:
        for size in sizes:
            turns = {name: partial(_peak_of, server, each, size) for name, each in CASES.items()}
            rows += [
                {
                    "reply, MB": size,
                    "what": name,
                    "peak, MB": spread(peak / 1e6 for peak in peaks),
                    "÷ reply": spread(peak / (size * 1e6) for peak in peaks),
                }
                for name, peaks in in_turns(turns, rounds).items()
            ]
    largest = {row["what"]: row["÷ reply"] for row in rows[-len(CASES) :]}
    return Figure(
        rows,
        [
            Verdict.of("peak memory of `generate` ÷ reply", largest[OURS], 2.2),
            Verdict.of("peak memory of `generate` and `save` ÷ reply", largest[SAVED], 1.4),
        ],
    )


def _peak_of(server: Server, case: Callable[[str], int], size: int) -> int:
    with closing(Worker(partial(Reader, case, server.origin))) as worker:
        server.begin(pictures=(PICTURES, 300))
        worker.do("warm_up")
        server.begin(pictures=(PICTURES, size * 1_000_000 * 3 // 4 // PICTURES))
        peak: int = worker.do("peak")
        return peak


MEMORY = Part(
    "memory",
    "Memory for pictures inside a reply",
    """Nine incompressible pictures as base64 in one reply of MiniMax: by how much the peak of the
process grows (resident memory, a fresh process each time). The pictures themselves, which the
caller keeps, are 0.75 of the reply.""",
    measure,
    "memory.svg",
)
