"""Flows played by hand: prepared replies go in, what the flow yields and returns comes out."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from imagegen.drivers.inline import Sieve
from imagegen.events import Event
from imagegen.flow import Call, Done, Flow, Pause, Reply, Step, advance
from imagegen.testing.clock import EPOCH

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


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
        return awaited(step)
    if isinstance(step, Pause):
        return now
    if not isinstance(step, Call):
        return None
    if not left:
        raise AssertionError(f"the flow made a call that nothing was prepared for: {step}")
    return answered(step, left.pop(0))


def awaited(future: Future[Any]) -> Any:
    """What *future* holds, a value or an exception, within ten seconds."""
    return future.exception(timeout=10) or future.result()


def answered(call: Call, outcome: Reply | BaseException) -> Reply | BaseException:
    """The *outcome* as a driver gives it: a call for pictures gets them beside the body."""
    if not call.pictures or not isinstance(outcome, Reply):
        return outcome
    pictures = dict(outcome.pictures)
    sieve = Sieve(pictures)
    sieve.write(outcome.body)
    return evolve(outcome, body=sieve.getvalue(), pictures=pictures)


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
