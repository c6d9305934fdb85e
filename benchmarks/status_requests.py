"""How often many predictions at the same time are asked for, and how late their end is known.

In real time, because a schedule may learn from how long predictions take. Each caller makes one
prediction after the other.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import closing
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.competitors import KEY, PROMPT
from benchmarks.measure import Figure, Part, Row, Verdict
from benchmarks.providers import completed_at
from benchmarks.server import Server
from benchmarks.workers import Worker

MEAN, SIGMA = 33.0, 0.3
"""Seconds that a prediction takes: lognormally distributed, as image models roughly are."""
STAGGER = 10.0


class Callers:
    """Callers of one AsyncClient that each make one prediction after the other."""

    def __init__(self, origin: str) -> None:
        self._imagegen: Any = import_module("imagegen")
        self._backend = self._imagegen.WaveSpeed(api_key=KEY, base_url=origin)

    def lags(self, callers: int, each: int) -> list[float]:
        """Seconds after its completion at which each prediction was known to be complete."""
        return asyncio.run(self._lags(callers, each))

    async def _lags(self, callers: int, each: int) -> list[float]:
        chance, lags = random.Random(1), list[float]()  # noqa: S311 - no secret, and must repeat

        async def ask(client: Any, pause: float) -> None:
            await asyncio.sleep(pause)
            for _ in range(each):
                generation = await client.generate(PROMPT)
                lags.append(time.monotonic() - completed_at(generation.job.id))

        async with self._imagegen.AsyncClient([self._backend]) as client:
            pauses = [chance.uniform(0, STAGGER) for _ in range(callers)]
            await asyncio.gather(*(ask(client, pause) for pause in pauses))
        return lags


def measure(quick: bool) -> Figure:  # noqa: FBT001 - as `Part.measure`
    """Make 1,000 predictions at a time, twice over; in a short run 200, once."""
    callers, each = (200, 1) if quick else (1000, 2)
    with Server() as server, closing(Worker(partial(Callers, server.origin))) as worker:
        server.begin(mean=MEAN, sigma=SIGMA)
        lags = worker.do("lags", callers, each)
        counts = server.counts()
    asked = (counts.get("result", 0) + counts.get("list", 0)) / len(lags)
    ours: Row = {
        "what": "imagegen.AsyncClient",
        "predictions": len(lags),
        "in flight": counts["most open"],
        "status requests each": asked,
        "of them lists": counts.get("list", 0) / len(lags),
        "mean lag, s": statistics.fmean(lags),
        "95 % lag, s": statistics.quantiles(lags, n=20)[-1],
    }
    usual: Row = {
        "what": "one request a second for each (computed)",
        "status requests each": MEAN,
        "mean lag, s": 0.5,
        "95 % lag, s": 0.95,
    }
    return Figure(
        [ours, usual],
        [
            Verdict.of("status requests per prediction", asked, 1.0),
            Verdict.of("mean lag of a prediction", ours["mean lag, s"], 1.0, unit="s"),
        ],
    )


STATUS_REQUESTS = Part(
    "status_requests",
    "Status requests of many predictions",
    f"""Predictions at WaveSpeedAI that take {MEAN:g} s on average (lognormal, sigma {SIGMA:g}), in
real time. The server counts the requests for a result and the pages of the list of predictions;
the lag is from the moment at which the server has completed a prediction to the one at which
`generate` returns it. WaveSpeedAI's own SDK asks for each prediction once a second: that is
computed.""",
    measure,
)
