"""What WaveSpeedAI answers to a submission and to polls, and what becomes of it."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from imagegen.backends.base import Terms
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
)
from imagegen.events import Polled
from imagegen.flow import Call, Done, Flow, Pause, Reply, advance
from imagegen.request import ImageRequest
from imagegen.result import GeneratedImage, Generation, Job
from imagegen.testing import Played, play, reply

KEY = "ws-made-up-key-0123456789"
ID = "6488c2754f6f4dfea924382fa14d11bd"
TEXT = "minimax/image-01/text-to-image"
URL = "https://d11ewybssaphwx.cloudfront.net/output/1.jpg"
JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x02\x00\x04\x00\x03"
CREATED = datetime(2026, 11, 20, 10, 11, 12, 27000, tzinfo=UTC)
FOX = ImageRequest("x")
HTML = b"<html><body>504 Gateway Time-out</body></html>"


def prediction(status: object = "completed", outputs: object = (URL,), **more: Any) -> Any:
    return {
        "id": ID,
        "model": TEXT,
        "outputs": list(outputs) if isinstance(outputs, tuple) else outputs,
        "urls": {"get": f"https://elsewhere.example/predictions/{ID}/result"},
        "has_nsfw_contents": [],
        "status": status,
        "created_at": "2026-11-20T10:11:12.027Z",
        "error": "",
        "executionTime": 0,
        **more,
    }


def told(status: object = "completed", outputs: object = (URL,), **more: Any) -> Reply:
    data = prediction(status, outputs, **more)
    return reply({"code": 200, "message": "success", "data": data})


ACCEPTED, WORKING, DONE = told("created", ()), told("processing", ()), told()


def submitted(
    *answers: Reply | BaseException,
    backend: WaveSpeed | None = None,
    model: str = TEXT,
    terms: Terms | None = None,
    **request: Any,
) -> Played[Job]:
    flow = (backend or WaveSpeed()).submit(ImageRequest("x", **request), model, terms or Terms())
    return play(flow, *answers)


def job_for(request: ImageRequest = FOX, model: str = TEXT) -> Job:
    return Job(provider="wavespeed", model=model, id=ID, request=request)


def settled(
    *answers: Reply | BaseException, backend: WaveSpeed | None = None, **request: Any
) -> Played[Generation]:
    job = job_for(ImageRequest("x", **request))
    return play((backend or WaveSpeed()).settle(job), *answers)


def generating(backend: WaveSpeed, request: ImageRequest) -> Flow[Generation]:
    job = yield from backend.submit(request, TEXT, Terms())
    return job.settled or (yield from backend.settle(job))


def refusal(*answers: Reply | BaseException, **more: Any) -> ImageGenError:
    with pytest.raises(ImageGenError) as caught:
        submitted(*answers, **more)
    return caught.value


def ending(*answers: Reply | BaseException, **more: Any) -> ImageGenError:
    with pytest.raises(ImageGenError) as caught:
        settled(*answers, **more)
    return caught.value


def picture(outputs: object = (URL,), **more: Any) -> GeneratedImage:
    [image] = settled(told("completed", outputs, **more)).value.images
    return image


# Submission


@pytest.mark.parametrize("status", ["created", "processing", "pending", "in_queue", "", "Failed"])
def test_an_accepted_prediction_is_a_job_to_ask_for(status: str) -> None:
    job = submitted(told(status, ()), n=2).value
    assert (job.id, job.model, job.provider) == (ID, TEXT, "wavespeed")
    assert job.created_at == CREATED
    assert job.settled is None
    assert job.request.n == 2


def test_the_submission_is_one_paid_post_without_the_key() -> None:
    for host in (None, "http://127.0.0.1:9/proxy"):
        backend = WaveSpeed(api_key=KEY, base_url=host)
        played = submitted(ACCEPTED, backend=backend)
        [call] = played.calls
        assert call.url == f"{host or 'https://api.wavespeed.ai'}/api/v3/{TEXT}"
        assert (call.method, call.account, call.paid) == ("POST", "wavespeed", True)
        assert KEY not in repr((call, call.json, played.events, backend))


@pytest.mark.parametrize(
    ("status", "code"), [(200, 400), (400, 400), (402, None), (429, 429), (500, 500), (504, 200)]
)
def test_a_paid_id_is_kept_whatever_surrounds_it(status: int, code: int | None) -> None:
    answer = reply({"code": code, "message": "?", "data": prediction("created")}, status=status)
    assert submitted(answer).value.id == ID


@pytest.mark.parametrize(
    "odd",
    [
        {"code": "200", "message": "success", "data": prediction("created")},
        {"code": 200, "data": prediction(None)},
        {"code": 200, "data": prediction(3)},
        {"code": 200, "data": {"id": ID}},
        prediction("created"),
    ],
)
def test_a_paid_id_is_kept_even_in_an_odd_answer(odd: dict[str, Any]) -> None:
    assert submitted(reply(odd)).value.id == ID


@pytest.mark.parametrize("found", ["", "a" * 1000, 5, None, [ID], {}])
def test_an_id_that_is_none_leaves_the_charge_unknown(found: object) -> None:
    error = refusal(told("created", (), id=found))
    assert (type(error), error.charged) == (SubmissionUnknownError, "unknown")


@pytest.mark.parametrize("found", ["../balance", "a/b", "a?b=c", "a b", "a#b", "a%2Fb", "..", "."])
@pytest.mark.parametrize("stored", [True, False])
def test_an_odd_id_never_leads_to_another_path(found: str, *, stored: bool) -> None:
    """A segment of one or two dots is taken out of a URL by those who send it."""
    prefix = "https://api.wavespeed.ai/api/v3/predictions/"
    try:
        job = evolve(job_for(), id=found) if stored else submitted(told("created", id=found)).value
        calls = play(WaveSpeed().settle(job), told(id=found)).calls
    except ImageGenError:
        return
    segment, slash, rest = calls[0].url.removeprefix(prefix).partition("/")
    assert (slash, rest) == ("/", "result")
    assert segment not in (".", "..", found)


@pytest.mark.parametrize("status", [400, 401, 429])
def test_the_id_of_a_refusal_is_no_prediction(status: int) -> None:
    """Gateways number their errors."""
    error = refusal(reply({"code": status, "message": "no", "id": "req-12345678"}, status=status))
    assert (type(error) is not SubmissionUnknownError, error.charged) == (True, "no")
    assert error.job is None


REFUSALS: list[tuple[int, Any, type[ImageGenError], int | None]] = [
    (400, {"code": 400, "message": "model not found"}, InvalidRequestError, 400),
    (200, {"code": 400, "message": "model not found"}, InvalidRequestError, 400),
    (200, {"code": 400, "message": "bad", "data": None}, InvalidRequestError, 400),
    (400, {"error": "webhook callback does not support it"}, InvalidRequestError, 400),
    (400, {"code": 400, "message": "Insufficient credits."}, InsufficientBalanceError, 400),
    (402, {"code": 402, "message": "Payment required"}, InsufficientBalanceError, 402),
    (400, {"code": 1407, "message": "insufficient_credits"}, InsufficientBalanceError, 400),
    (401, {"code": 401, "message": "invalid API key"}, AuthenticationError, 401),
    (403, {"code": 403, "message": "account suspended"}, AuthenticationError, 403),
    (404, {"code": 404, "message": "model not found"}, ConfigurationError, 404),
    (413, {"code": 413, "message": "too large"}, InvalidRequestError, 413),
    (429, {"code": 429, "message": "concurrency limit"}, RateLimitError, 429),
    (200, {"code": 429, "message": "concurrency limit"}, RateLimitError, 429),
    (
        400,
        {"code": 400, "message": "Content flagged as potentially sensitive."},
        ContentPolicyError,
        400,
    ),
    (400, {"code": 1200, "message": "no"}, ContentPolicyError, 400),
    (400, {"code": 1400, "message": "missing"}, InvalidRequestError, 400),
    (200, {"code": 1401, "message": "invalid"}, InvalidRequestError, 200),
    (200, {"code": 1402, "message": "not fetched"}, InvalidRequestError, 200),
    (200, {"code": 1403, "message": "failed"}, JobFailedError, 200),
    (200, {"code": 1405, "message": "failed"}, JobFailedError, 200),
    (200, {"code": 1406, "message": "retries"}, ProviderUnavailableError, 200),
    (501, {"code": 501, "message": "never"}, ProviderUnavailableError, 501),
    (503, {"code": 503, "message": "busy"}, ProviderUnavailableError, 503),
    (503, {"code": 5003, "message": "busy"}, ProviderUnavailableError, 503),
    (401, HTML, AuthenticationError, 401),
    (403, b"", AuthenticationError, 403),
    (404, b"404 page not found", ConfigurationError, 404),
    (429, HTML, RateLimitError, 429),
]


@pytest.mark.parametrize(("status", "answer", "kind", "told_status"), REFUSALS)
def test_a_refusal_is_the_error_that_a_caller_acts_on(
    status: int, answer: Any, kind: type[ImageGenError], told_status: int | None
) -> None:
    body = answer if isinstance(answer, bytes) else None
    error = refusal(reply(answer if body is None else None, status=status, body=body))
    assert (type(error), error.charged) == (kind, "no")
    assert error.status == told_status
    assert (error.provider, error.model, error.job) == ("wavespeed", TEXT, None)
    if body is None:
        assert (answer.get("message") or answer["error"]) in str(error)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, HTML),
        (200, b""),
        (200, b'{"code":200,"message":"success","data":{"id":"'),
        (200, b"null"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"code":200,"message":"success","data":null}'),
        (200, b'{"code":200,"message":"success","data":[]}'),
        (200, b'{"code":0}'),
        (200, b'{"error":"something"}'),
        (201, b'{"code":201}'),
        (302, HTML),
        (408, HTML),
        (500, b"{}"),
        (500, b'{"error":"internal"}'),
        (502, HTML),
        (503, b"upstream connect error"),
        (504, HTML),
        (504, b'{"message":"Endpoint request timed out"}'),
        (504, b'{"code":200,"message":"success"}'),
        (200, b'{"code":5004,"message":"Sync mode timed out after 90 seconds."}'),
        (408, b'{"code":408,"message":"request timeout"}'),
        (499, b"<html>client closed request</html>"),
    ],
)
def test_an_answer_that_nobody_can_read_leaves_the_charge_unknown(
    status: int, answer: bytes
) -> None:
    error = refusal(reply(status=status, body=answer))
    assert (type(error), error.charged) == (SubmissionUnknownError, "unknown")
    assert (error.provider, error.model, error.status) == ("wavespeed", TEXT, status)


def test_an_innocent_word_is_no_content_refusal() -> None:
    error = refusal(reply({"code": 400, "message": "size is case-sensitive"}, status=400))
    assert type(error) is InvalidRequestError


def test_a_rate_limit_keeps_the_wait_that_was_asked_for() -> None:
    for body in ({"code": 429, "message": "slow"}, {"code": 5003, "message": "busy"}):
        error = refusal(reply(body, status=429, headers={"Retry-After": "9"}))
        assert isinstance(error, BackendError)
        assert error.retry_after == 9.0


@pytest.mark.parametrize("kind", [TransportError, DeadlineExceededError])
@pytest.mark.parametrize("sent", [True, False])
def test_without_an_answer_it_matters_whether_a_byte_went_out(
    kind: type[TransportError | DeadlineExceededError], *, sent: bool
) -> None:
    error = refusal(kind("broken", sent=sent))
    assert type(error) is (SubmissionUnknownError if sent else kind)
    assert error.charged == ("unknown" if sent else "no")


def test_an_interrupted_submission_says_that_it_may_be_billed() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        submitted(KeyboardInterrupt())
    assert "may be billed" in "".join(caught.value.__notes__)


def test_a_prediction_that_fails_at_once_is_an_error_with_its_job() -> None:
    error = refusal(told("failed", (), error="no", code=1405))
    assert (type(error), error.charged, error.code) == (JobFailedError, "no", 1405)
    assert error.job is not None
    assert error.job.id == ID


# Sync mode


def test_sync_mode_settles_with_the_submission() -> None:
    played = submitted(DONE, backend=WaveSpeed(sync_mode=True))
    assert played.calls[0].json is not None
    assert played.calls[0].json["enable_sync_mode"] is True
    assert played.value.settled is not None
    assert [i.url for i in played.value.settled.images] == [URL]
    assert played.value.settled.job == evolve(played.value, settled=None)


def test_after_a_sync_timeout_the_same_id_is_polled_and_nothing_is_posted_again() -> None:
    late = told("processing", (), code=5004, error="Sync mode timed out after 90 seconds.")
    played = play(generating(WaveSpeed(sync_mode=True), FOX), late, late, DONE)
    assert [(c.method, c.paid) for c in played.calls] == [
        ("POST", True),
        ("GET", False),
        ("GET", False),
    ]
    assert {c.url.split("/predictions/")[1] for c in played.calls[1:]} == {f"{ID}/result"}
    assert [i.url for i in played.value.images] == [URL]


# Polling


def test_polls_ask_their_own_host_and_carry_no_key() -> None:
    backend = WaveSpeed(api_key=KEY, base_url="http://127.0.0.1:9")
    played = settled(WORKING, DONE, backend=backend)
    assert {c.url for c in played.calls} == {f"http://127.0.0.1:9/api/v3/predictions/{ID}/result"}
    assert {(c.method, c.account, c.paid, c.timeout) for c in played.calls} == {
        ("GET", "wavespeed", False, 30.0)
    }
    assert KEY not in repr([(c, c.json) for c in played.calls]) + repr(played.events)


def test_waits_grow_to_their_ceiling() -> None:
    played = settled(*[WORKING] * 6, DONE)
    assert played.pauses == (2.0, 2.5, 3.125, 3.90625, 4.8828125, 5.0, 5.0)
    slow = WaveSpeed(first_poll=10, poll_growth=2, slowest_poll=3)
    assert settled(WORKING, WORKING, DONE, backend=slow).pauses == (10, 3, 3)
    even = WaveSpeed(first_poll=1, poll_growth=1)
    assert settled(WORKING, WORKING, DONE, backend=even).pauses == (1, 1, 1)


@pytest.mark.parametrize("status", ["created", "processing", "pending", "COMPLETED", "?" * 500, ""])
def test_a_status_that_is_no_ending_keeps_polling(status: str) -> None:
    played = settled(*[told(status, ())] * 30, DONE)
    assert len(played.calls) == 31
    assert len(played.value.images) == 1


def test_each_poll_is_an_event_in_the_provider_s_word() -> None:
    answers = (told("created", ()), reply(status=500), told("processing", ()), DONE)
    events = settled(*answers).events
    words = [event.status for event in events if isinstance(event, Polled)]
    assert words == ["created", "no answer", "processing", "completed"]
    assert [event.job for event in events if isinstance(event, Polled)] == [job_for()] * 4


@pytest.mark.parametrize(
    ("status", "charged"),
    [("failed", "no"), ("timeout", "no"), ("cancelled", "unknown"), ("deleted", "unknown")],
)
def test_an_ending_without_pictures_carries_the_job_and_the_charge(
    status: str, charged: str
) -> None:
    error = ending(WORKING, told(status, (), error="because"))
    assert (type(error), error.charged) == (JobFailedError, charged)
    assert error.job == job_for()
    assert (error.provider, error.model, error.request_id) == ("wavespeed", TEXT, ID)
    assert "because" in str(error)


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (0, "", JobFailedError),
        (None, None, JobFailedError),
        ("1200", 5, JobFailedError),
        (True, "", JobFailedError),
        (1200, "", ContentPolicyError),
        (0, "Content flagged as potentially sensitive.", ContentPolicyError),
        (1400, "", InvalidRequestError),
        (1401, "", InvalidRequestError),
        (1402, "Failed to download image from the provided URL.", InvalidRequestError),
        (1403, "", JobFailedError),
        (1405, "", JobFailedError),
        (1406, "", ProviderUnavailableError),
        (1407, "", InsufficientBalanceError),
        (5000, "", ProviderUnavailableError),
        (5003, "", ProviderUnavailableError),
        (5004, "", JobFailedError),
        (99999, "", JobFailedError),
    ],
)
def test_the_application_code_says_why_it_failed(
    code: object, words: object, kind: type[ImageGenError]
) -> None:
    error = ending(told("failed", (), code=code, error=words))
    assert type(error) is kind
    assert error.charged == "no"
    assert error.job is not None


BAD_POLLS: list[Reply | BaseException] = [
    reply({"code": 500, "message": "internal"}, status=500),
    reply({"code": 500, "message": "internal"}),
    reply({"code": 5003, "message": "busy"}),
    reply(body=HTML, status=502),
    reply(body=HTML, status=504),
    reply(body=HTML),
    reply(body=b"{"),
    reply({}),
    reply({"code": 200, "message": "success", "data": None}),
    reply({"code": 429, "message": "slow"}, status=429),
    reply(body=b"", status=408),
    TransportError("reset"),
    TransportError("refused", sent=False),
]


def fresh(fault: Reply | BaseException) -> Reply | BaseException:
    """Errors gather what the flow knows, so each test raises its own."""
    if isinstance(fault, TransportError):
        return TransportError(fault.message, sent=fault.sent)
    return fault


@pytest.mark.parametrize("fault", BAD_POLLS)
def test_a_bad_poll_is_tolerated_and_submits_nothing(fault: Reply | BaseException) -> None:
    bad = [fresh(fault) for _ in range(8)]
    played = play(generating(WaveSpeed(), FOX), ACCEPTED, *bad, WORKING, *bad, DONE)
    assert len(played.value.images) == 1
    assert [c.method for c in played.calls] == ["POST"] + ["GET"] * 18


@pytest.mark.parametrize("fault", BAD_POLLS)
@pytest.mark.parametrize("tolerated", [0, 3])
def test_too_many_bad_polls_end_the_wait_but_not_the_job(
    fault: Reply | BaseException, tolerated: int
) -> None:
    bad = [fresh(fault) for _ in range(tolerated + 1)]
    error = ending(*bad, backend=WaveSpeed(poll_failures=tolerated))
    assert error.job == job_for()
    assert error.charged in ("yes", "unknown")
    assert (error.provider, error.model) == ("wavespeed", TEXT)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InsufficientBalanceError),
        (403, AuthenticationError),
    ],
)
def test_a_refused_poll_ends_the_wait_and_does_not_deny_the_charge(
    status: int, kind: type[ImageGenError]
) -> None:
    error = ending(reply({"code": status, "message": "no"}, status=status))
    assert type(error) is kind
    assert error.job == job_for()
    assert error.charged in ("yes", "unknown")


@pytest.mark.parametrize(
    "answer",
    [
        reply({"code": 404, "message": "Prediction not found"}, status=404),
        reply({"code": 404, "message": "Prediction not found"}),
    ],
)
def test_a_prediction_that_stays_unknown_is_a_failed_job_but_maybe_paid(answer: Reply) -> None:
    error = ending(*[answer] * 20)
    assert (type(error), error.status) == (JobFailedError, 404)
    assert error.charged in ("yes", "unknown")
    assert error.job == job_for()


@pytest.mark.parametrize(
    ("header", "wait"), [("60", 60.0), ("1", 2.5), ("0", 2.5), ("1e9", 2.5), ("999999999", 86400.0)]
)
def test_a_poll_waits_as_long_as_it_is_told(header: str, wait: float) -> None:
    slow = reply({"code": 429, "message": "slow"}, status=429, headers={"Retry-After": header})
    pauses = settled(slow, WORKING, DONE).pauses
    assert pauses[1] == wait
    assert pauses[2] <= 5.0


def test_an_unavailable_service_s_wait_is_heeded_under_its_own_code_too() -> None:
    busy = reply({"code": 5003, "message": "busy"}, status=503, headers={"Retry-After": "60"})
    assert settled(busy, DONE).pauses[1] == 60.0


@pytest.mark.parametrize("sent", [True, False])
def test_the_deadline_ends_the_wait_with_the_job(*, sent: bool) -> None:
    error = ending(WORKING, DeadlineExceededError("time is up", sent=sent))
    assert type(error) is DeadlineExceededError
    assert error.job == job_for()
    assert error.charged == "yes"


def test_an_interrupted_wait_names_the_job() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        settled(WORKING, KeyboardInterrupt())
    assert ID in "".join(caught.value.__notes__)


# Results


def test_a_completed_prediction_is_told_whole() -> None:
    request = ImageRequest("x", n=2, seed=9)
    done = told("completed", (URL, f"{URL}?2"), has_nsfw_contents=[False, True], executionTime=5)
    generation = play(WaveSpeed().settle(job_for(request)), done).value
    assert [(i.url, i.seed, i.nsfw, i.request_id) for i in generation.images] == [
        (URL, 9, False, ID),
        (f"{URL}?2", 9, True, ID),
    ]
    assert generation.failures == ()
    cost = generation.cost
    assert (str(cost.amount), cost.currency, cost.basis) == ("0.0070", "USD", "list-price")
    [attempt] = generation.attempts
    assert (attempt.n, attempt.images, attempt.charged) == (2, 2, "yes")
    assert (attempt.execution_seconds, attempt.created_at) == (0.005, CREATED)
    assert generation.job == job_for(request)


@pytest.mark.parametrize("flags", [None, [], [True, False], {}, "no", [None], ["true"], [0]])
def test_a_missing_or_odd_flag_is_no_flag(flags: object) -> None:
    assert picture(has_nsfw_contents=flags).nsfw is None


def test_an_absent_flag_is_no_flag() -> None:
    data = prediction()
    del data["has_nsfw_contents"], data["executionTime"], data["error"], data["created_at"]
    generation = settled(reply({"code": 200, "data": data})).value
    assert generation.images[0].nsfw is None
    assert generation.images[0].expires_at is None
    assert generation.attempts[0].execution_seconds is None


def test_a_flag_is_given_with_its_picture() -> None:
    assert picture(has_nsfw_contents=[True]).nsfw is True


@pytest.mark.parametrize("outputs", [None, [], {}, "", 5, [None], [""], [5], [{}], [{"url": 5}]])
def test_completed_without_a_usable_picture_is_an_error_that_was_paid(outputs: object) -> None:
    error = ending(told("completed", outputs))
    assert (type(error), error.charged) == (MalformedReplyError, "yes")
    assert error.job == job_for()


@pytest.mark.parametrize("outputs", [[None], [""], [], None])
def test_completed_with_everything_flagged_and_withheld_is_a_content_refusal(
    outputs: object,
) -> None:
    error = ending(told("completed", outputs, has_nsfw_contents=[True]))
    assert (type(error), error.charged) == (ContentPolicyError, "yes")


def test_fewer_pictures_than_asked_for_are_delivered_with_failures_in_place() -> None:
    generation = settled(told("completed", (URL, None, "")), n=5, seed=1).value
    assert len(generation.images) == 1
    assert [(f.error, f.index) for f in generation.failures] == [
        ("MalformedReplyError", 1),
        ("MalformedReplyError", 2),
        ("MalformedReplyError", 3),
        ("MalformedReplyError", 4),
    ]
    assert str(generation.cost.amount) == "0.0175"
    assert {f.request_id for f in generation.failures} == {ID}
    assert generation.failures[0].job == job_for(generation.request)


def test_a_withheld_picture_among_others_is_a_content_failure() -> None:
    flags = [False, True, False]
    generation = settled(told("completed", (URL, "", 5), has_nsfw_contents=flags), n=3).value
    assert [(f.error, f.index) for f in generation.failures] == [
        ("ContentPolicyError", 1),
        ("MalformedReplyError", 2),
    ]


def test_an_output_may_be_an_object_that_holds_the_url() -> None:
    assert picture(({"url": URL, "type": "image"},)).url == URL


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_inline_outputs_carry_their_bytes_and_true_size(prefix: str) -> None:
    image = picture((prefix + base64.b64encode(JPEG).decode(),))
    assert image.data == JPEG
    assert (image.media_type, image.width, image.height) == ("image/jpeg", 1024, 512)
    assert (image.url, image.expires_at) == (None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-05-19T06:09:15Z", "2025-05-19T06:09:15+00:00"),
        ("2025-05-19T06:09:15.92Z", "2025-05-19T06:09:15.920000+00:00"),
        ("2025-05-19T06:09:15.027Z", "2025-05-19T06:09:15.027000+00:00"),
        ("2025-05-19T06:09:15.0271Z", "2025-05-19T06:09:15.027100+00:00"),
        ("2025-05-19T06:09:15.123456Z", "2025-05-19T06:09:15.123456+00:00"),
        ("2025-05-19T06:09:15.1234567Z", "2025-05-19T06:09:15.123456+00:00"),
        ("2025-05-19T06:09:15.948268264Z", "2025-05-19T06:09:15.948268+00:00"),
        ("2025-02-30T06:09:15Z", None),
        ("2025-05-19T06:09:15", None),
        ("2025-05-19 06:09:15Z", None),
        ("-------------------Z", None),
        ("yesterday", None),
        ("", None),
        (1747634955, None),
        (None, None),
    ],
)
def test_creation_times_have_any_number_of_digits(text: object, expected: str | None) -> None:
    created = submitted(told("created", (), created_at=text)).value.created_at
    assert (created.isoformat() if created else None) == expected


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_a_creation_time_at_the_end_of_time_does_not_lose_the_pictures(text: str) -> None:
    assert picture(created_at=text).url == URL


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [(25729, 25.729), (0, None), (-5, None), (None, None), ("25729", None), (True, None)],
)
def test_execution_time_comes_in_milliseconds(milliseconds: object, seconds: float | None) -> None:
    generation = settled(told(executionTime=milliseconds)).value
    assert generation.attempts[0].execution_seconds == seconds


def test_urls_of_image_01_live_a_day_and_others_a_week() -> None:
    assert picture().expires_at == CREATED + timedelta(hours=24)
    flux = play(WaveSpeed().settle(job_for(model="wavespeed-ai/flux-dev")), DONE).value
    assert flux.images[0].expires_at == CREATED + timedelta(days=7)


def test_a_flat_price_is_paid_once_a_call() -> None:
    done = told("completed", (URL, URL))
    job = job_for(model="google/nano-banana/text-to-image")
    generation = play(WaveSpeed().settle(job), done).value
    assert str(generation.cost.amount) == "0.038"


def test_an_unknown_price_is_an_unknown_cost() -> None:
    job = job_for(model="acme/brand-new")
    cost = play(WaveSpeed().settle(job), DONE).value.cost
    assert (cost.amount, cost.basis) == (None, "unknown")


def test_the_translation_s_notices_reach_the_result() -> None:
    job = submitted(ACCEPTED, size="511x512", terms=Terms(fit="nearest")).value
    assert [n.field for n in job.notices] == ["size"]
    assert play(WaveSpeed().settle(job), DONE).value.notices == job.notices


def test_a_seed_that_was_not_sent_is_not_claimed_for_the_picture() -> None:
    """The model takes no seed, so the provider chose."""
    for model, seed in (("google/nano-banana/text-to-image", 7), (TEXT, -1)):
        terms = Terms(unsupported="adjust")
        played = submitted(DONE, model=model, seed=seed, terms=terms)
        assert "seed" not in (played.calls[0].json or {})
        assert played.value.settled is not None
        assert [image.seed for image in played.value.settled.images] == [None]


def test_raw_keeps_the_reply_without_its_pictures() -> None:
    inline = base64.b64encode(JPEG + bytes(3000)).decode()
    raw = settled(told("completed", (inline,))).value.raw
    assert raw[0]["data"]["outputs"] == [f"<{len(inline):,} characters>"]
    assert raw[0]["code"] == 200


@pytest.mark.parametrize(
    "ends",
    [
        (ACCEPTED, WORKING, DONE),
        (DONE,),
        (ACCEPTED, told("failed", ())),
        (ACCEPTED, reply(status=500), DONE),
        (ACCEPTED, TransportError("reset"), DONE),
        (ACCEPTED, *[reply(status=500)] * 9),
        (reply(body=HTML, status=504),),
        (TransportError("reset"),),
        (reply({"code": 429, "message": "slow"}, status=429),),
        (told("processing", (), code=5004), WORKING, DONE),
        (ACCEPTED, DeadlineExceededError("late")),
        (ACCEPTED, *[reply({"code": 404, "message": "gone"}, status=404)] * 20),
    ],
)
def test_however_it_ends_there_is_one_paid_post(ends: tuple[Reply | BaseException, ...]) -> None:
    calls: list[Call] = []
    flow = generating(WaveSpeed(api_key=KEY, poll_failures=8), FOX)
    outcomes = list(ends)
    with suppress(ImageGenError):
        step = advance(flow)
        while not isinstance(step, Done):
            if isinstance(step, Call):
                calls.append(step)
                step = advance(flow, outcomes.pop(0))
            else:
                step = advance(flow, 0.0 if isinstance(step, Pause) else None)
    assert [(c.method, c.paid) for c in calls if c.paid or c.method == "POST"] == [("POST", True)]
    assert calls[0].paid
    assert KEY not in repr([(c, c.json) for c in calls])


@pytest.mark.parametrize("code", [1407, 5000, 5003, 1402])
@pytest.mark.parametrize("status", ["cancelled", "deleted"])
def test_a_job_that_was_ended_from_outside_has_failed_whatever_its_code(
    code: int, status: str
) -> None:
    error = ending(told(status, None, code=code, error="stopped"))
    assert (type(error), error.charged) == (JobFailedError, "unknown")
