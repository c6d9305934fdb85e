"""From a neutral request to the inputs of WaveSpeedAI's models."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from imagegen.backends.base import Terms
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.errors import ConfigurationError, InvalidRequestError, UnsupportedFeatureError
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Notice

FAMILY = "minimax/image-01"
TEXT, IMAGE = f"{FAMILY}/text-to-image", f"{FAMILY}/image-to-image"
FLUX = "wavespeed-ai/flux-dev"
BANANA = "google/nano-banana/edit"
SEEDREAM = "bytedance/seedream-v4"
GPT = "openai/gpt-image-1.5/text-to-image"
PAIRS = "google/nano-banana-pro/text-to-image-multi"
UNLISTED = "acme/brand-new"

ADJUST, NEAREST = Terms(unsupported="adjust"), Terms(fit="nearest")
SOURCE = ReferenceImage("https://pictures.example/scene.png", "source")
PORTRAIT = ReferenceImage("https://pictures.example/portrait.png", "character")
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x08\x08\x00\x00\x00\x00"
URLS = {"enable_sync_mode": False, "enable_base64_output": False}


def sent(request: ImageRequest, model: str = FAMILY, terms: Terms | None = None) -> Any:
    return WaveSpeed().translate(request, model, terms or Terms()).body


def notices(request: ImageRequest, model: str, terms: Terms) -> tuple[Notice, ...]:
    return WaveSpeed().translate(request, model, terms).notices


@pytest.mark.parametrize(
    ("model", "references", "full"),
    [
        (FAMILY, (), TEXT),
        (FAMILY, SOURCE, IMAGE),
        (FAMILY, PORTRAIT, IMAGE),
        (TEXT, (), TEXT),
        (IMAGE, SOURCE, IMAGE),
        (UNLISTED, (), UNLISTED),
    ],
)
def test_the_family_id_picks_by_references_and_a_full_id_is_taken(
    model: str, references: Any, full: str
) -> None:
    request = ImageRequest("x", references=references)
    assert WaveSpeed().translate(request, model, Terms()).model == full


@pytest.mark.parametrize(
    "model",
    [
        "",
        "minimax",
        "minimax/",
        "/minimax/image-01",
        "minimax//image-01",
        "minimax/../balance",
        "./minimax/image-01",
        "minimax/image-01?webhook=https://evil.example",
        "minimax/image-01#x",
        "minimax/image 01",
        "minimax/image-01\n",
        "minimax/ímage",
        "minimax%2fimage-01/x",
    ],
)
def test_what_no_model_id_can_read_like_is_refused(model: str) -> None:
    for ask in (
        lambda: WaveSpeed().translate(ImageRequest("x"), model, ADJUST),
        lambda: WaveSpeed().images_per_call(model, ImageRequest("x")),
        lambda: WaveSpeed().price(model, ImageRequest("x")),
    ):
        with pytest.raises(UnsupportedFeatureError):
            ask()


def test_a_bare_prompt_sends_the_count_and_switches_only() -> None:
    assert sent(ImageRequest("x")) == {"prompt": "x", "num_images": 1, **URLS}


@pytest.mark.parametrize("n", range(1, 10))
def test_one_to_nine_pictures_are_asked_for_in_one_call(n: int) -> None:
    assert sent(ImageRequest("x", n=n))["num_images"] == n


@pytest.mark.parametrize(
    ("model", "most"),
    [
        (FAMILY, 9),
        (TEXT, 9),
        (IMAGE, 9),
        (FLUX, 4),
        (PAIRS, 2),
        (SEEDREAM, 1),
        (GPT, 1),
        (BANANA, 1),
        ("x-ai/grok-2-image", 10),
        (UNLISTED, 1),
    ],
)
def test_each_model_has_its_own_most_of_one_call(model: str, most: int) -> None:
    assert WaveSpeed().images_per_call(model, ImageRequest("x", n=100)) == most


@pytest.mark.parametrize(
    ("model", "n"), [(FAMILY, 10), (FLUX, 5), (SEEDREAM, 2), (UNLISTED, 2), (PAIRS, 3)]
)
def test_more_pictures_than_one_call_makes_are_never_asked_for_in_one(model: str, n: int) -> None:
    request = ImageRequest("x", n=n, aspect_ratio="3:2" if model == PAIRS else None)
    with pytest.raises((InvalidRequestError, UnsupportedFeatureError)):
        sent(request, model)


def test_a_model_of_pairs_makes_no_single_picture() -> None:
    request = ImageRequest("x", aspect_ratio="3:2")
    with pytest.raises(UnsupportedFeatureError) as caught:
        sent(request, PAIRS, Terms("nearest", "adjust"))
    assert caught.value.field == "n"
    pair = sent(ImageRequest("x", n=2, aspect_ratio="3:2"), PAIRS)
    assert pair == {"prompt": "x", "num_images": 2, "aspect_ratio": "3:2", **URLS}
    with pytest.raises(UnsupportedFeatureError, match="aspect_ratio"):
        sent(ImageRequest("x", n=2), PAIRS)


@pytest.mark.parametrize("size", ["512x512", "2048x2048", "1080x1920", "1280x720"])
@pytest.mark.parametrize("model", [TEXT, IMAGE])
def test_a_size_goes_with_an_asterisk(size: str, model: str) -> None:
    request = ImageRequest("x", size=size, references=SOURCE if model == IMAGE else ())
    assert sent(request, model)["size"] == size.replace("x", "*")


@pytest.mark.parametrize(
    ("size", "nearest"),
    [("511x512", "512*512"), ("2049x600", "2048*600"), ("1025x1023", "1024*1024")],
)
def test_image_01_keeps_its_bounds_here_too(size: str, nearest: str) -> None:
    request = ImageRequest("x", size=size)
    for terms in (Terms(), ADJUST):
        with pytest.raises(UnsupportedFeatureError):
            sent(request, terms=terms)
    assert sent(request, terms=NEAREST)["size"] == nearest
    [notice] = notices(request, FAMILY, NEAREST)
    assert (notice.kind, notice.field) == ("adjusted", "size")


def test_a_ratio_that_image_01_lacks_is_refused_or_the_nearest() -> None:
    request = ImageRequest("x", aspect_ratio="5:4")
    with pytest.raises(UnsupportedFeatureError):
        sent(request)
    assert sent(request, terms=NEAREST)["size"] == "1152*864"
    assert [n.field for n in notices(request, FAMILY, NEAREST)] == ["aspect_ratio"]


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_a_seed_is_sent_as_it_is(seed: int) -> None:
    assert sent(ImageRequest("x", seed=seed))["seed"] == seed


@pytest.mark.parametrize("seed", [-1, -(2**63)])
def test_a_negative_seed_would_mean_any_so_it_is_refused_or_left_out(seed: int) -> None:
    request = ImageRequest("x", seed=seed)
    with pytest.raises(UnsupportedFeatureError) as caught:
        sent(request)
    assert caught.value.field == "seed"
    assert "seed" not in sent(request, terms=ADJUST)
    assert [n.kind for n in notices(request, FAMILY, ADJUST)] == ["ignored"]


@pytest.mark.parametrize("wanted", [True, False])
def test_the_prompt_optimizer_is_named_only_on_demand(*, wanted: bool) -> None:
    assert sent(ImageRequest("x", enhance_prompt=wanted))["prompt_optimizer"] is wanted


def test_bytes_are_asked_for_as_base64_output() -> None:
    assert sent(ImageRequest("x", output="bytes"))["enable_base64_output"] is True
    assert sent(ImageRequest("x", output="bytes"), FLUX)["enable_base64_output"] is True


def test_sync_mode_is_a_switch_of_the_backend() -> None:
    body = WaveSpeed(sync_mode=True).translate(ImageRequest("x"), FAMILY, Terms()).body
    assert body["enable_sync_mode"] is True


def test_a_reference_goes_as_its_url_or_as_a_data_url(tmp_path: Path) -> None:
    file = tmp_path / "scene"
    file.write_bytes(PNG)
    wire = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    for source in (PNG, file, str(file), wire):
        for role in ("source", "character"):
            request = ImageRequest("x", references=ReferenceImage(source, role))
            assert sent(request)["image"] == wire
            assert notices(request, FAMILY, Terms()) == ()


def test_a_source_with_a_character_beside_it_goes_with_a_warning() -> None:
    for both in ([SOURCE, PORTRAIT], [PORTRAIT, SOURCE]):
        request = ImageRequest("x", references=both)
        body = sent(request)
        assert body["image"] == SOURCE.url
        assert body["subject_reference"] == [{"type": "character", "image_file": PORTRAIT.url}]
        [notice] = notices(request, FAMILY, Terms())
        assert (notice.kind, notice.field) == ("unverified", "references")


@pytest.mark.parametrize("first", [SOURCE, PORTRAIT])
def test_a_second_reference_of_the_same_role_is_refused_or_left_out(first: ReferenceImage) -> None:
    second = ReferenceImage(f"{first.url}?2", first.role)
    request = ImageRequest("x", references=[first, second])
    with pytest.raises(UnsupportedFeatureError):
        sent(request)
    body = sent(request, terms=ADJUST)
    assert body["image"] == first.url
    assert "subject_reference" not in body
    assert [n.kind for n in notices(request, FAMILY, ADJUST)] == ["ignored"]


def test_image_to_image_needs_an_image_on_any_terms() -> None:
    with pytest.raises(UnsupportedFeatureError, match="image") as caught:
        sent(ImageRequest("x"), IMAGE, Terms("nearest", "adjust"))
    assert caught.value.field == "references"
    options = {"wavespeed": {"image": "https://pictures.example/a.png"}}
    assert sent(ImageRequest("x", provider_options=options), IMAGE)["image"]


def test_text_to_image_takes_no_reference() -> None:
    request = ImageRequest("x", references=SOURCE)
    with pytest.raises(UnsupportedFeatureError):
        sent(request, TEXT)
    body = sent(request, TEXT, ADJUST)
    assert not body.keys() & {"image", "images", "subject_reference"}


def test_provider_options_are_merged_in_for_this_provider_only() -> None:
    options: dict[str, dict[str, Any]] = {
        "wavespeed": {"guidance_scale": 3.5},
        "minimax": {"style": {}},
    }
    body = sent(ImageRequest("x", provider_options=options), FLUX)
    assert body == {"prompt": "x", "num_images": 1, "guidance_scale": 3.5, **URLS}


@pytest.mark.parametrize("name", ["num_images", "seed"])
def test_provider_options_may_not_touch_what_money_rests_on(name: str) -> None:
    request = ImageRequest("x", provider_options={"wavespeed": {name: 2}})
    with pytest.raises(InvalidRequestError, match=name) as caught:
        sent(request, terms=ADJUST)
    assert (caught.value.field, caught.value.provider) == ("provider_options", "wavespeed")


def test_flux_takes_size_count_seed_and_one_picture() -> None:
    request = ImageRequest("x", n=4, size="1000x700", seed=7, references=SOURCE)
    body = {"prompt": "x", "size": "1000*700", "num_images": 4, "seed": 7, "image": SOURCE.url}
    assert sent(request, FLUX) == body | URLS
    assert notices(request, FLUX, Terms()) == ()


@pytest.mark.parametrize("ratio", ["16:9", "9:16", "5:4", "1:2", "21:9", "99:1"])
@pytest.mark.parametrize(
    "model", [FLUX, SEEDREAM, "alibaba/wan-2.5/text-to-image", "bytedance/seedream-v5.0-lite"]
)
def test_a_model_of_sizes_takes_a_ratio_as_a_size_of_just_that_shape(
    model: str, ratio: str
) -> None:
    across, down = map(int, ratio.split(":"))
    request = ImageRequest("x", aspect_ratio=ratio)
    try:
        width, height = map(int, sent(request, model)["size"].split("*"))
    except UnsupportedFeatureError as error:
        refusal = error
    else:
        assert width * down == height * across
        assert notices(request, model, Terms()) == ()
        return
    assert refusal.field == "aspect_ratio"
    assert notices(request, model, NEAREST)


def test_image_01_s_own_size_of_a_ratio_is_used_where_a_model_can_make_it() -> None:
    assert sent(ImageRequest("x", aspect_ratio="16:9"), FLUX, NEAREST)["size"] == "1280*720"


def test_a_character_for_a_model_without_roles_is_refused_or_told() -> None:
    request = ImageRequest("x", references=PORTRAIT)
    with pytest.raises(UnsupportedFeatureError) as caught:
        sent(request, FLUX)
    assert caught.value.field == "references"
    assert sent(request, FLUX, ADJUST)["image"] == PORTRAIT.url
    assert [n.field for n in notices(request, FLUX, ADJUST)] == ["references"]


def test_banana_takes_ratios_and_ten_pictures() -> None:
    ten = [ReferenceImage(f"https://pictures.example/{k}.png", "source") for k in range(11)]
    body = sent(ImageRequest("x", aspect_ratio="5:4", references=ten[:10]), BANANA)
    images = [f"https://pictures.example/{k}.png" for k in range(10)]
    assert body == {"prompt": "x", "aspect_ratio": "5:4", "images": images, **URLS}
    request = ImageRequest("x", references=ten)
    with pytest.raises(UnsupportedFeatureError, match="10"):
        sent(request, BANANA)
    assert sent(request, BANANA, ADJUST)["images"] == images
    with pytest.raises(UnsupportedFeatureError, match="images"):
        sent(ImageRequest("x"), BANANA)


@pytest.mark.parametrize(("size", "ratio"), [("1280x720", "16:9"), ("1000x1250", "4:5")])
def test_banana_takes_a_size_only_as_the_nearest_ratio(size: str, ratio: str) -> None:
    request = ImageRequest("x", size=size, references=SOURCE)
    with pytest.raises(UnsupportedFeatureError) as caught:
        sent(request, BANANA)
    assert caught.value.field == "size"
    body = sent(request, BANANA, NEAREST)
    assert body["aspect_ratio"] == ratio
    assert "size" not in body
    assert [n.field for n in notices(request, BANANA, NEAREST)] == ["size"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 7}, "seed"),
        ({"enhance_prompt": True}, "enhance_prompt"),
        ({"aspect_ratio": "2:1"}, "aspect_ratio"),
    ],
)
def test_banana_refuses_what_it_lacks(changes: dict[str, Any], field: str) -> None:
    request = ImageRequest("x", references=SOURCE, **changes)
    with pytest.raises(UnsupportedFeatureError) as caught:
        sent(request, BANANA)
    assert (caught.value.field, caught.value.model) == (field, BANANA)
    assert [n.field for n in notices(request, BANANA, Terms("nearest", "adjust"))] == [field]


@pytest.mark.parametrize(("size", "nearest"), [("511x9000", "512*8192"), ("513x777", None)])
def test_seedream_has_wider_bounds_and_no_step(size: str, nearest: str | None) -> None:
    request = ImageRequest("x", size=size)
    if nearest is None:
        assert sent(request, SEEDREAM)["size"] == size.replace("x", "*")
        return
    with pytest.raises(UnsupportedFeatureError, match="512–8192"):
        sent(request, SEEDREAM)
    assert sent(request, SEEDREAM, NEAREST)["size"] == nearest


@pytest.mark.parametrize(
    ("size", "nearest"), [("1024x1000", "1024*1024"), ("900x1600", "1024*1536")]
)
def test_gpt_image_takes_three_sizes(size: str, nearest: str) -> None:
    for listed in ("1024x1024", "1024x1536", "1536x1024"):
        assert sent(ImageRequest("x", size=listed), GPT)["size"] == listed.replace("x", "*")
    request = ImageRequest("x", size=size)
    with pytest.raises(UnsupportedFeatureError, match="1024x1536"):
        sent(request, GPT)
    assert sent(request, GPT, NEAREST)["size"] == nearest


@pytest.mark.parametrize("ratio", ["16:9", "9:16"])
def test_the_nearest_size_for_a_ratio_keeps_to_the_ratio_s_side_of_square(ratio: str) -> None:
    """The first of these models makes 1440 pixels a side or more, the second 768 to 1440."""
    wide = ratio == "16:9"
    for model in ("bytedance/seedream-v5.0-lite", "alibaba/wan-2.5/text-to-image"):
        body = sent(ImageRequest("x", aspect_ratio=ratio), model, Terms("nearest", "adjust"))
        width, height = map(int, body["size"].split("*"))
        assert (width > height) is wide
        assert width != height


def test_a_model_without_shapes_refuses_both() -> None:
    for request in (ImageRequest("x", size="512x512"), ImageRequest("x", aspect_ratio="1:1")):
        model = "alibaba/wan-2.5/image-edit"
        request_ = ImageRequest(
            "x", size=request.size, aspect_ratio=request.aspect_ratio, references=SOURCE
        )
        with pytest.raises(UnsupportedFeatureError, match="neither"):
            sent(request_, model, NEAREST)
        body = sent(request_, model, ADJUST)
        assert not body.keys() & {"size", "aspect_ratio"}


def test_a_model_without_a_prompt_refuses_it() -> None:
    request = ImageRequest("x", references=SOURCE)
    with pytest.raises(UnsupportedFeatureError) as caught:
        sent(request, "wavespeed-ai/real-esrgan")
    assert caught.value.field == "prompt"
    assert sent(request, "wavespeed-ai/real-esrgan", ADJUST) == {"image": SOURCE.url}


def test_an_input_that_only_provider_options_can_fill_is_asked_for() -> None:
    model = "alibaba/qwen-image/translate"
    request = ImageRequest("x", references=SOURCE)
    with pytest.raises(UnsupportedFeatureError, match="target_lang") as caught:
        sent(request, model, ADJUST)
    assert caught.value.field == "provider_options"
    options = {"wavespeed": {"target_lang": "de"}}
    request = ImageRequest("x", references=SOURCE, provider_options=options)
    assert sent(request, model, ADJUST) == {"image": SOURCE.url, "target_lang": "de"}


@pytest.mark.parametrize(
    ("model", "seed", "fits"),
    [
        ("bria/embed-product", 0, True),
        ("bria/embed-product", 65535, True),
        ("bria/embed-product", 65536, False),
        ("higgsfield/soul/image-to-image", 0, False),
        ("higgsfield/soul/image-to-image", 1, True),
        ("higgsfield/soul/image-to-image", 1000001, False),
    ],
)
def test_the_seed_bounds_of_a_model_are_kept(model: str, seed: int, *, fits: bool) -> None:
    options: dict[str, dict[str, Any]] = {"wavespeed": {"products": [], "size": "1536*1536"}}
    request = ImageRequest("x", seed=seed, references=SOURCE, provider_options=options)
    translation = WaveSpeed().translate(request, model, ADJUST)
    assert ("seed" in translation.body) is fits
    assert ("seed" in [n.field for n in translation.notices]) is not fits


def test_an_unlisted_model_gets_the_usual_names_with_a_warning() -> None:
    request = ImageRequest("x", size="1000x700", seed=7, references=SOURCE)
    body = sent(request, UNLISTED)
    assert body == {"prompt": "x", "size": "1000*700", "seed": 7, "image": SOURCE.url}
    [notice] = notices(request, UNLISTED, Terms())
    assert (notice.kind, notice.field) == ("unverified", "model")
    assert UNLISTED in notice.message
    ratio = ImageRequest("x", aspect_ratio="7:3")
    assert sent(ratio, UNLISTED) == {"prompt": "x", "aspect_ratio": "7:3"}


def test_an_unlisted_model_s_prompt_optimizer_is_not_known() -> None:
    with pytest.raises(UnsupportedFeatureError):
        sent(ImageRequest("x", enhance_prompt=True), UNLISTED)


@pytest.mark.parametrize(
    ("model", "amount", "per"),
    [
        (FAMILY, "0.0035", "image"),
        (TEXT, "0.0035", "image"),
        (IMAGE, "0.0035", "image"),
        (FLUX, "0.012", "image"),
        (SEEDREAM, "0.027", "call"),
        (BANANA, "0.038", "call"),
        (PAIRS, "0.07", "image"),
    ],
)
def test_prices_are_those_of_the_listing(model: str, amount: str, per: str) -> None:
    price = WaveSpeed().price(model, ImageRequest("x"))
    assert price is not None
    assert (str(price.amount), price.currency, price.per) == (amount, "USD", per)


def test_the_price_of_the_family_is_that_of_the_model_it_picks() -> None:
    text = WaveSpeed().price(FAMILY, ImageRequest("x"))
    image = WaveSpeed().price(FAMILY, ImageRequest("x", references=SOURCE))
    assert text is not None
    assert image is not None
    assert text.source != image.source


@pytest.mark.parametrize("model", [GPT, UNLISTED, "kwaivgi/kling-image-o3/text-to-image"])
def test_a_price_that_varies_or_is_not_listed_is_unknown(model: str) -> None:
    assert WaveSpeed().price(model, ImageRequest("x")) is None


@pytest.mark.parametrize(
    "setting",
    [
        {"first_poll": 0.0},
        {"first_poll": float("nan")},
        {"first_poll": "2"},
        {"poll_growth": 0.9},
        {"poll_growth": 11},
        {"slowest_poll": 3601},
        {"shortest_poll": 0.0},
        {"average_poll": "2"},
        {"average_poll": float("nan")},
        {"learn_polls": 1},
        {"learn_polls": None},
        {"poll_failures": -1},
        {"poll_failures": None},
    ],
)
def test_a_setting_out_of_range_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WaveSpeed(**setting)
    assert caught.value.field == next(iter(setting))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (None, "https://api.wavespeed.ai"),
        ("https://api.wavespeed.ai/", "https://api.wavespeed.ai"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_the_host_is_the_documented_one_or_the_given(host: str | None, expected: str) -> None:
    assert WaveSpeed(base_url=host).host == expected
