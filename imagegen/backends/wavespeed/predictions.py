"""Reading WaveSpeedAI's answers: the envelope, the prediction, how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve, frozen

from imagegen import codec
from imagegen.backends.base import refused, without_words
from imagegen.backends.pictures import Exchange, inline_image, is_url
from imagegen.errors import (
    ContentPolicyError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
)
from imagegen.flow import Reply
from imagegen.pricing import Price
from imagegen.result import GeneratedImage, Generation, ImageFailure, Job

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

_NO_CREDIT = re.compile(r"insufficient (credit|balance|fund)|top up", re.IGNORECASE)
_FLAGGED = re.compile(r"flagged|sensitive|moderation|nsfw", re.IGNORECASE)


@frozen
class Envelope:
    """What surrounds every answer; `code` is HTTP-like and may contradict the HTTP status."""

    code: int | None = None
    message: Any = None
    error: Any = None
    data: Any = None

    @property
    def words(self) -> str:
        """WaveSpeedAI's own explanation, empty where it gives none."""
        return next((w for w in (self.message, self.error) if isinstance(w, str) and w), "")


@frozen
class Prediction:
    """A prediction; the fields whose form varies are read by hand."""

    id: str
    status: str
    outputs: Any = None
    has_nsfw_contents: Any = None
    created_at: Any = None
    error: Any = None
    code: Any = None
    executionTime: Any = None  # noqa: N815 - the wire's own name

    def __attrs_post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", self.id):
            raise ValueError("a prediction id that no URL path can hold")

    @property
    def created(self) -> datetime | None:
        """`created_at`, which comes with 3–9 fractional digits."""
        text = self.created_at if isinstance(self.created_at, str) else ""
        match = re.fullmatch(r"([0-9T:-]{19})(?:\.([0-9]{1,9}))?Z", text)
        if not match:
            return None
        try:
            moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
        except ValueError:
            return None
        return moment.replace(microsecond=int((match[2] or "")[:6].ljust(6, "0")))

    @property
    def execution_seconds(self) -> float | None:
        """`executionTime`, which comes in milliseconds and is 0 until the end."""
        milliseconds = self.executionTime
        return milliseconds / 1000 if type(milliseconds) is int and milliseconds > 0 else None


def submitted(reply: Reply, context: Mapping[str, Any]) -> tuple[Prediction, Any]:
    """Read a submission's answer: the prediction and the raw reply.

    An answer that holds a prediction is one, whatever its envelope says: a paid id is kept.

    Raises:
        ImageGenError: WaveSpeedAI refused.
        SubmissionUnknownError: nobody can tell from this answer.
    """
    envelope, prediction, raw = _read(reply)
    if prediction:
        return prediction, raw
    if envelope is None or (envelope.code is None and reply.status >= 500):
        raise without_words(reply, **context)
    refusal = _refusal(envelope, reply, context)
    raise refusal or without_words(reply, **context)


def polled(reply: Reply) -> tuple[Prediction, Any]:
    """Read a poll's answer: the prediction and the raw reply.

    Raises:
        ImageGenError: WaveSpeedAI does not tell.
        MalformedReplyError: nobody can tell from this answer.
    """
    envelope, prediction, raw = _read(reply)
    if prediction:
        return prediction, raw
    refusal = _refusal(envelope or Envelope(), reply, {})
    if refusal and refusal.status == 404:
        raise JobFailedError(
            f"the prediction is not known (any more): {refusal.message}",
            advice="WaveSpeedAI keeps predictions for 7 days",
            status=404,
            charged="unknown",
        )
    raise refusal or MalformedReplyError("a poll was answered without a prediction")


def _read(reply: Reply) -> tuple[Envelope | None, Prediction | None, Any]:
    try:
        raw = codec.decode(reply.body)
        envelope = codec.structure(raw, Envelope)
    except MalformedReplyError:
        return None, None, None
    try:
        return envelope, codec.structure(envelope.data, Prediction), raw
    except MalformedReplyError:
        return envelope, None, raw


def _refusal(envelope: Envelope, reply: Reply, context: Mapping[str, Any]) -> ImageGenError | None:
    """The error that an answer without a prediction stands for; None where it claims success."""
    number = reply.status if envelope.code in (None, 200) else envelope.code
    if number is None or number < 300:
        return None
    words = envelope.words or f"HTTP {reply.status} without a reason"
    kind = APP_CODES.get(number)
    if _NO_CREDIT.search(words):
        kind = InsufficientBalanceError
    elif number < 500 and _FLAGGED.search(words):
        kind = ContentPolicyError
    if kind is None:
        return refused(number, words, reply, **context)
    return kind(words, status=reply.status, code=number, **context)


def outcome(prediction: Prediction, job: Job, price: Price | None, raw: Any) -> Generation | None:
    """The pictures of a completed prediction; None while it is under way.

    Raises:
        ImageGenError: it ended without pictures.
    """
    if prediction.status in FAILED:
        raise _ended(prediction)
    if prediction.status != "completed":
        return None
    exchange = Exchange(
        provider=job.provider,
        model=job.model,
        request=job.request,
        request_id=job.id,
        created_at=prediction.created,
        execution_seconds=prediction.execution_seconds,
        job=job,
    )
    images, failures = _delivered(prediction, exchange)
    if not images:
        blocked = bool(failures) and all(f.error == "ContentPolicyError" for f in failures)
        kind = ContentPolicyError if blocked else MalformedReplyError
        raise kind("the prediction completed without a usable picture", charged="yes")
    return evolve(exchange.generation(images, failures, price, raw), notices=job.notices)


def _ended(prediction: Prediction) -> ImageGenError:
    words = prediction.error if isinstance(prediction.error, str) else ""
    code = prediction.code if type(prediction.code) is int else None
    kind = APP_CODES.get(code or 0, JobFailedError)
    if _FLAGGED.search(words):
        kind = ContentPolicyError
    return kind(
        f"the prediction ended as {prediction.status}: {words or 'no reason given'}",
        code=code or None,
        charged="no" if prediction.status in REFUNDED else "unknown",
        request_id=prediction.id,
    )


def _delivered(
    prediction: Prediction, exchange: Exchange
) -> tuple[list[GeneratedImage], list[ImageFailure]]:
    outputs = prediction.outputs if isinstance(prediction.outputs, list) else []
    flags = prediction.has_nsfw_contents
    flags = flags if isinstance(flags, list) and len(flags) == len(outputs) else []
    blank = GeneratedImage(
        seed=exchange.request.seed,
        request_id=prediction.id,
        expires_at=_expiry(prediction, exchange.model),
    )
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
        exchange.failure(MalformedReplyError, "WaveSpeedAI delivered fewer", index=index)
        for index in range(len(outputs), exchange.request.n)
    )
    return images, failures


def _unusable(exchange: Exchange, index: int, *, flagged: bool) -> ImageFailure:
    kind = ContentPolicyError if flagged else MalformedReplyError
    words = "flagged, and withheld" if flagged else "the output is no picture"
    return exchange.failure(kind, words, index=index)


def _image(output: object, blank: GeneratedImage) -> GeneratedImage | None:
    """Read one output: a URL, naked base64, or on some models an object that holds the URL."""
    if isinstance(output, dict):
        output = output.get("url")
    if not isinstance(output, str) or not output:
        return None
    if is_url(output):
        return evolve(blank, url=output)
    return inline_image(output, evolve(blank, expires_at=None))


def _expiry(prediction: Prediction, model: str) -> datetime | None:
    """24 hours for minimax/image-01, as its README says; 7 days for others, as the docs say."""
    kept = timedelta(hours=24) if model.startswith("minimax/image-01") else timedelta(days=7)
    return prediction.created + kept if prediction.created else None
