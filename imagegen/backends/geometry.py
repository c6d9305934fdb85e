"""Shapes and sizes: what is nearest to what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import ceil, floor, log, sqrt

from attrs import frozen

from imagegen.request import LONGEST_SIDE, Size

PIXELS = 1024 * 1024
"""The area that a ratio is given where the model leaves the choice."""
NAMED = 10
"""More of a list are counted in a message, not named."""


def few(values: Sequence[object]) -> str:
    """Name the first of *values*, and say how many more there are."""
    more = len(values) - NAMED
    named = ", ".join(map(str, values[:NAMED]))
    return f"{named}, … and {more:,} more" if more > 0 else named


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


def sizes_of_ratio(ratio: str, step: int) -> list[Size]:
    """Every size of exactly this ratio whose sides are divisible by *step*, the smallest first."""
    across, down = shape(ratio).as_integer_ratio()
    times = range(step, LONGEST_SIDE // max(across, down) + 1, step)
    return [Size(across * k, down * k) for k in times]


def about_a_megapixel(sizes: Iterable[Size]) -> Size:
    """The one of *sizes* whose area is closest to `PIXELS`."""
    return min(sizes, key=lambda size: abs(size.width * size.height - PIXELS))


@frozen
class Listed:
    """The sizes of a model that has a list of them."""

    sizes: Sequence[Size]

    def __str__(self) -> str:
        return f"one of {few(self.sizes)}"

    def nearest(self, wanted: Size) -> Size:
        """The one that is closest to *wanted*."""
        return nearest_listed(wanted, self.sizes)

    def of_ratio(self, ratio: str) -> Size:
        """The first of those whose shape is closest to *ratio*."""
        return nearest_of_shape(shape(ratio), self.sizes)


@frozen
class Grid:
    """The sizes of a model whose sides are free from `shortest` to `longest`, in steps.

    Attributes:
        shortest: pixels of a side, at least.
        longest: pixels of a side, at most.
        step: what both sides are divisible by.
    """

    shortest: int
    longest: int
    step: int

    def __str__(self) -> str:
        by = f", divisible by {self.step}" if self.step > 1 else ""
        return f"a size of {self.shortest}–{self.longest} pixels a side{by}"

    def nearest(self, wanted: Size) -> Size:
        """*wanted*, scaled as little as needed, and clamped if it must, on the nearest step."""
        low = ceil(Fraction(self.shortest, self.step)) * self.step
        high = self.longest // self.step * self.step
        near = nearest_within(wanted, low, high)
        return Size(*(self.step * round(side / self.step) for side in (near.width, near.height)))

    def of_ratio(self, ratio: str) -> Size:
        """Of its sizes of exactly *ratio* that nearest to a megapixel; else the nearest to both."""
        exact = [s for s in sizes_of_ratio(ratio, self.step) if self.nearest(s) == s]
        if exact:
            return about_a_megapixel(exact)
        across = sqrt(PIXELS * shape(ratio))
        sides = (min(max(round(side), 1), LONGEST_SIDE) for side in (across, PIXELS / across))
        return self.nearest(Size(*sides))


@frozen(kw_only=True)
class Bounds:
    """What the sizes of a model have in common where they are free.

    Attributes:
        step: what both sides are divisible by.
        longest: pixels of the longer side, at most.
        steepest: how many times as long as the shorter side it is, at most.
        smallest: pixels of the area, at least.
        largest: pixels of the area, at most.
    """

    step: int
    longest: int
    steepest: int
    smallest: int
    largest: int

    def __str__(self) -> str:
        return (
            f"of sides up to {self.longest}, divisible by {self.step}, one at most "
            f"{self.steepest} times the other, with {self.smallest:,}–{self.largest:,} pixels"
        )

    def hold(self, size: Size) -> bool:
        """Tell whether *size* keeps to them."""
        short, long = sorted((size.width, size.height))
        stepped = short % self.step == 0 and long % self.step == 0
        even = long <= min(self.longest, self.steepest * short)
        return stepped and even and self.smallest <= short * long <= self.largest

    def nearest(self, wanted: Size) -> Size:
        """Of the sizes that keep to them one that is close to *wanted* in shape and area."""
        least, most = Fraction(1, self.steepest), Fraction(self.steepest)
        ratio = float(min(max(shape_of(wanted), least), most))
        area = min(max(wanted.width * wanted.height, self.smallest), self.largest)
        width = min(sqrt(area * ratio), self.longest, self.longest * ratio)
        near = (Size(w, h) for w in self._around(width) for h in self._around(width / ratio))
        return nearest_listed(wanted, [size for size in near if self.hold(size)])

    def _around(self, side: float) -> range:
        steps = int(side / self.step)
        return range(self.step * max(steps - 1, 1), self.step * (steps + 3), self.step)
