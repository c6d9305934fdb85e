"""Budget: how much may be spent, and whether one more submission fits."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from attrs import Attribute, field, frozen

from imagegen.errors import BudgetExceededError, InvalidRequestError
from imagegen.ledger.money import amount_of, billionths, priced
from imagegen.ledger.values import Entry
from imagegen.redaction import brief


def _amount(value: Decimal | str | float) -> Decimal:
    try:
        amount = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise InvalidRequestError(
            f'a budget must be an amount such as "5.00", not {brief(value)}', field="budget"
        )
    return amount


def _check_currency(_: object, __: Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(
            f'a budget\'s currency must be a code such as "USD", not {brief(value)}',
            field="budget",
        )


def _check_per(_: object, __: Attribute[Any], value: Any) -> None:
    if value not in ("day", "total"):
        raise InvalidRequestError(
            f'a budget is per "day" or "total", not {brief(value)}', field="budget"
        )


@frozen(kw_only=True)
class Budget:
    """What may be spent, counting what is only reserved as spent.

    Args:
        amount: Decimal, string or number, finite, 0 or more.
        currency: ISO 4217; what is spent in others does not count.
        per: ``"day"`` (a calendar day of UTC) or ``"total"`` (everything in the ledger).

    Raises:
        InvalidRequestError: a field is not as said above.
    """

    amount: Decimal = field(converter=_amount)
    currency: str = field(default="USD", validator=_check_currency)
    per: Literal["day", "total"] = field(default="total", validator=_check_per)

    def __str__(self) -> str:
        kind = "daily" if self.per == "day" else "total"
        return f"the {kind} budget of {self.amount:f} {self.currency}"


def require_room(budget: Budget, entry: Entry, held: int) -> None:
    """Check that *entry* fits into *budget* beside *held*, in billionths.

    Raises:
        BudgetExceededError: it does not, or nobody can tell.
    """
    price = billionths(entry.reserved.amount)
    if price is None or entry.reserved.currency != budget.currency:
        known = "unknown" if price is None else f"in {entry.reserved.currency}"
        words = f"its price is {known}, so {budget} cannot be promised"
        advice = "Choose a model with a known price in that currency, or set no budget"
    elif amount_of(held + price) > budget.amount:
        words = (
            f"it would cost {priced(price, budget.currency)}, and of {budget} "
            f"{priced(held, budget.currency)} are spent or held"
        )
        advice = "Raise the budget" + (", or wait for the next day" * (budget.per == "day"))
    else:
        return
    raise BudgetExceededError(
        words, advice=advice, provider=entry.provider, model=entry.model, field="budget"
    )
