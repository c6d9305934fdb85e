"""What a WaveSpeedAI model cannot be told: refused or noticed, by its field and in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imagegen.backends.base import Terms, Translation
from imagegen.backends.wavespeed import WaveSpeed, translation
from imagegen.backends.wavespeed.catalogue import Listed, captured_on
from imagegen.errors import InvalidRequestError, UnsupportedFeatureError
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Notice

MODEL = "vendor/model"
STRICT = Terms()
LOOSE = Terms(fit="nearest", unsupported="adjust")
SOURCE = ReferenceImage("https://h/a.png", role="source")
OTHER = ReferenceImage("https://h/b.png", role="source")
CHARACTER = ReferenceImage("https://h/c.png", role="character")
PROMPT: dict[str, Any] = {"prompt": {}}

Model = Callable[..., None]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """Let `vendor/model` declare these inputs."""

    def declaring(*, required: tuple[str, ...] = (), **inputs: Any) -> None:
        entry = Listed(
            inputs=PROMPT | inputs,
            declared=frozenset(PROMPT | inputs) | {"quality"},
            required=frozenset(required),
            price=None,
        )
        monkeypatch.setattr(translation, "listed", lambda _: entry)

    return declaring


def translated(
    terms: Terms = STRICT, prompt: str = "x", name: str = MODEL, **fields: Any
) -> Translation:
    return WaveSpeed().translate(ImageRequest(prompt, **fields), name, terms)


def refusal(**fields: Any) -> tuple[str | None, str, str]:
    with pytest.raises(UnsupportedFeatureError) as caught:
        translated(**fields)
    error = caught.value
    assert error.provider == "wavespeed"
    return error.field, error.message, error.advice


def left_out(field: str, why: str, **fields: Any) -> None:
    """The field is refused in these words, or left out with a notice of them."""
    assert refusal(**fields) == (field, f"{field}: {why}", 'unsupported="adjust" leaves it out')
    notices = translated(LOOSE, **fields).notices
    assert notices == (Notice("ignored", field, f"not sent: {why}"),)


def changed(name: str, why: str, instead: str, **fields: Any) -> dict[str, Any]:
    """The value is refused in these words, or changed with a notice of them."""
    advice = f'The nearest is {instead}; fit="nearest" takes it'
    assert refusal(**fields) == (name, f"{name}: {why}", advice)
    made = translated(LOOSE, **fields)
    assert made.notices == (Notice("adjusted", name, f"{why}; {instead} was sent"),)
    return dict(made.body)


@pytest.mark.parametrize("name", ["x", "?", "a//b", "/a/b", "a/b/", "a/.b", "a/b c"])
def test_what_can_be_no_model_id_is_told(name: str) -> None:
    with pytest.raises(UnsupportedFeatureError) as caught:
        translated(name=name)
    error = caught.value
    assert error.message == f"{name!r} is no model id"
    assert error.advice == 'WaveSpeedAI\'s ids read "vendor/model", such as "minimax/image-01"'
    assert (error.provider, error.field) == ("wavespeed", "model")


def test_a_model_that_is_not_listed_gets_the_usual_names_and_a_notice() -> None:
    made = translated(name="nobody/knows", seed=2**63 - 1, size="512x512", references=[SOURCE])
    why = f"nobody/knows is not in the listing of {captured_on()}: it may drop inputs silently"
    assert made.notices == (Notice("unverified", "model", why),)
    assert made.body == {
        "prompt": "x",
        "size": "512*512",
        "seed": 2**63 - 1,
        "image": "https://h/a.png",
    }


def test_a_model_without_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Listed(inputs={}, declared=frozenset(), required=frozenset(), price=None)
    monkeypatch.setattr(translation, "listed", lambda _: entry)
    left_out("prompt", "this model takes none")


# Shapes


def test_a_model_without_shapes(model: Model) -> None:
    model()
    left_out("aspect_ratio", "this model takes neither ratio nor size", aspect_ratio="16:9")
    left_out("size", "this model takes neither size nor ratio", size="512x512")


def test_a_model_with_ratios_only(model: Model) -> None:
    model(aspect_ratio={"enum": ["1:1", "16:9", "auto"]})
    assert translated(aspect_ratio="16:9").body["aspect_ratio"] == "16:9"
    why = "this model takes aspect_ratio, not size"
    body = changed("size", why, "aspect_ratio 16:9", size="1280x720")
    assert body["aspect_ratio"] == "16:9"


def test_a_model_whose_ratios_are_not_told(model: Model) -> None:
    model(aspect_ratio={})
    assert translated(aspect_ratio="21:9").body["aspect_ratio"] == "21:9"
    left_out("size", "this model takes neither size nor ratio", size="512x512")


def test_a_model_with_listed_sizes(model: Model) -> None:
    model(size={"enum": ["512*512", "1024*512", "auto"]})
    assert translated(size="512x512").body["size"] == "512*512"
    assert translated(aspect_ratio="2:1").body["size"] == "1024*512"
    why = "600x512 is not one of 512x512, 1024x512"
    assert changed("size", why, "512x512", size="600x512")["size"] == "512*512"
    why = "no size of this model is 16:9"
    assert changed("aspect_ratio", why, "1024x512", aspect_ratio="16:9")["size"] == "1024*512"
    why = "no size of this model is 7:3"
    assert changed("aspect_ratio", why, "1024x512", aspect_ratio="7:3")["size"] == "1024*512"


def test_of_listed_sizes_the_nearest_to_image_01_s_own_is_taken(model: Model) -> None:
    model(size={"enum": ["512*512", "1024*1024"]})
    assert translated(aspect_ratio="1:1").body["size"] == "1024*1024"


def test_a_model_with_bounds(model: Model) -> None:
    model(size={"minimum": 256, "maximum": 1536})
    assert translated(size="256x1536").body["size"] == "256*1536"
    why = "255x1536 is not 256–1536 pixels a side"
    assert changed("size", why, "256x1536", size="255x1536")["size"] == "256*1536"
    assert translated(aspect_ratio="1:1").body["size"] == "1024*1024"
    assert translated(aspect_ratio="7:3").body["size"] == "1512*648"


@pytest.mark.parametrize(
    ("low", "high", "size"),
    [
        (720, 1280, "1280*720"),
        (720, 4096, "1280*720"),
        (256, 1280, "1280*720"),
        (721, 1280, None),
        (720, 1279, None),
        (256, 1279, None),
    ],
)
def test_a_ratio_of_image_01_s_own_gets_its_size_where_that_fits(
    model: Model, low: int, high: int, size: str | None
) -> None:
    model(size={"minimum": low, "maximum": high})
    sent = translated(LOOSE, aspect_ratio="16:9").body["size"]
    assert sent == size if size else sent != "1280*720"


def test_a_square_is_as_large_as_image_01_s_own(model: Model) -> None:
    model(size={"minimum": 64, "maximum": 4096})
    assert translated(aspect_ratio="1:1").body["size"] == "1024*1024"


def test_a_model_that_has_no_size_of_a_ratio(model: Model) -> None:
    model(size={"minimum": 512, "maximum": 1024})
    why = "no size of 512–1024 pixels a side is 7:1"
    body = changed("aspect_ratio", why, "1024x512", aspect_ratio="7:1")
    assert body["size"] == "1024*512"


def test_a_model_without_bounds_takes_a_pixel(model: Model) -> None:
    model(size={})
    assert translated(size="1x1").body["size"] == "1*1"


# Seeds


def test_a_model_without_a_seed(model: Model) -> None:
    model()
    left_out("seed", "this model takes none", seed=0)


@pytest.mark.parametrize(
    ("rules", "low", "high"),
    [
        ({}, 0, 2**63 - 1),
        ({"minimum": -1}, 0, 2**63 - 1),
        ({"minimum": 1, "maximum": 9}, 1, 9),
    ],
)
def test_a_seed_is_sent_within_its_bounds(
    model: Model, rules: dict[str, int], low: int, high: int
) -> None:
    model(seed=rules)
    assert [translated(seed=seed).body["seed"] for seed in (low, high)] == [low, high]
    if high < 2**63 - 1:
        left_out("seed", f"{high + 1} is not {low}–{high}", seed=high + 1)


# References


def test_a_model_without_pictures(model: Model) -> None:
    model()
    left_out("references", "this model takes none", references=[SOURCE])


def test_a_model_with_one_picture(model: Model) -> None:
    model(image={})
    assert translated(references=[SOURCE]).body["image"] == "https://h/a.png"
    left_out("references", "this model takes 1, the first", references=[SOURCE, OTHER])
    assert translated(LOOSE, references=[SOURCE, OTHER]).body["image"] == "https://h/a.png"


def test_a_model_with_so_many_pictures(model: Model) -> None:
    model(images={"maxItems": 2})
    both = ["https://h/a.png", "https://h/b.png"]
    assert translated(references=[SOURCE, OTHER]).body["images"] == both
    left_out("references", "this model takes 2, the first", references=[SOURCE, OTHER, SOURCE])


def test_a_model_with_any_number_of_pictures(model: Model) -> None:
    model(images={})
    assert len(translated(references=[SOURCE] * 20).body["images"]) == 20


def test_a_character_is_no_input_image_unless_adjusted(model: Model) -> None:
    model(image={})
    why = "this model takes input images without a role, not characters"
    told = refusal(references=[CHARACTER])
    assert told == ("references", f"references: {why}", 'Give them role="source"')
    made = translated(LOOSE, references=[CHARACTER])
    assert made.body["image"] == "https://h/c.png"
    assert made.notices == (Notice("adjusted", "references", f"{why}: sent as input images"),)


def test_image_01_takes_one_of_each_role() -> None:
    name = "minimax/image-01/image-to-image"
    why = "this model takes one source and one character, the first"
    left_out("references", why, name=name, references=[SOURCE, OTHER])
    left_out("references", why, name=name, references=[CHARACTER, CHARACTER])
    made = translated(name=name, references=[CHARACTER, SOURCE])
    assert made.body["image"] == "https://h/a.png"
    assert made.body["subject_reference"] == [
        {"type": "character", "image_file": "https://h/c.png"}
    ]
    assert made.notices == (
        Notice(
            "unverified",
            "references",
            "subject_reference is named in the model's README but not in its input schema, and "
            "WaveSpeedAI drops undeclared inputs silently",
        ),
    )


# Switches, required inputs and the caller's own


def test_a_model_without_an_optimizer(model: Model) -> None:
    model()
    left_out("enhance_prompt", "this model has no prompt optimizer", enhance_prompt=True)
    assert translated(enhance_prompt=False).notices == ()


@pytest.mark.parametrize("name", ["prompt_optimizer", "enable_prompt_expansion"])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_model_with_an_optimizer(model: Model, name: str, *, wanted: bool) -> None:
    model(**{name: {}})
    assert translated(enhance_prompt=wanted).body[name] is wanted
    assert name not in translated().body


@pytest.mark.parametrize("name", ["num_images", "prompt", "seed"])
def test_what_prices_and_results_rest_on_cannot_be_overwritten(model: Model, name: str) -> None:
    model()
    with pytest.raises(InvalidRequestError, match=f"may not set '{name}'"):
        translated(provider_options={"wavespeed": {name: 1}})


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("image", "references"),
        ("images", "references"),
        ("aspect_ratio", "aspect_ratio"),
        ("target_lang", "provider_options"),
    ],
)
def test_what_a_model_needs_is_asked_for_before_paying(model: Model, name: str, field: str) -> None:
    model(required=("prompt", name))
    for terms in (STRICT, LOOSE):
        told = refusal(terms=terms)
        why = f"this model needs {name!r}"
        assert told == (field, f"{field}: {why}", "Give it, or use another model")


def test_image_to_image_needs_a_picture_and_all_that_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = Listed(
        inputs=PROMPT, declared=frozenset(PROMPT), required=frozenset({"style"}), price=None
    )
    monkeypatch.setattr(translation, "listed", lambda _: entry)
    name = "minimax/image-01/image-to-image"
    assert refusal(name=name)[0] == "references"
    assert (
        refusal(name=name, references=[SOURCE])[1] == "provider_options: this model needs 'style'"
    )


def test_the_caller_s_own_inputs_are_sent_and_noticed_where_they_are_not_declared(
    model: Model,
) -> None:
    model()
    own = {"quality": "high", "glow": 1}
    made = translated(provider_options={"wavespeed": own, "minimax": {"other": 1}})
    assert made.body == {"prompt": "x"} | own
    why = f"{MODEL} declares no input 'glow', and WaveSpeedAI drops such inputs silently"
    assert made.notices == (Notice("unverified", "provider_options", why),)
