"""When to ask next: what the schedule keeps to whatever it has seen, and what it learns."""

from __future__ import annotations

import math
import statistics
import sys
from itertools import pairwise
from random import Random
from threading import Thread

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from imagegen.backends import pacing
from imagegen.backends.pacing import (
    ENOUGH_TO_LEARN,
    REMEMBERED,
    Asking,
    Bounds,
    Growing,
    Pace,
    Paces,
)

AGES = st.floats(min_value=0.0, max_value=1e6)
ENDS = st.lists(st.tuples(AGES, AGES), max_size=60)
BOUNDS = st.builds(
    Bounds,
    shortest=st.floats(min_value=0.01, max_value=3.0),
    longest=st.floats(min_value=3.0, max_value=100.0),
    average=st.floats(min_value=0.01, max_value=10.0),
)


def taught(*ends: tuple[float, float], bounds: Bounds | None = None) -> Pace:
    pace = Pace(bounds=bounds or Bounds())
    for low, high in ends:
        pace.ended(low, high)
    return pace


def around(seconds: float, jobs: int = 12, seed: int = 5) -> list[tuple[float, float]]:
    random = Random(seed)  # noqa: S311 - a simulation
    found = [seconds * random.lognormvariate(0, 0.1) for _ in range(jobs)]
    return [(each - 0.5, each + 0.5) for each in found]


def polls(pace: Pace, until: float) -> list[float]:
    """The ages at which a job is asked for that does not end until then."""
    ages, age = list[float](), 0.0
    while age < until:
        age += pace.wait(age, len(ages))
        ages.append(age)
    return ages


def settled(pace: Pace, seconds: float) -> tuple[int, float]:
    """Ask for a job that takes so many seconds; give the polls and the lag, and learn."""
    asking, age, asked = Asking(pace, 0.0), 0.0, 0
    while True:
        age, asked = age + asking.wait(), asked + 1
        asking.waited(age)
        if age >= seconds:
            asking.ended()
            return asked, age - seconds
        asking.goes_on()


# The schedule that is given


def test_nothing_learned_means_waits_that_grow_as_given() -> None:
    pace = Pace(Growing(first=10.0, growth=2.0, slowest=3.0))
    assert [pace.wait(age, asked) for asked, age in enumerate((0.0, 10.0, 13.0))] == [10, 3, 3]
    assert polls(Pace(), 20.0) == [2.0, 4.5, 7.625, 11.53125, 16.4140625, 21.4140625]


def test_an_unknown_job_that_is_older_than_the_first_wait_is_asked_for_at_once() -> None:
    assert Pace().wait(0.5, 0) == 1.5
    assert Pace().wait(90.0, 0) == 0.0
    assert Pace().wait(90.0, 1) == 5.0


def test_two_jobs_teach_nothing_yet_and_three_do() -> None:
    ends = around(30.0, ENOUGH_TO_LEARN)
    assert polls(taught(*ends[:-1]), 60.0) == polls(Pace(), 60.0)
    assert polls(taught(*ends), 60.0) != polls(Pace(), 60.0)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (5.0, 5.0),
        (6.0, 5.0),
        (-1.0, 5.0),
        (0.0, 0.0),
        (0.0, 5e-324),
        (0.0, float("inf")),
        (float("nan"), 5.0),
        (0.0, float("nan")),
        (0.0, 1e7),
    ],
)
def test_what_no_job_can_take_is_not_learned(low: float, high: float) -> None:
    assert taught(*[(low, high)] * 5) == Pace()


def test_ends_that_are_seen_as_exact_as_a_clock_can_tell_can_be_planned_with() -> None:
    usual = (1.0, 3.0)
    first_edge = math.log(2.0) - pacing._BELOW
    for bin_ in range(1, pacing._BINS):
        edge = math.exp(first_edge + pacing._STEP * bin_)
        exact = math.nextafter(edge, 0.0), math.nextafter(edge, math.inf)
        pace = taught(exact, *[usual] * 12)
        assert 0.0 < pace.wait(1.0, 1) <= pacing.LONGEST


# What it keeps to


@settings(max_examples=200, deadline=None)
@given(ENDS, BOUNDS, AGES, st.integers(1, 500))
def test_from_any_history_and_age_the_wait_is_within_its_bounds(
    ends: list[tuple[float, float]], bounds: Bounds, age: float, asked: int
) -> None:
    pace = taught(*ends, *around(30.0, 3), bounds=bounds)
    wait = pace.wait(age, asked)
    assert wait >= bounds.shortest * (1 - 1e-3) - 1e-5
    assert wait <= max(bounds.longest, bounds.average * (asked + 1) - age) + 1e-6
    assert 0.0 <= pace.wait(age, 0) <= max(bounds.longest, bounds.average)


@settings(max_examples=60, deadline=None)
@given(ENDS, BOUNDS)
def test_over_a_job_s_life_there_are_never_more_polls_than_allowed(
    ends: list[tuple[float, float]], bounds: Bounds
) -> None:
    pace = taught(*ends, *around(30.0, 3), bounds=bounds)
    for number, age in enumerate(polls(pace, 40.0), start=1):
        assert age >= number * bounds.average - 1e-6


def test_polls_stay_as_few_when_what_is_known_changes_under_a_job() -> None:
    pace, ages, age = taught(*around(10.0)), list[float](), 0.0
    while age < 120:
        age += pace.wait(age, len(ages))
        ages.append(age)
        pace.ended(age + 0.5, age + 4.0)  # now it is known to end at once, for ever
    assert all(age >= number - 1e-6 for number, age in enumerate(ages, start=1))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(min_value=0.05, max_value=2000.0), min_size=3, max_size=40))
def test_whoever_asks_at_a_later_age_is_not_told_an_earlier_moment(seconds: list[float]) -> None:
    pace = taught(*[(each * 0.95, each * 1.05) for each in seconds])
    ages = [step * 0.37 for step in range(400)]
    moments = [age + pace.wait(age, 1) for age in ages]
    assert all(after >= before - 1e-5 for before, after in pairwise(moments))


# What it learns


def test_there_are_few_polls_before_an_answer_is_likely_and_most_around_it() -> None:
    ages = polls(taught(*around(30.0, 40)), 90.0)
    counts = [sum(low <= age < low + 10 for age in ages) for low in (0, 10, 25, 70, 80)]
    assert counts[0] == 0
    assert counts[1] <= 4
    assert counts[2] >= 10 > max(counts[3:])


def test_jobs_that_take_longer_are_followed_within_a_few_jobs() -> None:
    pace = taught(*around(33.0, 40))
    lags = [settled(pace, 60.0 + step / 7)[1] for step in range(8)]
    assert max(lags) < 6.0
    assert max(lags[4:]) < 2.1


def test_jobs_that_take_less_are_followed_within_a_few_jobs() -> None:
    pace = taught(*around(33.0, 40))
    lags = [settled(pace, 12.0 + step / 7)[1] for step in range(10)]
    assert lags[0] > 2.1
    assert max(lags[5:]) < 2.1


def test_both_ways_of_a_model_that_has_two_are_asked_for() -> None:
    pace = taught(*[end for pair in zip(around(20.0), around(60.0), strict=True) for end in pair])
    ages = polls(pace, 70.0)
    near, between, far = (sum(low <= age < low + 8 for age in ages) for low in (16.0, 34.0, 56.0))
    assert near > between
    assert far > between


def test_an_end_that_was_seen_late_is_sought_in_all_that_time() -> None:
    ages = polls(taught(*[(30.0, 60.0)] * 10), 70.0)
    early, late = (sum(low <= age < low + 15 for age in ages) for low in (30.0, 45.0))
    assert min(early, late) >= 5
    assert sum(age < 25 for age in ages) <= 2


def test_one_poll_in_two_seconds_allowed_is_two_fifths_of_one_a_second() -> None:
    random, pace = Random(11), Pace(bounds=Bounds(average=2.0))  # noqa: S311 - a simulation
    found = [settled(pace, 33 * random.lognormvariate(-0.045, 0.3)) for _ in range(300)]
    assert statistics.fmean(asked for asked, _ in found) < 0.45 * 33
    assert statistics.fmean(lag for _, lag in found) < 0.9


def test_usual_latencies_take_fewer_polls_than_one_a_second_and_are_found_sooner() -> None:
    random, pace = Random(12), Pace()  # noqa: S311 - same
    found = [settled(pace, 33 * random.lognormvariate(-0.045, 0.3)) for _ in range(300)]
    assert statistics.fmean(asked for asked, _ in found) <= 0.7 * 33
    assert statistics.fmean(lag for _, lag in found) <= 0.5


# One job


def test_the_age_is_that_of_the_clock_from_the_first_wait_on() -> None:
    pace = Pace()
    asking = Asking(pace, 0.0)
    assert asking.wait() == 2.0
    asking.waited(1002.0)
    asking.goes_on()
    assert asking.wait() == 2.5
    asking.waited(1006.0)  # 1.5 seconds late
    asking.goes_on()
    assert asking.wait() == 3.5


def test_a_job_of_unknown_history_that_has_ended_teaches_nothing() -> None:
    pace = Pace()
    asking = Asking(pace, 40.0)
    assert asking.wait() == 0.0
    asking.waited(0.0)
    asking.ended()
    assert pace == Pace()


def test_a_job_that_was_seen_going_on_teaches_though_it_is_not_new() -> None:
    pace = Pace()
    asking = Asking(pace, 40.0)
    asking.wait()
    asking.waited(0.0)
    asking.goes_on()
    asking.waited(asking.wait())
    asking.ended()
    assert pace == taught((40.0, 45.0))


def test_an_end_behind_failed_polls_teaches_nothing() -> None:
    pace = Pace()
    asking = Asking(pace, 0.0)
    asking.waited(asking.wait())
    asking.goes_on()
    asking.waited(2.0 + asking.wait())
    asking.failed(None)
    asking.waited(7.0 + asking.wait())
    asking.ended()
    assert pace == Pace()


def test_polls_that_fail_are_repeated_at_the_waits_for_the_unknown_at_least() -> None:
    asking, now = Asking(taught(*around(30.0, 40)), 0.0), 0.0
    waits = list[float]()
    for _ in range(30):
        waits.append(asking.wait())
        now += waits[-1]
        asking.waited(now)
        asking.failed(None)
    assert min(waits[1:]) >= 2.0
    assert min(waits[6:]) >= 5.0


def test_the_wait_that_a_failure_asks_for_holds_once() -> None:
    asking = Asking(taught(*around(30.0, 40)), 0.0)
    asking.waited(asking.wait())
    asking.failed(60.0)
    assert asking.wait() == 60.0
    asking.waited(100.0)
    asking.goes_on()
    assert asking.wait() < 20.1


# Many models, many threads


def test_each_model_has_its_pace_and_the_first_are_forgotten() -> None:
    paces = Paces(most=3)
    first = paces.of("a")
    assert paces.of("a") is first
    assert paces.of("b") is not first
    for key in "cdef":
        paces.of(key)
    assert paces.of("f") is paces.of("f")
    assert paces.of("a") is not first
    assert len(paces._paces) == 3


def test_threads_share_a_pace_without_harm() -> None:
    paces, failures = Paces(most=2), list[BaseException]()

    def work(seed: int) -> None:
        try:
            for step in range(150):
                pace = paces.of("abc"[(seed + step) % 3])
                pace.ended(seed + step, seed + step + 1.0)
                assert 0.0 <= pace.wait(float(step), 1) <= 20.0
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(paces._paces) <= 3


def test_what_is_kept_of_a_model_is_small_however_many_jobs_there_were() -> None:
    pace = taught(*around(33.0, 500))
    pace.wait(0.0, 0)
    assert pace._times is not None
    parts = (pace, pace.cold, pace.bounds, pace._seen, pace._times)
    news = (pace._news, *pace._news, *(age for end in pace._news for age in end))
    assert len(pace._seen) == 2 * REMEMBERED
    assert sum(sys.getsizeof(part) for part in (*parts, *news)) < 4000


def test_bounds_and_growth_are_values() -> None:
    assert evolve(Bounds(), average=1.0) == Bounds(average=1.0)
    assert Growing() == Growing(first=2.0, growth=1.25, slowest=5.0)
