"""Replies that refuse: what an HTTP status says by itself, and what the reply adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import field, frozen

from imagegen import codec
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
from imagegen.flow import LONGEST_RETRY_AFTER, Reply
from imagegen.redaction import shown

T = TypeVar("T")

_BY_STATUS: Mapping[int, type[ImageGenError]] = {
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


def _told_code(value: object) -> int | str | None:
    return value if isinstance(value, str) or type(value) is int else None


@frozen
class Said:
    """What a provider says where it refuses.

    Attributes:
        words: its own explanation; empty where it gives none.
        kind: the error that its own code stands for, if by its documentation nothing was accepted
            then; None: the HTTP status decides.
        retry_after: seconds to wait that its answer asks for, where that says so besides the
            header; the longer of the two counts.
        code: its own code, a number or a word; what is neither counts as none.
    """

    words: str = ""
    kind: type[ImageGenError] | None = None
    retry_after: float | None = None
    code: int | str | None = field(default=None, converter=_told_code)


def is_refusal(status: int) -> bool:
    """Tell an HTTP-like status that says by itself that nothing was accepted; no 5xx does."""
    return status in _BY_STATUS


def refused(status: int, words: str, reply: Reply, **context: Any) -> ImageGenError:
    """The error for a refusal in the provider's own *words* with an HTTP-like *status*."""
    kind = _BY_STATUS.get(status, ProviderUnavailableError if status >= 500 else BackendError)
    return told(kind, words, reply, status=status, **context)


def told(
    kind: type[ImageGenError],
    words: str,
    reply: Reply,
    *,
    retry_after: float | None = None,
    **context: Any,
) -> ImageGenError:
    """An error of *kind* in the provider's own *words*, with what the reply's headers add.

    Of *retry_after*, seconds that the body asks for, and the header the longer counts.
    """
    if issubclass(kind, BackendError):
        context["retry_after"] = waited(reply, retry_after)
    context.setdefault("status", reply.status)
    return kind(words, **context)


def waited(reply: Reply, seconds: float | None) -> float | None:
    """The longer of the waits that the header of *reply* and its body, in *seconds*, ask for."""
    header = reply.retry_after
    if seconds is None or not seconds >= 0:
        return header
    return min(max(seconds, header or 0.0), LONGEST_RETRY_AFTER)


def accepted(
    reply: Reply, cls: type[T], said: Callable[[Any], Said], **context: Any
) -> tuple[T, Any]:
    """Read the answer to a paid call: as *cls*, and as the decoded JSON.

    Only a 2xx that can be read as *cls* counts. Of any other, *said* reads the explanation.

    Raises:
        ImageGenError: the provider refused: the explanation names the error, or the status does.
        SubmissionUnknownError: nobody can tell from this answer.
    """
    try:
        raw = codec.decode(reply.body, pictures=reply.pictures)
    except MalformedReplyError as error:
        raise without_words(reply, **context) from error
    fault = ""
    if 200 <= reply.status < 300:
        try:
            return codec.structure(raw, cls), raw
        except MalformedReplyError as error:
            fault = error.message
    refusal = said(raw)
    context |= {"code": refusal.code, "retry_after": refusal.retry_after}
    if refusal.kind is None and not refusal.words:
        raise without_words(reply, fault, **context)
    words = refusal.words or "no reason given"
    if refusal.kind is None and is_refusal(reply.status):
        raise refused(reply.status, words, reply, **context)
    raise told(refusal.kind or SubmissionUnknownError, words, reply, **context)


def answered(reply: Reply, cls: type[T], provider: str | None = None) -> T:
    """Read the answer to a free call; what cannot be read is told by its HTTP status, if that can.

    Raises:
        MalformedReplyError: a success that cannot be read.
        ImageGenError: an HTTP error without a readable answer.
    """
    try:
        return codec.structure(codec.decode(reply.body), cls)
    except MalformedReplyError as error:
        if reply.status >= 300:
            words = f"HTTP {reply.status} without a readable answer"
            raise refused(reply.status, words, reply, provider=provider) from None
        error.provider, error.status = provider, reply.status
        raise


def without_words(reply: Reply, fault: str = "", **context: Any) -> ImageGenError:
    """The error for a submission's reply that is not the provider's own: a proxy's, or garbage.

    A 4xx of known meaning is a refusal all the same. Anything else may come from between us and
    a provider that accepted the submission, so its outcome is unknown. *fault* says what its JSON
    lacks, if it is any.
    """
    said = shown(reply.body[:2000].decode("utf-8", "replace"), 120)
    words = f"HTTP {reply.status} without a readable answer: {said or 'empty'}"
    if fault:
        words = f"{words} ({fault})"
    if reply.broken:
        words = f"the answer breaks off ({reply.broken}): {words}"
    if is_refusal(reply.status):
        return refused(reply.status, words, reply, **context)
    return told(SubmissionUnknownError, words, reply, **context)
