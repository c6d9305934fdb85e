"""Idle connections, kept for a while so that the next free call need not make one.

httpcore's own pool looks at every connection for every request, which takes all of the time when
there are hundreds. A connection carries one request at a time, so whoever has one needs nothing
but a place to put it afterwards.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

KEPT = 100
"""Idle connections to one server that are kept at most."""
KEPT_FOR = 5.0
"""Seconds that an idle connection is kept."""


class Connection(Protocol):
    """What the shelf asks of a connection."""

    def has_expired(self) -> bool:
        """Tell whether the other end has closed it."""
        ...


C = TypeVar("C", bound=Connection)


class Shelf(Generic[C]):
    """Idle connections by where they lead, the last used first; for any thread."""

    def __init__(self) -> None:
        self._idle: defaultdict[Hashable, deque[tuple[float, C]]] = defaultdict(deque)

    def taken(self, place: Hashable) -> tuple[C | None, list[C]]:
        """A connection that leads to *place*, and those found unusable, which are to be closed."""
        idle, dead = self._idle[place], list[C]()
        while True:
            try:
                kept_until, connection = idle.pop()
            except IndexError:
                return None, dead
            if time.monotonic() < kept_until and not connection.has_expired():
                return connection, dead
            dead.append(connection)

    def put(self, place: Hashable, connection: C) -> list[C]:
        """Keep *connection*; return those that have lain too long, which are to be closed."""
        idle, old, now = self._idle[place], list[C](), time.monotonic()
        idle.append((now + KEPT_FOR, connection))
        while True:
            try:
                kept_until, oldest = idle.popleft()
            except IndexError:
                return old
            if now < kept_until and len(idle) < KEPT:
                idle.appendleft((kept_until, oldest))
                return old
            old.append(oldest)

    def cleared(self) -> list[C]:
        """Everything, to be closed."""
        every = [connection for idle in self._idle.values() for _, connection in idle]
        self._idle.clear()
        return every
