"""From an ImageRequest to the inputs of a WaveSpeedAI model.

A listed model is sent only inputs that it declares, within their bounds. A model that was not
listed when the catalogue was captured is sent the usual names, each with a notice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from imagegen.backends.base import Draft, Terms, Translation
from imagegen.backends.image_01 import RATIOS, fitting_ratio, fitting_size, nearest_ratio
from imagegen.backends.wavespeed.catalogue import Listed, captured_on, listed
from imagegen.errors import UnsupportedFeatureError
from imagegen.request import ImageRequest, ReferenceImage, Size

FAMILY = "minimax/image-01"
TEXT_TO_IMAGE = f"{FAMILY}/text-to-image"
IMAGE_TO_IMAGE = f"{FAMILY}/image-to-image"

_RESERVED = frozenset({"num_images", "seed"})
_UNLISTED: Mapping[str, Mapping[str, Any]] = {
    name: {} for name in ("prompt", "size", "aspect_ratio", "seed", "image")
}


def full_model_id(model: str, request: ImageRequest) -> str:
    """Check *model*; let the family id pick by whether there are references.

    Raises:
        UnsupportedFeatureError: no model id can read like that.
    """
    if model == FAMILY:
        return IMAGE_TO_IMAGE if request.references else TEXT_TO_IMAGE
    segment = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
    if not re.fullmatch(rf"{segment}(/{segment})+", model):
        raise UnsupportedFeatureError(
            f"{model!r} is no model id",
            advice=f'WaveSpeedAI\'s ids read "vendor/model", such as "{FAMILY}"',
            provider="wavespeed",
        )
    return model


def translate(request: ImageRequest, model: str, terms: Terms, *, sync_mode: bool) -> Translation:
    """Say *request* as the body for *model*, a full id."""
    draft, entry = Draft("wavespeed", model, terms), listed(model)
    inputs = entry.inputs if entry else _UNLISTED
    if entry is None:
        why = f"{model} is not in the listing of {captured_on()}: it may drop inputs silently"
        draft.unverified("model", why)
    _add_prompt(draft, request, inputs)
    _add_shape(draft, request, inputs)
    _add_count(draft, request, entry)
    _add_seed(draft, request, inputs)
    _add_references(draft, request.references, inputs)
    _add_switches(draft, request, inputs, sync_mode=sync_mode)
    draft.add_options(request, _RESERVED)
    _require_inputs(draft, entry)
    return draft.finished()


def _add_prompt(draft: Draft, request: ImageRequest, inputs: Mapping[str, Any]) -> None:
    if "prompt" in inputs:
        draft.body["prompt"] = request.prompt
    else:
        draft.unsupported("prompt", "this model takes none")


def _add_shape(draft: Draft, request: ImageRequest, inputs: Mapping[str, Any]) -> None:
    size, ratio = request.size, request.aspect_ratio
    if ratio is not None and "aspect_ratio" in inputs:
        draft.body["aspect_ratio"] = _allowed_ratio(draft, ratio, inputs["aspect_ratio"])
    elif ratio is not None and draft.model.startswith(FAMILY):
        size = RATIOS[fitting_ratio(draft, ratio)]
    elif ratio is not None and "size" in inputs:
        size = RATIOS[_approached(draft, "aspect_ratio", ratio, "size", RATIOS)]
    elif ratio is not None:
        draft.unsupported("aspect_ratio", "this model takes neither ratio nor size")
    if size is not None and "size" in inputs:
        size = _allowed_size(draft, size, inputs["size"])
        draft.body["size"] = f"{size.width}*{size.height}"
    elif size is not None and "aspect_ratio" in inputs:
        ratios = inputs["aspect_ratio"].get("enum", RATIOS)
        draft.body["aspect_ratio"] = _approached(draft, "size", str(size), "aspect_ratio", ratios)
    elif size is not None:
        draft.unsupported("size", "this model takes neither size nor ratio")


def _allowed_ratio(draft: Draft, ratio: str, rules: Mapping[str, Any]) -> str:
    shapes = [r for r in rules.get("enum", [ratio]) if re.fullmatch(r"[0-9]+:[0-9]+", r)]
    return fitting_ratio(draft, ratio, shapes or [ratio])


def _approached(draft: Draft, name: str, value: str, other: str, ratios: Any) -> str:
    """Express *value* by the nearest ratio, where the model knows only the *other* field."""
    shapes = [r for r in ratios if re.fullmatch(r"[0-9]+:[0-9]+", r)]
    width, height = re.split("[:x]", value)
    nearest = nearest_ratio(int(width) / int(height), shapes)
    instead = RATIOS[nearest] if other == "size" else nearest
    draft.unfit(name, f"this model takes {other}, not {name}", f"{other} {instead}")
    return nearest


def _allowed_size(draft: Draft, size: Size, rules: Mapping[str, Any]) -> Size:
    if draft.model.startswith(FAMILY):
        return fitting_size(draft, size)
    choices = [Size.parse(text) for text in rules.get("enum", ()) if "*" in text]
    if choices:
        nearest = min(
            choices, key=lambda c: abs(c.width - size.width) + abs(c.height - size.height)
        )
        limits = f"one of {', '.join(map(str, choices))}"
    else:
        low, high = int(rules.get("minimum", 1)), int(rules.get("maximum", 16_384))
        nearest = Size(*(min(max(side, low), high) for side in (size.width, size.height)))
        limits = f"{low}–{high} pixels a side"
    if nearest != size:
        draft.unfit("size", f"{size} is not {limits}", nearest)
    return nearest


def _add_count(draft: Draft, request: ImageRequest, entry: Listed | None) -> None:
    if entry is None or "num_images" not in entry.inputs:
        return
    if request.n < entry.fewest_images:
        raise draft.refusal(
            "n", f"this model makes {entry.fewest_images} pictures at a time", "Ask for a multiple"
        )
    draft.body["num_images"] = request.n


def _add_seed(draft: Draft, request: ImageRequest, inputs: Mapping[str, Any]) -> None:
    if request.seed is None:
        return
    if "seed" not in inputs:
        draft.unsupported("seed", "this model takes none")
        return
    low = max(int(inputs["seed"].get("minimum", 0)), 0)
    high = int(inputs["seed"].get("maximum", 2**63 - 1))
    if low <= request.seed <= high:
        draft.body["seed"] = request.seed
    else:
        draft.unsupported("seed", f"{request.seed} is not {low}–{high}")


def _add_references(
    draft: Draft, references: tuple[ReferenceImage, ...], inputs: Mapping[str, Any]
) -> None:
    if not references:
        return
    if draft.model == IMAGE_TO_IMAGE:
        _add_image_01_references(draft, references)
        return
    most = _most_references(inputs)
    if not most:
        draft.unsupported("references", "this model takes none")
        return
    if len(references) > most:
        draft.unsupported("references", f"this model takes {most}, the first")
    if any(r.role == "character" for r in references):
        draft.adjusted("references", "this model knows no roles: sent as input images")
    pictures = [r.wire for r in references[:most]]
    draft.body |= {"images": pictures} if "images" in inputs else {"image": pictures[0]}


def _most_references(inputs: Mapping[str, Any]) -> int:
    if "images" in inputs:
        return int(inputs["images"].get("maxItems", 10))
    return 1 if "image" in inputs else 0


def _add_image_01_references(draft: Draft, references: tuple[ReferenceImage, ...]) -> None:
    """Fill `image` with the source, or with the character where that is the only reference."""
    sources = [r for r in references if r.role == "source"]
    characters = [r for r in references if r.role == "character"]
    if len(sources) > 1 or len(characters) > 1:
        draft.unsupported("references", "this model takes one source and one character, the first")
    if not sources:
        draft.body["image"] = characters[0].wire
        return
    draft.body["image"] = sources[0].wire
    if characters:
        draft.body["subject_reference"] = [{"type": "character", "image_file": characters[0].wire}]
        draft.unverified(
            "references",
            "subject_reference is named in the model's README but not in its input schema, and "
            "WaveSpeedAI drops undeclared inputs silently",
        )


def _add_switches(
    draft: Draft, request: ImageRequest, inputs: Mapping[str, Any], *, sync_mode: bool
) -> None:
    if request.enhance_prompt is not None:
        if "prompt_optimizer" in inputs:
            draft.body["prompt_optimizer"] = request.enhance_prompt
        elif request.enhance_prompt:
            draft.unsupported("enhance_prompt", "this model has no prompt optimizer")
    if "enable_sync_mode" in inputs:
        draft.body["enable_sync_mode"] = sync_mode
    if "enable_base64_output" in inputs:
        draft.body["enable_base64_output"] = request.output == "bytes"


def _require_inputs(draft: Draft, entry: Listed | None) -> None:
    """Refuse before paying where the model is known to need more than the body has."""
    required = entry.required if entry else frozenset[str]()
    if draft.model == IMAGE_TO_IMAGE:
        required |= {"image"}
    for name in sorted(required - draft.body.keys()):
        known = "references" if name in ("image", "images") else "provider_options"
        raise draft.refusal(known, f"this model needs {name!r}", "Give it, or use another model")
