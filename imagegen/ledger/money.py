"""Amounts as integers, so that the file adds up exactly."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal

LARGEST = 1_000_000
"""Of any currency, in one row; the sum of nine thousand such rows still fits into 64 bits."""

_BILLIONTH = Decimal("1E-9")
_EXACT = Context(prec=60, rounding=ROUND_CEILING)


def billionths(amount: Decimal | None) -> int | None:
    """Return *amount* in billionths of its currency, rounded up if it has more than nine digits.

    None for an unknown amount, and for what no submission costs: less than nothing, more than
    `LARGEST`, infinite.
    """
    if amount is None or not amount.is_finite() or not 0 <= amount <= LARGEST:
        return None
    return int(_EXACT.scaleb(_EXACT.quantize(amount, _BILLIONTH), 9))


def amount_of(count: int) -> Decimal:
    """Return so many billionths as an amount, without needless zeros."""
    shortest = _EXACT.normalize(_EXACT.scaleb(Decimal(count), -9))
    return _EXACT.add(shortest, Decimal(0))


def priced(count: int, currency: str) -> str:
    """Write so many billionths of *currency* for people."""
    return f"{amount_of(count):f} {currency}"
