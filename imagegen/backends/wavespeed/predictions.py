"""Reading WaveSpeedAI's answers: the envelope, the prediction, how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve, frozen

from imagegen import codec
from imagegen.backends.pictures import Exchange, inline_image, is_url
from imagegen.backends.refusals import is_refusal, refused, told, without_words
from imagegen.backends.wavespeed.catalogue import IMAGE_01
from imagegen.errors import (
    ContentPolicyError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    SubmissionUnknownError,
)
from imagegen.flow import Reply
from imagegen.pricing import Price
from imagegen.redaction import shown
from imagegen.result import GeneratedImage, Generation, ImageFailure, Job, Notice

FAILED = frozenset({"failed", "cancelled", "timeout", "deleted"})
"""Statuses that end a prediction without pictures. Any that is neither one of these nor
"completed", known or not, means that it is still under way."""

REFUNDED = frozenset({"failed", "timeout"})
"""Endings that WaveSpeedAI refunds by itself within three hours, according to its docs."""

APP_CODES: Mapping[int, type[ImageGenError]] = {
    1200: ContentPolicyError,
    1400: InvalidRequestError,
    1401: InvalidRequestError,
    1402: InvalidRequestError,
    1403: JobFailedError,
    1405: JobFailedError,
    1406: ProviderUnavailableError,
    1407: InsufficientBalanceError,
    5000: ProviderUnavailableError,
    5003: ProviderUnavailableError,
    5004: JobFailedError,
}
"""WaveSpeedAI's application codes (its page of error codes) to the error raised."""

UNTOLD = frozenset({5000, 5004})
"""Application codes that do not tell whether a submission was accepted."""

UNSERVED = frozenset({501, 503, 529})
"""The only 5xx that, in WaveSpeedAI's own words, mean that it did not take the request on."""

_NO_CREDIT = re.compile(r"insufficient (credit|balance|fund)", re.IGNORECASE)
_FLAGGED = re.compile(r"flagged as|content moderation|\bnsfw\b", re.IGNORECASE)
_VISIBLE_ID = re.compile(rb'"id"\s*:\s*"([A-Za-z0-9_-]{8,128})"')


@frozen
class Envelope:
    """What surrounds every answer; `code` is HTTP-like and may contradict the HTTP status."""

    code: Any = None
    message: Any = None
    error: Any = None
    data: Any = None

    @property
    def words(self) -> str:
        """WaveSpeedAI's own explanation, empty where it gives none."""
        return next((w for w in (self.message, self.error) if isinstance(w, str) and w), "")

    def refusal_number(self, reply: Reply) -> int | None:
        """The HTTP-like or application code of a refusal; None where it claims success."""
        code = self.code if type(self.code) is int and self.code >= 300 else reply.status
        return code if code >= 300 else None


@frozen
class Prediction:
    """A prediction; but for its id, the form of its fields varies: they are read by hand.

    One odd field must not cost the id beside it: it is paid for.
    """

    id: str
    status: Any = None
    model: Any = None
    outputs: Any = None
    has_nsfw_contents: Any = None
    created_at: Any = None
    error: Any = None
    code: Any = None
    executionTime: Any = None  # noqa: N815 - the wire's own name

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.id) <= 200 or not self.id.strip("."):
            raise ValueError("a prediction id that no path can hold")

    @property
    def state(self) -> str:
        """`status`, which is a word; anything else is taken for one not known."""
        return self.status if isinstance(self.status, str) else "unknown"

    @property
    def is_over(self) -> bool:
        """Whether it ended, with pictures or without."""
        return self.state == "completed" or self.state in FAILED

    @property
    def created(self) -> datetime | None:
        """`created_at`, which comes with 3–9 fractional digits."""
        text = self.created_at if isinstance(self.created_at, str) else ""
        match = re.fullmatch(r"(2[0-9T:-]{18})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})", text)
        if not match:
            return None
        fraction = (match[2] or "")[:6].ljust(6, "0")
        try:
            return datetime.fromisoformat(f"{match[1]}.{fraction}{match[3]}").astimezone(UTC)
        except ValueError:
            return None

    @property
    def execution_seconds(self) -> float | None:
        """`executionTime`, which comes in milliseconds and is 0 until the end."""
        milliseconds = self.executionTime
        return milliseconds / 1000 if type(milliseconds) is int and milliseconds > 0 else None


def submitted(reply: Reply, context: Mapping[str, Any]) -> tuple[Prediction, Any]:
    """Read a submission's answer: the prediction and the raw reply.

    An answer that holds a prediction is one, whatever surrounds it: a paid id is kept.

    Raises:
        ImageGenError: WaveSpeedAI refused.
        SubmissionUnknownError: nobody can tell from this answer.
    """
    envelope, prediction, raw = _read(reply)
    if prediction:
        return prediction, raw
    number = envelope.refusal_number(reply) if envelope else None
    own = envelope is not None and (type(envelope.code) is int or reply.status < 500)
    if envelope is None or number is None or not own:
        raise without_words(reply, **context)
    if not _is_definite(number):
        raise told(SubmissionUnknownError, _words(envelope, reply), reply, code=number, **context)
    raise refusal(number, envelope, reply, context)


def polled(reply: Reply, job_id: str) -> tuple[Prediction, Any]:
    """Read a poll's answer: the prediction and the raw reply.

    Raises:
        ImageGenError: WaveSpeedAI does not tell.
        MalformedReplyError: nobody can tell from this answer.
    """
    envelope, prediction, raw = _read(reply)
    if prediction and prediction.id == job_id:
        return prediction, raw
    number = envelope.refusal_number(reply) if envelope else reply.status
    if prediction or envelope is None or number is None:
        raise MalformedReplyError(
            f"a poll was answered with HTTP {reply.status} and no such prediction",
            status=reply.status,
            retry_after=reply.retry_after,
        )
    if number == 404:
        raise JobFailedError(
            f"the prediction is not known (any more): {envelope.words}",
            advice="WaveSpeedAI keeps predictions for 7 days",
            status=404,
        )
    error = refusal(number, envelope, reply, {})
    if isinstance(error, ContentPolicyError):  # it was the poll that was refused
        raise JobFailedError(error.message, status=error.status, code=error.code)
    raise error


def _is_definite(number: int) -> bool:
    """Tell a code that says for certain that a submission was not accepted."""
    own = number in APP_CODES and number not in UNTOLD
    return own or number in UNSERVED or is_refusal(number)


def _words(envelope: Envelope, reply: Reply) -> str:
    return envelope.words or f"HTTP {reply.status} without a reason"


def _read(reply: Reply) -> tuple[Envelope | None, Prediction | None, Any]:
    try:
        raw = codec.decode(reply.body, pictures=reply.pictures)
        envelope = codec.structure(raw, Envelope)
    except MalformedReplyError:
        return None, _visible(reply), None
    bare = envelope.refusal_number(reply) is None and "status" in raw
    for holder in (envelope.data, raw if bare else None):
        try:
            return envelope, codec.structure(holder, Prediction), raw
        except MalformedReplyError:
            continue
    return envelope, None, raw


def _visible(reply: Reply) -> Prediction | None:
    """The id in an answer that broke off, so that it can be polled."""
    match = _VISIBLE_ID.search(reply.body[:4000]) if reply.status < 300 else None
    return Prediction(id=match[1].decode("ascii")) if match else None


def refusal(
    number: int, envelope: Envelope, reply: Reply, context: Mapping[str, Any]
) -> ImageGenError:
    """The error that an answer without a prediction stands for."""
    words = _words(envelope, reply)
    kind = APP_CODES.get(number)
    if kind is None and number in (400, 402, 403):
        kind = InsufficientBalanceError if _NO_CREDIT.search(words) else None
        kind = ContentPolicyError if _FLAGGED.search(words) else kind
    if kind is None and number < 600:
        return refused(number, words, reply, **context)
    return told(kind or ProviderUnavailableError, words, reply, code=number, **context)


def outcome(prediction: Prediction, job: Job, price: Price | None, raw: Any) -> Generation:
    """The pictures of a prediction that is over.

    Raises:
        ImageGenError: it ended without pictures; it carries *job*.
    """
    if prediction.state in FAILED:
        raise _ended(prediction, job)
    exchange = Exchange(
        provider=job.provider,
        model=job.model,
        request=job.request,
        request_id=job.id,
        created_at=prediction.created,
        execution_seconds=prediction.execution_seconds,
        notices=(*job.notices, *_another_model(prediction, job)),
        job=job,
    )
    images, failures = _delivered(prediction, exchange)
    if not images:
        flags = prediction.has_nsfw_contents
        flagged = isinstance(flags, list) and any(flag is True for flag in flags)
        kind = ContentPolicyError if flagged else MalformedReplyError
        raise kind(
            "the prediction completed without a usable picture",
            job=job,
            charged="yes",
            request_id=job.id,
        )
    billed = max(job.request.n, len(images))
    return exchange.generation(images, failures, price=price, billed=billed, raw=raw)


def _another_model(prediction: Prediction, job: Job) -> list[Notice]:
    made = prediction.model
    if not isinstance(made, str) or made == job.model:
        return []
    return [Notice("delivered", "model", f"WaveSpeedAI names {shown(made, 80)!r} as the model")]


def _ended(prediction: Prediction, job: Job) -> ImageGenError:
    words = prediction.error if isinstance(prediction.error, str) else ""
    code = prediction.code if type(prediction.code) is int else 0
    kind = APP_CODES.get(code, ContentPolicyError if _FLAGGED.search(words) else JobFailedError)
    if prediction.state not in REFUNDED and kind is not ContentPolicyError:
        kind = JobFailedError
    return kind(
        f"the prediction ended as {prediction.state}: {words or 'no reason given'}",
        code=code or None,
        job=job,
        charged="no" if prediction.state in REFUNDED else "unknown",
        request_id=job.id,
    )


def _delivered(
    prediction: Prediction, exchange: Exchange
) -> tuple[list[GeneratedImage], list[ImageFailure]]:
    outputs = prediction.outputs if isinstance(prediction.outputs, list) else []
    flags = prediction.has_nsfw_contents
    flags = flags if isinstance(flags, list) and len(flags) == len(outputs) else []
    blank = evolve(exchange.blank, expires_at=_expiry(prediction, exchange.model))
    images: list[GeneratedImage] = []
    failures: list[ImageFailure] = []
    for index, output in enumerate(outputs):
        flag = flags[index] if flags and type(flags[index]) is bool else None
        image = _image(output, evolve(blank, nsfw=flag))
        if image:
            images.append(image)
        else:
            failures.append(_unusable(exchange, index, flagged=flag is True))
    failures += (
        exchange.failure(
            MalformedReplyError, "WaveSpeedAI delivered fewer", index=index, charged="yes"
        )
        for index in range(len(outputs), exchange.request.n)
    )
    return images, failures


def _unusable(exchange: Exchange, index: int, *, flagged: bool) -> ImageFailure:
    kind = ContentPolicyError if flagged else MalformedReplyError
    words = "flagged, and withheld" if flagged else "the output is no picture"
    return exchange.failure(kind, words, index=index, charged="yes")


def _image(output: object, blank: GeneratedImage) -> GeneratedImage | None:
    """Read one output: a URL, naked base64, or on some models an object that holds the URL."""
    if isinstance(output, dict):
        output = output.get("url")
    if is_url(output):
        return evolve(blank, url=output)
    return inline_image(output, evolve(blank, expires_at=None))


def _expiry(prediction: Prediction, model: str) -> datetime | None:
    """24 hours for minimax/image-01, as its README says; 7 days for others, as the docs say."""
    kept = timedelta(hours=24) if model in IMAGE_01 else timedelta(days=7)
    return prediction.created + kept if prediction.created else None
