"""The predictions that are waited for, each in its seat, and the page that serves several of them.

A seat knows how its prediction is doing, as far as it was told; `sweeps` has them share what they
learn.
"""

from __future__ import annotations

from bisect import bisect_left
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

from attrs import define, field

from imagegen.backends.wavespeed.lookup import PAGE_SIZE
from imagegen.backends.wavespeed.pages import News, Told
from imagegen.backends.wavespeed.predictions import polled
from imagegen.flow import Call, Flow
from imagegen.result import Job

if TYPE_CHECKING:
    from imagegen.backends.wavespeed.sweeps import Sweeps

SLACK = 0.75
"""Seconds: who is due so soon shares the page, and takes news so old that it is going on."""
OTHERS = 3
"""Predictions due beside one's own that make a page worth asking for."""
ROOM = int(PAGE_SIZE * 0.9)
"""What is planned for a page; the rest is for what was not foreseen."""
TRUST = 40
"""Seconds, or up to twice as many, that a prediction goes on by the word of the list alone."""
YEARS = range(2020, 2100)


@define(eq=False)
class Seat:
    """The place of one waiting prediction among the others.

    Attributes:
        key: when it was created, and a number that makes it unique; None: it shares nothing.
        apart: seconds, at least, from one time it is asked for to the next in a crowd.
    """

    _sweeps: Sweeps
    id: str
    n: int
    key: tuple[datetime, int] | None
    apart: float
    due: float = inf
    told: Told | None = None
    sweep: Sweep | None = None
    led: Sweep | None = None
    span: timedelta | None = None
    old: float = 0.0
    since: float = inf
    alone: int = 0
    checking: bool = False
    is_asked: bool = False

    def wait(self, seconds: float) -> float:
        """The wait until the next poll, *seconds* after the last answer is from.

        Those who had it from one page are due at one moment again.
        """
        if self.key and self.is_asked and self._sweeps.is_crowded:
            seconds = max(seconds, self.apart)
        left, self.old = max(seconds - self.old, seconds / 2), 0.0
        self.due = self._sweeps.moment + left
        return left

    def asked(self, call: Call, moment: float | None) -> Flow[News]:
        """Learn how the prediction is doing: from the list, or with *call*, its own poll.

        Args:
            call: the poll.
            moment: now, as the pause before it told; where it told nothing, nothing is shared.

        Raises:
            ImageGenError: the poll failed; the list's failures raise nothing.
        """
        self.due, self.checking, self.is_asked, news = inf, False, True, None
        if self.key and moment is not None:
            news = yield from self._sweeps.news(self, moment)
        if news is None:
            self.old = 0.0
            news = polled((yield call), self.id)
            self._sweeps.polled(self, news[0])
        return news

    def is_due(self, moment: float) -> bool:
        """Tell whether a page would be welcome at that moment."""
        return self.due <= moment and self.sweep is None and not self.alone

    def trusts(self, moment: float) -> bool:
        """Tell whether the list may still say that it is going on; they do not all ask at once."""
        return self.key is not None and moment - self.since < TRUST + self.key[1] % TRUST


@define(eq=False)
class Sweep:
    """One page that *leader* asks for, on behalf of *seats*, in the order of their creation."""

    leader: Seat
    moment: float
    seats: list[Seat]
    call: Call
    check: bool
    over: Future[None] = field(factory=Future[None])

    def __attrs_post_init__(self) -> None:
        self.over.set_running_or_notify_cancel()  # no follower can cancel it for the others
        self.leader.led = self
        for seat in self.seats:
            seat.sweep = seat.sweep or self

    def end(self) -> None:
        """Let those go on who wait for it."""
        for seat in self.seats:
            if seat.sweep is self:
                seat.sweep = None
        if not self.over.done():
            self.over.set_result(None)
        self.leader.led = None


def window(order: list[Seat], seat: Seat, until: float) -> list[Seat]:
    """Those around *seat*, as many as a page holds, of whom the most are due; none if few."""
    mine = bisect_left(order, key_of(seat), key=key_of)
    near = order[max(mine - ROOM + 1, 0) : mine + ROOM]
    mine = min(mine, ROOM - 1)
    keys = [key_of(each) for each in near]
    due = [each is seat or each.is_due(until) for each in near]
    before = [0, *accumulate(due)]
    best = 0, 0, 0
    for start in range(mine + 1):
        end = min(start + ROOM, len(near))
        if seat.span:
            end = bisect_left(keys, (keys[start][0] + seat.span, 0), start, end)
        if end > mine:
            best = max(best, (before[end] - before[start], start, end))
    number, start, end = best
    if number <= OTHERS:
        return []
    wanted = [index for index in range(start, end) if due[index]]
    return near[wanted[0] : wanted[-1] + 1]


def created_at(job: Job) -> datetime | None:
    """When *job* was created, by the provider's clock; None where it must be asked for alone."""
    own = job.request.provider_options.get(job.provider, {})
    base64 = job.request.output == "bytes" or own.get("enable_base64_output")
    moment = job.created_at
    if base64 or moment is None or moment.tzinfo is None or moment.year not in YEARS:
        return None
    return moment.astimezone(UTC)


def is_fresh(then: float, moment: float) -> bool:
    """Whether what is from *then* is recent; clients may go by clocks that are far apart."""
    return -TRUST <= moment - then <= SLACK


key_of: attrgetter[tuple[datetime, int]] = attrgetter("key")
"""What seats are in the order of."""
