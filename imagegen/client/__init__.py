"""Client and AsyncClient: lifetime and concurrency.

What to send and how to join is decided in `imagegen.orders`, how to talk in the backends. The
two classes are twins but for `await`.
"""

from __future__ import annotations

from typing import Any

from imagegen.client.aio import AsyncClient
from imagegen.client.base import TIMEOUT, Fit, Money, Unsupported
from imagegen.client.blocking import Client
from imagegen.request import ImageRequest
from imagegen.result import Generation

__all__ = ["AsyncClient", "Client", "Fit", "Money", "Unsupported", "generate"]


def generate(
    prompt: str,
    *,
    model: str | None = None,
    timeout: float = TIMEOUT,
    max_cost: Money | None = None,
    fit: Fit = "strict",
    unsupported: Unsupported = "error",
    **fields: Any,
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
