"""Reading WaveSpeedAI's answers piece by piece: the envelope, the prediction, its ending."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegen.backends.wavespeed.predictions import (
    APP_CODES,
    UNSERVED,
    Envelope,
    Prediction,
    outcome,
    polled,
    refusal,
    submitted,
)
from imagegen.errors import (
    ConfigurationError,
    ContentPolicyError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
)
from imagegen.flow import Reply
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job, Notice
from imagegen.testing import reply

TEXT = "minimax/image-01/text-to-image"
JOB = Job(provider="wavespeed", model=TEXT, id="p1", request=ImageRequest("x", n=2, seed=7))
CONTEXT = {"provider": "wavespeed", "model": TEXT}
URL = "https://h/1.png"
CREATED = "2026-11-20T10:11:12.027Z"


def refused(answer: Reply) -> ImageGenError:
    with pytest.raises(ImageGenError) as caught:
        submitted(answer, CONTEXT)
    return caught.value


def untold(answer: Reply, identity: str = "p1") -> ImageGenError:
    with pytest.raises(ImageGenError) as caught:
        polled(answer, identity)
    return caught.value


def ended(status: str = "completed", **fields: Any) -> Generation:
    return outcome(Prediction("p1", status=status, **fields), JOB, None, {"raw": "reply"})


def failed(status: str = "failed", **fields: Any) -> ImageGenError:
    with pytest.raises(ImageGenError) as caught:
        ended(status, **fields)
    return caught.value


# The envelope


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        ("theirs", "other", "theirs"),
        ("", "other", "other"),
        (None, "other", "other"),
        (7, "other", "other"),
        (["x"], None, ""),
        (None, None, ""),
    ],
)
def test_the_words_are_the_first_that_are_some(message: Any, error: Any, words: str) -> None:
    assert Envelope(message=message, error=error).words == words
    assert Envelope().words == ""


@pytest.mark.parametrize(
    ("code", "status", "number"),
    [
        (200, 200, None),
        (299, 299, None),
        (300, 200, 300),
        (None, 300, 300),
        (200, 300, 300),
        (1200, 400, 1200),
        ("400", 200, None),
        (True, 400, 400),
    ],
)
def test_a_code_or_status_from_300_is_a_refusal(code: Any, status: int, number: int | None) -> None:
    assert Envelope(code=code).refusal_number(reply(status=status)) == number


# The prediction


@pytest.mark.parametrize("identity", ["a", "X", "a" * 200, "X.X", "..a", " "])
def test_an_id_that_a_path_can_hold_is_one(identity: str) -> None:
    assert Prediction(identity).id == identity


@pytest.mark.parametrize("identity", ["", "a" * 201, ".", "..", "..."])
def test_an_id_that_no_path_can_hold_is_none(identity: str) -> None:
    with pytest.raises(ValueError, match=r"^a prediction id that no path can hold$"):
        Prediction(identity)


@pytest.mark.parametrize("status", [None, 7, [], {}])
def test_a_status_that_is_no_word_is_not_known_and_no_end(status: Any) -> None:
    prediction = Prediction("p1", status=status)
    assert (prediction.state, prediction.is_over) == ("unknown", False)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (CREATED, datetime(2026, 11, 20, 10, 11, 12, 27000, UTC)),
        ("2026-11-20T10:11:12Z", datetime(2026, 11, 20, 10, 11, 12, 0, UTC)),
        ("2026-11-20T10:11:12.123456789Z", datetime(2026, 11, 20, 10, 11, 12, 123456, UTC)),
        ("2026-11-20T10:11:12.5+02:00", datetime(2026, 11, 20, 8, 11, 12, 500000, UTC)),
        ("2026-13-20T10:11:12Z", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_the_moment_of_creation_is_read_in_utc(text: Any, moment: datetime | None) -> None:
    assert Prediction("p1", created_at=text).created == moment


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is a POSIX matter")
def test_the_machine_s_own_zone_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        created = Prediction("p1", created_at=CREATED).created
    finally:
        monkeypatch.undo()
        time.tzset()
    assert created is not None
    assert created.tzinfo is UTC


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(1, 0.001), (25_729, 25.729), (0, None), (-1, None), (True, None), (2.5, None)],
)
def test_a_time_is_told_in_milliseconds(told: Any, seconds: float | None) -> None:
    assert Prediction("p1", executionTime=told).execution_seconds == seconds


# A submission


def test_a_refusal_that_leaves_it_open_is_unknown_with_its_code() -> None:
    error = refused(reply({"code": 5000, "message": ""}, status=200))
    assert type(error) is SubmissionUnknownError
    assert (error.code, error.status, error.message) == (5000, 200, "HTTP 200 without a reason")
    assert (error.provider, error.model) == ("wavespeed", TEXT)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"message": "no"}, 499, SubmissionUnknownError),
        ({"message": "no"}, 500, SubmissionUnknownError),
        ({"code": 503, "message": "no"}, 503, ProviderUnavailableError),
        ({"code": 501, "message": "no"}, 200, ProviderUnavailableError),
        ({"code": 529, "message": "no"}, 529, ProviderUnavailableError),
        ({"code": 530, "message": "no"}, 530, SubmissionUnknownError),
        ({"code": 500, "message": "no"}, 500, SubmissionUnknownError),
        ({"code": 200, "message": "no"}, 200, SubmissionUnknownError),
        ({"code": 5003, "message": "no"}, 200, ProviderUnavailableError),
        ({"code": 5004, "message": "no"}, 200, SubmissionUnknownError),
        ({"code": 1403, "message": "no"}, 200, JobFailedError),
    ],
)
def test_only_a_definite_refusal_is_one(
    body: dict[str, Any], status: int, kind: type[ImageGenError]
) -> None:
    assert type(refused(reply(body, status=status))) is kind


@pytest.mark.parametrize(
    ("body", "status"), [({"message": "no"}, 500), ({"code": 200, "message": "no"}, 200), ([], 499)]
)
def test_an_answer_that_is_not_the_provider_s_own_is_quoted(body: Any, status: int) -> None:
    error = refused(reply(body, status=status))
    assert type(error) is SubmissionUnknownError
    assert error.message.startswith(f"HTTP {status} without a readable answer: ")


def test_the_codes_that_say_no_are_the_documented_ones() -> None:
    assert sorted(APP_CODES) == [
        1200, 1400, 1401, 1402, 1403, 1405, 1406, 1407, 5000, 5003, 5004,
    ]  # fmt: skip
    assert sorted(UNSERVED) == [501, 503, 529]


BROKEN = b'{"code": 200, "data": {"id": "abcdefgh-1234", "status": "crea'


def test_the_id_in_an_answer_that_broke_off_is_kept() -> None:
    prediction, raw = submitted(reply(body=BROKEN), CONTEXT)
    assert (prediction, raw) == (Prediction("abcdefgh-1234"), None)


@pytest.mark.parametrize("status", [300, 301, 400, 500])
def test_an_answer_that_broke_off_under_an_http_error_has_no_id(status: int) -> None:
    assert refused(reply(body=BROKEN, status=status)).job is None


def test_an_id_is_looked_for_where_an_answer_begins() -> None:
    ident = b'"id": "abcdefgh"'
    near = b"{" + b" " * (4000 - 1 - len(ident)) + ident
    assert submitted(reply(body=near), CONTEXT)[0].id == "abcdefgh"
    with pytest.raises(SubmissionUnknownError):
        submitted(reply(body=b"{ " + near[1:]), CONTEXT)


def test_a_bare_prediction_is_one_only_where_nothing_refuses() -> None:
    bare = {"id": "p1", "status": "created"}
    assert submitted(reply(bare), CONTEXT)[0].id == "p1"
    with pytest.raises(ImageGenError):
        submitted(reply(bare, status=429), CONTEXT)
    with pytest.raises(SubmissionUnknownError):
        submitted(reply({"id": "p1"}), CONTEXT)


# A poll


def test_a_poll_without_a_prediction_tells_its_status_and_the_wait_asked_for() -> None:
    error = untold(reply({"code": 200, "data": None}, headers={"Retry-After": "7"}))
    assert type(error) is MalformedReplyError
    assert (error.status, error.retry_after) == (200, 7.0)
    assert error.message == "a poll was answered with HTTP 200 and no such prediction"


def test_a_poll_for_what_is_gone_says_how_long_it_is_kept() -> None:
    error = untold(reply({"code": 404, "message": "gone"}, status=404))
    assert type(error) is JobFailedError
    assert error.message == "the prediction is not known (any more): gone"
    assert (error.advice, error.status) == ("WaveSpeedAI keeps predictions for 7 days", 404)


def test_a_poll_that_is_refused_for_its_content_is_a_failed_job() -> None:
    error = untold(reply({"code": 1200, "message": "not that"}, status=400))
    assert type(error) is JobFailedError
    assert (error.message, error.status, error.code) == ("not that", 400, 1200)


def test_the_pictures_of_a_poll_are_put_back_in() -> None:
    body = b'{"code": 200, "data": {"id": "p1", "status": "completed", "outputs": ["name"]}}'
    answer = Reply(200, {}, body, datetime(2026, 1, 1, tzinfo=UTC), pictures={"name": b"\x89PNG"})
    assert polled(answer, "p1")[0].outputs == [b"\x89PNG"]


# A refusal


@pytest.mark.parametrize(
    ("number", "words", "kind"),
    [
        (400, "insufficient credits", InsufficientBalanceError),
        (402, "Insufficient Balance", InsufficientBalanceError),
        (403, "insufficient funds", InsufficientBalanceError),
        (400, "Flagged as sexual", ContentPolicyError),
        (402, "content moderation", ContentPolicyError),
        (403, "NSFW content", ContentPolicyError),
        (404, "flagged as lost", ConfigurationError),
        (429, "flagged as too many", RateLimitError),
        (1400, "flagged as wrong", InvalidRequestError),
        (599, "", ProviderUnavailableError),
        (600, "", ProviderUnavailableError),
        (9999, "", ProviderUnavailableError),
    ],
)
def test_a_refusal_is_told_by_its_number_and_then_by_its_words(
    number: int, words: str, kind: type[ImageGenError]
) -> None:
    error = refusal(number, Envelope(message=words), reply(status=400), CONTEXT)
    assert (type(error), error.message) == (kind, words or "HTTP 400 without a reason")


@pytest.mark.parametrize(("number", "status", "code"), [(599, 599, None), (600, 400, 600)])
def test_a_number_from_600_is_a_code_and_one_below_a_status(
    number: int, status: int, code: int | None
) -> None:
    error = refusal(number, Envelope(message="no"), reply(status=400), CONTEXT)
    assert (error.status, error.code) == (status, code)


# An ending


@pytest.mark.parametrize(
    ("status", "charged"),
    [("failed", "no"), ("timeout", "no"), ("cancelled", "unknown"), ("deleted", "unknown")],
)
def test_an_ending_without_pictures_says_how_and_what_it_cost(status: str, charged: str) -> None:
    error = failed(status, error="no power", code=5004)
    assert type(error) is JobFailedError
    assert error.message == f"the prediction ended as {status}: no power"
    assert (error.charged, error.code, error.job, error.request_id) == (charged, 5004, JOB, "p1")


@pytest.mark.parametrize("odd", [None, 7, [], ""])
def test_an_ending_without_words_says_so(odd: Any) -> None:
    error = failed(error=odd, code="1200")
    assert error.message == "the prediction ended as failed: no reason given"
    assert (type(error), error.code) == (JobFailedError, None)


@pytest.mark.parametrize("flags", [None, [False], [True], [True, True]])
def test_an_end_without_a_usable_picture_was_paid_for_and_has_its_job(flags: Any) -> None:
    error = failed("completed", outputs=["xx"], has_nsfw_contents=flags)
    blocked = isinstance(flags, list) and True in flags
    assert type(error) is (ContentPolicyError if blocked else MalformedReplyError)
    assert error.message == "the prediction completed without a usable picture"
    assert (error.charged, error.job, error.request_id) == ("yes", JOB, "p1")


@pytest.mark.parametrize("outputs", [[URL], [URL, "xx"], [URL, None]])
@pytest.mark.parametrize("flagged", [True, False])
def test_each_missing_picture_says_why_and_was_paid_for(
    outputs: list[Any], *, flagged: bool
) -> None:
    generation = ended(outputs=outputs, has_nsfw_contents=[flagged] * len(outputs))
    (failure,) = generation.failures
    withheld = flagged and len(outputs) == 2
    assert failure.error == ("ContentPolicyError" if withheld else "MalformedReplyError")
    assert failure.message == (
        "WaveSpeedAI delivered fewer"
        if len(outputs) == 1
        else "flagged, and withheld" if flagged else "the output is no picture"
    )  # fmt: skip
    assert (failure.index, failure.charged) == (1, "yes")
    assert (failure.request_id, failure.job) == ("p1", JOB)


def test_a_generation_says_all_that_is_known_of_it() -> None:
    generation = ended(
        outputs=[URL, {"url": URL}],
        has_nsfw_contents=[True, False],
        created_at=CREATED,
        executionTime=2500,
        model="another " * 20,
    )
    created = datetime(2026, 11, 20, 10, 11, 12, 27000, UTC)
    assert [image.url for image in generation.images] == [URL, URL]
    assert [image.nsfw for image in generation.images] == [True, False]
    assert {image.seed for image in generation.images} == {7}
    assert {image.request_id for image in generation.images} == {"p1"}
    assert {image.expires_at for image in generation.images} == {created + timedelta(hours=24)}
    (attempt,) = generation.attempts
    assert (attempt.provider, attempt.model, attempt.n, attempt.images) == ("wavespeed", TEXT, 2, 2)
    assert (attempt.execution_seconds, attempt.created_at) == (2.5, created)
    assert (generation.provider, generation.model, generation.job) == ("wavespeed", TEXT, JOB)
    named = f"WaveSpeedAI names {('another ' * 20)[:79] + '…'!r} as the model"
    assert generation.notices == (Notice("delivered", "model", named),)
    assert generation.raw == ({"raw": "reply"},)


@pytest.mark.parametrize("model", [TEXT, None, 7, []])
def test_the_same_model_and_none_need_no_notice(model: Any) -> None:
    assert ended(outputs=[URL, URL], model=model).notices == ()


def test_base64_does_not_expire() -> None:
    inline = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
    images = ended(outputs=[inline, URL], created_at=CREATED).images
    assert [image.expires_at is None for image in images] == [True, False]
