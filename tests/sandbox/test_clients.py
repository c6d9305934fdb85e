from __future__ import annotations

import asyncio

import pytest

from imagegen import ImageRequest
from imagegen.sandbox import Sandbox

REQUEST = ImageRequest(prompt="a fox", n=2, seed=1)
MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"


@pytest.mark.parametrize(
    ("model", "keys"), [(MINIMAX, None), (WAVESPEED, None), (MINIMAX, {"k2", "k1"})]
)
def test_a_client_reaches_both_providers(model: str, keys: set[str] | None) -> None:
    sandbox = Sandbox(keys=keys)
    with sandbox.client() as client:
        generation = client.generate(REQUEST, model=model, timeout=20)
    assert len(generation.images) == 2
    assert [submission.images for submission in sandbox.submissions] == [2]


def test_an_async_client_does_too() -> None:
    sandbox = Sandbox()

    async def main() -> int:
        async with sandbox.async_client() as client:
            return len((await client.generate(REQUEST, model=MINIMAX, timeout=20)).images)

    assert asyncio.run(main()) == 2
    assert [submission.images for submission in sandbox.submissions] == [2]
