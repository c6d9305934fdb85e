"""Looking a lost submission up: absence is believed only of a list that was read whole."""

from __future__ import annotations

import copy
import hashlib
import json
import time as clock
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from imagegen.backends.base import Terms
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.backends.wavespeed.lookup import UNTOLD, found
from imagegen.drivers import Account
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.flow import Call, Done, Flow, Pause, Reply, advance
from imagegen.redaction import Secret
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Job, Notice
from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Request
from imagegen.testing import EPOCH, FakeClock, Played, play, reply

HOST = "https://api.wavespeed.ai"
TEXT = "minimax/image-01/text-to-image"
EDIT = "minimax/image-01/image-to-image"
FOX = ImageRequest("a red fox")
SINCE, UNTIL = EPOCH - timedelta(minutes=10), EPOCH + timedelta(minutes=1)
MANY = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
Lookup = Flow[tuple[Job, ...]]


def lookup(request: ImageRequest = FOX, model: str = TEXT, since: datetime = SINCE) -> Lookup:
    return found(HOST, "wavespeed", model, request, since, UNTIL)


def stamp(minutes: float = 5.0) -> str:
    moment = EPOCH - timedelta(minutes=minutes)
    return moment.isoformat().replace("+00:00", "Z")


def item(identity: str, **more: Any) -> dict[str, Any]:
    usual = {"model": TEXT, "status": "completed", "outputs": [], "created_at": stamp()}
    return {"id": identity, **usual, **more}


def items(first: int, count: int) -> list[dict[str, Any]]:
    """So many predictions, the newest first, each a millisecond older than the last."""
    return [item(f"p{k:04}", created_at=stamp(k / 60_000)) for k in range(first, first + count)]


def listing(*listed: dict[str, Any], **more: Any) -> Reply:
    data = {"page": 1, "items": list(listed), **more}
    return reply({"code": 200, "message": "success", "data": data})


def looked(*answers: Reply | BaseException, **more: Any) -> Played[tuple[Job, ...]]:
    return play(lookup(**more), *answers)


def ids(*answers: Reply | BaseException, **more: Any) -> list[str]:
    return [job.id for job in looked(*answers, **more).value]


def failing(*answers: Reply | BaseException, **more: Any) -> ImageGenError:
    with pytest.raises(ImageGenError) as caught:
        looked(*answers, **more)
    return caught.value


# The question


def test_the_question_names_model_and_time_and_is_free() -> None:
    [call] = looked(listing()).calls
    assert call == Call(
        "POST",
        "https://api.wavespeed.ai/api/v3/predictions",
        json={
            "page": 1,
            "page_size": 100,
            "model": TEXT,
            "created_after": "2025-12-31T23:50:00Z",
            "created_before": "2026-01-01T00:01:00Z",
            "include_inputs": True,
        },
        account="wavespeed",
        timeout=30.0,
        paid=False,
    )


def test_times_of_any_zone_are_asked_for_in_utc_to_the_microsecond() -> None:
    berlin = datetime.fromisoformat("2026-01-01T00:55:00.000001+01:00")
    [call] = looked(listing(), since=berlin).calls
    assert (call.json or {})["created_after"] == "2025-12-31T23:55:00.000001Z"


@pytest.mark.skipif(not hasattr(clock, "tzset"), reason="the zone of a process is a POSIX matter")
def test_the_machine_s_own_zone_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    clock.tzset()
    try:
        [call] = looked(listing()).calls
    finally:
        monkeypatch.undo()
        clock.tzset()
    assert call.json is not None
    assert call.json["created_after"] == "2025-12-31T23:50:00Z"
    assert call.json["created_before"] == "2026-01-01T00:01:00Z"


@pytest.mark.parametrize(
    ("references", "full"), [([], TEXT), ([ReferenceImage("https://p.example/a.png")], EDIT)]
)
def test_a_family_is_looked_up_by_the_id_that_was_submitted(
    references: list[ReferenceImage], full: str
) -> None:
    request = ImageRequest("a red fox", references=references)
    result = looked(listing(item("a", model=full)), request=request, model="minimax/image-01")
    assert (result.calls[0].json or {})["model"] == full
    assert [job.model for job in result.value] == [full]


def test_what_can_be_no_model_id_is_not_asked_for() -> None:
    with pytest.raises(UnsupportedFeatureError):
        looked(model="?")


# The answer

DOCUMENTED = {
    "code": 200,
    "message": "success",
    "data": {
        "page": 1,
        "items": [
            {
                "id": "e6832d4abffb4d79bfbca19783fca133",
                "model": "wavespeed-ai/flux-dev",
                "outputs": ["https://d11ewybssaphwx.cloudfront.net/output/1.jpg"],
                "urls": {
                    "get": "https://api.wavespeed.ai/api/v3/predictions/"
                    "e6832d4abffb4d79bfbca19783fca133/result"
                },
                "has_nsfw_contents": [False],
                "status": "completed",
                "created_at": "2025-05-19T06:09:15.948268264Z",
                "error": "",
                "executionTime": 25729,
                "timings": {"inference": 25729},
            }
        ],
    },
}
"""Transcribed from WaveSpeedAI's documentation of the list, the output's name shortened."""


def test_the_documented_answer_becomes_a_job_to_ask_for() -> None:
    day = datetime(2025, 5, 19, tzinfo=UTC)
    model, until = "wavespeed-ai/flux-dev", day + timedelta(days=1)
    flow = found(HOST, "wavespeed", model, FOX, day, until)
    [job] = play(flow, reply(DOCUMENTED, received_at=until)).value
    assert job == Job(
        provider="wavespeed",
        model="wavespeed-ai/flux-dev",
        id="e6832d4abffb4d79bfbca19783fca133",
        request=FOX,
        created_at=datetime(2025, 5, 19, 6, 9, 15, 948268, UTC),
        notices=(UNTOLD,),
    )


@pytest.mark.parametrize("total", [{}, {"total": None}, {"total": 0}])
def test_an_empty_list_is_certain(total: dict[str, Any]) -> None:
    assert looked(listing(**total)).value == ()


def test_the_oldest_comes_first_and_what_has_no_date_before_it() -> None:
    listed = [
        item("new", created_at=stamp(1)),
        item("undated", created_at=""),
        item("old", created_at=stamp(9)),
        item("middle", created_at=stamp(5)),
    ]
    assert ids(listing(*listed, total=4)) == ["undated", "old", "middle", "new"]


@pytest.mark.parametrize("status", ["created", "failed", "deleted", "archived", None])
def test_a_prediction_counts_in_whatever_state_it_is(status: str | None) -> None:
    assert ids(listing(item("a", status=status))) == ["a"]


# What is ruled out, and what is not


@pytest.mark.parametrize("model", [None, "", 7, ["x"]])
def test_only_another_model_is_ruled_out(model: object) -> None:
    assert ids(listing(item("a", model=EDIT), item("b"), item("c", model=model))) == ["c", "b"]


@pytest.mark.parametrize(
    ("created", "kept"),
    [
        (stamp(10), True),
        (stamp(10 + 1e-6), False),
        (stamp(-1), True),
        (stamp(-1 - 1e-6), False),
        ("2025-12-31T23:49:59.999999999Z", False),
        ("2026-01-01T01:00:59+01:00", True),
        ("2026-01-01 00:00:00", True),
        ("0001-01-01T00:00:00Z", True),
        ("2025-02-30T00:00:00Z", True),
        ("", True),
        (None, True),
        (1_767_225_600, True),
    ],
)
def test_only_a_readable_time_outside_the_window_is_ruled_out(
    *, created: object, kept: bool
) -> None:
    assert ids(listing(item("a", created_at=created))) == (["a"] if kept else [])


@pytest.mark.parametrize("name", ["input", "inputs"])
@pytest.mark.parametrize(
    ("echo", "kept"),
    [
        ({"prompt": "a red fox", "seed": 4}, True),
        ({"prompt": "a blue fox"}, False),
        ({"prompt": "a red fox "}, True),
        ({"prompt": "a red"}, True),
        ({"prompt": "a red fox, and a hare"}, True),
        ({"prompt": "a red f…"}, True),
        ({"prompt": "a red f..."}, True),
        ({"prompt": "…a red f"}, False),
        ({"prompt": "a red X"}, False),
        ({"prompt": ""}, True),
        ({"prompt": None}, True),
        ({"prompt": ["a blue fox"]}, True),
        ({}, True),
        (None, True),
        ("a blue fox", True),
    ],
)
def test_only_another_prompt_is_ruled_out(*, name: str, echo: object, kept: bool) -> None:
    assert ids(listing(item("a", **{name: echo}))) == (["a"] if kept else [])


@pytest.mark.parametrize(
    ("more", "certain"),
    [
        ({"input": {"prompt": " a  red fox\n"}}, True),
        ({"input": {"prompt": "a red"}}, False),
        ({}, False),
        ({"model": "minimax/image-01", "input": {"prompt": "a red fox"}}, True),
    ],
)
def test_a_job_that_may_come_from_another_request_says_so(
    more: dict[str, Any], *, certain: bool
) -> None:
    (job,) = looked(listing(item("a", **more))).value
    assert job.notices == (() if certain else (UNTOLD,))


def test_two_echoes_that_differ_leave_a_doubt() -> None:
    both = item("a", input={"prompt": "a blue fox"}, inputs={"prompt": "a red fox"})
    assert ids(listing(both)) == ["a"]


def test_a_prompt_of_the_caller_s_own_inputs_is_what_was_submitted() -> None:
    request = ImageRequest("a red fox", provider_options={"wavespeed": {"prompt": "a blue fox"}})
    listed = [item(p, input={"prompt": f"a {p} fox"}) for p in ("red", "blue", "green")]
    assert ids(listing(*listed), request=request) == ["blue", "red"]


def test_a_request_that_keeps_only_the_digest_of_its_prompt_is_found() -> None:
    digest = hashlib.sha256("ein roter Fuchs 🦊".encode()).hexdigest()
    listed = [
        item("a", input={"prompt": "ein roter Fuchs 🦊"}),
        item("b", input={"prompt": "a blue fox"}),
    ]
    assert ids(listing(*listed), request=ImageRequest(f"sha256:{digest}")) == ["a"]


# Pages


def test_pages_are_read_until_one_is_not_full() -> None:
    pages = [listing(*items(0, 100)), listing(*items(100, 100)), listing(*items(200, 50))]
    result = looked(*pages)
    assert [(call.json or {})["page"] for call in result.calls] == [1, 2, 3]
    assert [job.id for job in result.value] == [f"p{k:04}" for k in reversed(range(250))]


def test_pages_are_read_until_the_total_is_reached() -> None:
    pages = [listing(*items(first, 100), total=200) for first in (0, 100)]
    assert len(looked(*pages).value) == 200


def test_an_empty_last_page_ends_a_list_of_unknown_length() -> None:
    assert len(looked(listing(*items(0, 100)), listing()).value) == 100


def test_a_total_that_is_contradicted_does_not_end_the_list() -> None:
    pages = [listing(*items(0, 100), total=7), listing(*items(100, 1), total=7)]
    assert len(looked(*pages).value) == 101


def test_what_is_repeated_because_the_list_shifts_counts_once() -> None:
    pages = [listing(*items(0, 100), total=101), listing(*items(99, 2), total=101)]
    assert len(looked(*pages).value) == 101
    assert ids(listing(item("a"), item("a"), total=1)) == ["a"]


def test_one_sighting_that_is_not_ruled_out_is_enough() -> None:
    assert ids(listing(item("a"), item("a", model=EDIT), total=1)) == ["a"]


@pytest.mark.parametrize(
    "pages",
    [
        [listing(total=1)],
        [listing(item("other", model=EDIT), total=2)],
        [listing(item("a"), item("a"), total=2)],
        [listing(*items(0, 100), total=101), listing(total=101)],
        # One was deleted meanwhile, and another moved to the page read before.
        [listing(*items(0, 100), total=150), listing(*items(101, 49), total=149)],
        # One was added meanwhile, on the page read before.
        [listing(*items(0, 100), total=150), listing(*items(99, 51), total=151)],
    ],
)
def test_a_list_that_ends_before_its_total_is_not_whole(pages: list[Reply]) -> None:
    error = failing(*pages)
    assert isinstance(error, MalformedReplyError)
    assert "ended after" in error.message


def test_fifty_pages_are_read_and_more_are_too_long_to_tell() -> None:
    pages = [listing(*items(100 * k, 100), total=5000) for k in range(50)]
    assert len(looked(*pages).value) == 5000
    pages = [listing(*items(100 * k, 100)) for k in range(50)]
    error = failing(*pages)
    assert isinstance(error, MalformedReplyError)
    assert "too long to tell" in error.message


def test_a_list_that_does_not_turn_its_pages_ends_in_an_error() -> None:
    assert "too long to tell" in failing(*[listing(*items(0, 100))] * 50).message


def test_what_the_list_no_longer_goes_back_to_cannot_be_told() -> None:
    week = EPOCH - timedelta(days=7)
    assert looked(listing(), since=week).value == ()
    error = failing(listing(), since=week - timedelta(microseconds=1))
    assert isinstance(error, MalformedReplyError)
    assert "7 days" in error.message


# What cannot be read


@pytest.mark.parametrize(
    "identity", [None, 7, "", ".", "..", "x" * 201, ["a"], {"id": "a"}, True, "missing"]
)
@pytest.mark.parametrize("model", [TEXT, EDIT])
def test_an_item_without_a_usable_id_could_be_the_one(identity: object, model: str) -> None:
    nameless = item("a", id=identity, model=model)
    if identity == "missing":
        del nameless["id"]
    assert isinstance(failing(listing(item("b"), nameless)), MalformedReplyError)


GOOD: dict[str, Any] = {"code": 200, "message": "success", "data": {"page": 1, "items": []}}


@pytest.mark.parametrize(
    "answer",
    [
        reply(body=b""),
        reply(body=b"null"),
        reply(body=b"[]"),
        reply(body=b"<html></html>"),
        reply(body=json.dumps(GOOD).encode()[:-1]),
        reply({}),
        reply([]),
        reply({"data": {"items": []}}),
        reply(GOOD | {"code": None}),
        reply(GOOD | {"code": "200"}),
        reply(GOOD | {"code": 0}),
        reply(GOOD | {"data": None}),
        reply(GOOD | {"data": []}),
        reply(GOOD | {"data": {}}),
        reply(GOOD | {"data": {"items": None, "total": 0}}),
        reply(GOOD | {"data": {"items": {}}}),
        reply(GOOD | {"data": {"items": ""}}),
        reply(GOOD | {"data": {"items": [None]}}),
        reply(GOOD | {"data": {"items": [[]]}}),
        reply(GOOD | {"data": {"items": ["e6832d4abffb4d79bfbca19783fca133"]}}),
        reply(GOOD | {"data": {"items": [], "total": "0"}}),
        reply(GOOD | {"data": {"items": [], "total": 0.5}}),
        reply(GOOD | {"data": {"items": [], "total": True}}),
        reply(GOOD, status=206),
        reply(GOOD, status=204),
        reply(GOOD, status=100),
    ],
)
def test_what_is_no_complete_list_is_never_an_empty_one(answer: Reply) -> None:
    error = failing(answer)
    assert type(error) is MalformedReplyError
    assert error.message.startswith("the list of predictions")
    assert "https://wavespeed.ai/predictions" in error.advice


def test_what_is_wrong_with_the_list_is_told_in_words() -> None:
    assert failing(reply(GOOD | {"data": {}})).message.startswith(
        "the list of predictions cannot be read: "
    )
    assert failing(reply(GOOD | {"data": {}})).message != "the list of predictions cannot be read: "
    came = "the list of predictions came with HTTP"
    assert failing(reply(GOOD, status=206)).message == f"{came} 206 and no success: success"
    wordless = reply({"code": None, "data": {"items": []}})
    assert failing(wordless).message == f"{came} 200 and no success: no reason given"
    unread = failing(reply(body=b"<html>")).message
    assert unread.startswith(f"{came} 200 and no success: ")
    assert not unread.endswith("no reason given")


def test_where_the_list_leaves_it_open_that_is_said_and_where_to_look() -> None:
    assert failing(reply(GOOD, status=206)).advice == (
        "Whether the submission was accepted is still unknown; look again later, or yourself at "
        "https://wavespeed.ai/predictions"
    )


def test_a_doubt_about_the_prompt_is_told_in_words() -> None:
    words = "the list does not tell that it was made from this prompt"
    assert Notice("unverified", "prompt", words) == UNTOLD


# Refusals


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"code": 401, "message": "invalid API key"}, status=401), AuthenticationError),
        (reply(GOOD, status=403), AuthenticationError),
        (reply(GOOD | {"code": 400}), InvalidRequestError),
        (reply(GOOD | {"code": 1200}), ContentPolicyError),
        (reply(GOOD | {"code": 1407}), InsufficientBalanceError),
        (reply(GOOD, status=302), BackendError),
        (reply(body=b"<html>", status=404), ConfigurationError),
        (reply(body=b"", status=405), ConfigurationError),
    ],
)
def test_a_refusal_is_raised_at_once(answer: Reply, kind: type[ImageGenError]) -> None:
    assert type(failing(answer)) is kind


BUSY = reply({"code": 429, "message": "too many"}, status=429)
DOWN = reply(body=b"<html>504 Gateway Time-out</html>", status=504)
LOST = TransportError("reset")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (BUSY, RateLimitError),
        (reply(GOOD | {"code": 429}), RateLimitError),
        (DOWN, ProviderUnavailableError),
        (reply(GOOD, status=503), ProviderUnavailableError),
        (reply(GOOD | {"code": 500}), ProviderUnavailableError),
        (reply(GOOD | {"code": 5003}), ProviderUnavailableError),
        (LOST, TransportError),
        (TransportError("refused", sent=False), TransportError),
    ],
)
def test_what_may_pass_is_tried_three_times_more(
    answer: Reply | TransportError, kind: type[ImageGenError]
) -> None:
    result = looked(answer, answer, answer, listing(item("a")))
    assert [job.id for job in result.value] == ["a"]
    assert result.pauses == (1.0, 2.0, 4.0)
    assert len({repr(call.json) for call in result.calls}) == 1
    assert type(failing(*[answer] * 4)) is kind


def test_each_page_has_its_own_tries() -> None:
    full, last = listing(*items(0, 100)), listing(item("last"))
    result = looked(DOWN, LOST, BUSY, full, LOST, BUSY, DOWN, last)
    assert [(call.json or {})["page"] for call in result.calls] == [1] * 4 + [2] * 4
    assert len(result.value) == 101


def test_a_wait_that_is_asked_for_is_kept() -> None:
    busy = reply({"code": 429}, status=429, headers={"Retry-After": "30"})
    hasty = reply({"code": 429}, status=429, headers={"Retry-After": "1"})
    assert looked(busy, hasty, hasty, listing()).pauses == (30.0, 2.0, 4.0)


def test_where_the_time_does_not_allow_a_wait_the_reason_for_it_is_raised() -> None:
    flow = lookup()
    assert isinstance(advance(flow), Call)
    assert advance(flow, BUSY) == Pause(1.0, firm=True)
    with pytest.raises(RateLimitError, match="too many"):
        advance(flow, DeadlineExceededError("there is no time to wait", sent=False))


@pytest.mark.parametrize("kind", [DeadlineExceededError, ConfigurationError])
def test_what_does_not_pass_is_not_tried_again(kind: type[ImageGenError]) -> None:
    assert type(failing(kind("no"))) is kind


def test_an_interruption_ends_the_look_up() -> None:
    with pytest.raises(KeyboardInterrupt):
        looked(KeyboardInterrupt())


@pytest.mark.parametrize(
    "outcomes",
    [
        [reply(body=b"")],
        [reply(status=401)],
        [LOST] * 4,
        [BUSY] * 4,
        [listing(total=9)],
        [DeadlineExceededError("the time is up", sent=False)],
    ],
)
def test_an_error_is_about_the_submission_which_may_have_been_billed(
    outcomes: list[Reply | BaseException],
) -> None:
    error = failing(*outcomes)
    assert (error.provider, error.model, error.charged) == ("wavespeed", TEXT, "unknown")
    assert error.advice


# Whatever comes

IDS = st.sampled_from(["a", "b", "c"]) | st.text(max_size=4)
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.text(max_size=5) | st.just("x" * 201),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "code", "data", "items"]), inner, max_size=3)
    ),
    max_leaves=5,
)
ITEMS: st.SearchStrategy[Any] = ODD | st.fixed_dictionaries(
    {"id": IDS | ODD},
    optional={
        "model": st.sampled_from([TEXT, EDIT]) | ODD,
        "created_at": st.sampled_from([stamp(), stamp(60)]) | ODD,
        "input": st.fixed_dictionaries({"prompt": st.sampled_from(["a red fox", "b"]) | ODD}) | ODD,
        "inputs": ODD,
        "status": ODD,
    },
)
DATA = ODD | st.fixed_dictionaries(
    {"items": st.lists(ITEMS, max_size=4) | ODD},
    optional={"total": st.integers(-1, 5) | ODD, "page": ODD},
)
WHOLE = ODD | st.fixed_dictionaries(
    {"data": DATA},
    optional={"code": st.sampled_from([200, 200, 200, 429, 503, 1200]) | ODD, "message": ODD},
)
STATUSES = st.sampled_from([200, 200, 200, 200, 204, 206, 302, 401, 404, 429, 500, 503, 100])


def usable(identity: object) -> bool:
    return isinstance(identity, str) and 0 < len(identity) <= 200 and set(identity) != {"."}


def excluded(entry: dict[str, Any]) -> bool:
    """Tell whether a listed item says by itself that it is another."""
    echoes = [entry.get("input"), entry.get("inputs")]
    prompts = [echo["prompt"] for echo in echoes if isinstance(echo, dict) and "prompt" in echo]
    told = [prompt for prompt in prompts if isinstance(prompt, str) and prompt]
    other_model = isinstance(entry.get("model"), str) and entry["model"] not in ("", TEXT)
    return (
        other_model or entry.get("created_at") == stamp(60) or bool(told and FOX.prompt not in told)
    )


def page_of(answer: Reply) -> dict[str, Any] | None:
    """The page of a documented answer whose items all exclude themselves; else None."""
    try:
        whole = json.loads(answer.body)
        listed, total = whole["data"]["items"], whole["data"].get("total")
        sound = whole["code"] == answer.status == 200 and type(total) in (int, type(None))
        alien = all(usable(entry["id"]) and excluded(entry) for entry in listed)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    page: dict[str, Any] = whole["data"]
    return page if sound and alien and isinstance(listed, list) else None


def certain_absence(answers: list[Reply]) -> bool:
    """Tell whether *answers* are a complete list in which every item excludes itself."""
    pages = [page_of(answer) for answer in answers]
    known = [page for page in pages if page is not None]
    seen = {entry["id"] for page in known for entry in page["items"]}
    total = max(page.get("total") or 0 for page in known) if known else 0
    whole = bool(known) and (len(known[-1]["items"]) < 100 or len(seen) == total)
    return len(known) == len(pages) and whole and len(seen) >= total


def ended(answers: Callable[[int], Reply]) -> tuple[Any, list[Reply]]:
    """Run a look-up to its end: its value or error, and the successful answers that it read."""
    flow, read, calls = lookup(), list[Reply](), 0
    step = advance(flow)
    try:
        while not isinstance(step, Done):
            if not isinstance(step, Call):
                step = advance(flow)
                continue
            answer = answers(calls)
            calls += 1
            read = [*read, answer][-(step.json or {})["page"] :]
            step = advance(flow, answer)
    except ImageGenError as error:
        return error, read
    return step.value, read


def check(value: Any, read: list[Reply]) -> None:
    if isinstance(value, ImageGenError):
        assert (value.provider, value.charged) == ("wavespeed", "unknown")
        return
    assert isinstance(value, tuple)
    assert all(isinstance(job, Job) and usable(job.id) for job in value)
    assert len({job.id for job in value}) == len(value)
    assert all(Job.from_json(job.to_json()) == job for job in value)
    assert value or certain_absence(read)


@MANY
@given(whole=WHOLE, status=STATUSES)
@example(whole=GOOD, status=200)
@example(whole=GOOD | {"data": {"items": [item("a", model=EDIT)], "total": 1}}, status=200)
def test_whatever_json_comes_is_typed_and_absence_is_certain(whole: Any, status: int) -> None:
    check(*ended(lambda _: reply(whole, status=status)))


@MANY
@given(body=st.binary(max_size=60), status=STATUSES)
def test_whatever_bytes_come_are_an_error(body: bytes, status: int) -> None:
    value, _ = ended(lambda _: reply(body=body, status=status))
    assert isinstance(value, ImageGenError)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


@MANY
@given(data=st.data())
def test_a_list_that_holds_it_never_looks_empty_because_something_is_odd(
    data: st.DataObject,
) -> None:
    one = item("the-one", input={"prompt": FOX.prompt})
    listed = [item("x", model=EDIT), one, item("y", created_at=stamp(60))]
    whole: Any = [copy.deepcopy(GOOD | {"data": {"page": 1, "items": listed, "total": 3}})]
    path = (0, *data.draw(st.sampled_from(places(whole[0]))))
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    if len(path) > 1 and data.draw(st.booleans()):
        del holder[path[-1]]
    else:
        holder[path[-1]] = data.draw(ODD)
    check(*ended(lambda _: reply(whole[0])))


@MANY
@given(data=st.data(), count=st.integers(0, 250), told=st.booleans())
def test_however_the_pages_shift_nothing_that_stays_is_missed_in_silence(
    data: st.DataObject, count: int, *, told: bool
) -> None:
    """Where the total is told, or nothing is deleted meanwhile: else nobody can see a shift."""
    listed = items(1000, count)
    stays = listed[-1]["id"] if listed else None

    def answer(call: int) -> Reply:
        if call:
            more = data.draw(st.integers(0, 3))
            listed[:0] = items(1000 - 10 * call, more)
            fewer = data.draw(st.integers(0, 3)) if told else 0
            del listed[: min(fewer, len(listed) - 1)]
        page = listed[100 * call : 100 * call + 100]
        return listing(*page, **({"total": len(listed)} if told else {}))

    value, _ = ended(answer)
    if not isinstance(value, ImageGenError):
        assert stays is None or stays in {job.id for job in value}


# Against the sandbox


@pytest.fixture
def sandbox(time: FakeClock) -> Sandbox:
    return Sandbox(latency=10.0, clock=time.epoch, listing_lag=5.0)


class Caller:
    """A backend and a driver on a sandbox, by one key."""

    def __init__(self, kit: Any, time: FakeClock, key: str, transport: Any) -> None:
        self.time = time
        self.driver = kit.driver({"wavespeed": Account(HOST, Secret(key))}, time, transport)

    def run(self, flow: Flow[Any]) -> Any:
        return self.driver.run(flow, self.time.monotonic() + 60.0)

    def submit(self, request: ImageRequest = FOX, model: str = "minimax/image-01") -> Job:
        job: Job = self.run(WaveSpeed().submit(request, model, Terms()))
        return job

    def find(self, request: ImageRequest = FOX, model: str = TEXT) -> list[str]:
        now, around = self.time.now(), timedelta(seconds=120)
        flow = found(HOST, "wavespeed", model, request, now - around, now + around)
        return [job.id for job in self.run(flow)]


@pytest.fixture
def caller(kit: Any, time: FakeClock, sandbox: Sandbox) -> Caller:
    return Caller(kit, time, "sandbox-key", kit.watched(sandbox, time))


def genuine(sandbox: Sandbox, request: httpx.Request) -> httpx.Response:
    asked = Request(request.method, request.url.path, "", dict(request.headers), request.content)
    answer = sandbox.handle(asked)
    return httpx.Response(answer.status, content=answer.body)


def lose(sandbox: Sandbox, **more: Any) -> None:
    sandbox.inject(Fault("drop", step="submit", accepted=True, **more))


def test_a_lost_submission_is_found_and_paid_once(
    caller: Caller, sandbox: Sandbox, time: FakeClock
) -> None:
    lose(sandbox)
    with pytest.raises(SubmissionUnknownError):
        caller.submit()
    time.sleep(5.0)
    [submission] = sandbox.submissions
    assert caller.find() == [submission.id]
    job = Job(provider="wavespeed", model=TEXT, id=submission.id, request=FOX)
    assert caller.run(WaveSpeed().settle(job)).images
    assert len(sandbox.submissions) == 1


def test_a_look_up_that_comes_too_early_finds_nothing(
    caller: Caller, sandbox: Sandbox, time: FakeClock
) -> None:
    lose(sandbox)
    with pytest.raises(SubmissionUnknownError):
        caller.submit()
    time.sleep(4.0)
    assert caller.find() == []
    time.sleep(1.0)
    assert caller.find() == [sandbox.submissions[0].id]


def test_what_was_never_accepted_is_certainly_absent(
    caller: Caller, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.inject(Fault("drop", step="submit", accepted=False))
    with pytest.raises(TransportError):
        caller.submit()
    time.sleep(5.0)
    assert caller.find() == []


def test_other_prompts_models_keys_and_times_are_not_taken_for_it(
    caller: Caller, kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    caller.submit()
    time.sleep(300.0)
    stranger = Caller(kit, time, "another-key", kit.watched(sandbox, time))
    stranger.submit()
    caller.submit(ImageRequest("a blue fox"))
    caller.submit(model="wavespeed-ai/flux-dev")
    lose(sandbox)
    with pytest.raises(SubmissionUnknownError):
        caller.submit()
    time.sleep(5.0)
    assert caller.find() == [sandbox.submissions[-1].id]


def test_the_same_request_bought_twice_is_found_twice_oldest_first(
    caller: Caller, sandbox: Sandbox, time: FakeClock
) -> None:
    for _ in range(2):
        caller.submit()
        time.sleep(5.0)
    assert caller.find() == [submission.id for submission in sandbox.submissions]


def test_two_hundred_and_fifty_predictions_are_read_in_three_pages(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    headers = {"Authorization": "Bearer sandbox-key"}
    body = json.dumps({"prompt": FOX.prompt}).encode()
    for _ in range(250):
        sandbox.handle(Request("POST", f"/api/v3/{TEXT}", "", headers, body))
        time.sleep(0.125)
    lost = sandbox.submissions[0].id
    time.sleep(5.0)
    watched = kit.watched(sandbox, time)
    found_now = Caller(kit, time, "sandbox-key", watched).find()
    assert found_now == [submission.id for submission in sandbox.submissions]
    assert found_now[0] == lost
    assert [json.loads(request.content)["page"] for request in watched.requests] == [1, 2, 3]


def test_a_list_that_fails_at_first_is_waited_for(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    troubles: list[httpx.Response | httpx.ReadError] = [
        httpx.Response(503, text="<html>"),
        httpx.ReadError("reset"),
        httpx.Response(429),
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/predictions") or not troubles:
            return genuine(sandbox, request)
        trouble = troubles.pop(0)
        if isinstance(trouble, Exception):
            raise trouble
        return trouble

    caller = Caller(kit, time, "sandbox-key", kit.watched(httpx.MockTransport(answer)))
    job, before = caller.submit(), time.monotonic()
    assert caller.find() == [job.id]
    assert time.monotonic() - before == 7.0


def test_a_wrong_key_is_no_absence(kit: Any, time: FakeClock) -> None:
    guarded = Sandbox(clock=time.epoch, keys=["right"])
    with pytest.raises(AuthenticationError, match="invalid API key"):
        Caller(kit, time, "wrong", kit.watched(guarded, time)).find()


def test_a_look_up_ends_with_its_time(kit: Any, time: FakeClock) -> None:
    down = httpx.MockTransport(lambda _: httpx.Response(503, headers={"Retry-After": "3600"}))
    caller = Caller(kit, time, "key", kit.watched(down))
    with pytest.raises(ProviderUnavailableError):
        caller.find()
    assert time.monotonic() == 0.0
