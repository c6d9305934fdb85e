"""Replies that refuse, whoever the provider is: what the status says, and what the reply adds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs import frozen

from imagegen.backends.refusals import (
    Said,
    accepted,
    answered,
    is_refusal,
    refused,
    told,
    without_words,
)
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ContentPolicyError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
)
from imagegen.flow import Reply
from imagegen.testing import EPOCH, reply

BY_STATUS: dict[int, type[ImageGenError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: InsufficientBalanceError,
    403: AuthenticationError,
    404: ConfigurationError,
    405: ConfigurationError,
    409: InvalidRequestError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    425: RateLimitError,
    429: RateLimitError,
    451: ContentPolicyError,
}
CONTEXT = {"provider": "acme", "model": "m"}


@frozen
class Answer:
    """What an accepted submission's reply must hold."""

    id: str


@frozen
class Picture:
    """A reply that holds a picture."""

    picture: Any


def said(raw: Any) -> Said:
    """Read `words`, `code`, `wait` and whether it is a matter of content."""
    if not isinstance(raw, dict):
        return Said()
    kind = ContentPolicyError if raw.get("flagged") else None
    return Said(
        words=raw.get("words", ""), kind=kind, retry_after=raw.get("wait"), code=raw.get("code")
    )


def failure(answer: Reply) -> ImageGenError:
    with pytest.raises(ImageGenError) as caught:
        accepted(answer, Answer, said, **CONTEXT)
    error = caught.value
    assert (error.provider, error.model, error.status) == ("acme", "m", answer.status)
    return error


@pytest.mark.parametrize("status", range(200, 600))
def test_a_status_says_by_itself_which_error_it_is(status: int) -> None:
    other = ProviderUnavailableError if status >= 500 else BackendError
    error = refused(status, "their words", reply(status=200, headers={"Retry-After": "7"}))
    assert type(error) is BY_STATUS.get(status, other)
    assert (error.message, error.status) == ("their words", status)
    assert is_refusal(status) is (status in BY_STATUS)


def test_the_headers_add_the_wait_that_is_asked_for() -> None:
    slowly = reply(status=429, headers={"Retry-After": "7"})
    limited = told(RateLimitError, "slowly", slowly)
    assert isinstance(limited, RateLimitError)
    assert (limited.retry_after, limited.status) == (7.0, 429)
    assert told(InvalidRequestError, "no", slowly, status=400).status == 400


@pytest.mark.parametrize(
    ("header", "body", "waited"),
    [
        (None, None, None),
        ("7", None, 7.0),
        (None, 5.0, 5.0),
        ("7", 5.0, 7.0),
        ("7", 9.0, 9.0),
        (None, 0.0, 0.0),
        ("7", -1.0, 7.0),
        (None, math.nan, None),
        (None, 1e9, 86_400.0),
    ],
)
def test_the_longer_of_the_waits_of_header_and_body_counts(
    header: str | None, body: float | None, waited: float | None
) -> None:
    headers = {"Retry-After": header} if header else {}
    for answer in (
        reply({"words": "no", "wait": body}, status=429, headers=headers),
        reply({"wait": body}, status=429, headers=headers),
        reply({"words": "no", "wait": body}, status=500, headers=headers),
        reply({"wait": body}, status=500, headers=headers),
    ):
        error = failure(answer)
        assert isinstance(error, BackendError)
        assert error.retry_after == waited


@pytest.mark.parametrize(
    ("code", "told_as"), [(7, 7), ("busy", "busy"), (True, None), (1.5, None), ([], None)]
)
def test_a_code_is_a_number_or_a_word(code: Any, told_as: int | str | None) -> None:
    assert failure(reply({"words": "no", "code": code}, status=400)).code == told_as
    assert failure(reply({"code": code}, status=500)).code == told_as


# A paid call


@pytest.mark.parametrize("status", [200, 201, 299])
def test_a_success_that_can_be_read_is_one(status: int) -> None:
    assert accepted(reply({"id": "a"}, status=status), Answer, said) == (Answer("a"), {"id": "a"})


@pytest.mark.parametrize("status", [199, 300, 400, 500])
def test_nothing_else_is_a_success(status: int) -> None:
    with pytest.raises(ImageGenError):
        accepted(reply({"id": "a"}, status=status), Answer, said)


def test_the_pictures_of_a_reply_are_put_back_in() -> None:
    body = b'{"picture": "name"}'
    whole = Reply(200, {}, body, EPOCH, pictures={"name": b"\x89PNG"})
    assert accepted(whole, Picture, said)[0] == Picture(b"\x89PNG")


@pytest.mark.parametrize(
    ("body", "status", "kind", "code"),
    [
        ({"words": "no", "code": 7}, 400, InvalidRequestError, 7),
        ({"words": "no", "code": 7}, 200, SubmissionUnknownError, 7),
        ({"words": "no"}, 500, SubmissionUnknownError, None),
        ({"words": "no"}, 418, SubmissionUnknownError, None),
        ({"words": "no", "flagged": True, "code": 7}, 200, ContentPolicyError, 7),
        ({"words": "no", "flagged": True}, 400, ContentPolicyError, None),
    ],
)
def test_an_explanation_names_the_error_or_the_status_does(
    body: Any, status: int, kind: type[ImageGenError], code: int | None
) -> None:
    error = failure(reply(body, status=status))
    assert (type(error), error.message, error.code) == (kind, "no", code)


def test_a_refusal_without_words_says_so() -> None:
    error = failure(reply({"flagged": True}))
    assert (type(error), error.message) == (ContentPolicyError, "no reason given")


FAULTS = {b"{}": "required field missing @ $.id", b"[]": "expected an object, not list"}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b""])
def test_without_an_explanation_the_answer_is_quoted(body: bytes, status: int) -> None:
    error = failure(reply(body=body, status=status))
    quoted = f"HTTP {status} without a readable answer: {body.decode() or 'empty'}"
    lacks = status == 200 and body in (b"{}", b"[]")
    assert error.message == (f"{quoted} (the reply has {FAULTS[body]})" if lacks else quoted)
    assert type(error) is (InvalidRequestError if status == 400 else SubmissionUnknownError)


# A free call


def test_the_answer_to_a_free_call_is_read() -> None:
    assert answered(reply({"id": "a"}), Answer, "acme") == Answer("a")


@pytest.mark.parametrize("status", [300, 401, 500])
def test_an_http_error_without_an_answer_is_told_by_its_status(status: int) -> None:
    with pytest.raises(ImageGenError) as caught:
        answered(reply(body=b"<html>", status=status), Answer, "acme")
    error = caught.value
    assert type(error) is type(refused(status, "", reply()))
    assert error.message == f"HTTP {status} without a readable answer"
    assert (error.provider, error.status) == ("acme", status)


@pytest.mark.parametrize("status", [200, 299])
def test_a_success_that_cannot_be_read_is_malformed(status: int) -> None:
    with pytest.raises(MalformedReplyError) as caught:
        answered(reply({"id": 7}, status=status), Answer, "acme")
    assert (caught.value.provider, caught.value.status) == ("acme", status)


# An answer that is not the provider's own


def test_of_a_strange_answer_the_beginning_is_quoted() -> None:
    error = without_words(reply(body=b"ab " * 900, status=502), **CONTEXT)
    quoted = ("ab " * 900)[:119] + "…"
    assert error.message == f"HTTP 502 without a readable answer: {quoted}"
    assert (type(error), error.status) == (SubmissionUnknownError, 502)
    assert (error.provider, error.model) == ("acme", "m")


def test_bytes_that_are_no_text_are_quoted_as_far_as_they_go() -> None:
    error = without_words(reply(body=b"\xff\xfehi"))
    assert error.message == "HTTP 200 without a readable answer: \ufffd\ufffdhi"


def test_a_strange_answer_with_a_plain_status_is_a_refusal() -> None:
    error = without_words(reply(body=b"", status=429, headers={"Retry-After": "7"}), **CONTEXT)
    assert isinstance(error, RateLimitError)
    assert (error.retry_after, error.status, error.provider) == (7.0, 429, "acme")
    assert error.message == "HTTP 429 without a readable answer: empty"


def test_an_answer_that_breaks_off_says_so() -> None:
    cut = Reply(200, {}, b'{"id"', EPOCH, broken="reset")
    assert without_words(cut).message == (
        'the answer breaks off (reset): HTTP 200 without a readable answer: {"id"'
    )
