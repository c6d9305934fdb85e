"""List prices, as data with a date and a source, and what they make a request cost."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any, Literal

from attrs import frozen

from imagegen.result import Cost


@frozen(kw_only=True)
class Price:
    """`amount` in `currency` buys one image or one call, according to `source` on `as_of`."""

    amount: Decimal
    currency: str
    per: Literal["image", "call"]
    as_of: date
    source: str

    def cost(self, images: int) -> Cost:
        """Cost of one call that delivers *images* pictures; nothing delivered costs nothing."""
        units = images if self.per == "image" else min(images, 1)
        return Cost(amount=self.amount * units, currency=self.currency, basis="list-price")


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
