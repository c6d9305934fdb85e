"""How many calls a second one event loop makes, with more and more of them under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

from benchmarks import competitors
from benchmarks.callers import Crowd
from benchmarks.measure import Figure, Part, Row, Spread, Verdict, ratios, spread
from benchmarks.server import Server
from benchmarks.workers import Worker

LEVELS: Mapping[float, tuple[int, ...]] = {0.0: (10, 50, 100, 1000), 0.1: (100, 1000)}
"""Numbers in flight, for each number of seconds that the server takes to answer."""
QUICK: Mapping[float, tuple[int, ...]] = {0.0: (10, 100), 0.1: (100,)}
ROUNDS = 3
SECONDS = 0.4
PATIENCE = 12.0
"""Seconds after which a client counts as jammed."""
OURS, OURS_ON_HTTPX2 = "imagegen.AsyncClient", "imagegen.AsyncClient, httpx2"
HTTPX, KEPT, FRESH = "httpx", "aiohttp", "aiohttp, fresh connections"
MAKERS: Mapping[str, Callable[[str], Any]] = {
    OURS: competitors.imagegen_async,
    OURS_ON_HTTPX2: partial(competitors.imagegen_async, http="httpx2"),
    HTTPX: competitors.httpx_async,
    "httpx2": competitors.httpx2_async,
    "httpx over aiohttp": competitors.httpx_over_aiohttp,
    KEPT: competitors.aiohttp_kept,
    FRESH: competitors.aiohttp_fresh,
}


def measure(quick: bool) -> Figure:  # noqa: FBT001 - as `Part.measure`
    """Rates of all, for each number in flight and each time that the server takes."""
    rows: list[Row] = []
    with Server() as server:
        for think, levels in (QUICK if quick else LEVELS).items():
            for in_flight in levels:
                rows += _rows(server, in_flight, think, rounds=1 if quick else ROUNDS)
    return Figure(rows, _verdicts(rows))


def _rate(server: Server, make: Callable[[str], Any], in_flight: int, think: float) -> float:
    """Answers in a second; of a client that jams, those that the server has given until then."""
    server.begin(think=think)
    with closing(Worker(partial(Crowd, make, server.origin))) as worker:
        try:
            return float(worker.do("rate", in_flight, SECONDS, patience=PATIENCE))
        except TimeoutError:
            return max(server.counts()["minimax"], 1) / PATIENCE


def _rates(turns: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """As `in_turns`; but one that jams is asked once, and counts as the same in every round."""
    rates: dict[str, list[float]] = {name: [] for name in turns}
    jammed = set[str]()
    for _ in range(rounds):
        for name, turn in turns.items():
            started = time.monotonic()
            rates[name].append(rates[name][0] if name in jammed else turn())
            if time.monotonic() - started > PATIENCE:
                jammed.add(name)
    return rates


def _rows(server: Server, in_flight: int, think: float, *, rounds: int) -> list[Row]:
    turns = {name: partial(_rate, server, make, in_flight, think) for name, make in MAKERS.items()}
    rates = _rates(turns, rounds)
    return [
        {
            "in flight": in_flight,
            "server, s": think,
            "what": name,
            "requests/s": spread(each),
            "÷ httpx": ratios(each, rates[HTTPX]),
            "÷ aiohttp": ratios(each, rates[KEPT]),
            "÷ aiohttp, fresh": ratios(each, rates[FRESH]),
        }
        for name, each in rates.items()
    ]


def _verdicts(rows: list[Row]) -> list[Verdict]:
    """Ours beside httpx and, whichever of the two engines is faster, beside aiohttp."""
    found = {(row["what"], row["in flight"], row["server, s"]): row for row in rows}
    verdicts = []
    for in_flight, think in ((100, 0.0), (1000, 0.0), (100, 0.1), (1000, 0.1)):
        where = f"{in_flight:,} in flight, {think:g} s to answer"
        ours = [found.get((name, in_flight, think)) for name in (OURS, OURS_ON_HTTPX2)]
        for base, target, rows_of in (
            ("÷ httpx", 4.0, ours[:1]),
            ("÷ aiohttp", 0.6, ours),
            ("÷ aiohttp, fresh", 0.6, ours),
        ):
            ratios_of = [row[base] for row in rows_of if row]
            best = max((r.median for r in ratios_of if isinstance(r, Spread)), default=None)
            if best is not None:
                title = f"requests/s {base}, {where}"
                verdicts.append(Verdict.of(title, best, target, "at least"))
    return verdicts


THROUGHPUT = Part(
    "throughput",
    "Throughput",
    """Requests a second of one event loop, with so many callers that each wait for an answer and
then ask again. The server answers at once, or after a time that it is told; then no client can be
faster than callers ÷ that time. The limits of the competitors' pools are lifted. httpx looks
through its whole pool for each request, which is why it falls with the number in flight; a
client that has not come to an end after 12 s is stopped, measured only once, and credited with all
that the server had answered, which is more than it would keep up. imagegen's
submissions are each on a fresh connection; *aiohttp, fresh connections* does the same. Beside
aiohttp the faster of imagegen's two HTTP libraries counts. Where the server answers at once it
works as hard as the client, so the figure also depends on how many cores the machine has.""",
    measure,
    "throughput.svg",
)
