"""Which inputs each WaveSpeedAI image model declares, and its base price.

WaveSpeedAI drops inputs that a model does not declare without a word, so a translation must know
them. The data file is its own model listing, trimmed by `tools/catalogue.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from attrs import frozen

from imagegen.pricing import Price

FAMILY = "minimax/image-01"
"""The id that is not listed and stands for two that are; see `translation.full_model_id`."""
TEXT_TO_IMAGE = f"{FAMILY}/text-to-image"
IMAGE_TO_IMAGE = f"{FAMILY}/image-to-image"
IMAGE_01 = frozenset({TEXT_TO_IMAGE, IMAGE_TO_IMAGE})


def members(model: str) -> tuple[str, ...]:
    """The listed ids that *model* stands for: the family's two, or itself."""
    return tuple(sorted(IMAGE_01)) if model == FAMILY else (model,)


@frozen(kw_only=True)
class Listed:
    """A listed model: the JSON-schema rules of its common inputs, the names of all and required."""

    inputs: Mapping[str, Mapping[str, Any]]
    declared: frozenset[str]
    required: frozenset[str]
    price: Price | None

    @property
    def images_per_call(self) -> int:
        """How many pictures `num_images` can ask for; 1 where there is no such input."""
        rules = self.inputs.get("num_images")
        return 1 if rules is None else int(rules.get("maximum", 4))

    @property
    def fewest_images(self) -> int:
        """The least that `num_images` can ask for; a few models make pairs only."""
        return int(self.inputs.get("num_images", {}).get("minimum", 1))


@lru_cache(maxsize=1000)
def listed(model: str) -> Listed | None:
    """Look *model* up; None if the listing did not have it when it was captured."""
    entry = _listing()["models"].get(model)
    if entry is None:
        return None
    return Listed(
        inputs=entry["inputs"],
        declared=frozenset(entry["inputs"]) | frozenset(entry["others"]),
        required=frozenset(entry["required"]),
        price=_price(entry) if entry["per"] else None,
    )


def image_models() -> tuple[str, ...]:
    """Ids of every listed model, sorted."""
    return tuple(_listing()["models"])


def advice_on_model(model: str) -> str:
    """Name the families and listed models whose ids are like that of one that is not listed."""
    models = (FAMILY, *image_models())
    close = get_close_matches(model, models, n=2, cutoff=0.7)
    if model in models or not close:
        return ""
    return f"{model} is not in the listing of {captured_on()}; did you mean {' or '.join(close)}?"


def captured_on() -> str:
    """The day the listing was captured, as YYYY-MM-DD."""
    return str(_listing()["as_of"])


def _price(entry: Mapping[str, Any]) -> Price:
    return Price(
        amount=Decimal(entry["price"]),
        currency="USD",
        per=entry["per"],
        as_of=date.fromisoformat(captured_on()),
        source=f"WaveSpeedAI model listing, {_listing()['source']}",
    )


@cache
def _listing() -> dict[str, Any]:
    file = resources.files("imagegen.backends.wavespeed").joinpath("models.json")
    listing: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return listing
