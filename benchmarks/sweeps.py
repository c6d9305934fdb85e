"""What it takes to learn that a prediction has ended: polls for each, or pages of the list.

So many predictions are in flight all the time, each for 33 seconds on average (lognormal). The
flows are the library's own, and so are their waits, which they learn; time and WaveSpeedAI are made
up: an answer takes 0.1 s, the list is exact. The lag is from the end of a prediction to the moment
its flow has the pictures; the processor time is that of the flows, in-process, without network.
"""

import argparse
import heapq
import json
import math
import random
import statistics
import time
import tracemalloc
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field

from imagegen import ImageRequest
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.flow import Call, Done, Flow, Pause, Reply, advance
from imagegen.result import Generation, Job

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "minimax/image-01/text-to-image"
REQUEST = ImageRequest("a red fox in the snow")
MEAN, SIGMA = 33.0, 0.3
ROUND_TRIP = 0.1
BEGIN = 3 * MEAN


@define
class Provider:
    """WaveSpeedAI's predictions, each with the seconds of its creation and its end."""

    times: dict[str, tuple[float, float]] = field(factory=dict[str, tuple[float, float]])
    order: list[str] = field(factory=list[str])
    requests: int = 0

    def accepted(self, now: float, seconds: float) -> str:
        """Begin a prediction; it is remembered in the order of its creation."""
        identity = f"{len(self.order):032x}"
        self.times[identity] = now, now + seconds
        self.order.append(identity)
        return identity

    def answer(self, call: Call, now: float) -> Reply:
        """Answer a poll, or a page of the list."""
        self.requests += 1
        if call.method == "GET":
            return _reply(self.shown(call.url.split("/")[-2], now), now)
        body = dict(call.json or {})
        after, before = (_seconds(body[name]) for name in ("created_after", "created_before"))
        low, high = self._index(after), self._index(before)
        shown = self.order[max(low, high - int(body["page_size"])) : high]
        items = [self.shown(identity, now) for identity in reversed(shown)]
        return _reply({"page": 1, "total": high - low, "items": items}, now)

    def shown(self, identity: str, now: float) -> dict[str, Any]:
        """A prediction as the wire shows it."""
        created, end = self.times[identity]
        url = f"https://d11ewybssaphwx.cloudfront.net/predictions/{identity}/1.jpeg"
        return {
            "id": identity,
            "model": MODEL,
            "status": "completed" if now >= end else "processing",
            "outputs": [url] if now >= end else [],
            "urls": {"get": f"https://api.wavespeed.ai/api/v3/predictions/{identity}/result"},
            "has_nsfw_contents": [False] if now >= end else [],
            "created_at": _stamp(created),
            "error": "",
            "executionTime": int((end - created) * 1000) if now >= end else 0,
            "timings": {"inference": 0},
        }

    def _index(self, seconds: float) -> int:
        return bisect_left(self.order, seconds, key=lambda identity: self.times[identity][0])


def _stamp(seconds: float) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def _seconds(stamp: str) -> float:
    return (datetime.fromisoformat(stamp) - EPOCH).total_seconds()


def _reply(data: dict[str, Any], now: float) -> Reply:
    body = json.dumps({"code": 200, "message": "success", "data": data}).encode()
    return Reply(200, {}, body, EPOCH + timedelta(seconds=now))


class Run:
    """A steady state in virtual time: *in_flight* of our predictions, for *seconds*.

    `others` is how many predictions of other processes are begun for each of ours.
    """

    def __init__(
        self, in_flight: int, seconds: float, *, together: bool, others: float = 0.0
    ) -> None:
        self.lags: list[float] = []
        self.processor = 0.0
        self.provider = Provider()
        self._backend = WaveSpeed(api_key="made-up", poll_together=together)
        self._rate, self._others = in_flight / MEAN, others
        self._end = BEGIN + seconds
        self._random = random.Random(1)  # noqa: S311 - a simulation, to be repeated
        self._now = 0.0
        self._numbers = count()
        self._events: list[tuple[float, int, Flow[Generation] | None, Any]] = []

    def row(self) -> dict[str, float]:
        """Let it become steady, then count; what each prediction that ended took."""
        self._at(0.0, None, None)
        self._advance(BEGIN)
        before, spent = self.provider.requests, self.processor
        self.lags.clear()
        self._advance(self._end)
        ended = len(self.lags)
        return {
            "requests": round((self.provider.requests - before) / ended, 3),
            "lag": round(statistics.mean(self.lags), 3),
            "p95": round(statistics.quantiles(self.lags, n=20)[18], 3),
            "processor_ms": round((self.processor - spent) / ended * 1e3, 2),
        }

    def _advance(self, end: float) -> None:
        while self._events[0][0] < end:
            self._now, _, flow, outcome = heapq.heappop(self._events)
            self._resume(flow or self._begun(), outcome)

    def _at(self, moment: float, flow: Flow[Generation] | None, outcome: Any) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), flow, outcome))

    def _begun(self) -> Flow[Generation]:
        """One more of ours, and perhaps of others; the next one arrives some time later."""
        self._at(self._now + self._random.expovariate(self._rate), None, None)
        for _ in range(int(self._others + self._random.random())):
            self._accepted()
        job = Job(
            provider="wavespeed",
            model=MODEL,
            id=self._accepted(),
            request=REQUEST,
            created_at=EPOCH + timedelta(seconds=self._now),
        )
        return self._backend.settle(job)

    def _accepted(self) -> str:
        usual = math.log(MEAN) - SIGMA**2 / 2
        return self.provider.accepted(self._now, self._random.lognormvariate(usual, SIGMA))

    def _resume(self, flow: Flow[Generation], outcome: Any) -> None:
        while True:
            started = time.process_time()
            step = advance(flow, outcome)
            self.processor += time.process_time() - started
            match step:
                case Done(Generation(job=Job(id=identity))):
                    self.lags.append(self._now - self.provider.times[identity][1])
                case Pause(seconds):
                    self._at(self._now + seconds, flow, self._now + seconds)
                case Call():
                    answer = self.provider.answer(step, self._now + ROUND_TRIP / 2)
                    self._at(self._now + ROUND_TRIP, flow, answer)
                case Future():
                    step.add_done_callback(lambda _: self._at(self._now, flow, None))
                case _:
                    outcome = None
                    continue
            return


def kilobytes(waiting: int) -> float:
    """Memory that each of so many waiting flows takes."""
    backend = WaveSpeed(api_key="made-up")
    jobs = [
        Job(
            provider="wavespeed",
            model=MODEL,
            id=f"{number:032x}",
            request=REQUEST,
            created_at=EPOCH + timedelta(milliseconds=number),
        )
        for number in range(waiting)
    ]
    tracemalloc.start()
    flows = [backend.settle(job) for job in jobs]
    for flow in flows:
        advance(flow)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return round(taken / waiting / 1024, 2)


def rows(
    sizes: Sequence[int] = (100, 300, 1000, 2000, 3000, 4000, 8000), seconds: float = 60.0
) -> list[dict[str, Any]]:
    """One row for each number in flight and each way to ask."""
    cases = [(size, 0.0) for size in sizes] + [(1000, 1.0), (1000, 4.0)]
    return [
        {
            "in_flight": size,
            "others": others,
            "policy": "together" if together else "single",
            **Run(size, seconds, together=together, others=others).row(),
        }
        for size, others in cases
        for together in (False, True)
    ]


def main() -> None:
    """Print a table, and write it where asked to."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    options.add_argument("--seconds", type=float, default=60.0)
    given = options.parse_args()
    table = rows(seconds=given.seconds)
    print("in flight  others  policy    requests  lag s  p95 s  processor ms")
    for row in table:
        print(
            f"{row['in_flight']:9,} {row['others']:7g}  {row['policy']:9} {row['requests']:7.2f} "
            f"{row['lag']:6.2f} {row['p95']:6.2f} {row['processor_ms']:13.2f}"
        )
    print(f"memory of each of 10,000 flows that wait: {kilobytes(10_000):.1f} kB")
    if given.json:
        given.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
