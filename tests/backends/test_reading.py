"""Money and moments, read from what anybody may have sent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from imagegen.backends.contract import moment, money
from imagegen.result import Cost


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (0, "0"),
        ("0.024", "0.024"),
        (Decimal("1.50"), "1.50"),
        (7, "7"),
        ("2e-3", "0.002"),
        (Decimal("0E-900"), "0"),
    ],
)
def test_money_is_a_number_or_a_string(value: Any, amount: str) -> None:
    cost = money({"spent": value}, "spent", "USD")
    assert cost == Cost(amount=Decimal(amount), currency="USD", basis="billed")


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, -1, "-1", "NaN", "Infinity", "", " 1", "1_000", "0x1", "1e999", "٣"),
        *([], {}, 10**16, Decimal("NaN"), Decimal("1e999999"), Decimal("1e-999999"), "1e-99"),
    ],
)
def test_what_is_no_amount_is_no_money(value: Any) -> None:
    assert money({"spent": value}, "spent", "USD") is None


def test_money_of_no_currency_is_none() -> None:
    assert money({"spent": 1}, "spent", "credits") is None
    assert money([], "spent", "USD") is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (Decimal("1700000000.5"), datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)),
        (10**15, None),
        ("1700000000", None),
    ],
)
def test_a_moment_is_read_from_unix_seconds(value: Any, read: datetime | None) -> None:
    assert moment({"gone_at": value}, "gone_at") == read
