"""What looking after the money adds to one call: a route, a ledger on disk, limits."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.callers import Caller
from benchmarks.competitors import KEY, PROMPT, Call
from benchmarks.measure import Figure, Part, Row, Verdict, in_turns, spread
from benchmarks.server import Server
from benchmarks.workers import staffed

MODEL = "minimax:image-01"
MOST = 10_000_000
"""A limit that is counted and never reached."""


def _client(origin: str, *, limits: bool, ledger: Path | None) -> Any:
    imagegen: Any = import_module("imagegen")
    allowed = imagegen.Limits(per_minute=MOST, in_flight=MOST) if limits else None
    backend = imagegen.MiniMax(api_key=KEY, base_url=origin, limits=allowed)
    return imagegen.Client([backend], ledger=imagegen.Ledger(ledger) if ledger else None)


def plain(_folder: Path, origin: str) -> Call:
    """Neither."""
    client = _client(origin, limits=False, ledger=None)
    return lambda: client.generate(PROMPT, model=MODEL)


def limited(_folder: Path, origin: str) -> Call:
    """With limits."""
    client = _client(origin, limits=True, ledger=None)
    return lambda: client.generate(PROMPT, model=MODEL)


def routed(_folder: Path, origin: str) -> Call:
    """With a route."""
    client = _client(origin, limits=False, ledger=None)
    route = import_module("imagegen").Route(models=[MODEL])
    return lambda: client.generate(PROMPT, model=route)


def recorded(folder: Path, origin: str) -> Call:
    """With a ledger."""
    client = _client(origin, limits=False, ledger=folder / "recorded.db")
    return lambda: client.generate(PROMPT, model=MODEL)


def guarded(folder: Path, origin: str) -> Call:
    """With all of them."""
    client = _client(origin, limits=True, ledger=folder / "guarded.db")
    route = import_module("imagegen").Route(models=[MODEL])
    return lambda: client.generate(PROMPT, model=route)


ALL = "route, ledger and limits"
MAKERS: Mapping[str, Callable[[Path, str], Call]] = {
    "plain client": plain,
    "limits": limited,
    "route": routed,
    "ledger": recorded,
    ALL: guarded,
}


def measure(quick: bool) -> Figure:  # noqa: FBT001 - as `Part.measure`
    """Time a call of each client, and the disk."""
    rounds, calls = (3, 20) if quick else (21, 60)
    with tempfile.TemporaryDirectory() as name, Server() as server:
        folder = Path(name)
        callers = {
            name: partial(Caller, partial(make, folder), server.origin)
            for name, make in MAKERS.items()
        }
        with staffed(callers) as workers:
            turns = {name: partial(one.do, "seconds", calls) for name, one in workers.items()}
            taken = in_turns(turns, rounds)
        disk = [synced(folder) * 1e3 for _ in range(rounds)]
    base = taken["plain client"]
    rows: list[Row] = [_row(name, each, base) for name, each in taken.items()]
    added = next(row for row in rows if row["what"] == ALL)
    rows.append({"what": "one fsync of the disk", "wall, ms": spread(disk)})
    return Figure(
        rows,
        [
            Verdict.of("CPU time added by the money layer", added["added CPU, ms"], 2.0, unit="ms"),
            Verdict.of("time added by the money layer", added["added wall, ms"], 2.0, unit="ms"),
        ],
    )


def _row(name: str, taken: list[tuple[float, float]], base: list[tuple[float, float]]) -> Row:
    both = list(zip(taken, base, strict=True))
    return {
        "what": name,
        "wall, ms": spread(wall * 1e3 for _, wall in taken),
        "added wall, ms": spread((one[1] - other[1]) * 1e3 for one, other in both),
        "CPU, ms": spread(cpu * 1e3 for cpu, _ in taken),
        "added CPU, ms": spread((one[0] - other[0]) * 1e3 for one, other in both),
    }


def synced(folder: Path) -> float:
    """Seconds in which the disk makes 4 kB durable."""
    path = folder / "synced"
    with path.open("wb", buffering=0) as file:
        file.write(b"x" * 4096)
        started = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - started


MONEY_LAYER = Part(
    "money_layer",
    "The money layer",
    """What a route, a ledger in a file and limits add to one call of `Client.generate`. The ledger
makes the intention durable before anything is sent, so the disk's own time is part of it; it is
shown beside. The folder is the system's temporary one.""",
    measure,
)
