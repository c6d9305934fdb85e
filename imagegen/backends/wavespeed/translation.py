"""From an ImageRequest to the inputs of a WaveSpeedAI model.

A listed model is sent only inputs that it declares, within their bounds. A model that was not
listed when the catalogue was captured is sent the usual names, each with a notice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from imagegen.backends.base import Draft, Terms, Translation
from imagegen.backends.geometry import (
    nearest_listed,
    nearest_ratio,
    nearest_within,
    shape,
    shape_of,
    size_of_ratio,
)
from imagegen.backends.image_01 import RATIOS, fitting_size
from imagegen.backends.wavespeed.catalogue import (
    FAMILY,
    IMAGE_01,
    IMAGE_TO_IMAGE,
    TEXT_TO_IMAGE,
    Listed,
    captured_on,
    listed,
)
from imagegen.errors import UnsupportedFeatureError
from imagegen.request import LONGEST_SIDE, ImageRequest, ReferenceImage, Size

_RESERVED = frozenset({"num_images", "prompt", "seed"})
_OPTIMIZERS = ("prompt_optimizer", "enable_prompt_expansion")
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
            field="model",
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
    _check_options(draft, entry, request)
    return draft.finished()


def _add_prompt(draft: Draft, request: ImageRequest, inputs: Mapping[str, Any]) -> None:
    if "prompt" in inputs:
        draft.body["prompt"] = request.prompt
    else:
        draft.unsupported("prompt", "this model takes none")


def _add_shape(draft: Draft, request: ImageRequest, inputs: Mapping[str, Any]) -> None:
    if request.aspect_ratio is not None:
        _add_ratio(draft, request.aspect_ratio, inputs)
    elif request.size is not None:
        _add_size(draft, request.size, inputs)


def _add_ratio(draft: Draft, ratio: str, inputs: Mapping[str, Any]) -> None:
    if "aspect_ratio" in inputs:
        ratios = _ratios(inputs["aspect_ratio"]) or [ratio]
        draft.body["aspect_ratio"] = draft.ratio_among(ratio, ratios)
    elif draft.model in IMAGE_01:
        draft.body["size"] = _wire_size(RATIOS[draft.ratio_among(ratio, RATIOS)])
    elif "size" in inputs:
        draft.body["size"] = _wire_size(_size_for_ratio(draft, ratio, inputs["size"]))
    else:
        draft.unsupported("aspect_ratio", "this model takes neither ratio nor size")


def _add_size(draft: Draft, size: Size, inputs: Mapping[str, Any]) -> None:
    if draft.model in IMAGE_01:
        draft.body["size"] = _wire_size(fitting_size(draft, size))
    elif "size" in inputs:
        draft.body["size"] = _wire_size(_allowed_size(draft, size, inputs["size"]))
    elif "aspect_ratio" in inputs and _ratios(inputs["aspect_ratio"]):
        nearest = nearest_ratio(shape_of(size), _ratios(inputs["aspect_ratio"]))
        draft.unfit("size", "this model takes aspect_ratio, not size", f"aspect_ratio {nearest}")
        draft.body["aspect_ratio"] = nearest
    else:
        draft.unsupported("size", "this model takes neither size nor ratio")


def _wire_size(size: Size) -> str:
    return f"{size.width}*{size.height}"


def _ratios(rules: Mapping[str, Any]) -> list[str]:
    return [r for r in rules.get("enum", ()) if re.fullmatch(r"[0-9]+:[0-9]+", r)]


def _sizes(rules: Mapping[str, Any]) -> list[Size]:
    return [Size.parse(text) for text in rules.get("enum", ()) if "*" in text]


def _bounds(rules: Mapping[str, Any]) -> tuple[int, int]:
    return int(rules.get("minimum", 1)), int(rules.get("maximum", LONGEST_SIDE))


def _size_for_ratio(draft: Draft, ratio: str, rules: Mapping[str, Any]) -> Size:
    """A size of exactly this ratio: image-01's own where the model allows it, else another."""
    low, high = _bounds(rules)
    sizes, usual = _sizes(rules), RATIOS.get(ratio)
    if sizes:
        nearest = nearest_listed(usual or Size(*_terms(ratio)), sizes)
        if shape_of(nearest) != shape(ratio):
            draft.unfit("aspect_ratio", f"no size of this model is {ratio}", nearest)
        return nearest
    if usual and low <= min(usual.width, usual.height) <= max(usual.width, usual.height) <= high:
        return usual
    size = size_of_ratio(ratio, low, high)
    if size is None:
        size = nearest_within(Size(*_terms(ratio)), low, high)
        draft.unfit("aspect_ratio", f"no size of {low}–{high} pixels a side is {ratio}", size)
    return size


def _terms(ratio: str) -> tuple[int, int]:
    across, down = ratio.split(":")
    return int(across), int(down)


def _allowed_size(draft: Draft, size: Size, rules: Mapping[str, Any]) -> Size:
    sizes, (low, high) = _sizes(rules), _bounds(rules)
    nearest = nearest_listed(size, sizes) if sizes else nearest_within(size, low, high)
    limits = f"one of {', '.join(map(str, sizes))}" if sizes else f"{low}–{high} pixels a side"
    if nearest != size:
        draft.unfit("size", f"{size} is not {limits}", nearest)
    return nearest


def _add_count(draft: Draft, request: ImageRequest, entry: Listed | None) -> None:
    low, high = (entry.fewest_images, entry.images_per_call) if entry else (1, 1)
    draft.check_count(request.n, low, high)
    if entry and "num_images" in entry.inputs:
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
        _accept_any_role(draft)
    pictures = [r.wire for r in references[:most]]
    draft.body |= {"images": pictures} if "images" in inputs else {"image": pictures[0]}


def _accept_any_role(draft: Draft) -> None:
    why = "this model takes input images without a role, not characters"
    if draft.terms.unsupported == "error":
        raise draft.refusal("references", why, 'Give them role="source"')
    draft.adjusted("references", f"{why}: sent as input images")


def _most_references(inputs: Mapping[str, Any]) -> int:
    """How many pictures fit; a list without a limit of its own takes any number."""
    if "images" in inputs:
        return int(inputs["images"].get("maxItems", 1000))
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
    optimizer = next((name for name in _OPTIMIZERS if name in inputs), None)
    if request.enhance_prompt is not None and optimizer:
        draft.body[optimizer] = request.enhance_prompt
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
        at = {"image": "references", "images": "references", "aspect_ratio": "aspect_ratio"}
        field = at.get(name, "provider_options")
        raise draft.refusal(field, f"this model needs {name!r}", "Give it, or use another model")


def _check_options(draft: Draft, entry: Listed | None, request: ImageRequest) -> None:
    """Say which of the caller's own inputs the model does not declare."""
    given = request.provider_options.get(draft.provider, {}).keys()
    for name in sorted(given - entry.declared if entry else ()):
        why = (
            f"{draft.model} declares no input {name!r}, and WaveSpeedAI drops such inputs silently"
        )
        draft.unverified("provider_options", why)
