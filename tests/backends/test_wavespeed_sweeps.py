"""Many predictions, one request: fewer requests, and never another outcome."""

from __future__ import annotations

import asyncio
import gc
import heapq
import linecache
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import httpx
import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings, strategies as st

from imagegen import AsyncClient, Client, ImageRequest
from imagegen.backends.wavespeed import WaveSpeed, seats, sweeps
from imagegen.errors import (
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    JobFailedError,
    TransportError,
)
from imagegen.events import Polled
from imagegen.flow import Call, Done, Flow, Pause, Reply, Step, advance
from imagegen.ledger import Ledger
from imagegen.result import Generation, Job
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import EPOCH, play, reply
from virtual import VirtualClock

TEXT = "minimax/image-01/text-to-image"
MODEL = "wavespeed:minimax/image-01"
FOX = ImageRequest("a fox")
HOST: dict[str, Any] = {"api_key": "sandbox", "base_url": "http://127.0.0.1:8399"}
URL = "https://pictures.example"


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def identity(number: int) -> str:
    return f"prediction-{number:04}"


def job(number: int, request: ImageRequest = FOX, **more: Any) -> Job:
    """A job, created so many hundredths of a second after the beginning."""
    created = EPOCH + timedelta(seconds=number / 100)
    usual: dict[str, Any] = {"id": identity(number), "created_at": created}
    return Job(provider="wavespeed", model=TEXT, request=request, **usual | more)


def item(number: int, status: Any = "completed", **more: Any) -> dict[str, Any]:
    """What WaveSpeedAI tells of that job."""
    outputs = [f"{URL}/{identity(number)}/0.jpg"] if status == "completed" else []
    created = stamp(EPOCH + timedelta(seconds=number / 100))
    usual = {"id": identity(number), "model": TEXT, "status": status, "outputs": outputs}
    return {**usual, "created_at": created, **more}


def told(data: Any) -> Reply:
    return reply({"code": 200, "message": "success", "data": data})


def listing(*items: Any) -> Reply:
    return told({"page": 1, "total": len(items), "items": list(items)})


# By hand, one step of one flow after the other


class Hand:
    """The flow of one prediction, moved by hand."""

    def __init__(self, backend: WaveSpeed, waited: Job) -> None:
        self.flow = backend.settle(waited)
        self.events: list[Any] = []
        self.step: Step | Done[Generation] = advance(self.flow)

    def go(self, outcome: Any = None) -> Any:
        self.step = advance(self.flow, outcome)
        while isinstance(self.step, Polled):
            self.events.append(self.step.status)
            self.step = advance(self.flow)
        return self.step

    @property
    def call(self) -> Call:
        assert isinstance(self.step, Call)
        return self.step

    @property
    def url(self) -> str | None:
        assert isinstance(self.step, Done)
        return self.step.value.images[0].url


def hands(many: int, backend: WaveSpeed | None = None, **more: Any) -> list[Hand]:
    backend = backend or WaveSpeed()
    return [Hand(backend, job(number, **more)) for number in range(many)]


def led(many: int = 6, backend: WaveSpeed | None = None) -> list[Hand]:
    """So many that wait, the first of which asks for a page at 2.0 seconds."""
    waiting = hands(many, backend)
    assert waiting[0].go(2.0).method == "POST"
    return waiting


def asks(backend: WaveSpeed, moment: float, many: int = 6) -> bool:
    """Whether the first of so many that are due at that moment asks for a page."""
    waiting = hands(many, backend)
    return not is_poll(waiting[0].go(moment))


def is_poll(step: Any) -> bool:
    return isinstance(step, Call) and step.method == "GET"


def test_one_request_settles_all_that_are_due() -> None:
    waiting = hands(6)
    assert [hand.step for hand in waiting] == [Pause(2.0)] * 6
    call = waiting[2].go(2.0)
    assert (call.method, call.url) == ("POST", "https://api.wavespeed.ai/api/v3/predictions")
    assert (call.account, call.paid, call.timeout, call.limit) == ("wavespeed", False, 10.0, 2**23)
    assert call.json == {
        "page": 1,
        "page_size": 100,
        "created_after": "2025-12-31T23:59:59.999000Z",
        "created_before": "2026-01-01T00:00:00.051000Z",
    }
    followers = [waiting[number] for number in (0, 1, 3, 4)]
    futures = {hand.go(2.1) for hand in followers}
    assert all(isinstance(future, Future) for future in futures)
    assert len(futures) == 1
    waiting[2].go(listing(*(item(number) for number in range(6))))
    for hand in followers:
        hand.go()
    waiting[5].go(2.7)  # it was not due yet
    assert [hand.url for hand in waiting] == [
        f"{URL}/{identity(number)}/0.jpg" for number in range(6)
    ]
    assert {tuple(hand.events) for hand in waiting} == {("completed",)}
    value = waiting[4].step.value  # type: ignore[union-attr]
    assert value.raw == (item(4),)


@pytest.mark.parametrize(
    "backend", [WaveSpeed(poll_together=False), WaveSpeed()], ids=["off", "few"]
)
def test_few_poll_alone(backend: WaveSpeed) -> None:
    waiting = hands(9 if not backend.poll_together else 3, backend)
    assert all(is_poll(hand.go(2.0)) for hand in waiting)


@pytest.mark.parametrize(
    "own",
    [
        {"request": evolve(FOX, output="bytes")},
        {"request": ImageRequest("x", provider_options={"wavespeed": {"enable_base64_output": 1}})},
        {"created_at": None},
        {"created_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - of no time zone
        {"created_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=9)))},
        {"created_at": datetime.max.replace(tzinfo=UTC)},
    ],
)
def test_what_the_list_cannot_show_is_polled_alone(own: dict[str, Any]) -> None:
    backend = WaveSpeed()
    odd = [Hand(backend, job(number, **own)) for number in range(6)]
    assert all(is_poll(hand.go(2.0)) for hand in odd)
    usual = [Hand(backend, job(number)) for number in range(10, 16)]
    assert usual[0].go(2.0).method == "POST"


def test_three_others_that_are_due_make_a_page_and_two_do_not() -> None:
    assert [asks(WaveSpeed(), 2.0, many) for many in (3, 4)] == [False, True]


def test_fifty_that_wait_are_a_crowd() -> None:
    backend = WaveSpeed()
    waiting = hands(49, backend)
    assert (len(waiting), backend._sweeps.is_crowded) == (49, False)
    last = Hand(backend, job(49))
    assert (last.step, backend._sweeps.is_crowded) == (Pause(2.0), True)


@pytest.mark.parametrize(
    ("year", "shared"), [(2019, False), (2020, True), (2099, True), (2100, False)]
)
def test_a_time_that_is_plainly_wrong_is_polled_alone(year: int, *, shared: bool) -> None:
    backend, created = WaveSpeed(), datetime(year, 6, 1, tzinfo=UTC)
    waiting = [Hand(backend, job(number, created_at=created)) for number in range(6)]
    assert is_poll(waiting[0].go(2.0)) is not shared


def test_one_prediction_that_two_wait_for_shares_once() -> None:
    backend = WaveSpeed()
    twins = [Hand(backend, job(0)) for _ in range(9)]
    assert all(is_poll(hand.go(2.0)) for hand in twins)
    others = [Hand(backend, job(number)) for number in range(1, 6)]
    assert others[0].go(4.0).method == "POST"
    others[0].go(listing(*ITEMS))
    twins[0].go(told(item(0, "processing")))
    twins[0].go(4.5)
    assert twins[0].url == f"{URL}/{identity(0)}/0.jpg"
    assert is_poll(twins[1].go(told(item(0, "processing"))) and twins[1].go(4.5))


def test_what_goes_on_is_told_and_asked_for_again() -> None:
    waiting = led()
    assert isinstance(waiting[1].go(2.0), Future)
    checked = waiting[0].go(listing(*(item(number, "processing") for number in range(6))))
    assert is_poll(checked)  # the first page's leader compares
    assert waiting[0].go(told(item(0, "processing"))) == Pause(2.5)
    assert waiting[1].go() == Pause(2.5)
    assert waiting[2].go(2.5) == Pause(2.0)  # 2.5 s after what it was told
    assert [hand.events for hand in waiting[:3]] == [["processing"]] * 3
    assert is_poll(waiting[3].go(2.8))  # by now that is too old, and few others are due


def test_waits_are_as_long_as_before_for_whoever_polls_alone() -> None:
    done = told(item(0))
    played = play(WaveSpeed().settle(job(0)), *[told(item(0, "processing"))] * 3, done)
    assert played.pauses == (2.0, 2.5, 3.125, 3.90625)


@pytest.mark.parametrize(
    ("listed", "kind", "charged"),
    [
        ({"status": "failed", "error": "because"}, JobFailedError, "no"),
        ({"status": "cancelled"}, JobFailedError, "unknown"),
        ({"status": "failed", "error": "flagged as sensitive"}, ContentPolicyError, "no"),
    ],
)
def test_a_failure_is_confirmed_by_a_poll(
    listed: dict[str, Any], kind: type[ImageGenError], charged: str
) -> None:
    waiting = led()
    waiting[1].go(2.0)
    waiting[0].go(listing(*(item(number, **listed) for number in range(6))))
    for number, hand in enumerate(waiting[:2]):
        if number:
            hand.go()
        assert is_poll(hand.step)
        with pytest.raises(kind) as caught:
            hand.go(told(item(number, **listed)))
        assert (caught.value.charged, caught.value.job) == (charged, job(number))


ODD_OUTPUTS: list[Any] = [
    None,
    [],
    [f"{URL}/0.jpg"],
    [f"{URL}/0.jpg", None],
    [f"{URL}/0.jpg", "iVBORw0KGgo"],
    {"0": f"{URL}/0.jpg", "1": f"{URL}/1.jpg"},
]


@pytest.mark.parametrize("outputs", ODD_OUTPUTS)
def test_pictures_that_are_not_all_there_are_asked_for_again(outputs: Any) -> None:
    waiting = hands(6, request=ImageRequest("x", n=2))
    waiting[0].go(2.0)
    waiting[0].go(listing(*(item(number, outputs=outputs) for number in range(6))))
    assert is_poll(waiting[0].step)
    both = [f"{URL}/0.jpg", {"url": f"{URL}/1.jpg"}]
    waiting[0].go(told(item(0, outputs=both)))
    assert waiting[0].url == both[0]
    assert is_poll(waiting[1].go(2.0))


def test_a_failure_that_a_poll_denies_is_none() -> None:
    waiting = led()
    waiting[0].go(listing(*(item(number, "failed") for number in range(6))))
    assert waiting[0].go(told(item(0, "processing"))) == Pause(2.5)


# A list that fails, or lies

ITEMS = [item(number) for number in range(6)]
UNCLEAR: dict[str, Reply | BaseException] = {
    "500": reply({"code": 500, "message": "Internal Error"}, status=500),
    "404": reply({"code": 404, "message": "Not Found"}, status=404),
    "403": reply({"code": 403, "message": "Forbidden"}, status=403),
    "401": reply({"code": 401, "message": "invalid API key"}, status=401),
    "402": reply({"code": 402, "message": "Insufficient credits"}, status=402),
    "429": reply({"code": 429, "message": "Too many"}, status=429, headers={"Retry-After": "5"}),
    "refused under 200": reply({"code": 1400, "message": "Missing Parameter"}),
    "moved": reply({"code": 200, "data": {"items": ITEMS}}, status=302),
    "html": reply(body=b"<html><body>504 Gateway Time-out</body></html>"),
    "nothing": reply(body=b""),
    "half": reply(body=b'{"code": 200, "data": {"items": [{"id": "predic'),
    "no envelope": reply(ITEMS),
    "bare": reply({"items": ITEMS}),
    "data": told(None),
    "list": told(ITEMS),
    "items": told({"items": {"0": ITEMS[0]}}),
    "deep": reply(body=b"[" * 100_000),
    "too large, or the connection broke": TransportError("the body is larger than any", sent=True),
}


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR)
def test_a_list_that_fails_leaves_everybody_to_poll_alone(answer: Any) -> None:
    backend = WaveSpeed(first_poll=0.01, poll_failures=0)
    waiting = led(backend=backend)
    waiting[1].go(2.0)
    assert is_poll(waiting[0].go(answer))
    assert is_poll(waiting[1].go())
    for number, hand in enumerate(waiting):
        if number > 1:
            assert is_poll(hand.go(2.0))
        hand.go(told(item(number)))
        assert hand.url == f"{URL}/{identity(number)}/0.jpg"
        assert hand.events == ["completed"]
    assert not asks(backend, 31.9)
    assert asks(backend, 32.0)


def rests(backend: WaveSpeed, moment: float, answer: Any) -> bool:
    """Whether a page that is answered so at that moment makes the next ones poll alone."""
    waiting = hands(6, backend)
    assert not is_poll(waiting[0].go(moment))
    waiting[0].go(answer)
    waiting.clear()
    return not asks(backend, moment)


def test_a_list_that_keeps_failing_is_left_alone_for_longer() -> None:
    backend, moment, pauses = WaveSpeed(first_poll=0.01), 0.0, []
    for _ in range(7):
        assert rests(backend, moment, UNCLEAR["500"])
        began = moment
        while not asks(backend, moment):
            moment += 1.0
        pauses.append(moment - began)
    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    assert not rests(backend, moment, listing(*ITEMS))
    assert rests(backend, moment, UNCLEAR["500"])
    assert not asks(backend, moment + 29.0)
    assert asks(backend, moment + 30.0)


def test_the_wait_that_the_list_asks_for_is_kept_within_bounds() -> None:
    for seconds, kept in (("100", 100.0), ("86400", 600.0)):
        backend = WaveSpeed(first_poll=0.01)
        answer = reply({"code": 429}, status=429, headers={"Retry-After": seconds})
        assert rests(backend, 0.0, answer)
        assert not asks(backend, kept - 1)
        assert asks(backend, kept)


def test_an_id_that_is_missing_is_polled_and_not_looked_for_at_once() -> None:
    backend = WaveSpeed()
    waiting = led(backend=backend)
    assert is_poll(waiting[0].go(listing(*ITEMS[1:])))
    assert waiting[0].go(told(item(0, "processing"))) == Pause(2.5)
    others = [Hand(backend, job(number)) for number in range(10, 16)]
    assert is_poll(waiting[0].go(4.5))
    assert others[0].go(4.5).method == "POST"


def test_an_id_that_is_missing_is_looked_for_again_after_four_polls() -> None:
    waiting, methods = led(), list[str]()
    assert is_poll(waiting[0].go(listing(*ITEMS[1:])))
    for moment in (7.0, 12.0, 17.0, 22.0, 27.0):
        waiting[0].go(told(item(0, "processing")))
        methods.append(waiting[0].go(moment).method)
    assert methods == ["GET"] * 4 + ["POST"]


def test_what_is_told_of_twice_is_asked_again() -> None:
    waiting = led()
    assert is_poll(waiting[0].go(listing(item(0), item(0, "processing"), *ITEMS[1:])))
    waiting[1].go(2.0)
    assert waiting[1].url == f"{URL}/{identity(1)}/0.jpg"
    again = led()
    assert is_poll(again[0].go(listing(*[item(0)] * 3)))


@pytest.mark.parametrize(
    "junk",
    [
        None,
        7,
        "prediction-0000",
        [],
        [item(0)],
        {},
        {"id": None},
        {"id": ["prediction-0000"]},
        {"id": "x" * 500, "status": "completed"},
        {"id": "..", "status": "completed"},
        {"id": "PREDICTION-0000", "status": "completed", "outputs": [URL]},
        {"id": "prediction-0000 ", "status": "completed", "outputs": [URL]},
    ],
)
def test_junk_among_the_items_spoils_nothing(junk: Any) -> None:
    waiting = led()
    waiting[0].go(listing(junk, *ITEMS[1:], junk))
    assert is_poll(waiting[0].step)
    waiting[3].go(2.0)
    assert waiting[3].url == f"{URL}/{identity(3)}/0.jpg"


def test_an_item_of_ours_that_makes_no_sense_is_asked_again() -> None:
    waiting = led()
    odd = [{"id": identity(0), "status": 7}, {"id": identity(1), "status": ["completed"]}]
    waiting[0].go(listing(*odd, *ITEMS[2:]))
    assert is_poll(waiting[0].step)  # the first page's leader compares
    assert isinstance(waiting[1].go(2.0), Pause)
    assert waiting[1].events == ["unknown"]


def test_another_model_is_noted_as_in_a_poll() -> None:
    waiting = led()
    waiting[0].go(listing(*(item(number, model="acme/paint") for number in range(6))))
    assert isinstance(waiting[0].step, Done)
    assert "acme/paint" in waiting[0].step.value.notices[0].message


def test_a_list_that_is_out_of_date_is_found_out_and_left_alone() -> None:
    backend, polls = WaveSpeed(first_poll=0.01), 0
    for moment in (0, 1, 2, 33, 34, 35):
        waiting = hands(6, backend)
        assert waiting[0].go(float(moment)).method == "POST"
        waiting[0].go(listing(*(item(number, "processing") for number in range(6))))
        polls += is_poll(waiting[0].step)
        waiting[0].go(told(item(0)))
        assert isinstance(waiting[0].step, Done)
        waiting.clear()
        assert asks(backend, moment + 0.5) is (moment not in (2, 35))
    assert polls == 6


def test_pages_that_agree_with_the_polls_are_compared_ever_more_seldom() -> None:
    backend, compared = WaveSpeed(slowest_poll=2.0), []
    waiting = hands(6, backend)
    for page in range(20):
        moment = 2.0 + 2.0 * page
        assert waiting[0].go(moment).method == "POST"
        waiting[0].go(listing(*(item(number, "processing") for number in range(6))))
        if is_poll(waiting[0].step):
            compared.append(page)
            waiting[0].go(told(item(0, "processing")))
        for hand in waiting[1:]:
            hand.go(moment)
            if is_poll(hand.step):  # it wants to know it from nearer by now
                hand.go(told(item(0, "processing")))
    assert compared[:4] == [0, 2, 6, 14]


def test_nobody_goes_on_for_ever_by_the_word_of_the_list() -> None:
    backend = WaveSpeed(slowest_poll=2.0)
    waiting, moment = hands(6, backend), 0.0
    asked = Counter[int]()
    while moment < 100.0:
        moment += 2.0
        for number, hand in enumerate(waiting):
            step = hand.go(moment)
            if not is_poll(step) and isinstance(step, Call):
                step = hand.go(listing(*(item(each, "processing") for each in range(6))))
            if is_poll(step):
                asked[number] += 1
                answer = reply({"data": {"id": identity(number), "status": "processing"}})
                assert isinstance(hand.go(answer), Pause)
    assert all(asked[number] >= 1 for number in range(6))


def test_a_list_that_is_full_of_others_is_left_alone() -> None:
    backend = WaveSpeed(first_poll=0.01)
    others = [{**item(number), "id": f"other-{number}"} for number in range(100)]
    moment = 0.0
    for _ in range(40):
        waiting = hands(90, backend)
        if is_poll(waiting[0].go(moment)):
            break
        assert is_poll(waiting[0].go(listing(*others)))
        waiting.clear()
        moment += 1.0
    else:
        pytest.fail("it was asked for ever")
    assert moment < 15.0
    waiting.clear()
    assert not asks(backend, moment + 25.0, many=90)
    moment, pages = moment + 31.0, 0
    while not is_poll((waiting := hands(90, backend))[0].go(moment)):
        waiting[0].go(listing(*others))
        waiting.clear()
        moment, pages = moment + 1.0, pages + 1
    assert pages == 3  # the list has a short trial before it is left alone again


def test_those_that_a_full_page_cuts_off_ask_for_another() -> None:
    waiting = led(60)
    last = waiting[1]
    future = last.go(2.0)
    older = [{**item(number), "id": f"other-{number}"} for number in range(50)]
    shown = [item(number) for number in range(59, 9, -1)]
    waiting[0].go(
        listing(*shown, *({**each, "created_at": shown[-1]["created_at"]} for each in older))
    )
    assert is_poll(waiting[0].step)
    assert future.done()
    assert last.go().method == "POST"
    after = datetime.fromisoformat(last.call.json["created_before"])  # type: ignore[index]
    assert after < EPOCH + timedelta(seconds=0.58)


def test_a_full_page_that_ends_in_junk_is_read_as_far_as_it_goes() -> None:
    waiting = led(60)
    others = [{**item(number), "id": f"other-{number}"} for number in range(39)]
    waiting[0].go(listing(*(item(number) for number in range(60)), *others, None))
    assert waiting[0].url == f"{URL}/{identity(0)}/0.jpg"


def test_an_id_that_is_no_id_is_not_believed() -> None:
    backend = WaveSpeed()
    waiting = [Hand(backend, job(number, id="x" * 300 + str(number))) for number in range(6)]
    waiting[0].go(2.0)
    assert is_poll(waiting[0].go(listing({**item(0), "id": "x" * 300 + "0"})))


# Leaders that do not come back

ENDS = [
    asyncio.CancelledError(),
    KeyboardInterrupt(),
    GeneratorExit(),
    DeadlineExceededError("the time is up", sent=True),
    ConfigurationError("the client is closed"),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_a_leader_that_ends_holds_nobody_up(end: BaseException) -> None:
    waiting = led(8)
    futures = [hand.go(2.0) for hand in waiting[1:4]]
    with pytest.raises(type(end)):
        waiting[0].go(end)
    assert all(future.done() for future in futures)
    assert waiting[1].go().method == "POST"
    assert isinstance(waiting[2].go(), Future)
    waiting[1].go(listing(*(item(number) for number in range(8))))
    waiting[2].go()
    assert waiting[2].url == f"{URL}/{identity(2)}/0.jpg"


def test_a_leader_that_is_dropped_holds_nobody_up() -> None:
    waiting = led(8)
    future = waiting[1].go(2.0)
    del waiting[0]
    gc.collect()
    assert future.done()
    assert waiting[0].go().method == "POST"


def test_a_follower_cannot_end_the_wait_of_others() -> None:
    waiting = led()
    future = waiting[1].go(2.0)
    assert not future.cancel()
    with pytest.raises(asyncio.CancelledError):
        waiting[1].go(asyncio.CancelledError())
    assert not future.done()
    waiting[0].go(listing(*ITEMS))
    assert waiting[0].url == f"{URL}/{identity(0)}/0.jpg"


def test_a_follower_whose_time_is_up_is_not_held() -> None:
    waiting = led()
    waiting[1].go(2.0)
    with pytest.raises(DeadlineExceededError) as caught:
        waiting[1].go(DeadlineExceededError("the time is up", sent=False))
    assert caught.value.job == job(1)


def test_nobody_joins_a_page_that_takes_long() -> None:
    waiting = led(8)
    assert waiting[1].go(2.9) is not None
    assert is_poll(waiting[1].step)


def test_nothing_is_kept_of_those_who_left() -> None:
    backend = WaveSpeed()
    waiting = led(50, backend)
    waiting[0].go(listing(*(item(number) for number in range(50))))
    waiting.clear()
    gc.collect()
    board = backend._sweeps
    with board._lock:
        board._tidy()
    assert (board._order, board._known, len(board._left)) == ([], {}, 0)


# Settings of the caller's, and clocks

POLL = Call("GET", "https://api.wavespeed.ai/api/v3/predictions/x/result")


def crowd(backend: WaveSpeed, many: int = 60, age: float = 0.0) -> list[Flow[Generation]]:
    """So many that wait, none of whom has asked."""
    flows = [backend.settle(job(number), age) for number in range(many)]
    for flow in flows[1:]:
        advance(flow)
    return flows


@pytest.mark.parametrize(
    ("options", "apart"),
    [
        ({"slowest_poll": 0.3}, 0.3),
        ({"first_poll": 0.2, "poll_growth": 1.0}, 0.2),
        ({"slowest_poll": 5.0}, 2.5),
    ],
)
def test_whoever_asks_for_faster_polls_gets_them_in_a_crowd_too(
    options: dict[str, Any], apart: float
) -> None:
    backend = WaveSpeed(learn_polls=False, **options)
    flows = crowd(backend)
    flow = flows[0]
    first = advance(flow)
    assert first == Pause(backend.first_poll)
    step = advance(flow, 2.0)
    while not isinstance(step, Pause):
        going = listing(*(item(number, "processing") for number in range(60)))
        step = advance(flow, told(item(0, "processing")) if is_poll(step) else going)
    assert step == Pause(apart)


@pytest.mark.parametrize(
    ("options", "apart"),
    [
        ({}, 1.4),
        ({"average_poll": 0.5}, 0.7),
        ({"average_poll": 3.0}, 1.4),
        ({"first_poll": 0.05}, 0.05),
        ({"slowest_poll": 1.0}, 1.0),
    ],
)
def test_how_far_apart_a_crowd_asks_follows_the_settings(
    options: dict[str, Any], apart: float
) -> None:
    backend = WaveSpeed(**options, shortest_poll=0.01)
    for number in range(3):
        play(backend.settle(job(number)), told(item(number, "processing")), told(item(number)))
    flows = crowd(backend)
    assert flows
    waiting = Hand(backend, job(99))
    pauses = list[float]()
    for moment in (2.0, 9.0):
        step = waiting.go(moment)
        while not isinstance(step, Pause):
            every = (item(number, "processing") for number in range(60))
            step = waiting.go(told(item(99, "processing")) if is_poll(step) else listing(*every))
        pauses.append(step.seconds)
    assert min(pauses) == pytest.approx(apart)


def test_a_resumed_prediction_is_asked_for_at_once_in_a_crowd_too() -> None:
    flows = crowd(WaveSpeed(), age=300.0)
    assert advance(flows[0]) == Pause(0.0)


def test_a_clock_that_is_far_ahead_makes_no_news_of_old_ones() -> None:
    backend = WaveSpeed()
    waiting = hands(12, backend)
    assert waiting[1].go(90_000.0).method == "POST"
    waiting[1].go(listing(*(item(number, "processing") for number in range(12))))
    assert waiting[2].go(2.0) is not None
    assert waiting[2].events == []  # by its own clock that page is of tomorrow
    waiting[1].go(told(item(1, "processing")))
    assert waiting[1].events == ["processing"]


def test_more_than_a_page_of_one_moment_do_not_ask_for_it_again_at_once() -> None:
    backend = WaveSpeed()
    waiting = [Hand(backend, job(number, created_at=EPOCH)) for number in range(250)]
    shown = [item(number, "processing", created_at=stamp(EPOCH)) for number in range(249, 149, -1)]
    pages = 0
    for hand in waiting:
        step = hand.go(2.0)
        while isinstance(step, Call):
            pages += step.method == "POST"
            number = waiting.index(hand)
            step = hand.go(told(item(number, "processing")) if is_poll(step) else listing(*shown))
    assert pages < 10


# Ctrl-C at any line


class Interrupted:
    """Raises KeyboardInterrupt at one line of sweeps.py or seats.py, the first after so many."""

    def __init__(self, lines: int) -> None:
        self.left = lines

    def __enter__(self) -> None:
        self.before = sys.gettrace()
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in (seats.__file__, sweeps.__file__):
            return None
        # No signal is handled between taking a lock and the block, nor on the way out of it.
        locking = "with self._lock" in linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and not locking:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace


def interrupted(hand: Hand, outcome: Any, lines: int) -> bool:
    try:
        with Interrupted(lines):
            hand.go(outcome)
    except KeyboardInterrupt:
        return True
    return False


def test_a_leader_that_is_interrupted_before_its_page_holds_nobody_up() -> None:
    for lines in count(1):
        waiting = hands(8)
        if not interrupted(waiting[0], 2.0, lines):
            break
        step = waiting[1].go(2.0)
        assert isinstance(step, Call) or step.done(), lines
    assert lines > 60


def test_a_leader_that_is_interrupted_with_its_page_holds_nobody_up() -> None:
    items = listing(*(item(number) for number in range(8)))
    for lines in count(1):
        waiting = led(8)
        future = waiting[1].go(2.0)
        if not interrupted(waiting[0], items, lines):
            break
        assert future.done(), lines
        assert waiting[1].go() is not None
    assert lines > 60


# The backend


def test_two_backends_are_alike_whatever_they_wait_for() -> None:
    busy, idle = WaveSpeed(api_key="k" * 20), WaveSpeed(api_key="k" * 20)
    waiting = led(backend=busy)
    assert waiting
    assert busy == idle
    assert "sweeps" not in repr(busy)
    assert evolve(busy, sync_mode=True)._sweeps is not busy._sweeps


@pytest.mark.parametrize("value", [None, 1, 0, "yes", []])
def test_sharing_is_on_or_off(value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WaveSpeed(poll_together=value)
    assert caught.value.field == "poll_together"


# A provider in made-up time


def truth(items: list[Any]) -> Reply:
    return listing(*items)


@frozen
class Fate:
    """When a prediction ends, in seconds, and how."""

    seconds: float
    status: str = "completed"


class World:
    """Predictions, one each hundredth of a second, whose list says what *lie* makes of it."""

    def __init__(self, fates: Sequence[Fate], lie: Callable[[list[Any]], Any]) -> None:
        self.fates = fates
        self.lie = lie
        self.results: dict[int, Generation | ImageGenError] = {}
        self.polls = self.pages = 0
        self._events: list[tuple[float, int, int, Flow[Generation], Any]] = []
        self._numbers = count()

    def run(self, backend: WaveSpeed) -> dict[int, Generation | ImageGenError]:
        for number in range(len(self.fates)):
            self._at(number / 100, number, backend.settle(job(number)), None)
        while self._events:
            now, _, number, flow, outcome = heapq.heappop(self._events)
            assert now < 3600, "somebody is lost"
            try:
                self._go(now, number, flow, outcome)
            except ImageGenError as error:
                self.results[number] = error
        return self.results

    def _at(self, moment: float, number: int, flow: Flow[Generation], outcome: Any) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), number, flow, outcome))

    def _go(self, now: float, number: int, flow: Flow[Generation], outcome: Any) -> None:
        step = advance(flow, outcome)
        while isinstance(step, Polled):
            step = advance(flow)
        if isinstance(step, Done):
            self.results[number] = step.value
        elif isinstance(step, Pause):
            self._at(now + step.seconds, number, flow, now + step.seconds)
        elif isinstance(step, Call):
            self._at(now + 0.1, number, flow, self._answer(step, now))
        else:
            assert isinstance(step, Future)
            self._now = now
            step.add_done_callback(lambda _: self._at(self._now, number, flow, None))
        self._now = now

    def _answer(self, call: Call, now: float) -> Any:
        if call.method == "GET":
            self.polls += 1
            return told(self._shown(int(call.url.split("/")[-2].split("-")[1]), now))
        self.pages += 1
        asked = dict(call.json or {})
        low, high = (
            (datetime.fromisoformat(asked[name]) - EPOCH).total_seconds() * 100
            for name in ("created_after", "created_before")
        )
        seen = [n for n in range(len(self.fates)) if low <= n <= high and n <= now * 100]
        return self.lie([self._shown(number, now) for number in seen[::-1][:100]])

    def _shown(self, number: int, now: float) -> dict[str, Any]:
        fate = self.fates[number]
        return item(number, fate.status if now >= number / 100 + fate.seconds else "processing")


def outcome_of(result: Generation | ImageGenError) -> tuple[Any, ...]:
    if isinstance(result, Generation):
        return tuple(image.url for image in result.images)
    return type(result), result.message, result.charged, result.job


def alone(fates: Sequence[Fate]) -> dict[int, tuple[Any, ...]]:
    world = World(fates, truth)
    results = world.run(WaveSpeed(poll_together=False))
    assert world.pages == 0
    return {number: outcome_of(result) for number, result in results.items()}


FATES = [
    Fate(10.0 + number % 17, "failed" if number % 19 == 7 else "completed") for number in range(150)
]


def test_many_take_few_requests_and_none_another_outcome() -> None:
    world = World(FATES, truth)
    results = world.run(WaveSpeed())
    assert {number: outcome_of(result) for number, result in results.items()} == alone(FATES)
    assert world.pages + world.polls < 150


LIES: dict[str, Callable[[list[Any]], Any]] = {
    "none": truth,
    "other order": lambda items: listing(*items[::-1]),
    "every other is missing": lambda items: listing(*items[::2]),
    "all are missing": lambda _: listing(),
    "twice": lambda items: listing(*items, *items),
    "stale": lambda items: listing(
        *({**each, "status": "processing", "outputs": []} for each in items)
    ),
    "without pictures": lambda items: listing(*({**each, "outputs": []} for each in items)),
    "all failed": lambda items: listing(*({**each, "status": "failed"} for each in items)),
    "ids only": lambda items: listing(*({"id": each["id"]} for each in items)),
    "others": lambda items: listing(*({**each, "id": f"x{each['id']}"} for each in items)),
    "no times": lambda items: listing(*({**each, "created_at": None} for each in items)),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_list_that_lies_changes_no_outcome(lie: Callable[[list[Any]], Any]) -> None:
    world = World(FATES, lie)
    results = world.run(WaveSpeed())
    assert {number: outcome_of(result) for number, result in results.items()} == alone(FATES)


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR)
def test_a_list_that_always_fails_changes_no_outcome(answer: Any) -> None:
    world = World(FATES, lambda _: answer)
    results = world.run(WaveSpeed(poll_failures=0))
    assert {number: outcome_of(result) for number, result in results.items()} == alone(FATES)
    assert world.pages < 10


STATUSES = ["completed", "processing", "failed", "?", None, 7]


def lying(seed: int, chosen: list[str]) -> Callable[[list[Any]], Any]:
    """What a list may do but give one prediction the pictures of another."""
    chance = Random(seed)  # noqa: S311 - lies, to be repeated

    def lie(items: list[Any]) -> Any:
        kind = chance.choice(chosen)
        if kind in UNCLEAR:
            return UNCLEAR[kind]
        changed = [
            {**each, "status": chance.choice(STATUSES)} if chance.random() < 0.2 else each
            for each in items
        ]
        mixed = chance.sample(changed, len(changed)) if chance.random() < 0.5 else changed
        return LIES[kind](mixed)

    return lie


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(Fate, st.floats(0, 60), st.sampled_from(["completed", "failed", "cancelled"])),
        min_size=4,
        max_size=60,
    ),
    st.integers(0, 2**32),
    st.lists(st.sampled_from([*LIES, *UNCLEAR]), min_size=1, max_size=5),
)
def test_whatever_the_list_says_nobody_is_lost_or_given_the_pictures_of_another(
    fates: list[Fate], seed: int, chosen: list[str]
) -> None:
    lie = lying(seed, chosen)
    results = World(fates, lie).run(WaveSpeed(poll_failures=0))
    assert sorted(results) == list(range(len(fates)))
    for number, result in results.items():
        if isinstance(result, Generation):
            assert [image.url for image in result.images] == [f"{URL}/{identity(number)}/0.jpg"]
            assert result.job == job(number)
        else:
            assert (type(result), result.job) == (JobFailedError, job(number))


# Clients on the sandbox


class Counted(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """Counts the requests that ask how predictions are; each takes 0.1 s."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._async = sandbox.async_transport()
        self._blocking = sandbox.transport()
        self.asked = Counter[str]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._count(request)
        await asyncio.sleep(0.1)
        return await self._async.handle_async_request(request)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._count(request)
        return self._blocking.handle_request(request)

    def _count(self, request: httpx.Request) -> None:
        if "/predictions" in request.url.path:
            self.asked[request.method] += 1


def bought(
    many: int, *faults: Fault, lag: float = 0.0, **options: Any
) -> tuple[list[Any], Counter[str], Sandbox]:
    """What so many calls at a time bring, each after about 33 seconds, and what was asked."""
    clock = VirtualClock()
    sandbox = Sandbox(latency=33.0, clock=clock.epoch, faults=faults, listing_lag=lag)
    counted = Counted(sandbox)
    backend = WaveSpeed(**HOST, **options)

    async def one(client: AsyncClient, number: int) -> Any:
        await asyncio.sleep(number / 20)
        return await client.generate(ImageRequest(f"fox {number}", seed=number), model=MODEL)

    async def main() -> list[Any]:
        async with AsyncClient([backend], transport=counted, clock=clock) as client:
            work = (one(client, number) for number in range(many))
            return await asyncio.gather(*work, return_exceptions=True)

    return clock.run(main()), counted.asked, sandbox


def right(results: Sequence[Any], sandbox: Sandbox) -> int:
    """How many brought the picture of their own submission; the others are errors."""
    jobs = {submission.id: submission.body["seed"] for submission in sandbox.submissions}
    made = [result for result in results if isinstance(result, Generation)]
    for number, result in enumerate(results):
        if isinstance(result, Generation):
            assert result.job is not None
            assert jobs[result.job.id] == number == result.images[0].seed
    return len(made)


@pytest.mark.parametrize("many", [50, 300])
def test_tasks_ask_for_their_predictions_together(many: int) -> None:
    results, asked, sandbox = bought(many)
    assert right(results, sandbox) == many
    assert asked.total() < 2 * many
    alone, polls, sandbox = bought(many, poll_together=False, learn_polls=False)
    assert right(alone, sandbox) == many
    assert polls == {"GET": 9 * many}


def test_a_task_whose_prediction_fails_gets_the_error_that_a_poll_gives() -> None:
    fault = Fault("prediction_status", step="submit", after=20, times=5)
    shared, asked, _ = bought(60, fault)
    alone, _, _ = bought(60, fault, poll_together=False)
    assert asked["POST"] > 0
    errors = [result for result in shared if isinstance(result, Exception)]
    assert len(errors) == 5
    for one, other in zip(shared, alone, strict=True):
        assert type(one) is type(other)
        if isinstance(one, ImageGenError) and isinstance(other, ImageGenError):
            assert (one.message, one.charged) == (other.message, other.charged)


def test_a_list_that_lags_costs_nobody_the_pictures() -> None:
    results, _, sandbox = bought(100, lag=12.0)
    assert right(results, sandbox) == 100


def test_what_others_have_in_flight_is_not_ours() -> None:
    clock = VirtualClock()
    sandbox = Sandbox(latency=33.0, clock=clock.epoch)
    counted = Counted(sandbox)
    backends = [WaveSpeed(**HOST) for _ in range(3)]

    async def one(backend: WaveSpeed, number: int) -> Any:
        await asyncio.sleep(number / 20)
        async with AsyncClient([backend], transport=counted, clock=clock) as client:
            return await client.generate(ImageRequest("a fox", seed=number), model=MODEL)

    async def main() -> list[Any]:
        work = (one(backends[number % 3], number) for number in range(150))
        return await asyncio.gather(*work)

    assert right(clock.run(main()), sandbox) == 150
    assert counted.asked.total() < 450


def test_threads_ask_for_their_predictions_together() -> None:
    sandbox = Sandbox(latency=0.3)
    counted = Counted(sandbox)
    backend = WaveSpeed(**HOST, first_poll=0.05, slowest_poll=0.05)
    with Client([backend], transport=counted) as client, ThreadPoolExecutor(60) as pool:

        def one(number: int) -> Generation:
            return client.generate(ImageRequest("a fox", seed=number), model=MODEL)

        assert right(list(pool.map(one, range(60))), sandbox) == 60
    assert counted.asked["POST"] > 0


def test_threads_and_tasks_share_a_backend() -> None:
    sandbox = Sandbox(latency=0.3)
    counted = Counted(sandbox)
    backend = WaveSpeed(**HOST, first_poll=0.05, slowest_poll=0.05)
    seeds = range(20)

    async def tasks() -> list[Generation]:
        async with AsyncClient([backend], transport=counted) as client:
            requests = [ImageRequest("a fox", seed=20 + seed) for seed in seeds]
            return await asyncio.gather(*(client.generate(r, model=MODEL) for r in requests))

    with Client([backend], transport=counted) as client, ThreadPoolExecutor(21) as pool:
        there = pool.submit(asyncio.run, tasks())
        requests = [ImageRequest("a fox", seed=seed) for seed in seeds]
        made = list(pool.map(lambda request: client.generate(request, model=MODEL), requests))
        assert right([*made, *there.result()], sandbox) == 40


def test_hundreds_of_open_jobs_are_asked_for_with_a_few_requests() -> None:
    clock = VirtualClock()
    sandbox = Sandbox(latency=33.0, clock=clock.epoch)
    counted = Counted(sandbox)

    async def main() -> list[Generation]:
        async with AsyncClient([WaveSpeed(**HOST)], transport=counted, clock=clock) as client:
            requests = [ImageRequest("a fox", seed=seed) for seed in range(300)]
            jobs = [await client.submit(request, model=MODEL) for request in requests]
            await asyncio.sleep(60)
        async with AsyncClient([WaveSpeed(**HOST)], transport=counted, clock=clock) as client:
            return await asyncio.gather(*map(client.result, jobs))

    assert right(clock.run(main()), sandbox) == 300
    assert counted.asked.total() <= 10


def test_the_open_jobs_of_a_ledger_are_collected_together(tmp_path: Path) -> None:
    sandbox = Sandbox()
    counted = Counted(sandbox)
    backend = WaveSpeed(**HOST, first_poll=0.05)
    ledger = Ledger(tmp_path / "ledger.db")
    with ledger, Client([backend], transport=counted, ledger=ledger) as client:
        for seed in range(100):
            client.submit(ImageRequest("a fox", seed=seed), model=MODEL)
        found = client.reconcile()
    made = sorted(found.generations, key=lambda generation: generation.images[0].seed or 0)
    assert right(made, sandbox) == 100
    assert counted.asked["POST"] > 0
