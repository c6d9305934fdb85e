"""From a provider's outputs to GeneratedImage, ImageFailure and a Generation."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeGuard

from attrs import frozen

from imagegen.errors import Charged, ImageGenError
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

    def generation(
        self,
        images: Sequence[GeneratedImage],
        failures: Sequence[ImageFailure],
        *,
        price: Price | None,
        billed: int,
        raw: Any,
    ) -> Generation:
        """Join what came; the cost is the list price of *billed* pictures."""
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

    Bytes are what `codec.decode` gives for base64 that was decoded on its way.
    """
    if isinstance(content, str):
        payload = content.partition(",")[2] if content.startswith("data:") else content
        try:
            content = base64.b64decode(payload, validate=True)
        except ValueError:
            return None
    return image.with_data(content) if isinstance(content, bytes) else None


def is_url(content: object) -> TypeGuard[str]:
    """Tell a picture's URL from its base64."""
    return isinstance(content, str) and content.startswith(("http://", "https://"))


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
