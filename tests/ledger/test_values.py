"""Amounts, budgets, entries and the account."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from imagegen import BudgetExceededError, Cost, InvalidRequestError
from imagegen.ledger import Budget, Ledger, Spend
from imagegen.ledger.money import LARGEST, amount_of, billionths

if TYPE_CHECKING:
    from tests.ledger.conftest import Maker

AMOUNTS = st.decimals(0, LARGEST, allow_nan=False, allow_infinity=False)


@given(st.integers(0, LARGEST * 10**9))
def test_an_amount_of_nine_digits_is_kept_exactly(count: int) -> None:
    assert billionths(amount_of(count)) == count


@given(AMOUNTS)
def test_an_amount_of_more_digits_is_rounded_up(amount: Decimal) -> None:
    count = billionths(amount)
    assert count is not None
    assert Decimal(count - 1) < amount * 10**9 <= Decimal(count)


def test_the_caller_s_decimal_context_changes_nothing() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        assert billionths(Decimal("123456.789")) == 123_456_789_000_000
        assert str(amount_of(123_456_789_000_000)) == "123456.789"


def test_an_amount_is_read_without_needless_zeros() -> None:
    assert [str(amount_of(count)) for count in (0, 3_500_000, 10**11)] == ["0", "0.0035", "100"]


def test_a_tiny_amount_is_a_billionth() -> None:
    assert billionths(Decimal("1E-999999")) == 1
    assert billionths(Decimal("0E-999999")) == 0


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-0.01", "1E+999999"])
def test_an_amount_that_nothing_costs_is_none(amount: str) -> None:
    assert billionths(Decimal(amount)) is None


@pytest.mark.parametrize("amount", ["0.10", Decimal("0.10"), 0.1])
def test_a_budget_takes_any_kind_of_number(amount: Any) -> None:
    assert Budget(amount=amount) == Budget(amount=Decimal("0.1"), currency="USD", per="total")
    assert Budget(amount=3).amount == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "lots"},
        {"amount": "NaN"},
        {"amount": float("inf")},
        {"amount": -1},
        {"amount": True},
        {"amount": None},
        {"amount": 1, "currency": ""},
        {"amount": 1, "currency": None},
        {"amount": 1, "per": "month"},
    ],
)
def test_a_budget_that_is_none_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Budget(**fields)
    assert caught.value.field == "budget"


@pytest.mark.parametrize("name", ["started_at", "until"])
def test_an_entry_s_times_are_aware(make: Maker, name: str) -> None:
    with pytest.raises(InvalidRequestError, match=name):
        make.entry(**{name: datetime(2026, 11, 21)})  # noqa: DTZ001 - that is the point


def test_a_budget_holds_to_the_last_billionth(ledger: Ledger, make: Maker) -> None:
    budget = Budget(amount="0.007")
    for _ in range(2):
        ledger.intend(make.entry(), budget).result()
    refused = make.entry(reserved=make.price("0.000000001"))
    with pytest.raises(BudgetExceededError) as caught:
        ledger.intend(refused, budget).result()
    error = caught.value
    assert str(error) == (
        "wavespeed: it would cost 0.000000001 USD, and of the total budget of 0.007 USD "
        "0.007 USD are spent or held (model minimax/image-01). Raise the budget"
    )
    assert (error.field, error.provider, error.model) == (
        "budget",
        "wavespeed",
        "minimax/image-01",
    )
    assert ledger.entry(refused.id).result() is None
    ledger.intend(make.entry(reserved=make.price("0")), budget).result()


def test_what_is_released_may_be_spent_again(ledger: Ledger, make: Maker) -> None:
    budget = Budget(amount="0.0035")
    first, second = make.entry(), make.entry()
    ledger.intend(first, budget).result()
    ledger.refused(first.id, InvalidRequestError("no")).result()
    ledger.intend(second, budget).result()
    cheaper = make.generation(make.job(), cost=make.price("0.0005"))
    ledger.settled(second.id, cheaper).result()
    ledger.intend(make.entry(reserved=make.price("0.003")), budget).result()
    with pytest.raises(BudgetExceededError):
        ledger.intend(make.entry(reserved=make.price("0.000000001")), budget).result()


def test_a_daily_budget_begins_anew_at_midnight_of_utc(ledger: Ledger, make: Maker) -> None:
    budget = Budget(amount="0.0035", per="day")
    west = timezone(-timedelta(hours=5))
    late = datetime(2026, 11, 21, 18, 59, 59, tzinfo=west)
    ledger.intend(make.entry(), budget).result()
    with pytest.raises(BudgetExceededError, match=r"daily budget .* or wait for the next day"):
        ledger.intend(make.entry(started_at=late), budget).result()
    ledger.intend(make.entry(started_at=late + timedelta(seconds=1)), budget).result()
    with pytest.raises(BudgetExceededError):
        ledger.intend(make.entry(), Budget(amount="0.01")).result()


@pytest.mark.parametrize(
    ("reserved", "words"),
    [
        (Cost(), "its price is unknown"),
        (Cost(amount=Decimal(1), currency="CNY"), "its price is in CNY"),
    ],
)
def test_a_budget_cannot_be_promised_for_such_a_price(
    ledger: Ledger, make: Maker, reserved: Cost, words: str
) -> None:
    with pytest.raises(BudgetExceededError, match=f"{words}, so the total budget of 5 USD cannot"):
        ledger.intend(make.entry(reserved=reserved), Budget(amount=5)).result()
    ledger.intend(make.entry(reserved=reserved)).result()
    ledger.intend(make.entry(), Budget(amount="0.0035")).result()


@pytest.mark.parametrize("amount", ["NaN", "-1", "1000000.01"])
def test_a_price_that_nothing_has_cannot_be_reserved(
    ledger: Ledger, make: Maker, amount: str
) -> None:
    with pytest.raises(InvalidRequestError, match="reserved"):
        ledger.intend(make.entry(reserved=make.price(amount))).result()


def test_the_account_adds_up_by_day_model_and_currency(ledger: Ledger, make: Maker) -> None:
    day = timedelta(days=1)
    dollars, yuan, unpriced = (
        make.entry(),
        make.entry(reserved=make.price("0.025", "CNY")),
        make.entry(reserved=Cost(), started_at=make.noon + day),
    )
    for entry in (dollars, yuan, unpriced):
        ledger.intend(entry).result()
    ledger.unknown(yuan.id, OSError()).result()
    ledger.settled(dollars.id, make.generation(make.job(), cost=make.price("0.002"))).result()
    same = {"provider": "wavespeed", "model": "minimax/image-01", "submissions": 1}
    today, zero = date(2026, 11, 21), Decimal(0)
    lines = [
        Spend(
            day=today, currency="CNY", images=0, spent=zero, open=Decimal("0.025"), unknown=1,
            unpriced=0, **same,  # type: ignore[arg-type]
        ),
        Spend(
            day=today, currency="USD", images=1, spent=Decimal("0.002"), open=zero, unknown=0,
            unpriced=0, **same,  # type: ignore[arg-type]
        ),
        Spend(
            day=today + day, currency=None, images=0, spent=zero, open=zero, unknown=0,
            unpriced=1, **same,  # type: ignore[arg-type]
        ),
    ]  # fmt: skip
    assert ledger.spend().result() == lines
    assert ledger.spend(today + day).result() == lines[2:]
    assert ledger.spend(datetime(2026, 11, 22, 23, tzinfo=UTC)).result() == lines[2:]


def test_a_cost_in_another_currency_moves_to_that_one(ledger: Ledger, make: Maker) -> None:
    entry, free = make.entry(), make.entry()
    for one in (entry, free):
        ledger.intend(one).result()
    ledger.settled(entry.id, make.generation(make.job(), cost=make.price("0.02", "CNY"))).result()
    nothing = Cost(amount=Decimal(0), basis="list-price")
    ledger.settled(free.id, make.generation(make.job("2"), cost=nothing)).result()
    spent = {line.currency: line.spent for line in ledger.spend().result()}
    assert spent == {"CNY": Decimal("0.02"), "USD": Decimal(0)}
    assert [line.open for line in ledger.spend().result()] == [0, 0]


def test_sums_that_no_integer_holds_are_refused(ledger: Ledger, make: Maker) -> None:
    entry = make.entry(reserved=make.price("1000000"))
    ledger.intend(entry).result()
    book = ledger._book
    huge = 2**63 - 10**15
    ledger._writer.put(
        lambda: book._connection.execute("UPDATE totals SET open = ?", (huge,)).rowcount
    ).result()
    with pytest.raises(Exception, match="CHECK constraint"):
        ledger.intend(make.entry(reserved=make.price("1000000"))).result()
    assert len(ledger.entries().result()) == 1
