"""The helpers for tests: flows played by hand, replies, a clock that jumps."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from imagegen.errors import TransportError
from imagegen.events import Polled, Submitted
from imagegen.flow import Call, Flow, Reply
from imagegen.request import ImageRequest
from imagegen.result import Job
from imagegen.testing import EPOCH, FakeClock, play, reply

FIRST, SECOND = Call("GET", "https://h/1"), Call("GET", "https://h/2")


def two_calls() -> Flow[int]:
    first: Reply = yield FIRST
    try:
        second: Reply = yield SECOND
    except TransportError:
        return first.status
    return first.status + second.status


def no_call() -> Flow[str]:
    yield from ()
    return "at once"


def test_a_flow_is_played_on_prepared_replies() -> None:
    played = play(two_calls(), reply(status=200), reply(status=1))
    assert (played.value, played.calls) == (201, (FIRST, SECOND))


def test_events_are_kept_and_take_no_outcome() -> None:
    job = Job(provider="p", model="m", id="i", request=ImageRequest("a fox"))

    def telling() -> Flow[int]:
        yield Submitted(job)
        first: Reply = yield FIRST
        yield Polled(job, "processing")
        return first.status

    played = play(telling(), reply(status=201))
    assert (played.value, played.calls) == (201, (FIRST,))
    assert played.events == (Submitted(job), Polled(job, "processing"))


def test_an_exception_is_thrown_into_the_flow() -> None:
    assert play(two_calls(), reply(status=200), TransportError("cut")).value == 200


def test_an_exception_that_the_flow_does_not_catch_comes_out() -> None:
    with pytest.raises(TransportError, match="cut"):
        play(two_calls(), TransportError("cut"))


def test_a_flow_without_calls_is_played_too() -> None:
    played = play(no_call())
    assert (played.value, played.calls, played.events) == ("at once", (), ())


def test_a_call_that_nothing_was_prepared_for_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=r"nothing was prepared for: .*https://h/2"):
        play(two_calls(), reply())


def test_outcomes_left_over_fail_the_test() -> None:
    with pytest.raises(AssertionError, match="2 outcomes left over"):
        play(two_calls(), *[reply()] * 4)


def test_a_reply_is_json_with_status_200_unless_said() -> None:
    assert reply({"a": [1, None]}) == Reply(200, {}, b'{"a": [1, null]}', EPOCH)


def test_a_reply_has_the_body_status_and_time_it_is_given() -> None:
    when = datetime(2026, 5, 5, tzinfo=UTC)
    made = reply(status=502, body=b"<html>", received_at=when)
    assert (made.status, made.body, made.received_at) == (502, b"<html>", when)


def test_an_empty_body_stays_empty() -> None:
    assert reply({"not": "this"}, body=b"").body == b""


def test_header_names_are_lowered() -> None:
    assert reply(headers={"Retry-After": "5"}).headers == {"retry-after": "5"}
    assert reply(headers={"Retry-After": "5"}).retry_after == 5


def test_the_fake_clock_stands_still_until_somebody_sleeps() -> None:
    clock = FakeClock()
    assert (clock.monotonic(), clock.now()) == (0.0, EPOCH)
    clock.sleep(2.5)
    assert (clock.monotonic(), clock.now()) == (2.5, EPOCH + timedelta(seconds=2.5))
    assert clock.epoch() == EPOCH.timestamp() + 2.5


def test_the_epoch_is_aware() -> None:
    assert EPOCH.utcoffset() == timedelta(0)


def test_an_asynchronous_sleep_jumps_and_lets_others_run_once() -> None:
    clock = FakeClock()
    seen: list[float | str] = []

    async def other() -> None:
        seen.append(clock.monotonic())

    async def main() -> None:
        task = asyncio.ensure_future(other())
        await clock.asleep(3600)
        seen.append("awake")
        await task

    asyncio.run(main())
    assert seen == [3600.0, "awake"]


def test_sleeps_of_many_threads_all_count() -> None:
    clock = FakeClock()

    def nap() -> None:
        for _ in range(1000):
            clock.sleep(1)

    threads = [threading.Thread(target=nap) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.monotonic() == 4000
