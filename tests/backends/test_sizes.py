"""Sizes on a grid, and lists of sizes that are too long to be told."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from imagegen.backends.contract import Draft, Terms
from imagegen.backends.geometry import Grid
from imagegen.errors import UnsupportedFeatureError
from imagegen.request import ImageRequest, Size

ASKED = ImageRequest("a red fox")


def on_grid(shape: dict[str, Any], terms: Terms | None = None) -> tuple[Size | None, list[str]]:
    draft = Draft("shop", "m", terms or Terms())
    size = draft.size_on_grid(evolve(ASKED, **shape), 250, 1540, 64)
    return size, [f"{notice.kind} {notice.field}" for notice in draft.finished().notices]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ({}, None),
        ({"size": "1536x256"}, Size(1536, 256)),
        ({"aspect_ratio": "1:1"}, Size(1024, 1024)),
        ({"aspect_ratio": "16:9"}, Size(1024, 576)),
        ({"aspect_ratio": "21:9"}, Size(1344, 576)),
        ({"aspect_ratio": "2:1"}, Size(1408, 704)),
    ],
)
def test_a_size_on_the_grid_is_taken_without_a_word(
    shape: dict[str, Any], size: Size | None
) -> None:
    assert on_grid(shape) == (size, [])


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ({"size": "1000x1000"}, Size(1024, 1024)),
        ({"size": "4000x2000"}, Size(1536, 768)),
        ({"size": "100x200"}, Size(256, 512)),
        ({"size": "1x9000"}, Size(256, 1536)),
        ({"aspect_ratio": "97:64"}, Size(1280, 832)),
        ({"aspect_ratio": "25:1"}, Size(1536, 256)),
    ],
)
def test_what_is_not_on_the_grid_gets_the_nearest_if_the_terms_say_so(
    shape: dict[str, Any], size: Size
) -> None:
    ((name, asked),) = shape.items()
    with pytest.raises(UnsupportedFeatureError, match="pixels a side, divisible by 64") as caught:
        on_grid(shape)
    assert asked in caught.value.message
    assert caught.value.field == name
    assert str(size) in caught.value.advice
    assert on_grid(shape, Terms(fit="nearest")) == (size, [f"adjusted {name}"])


@given(
    size=st.builds(Size, st.integers(1, 16384), st.integers(1, 16384)),
    step=st.sampled_from([1, 8, 64]),
)
def test_the_nearest_on_a_grid_is_on_it(size: Size, step: int) -> None:
    nearest = Grid(250, 1540, step).nearest(size)
    for side in (nearest.width, nearest.height):
        assert 250 <= side <= 1540
        assert side % step == 0
    assert Grid(250, 1540, step).nearest(nearest) == nearest


def test_a_long_list_of_sizes_is_not_told_whole() -> None:
    sizes = [Size(64 * w, 64 * h) for w in range(4, 25) for h in range(4, 25)]
    request = evolve(ASKED, size="1000x1000")
    with pytest.raises(UnsupportedFeatureError, match="256x832, … and 431 more") as caught:
        Draft("shop", "m", Terms()).size_among(request, sizes)
    assert caught.value.message.count("x") == 1 + 10
    draft = Draft("shop", "m", Terms(fit="nearest"))
    draft.size_among(request, sizes)
    draft.ratio_among("1:7", [f"{k}:11" for k in range(1, 13)])
    size, ratio = draft.finished().notices
    assert size.message.endswith("256x832, … and 431 more; 1024x1024 was sent")
    assert "10:11, … and 2 more; " in ratio.message
