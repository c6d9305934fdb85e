"""Prices, as data with a date and a source, and what they make a request cost."""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any, Literal

from attrs import Attribute, field, frozen

from imagegen.errors import ConfigurationError
from imagegen.redaction import brief
from imagegen.result import EXACT, Cost

OLD_AFTER = timedelta(days=180)
"""How long a price is believed without a word. A judgement: providers change theirs a few times a
year, and date none."""


def _amount(_: object, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
        raise _wrong("amount", value, 'a Decimal from 0, such as Decimal("0.0035")')


def _currency(_: object, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
        raise _wrong("currency", value, 'an ISO 4217 code such as "USD"')


def _per(_: object, __: Attribute[Any], value: object) -> None:
    if value not in ("image", "call"):
        raise _wrong("per", value, '"image" or "call"')


def _day(_: object, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _wrong("as_of", value, "a date")


def _wrong(name: str, value: object, allowed: str) -> ConfigurationError:
    words = f"a price's {name} must be {allowed}, not {brief(value)}"
    return ConfigurationError(words, field=name)


@frozen(kw_only=True)
class Price:
    """`amount` in `currency` buys one image or one call, according to `source` on `as_of`.

    Raises:
        ConfigurationError: the amount is negative or not finite, the currency no ISO 4217 code.
    """

    amount: Decimal = field(validator=_amount)
    currency: str = field(validator=_currency)
    per: Literal["image", "call"] = field(validator=_per)
    as_of: date = field(validator=_day)
    source: str

    def cost(self, images: int) -> Cost:
        """Cost of one call that delivers *images* pictures; nothing delivered costs nothing."""
        units = images if self.per == "image" else min(images, 1)
        return Cost(
            amount=EXACT.multiply(self.amount, units),
            currency=self.currency,
            basis="list-price",
            source=f"{self.source}, {self.as_of}",
        )

    def is_old(self, today: date) -> bool:
        """Tell whether the price was read so long ago that it may well have changed."""
        return today - self.as_of > OLD_AFTER


def list_price(provider: str, model: str, region: str = "global") -> Price | None:
    """Look a price up in the package's price book; None where none is known."""
    return _book().get((provider, model, region))


@cache
def _book() -> dict[tuple[str, str, str], Price]:
    text = resources.files("imagegen").joinpath("prices.toml").read_text(encoding="utf-8")
    return {
        (entry.pop("provider"), entry.pop("model"), entry.pop("region")): _price(entry)
        for entry in tomllib.loads(text)["price"]
    }


def _price(entry: dict[str, Any]) -> Price:
    amount = Decimal(entry.pop("amount"))
    return Price(amount=amount, **entry)
