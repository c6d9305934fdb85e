"""Which model was cheapest, which was fastest, and what all of them cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from imagegen.report.words import cost_of, latency, listed
from imagegen.result import Cost
from imagegen.wording import basis, counted, money, unit

if TYPE_CHECKING:
    from imagegen.purchase.comparison import Comparison, Contender


@frozen
class Finding:
    """One finding: its name, what was found, the figure, and what limits it.

    `places` says which contenders it names, counted from 0.
    """

    name: str
    found: str
    figure: str = ""
    note: str = ""
    places: tuple[int, ...] = ()


def findings(comparison: Comparison, names: Sequence[str]) -> tuple[Finding, Finding, Finding]:
    """Find the cheapest, the fastest and the total; *names* are the models' as shown.

    Only models that delivered every picture are compared: one that failed was fast and cheap.
    """
    whole = [
        place
        for place, contender in enumerate(comparison.contenders)
        if len(contender.images) >= comparison.request.n
    ]
    return (
        _cheapest(comparison.contenders, whole, names),
        _fastest(comparison.contenders, whole, names),
        _total(comparison),
    )


def _cheapest(contenders: Sequence[Contender], whole: list[int], names: Sequence[str]) -> Finding:
    costs = {place: cost_of(contenders[place]) for place in whole}
    amounts = {place: cost.amount for place, cost in costs.items() if cost.amount is not None}
    if len({unit(cost) for cost in costs.values() if cost.amount}) > 1:
        return Finding("Cheapest", "Not compared", note="The costs are in several currencies")
    if not amounts:
        why = "No cost is known" if whole else _nobody(contenders)
        return Finding("Cheapest", "Not known", note=why)
    best = _least(amounts)
    note = _among(len(contenders), len(whole))
    if len(amounts) < len(whole):
        note = f"{note} Only {counted(len(amounts), 'cost')} of {len(whole)} known.".lstrip()
    cost = costs[best[0]]
    return Finding("Cheapest", _named(best, names), _with_basis(cost), note, best)


def _fastest(contenders: Sequence[Contender], whole: list[int], names: Sequence[str]) -> Finding:
    if not whole:
        return Finding("Fastest", "Not known", note=_nobody(contenders))
    best = _least({place: Decimal(str(contenders[place].seconds)) for place in whole})
    figure = latency(contenders[best[0]])
    return Finding(
        "Fastest", _named(best, names), figure, _among(len(contenders), len(whole)), best
    )


def _total(comparison: Comparison) -> Finding:
    """The total; where it is unknown, what is known of it in each currency."""
    costs = [cost_of(contender) for contender in comparison.contenders]
    total = Cost.total(costs)
    if total.amount is not None:
        return Finding("Total cost", money(total), note=basis(total))
    known = [cost for cost in costs if cost.amount]
    units = sorted({unit(cost) for cost in known})
    sums = [Cost.total(cost for cost in known if unit(cost) == each) for each in units]
    unknown = sum(cost.amount is None for cost in costs)
    note = f"The cost of {counted(unknown, 'model')} is not known" if unknown else ""
    if not sums:
        return Finding("Total cost", "Unknown", note=note)
    figure = listed([money(cost) for cost in sums])
    return Finding("Total cost", f"At least {figure}" if unknown else figure, note=note)


def _least(amounts: dict[int, Decimal]) -> tuple[int, ...]:
    """Every place that has the least amount."""
    least = min(amounts.values())
    return tuple(place for place, amount in amounts.items() if amount == least)


def _named(places: Sequence[int], names: Sequence[str]) -> str:
    return listed([names[place] for place in places])


def _with_basis(cost: Cost) -> str:
    rests_on = basis(cost).split(",")[0]
    return f"{money(cost)}, {rests_on}" if rests_on else money(cost)


def _nobody(contenders: Sequence[Contender]) -> str:
    return f"None of {counted(len(contenders), 'model')} delivered every picture"


def _among(all_of_them: int, whole: int) -> str:
    if whole == all_of_them:
        return ""
    if whole == 1:
        return f"The only one of {counted(all_of_them, 'model')} that delivered every picture."
    return f"Of the {whole} of {counted(all_of_them, 'model')} that delivered every picture."
