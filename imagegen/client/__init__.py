"""Client and AsyncClient: lifetime and concurrency.

What to send and how to join is decided in `imagegen.purchase.orders`, how to talk in the backends.
The two classes are twins but for `await`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from imagegen.backends.base import Fit, Unsupported
from imagegen.client.aio import AsyncClient
from imagegen.client.arguments import Money
from imagegen.client.blocking import Client
from imagegen.client.models import Model
from imagegen.request import ImageRequest, Output, ReferenceImage, Size
from imagegen.result import Generation

__all__ = ["AsyncClient", "Client", "Fit", "Model", "Money", "Unsupported", "generate"]


class RequestFields(TypedDict, total=False):
    """The fields of ImageRequest beside the prompt."""

    n: int
    size: Size | str | tuple[int, int] | None
    aspect_ratio: str | None
    seed: int | None
    references: Sequence[ReferenceImage | str | Path | bytes]
    enhance_prompt: bool | None
    output: Output
    provider_options: Mapping[str, Mapping[str, Any]]


def generate(
    prompt: str,
    *,
    model: Model | None = None,
    timeout: float | None = None,
    max_cost: Money | None = None,
    fit: Fit | None = None,
    unsupported: Unsupported | None = None,
    **fields: Unpack[RequestFields],
) -> Generation:
    """Make pictures in one line, with a client of `Client.from_config`.

    *fields* are those of ImageRequest, such as ``n=2, size="1280x720"``; the rest is as for
    `Client.generate`.
    """
    with Client.from_config() as client:
        return client.generate(
            ImageRequest(prompt, **fields),
            model=model,
            timeout=timeout,
            max_cost=max_cost,
            fit=fit,
            unsupported=unsupported,
        )
