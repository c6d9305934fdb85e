"""What MiniMax answers, and what becomes of it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegen.backends.base import Terms
from imagegen.backends.minimax import CODES, MiniMax
from imagegen.backends.minimax.replies import ImageReply
from imagegen.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.flow import Reply
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job
from imagegen.testing import EPOCH, play, reply

JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x02\x00\x04\x00\x03"
OK = {"status_code": 0, "status_msg": "success"}
URL = "https://pictures.example/1.jpeg"

LISTED: dict[int, tuple[type[ImageGenError], str]] = {
    1000: (SubmissionUnknownError, "unknown"),
    1001: (SubmissionUnknownError, "unknown"),
    1002: (RateLimitError, "no"),
    1004: (AuthenticationError, "no"),
    1008: (InsufficientBalanceError, "no"),
    1013: (SubmissionUnknownError, "unknown"),
    1024: (SubmissionUnknownError, "unknown"),
    1026: (ContentPolicyError, "no"),
    1027: (ContentPolicyError, "unknown"),
    1028: (InsufficientBalanceError, "no"),
    1030: (InsufficientBalanceError, "no"),
    1033: (SubmissionUnknownError, "unknown"),
    1039: (RateLimitError, "no"),
    1041: (RateLimitError, "no"),
    1042: (InvalidRequestError, "no"),
    1043: (InvalidRequestError, "no"),
    1044: (InvalidRequestError, "no"),
    2013: (InvalidRequestError, "no"),
    2037: (InvalidRequestError, "no"),
    2038: (AuthenticationError, "no"),
    2039: (InvalidRequestError, "no"),
    2042: (AuthenticationError, "no"),
    2045: (RateLimitError, "no"),
    2048: (InvalidRequestError, "no"),
    2049: (AuthenticationError, "no"),
    2054: (InvalidRequestError, "no"),
    2056: (InsufficientBalanceError, "no"),
    2061: (AuthenticationError, "no"),
    20132: (InvalidRequestError, "no"),
}
EXPECTED = LISTED | {  # with codes that no page names
    1: (SubmissionUnknownError, "unknown"),
    -1: (SubmissionUnknownError, "unknown"),
    9999: (SubmissionUnknownError, "unknown"),
    10**30: (SubmissionUnknownError, "unknown"),
}


def job_of(answer: Reply, **request: Any) -> Job:
    return play(MiniMax().submit(ImageRequest("x", **request), "image-01", Terms()), answer).value


def made(answer: Any, **request: Any) -> Generation:
    job = job_of(reply(answer), **request)
    assert job.settled is not None
    return job.settled


def error_of(answer: Reply | BaseException, **request: Any) -> ImageGenError:
    flow = MiniMax().submit(ImageRequest("x", **request), "image-01", Terms())
    with pytest.raises(ImageGenError) as caught:
        play(flow, answer)
    return caught.value


def success(data: Any, **more: Any) -> dict[str, Any]:
    return {"id": "a1", "data": data, "base_resp": OK, **more}


@pytest.mark.parametrize("code", EXPECTED)
def test_each_code_is_the_error_that_a_caller_acts_on(code: int) -> None:
    kind, charged = EXPECTED[code]
    answer = {"id": "trace", "base_resp": {"status_code": code, "status_msg": "their words"}}
    error = error_of(reply(answer))
    assert (type(error), error.charged) == (kind, charged)
    assert (error.code, error.status, error.request_id) == (code, 200, "trace")
    assert (error.provider, error.model) == ("minimax", "image-01")
    assert "their words" in str(error)


def test_the_table_lists_the_codes_of_the_pages_and_no_other() -> None:
    assert dict(CODES) == LISTED


@pytest.mark.parametrize("said", [None, "", 7, ["words"]])
def test_a_refusal_without_words_says_so(said: object) -> None:
    refused = {"base_resp": {"status_code": 1004, "status_msg": said}}
    assert error_of(reply(refused)).message == "no reason given"


@pytest.mark.parametrize(("inline", "first"), [(True, ["aGk="]), (False, [URL])])
def test_of_urls_and_base64_what_was_asked_for_is_read(*, inline: bool, first: list[str]) -> None:
    both = {"image_urls": [URL], "image_base64": ["aGk="]}
    assert ImageReply(data=both).pictures(inline=inline) == first


@pytest.mark.parametrize(("output", "has_bytes"), [("bytes", True), ("url", False)])
def test_the_output_that_was_asked_for_goes_before_the_other(
    output: Any, *, has_bytes: bool
) -> None:
    both = {"image_urls": [URL], "image_base64": [base64.b64encode(JPEG).decode()]}
    flow = MiniMax().submit(ImageRequest("x", output=output), "image-01", Terms())
    settled = play(flow, reply(success(both))).value.settled
    assert settled is not None
    assert (settled.images[0].data == JPEG) == has_bytes
    assert (settled.images[0].url == URL) != has_bytes


@pytest.mark.parametrize("odd", [None, "", "x", 7, {}, []])
@pytest.mark.parametrize("inline", [True, False])
def test_what_came_otherwise_is_read_too(odd: object, *, inline: bool) -> None:
    urls = {"image_urls": [URL], "image_base64": odd}
    base64_only = {"image_urls": odd, "image_base64": ["aGk="]}
    assert ImageReply(data=urls).pictures(inline=inline) == [URL]
    assert ImageReply(data=base64_only).pictures(inline=inline) == ["aGk="]
    assert ImageReply(data={"image_urls": odd}).pictures(inline=inline) == []


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_base_resp_counts_whatever_the_http_status(status: int) -> None:
    error = error_of(reply({"base_resp": {"status_code": 1008}}, status=status))
    assert type(error) is InsufficientBalanceError
    assert error.status == status


def test_an_unfetchable_reference_is_the_request_s_fault_whatever_its_code() -> None:
    words = "disallowed image url: localhost or private address not allowed"
    error = error_of(reply({"base_resp": {"status_code": 1000, "status_msg": words}}))
    assert (type(error), error.charged) == (InvalidRequestError, "no")


def test_a_rate_limit_keeps_the_wait_that_was_asked_for() -> None:
    answer = reply({"base_resp": {"status_code": 1002}}, headers={"Retry-After": "7"})
    error = error_of(answer)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 7.0


@pytest.mark.parametrize("data", [None, {}, [], "", 0, {"image_urls": None}, {"image_urls": []}])
@pytest.mark.parametrize("failed", ["1", 1])
def test_a_success_whose_pictures_were_all_blocked_is_a_content_refusal(
    data: object, failed: object
) -> None:
    metadata = {"failed_count": failed, "success_count": "0"}
    error = error_of(reply(success(data, metadata=metadata)))
    assert (type(error), error.charged) == (ContentPolicyError, "unknown")
    assert error.request_id == "a1"


@pytest.mark.parametrize("data", [None, {}, [], "", {"image_urls": {}}, {"image_urls": [None]}])
@pytest.mark.parametrize("metadata", [None, {}, [], {"failed_count": "0"}, {"failed_count": -1}])
def test_a_success_with_nothing_in_it_leaves_the_charge_unknown(
    data: object, metadata: object
) -> None:
    error = error_of(reply(success(data, metadata=metadata)))
    assert (type(error), error.charged) == (SubmissionUnknownError, "unknown")


def test_absent_data_and_metadata_are_nothing() -> None:
    assert type(error_of(reply({"base_resp": OK}))) is SubmissionUnknownError


@pytest.mark.parametrize("failed", ["2", 2])
def test_blocked_pictures_are_failures_without_a_place(failed: object) -> None:
    metadata = {"failed_count": failed, "success_count": "1"}
    generation = made(success({"image_urls": [URL]}, metadata=metadata), n=3)
    assert [i.url for i in generation.images] == [URL]
    assert [(f.error, f.index, f.charged) for f in generation.failures] == [
        ("ContentPolicyError", None, "unknown")
    ] * 2
    assert generation.attempts[0].images == 1
    assert generation.attempts[0].n == 3


def test_a_picture_that_nobody_counted_is_reported_missing() -> None:
    metadata = {"failed_count": "1", "success_count": "1"}
    generation = made(success({"image_urls": [URL]}, metadata=metadata), n=3)
    assert [f.error for f in generation.failures] == ["ContentPolicyError", "MalformedReplyError"]


def test_a_count_beyond_the_missing_ones_invents_no_failure() -> None:
    generation = made(success({"image_urls": [URL]}, metadata={"failed_count": "999999"}))
    assert generation.failures == ()


@pytest.mark.parametrize(
    "failed", ["٣", "1e3", 1.0, True, "-1", -1, -(10**9), "12345678901", None, [1], {}]
)
def test_a_count_that_is_none_is_not_believed(failed: object) -> None:
    generation = made(success({"image_urls": [URL]}, metadata={"failed_count": failed}), n=2)
    assert [f.error for f in generation.failures] == ["MalformedReplyError"]


def test_an_unreadable_item_among_pictures_is_a_failure_at_its_place() -> None:
    generation = made(success({"image_urls": [URL, 5, URL]}), n=3)
    assert len(generation.images) == 2
    assert [(f.error, f.index) for f in generation.failures] == [("MalformedReplyError", 1)]
    assert str(generation.cost.amount) == "0.0105"  # it may be billed all the same


def test_more_pictures_than_asked_for_are_all_delivered_and_counted() -> None:
    generation = made(success({"image_urls": [URL] * 3}))
    assert len(generation.images) == 3
    assert str(generation.cost.amount) == "0.0105"


@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,"])
def test_inline_pictures_carry_their_bytes_and_true_size(prefix: str) -> None:
    text = prefix + base64.b64encode(JPEG).decode()
    generation = made(success({"image_base64": [text]}), output="bytes", seed=5)
    [image] = generation.images
    assert image.data == JPEG
    assert (image.media_type, image.width, image.height) == ("image/jpeg", 1024, 512)
    assert (image.url, image.expires_at, image.seed) == (None, None, 5)


@pytest.mark.parametrize("text", ["", "!!!!", "aGVsbG8=", "é", "data:image/png", "XXX"])
def test_inline_text_that_is_no_picture_is_no_picture(text: str) -> None:
    assert type(error_of(reply(success({"image_base64": [text]})))) is SubmissionUnknownError


def test_raw_keeps_the_reply_without_its_pictures() -> None:
    inline = base64.b64encode(JPEG + bytes(3000)).decode()
    generation = made(success({"image_base64": [inline]}))
    assert generation.raw[0]["data"] == {"image_base64": [f"<{len(inline):,} characters>"]}
    assert generation.raw[0]["base_resp"] == OK


@pytest.mark.parametrize(
    ("query", "expires_at"),
    [
        ("", EPOCH + timedelta(hours=24)),
        ("?Expires=1767229200&Signature=x", datetime(2026, 1, 1, 1, tzinfo=UTC)),
        ("?a=b&Expires=1767229200", datetime(2026, 1, 1, 1, tzinfo=UTC)),
        ("?Expires=1777749255", EPOCH + timedelta(hours=24)),
        ("?Expires=99999999999", EPOCH + timedelta(hours=24)),
        ("?Expires=soon", EPOCH + timedelta(hours=24)),
        ("?NotExpires=1767229200", EPOCH + timedelta(hours=24)),
    ],
)
def test_a_url_dies_after_24_hours_or_when_its_signature_says(
    query: str, expires_at: datetime
) -> None:
    [image] = made(success({"image_urls": [URL + query]})).images
    assert image.expires_at == expires_at


def test_the_documented_plain_http_urls_are_taken() -> None:
    url = "http://hailuo-image-algeng-data-us.oss-us-east-1.aliyuncs.com/a%2Fb_aigc.jpeg"
    assert made(success({"image_urls": [url]})).images[0].url == url


def test_the_request_id_is_the_body_s_or_else_the_header_s() -> None:
    headers = {"Trace-Id": "from-header"}
    for found, expected in (("a1", "a1"), ("", "from-header"), (None, "from-header")):
        answer = reply(success({"image_urls": [URL]}) | {"id": found}, headers=headers)
        job = job_of(answer)
        assert job.id == expected
        assert job.settled is not None
        assert job.settled.images[0].request_id == expected
        assert job.settled.attempts[0].request_id == expected
        refusal = {"id": found, "base_resp": {"status_code": 1008, "status_msg": ""}}
        assert error_of(reply(refusal, headers=headers)).request_id == expected
    assert error_of(reply(body=b"<html>", headers=headers)).request_id == "from-header"


def test_neither_id_nor_header_is_no_error() -> None:
    job = job_of(reply({"data": {"image_urls": [URL]}, "base_resp": OK}))
    assert job.id == ""


def test_a_job_comes_settled_with_its_moment_and_translation_s_notices() -> None:
    request = ImageRequest("x", size="511x512", seed=3)
    flow = MiniMax().submit(request, "image-01", Terms(fit="nearest"))
    job = play(flow, reply(success({"image_urls": [URL]}))).value
    assert job.settled is not None
    assert (job.created_at, job.request, job.model) == (EPOCH, request, "image-01")
    assert [n.field for n in job.notices] == ["size"]
    assert job.settled.notices == job.notices
    assert job.settled.images[0].seed == 3


@pytest.mark.parametrize(
    ("status", "kind", "charged"),
    [
        (301, SubmissionUnknownError, "unknown"),
        (400, InvalidRequestError, "no"),
        (401, AuthenticationError, "no"),
        (402, InsufficientBalanceError, "no"),
        (403, AuthenticationError, "no"),
        (404, ConfigurationError, "no"),
        (405, ConfigurationError, "no"),
        (408, SubmissionUnknownError, "unknown"),
        (413, InvalidRequestError, "no"),
        (422, InvalidRequestError, "no"),
        (429, RateLimitError, "no"),
        (451, ContentPolicyError, "no"),
        (500, SubmissionUnknownError, "unknown"),
        (502, SubmissionUnknownError, "unknown"),
        (503, SubmissionUnknownError, "unknown"),
        (504, SubmissionUnknownError, "unknown"),
        (200, SubmissionUnknownError, "unknown"),
    ],
)
@pytest.mark.parametrize("page", [b"<html>some page</html>", b"", b'{"type":"error"}', b"\xff"])
def test_a_page_that_is_not_minimax_s_own_is_judged_by_its_status(
    status: int, kind: type[ImageGenError], charged: str, page: bytes
) -> None:
    error = error_of(reply(status=status, body=page))
    assert (type(error), error.charged, error.status) == (kind, charged, status)
    assert error.provider == "minimax"


def test_a_proxy_that_gave_up_waiting_leaves_the_charge_unknown() -> None:
    assert error_of(reply(status=499, body=b"<html>")).charged == "unknown"


def test_a_gateway_s_rate_limit_names_its_wait() -> None:
    error = error_of(reply(status=429, body=b"slow down", headers={"Retry-After": "12"}))
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 12.0


WHOLE = json.dumps(success({"image_urls": [URL]})).encode()


@pytest.mark.parametrize("length", range(0, len(WHOLE), 7))
def test_a_reply_cut_short_leaves_the_charge_unknown(length: int) -> None:
    error = error_of(reply(body=WHOLE[:length]))
    assert (type(error), error.charged) == (SubmissionUnknownError, "unknown")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "success",
        {},
        {"base_resp": None},
        {"base_resp": []},
        {"base_resp": {}},
        {"base_resp": {"status_code": None}},
        {"base_resp": {"status_code": False}},
        {"base_resp": {"status_code": 0.0}},
    ],
)
def test_a_reply_without_a_readable_base_resp_leaves_the_charge_unknown(answer: object) -> None:
    error = error_of(reply(answer))
    assert (type(error), error.charged) == (SubmissionUnknownError, "unknown")


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 12345},
        {"id": {"trace": "a"}},
        {"base_resp": {"status_code": 0, "status_msg": None}},
        {"base_resp": {"status_code": 0, "status_msg": 0}},
        {"base_resp": {"status_code": "0", "status_msg": "success"}},
    ],
)
def test_paid_pictures_are_not_thrown_away_for_an_oddity_beside_them(odd: dict[str, Any]) -> None:
    generation = made(success({"image_urls": [URL]}) | odd)
    assert [image.url for image in generation.images] == [URL]


def test_pictures_under_a_code_that_is_not_zero_are_not_thrown_away() -> None:
    answer = success({"image_urls": [URL]}, metadata={"failed_count": "1"})
    answer["base_resp"] = {"status_code": 1027, "status_msg": "output new_sensitive"}
    assert [image.url for image in made(answer, n=2).images] == [URL]


@pytest.mark.parametrize("kind", [TransportError, DeadlineExceededError])
def test_a_submission_that_never_left_was_not_charged(
    kind: type[TransportError | DeadlineExceededError],
) -> None:
    failure = kind("no route", sent=False)
    error = error_of(failure)
    assert error is failure
    assert error.charged == "no"
    assert (error.provider, error.model) == ("minimax", "image-01")


@pytest.mark.parametrize("kind", [TransportError, DeadlineExceededError])
def test_a_submission_that_got_no_answer_may_have_been_charged(
    kind: type[TransportError | DeadlineExceededError],
) -> None:
    failure = kind("reset", sent=True)
    error = error_of(failure)
    assert (type(error), error.charged) == (SubmissionUnknownError, "unknown")
    assert (error.provider, error.model) == ("minimax", "image-01")
    assert error.__cause__ is failure


def test_an_interrupted_submission_says_that_it_may_be_billed() -> None:
    flow = MiniMax().submit(ImageRequest("x"), "image-01", Terms())
    with pytest.raises(KeyboardInterrupt) as caught:
        play(flow, KeyboardInterrupt())
    assert "may be billed" in "".join(caught.value.__notes__)


def test_a_submission_stopped_for_want_of_a_key_does_not_claim_that_it_may_be_billed() -> None:
    error = error_of(ConfigurationError("there is no API key"))
    assert "may be billed" not in "".join(getattr(error, "__notes__", ()))


def test_an_earlier_generation_can_not_be_asked_for() -> None:
    job = job_of(reply(success({"image_urls": [URL]})))
    with pytest.raises(UnsupportedFeatureError) as caught:
        play(MiniMax().settle(job))
    assert caught.value.job is job


def test_errors_show_neither_signatures_nor_blobs() -> None:
    words = f"see {URL}?Signature=secret and {'A' * 400}"
    error = error_of(reply({"base_resp": {"status_code": 2013, "status_msg": words}}))
    assert "secret" not in str(error)
    assert "AAAA" not in str(error)
    assert "AAAA" not in str(error_of(reply(body=b"A" * 5000)))
