"""Idle connections, kept for a while so that the next free call need not make one.

httpcore's own pool looks at every connection for every request, which takes all of the time when
there are hundreds. A connection carries one request at a time, so whoever has one needs nothing
but a place to put it afterwards.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable
from typing import Any, Generic, Protocol, TypeVar

KEPT = 100
"""Idle connections to one server that are kept at most."""
KEPT_FOR = 5.0
"""Seconds that an idle connection is kept."""


class Connection(Protocol):
    """What the shelf asks of a connection."""

    def has_expired(self) -> bool:
        """Tell whether the other end has closed it."""
        ...

    def is_idle(self) -> bool:
        """Tell whether it is ready for another request."""
        ...


C = TypeVar("C", bound=Connection)


class Shelf(Generic[C]):
    """Idle connections by where they lead, the last used first; for any thread.

    `taken`, `put` and `cleared` return what is to be closed; the caller knows how.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Hashable, deque[tuple[float, C]]] = {}
        self._swept = 0.0
        self._closed = False

    def taken(self, place: Hashable) -> tuple[C | None, list[C]]:
        """A connection that leads to *place*, and those found unusable."""
        dead = list[C]()
        while entry := self._last(place):
            kept_until, connection = entry
            if time.monotonic() < kept_until and not connection.has_expired():
                return connection, dead
            dead.append(connection)
        return None, dead

    def _last(self, place: Hashable) -> tuple[float, C] | None:
        with self._lock:
            idle = self._idle.get(place)
            return idle.pop() if idle else None

    def put(self, place: Hashable, connection: C) -> list[C]:
        """Keep *connection* if it can be used again; those that cannot, or lie too long."""
        if not (connection.is_idle() and is_clean(connection)):
            return [connection]
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return [connection]
            idle = self._idle.setdefault(place, deque())
            idle.append((now + KEPT_FOR, connection))
            old = [idle.popleft()[1]] if len(idle) > KEPT else []
            return old + self._expired(now)

    def _expired(self, now: float) -> list[C]:
        """Those that nobody may ever ask for, now and then: there may be many places."""
        if now < self._swept + KEPT_FOR / 5:
            return []
        self._swept, old = now, list[C]()
        for place, idle in list(self._idle.items()):
            while idle and idle[0][0] <= now:
                old.append(idle.popleft()[1])
            if not idle:
                del self._idle[place]
        return old

    def cleared(self) -> list[C]:
        """Everything; nothing is kept from now on."""
        with self._lock:
            self._closed = True
            every = [connection for idle in self._idle.values() for _, connection in idle]
            self._idle.clear()
            return every


def is_clean(connection: Any) -> bool:
    """Tell whether nothing followed the response: it would pass for the next one's.

    httpcore does not tell, but h11, its parser, does; if it is not where it was, nothing is kept.
    """
    while connection is not None:
        if parser := getattr(connection, "_h11_state", None):
            return bool(parser.trailing_data == (b"", False))
        connection = getattr(connection, "_connection", None)
    return False
