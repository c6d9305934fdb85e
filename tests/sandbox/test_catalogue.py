from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from imagegen.sandbox.catalogue import InvalidInput, Model, listing, models

RULES: dict[str, dict[str, Any]] = {
    "prompt": {"type": "string"},
    "count": {"type": "integer", "minimum": 1, "maximum": 4},
    "floor": {"type": "integer", "minimum": -1},
    "roof": {"type": "integer", "maximum": 9},
    "images": {"type": "array", "minItems": 1, "maxItems": 2},
    "few": {"type": "array", "maxItems": 1},
    "flag": {"type": "boolean"},
    "quality": {"type": "string", "enum": ["low", "high"]},
    "aspect_ratio": {"enum": ["1:1", "9:21"]},
    "size": {"type": "string", "minimum": 768, "maximum": 1440},
    "anything": {},
}
MODEL = Model("acme/paint", "text-to-image", Decimal("0.02"), "call", ("prompt",), RULES)


def test_the_catalogue_holds_every_image_model() -> None:
    assert len(models()) == 214
    image = models()["minimax/image-01/image-to-image"]
    assert (image.price, image.per, image.required) == (Decimal("0.0035"), "image", ("prompt",))


def test_undeclared_inputs_are_dropped_and_nulls_are_absent() -> None:
    body = {"prompt": "a fox", "nonsense": 1, "count": None, "flag": False}
    assert MODEL.read(body) == {"prompt": "a fox", "flag": False}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": ""}, 'field "prompt" is required'),
        ({"prompt": None}, 'field "prompt" is required'),
        ({"prompt": 3}, 'field "prompt" must be of type string'),
        ({"count": "3"}, 'field "count" must be of type integer'),
        ({"count": True}, 'field "count" must be of type integer'),
        ({"count": 5}, 'field "count" must be between 1 and 4'),
        ({"floor": -2}, 'field "floor" must be at least -1'),
        ({"roof": 10}, 'field "roof" must be at most 9'),
        ({"images": []}, 'field "images" must have between 1 and 2 items'),
        ({"images": ["a"] * 3}, 'field "images" must have between 1 and 2 items'),
        ({"few": ["a"] * 2}, 'field "few" must have at most 1 items'),
        ({"images": "a"}, 'field "images" must be of type array'),
        ({"flag": 1}, 'field "flag" must be of type boolean'),
        ({"quality": "best"}, 'field "quality" must be one of low, high'),
        ({"aspect_ratio": "16:9"}, 'field "aspect_ratio" must be one of 1:1, 9:21'),
        ({"size": "1024x1024"}, 'field "size" must be in the format "width*height"'),
        ({"size": "1024 * 1024"}, 'field "size" must be in the format "width*height"'),
        ({"size": "01024*1024"}, 'field "size" must be in the format "width*height"'),
        ({"size": "767*1024"}, 'field "size" must be between 768 and 1440 on each side'),
        ({"size": "1024*1441"}, 'field "size" must be between 768 and 1440 on each side'),
    ],
)
def test_declared_inputs_are_checked_in_wavespeeds_words(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        MODEL.read({"prompt": "a fox"} | fields)
    assert str(refused.value) == message


def test_a_required_input_may_be_one_the_schema_does_not_show() -> None:
    model = Model("acme/edit", "image-to-image", Decimal(1), None, ("mask_image",), RULES)
    with pytest.raises(InvalidInput, match="mask_image"):
        model.read({"prompt": "a fox"})
    assert model.read({"mask_image": "x"}) == {}


def test_only_image_01_demands_multiples_of_eight() -> None:
    with pytest.raises(InvalidInput, match="divisible by 8"):
        models()["minimax/image-01/text-to-image"].read({"prompt": "a", "size": "516*1024"})
    assert MODEL.read({"prompt": "a", "size": "1023*1023"})["size"] == "1023*1023"


@pytest.mark.parametrize(
    ("inputs", "size"),
    [
        ({"size": "800*1200"}, (800, 1200)),
        ({"aspect_ratio": "16:9"}, (1280, 720)),
        ({"aspect_ratio": "9:21"}, (672, 1568)),
        ({"aspect_ratio": "auto"}, (1024, 1024)),
        ({"size": "auto"}, (1024, 1024)),
        ({}, (1024, 1024)),
    ],
)
def test_pictures_get_the_size_or_a_megapixel_of_the_ratio(
    inputs: dict[str, Any], size: tuple[int, int]
) -> None:
    assert MODEL.pixels(inputs) == size


def test_defaults_decide_what_is_not_given() -> None:
    model = models()["minimax/image-01/text-to-image"]
    assert model.count({}) == 1
    assert not model.takes("enable_sync_mode", {})
    seedream = next(m for m in models().values() if "seedream-v4" in m.id and m.inputs.get("size"))
    assert min(seedream.pixels({})) >= 1024


def test_cost_is_per_image_or_per_call() -> None:
    per_image = models()["minimax/image-01/text-to-image"]
    assert per_image.cost({"num_images": 9}) == Decimal("0.0315")
    assert MODEL.cost({"num_images": 9}) == Decimal("0.02")


def test_a_price_can_be_asked_with_partial_and_wrong_inputs() -> None:
    assert MODEL.partial({"count": 99, "flag": True, "what": 1}) == {"flag": True}


def test_every_model_accepts_a_request_made_of_its_required_inputs() -> None:
    samples = {"string": "https://x/y.png", "array": ["https://x/y.png"], "integer": 1}
    for model in models().values():
        body = {
            name: model.inputs.get(name, {}).get("enum", [None])[0]
            or samples[model.inputs.get(name, {}).get("type", "string")]
            for name in model.required
        }
        inputs = model.read(body)
        assert model.count(inputs) >= 1
        assert min(model.pixels(inputs)) >= 256, model.id


def test_the_listing_has_the_shape_of_the_models_endpoint() -> None:
    first = listing()[0]
    assert first["base_price"] == 0.01
    (run,) = first["api_schema"]["api_schemas"]
    assert run["api_path"] == f"/api/v3/{first['model_id']}"
    assert set(run["request_schema"]) == {"type", "properties", "required"}
    by_id = {item["model_id"]: item for item in listing()}
    assert "num_images" in by_id["minimax/image-01/text-to-image"]["formula"]
