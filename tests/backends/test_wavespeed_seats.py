"""The places of those who wait: when one is due, what is fresh, and whom a page is asked for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from math import inf
from typing import Any

import pytest

from imagegen.backends.wavespeed.seats import Seat, Sweep, created_at, is_fresh, window
from imagegen.backends.wavespeed.sweeps import Sweeps
from imagegen.flow import Call
from imagegen.request import ImageRequest
from imagegen.result import Job
from imagegen.testing import EPOCH


def seat(number: int = 0, due: float = inf, **more: Any) -> Seat:
    created = EPOCH + timedelta(seconds=number)
    return Seat(Sweeps(), f"p{number}", 1, (created, number), apart=1.4, due=due, **more)


def seats(many: int, *due: int) -> list[Seat]:
    """So many, a second apart, of whom those numbers, or all if none is named, are due at 2.0."""
    chosen = due or range(many)
    return [seat(number, 2.0 if number in chosen else inf) for number in range(many)]


def test_whoever_has_just_come_has_been_told_and_asked_nothing() -> None:
    new = Seat(Sweeps(), "p", 1, None, apart=1.4)
    assert (new.due, new.since, new.old, new.alone) == (inf, inf, 0.0, 0)
    assert (new.told, new.sweep, new.led, new.span) == (None, None, None, None)
    assert (new.checking, new.is_asked) == (False, False)


@pytest.mark.parametrize(("old", "left"), [(0.0, 4.0), (1.0, 3.0), (3.0, 2.0)])
def test_news_that_are_old_shorten_the_next_wait_by_half_at_most(old: float, left: float) -> None:
    waiting = seat(old=old)
    waiting._sweeps.moment = 7.0
    assert (waiting.wait(4.0), waiting.due, waiting.old) == (left, 7.0 + left, 0.0)


def test_a_page_is_welcome_from_the_moment_that_one_is_due() -> None:
    assert [seat(due=2.0).is_due(moment) for moment in (1.99, 2.0, 2.01)] == [False, True, True]
    assert not seat(due=2.0, alone=1).is_due(2.0)


@pytest.mark.parametrize(("number", "seconds"), [(0, 40.0), (5, 45.0), (39, 79.0), (40, 40.0)])
def test_the_list_is_trusted_for_a_while_that_differs(number: int, seconds: float) -> None:
    trusting = seat(number, since=100.0)
    assert trusting.trusts(100.0 + seconds - 0.01)
    assert not trusting.trusts(100.0 + seconds)


def test_whoever_shares_nothing_trusts_nothing() -> None:
    assert not Seat(Sweeps(), "p", 1, None, apart=1.4).trusts(0.0)


@pytest.mark.parametrize(
    ("then", "fresh"), [(9.25, True), (9.24, False), (10.0, True), (50.0, True), (50.01, False)]
)
def test_news_are_fresh_for_three_quarters_of_a_second(then: float, *, fresh: bool) -> None:
    assert is_fresh(then, 10.0) is fresh


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is a POSIX matter")
def test_a_moment_of_any_zone_is_taken_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    berlin = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    job = Job(
        provider="wavespeed",
        model="a/b",
        id="p",
        request=ImageRequest("x"),
        created_at=berlin,
    )
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        created = created_at(job)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert created == EPOCH
    assert created.tzinfo is UTC


# Whom a page is asked for


@pytest.mark.parametrize(
    ("mine", "first", "last"), [(0, 0, 90), (100, 100, 190), (150, 150, 240), (249, 160, 250)]
)
def test_a_page_is_asked_for_as_many_as_it_holds(mine: int, first: int, last: int) -> None:
    order = seats(250)
    assert window(order, order[mine], 2.0) == order[first:last]


def test_a_page_reaches_from_the_first_to_the_last_that_is_due() -> None:
    order = seats(20, 3, 5, 9)
    assert window(order, order[7], 2.0) == order[3:10]
    assert window(order, order[9], 2.0) == []
    assert window(order, order[1], 2.0) == order[1:10]
    assert window(order, order[15], 2.0) == order[3:16]


def test_those_who_are_due_in_greater_number_come_first() -> None:
    early, late = range(10, 40), range(150, 200)
    order = seats(250, *early, *late)
    assert window(order, order[99], 2.0) == order[99:189]
    order = seats(250, *range(10, 60), *range(150, 160))
    assert window(order, order[95], 2.0) == order[10:96]


def test_a_page_that_holds_less_is_asked_for_less() -> None:
    order = seats(100)
    order[50].span = timedelta(seconds=10)
    assert window(order, order[50], 2.0) == order[50:60]
    order[50].span = timedelta(seconds=1000)
    assert window(order, order[50], 2.0) == order[10:100]


def test_a_page_is_led_until_it_ends() -> None:
    waiting = seats(3)
    sweep = Sweep(waiting[0], 2.0, waiting, Call("POST", "https://h/"), check=False)
    assert (waiting[0].led, {id(each.sweep) for each in waiting}) == (sweep, {id(sweep)})
    other = Sweep(waiting[1], 2.0, waiting, Call("POST", "https://h/"), check=False)
    assert other != sweep
    assert {id(each.sweep) for each in waiting} == {id(sweep)}
    sweep.end()
    assert sweep.over.done()
    assert (waiting[0].led, [each.sweep for each in waiting]) == (None, [None] * 3)
