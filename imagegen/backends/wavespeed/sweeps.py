"""Asking for many predictions with one request: a page of the list in place of a poll for each.

Nothing here runs by itself. A flow whose poll is due looks whether somebody else's page told of
its prediction, waits for a page that is under way, or asks for one on behalf of those that are due
about now and were created about then. In any doubt it polls alone: the list saves requests, and
decides nothing that a poll would decide otherwise.

Wire facts: WaveSpeedAI's API documentation of predictions and its official clients (read
2026-11-20). How soon the list knows of a change is not documented.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Collection, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from math import inf
from threading import Lock
from typing import Any

from imagegen.backends.wavespeed.lookup import KEPT, PAGE_SIZE
from imagegen.backends.wavespeed.pages import (
    MARGIN,
    News,
    Told,
    created,
    id_of,
    items_of,
    page,
    told,
)
from imagegen.backends.wavespeed.predictions import Prediction
from imagegen.backends.wavespeed.seats import (
    ROOM,
    SLACK,
    Seat,
    Sweep,
    created_at,
    is_fresh,
    key_of,
    window,
)
from imagegen.errors import BackendError, ImageGenError, TransportError
from imagegen.flow import Call, Flow, awaited
from imagegen.result import Job

LEAST_SHARE = 0.05
"""Of a page, what must be ours: below, the list is too full of others to be of use."""
SHORTEST_REST, LONGEST_REST = 30.0, 600.0
"""Seconds of polling alone after the list failed, doubled each time until it is of use again."""
ALONE = 4
"""Polls of one that is not on the page, until it is looked for again."""
SELDOM = 16
"""Pages to one whose leader, though told that it is going on, polls too: fewer until they agree."""
WRONG = 3
"""Such polls in a row that find an ended prediction: the list is out of date."""
CROWD, APART = 50, 1.4
"""Where so many wait, nobody is asked for sooner than so many seconds after the last time, unless
the settings want it sooner: less than one request for each, and still found within a second."""


class Sweeps:
    """The predictions of one account that are waited for. Safe to share between threads."""

    def __init__(self) -> None:
        self.moment = -inf
        self._lock = Lock()
        self._numbers = count()
        self._order: list[Seat] = []
        self._known: dict[str, Seat] = {}
        self._left: deque[Seat] = deque()
        self._share = 1.0
        self._until, self._rest = -inf, SHORTEST_REST
        self._seldom, self._since_check, self._wrong = 1, 0, 0

    def __reduce__(self) -> tuple[type[Sweeps], tuple[()]]:
        """A copy of a backend begins with nobody who waits."""
        return Sweeps, ()

    @property
    def is_crowded(self) -> bool:
        """Whether so many wait that pages are shared by most of them."""
        return len(self._order) >= CROWD

    @contextmanager
    def seat(self, job: Job, host: str, *, shared: bool, apart: float = APART) -> Generator[Seat]:
        """Take a place for *job* as long as it is waited for; one that is not *shared* polls alone.

        So do jobs that ask for base64, which the list may hold, and those without a time. In a
        crowd, it is asked for again after *apart* seconds or more.
        """
        moment = created_at(job) if shared else None
        key = (moment, next(self._numbers)) if moment else None
        seat = Seat(self, job.id, job.request.n, key, apart)
        try:
            self._join(seat, host, job.provider)
            yield seat
        finally:
            self._leave(seat)

    def _join(self, seat: Seat, host: str, account: str) -> None:
        with self._lock:
            self._tidy()
            self._host, self._account = host, account
            if seat.key and self._known.setdefault(seat.id, seat) is seat:
                insort(self._order, seat, key=key_of)
            else:  # somebody waits for it already
                seat.key = None

    def _leave(self, seat: Seat) -> None:
        # Without the lock: the garbage collector may close a flow, and so come here, at any line,
        # even of this thread while it holds the lock. Whoever has it next tidies up.
        if seat.key:
            self._left.append(seat)
        if seat.led:  # Ctrl-C may have come before it was asked for
            seat.led.end()
        seat.told, seat.sweep, seat.due = None, None, inf

    def _tidy(self) -> None:
        while self._left:
            seat = self._left[0]  # it stays there until it is done, for Ctrl-C may come
            place = bisect_left(self._order, key_of(seat), key=key_of)
            if self._order[place : place + 1] == [seat]:  # Ctrl-C may have come before it was in
                del self._order[place]
            if self._known.get(seat.id) is seat:
                del self._known[seat.id]
            self._left.popleft()

    def news(self, seat: Seat, moment: float) -> Flow[News | None]:
        """What a page tells of *seat*; None if it has to poll."""
        for _ in range(2):
            step = self._next(seat, moment)
            if isinstance(step, Sweep):
                yield from self._led(step)
                return self._believed(seat, check=step.check)
            if step is None:
                return self._believed(seat)
            yield from awaited(step)
        return self._believed(seat)

    def _next(self, seat: Seat, moment: float) -> Future[None] | Sweep | None:
        """What to wait for: somebody's page, or one's own; None: there are news, or no page."""
        with self._lock:
            self._tidy()
            self.moment = max(self.moment, moment)
            trusting = seat.trusts(moment)
            last = seat.told
            if last and (not last.going or (trusting and is_fresh(last.moment, moment))):
                seat.old = max(moment - last.moment, 0.0)
                return None
            seat.told = None
            if seat.alone or moment < self._until or not trusting:
                seat.alone = max(seat.alone - 1, 0)
                return None
            sweep = seat.sweep
            if sweep and is_fresh(sweep.moment, moment):
                return sweep.over
            seats = window(self._order, seat, moment + SLACK)
            return self._sweep(seat, seats, moment) if seats else None

    def _sweep(self, leader: Seat, seats: list[Seat], moment: float) -> Sweep:
        first, last = key_of(seats[0])[0], key_of(seats[-1])[0]
        self._since_check += 1
        check = self._since_check >= self._seldom
        if check:
            self._since_check = 0
        call = page(self._host, self._account, first, last)
        return Sweep(leader, moment, seats, call, check)

    def _led(self, sweep: Sweep) -> Flow[None]:
        """Ask for the page, and hand round what it tells; whatever happens, nobody waits on."""
        try:
            items = yield from self._items(sweep.call)
            if items is not None:
                self._hand_round(sweep, items)
        finally:
            sweep.end()

    def _items(self, call: Call) -> Flow[list[Any] | None]:
        """What is listed; None where that cannot be told.

        Raises:
            ConfigurationError, DeadlineExceededError: nothing was sent, as a poll would not be.
        """
        try:
            reply = yield call
        except TransportError:
            self._rest_now()
            return None
        try:
            return items_of(reply)
        except ImageGenError as error:
            wanted = error.retry_after if isinstance(error, BackendError) else None
            self._rest_now(wanted or 0.0)
            return None

    def _hand_round(self, sweep: Sweep, items: list[Any]) -> None:
        found, ended = set[Seat](), False
        for item in items:
            seat = self._known.get(id_of(item))
            if seat:
                clear = seat not in found  # what is told of twice is not
                news = told(item, seat.n, sweep.moment) if clear else Told(sweep.moment)
                ended |= news.news is not None and not news.going
                seat.told = news
                found.add(seat)
        with self._lock:
            if ended:  # it is of use
                self._rest, self._wrong = SHORTEST_REST, 0
            self._learn(sweep, items, found)

    def _learn(self, sweep: Sweep, items: list[Any], found: Collection[Seat]) -> None:
        """Learn how much a page holds, how much of it is ours, and whom it does not show."""
        whole = len(items) < PAGE_SIZE
        oldest = None if whole else created(items[-1])
        first, last = key_of(sweep.seats[0])[0], key_of(sweep.seats[-1])[0]
        shown = last - (oldest or first)
        if len(items) > 1 and shown > MARGIN:
            span = min(shown / len(items) * ROOM, KEPT)
            for seat in (*found, *sweep.seats):
                seat.span = span
        for seat in found:
            seat.alone = 0
        for seat in sweep.seats:
            if seat not in found and (oldest is None or key_of(seat)[0] >= oldest):
                seat.alone = ALONE
        self._share += (len(found) / max(len(items), 1) - self._share) / 4
        if self._share < LEAST_SHARE:
            self._share = 2 * LEAST_SHARE
            self._rest_now()

    def _rest_now(self, least: float = 0.0) -> None:
        """Let everybody poll alone for a while; pages that fail together count once."""
        if self.moment >= self._until:
            self._until = self.moment + min(max(self._rest, least), LONGEST_REST)
            self._rest = min(self._rest * 2, LONGEST_REST)

    def _believed(self, seat: Seat, *, check: bool = False) -> News | None:
        last, seat.told = seat.told, None
        if last is None or last.news is None:
            return None
        seat.checking = check and last.going
        if last.going and not check:
            seat.since = min(seat.since, last.moment)
        return None if seat.checking else last.news

    def polled(self, seat: Seat, prediction: Prediction) -> None:
        """Compare what a poll told with what the list had."""
        seat.since = inf
        if not seat.checking:
            return
        if not prediction.is_over:
            self._seldom, self._wrong = min(self._seldom * 2, SELDOM), 0
            return
        self._seldom, self._wrong = 1, self._wrong + 1
        if self._wrong >= WRONG:
            self._wrong = 0
            self._rest_now()
