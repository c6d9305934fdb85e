"""What is known of WaveSpeedAI's models: their inputs, their prices, and names like theirs."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest

from imagegen.backends.wavespeed.catalogue import (
    FAMILY,
    Listed,
    advice_on_model,
    captured_on,
    image_models,
    listed,
    members,
)
from imagegen.pricing import Price

TRIMMED = resources.files("imagegen.backends.wavespeed").joinpath("models.json").read_bytes()
LISTING: dict[str, Any] = json.loads(TRIMMED)
MODELS: dict[str, Any] = LISTING["models"]


def entry(**inputs: Any) -> Listed:
    return Listed(inputs=inputs, declared=frozenset(inputs), required=frozenset(), price=None)


def test_every_model_is_known_with_all_that_it_declares() -> None:
    for model, rules in MODELS.items():
        found = listed(model)
        assert found is not None
        assert found.inputs == rules["inputs"]
        assert found.declared == {*rules["inputs"], *rules["others"]}
        assert found.required == set(rules["required"])
    assert list(image_models()) == list(MODELS) == sorted(MODELS)


def test_a_price_is_known_where_it_varies_with_the_number_alone() -> None:
    for model, rules in MODELS.items():
        found = listed(model)
        assert found is not None
        assert found.price == (
            Price(
                amount=Decimal(rules["price"]),
                currency="USD",
                per=rules["per"],
                as_of=date.fromisoformat(LISTING["as_of"]),
                source=f"WaveSpeedAI model listing, {LISTING['source']}",
            )
            if rules["per"]
            else None
        )
    assert captured_on() == LISTING["as_of"]


def test_a_model_that_is_not_listed_is_not_known() -> None:
    assert listed("nobody/knows") is None
    assert listed(FAMILY) is None


def test_the_family_stands_for_two_and_any_other_for_itself() -> None:
    assert members(FAMILY) == (f"{FAMILY}/image-to-image", f"{FAMILY}/text-to-image")
    assert members("nobody/knows") == ("nobody/knows",)


@pytest.mark.parametrize(
    ("inputs", "fewest", "most"),
    [
        ({}, 1, 1),
        ({"num_images": {}}, 1, 4),
        ({"num_images": {"minimum": 2, "maximum": 6}}, 2, 6),
    ],
)
def test_how_many_pictures_one_call_makes_is_as_num_images_says(
    inputs: dict[str, Any], fewest: int, most: int
) -> None:
    assert (entry(**inputs).fewest_images, entry(**inputs).images_per_call) == (fewest, most)


@pytest.mark.parametrize("model", [FAMILY, f"{FAMILY}/text-to-image", "qqq/xxx", ""])
def test_no_other_name_is_proposed_for_a_known_one_or_one_like_no_other(model: str) -> None:
    assert advice_on_model(model) == ""


def test_at_most_two_names_like_a_wrong_one_are_proposed() -> None:
    assert advice_on_model("minimax/image-1") == (
        f"minimax/image-1 is not in the listing of {captured_on()}; did you mean minimax/image-01?"
    )
    several = advice_on_model("wavespeed-ai/flux-deb")
    assert several.count(" or ") == 1
    assert "did you mean wavespeed-ai/flux-dev or wavespeed-ai/" in several
