"""From a provider's outputs to GeneratedImage, ImageFailure and a Generation."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeGuard

from attrs import frozen

from imagegen.errors import (
    Charged,
    ContentPolicyError,
    ImageGenError,
    JobFailedError,
    MalformedReplyError,
    SubmissionUnknownError,
)
from imagegen.pricing import Price
from imagegen.request import ImageRequest
from imagegen.result import (
    Attempt,
    Cost,
    GeneratedImage,
    Generation,
    ImageFailure,
    Job,
    Notice,
    was_sent,
)

SHOWN_TEXT = 2000
NO_PICTURE = "no picture came"
_GRAVEST_FIRST: tuple[Charged, ...] = ("unknown", "yes", "no")


@frozen(kw_only=True)
class Exchange:
    """What is known of one answered submission, whatever pictures it brought."""

    provider: str
    model: str
    request: ImageRequest
    request_id: str | None
    created_at: datetime | None = None
    execution_seconds: float | None = None
    notices: tuple[Notice, ...] = ()
    job: Job | None = None

    @classmethod
    def of(cls, job: Job, *, execution_seconds: float | None = None) -> Exchange:
        """What is known of an accepted *job*."""
        return cls(
            provider=job.provider,
            model=job.model,
            request=job.request,
            request_id=job.id,
            created_at=job.created_at,
            execution_seconds=execution_seconds,
            notices=job.notices,
            job=job,
        )

    @property
    def blank(self) -> GeneratedImage:
        """A picture of this exchange, before anything is known of it but the seed that was sent."""
        seed = self.request.seed if was_sent("seed", self.notices) else None
        return GeneratedImage(seed=seed, request_id=self.request_id)

    def failure(
        self,
        kind: type[ImageGenError],
        message: str,
        *,
        index: int | None = None,
        charged: Charged = "unknown",
    ) -> ImageFailure:
        """Say why one picture is missing."""
        return ImageFailure(
            error=kind.__name__,
            message=message,
            index=index,
            charged=charged,
            request_id=self.request_id,
            job=self.job,
        )

    def error(self, kind: type[ImageGenError], message: str, *, charged: Charged) -> ImageGenError:
        """Say why the whole of it brought no picture, and that it is over."""
        return kind(
            message,
            provider=self.provider,
            model=self.model,
            job=self.job,
            charged=charged,
            request_id=self.request_id,
        )

    def settled(
        self,
        items: Sequence[GeneratedImage | ImageFailure],
        *,
        price: Price | None,
        raw: Any,
        billed: Cost | None = None,
    ) -> Generation:
        """Join what came of each picture, in order; any that is not told of is a failure too.

        Failures beside as many pictures as were asked for are none. The cost is *billed*, what the
        provider says that it takes; where it does not say, the list price of all but the failures
        that are charged "no".

        Raises:
            ImageGenError: no picture came.
        """
        images = [item for item in items if isinstance(item, GeneratedImage)]
        failures = [item for item in items if isinstance(item, ImageFailure)]
        failures += (
            self.failure(MalformedReplyError, "the provider does not tell of it", index=index)
            for index in range(len(items), self.request.n)
        )
        if not images:
            raise self._nothing(failures, billed)
        failures = self.missing(failures, len(images))
        count = len(images) + sum(failure.charged != "no" for failure in failures)
        return self.generation(images, failures, price=price, billed=count, raw=raw, cost=billed)

    def missing(self, failures: Sequence[ImageFailure], came: int) -> list[ImageFailure]:
        """Those of *failures* that make up, with the pictures that *came*, what was asked for."""
        return list(failures[: max(self.request.n - came, 0)])

    def _nothing(self, failures: Sequence[ImageFailure], billed: Cost | None) -> ImageGenError:
        """The error that ends it for good, unless nobody knows whether it was accepted."""
        gravest = min(failures, key=lambda failure: _GRAVEST_FIRST.index(failure.charged))
        charged: Charged = "yes" if billed is not None and billed.amount else gravest.charged
        kind: type[ImageGenError] = MalformedReplyError if charged == "yes" else JobFailedError
        if charged == "unknown" and self.job is None:
            kind = SubmissionUnknownError
        if any(failure.error == ContentPolicyError.__name__ for failure in failures):
            kind = ContentPolicyError
        told = gravest.message.removeprefix(NO_PICTURE).lstrip(": ")
        return self.error(kind, f"{NO_PICTURE}: {told}" if told else NO_PICTURE, charged=charged)

    def generation(
        self,
        images: Sequence[GeneratedImage],
        failures: Sequence[ImageFailure],
        *,
        price: Price | None,
        billed: int,
        raw: Any,
        cost: Cost | None = None,
    ) -> Generation:
        """Join what came; the cost is *cost*, without it the list price of *billed* pictures."""
        if cost is None:
            cost = price.cost(billed) if price else Cost()
        attempt = Attempt(
            provider=self.provider,
            model=self.model,
            n=self.request.n,
            images=len(images),
            execution_seconds=self.execution_seconds,
            created_at=self.created_at,
            cost=cost,
            charged="yes",
            request_id=self.request_id,
        )
        return Generation(
            images=tuple(images),
            failures=tuple(failures),
            cost=cost,
            provider=self.provider,
            model=self.model,
            request=self.request,
            attempts=(attempt,),
            notices=(*self.notices, *self._surplus(len(images))),
            job=self.job,
            raw=(without_pictures(raw),),
        )

    def _surplus(self, came: int) -> list[Notice]:
        asked = self.request.n
        words = f"{came} pictures came, {asked} were asked for"
        return [Notice("delivered", "n", words)] if came > asked else []


def inline_image(content: object, image: GeneratedImage) -> GeneratedImage | None:
    """Fill *image* from base64, with or without a data URL prefix, or bytes; None for no picture.

    Base64 may be in lines. Bytes are what `codec.decode` gives for base64 that was decoded on its
    way.
    """
    if isinstance(content, str):
        payload = content.partition(",")[2] if content.startswith("data:") else content
        try:
            content = base64.b64decode("".join(payload.split()), validate=True)
        except ValueError:
            return None
    return image.with_data(content) if isinstance(content, bytes) else None


def is_url(content: object) -> TypeGuard[str]:
    """Tell a picture's URL from its base64."""
    return isinstance(content, str) and content[:8].lower().startswith(("http://", "https://"))


def without_pictures(raw: Any) -> Any:
    """Copy a decoded reply, long strings, names of fields among them, replaced by their length."""
    if isinstance(raw, bytes):
        return f"<{(len(raw) + 2) // 3 * 4:,} characters>"
    if isinstance(raw, str) and len(raw) > SHOWN_TEXT:
        return f"<{len(raw):,} characters>"
    if isinstance(raw, list):
        return [without_pictures(item) for item in raw]
    if isinstance(raw, dict):
        return {without_pictures(name): without_pictures(item) for name, item in raw.items()}
    return raw
