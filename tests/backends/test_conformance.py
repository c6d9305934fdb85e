"""One request means the same at both providers, and nothing of it is dropped in silence."""

from __future__ import annotations

import json
import re
from importlib import resources
from itertools import product
from typing import Any

import pytest
from attrs import evolve

from imagegen.backends.base import Backend, Terms, Translation
from imagegen.backends.geometry import shape
from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.errors import InvalidRequestError, UnsupportedFeatureError
from imagegen.request import ImageRequest, ReferenceImage, Size

PIXELS = {
    "1:1": (1024, 1024),
    "16:9": (1280, 720),
    "4:3": (1152, 864),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "3:4": (864, 1152),
    "9:16": (720, 1280),
    "21:9": (1344, 576),
}

LISTING: dict[str, Any] = json.loads(
    resources.files("imagegen.backends.wavespeed").joinpath("models.json").read_text("utf-8")
)["models"]

SOURCE = ReferenceImage("https://pictures.example/scene.png", "source")
PORTRAIT = ReferenceImage("https://pictures.example/portrait.png", "character")
MANY = tuple(ReferenceImage(f"https://pictures.example/{k}.png") for k in range(20))
LAX = Terms("nearest", "adjust")
EVERY_TERMS = [Terms(), Terms(fit="nearest"), Terms(unsupported="adjust"), LAX]
MODELS: list[tuple[Backend, str]] = [
    (MiniMax(), "image-01"),
    (MiniMax(), "image-01-live"),
    (WaveSpeed(), "minimax/image-01"),
    (WaveSpeed(), "acme/brand-new"),
    *((WaveSpeed(), model) for model in LISTING),
]

REWRITERS = [
    "bytedance/dreamina-v3.0/text-to-image",
    "bytedance/dreamina-v3.1/text-to-image",
    "bytedance/seedream-v3.1",
]
"""Models that rewrite the prompt unless `enable_prompt_expansion` is false (model listing)."""


def pixels(backend: Backend, model: str, request: ImageRequest) -> tuple[int, int]:
    body = backend.translate(request, model, Terms()).body
    if "aspect_ratio" in body:
        assert not body.keys() & {"width", "height", "size"}
        return PIXELS[body["aspect_ratio"]]
    if "size" in body:
        width, height = body["size"].split("*")
        return int(width), int(height)
    return body["width"], body["height"]


@pytest.mark.parametrize("ratio", PIXELS)
def test_a_ratio_makes_the_same_pixels_at_both_providers(ratio: str) -> None:
    request = ImageRequest("x", aspect_ratio=ratio)
    with_reference = evolve(request, references=(PORTRAIT,))
    for asked in (request, with_reference):
        assert pixels(MiniMax(), "image-01", asked) == PIXELS[ratio]
        assert pixels(WaveSpeed(), "minimax/image-01", asked) == PIXELS[ratio]


@pytest.mark.parametrize(
    "size", ["512x2048", "1080x1920", *(f"{w}x{h}" for w, h in PIXELS.values())]
)
def test_a_size_makes_the_same_pixels_at_both_providers(size: str) -> None:
    request = ImageRequest("x", size=size)
    expected = tuple(map(int, size.split("x")))
    assert pixels(MiniMax(), "image-01", request) == expected
    assert pixels(WaveSpeed(), "minimax/image-01", request) == expected


@pytest.mark.parametrize("size", ["500x500", "1001x1001", "2500x700", "515x2047"])
def test_the_nearest_size_is_the_same_at_both_providers(size: str) -> None:
    request, terms = ImageRequest("x", size=size), Terms(fit="nearest")
    here = MiniMax().translate(request, "image-01", terms).body
    there = WaveSpeed().translate(request, "minimax/image-01", terms).body
    assert there["size"] == f"{here['width']}*{here['height']}"


def basis(backend: Backend, model: str) -> ImageRequest:
    """The least that *model* needs."""
    required = LISTING.get(model, {}).get("required", ())
    shape = LISTING.get(model, {}).get("inputs", {}).get("aspect_ratio", {}).get("enum", ["1:1"])
    known = {"prompt", "image", "images", "aspect_ratio", "size"}
    options = {name: "x" for name in required if name not in known}
    needs_picture = {"image", "images"} & set(required) or model.endswith("01/image-to-image")
    pair = LISTING.get(model, {}).get("inputs", {}).get("num_images", {}).get("minimum", 1)
    ratio = next(s for s in shape if ":" in s) if "aspect_ratio" in required else None
    if "size" in required:
        options["size"] = "1024*1024"
    return ImageRequest(
        "a red fox",
        n=pair,
        aspect_ratio=ratio,
        references=SOURCE if needs_picture else (),
        provider_options={backend.name: options},
    )


def translated(
    backend: Backend, model: str, request: ImageRequest, terms: Terms
) -> Translation | None:
    """None where it is refused."""
    try:
        return backend.translate(request, model, terms)
    except (UnsupportedFeatureError, InvalidRequestError):
        return None


def same_shape(sent: str | None, asked: str) -> bool:
    """Tell whether two ratios are one: 7:3 is 21:9."""
    return sent == asked or bool(sent and asked and shape(sent) == shape(asked))


def ratio_of(size: str, ratio: str) -> str | None:
    """Return *ratio* if *size* has exactly that shape."""
    width, height = map(int, size.split("*"))
    across, down = map(int, (ratio or "0:1").split(":"))
    return ratio if width * down == height * across else None


def expresses(body: Any, field: str, request: ImageRequest, model: str) -> bool:
    """Tell whether *body* says what *field* of *request* asks for, exactly."""
    size, ratio = request.size or Size(1, 1), request.aspect_ratio or ""
    pair = (size.width, size.height)
    pictures = json.dumps([body.get(k) for k in ("image", "images", "subject_reference")])
    told: dict[str, bool] = {
        "prompt": body.get("prompt") == request.prompt,
        "n": body.get("n", body.get("num_images", 1)) == request.n,
        "seed": body.get("seed") == request.seed,
        "enhance_prompt": request.enhance_prompt
        is body.get("prompt_optimizer", body.get("enable_prompt_expansion")),
        "aspect_ratio": same_shape(
            body.get("aspect_ratio", ratio_of(body.get("size", "1*0"), ratio)), ratio
        ),
        "size": (body.get("width"), body.get("height")) == pair
        or body.get("size") == "{}*{}".format(*pair)
        or (model == "image-01-live" and PIXELS.get(body.get("aspect_ratio")) == pair),
        "references": all(str(reference.url) in pictures for reference in request.references),
    }
    return told[field]


VARIATIONS: list[tuple[str, dict[str, Any]]] = [
    ("prompt", {}),
    ("seed", {"seed": 7}),
    ("seed", {"seed": -7}),
    ("seed", {"seed": 2**63 - 2}),
    ("size", {"size": Size(1024, 1024), "aspect_ratio": None}),
    ("size", {"size": Size(1000, 700), "aspect_ratio": None}),
    ("size", {"size": Size(16384, 16), "aspect_ratio": None}),
    ("aspect_ratio", {"aspect_ratio": "1:1"}),
    ("aspect_ratio", {"aspect_ratio": "9:16"}),
    ("aspect_ratio", {"aspect_ratio": "7:3"}),
    ("enhance_prompt", {"enhance_prompt": True}),
    ("references", {"references": (SOURCE,)}),
    ("references", {"references": (PORTRAIT,)}),
    ("references", {"references": (SOURCE, PORTRAIT)}),
    ("references", {"references": MANY}),
]


@pytest.mark.parametrize(("field", "changes"), VARIATIONS)
def test_no_model_drops_a_field_in_silence(field: str, changes: dict[str, Any]) -> None:
    silent = []
    for (backend, model), terms in product(MODELS, EVERY_TERMS):
        base = basis(backend, model)
        shaped = {"size"} if {"size", "aspect_ratio"} & changes.keys() else set()
        options = {
            name: {k: v for k, v in own.items() if k not in shaped}
            for name, own in base.provider_options.items()
        }
        request = evolve(base, provider_options=options, **changes)
        translation = translated(backend, model, request, terms)
        if translation is None or expresses(translation.body, field, request, model):
            continue
        if field not in [notice.field for notice in translation.notices]:
            silent.append((model, terms, translation.body))
    assert silent == []


def test_the_most_pictures_of_one_call_are_asked_for_by_every_model() -> None:
    for backend, model in MODELS:
        most = backend.images_per_call(model, ImageRequest("x"))
        request = evolve(basis(backend, model), n=most)
        translation = backend.translate(request, model, Terms("nearest", "adjust"))
        assert expresses(translation.body, "n", request, model), model


def test_bytes_are_asked_for_wherever_a_model_can_send_them() -> None:
    """Where it cannot, the client fetches them."""
    for backend, model in MODELS:
        request = evolve(basis(backend, model), output="bytes")
        body = backend.translate(request, model, LAX).body
        if "enable_base64_output" in LISTING.get(model, {}).get("inputs", {}):
            assert body["enable_base64_output"] is True, model
        elif backend.name == "minimax":
            assert body["response_format"] == "base64"
        else:
            assert not body.keys() & {"enable_base64_output", "response_format"} or (
                model == "minimax/image-01"
            )


@pytest.mark.parametrize("model", REWRITERS)
@pytest.mark.parametrize("wanted", [True, False])
def test_prompt_rewriting_under_its_other_name_is_not_ignored(model: str, *, wanted: bool) -> None:
    backend = WaveSpeed()
    request = evolve(basis(backend, model), enhance_prompt=wanted)
    translation = translated(backend, model, request, Terms())
    assert (
        translation is None
        or translation.body.get("enable_prompt_expansion") is wanted
        or "enhance_prompt" in [notice.field for notice in translation.notices]
    )


def test_a_listed_model_is_sent_only_inputs_that_it_declares() -> None:
    """WaveSpeedAI drops others silently; `subject_reference` is the one known exception."""
    backend = WaveSpeed(sync_mode=True)
    for model, entry in LISTING.items():
        base = basis(backend, model)
        request = evolve(
            base, seed=7, enhance_prompt=True, output="bytes", references=(SOURCE, PORTRAIT)
        )
        body = backend.translate(request, model, LAX).body
        own = {"subject_reference"} if model.startswith("minimax/") else set()
        allowed = entry["inputs"].keys() | base.provider_options["wavespeed"].keys() | own
        assert body.keys() <= allowed, model


def test_every_size_that_is_sent_is_one_that_the_model_makes() -> None:
    backend = WaveSpeed()
    sizes = (Size(1, 1), Size(513, 777), Size(1344, 576), Size(16384, 16384))
    for (model, entry), size in product(LISTING.items(), sizes):
        rules = entry["inputs"].get("size")
        if rules is None:
            continue
        base = evolve(basis(backend, model), provider_options={}, size=size, aspect_ratio=None)
        made = translated(backend, model, base, LAX)
        if made is None:
            continue
        match = re.fullmatch(r"([0-9]+)\*([0-9]+)", made.body["size"])
        assert match, model
        sides = int(match[1]), int(match[2])
        assert made.body["size"] in rules.get("enum", [made.body["size"]]), model
        assert rules.get("minimum", 1) <= min(sides), model
        assert max(sides) <= rules.get("maximum", 16384), model
