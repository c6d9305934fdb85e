"""Free sizes within bounds, and sizes of a ratio."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from imagegen.backends.geometry import (
    PIXELS,
    Bounds,
    about_a_megapixel,
    shape_of,
    sizes_of_ratio,
    unlikeness,
)
from imagegen.request import LONGEST_SIDE, Size

BOUNDS = Bounds(step=16, longest=3840, steepest=3, smallest=655_360, largest=8_294_400)
SIZES = st.builds(Size, st.integers(1, LONGEST_SIDE), st.integers(1, LONGEST_SIDE))


@pytest.mark.parametrize(
    "size", ["1024x640", "640x1024", "3840x2160", "3840x1280", "2880x2880", "1408x480"]
)
def test_a_size_on_the_bounds_keeps_to_them(size: str) -> None:
    assert BOUNDS.hold(Size.parse(size))


@pytest.mark.parametrize(
    "size", ["1024x624", "1025x1024", "1024x1032", "3856x2144", "3840x2176", "1440x464", "16x16"]
)
def test_a_size_beyond_one_bound_does_not(size: str) -> None:
    assert not BOUNDS.hold(Size.parse(size))


@given(wanted=SIZES)
def test_the_nearest_size_keeps_to_the_bounds_and_is_the_size_itself_if_that_does(
    wanted: Size,
) -> None:
    nearest = BOUNDS.nearest(wanted)
    assert BOUNDS.hold(nearest)
    if BOUNDS.hold(wanted):
        assert nearest == wanted
    elif Fraction(1, 3) <= shape_of(wanted) <= 3:
        assert unlikeness(shape_of(wanted), shape_of(nearest)) < 0.05


@given(across=st.integers(1, 99), down=st.integers(1, 99))
def test_sizes_of_a_ratio_are_exactly_of_it(across: int, down: int) -> None:
    sizes = sizes_of_ratio(f"{across}:{down}", 16)
    assert sizes
    assert {shape_of(size) for size in sizes} == {Fraction(across, down)}
    assert all(size.width % 16 == size.height % 16 == 0 for size in sizes)
    best = about_a_megapixel(sizes)
    distance = abs(best.width * best.height - PIXELS)
    assert all(abs(s.width * s.height - PIXELS) >= distance for s in sizes)
