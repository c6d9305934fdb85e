"""For tests of applications and backends: flows played by hand, replies, a clock that jumps."""

from __future__ import annotations

import asyncio
import json as jsonlib
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from imagegen.drivers import Clock
from imagegen.drivers.inline import Sieve
from imagegen.events import Event
from imagegen.flow import Call, Done, Flow, Pause, Reply, Step, advance

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@frozen
class Played(Generic[T_co]):
    """What a flow returned; the calls and events that it yielded, the seconds that it paused."""

    value: T_co
    calls: tuple[Call, ...]
    events: tuple[Event, ...] = ()
    pauses: tuple[float, ...] = ()


def play(flow: Flow[T], *outcomes: Reply | BaseException) -> Played[T]:
    """Run *flow* on prepared outcomes, one a call, without any I/O.

    Pauses take no time; a Future that the flow waits for must be resolved within ten seconds.

    Raises:
        AssertionError: the flow makes more calls than there are outcomes, or fewer.
    """
    left, steps, now = list(outcomes), list[Step](), 0.0
    step = advance(flow)
    while not isinstance(step, Done):
        steps.append(step)
        now += step.seconds if isinstance(step, Pause) else 0.0
        step = advance(flow, _outcome(step, left, now))
    if left:
        raise AssertionError(f"the flow ended with {len(left)} outcomes left over")
    return Played(
        step.value,
        calls=tuple(s for s in steps if isinstance(s, Call)),
        events=tuple(s for s in steps if isinstance(s, Event)),
        pauses=tuple(s.seconds for s in steps if isinstance(s, Pause)),
    )


def _outcome(step: Step, left: list[Reply | BaseException], now: float) -> Any:
    if isinstance(step, Future):
        return step.exception(timeout=10) or step.result()
    if isinstance(step, Pause):
        return now
    if not isinstance(step, Call):
        return None
    if not left:
        raise AssertionError(f"the flow made a call that nothing was prepared for: {step}")
    outcome = left.pop(0)
    return _sieved(outcome) if step.pictures and isinstance(outcome, Reply) else outcome


def _sieved(whole: Reply) -> Reply:
    """The reply as a driver gives it to a call for pictures."""
    pictures = dict(whole.pictures)
    sieve = Sieve(pictures)
    sieve.write(whole.body)
    return evolve(whole, body=sieve.getvalue(), pictures=pictures)


def reply(
    json: Any = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    received_at: datetime = EPOCH,
) -> Reply:
    """Make a Reply with a JSON body, or with *body* as it is."""
    content = jsonlib.dumps(json).encode() if body is None else body
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    return Reply(status=status, headers=lowered, body=content, received_at=received_at)


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
