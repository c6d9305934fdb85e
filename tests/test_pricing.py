"""List prices: what the book says and what it makes a request cost."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal, localcontext
from importlib import resources
from typing import Any, Literal

import pytest
from attrs import asdict, evolve

from imagegen.errors import ConfigurationError
from imagegen.pricing import Price, list_price
from imagegen.redaction import brief
from imagegen.result import Cost

ENTRIES: list[dict[str, Any]] = tomllib.loads(
    resources.files("imagegen").joinpath("prices.toml").read_text(encoding="utf-8")
)["price"]


ALLOWED = {
    "amount": 'a Decimal from 0, such as Decimal("0.0035")',
    "currency": 'an ISO 4217 code such as "USD"',
    "per": '"image" or "call"',
    "as_of": "a date",
}


def price(per: Literal["image", "call"], amount: str = "0.0035") -> Price:
    return Price(
        amount=Decimal(amount), currency="USD", per=per, as_of=date(2026, 1, 1), source="a page"
    )


@pytest.mark.parametrize(
    ("provider", "model", "region", "amount", "currency"),
    [
        ("minimax", "image-01", "global", "0.0035", "USD"),
        ("minimax", "image-01", "china", "0.025", "CNY"),
        ("minimax", "image-01-live", "china", "0.025", "CNY"),
        ("wavespeed", "minimax/image-01/text-to-image", "global", "0.0035", "USD"),
        ("wavespeed", "minimax/image-01/image-to-image", "global", "0.0035", "USD"),
    ],
)
def test_the_book_knows_what_a_picture_costs(
    provider: str, model: str, region: str, amount: str, currency: str
) -> None:
    found = list_price(provider, model, region)
    assert found
    assert (found.amount, found.currency, found.per) == (Decimal(amount), currency, "image")


@pytest.mark.parametrize(
    ("provider", "model", "region"),
    [
        ("minimax", "image-01-live", "global"),
        ("minimax", "image-02", "global"),
        ("minimax", "image-01", "mars"),
        ("nobody", "image-01", "global"),
        ("wavespeed", "minimax/image-01", "global"),
        ("", "", ""),
    ],
)
def test_a_price_that_nobody_published_is_unknown_not_zero(
    provider: str, model: str, region: str
) -> None:
    assert list_price(provider, model, region) is None


def test_the_region_is_global_unless_said() -> None:
    assert list_price("minimax", "image-01") == list_price("minimax", "image-01", "global")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['model']} {entry['region']}")
def test_an_entry_of_the_book_is_complete_and_found(entry: dict[str, Any]) -> None:
    found = list_price(entry["provider"], entry["model"], entry["region"])
    assert found
    expected = {name: entry[name] for name in ("currency", "per", "as_of", "source")}
    assert asdict(found) == {**expected, "amount": Decimal(entry["amount"])}
    assert found.amount > 0
    assert found.per in ("image", "call")
    assert type(found.as_of) is date
    assert found.source
    assert (len(found.currency), found.currency.isupper()) == (3, True)


def test_no_model_has_two_prices_in_one_region() -> None:
    keys = [(entry["provider"], entry["model"], entry["region"]) for entry in ENTRIES]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("per", "images", "amount"),
    [
        ("image", 0, "0"),
        ("image", 1, "0.0035"),
        ("image", 9, "0.0315"),
        ("call", 0, "0"),
        ("call", 1, "0.0035"),
        ("call", 9, "0.0035"),
    ],
)
def test_a_call_costs_by_the_image_or_as_a_whole_and_nothing_for_nothing(
    per: Literal["image", "call"], images: int, amount: str
) -> None:
    expected = Cost(amount=Decimal(amount), currency="USD", basis="list-price")
    assert price(per).cost(images) == expected


def test_money_is_exact() -> None:
    assert price("image", "0.1").cost(3).amount == Decimal("0.3")


def test_a_cost_says_what_price_it_rests_on() -> None:
    cost = price("image").cost(3)
    assert cost.source == "a page, 2026-01-01"
    assert (cost + price("image").cost(1)).source == cost.source


def test_a_sum_of_two_sources_names_neither() -> None:
    other = evolve(price("image"), source="another page")
    total = price("image").cost(1) + other.cost(1)
    assert (total.amount, total.basis, total.source) == (Decimal("0.0070"), "list-price", None)


def test_the_source_does_not_make_two_costs_different() -> None:
    assert price("image").cost(1) == evolve(price("image"), source="another page").cost(1)


def test_a_price_is_old_after_180_days() -> None:
    assert not price("image").is_old(date(2026, 6, 30))
    assert price("image").is_old(date(2026, 7, 1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", Decimal("-0.01")),
        ("amount", Decimal("NaN")),
        ("amount", Decimal("Infinity")),
        ("amount", 0.0035),
        ("amount", "0.0035"),
        ("currency", "dollars"),
        ("currency", ""),
        ("currency", None),
        ("per", "megapixel"),
        ("as_of", "2026-11-01"),
        ("as_of", None),
    ],
)
def test_what_is_no_price_is_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        evolve(price("image"), **{field: value})  # type: ignore[arg-type]
    assert str(caught.value) == f"a price's {field} must be {ALLOWED[field]}, not {brief(value)}"
    assert caught.value.field == field


def test_a_price_of_nothing_is_a_price() -> None:
    assert price("image", "0").cost(9).amount == 0


def test_a_price_is_given_by_name_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        Price(Decimal(1), "USD", "image", date(2026, 1, 1), "a page")  # type: ignore[call-arg]


def test_the_caller_s_decimal_context_changes_no_price() -> None:
    with localcontext(prec=1):
        cost = price("image").cost(9)
        total = cost + price("image").cost(9)
    assert (cost.amount, total.amount) == (Decimal("0.0315"), Decimal("0.0630"))
