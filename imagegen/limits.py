"""What an account allows at a time, and the queue in front of it: first come, first served.

A flow stands in the queue, leaves when it is its turn, and makes room when it has ended:

    turn = limiter.join()
    try:
        yield turn.first
        while wait := turn.wait():
            yield Pause(wait, firm=True)
        turn.take()
        ...  # submit, and wait until it is settled
    finally:
        turn.leave()

Nothing here sleeps or knows a clock but the one it is given, so threads and tasks share one
queue.
"""

from __future__ import annotations

import tomllib
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from datetime import date
from functools import cache
from importlib import resources
from math import inf, nextafter
from threading import RLock
from typing import Any

from attrs import Attribute, field, fields, frozen

from imagegen.errors import ConfigurationError
from imagegen.redaction import brief

WINDOW = 60.0
"""Seconds that `Limits.per_minute` is counted over."""


def _count(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return
    raise ConfigurationError(
        f"limits: {attribute.name} must be a whole number from 1, or None, not {brief(value)}",
        advice="Give what the account allows, or None for no limit",
        field="limits",
    )


@frozen(kw_only=True)
class Limits:
    """What one provider account allows; None where it sets no limit.

    Attributes:
        per_minute: submissions in any 60 seconds.
        in_flight: submissions that are not settled yet.
        as_of: when `source` said so.
        source: where these figures come from.

    Raises:
        ConfigurationError: a limit is not a whole number from 1.
    """

    per_minute: int | None = field(default=None, validator=_count)
    in_flight: int | None = field(default=None, validator=_count)
    as_of: date | None = None
    source: str = ""


def preset(provider: str, name: str) -> Limits:
    """Look up what *provider* publishes for accounts of the kind *name*, such as ``"silver"``.

    Raises:
        ConfigurationError: no such preset is known.
    """
    known = presets(provider)
    if name not in known:
        names = " or ".join(f'"{each}"' for each in known)
        raise ConfigurationError(
            f"there are no limits called {brief(name)}",
            advice=f"Give {names or 'Limits(per_minute=…, in_flight=…)'}",
            provider=provider,
            field="limits",
        )
    return _book()[provider][name]


def presets(provider: str) -> tuple[str, ...]:
    """Names of the presets of *provider*, the smallest account first; none if it is unknown."""
    return tuple(_book().get(provider, ()))


@cache
def _book() -> dict[str, dict[str, Limits]]:
    text = resources.files("imagegen").joinpath("limits.toml").read_text(encoding="utf-8")
    names = {attribute.name for attribute in fields(Limits)}
    book: dict[str, dict[str, Limits]] = {}
    for entry in tomllib.loads(text)["limits"]:
        figures = {name: value for name, value in entry.items() if name in names}
        book.setdefault(entry["provider"], {})[entry["name"]] = Limits(**figures)
    return book


class Limiter:
    """The queue in front of one account. Safe to share between threads and event loops.

    Args:
        limits: what the account allows.
        monotonic: seconds that only ever grow.
    """

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._line = _Line(limits, monotonic)

    def join(self) -> Turn:
        """Stand in the queue, at its end."""
        turn = Turn(self._line)
        self._line.join(turn)
        return turn


class Turn:
    """One submission's place in the queue, then in flight; from `Limiter.join`.

    Attributes:
        first: resolved once this turn heads the queue and there is room in flight. Cancelling it
            gives up the place; leaving before it is resolved cancels it.
    """

    def __init__(self, line: _Line) -> None:
        self._line = line
        self.first: Future[None] = Future()
        self.first.add_done_callback(self._told)

    def _told(self, first: Future[None]) -> None:
        if first.cancelled():
            first.set_running_or_notify_cancel()  # else `concurrent.futures.wait` sleeps on
            self.leave()

    def wait(self) -> float:
        """Seconds until a submission may leave, 0.0 for now; means something to the first only."""
        return self._line.wait()

    def take(self) -> None:
        """Leave now: counted in the window and in flight, and the next one comes first.

        Raises:
            ConfigurationError: it is not its turn; nothing is counted.
        """
        self._line.take(self)

    def leave(self) -> None:
        """Give up the place in the queue or in flight, at any time, any number of times."""
        self._line.leave(self)


class _Line:
    """Who waits, who is in flight, and when the last ones left."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        # Reentrant: the garbage collector may close a flow, and so call `leave`, at any line.
        self._lock = RLock()
        self._waiting: OrderedDict[Turn, None] = OrderedDict()
        self._in_flight: set[Turn] = set()
        self._taken: deque[float] = deque()

    def join(self, turn: Turn) -> None:
        with self._lock:
            self._waiting[turn] = None
        self._call_next()

    def wait(self) -> float:
        with self._lock:
            now = self._monotonic()
            while self._taken and self._taken[0] + WINDOW <= now:
                self._taken.popleft()
            most = self._limits.per_minute
            full = most is not None and len(self._taken) >= most
            return _between(now, self._taken[0] + WINDOW) if full else 0.0

    def take(self, turn: Turn) -> None:
        with self._lock:
            if turn not in self._waiting or not _resolved(turn.first) or self.wait():
                raise ConfigurationError(
                    "limits: a submission was about to leave when it was not its turn",
                    advice="Wait for `first`, then until `wait` gives 0, before `take`",
                    field="limits",
                )
            self._taken.append(self._monotonic())
            self._in_flight.add(turn)
            del self._waiting[turn]
        self._call_next()

    def leave(self, turn: Turn) -> None:
        with self._lock:
            self._waiting.pop(turn, None)
            self._in_flight.discard(turn)
        turn.first.cancel()
        self._call_next()

    def _call_next(self) -> None:
        # Callbacks run here, so without the lock. What was seen under it stays true: only the
        # head may take, and nothing else makes the room in flight smaller.
        with self._lock:
            head = self._head() if self._has_room() else None
        if head is not None:
            with suppress(InvalidStateError):  # resolved before, or cancelled just now
                head.first.set_result(None)

    def _head(self) -> Turn | None:
        for turn in self._waiting:
            return turn
        return None

    def _has_room(self) -> bool:
        most = self._limits.in_flight
        return most is None or len(self._in_flight) < most


def _resolved(first: Future[None]) -> bool:
    return first.done() and not first.cancelled()


def _between(now: float, then: float) -> float:
    """Seconds that, added to *now*, reach *then* however floats are rounded."""
    seconds = then - now
    while now + seconds < then:
        seconds = nextafter(seconds, inf)
    return seconds
