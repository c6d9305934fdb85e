"""Shapes and sizes: what is nearest to what. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, floor, log

from imagegen.request import Size

PIXELS = 1024 * 1024
"""The area that a ratio is given where the model leaves the choice."""


def shape(ratio: str) -> Fraction:
    """Width divided by height of ``"16:9"`` and the like."""
    width, height = ratio.split(":")
    return Fraction(int(width), int(height))


def shape_of(size: Size) -> Fraction:
    """Width divided by height."""
    return Fraction(size.width, size.height)


def unlikeness(one: Fraction, other: Fraction) -> float:
    """0 for the same shape, the same for twice as wide as for twice as high."""
    return abs(log(one) - log(other))


def nearest_ratio(wanted: Fraction, ratios: Iterable[str]) -> str:
    """The one of *ratios* that is closest to the *wanted* shape."""
    return min(ratios, key=lambda ratio: unlikeness(wanted, shape(ratio)))


def nearest_of_shape(wanted: Fraction, sizes: Iterable[Size]) -> Size:
    """The first of *sizes* that is closest to the *wanted* shape."""
    return min(sizes, key=lambda size: unlikeness(wanted, shape_of(size)))


def nearest_listed(wanted: Size, sizes: Iterable[Size]) -> Size:
    """The one of *sizes* that is closest in shape, then in area."""

    def distance(size: Size) -> tuple[float, int]:
        area = abs(size.width * size.height - wanted.width * wanted.height)
        return unlikeness(shape_of(wanted), shape_of(size)), area

    return min(sizes, key=distance)


def nearest_within(wanted: Size, low: int, high: int) -> Size:
    """*wanted*, scaled as little as needed to have its sides in bounds, and clamped if it must."""
    short, long = sorted((wanted.width, wanted.height))
    scale = min(max(Fraction(1), Fraction(low, short)), Fraction(high, long))
    sides = (min(max(round(side * scale), low), high) for side in (wanted.width, wanted.height))
    return Size(*sides)


def size_of_ratio(ratio: str, low: int, high: int) -> Size | None:
    """A size of exactly this ratio within bounds, of about a megapixel; None if there is none."""
    across, down = (int(side) for side in ratio.split(":"))
    least, most = ceil(Fraction(low, min(across, down))), floor(Fraction(high, max(across, down)))
    steps = range(ceil(Fraction(least, 8)) * 8, most + 1, 8) or range(least, most + 1)
    if not steps:
        return None
    step = min(steps, key=lambda k: abs(k * k * across * down - PIXELS))
    return Size(across * step, down * step)
