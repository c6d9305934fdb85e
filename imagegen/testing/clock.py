"""A clock for tests: it stands still, and sleeping takes no time."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

from imagegen.drivers import Clock

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock(Clock):
    """A clock that stands still but for sleeping, which takes no time."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self._seconds

    def epoch(self) -> float:
        """Seconds since 1970, as a `Sandbox` wants its clock."""
        return self.now().timestamp()

    def now(self) -> datetime:
        """`EPOCH` plus the seconds slept."""
        return EPOCH + timedelta(seconds=self._seconds)

    def sleep(self, seconds: float) -> None:
        """Jump ahead."""
        with self._lock:
            self._seconds += seconds

    async def asleep(self, seconds: float) -> None:
        """Jump ahead, letting other tasks run once."""
        self.sleep(seconds)
        await asyncio.sleep(0)
