"""WaveSpeedAI's image models: which inputs each takes, within which limits, at what price."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from attrs import field, frozen

from imagegen.sandbox.pictures import RATIOS

_SIZE: Final = re.compile(r"([1-9]\d{0,4})\*([1-9]\d{0,4})")
_SIDES: Final = (64, 8192)
_JSON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}

Inputs = dict[str, Any]


class InvalidInput(ValueError):  # noqa: N818  (the provider's word for it)
    """An input the model refuses; the text is the provider's message."""


@frozen
class Model:
    """One model: `inputs` is its JSON schema, `price` USD per `per` ("call", "image", None)."""

    id: str
    type: str
    price: Decimal
    per: str | None
    required: tuple[str, ...]
    inputs: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def read(self, body: Mapping[str, Any]) -> Inputs:
        """The declared inputs of `body`, checked; undeclared ones are dropped, as documented.

        Raises InvalidInput with WaveSpeed's kind of message.
        """
        given = {name: value for name, value in body.items() if value is not None}
        for name in self.required:
            if given.get(name) in (None, "", []):
                raise InvalidInput(f'field "{name}" is required')
        kept = {name: given[name] for name in self.inputs if name in given}
        for name, value in kept.items():
            _check(name, value, self.inputs[name])
        if "size" in kept:
            self._check_size(kept["size"])
        return kept

    def partial(self, body: Mapping[str, Any]) -> Inputs:
        """Those of the declared inputs in `body` that are valid: enough to price a call."""
        return {name: body[name] for name in self.inputs if name in body and self._fits(name, body)}

    def _fits(self, name: str, body: Mapping[str, Any]) -> bool:
        try:
            _check(name, body[name], self.inputs[name])
        except InvalidInput:
            return False
        return True

    def cost(self, inputs: Inputs) -> Decimal:
        """USD for one accepted submission."""
        return self.price * self.count(inputs) if self.per == "image" else self.price

    def count(self, inputs: Inputs) -> int:
        """How many pictures the inputs ask for."""
        return int(self._value("num_images", inputs) or 1)

    def pixels(self, inputs: Inputs) -> tuple[int, int]:
        """Width and height in pixels of the pictures to draw."""
        size = _SIZE.fullmatch(str(self._value("size", inputs)))
        if size:
            return int(size[1]), int(size[2])
        return _ratio_pixels(str(self._value("aspect_ratio", inputs)))

    def takes(self, name: str, inputs: Inputs) -> bool:
        """Whether the flag `name` exists here and is on."""
        return bool(self._value(name, inputs))

    def _value(self, name: str, inputs: Inputs) -> Any:
        return inputs.get(name, self.inputs.get(name, {}).get("default"))

    def _check_size(self, size: str) -> None:
        rule = self.inputs["size"]
        if "enum" in rule:
            return
        sides = _SIZE.fullmatch(size)
        if sides is None:
            raise InvalidInput('field "size" must be in the format "width*height"')
        low, high = rule.get("minimum", _SIDES[0]), rule.get("maximum", _SIDES[1])
        if not all(low <= int(side) <= high for side in sides.groups()):
            raise InvalidInput(f'field "size" must be between {low} and {high} on each side')
        # WaveSpeedAI docs, minimax/image-01: "must be divisible by 8"; others do not say so.
        if self.id.startswith("minimax/") and any(int(side) % 8 for side in sides.groups()):
            raise InvalidInput('field "size" must be divisible by 8 on each side')


def _check(name: str, value: object, rule: Mapping[str, Any]) -> None:
    kind = rule.get("type")
    if kind is not None and not _is(value, kind):
        raise InvalidInput(f'field "{name}" must be of type {kind}')
    choices = rule.get("enum")
    if choices is not None and value not in choices:
        raise InvalidInput(f'field "{name}" must be one of {", ".join(map(str, choices))}')
    if isinstance(value, list):
        _check_length(name, len(cast("list[object]", value)), rule)
    # Schemas give "size" bounds that are about its sides, not about the string.
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_bounds(name, value, rule)


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _JSON_TYPES.get(kind, (object,)))


def _check_bounds(name: str, value: float, rule: Mapping[str, Any]) -> None:
    low, high = rule.get("minimum", -math.inf), rule.get("maximum", math.inf)
    if not low <= value <= high:
        raise InvalidInput(f'field "{name}" must be {_range(low, high)}')


def _check_length(name: str, length: int, rule: Mapping[str, Any]) -> None:
    low, high = rule.get("minItems", 0), rule.get("maxItems", math.inf)
    if not low <= length <= high:
        raise InvalidInput(f'field "{name}" must have {_range(low, high)} items')


def _range(low: float, high: float) -> str:
    if high == math.inf:
        return f"at least {low}"
    return f"at most {high}" if low in (0, -math.inf) else f"between {low} and {high}"


def _ratio_pixels(ratio: str) -> tuple[int, int]:
    """About a megapixel, for ratios that are in nobody's table."""
    if ratio in RATIOS:
        return RATIOS[ratio]
    wide, _, high = ratio.partition(":")
    if not (wide.isdigit() and high.isdigit()):
        return RATIOS["1:1"]
    width = math.sqrt(int(wide) / int(high)) * 1024
    return round(width / 8) * 8, round(1024 * 1024 / width / 8) * 8


@cache
def models() -> dict[str, Model]:
    """The image models by id, from the catalogue in the package."""
    file = files("imagegen.backends.wavespeed").joinpath("models.json")
    listed: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))["models"]
    return {name: _model(name, entry) for name, entry in listed.items()}


def _model(name: str, entry: dict[str, Any]) -> Model:
    return Model(
        id=name,
        type=entry["type"],
        price=Decimal(entry["price"]),
        per=entry["per"],
        required=tuple(entry["required"]),
        inputs=entry["inputs"],
    )


@cache
def listing() -> list[dict[str, Any]]:
    """The models as `GET /api/v3/models` lists them."""
    return [_listed(model, order) for order, model in enumerate(models().values(), start=1)]


def _listed(model: Model, order: int) -> dict[str, Any]:
    schema = {"type": "object", "properties": model.inputs, "required": list(model.required)}
    run = {
        "type": "model_run",
        "method": "POST",
        "api_path": f"/api/v3/{model.id}",
        "request_schema": schema,
    }
    formulas = {"call": "", "image": '{"total_price":base_price * num_images}'}
    varying = '{"total_price":base_price * (resolution = "4k" ? 2 : 1)}'
    return {
        "model_id": model.id,
        "name": model.id,
        "base_price": float(model.price),
        "formula": formulas.get(model.per or "", varying),
        "description": "",
        "type": model.type,
        "sort_order": order,
        "api_schema": {"api_schemas": [run]},
    }
