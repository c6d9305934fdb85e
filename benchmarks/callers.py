"""What runs in a worker: one call after the other, or many at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, cast

from benchmarks.competitors import AsyncCall, Call

WARM_UP = 30
COUNTED = 20
LONGEST = 5.0
"""Seconds that a crowd has to assemble, and seconds that it is then watched at most."""


class Caller:
    """Makes one call after the other."""

    def __init__(self, make: Callable[[str], Any], origin: str) -> None:
        self._runner = asyncio.Runner()
        made = make(origin)
        self._async = inspect.iscoroutine(made)
        self._call = self._runner.run(made) if self._async else made
        self._batch(WARM_UP)

    def seconds(self, calls: int) -> tuple[float, float]:
        """Processor time and time on the clock that a call took, on average of *calls*."""
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        self._batch(calls)
        return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls

    def python_calls(self) -> float:
        """How many Python functions one call runs, in the thread that makes it."""
        counted = 0

        def count(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event == "call"

        sys.setprofile(count)
        try:
            self._batch(COUNTED)
        finally:
            sys.setprofile(None)
        return counted / COUNTED

    def _batch(self, calls: int) -> None:
        if self._async:
            self._runner.run(_repeat(cast("AsyncCall", self._call), calls))
            return
        call = cast("Call", self._call)
        for _ in range(calls):
            call()


async def _repeat(call: AsyncCall, calls: int) -> None:
    for _ in range(calls):
        await call()


class Crowd:
    """Has many calls under way at the same time; what it leaves open, the end of its process ends.

    A client that jams could take minutes to finish what it has begun.
    """

    def __init__(self, make: Callable[[str], Any], origin: str) -> None:
        self._runner = asyncio.Runner()
        self._call: AsyncCall = self._runner.run(make(origin))

    def rate(self, in_flight: int, seconds: float) -> float:
        """Answers in a second while *in_flight* callers each wait for one, then ask again.

        They are counted from when each caller has had an answer, so that connections are made, for
        so many seconds and until each can have had two more; but not for longer than `LONGEST`.
        """
        gc.collect()
        return self._runner.run(self._rate(in_flight, seconds))

    async def _rate(self, in_flight: int, seconds: float) -> float:
        answers, ready = 0, asyncio.Semaphore(0)

        async def ask() -> None:
            nonlocal answers
            await self._call()
            ready.release()
            while True:
                await self._call()
                answers += 1

        callers = [asyncio.ensure_future(ask()) for _ in range(in_flight)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                for _ in callers:
                    await ready.acquire()
        begun, before = time.perf_counter(), answers
        passed = 0.0
        while passed < LONGEST and (passed < seconds or answers - before < 2 * in_flight):
            await asyncio.sleep(0.01)
            passed = time.perf_counter() - begun
            _raise_failures(callers)
        return max(answers - before, 1) / passed


def _raise_failures(callers: Iterable[asyncio.Task[None]]) -> None:
    for each in callers:
        if each.done():
            each.result()
