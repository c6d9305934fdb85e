"""How an account stands: its key is accepted, and this much is left. Values, and how to read them.

A provider's figures are untrusted: `amount` and `moment` take nothing that is not plainly one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Literal

from attrs import frozen

from imagegen.flow import Reply

_PLAIN = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")


@frozen(kw_only=True)
class Balance:
    """What is left on a pay-as-you-go account; `currency` is None where the provider names none."""

    amount: Decimal
    currency: str | None = None


@frozen(kw_only=True)
class Quota:
    """What a plan allows of one model in one period.

    Attributes:
        model: the provider's model id.
        period: ``"interval"`` (the plan's own, such as a day) or ``"week"``.
        total: how many the period allows.
        count: the figure that the provider tells beside it.
        counts: what `count` counts; ``"unclear"`` where the provider's pages do not settle whether
            it is what was used or what is left.
        renews_at: aware; when the period ends. None where that is not told.
    """

    model: str
    period: Literal["interval", "week"]
    total: int
    count: int
    counts: Literal["used", "remaining", "unclear"]
    renews_at: datetime | None = None


@frozen(kw_only=True)
class Standing:
    """An account whose key was accepted.

    Attributes:
        balance: None where the account has none, or the provider does not tell.
        quota: one for each model and period of a plan; empty without a plan.
        clock: the provider's clock, from the reply's Date header, to the second; None without one.
        received_at: ours, when the reply came.
    """

    balance: Balance | None = None
    quota: tuple[Quota, ...] = ()
    clock: datetime | None = None
    received_at: datetime

    @property
    def skew(self) -> float | None:
        """Seconds that the provider's clock is ahead of ours; None where it tells no time."""
        return (self.clock - self.received_at).total_seconds() if self.clock else None


def clock(reply: Reply) -> datetime | None:
    """Read the Date header; None where it is missing or no date."""
    try:
        told = parsedate_to_datetime(reply.headers.get("date", "")[:64])
        return told.replace(tzinfo=told.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def amount(value: object) -> Decimal | None:
    """Read an amount of money, told as a number or as its digits; None for anything else."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        number = Decimal(value)
        value = f"{number:f}" if abs(number.adjusted()) <= 12 else ""
    return Decimal(value) if isinstance(value, str) and _PLAIN.fullmatch(value) else None


def moment(milliseconds: object) -> datetime | None:
    """Read milliseconds since 1970; None for anything that is not a moment of this century."""
    if type(milliseconds) is not int or not 946_684_800_000 <= milliseconds < 4_102_444_800_000:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
