"""Call, Reply and advance: the vocabulary that flows and drivers share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings, strategies as st

from imagegen.errors import TransportError
from imagegen.events import Submitted
from imagegen.flow import Call, Done, Flow, Part, Pause, Reply, advance
from imagegen.request import ImageRequest
from imagegen.result import Job
from imagegen.testing import play

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CALL = Call("GET", "https://h/a")


def answered(retry_after: str | None = None, received_at: datetime = NOW) -> Reply:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Reply(status=429, headers=headers, body=b"{}", received_at=received_at)


# Bodies


FORM = (
    Part("prompt", "a fox"),
    Part("image[]", b"\x89PNG", filename="1.png", media_type="image/png"),
    Part("image[]", b"x" * 5_000, filename="2"),
)


def test_a_body_is_shown_as_json_whatever_it_is() -> None:
    assert Call("GET", "https://h/a").body is None
    assert Call("POST", "https://h/a", json={"n": 1}).body == {"n": 1}
    assert Call("POST", "https://h/a", form=FORM).body == {
        "prompt": "a fox",
        "image[]": ["<image/png, 4 bytes>", "<a file, 5,000 bytes>"],
    }


def test_a_call_has_one_body() -> None:
    with pytest.raises(ValueError, match="one body"):
        Call("POST", "https://h/a", json={}, form=())


def test_neither_a_call_nor_a_part_shows_what_it_carries() -> None:
    shown = f"{Call('POST', 'https://h/a', form=FORM)!r} {FORM}"
    assert "prompt, image[]" in shown
    assert "<5 characters>" in shown
    assert "<5,000 bytes>" in shown
    assert "fox" not in shown
    assert "PNG" not in shown


# Retry-After


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("1.5", 1.5),
        ("007", 7.0),
        ("86400", 86_400.0),
        ("86401", 86_400.0),
        ("999999999", 86_400.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30.0),
        ("Thu, 01 Jan 2026 12:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 11:59:59 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 02 Jan 2026 11:59:59 GMT", 86_399.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400.0),
        ("Thursday, 01-Jan-26 12:00:30 GMT", 30.0),
    ],
)
def test_a_wait_is_read_in_seconds_or_as_a_date(text: str, seconds: float) -> None:
    assert answered(text).retry_after == seconds


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " ",
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "-1",
        "+5",
        "1e3",
        "1e309",
        "0x10",
        "1_000",
        "1,5",
        "5 seconds",
        "5; 6",
        "٥",
        "５",
        "²",
        "9" * 10_240,
        "9" * 400 + "." + "9" * 400,
        "soon",
        "x" * 10_240,
        "Thu, 32 Jan 2026 12:00:30 GMT",
        "Thu, 01 Jan 99999 12:00:30 GMT",
        "Thu, 01 Jan 2026 12:00:30 -0000",
        "Thu, 01 Jan 2026 12:00:30 +999999999",
        "\x00",
        "\ud800",
    ],
)
def test_a_wait_that_makes_no_sense_counts_as_none(text: str | None) -> None:
    assert answered(text).retry_after is None


def test_a_date_says_nothing_if_the_time_of_the_reply_has_no_zone() -> None:
    naive = NOW.replace(tzinfo=None)
    assert answered("Thu, 01 Jan 2026 12:00:30 GMT", naive).retry_after is None


@settings(max_examples=60, deadline=None)
@given(st.integers(-(10**6), 10**6))
def test_a_date_is_a_wait_from_when_the_reply_came(seconds: int) -> None:
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert answered(header).retry_after == min(max(seconds, 0), 86_400)


DATES = "Mon Thu, Jan 01 31 99 0 -1 2026 12:00:30 24:61:61 : - . , ; GMT EST +0000 -0000 +9999"
WORDS = st.sampled_from([*DATES.split(), "99999999999", "am", "()", "(c)", "1e309", "nan", '"'])
HEADERS = (
    st.text(st.characters(), max_size=80)
    | st.text("0123456789.-+eE:, JanGMT", max_size=40)
    | st.lists(WORDS, max_size=8).map(" ".join)
    | st.lists(WORDS, max_size=8).map("".join)
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{1,9} .{1,6}")
)


@settings(max_examples=400, deadline=None)
@given(HEADERS)
def test_no_header_makes_the_wait_raise_or_pass_a_day(header: str) -> None:
    wait = answered(header).retry_after
    assert wait is None or 0 <= wait <= 86_400


# What is shown


def test_a_call_shows_neither_body_nor_query() -> None:
    shown = repr(Call("POST", "https://u:SECRET@h/a?SECRET#SECRET", {"prompt": "SECRET"}))
    assert "SECRET" not in shown
    assert "https://h/a" in shown
    assert "<prompt>" in shown


def test_a_call_without_a_body_says_so() -> None:
    assert "json=None" in repr(CALL)


def test_a_reply_shows_neither_body_nor_headers() -> None:
    shown = repr(Reply(200, {"set-cookie": "SECRET"}, b"SECRET" * 300, NOW))
    assert "SECRET" not in shown
    assert "<1,800 bytes>" in shown


def test_a_call_is_free_anonymous_and_at_once_unless_said() -> None:
    assert (CALL.paid, CALL.account, CALL.timeout) == (False, None, None)


# advance


def echo(seen: list[object]) -> Flow[str]:
    try:
        seen.append((yield CALL))
    except TransportError as error:
        seen.append(error)
    return "done"


def silent() -> Flow[int]:
    yield from ()
    return 3


def test_a_flow_is_started_and_yields_its_first_call() -> None:
    assert advance(echo([])) is CALL


def test_a_flow_that_makes_no_call_is_done_at_once() -> None:
    assert advance(silent()) == Done(3)


@pytest.mark.parametrize("outcome", [answered(), TransportError("cut")])
def test_a_flow_is_given_what_came_of_its_call(outcome: Reply | TransportError) -> None:
    seen: list[object] = []
    flow = echo(seen)
    advance(flow)
    assert advance(flow, outcome) == Done("done")
    assert seen == [outcome]


def test_an_event_is_passed_on_and_answered_with_nothing() -> None:
    event = Submitted(Job(provider="p", model="m", id="i", request=ImageRequest("a fox")))
    answers: list[object] = []

    def telling() -> Flow[str]:
        answers.append((yield event))
        return "told"

    flow = telling()
    assert advance(flow) is event
    assert advance(flow) == Done("told")
    assert answers == [None]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError, GeneratorExit])
def test_what_a_flow_does_not_handle_leaves_it(interruption: Callable[[], BaseException]) -> None:
    flow = echo([])
    advance(flow)
    thrown = interruption()
    with pytest.raises(type(thrown)) as caught:
        advance(flow, thrown)
    assert caught.value is thrown


def test_a_pause_answers_with_the_moment() -> None:
    def flow() -> Flow[float]:
        before = yield Pause(1.5)
        after = yield Pause(2.0)
        return float(after - before)

    assert play(flow()).value == 2.0
