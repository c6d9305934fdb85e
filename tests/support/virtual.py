"""Time that jumps: an event loop whose timers go by it, so also its sleeps and timeouts."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from imagegen.drivers import Clock
from imagegen.testing import EPOCH

T = TypeVar("T")


class VirtualClock(Clock):
    """Time that jumps to whatever is due next once every task waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.seconds)

    def epoch(self) -> float:
        return self.now().timestamp()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(self)) as runner:
            return runner.run(work)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that goes by a VirtualClock."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        super().__init__(Idle(clock))

    def time(self) -> float:
        return self.clock.seconds


class Idle(selectors.SelectSelector):
    """The loop asks here to sleep until its next timer."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        assert events or timeout is not None, "everybody waits for ever"
        if not events and timeout:
            self._clock.seconds += timeout
        return events
