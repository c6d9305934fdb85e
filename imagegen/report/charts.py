"""Bars: how long each is, in percent of the chart's width, and what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from imagegen.report.words import cost_of, latency, was_asked
from imagegen.result import Cost
from imagegen.wording import money, unit

if TYPE_CHECKING:
    from imagegen.purchase.comparison import Contender

WIDEST = 64
"""Percent of the width that the longest bar takes; the rest is for its figure."""

ROW = 50
"""Pixels from one bar to the next."""

_NAME = 40


@frozen
class Bar:
    """One model's bar; without a width (percent) its figure is not known."""

    name: str
    figure: str
    width: str | None
    top: int


@frozen
class Chart:
    """Bars in one unit; `height` in pixels."""

    title: str
    bars: tuple[Bar, ...]

    @property
    def height(self) -> int:
        """Pixels that the bars take."""
        return ROW * len(self.bars)

    @property
    def words(self) -> str:
        """The same for those who do not see it."""
        return "; ".join(f"{bar.name}: {bar.figure}" for bar in self.bars)


def charts(contenders: Sequence[Contender], names: Sequence[str]) -> tuple[Chart, ...]:
    """Draw costs, one chart for each currency, and latencies; *names* are the models' as shown."""
    costs = list(zip(names, map(cost_of, contenders), strict=True))
    units = sorted({unit(cost) for _, cost in costs if cost.amount})
    return (
        *(_costs(each, costs, len(units)) for each in units or [""]),
        _latencies(list(zip(names, contenders, strict=True))),
    )


def _costs(currency: str, costs: list[tuple[str, Cost]], units: int) -> Chart:
    """Costs in *currency*, and those that are nothing or unknown: they are so in any other."""
    here = [(n, c) for n, c in costs if not c.amount or unit(c) == currency]
    title = f"Cost in {currency}" if currency else "Cost"
    if units > 1:
        title += ", not to be compared with another currency's"
    return _chart(title, [(name, cost.amount, money(cost)) for name, cost in here])


def _latencies(pairs: list[tuple[str, Contender]]) -> Chart:
    return _chart("Latency", [(name, _seconds(c), _latency(c)) for name, c in pairs])


def _seconds(contender: Contender) -> Decimal | None:
    return Decimal(str(contender.seconds)) if was_asked(contender) else None


def _latency(contender: Contender) -> str:
    failed = was_asked(contender) and not contender.images
    return f"{latency(contender)}, failed" if failed else latency(contender)


def _chart(title: str, figures: list[tuple[str, Decimal | None, str]]) -> Chart:
    most = max((amount for _, amount, _ in figures if amount), default=Decimal(1))
    return Chart(
        title,
        tuple(
            Bar(_short(name), figure, _width(amount, most), top=ROW * place)
            for place, (name, amount, figure) in enumerate(figures)
        ),
    )


def _width(amount: Decimal | None, most: Decimal) -> str | None:
    return None if amount is None else f"{float(amount) / float(most) * WIDEST:.2f}%"


def _short(name: str) -> str:
    """A long model's name without its middle: both its ends tell models apart."""
    return name if len(name) <= _NAME else f"{name[:14]}…{name[15 - _NAME :]}"
