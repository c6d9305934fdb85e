"""Limits: first come, first served; never more than allowed; whoever gives up passes it on."""

from __future__ import annotations

import asyncio
import gc
import heapq
import random
import selectors
import threading
import tomllib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, wait
from datetime import date
from importlib import resources
from itertools import count
from math import inf, nextafter
from typing import Any, cast

import pytest
from hypothesis import example, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from imagegen.errors import ConfigurationError, DeadlineExceededError
from imagegen.flow import Flow, Pause
from imagegen.limits import Limiter, Limits, Turn, preset, presets
from imagegen.testing import FakeClock

ENTRIES: list[dict[str, Any]] = tomllib.loads(
    resources.files("imagegen").joinpath("limits.toml").read_text(encoding="utf-8")
)["limits"]
WAVESPEED = {"bronze": (2, 2), "silver": (500, 100), "gold": (3000, 2000), "ultra": (5000, 5000)}


# What an account allows


@pytest.mark.parametrize("value", [0, -1, True, False, 1.0, "10", float("nan"), [], 10.5])
@pytest.mark.parametrize("name", ["per_minute", "in_flight"])
def test_a_limit_is_a_whole_number_from_1(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"limits: {name} must be .* from 1") as caught:
        Limits(**{name: value})
    assert caught.value.field == "limits"


@pytest.mark.parametrize("value", [1, 10, 10**30, None])
def test_a_limit_may_be_any_whole_number_or_none(value: int | None) -> None:
    limits = Limits(per_minute=value, in_flight=value)
    assert (limits.per_minute, limits.in_flight) == (value, value)
    Limiter(limits, FakeClock().monotonic).join().take()


def test_minimax_allows_ten_submissions_a_minute() -> None:
    limits = preset("minimax", "default")
    assert (limits.per_minute, limits.in_flight) == (10, None)
    assert limits.as_of == date(2026, 11, 20)
    assert "platform.minimax.io" in limits.source


@pytest.mark.parametrize("name", WAVESPEED)
def test_a_wavespeed_account_has_the_limits_of_its_level(name: str) -> None:
    limits = preset("wavespeed", name)
    assert (limits.per_minute, limits.in_flight) == WAVESPEED[name]
    assert limits.as_of == date(2026, 11, 20)
    assert "account-levels" in limits.source


def test_where_readings_disagree_the_lower_figure_counts() -> None:
    disagreeing = [entry for entry in ENTRIES if "readings" in entry]
    assert [entry["name"] for entry in disagreeing] == list(WAVESPEED)
    for entry in disagreeing:
        assert len({tuple(reading.items()) for reading in entry["readings"]}) == 2
        for name in ("per_minute", "in_flight"):
            assert entry[name] == min(reading[name] for reading in entry["readings"])


def test_every_preset_says_when_and_where_it_was_read() -> None:
    for entry in ENTRIES:
        assert isinstance(entry["as_of"], date)
        assert entry["source"]
        assert entry["note"]


def test_presets_are_listed_from_the_smallest_account() -> None:
    assert presets("minimax") == ("default",)
    assert presets("wavespeed") == ("bronze", "silver", "gold", "ultra")
    assert presets("nobody") == ()


@pytest.mark.parametrize("name", ["platinum", "Silver", "", None, ["silver"]])
def test_an_unknown_preset_is_refused_with_the_known_ones(name: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        preset("wavespeed", name)
    assert (caught.value.provider, caught.value.field) == ("wavespeed", "limits")
    assert 'Give "bronze" or "silver" or "gold" or "ultra"' in str(caught.value)


def test_a_provider_without_presets_is_given_its_figures() -> None:
    with pytest.raises(ConfigurationError, match=r"Give Limits\(per_minute=…, in_flight=…\)"):
        preset("nobody", "default")


# One turn after the other


def limiter(
    per_minute: int | None = None, in_flight: int | None = None, now: Callable[[], float] = float
) -> Limiter:
    """A limiter whose clock stands still at 0 unless another is given."""
    return Limiter(Limits(per_minute=per_minute, in_flight=in_flight), now)


def test_the_first_may_leave_at_once_and_the_next_follows() -> None:
    queue = limiter()
    first, second = queue.join(), queue.join()
    assert (first.first.done(), second.first.done()) == (True, False)
    assert first.wait() == 0.0
    first.take()
    assert second.first.done()


def test_only_the_first_may_leave() -> None:
    queue = limiter()
    first, second = queue.join(), queue.join()
    with pytest.raises(ConfigurationError, match="not its turn") as caught:
        second.take()
    assert caught.value.field == "limits"
    first.take()
    second.take()


@pytest.mark.parametrize("end", [Turn.take, Turn.leave])
def test_a_turn_leaves_once(end: Callable[[Turn], None]) -> None:
    turn = limiter().join()
    end(turn)
    with pytest.raises(ConfigurationError, match="not its turn"):
        turn.take()


def test_nobody_leaves_while_the_window_is_full() -> None:
    clock = FakeClock()
    queue = limiter(per_minute=2, now=clock.monotonic)
    queue.join().take()
    clock.sleep(10)
    queue.join().take()
    third = queue.join()
    assert (third.first.done(), third.wait()) == (True, 50.0)
    with pytest.raises(ConfigurationError, match="not its turn"):
        third.take()
    clock.sleep(50)
    assert third.wait() == 0.0
    third.take()
    assert queue.join().wait() == 10.0


def test_a_submission_counts_in_the_window_after_it_is_settled() -> None:
    queue = limiter(per_minute=1)
    turn = queue.join()
    turn.take()
    turn.leave()
    assert queue.join().wait() == 60.0


def test_whoever_is_settled_makes_room_in_flight() -> None:
    queue = limiter(in_flight=2)
    turns = [queue.join() for _ in range(4)]
    turns[0].take()
    turns[1].take()
    assert not turns[2].first.done()
    turns[1].leave()
    assert (turns[2].first.done(), turns[3].first.done()) == (True, False)
    turns[2].take()
    assert not turns[3].first.done()


def test_leaving_again_makes_no_more_room() -> None:
    queue = limiter(in_flight=1)
    turns = [queue.join() for _ in range(3)]
    turns[0].take()
    for _ in range(3):
        turns[0].leave()
    turns[1].take()
    turns[0].leave()
    assert not turns[2].first.done()


def test_a_place_in_the_queue_is_given_up_without_a_gap() -> None:
    queue = limiter()
    turns = [queue.join() for _ in range(4)]
    turns[1].leave()
    turns[0].leave()
    assert (turns[2].first.done(), turns[3].first.done()) == (True, False)


def test_leaving_tells_whoever_still_waits() -> None:
    queue = limiter()
    _, second = queue.join(), queue.join()
    second.leave()
    assert second.first.cancelled()


def test_a_cancelled_future_passes_its_place_on() -> None:
    queue = limiter(in_flight=1)
    turns = [queue.join() for _ in range(4)]
    turns[0].take()
    assert turns[1].first.cancel()
    assert turns[2].first.cancel()
    turns[2].leave()
    turns[0].leave()
    assert turns[3].first.done()
    with pytest.raises(ConfigurationError, match="not its turn"):
        turns[1].take()


def test_what_is_resolved_cannot_be_cancelled() -> None:
    queue = limiter()
    turn = queue.join()
    assert not turn.first.cancel()
    turn.take()


def test_a_thread_that_waits_for_a_cancelled_future_wakes_up() -> None:
    queue = limiter(in_flight=1)
    queue.join().take()
    turn = queue.join()
    woken: list[int] = []
    waiting = threading.Thread(target=lambda: woken.append(len(wait([turn.first], 30).done)))
    waiting.start()
    turn.first.cancel()
    waiting.join(10)
    assert woken == [1]


def test_callbacks_run_without_the_lock() -> None:
    queue = limiter(in_flight=1)
    first, second = queue.join(), queue.join()
    free: list[bool] = []

    def use_it_from_another_thread(_: Future[None]) -> None:
        other = threading.Thread(target=lambda: queue.join().leave(), daemon=True)
        other.start()
        other.join(10)
        free.append(not other.is_alive())

    second.first.add_done_callback(use_it_from_another_thread)
    third = queue.join()
    third.first.add_done_callback(use_it_from_another_thread)
    first.take()
    first.leave()
    third.first.cancel()
    assert free == [True, True]


def test_the_garbage_collector_may_close_a_flow_at_any_line() -> None:
    def collecting() -> float:
        gc.collect()  # inside the limiter, which asks for the time
        return 0.0

    queue = limiter(in_flight=1, now=collecting)

    def abandoned() -> Iterator[object]:
        turn = queue.join()
        flow = running.pop()
        try:
            yield flow  # keeps itself alive: only the collector ends it
        finally:
            turn.leave()

    running: list[object] = []
    holder = queue.join()
    flow = abandoned()
    running.append(flow)
    next(flow)
    last = queue.join()
    del flow
    working = threading.Thread(target=holder.take, daemon=True)
    working.start()
    working.join(10)
    assert not working.is_alive()
    holder.leave()
    assert last.first.done()


moments = st.floats(0, 1e9) | st.floats(0, 200) | st.sampled_from([0.1, 0.7, 1e-300, 59.9, 1 / 3])


@settings(deadline=None)
@given(moments, st.floats(0, 59.999) | st.just(nextafter(60, 0)))
@example(start=1.4, later=9.9)  # 11.3 + (61.4 - 11.3) is less than 61.4
def test_a_pause_of_exactly_the_wait_is_enough(start: float, later: float) -> None:
    now = [start]
    queue = limiter(per_minute=1, now=lambda: now[0])
    queue.join().take()
    now[0] += later
    turn = queue.join()
    now[0] += turn.wait()
    assert turn.wait() == 0.0
    assert start + 60 <= now[0] < nextafter(start + 60, inf) + 1e-6
    turn.take()


def test_old_submissions_are_forgotten() -> None:
    clock = FakeClock()
    queue = limiter(now=clock.monotonic)
    for _ in range(1000):
        turn = queue.join()
        turn.take()
        turn.leave()
        clock.sleep(1)
    assert len(queue._line._taken) <= 60


# In time: an event-driven clock under asyncio


class VirtualClock:
    """Time that jumps to the next sleeper when nobody has anything left to do."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), woken))
        await woken

    def jump(self) -> None:
        assert self._sleepers, "everybody waits for ever"
        self.now, _, woken = heapq.heappop(self._sleepers)
        if not woken.done():
            woken.set_result(None)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        def loop() -> asyncio.AbstractEventLoop:
            return asyncio.SelectorEventLoop(Idle(self))

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(work)


class Idle(selectors.SelectSelector):
    """An event loop that has nothing to do asks here for what comes next."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout != 0:
            self._clock.jump()
        return events


def submission(queue: Limiter, sent: Callable[[], None], seconds: float = 0.0) -> Flow[None]:
    turn = queue.join()
    try:
        yield turn.first
        while seconds_to_wait := turn.wait():
            yield Pause(seconds_to_wait, firm=True)
        turn.take()
        sent()
        yield Pause(seconds)
    finally:
        turn.leave()


async def driven(flow: Flow[None], clock: VirtualClock) -> None:
    step = next(flow, None)
    while step is not None:
        try:
            if isinstance(step, Pause):
                await clock.sleep(step.seconds)
            else:
                await asyncio.wrap_future(cast("Future[None]", step))
        except asyncio.CancelledError as error:
            flow.throw(error)
        step = next(flow, None)


def test_a_hundred_calls_at_ten_a_minute_leave_when_promised_in_their_order() -> None:
    clock = VirtualClock()
    queue = limiter(per_minute=10, now=clock.monotonic)
    left: list[tuple[float, int]] = []

    async def call(number: int) -> None:
        await driven(submission(queue, lambda: left.append((clock.now, number))), clock)

    async def calls() -> None:
        await asyncio.gather(*(call(number) for number in range(100)))

    clock.run(calls())
    assert left == [(60.0 * (number // 10), number) for number in range(100)]
    assert left[-1] == (540.0, 99)


def test_a_cancelled_task_passes_its_place_on() -> None:
    clock = VirtualClock()
    queue = limiter(per_minute=1, in_flight=1, now=clock.monotonic)
    left: list[tuple[float, int]] = []

    async def call(number: int) -> None:
        await driven(submission(queue, lambda: left.append((clock.now, number)), 5), clock)

    async def calls() -> None:
        tasks = [asyncio.ensure_future(call(number)) for number in range(5)]
        await clock.sleep(1)
        tasks[1].cancel()  # heads the queue, and waits for room in flight
        tasks[2].cancel()  # waits behind it
        await clock.sleep(10)
        tasks[3].cancel()  # sleeps until the window has room
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.cancelled() for task in tasks] == [False, True, True, True, False]

    clock.run(calls())
    assert left == [(0.0, 0), (60.0, 4)]


def promised(calls: Sequence[tuple[int, int]], per_minute: int, in_flight: int) -> list[float]:
    """When each of the *calls*, as (arrival, seconds), may leave at the earliest, in order."""
    left: list[float] = []
    ends: list[float] = []
    for number, (arrival, seconds) in enumerate(calls):
        earliest = [float(arrival), *left[-1:]]
        if number >= per_minute:
            earliest.append(left[number - per_minute] + 60)
        if number >= in_flight:
            earliest.append(sorted(ends)[-in_flight])
        left.append(max(earliest))
        ends.append(left[-1] + seconds)
    return left


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 90)), max_size=25),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_each_leaves_in_its_order_at_the_first_moment_that_both_limits_allow(
    calls: list[tuple[int, int]], per_minute: int, in_flight: int
) -> None:
    clock = VirtualClock()
    queue = limiter(per_minute, in_flight, clock.monotonic)
    calls.sort()
    left: list[float] = []

    async def call(arrival: int, seconds: int) -> None:
        await clock.sleep(arrival)
        await driven(submission(queue, lambda: left.append(clock.now), seconds), clock)

    async def all_of_them() -> None:
        await asyncio.gather(*(call(*each) for each in calls))

    clock.run(all_of_them())
    assert left == promised(calls, per_minute, in_flight)


# Whatever happens


class AnyQueue(RuleBasedStateMachine):
    """A limiter beside a plain model of it: who waits, who is in flight, who left when."""

    def __init__(self) -> None:
        super().__init__()
        self.per_minute, self.in_flight = 3, 2
        self.clock = FakeClock()
        self.queue = limiter(self.per_minute, self.in_flight, self.clock.monotonic)
        self.turns: list[Turn] = []
        self.waiting: list[Turn] = []
        self.flying: list[Turn] = []
        self.taken: list[tuple[float, Turn]] = []

    def room(self) -> bool:
        return len(self.flying) < self.in_flight

    def recent(self) -> list[float]:
        return [at for at, _ in self.taken if self.clock.monotonic() < at + 60]

    @rule()
    def join(self) -> None:
        turn = self.queue.join()
        self.turns.append(turn)
        self.waiting.append(turn)

    @precondition(lambda self: self.turns)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        turn = data.draw(st.sampled_from(self.turns))
        if turn in self.waiting[:1] and self.room() and len(self.recent()) < self.per_minute:
            turn.take()
            self.waiting.remove(turn)
            self.flying.append(turn)
            self.taken.append((self.clock.monotonic(), turn))
        else:
            with pytest.raises(ConfigurationError):
                turn.take()

    @precondition(lambda self: self.turns)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        turn = data.draw(st.sampled_from(self.turns))
        resolved = turn.first.done()
        turn.leave()
        assert resolved or turn.first.cancelled()
        self.gone(turn)

    @precondition(lambda self: self.turns)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        turn = data.draw(st.sampled_from(self.turns))
        if turn.first.cancel():
            self.gone(turn)

    def gone(self, turn: Turn) -> None:
        self.waiting = [each for each in self.waiting if each is not turn]
        self.flying = [each for each in self.flying if each is not turn]

    @rule(seconds=st.floats(0, 70))
    def advance(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    @precondition(lambda self: self.waiting)
    @rule()
    def pause(self) -> None:
        self.clock.sleep(self.waiting[0].wait())
        assert self.waiting[0].wait() == 0.0

    @invariant()
    def no_more_than_allowed_leave_in_a_minute(self) -> None:
        times = [at for at, _ in self.taken]
        for early, late in zip(times, times[self.per_minute :], strict=False):
            assert early + 60 <= late

    @invariant()
    def no_more_than_allowed_are_in_flight(self) -> None:
        assert len(self.flying) <= self.in_flight

    @invariant()
    def the_head_is_told_when_there_is_room_and_nobody_else(self) -> None:
        told = [turn for turn in self.waiting if turn.first.done()]
        assert told == (self.waiting[:1] if self.room() else [])

    @invariant()
    def nobody_overtakes(self) -> None:
        order = [self.turns.index(turn) for _, turn in self.taken]
        assert order == sorted(order)


TestAnyQueue = AnyQueue.TestCase
TestAnyQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


# In threads


def test_fifty_threads_are_five_in_flight_and_never_more() -> None:
    queue = limiter(in_flight=5)
    five, here = threading.Barrier(5), threading.Lock()
    now, most, done = 0, 0, 0

    def call() -> None:
        nonlocal now, most, done
        turn = queue.join()
        turn.first.result(30)
        turn.take()
        with here:
            now += 1
            most = max(most, now)
        five.wait(30)
        with here:
            now -= 1
            done += 1
        turn.leave()

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (most, done) == (5, 50)


def test_threads_that_give_up_at_random_leave_nothing_behind() -> None:
    queue = limiter(in_flight=3)
    chance = random.Random(7)  # noqa: S311 - not a secret
    plans = [chance.choice(["work", "leave", "cancel", "both"]) for _ in range(400)]

    def call(plan: str) -> None:
        turn = queue.join()
        if plan in ("leave", "both"):
            turn.leave()
        if plan in ("cancel", "both"):
            turn.first.cancel()
        if plan == "work":
            turn.first.result(30)
            turn.take()
        turn.leave()

    threads = [threading.Thread(target=call, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    last = [queue.join() for _ in range(3)]
    for turn in last:
        turn.take()
    assert not queue.join().first.done()


# Under the drivers


def test_both_drivers_keep_to_the_limits(kit: Any, time: FakeClock) -> None:
    queue = limiter(per_minute=10, in_flight=1, now=time.monotonic)
    left: list[float] = []
    driver = kit.driver({}, time)
    for _ in range(25):
        driver.run(submission(queue, lambda: left.append(time.monotonic())), deadline=500.0)
    assert left == [0.0] * 10 + [60.0] * 10 + [120.0] * 5


def test_a_call_whose_time_is_up_gives_up_its_place(kit: Any, time: FakeClock) -> None:
    queue = limiter(per_minute=1, in_flight=1, now=time.monotonic)
    holder, driver = queue.join(), kit.driver({}, time)
    holder.take()
    with pytest.raises(DeadlineExceededError):
        driver.run(submission(queue, lambda: None), deadline=0.02)
    holder.leave()
    with pytest.raises(DeadlineExceededError, match="no time to wait"):
        driver.run(submission(queue, lambda: None), deadline=59.0)
    assert queue.join().first.done()
