"""What a prediction costs when thousands of them wait at the same time on one AsyncClient."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import tracemalloc
from contextlib import closing
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.competitors import KEY, PROMPT
from benchmarks.measure import Cell, Figure, Part, Verdict
from benchmarks.server import Server
from benchmarks.workers import Worker

NUMBERS = (2000, 4000, 8000)
PER_SECOND = 400
"""Submissions that are begun in a second."""
MARGIN = 2.0
"""Seconds between the last submission and the end of the first prediction."""


@frozen
class Cost:
    """Of one prediction, once submitted, waited for, polled and done."""

    cpu: float
    resident: float
    traced: float


class Many:
    """Makes many predictions at the same time."""

    def __init__(self, origin: str, traced: bool) -> None:  # noqa: FBT001 - sent by position
        self._origin, self._traced = origin, traced

    def cost(self, number: int, wait: float) -> Cost:
        """CPU seconds and bytes of each of *number* that are first polled after *wait* seconds."""
        return asyncio.run(self._cost(number, wait))

    async def _cost(self, number: int, wait: float) -> Cost:
        imagegen: Any = import_module("imagegen")
        options = {"first_poll": wait, "slowest_poll": 2.0}
        backend = imagegen.WaveSpeed(api_key=KEY, base_url=self._origin, **options)
        async with imagegen.AsyncClient([backend], timeout=600) as client:
            await client.submit(PROMPT)
            gc.collect()
            if self._traced:
                tracemalloc.start()
            before, spent = _resident(), time.process_time()
            tasks = []
            for begun in range(number):
                tasks.append(asyncio.ensure_future(client.generate(PROMPT)))
                if begun % 50 == 49:
                    await asyncio.sleep(50 / PER_SECOND)
            await asyncio.sleep(MARGIN / 2)
            resident, traced = _resident() - before, tracemalloc.get_traced_memory()[0]
            await asyncio.gather(*tasks)
            cpu = time.process_time() - spent
        return Cost(cpu / number, resident / number, traced / number)


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def measure(quick: bool) -> Figure:  # noqa: FBT001 - as `Part.measure`
    """Double the number, twice; then trace the allocations of the smallest."""
    numbers = (250, 500) if quick else NUMBERS
    with Server() as server:
        taken = [_measured(server, number, traced=False) for number in numbers]
        traced, _ = _measured(server, numbers[0], traced=True)
    rows: list[dict[str, Cell]] = [
        {
            "predictions": number,
            "most in flight": counts["most open"] - 1,  # but for the one that was not waited for
            "status requests each": (counts.get("result", 0) + counts.get("list", 0)) / number,
            "CPU each, ms": cost.cpu * 1e3,
            "resident each, kB": cost.resident / 1e3,
        }
        for number, (cost, counts) in zip(numbers, taken, strict=True)
    ]
    totals = [number * cost.cpu for number, (cost, _) in zip(numbers, taken, strict=True)]
    growth = [more / fewer for fewer, more in pairwise(totals)]
    rows[0]["allocated each, kB"] = traced.traced / 1e3
    for row, factor in zip(rows[1:], growth, strict=True):
        row["CPU ÷ half as many"] = factor
    return Figure(
        rows,
        [
            Verdict.of("CPU for twice as many in flight", max(growth), 2.2),
            Verdict.of("memory of each in flight", rows[-1]["resident each, kB"], 25.0, unit="kB"),
        ],
    )


def _measured(server: Server, number: int, *, traced: bool) -> tuple[Cost, dict[str, int]]:
    seconds = number / PER_SECOND + MARGIN
    server.begin(mean=seconds)
    with closing(Worker(partial(Many, server.origin, traced))) as worker:
        cost: Cost = worker.do("cost", number, seconds + MARGIN / 4)
        return cost, server.counts()


IN_FLIGHT = Part(
    "in_flight",
    "Thousands in flight",
    f"""Predictions at WaveSpeedAI through one `AsyncClient`, {PER_SECOND} begun in a second: the
first is done after the last was submitted. The processor time of everything that becomes of a
prediction, and by how much the resident memory of the process grows while they wait; *allocated*
is what Python's own allocator says (tracemalloc), without the connections' buffers. The rate is one
that the process can keep up with: begun faster than they can be sent, submissions pile up on their
connections, and each costs several times as much.""",
    measure,
)
