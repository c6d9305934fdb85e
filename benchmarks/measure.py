"""Figures as values, and how they are taken: in turns, as medians with their quartiles."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias, TypeVar

from attrs import field, frozen

K = TypeVar("K")
T = TypeVar("T")


@frozen
class Spread:
    """The median of some measurements, and their quartiles."""

    median: float
    low: float
    high: float


Cell: TypeAlias = "str | float | Spread"
Row: TypeAlias = "Mapping[str, Cell]"


@frozen
class Verdict:
    """A measured value, and what was aimed at."""

    what: str
    value: float
    target: float
    sense: Literal["at most", "at least"] = "at most"
    unit: str = ""

    @classmethod
    def of(
        cls,
        what: str,
        cell: Cell,
        target: float,
        sense: Literal["at most", "at least"] = "at most",
        unit: str = "",
    ) -> Self:
        """Judge a cell of a table: of a spread, the median."""
        value = cell.median if isinstance(cell, Spread) else float(cell)
        return cls(what, value, target, sense, unit)

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.target if self.sense == "at most" else self.value >= self.target


@frozen
class Figure:
    """What a part measured; `note` says why there is nothing, or what to know."""

    rows: Sequence[Row] = ()
    verdicts: Sequence[Verdict] = ()
    note: str = ""


@frozen
class Part:
    """A part of the suite: `measure` takes True for a short run that only shows that it works."""

    id: str
    title: str
    meaning: str = field(repr=False)
    measure: Callable[[bool], Figure] = field(repr=False)
    plot: str = ""


def in_turns(subjects: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """What each of *subjects* gave, one after the other, round after round.

    So a machine that grows slower or faster does so for all of them.
    """
    taken: dict[K, list[T]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            taken[name].append(subject())
    return taken


def spread(values: Iterable[float]) -> Spread:
    """Median and quartiles."""
    known = list(values)
    if len(known) < 2:
        return Spread(known[0], known[0], known[0])
    low, middle, high = statistics.quantiles(known, n=4, method="inclusive")
    return Spread(middle, low, high)


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """How *values* compare with *base*, round by round."""
    return spread(one / other for one, other in zip(values, base, strict=True))


def to_plain(value: Any) -> Any:
    """For JSON; numbers keep four significant digits."""
    if isinstance(value, Spread):
        return {
            "median": to_plain(value.median),
            "low": to_plain(value.low),
            "high": to_plain(value.high),
        }
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {name: to_plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(each) for each in value]
    return value
