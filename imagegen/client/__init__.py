"""Client and AsyncClient: lifetime and concurrency.

What to send and how to join is decided in `imagegen.orders`, how to talk in the backends. The
two classes are twins but for `await`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from imagegen.client.aio import AsyncClient
from imagegen.client.base import TIMEOUT, Fit, Model, Money, Unsupported
from imagegen.client.blocking import Client
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
    timeout: float = TIMEOUT,
    max_cost: Money | None = None,
    fit: Fit = "strict",
    unsupported: Unsupported = "error",
    **fields: Unpack[RequestFields],
) -> Generation:
    """Make pictures in one line, with a client configured by the environment.

    *fields* are those of ImageRequest, such as ``n=2, size="1280x720"``; the rest is as for
    `Client.generate`.
    """
    with Client(timeout=timeout) as client:
        return client.generate(
            ImageRequest(prompt, **fields),
            model=model,
            max_cost=max_cost,
            fit=fit,
            unsupported=unsupported,
        )
