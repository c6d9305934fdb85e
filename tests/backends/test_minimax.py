"""From a neutral request to MiniMax's body."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from imagegen.backends.base import Terms
from imagegen.backends.minimax import CHINA_HOST, GLOBAL_HOST, MiniMax
from imagegen.errors import ConfigurationError, InvalidRequestError, UnsupportedFeatureError
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Notice
from imagegen.testing import play, reply

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x08\x08\x00\x00\x00\x00"
JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x08\x00\x10\x03"
ADJUST = Terms(unsupported="adjust")
NEAREST = Terms(fit="nearest")
URL = "https://pictures.example/portrait.png"
SUCCESS = {
    "id": "a1",
    "data": {"image_urls": ["https://pictures.example/1.jpeg"]},
    "base_resp": {"status_code": 0, "status_msg": "success"},
}


def body(request: ImageRequest, model: str = "image-01", terms: Terms | None = None) -> Any:
    translation = MiniMax().translate(request, model, terms or Terms())
    assert translation.model == model
    return translation.body


def extra(request: ImageRequest, model: str = "image-01") -> Any:
    """What the body has beyond model, prompt and n."""
    full = dict(body(request, model))
    for name, value in (("model", model), ("prompt", request.prompt), ("n", request.n)):
        assert full.pop(name) == value
    return full


def notices(request: ImageRequest, model: str, terms: Terms) -> tuple[Notice, ...]:
    return MiniMax().translate(request, model, terms).notices


@pytest.mark.parametrize("model", ["image-01", "image-01-live"])
def test_a_bare_prompt_sends_model_prompt_and_n_only(model: str) -> None:
    assert body(ImageRequest("x"), model) == {"model": model, "prompt": "x", "n": 1}


@pytest.mark.parametrize("model", ["image-02", "", "image-01 ", "IMAGE-01", "minimax/image-01"])
def test_an_unknown_model_is_refused(model: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match="image-01"):
        MiniMax().translate(ImageRequest("x"), model, ADJUST)


@pytest.mark.parametrize("n", range(1, 10))
def test_one_to_nine_pictures_are_asked_for_in_one_call(n: int) -> None:
    assert body(ImageRequest("x", n=n))["n"] == n


@pytest.mark.parametrize("model", ["image-01", "image-01-live"])
def test_nine_is_the_most_of_one_call(model: str) -> None:
    assert MiniMax().images_per_call(model, ImageRequest("x", n=20)) == 9


def test_a_tenth_picture_is_never_asked_for_in_the_same_call() -> None:
    with pytest.raises((InvalidRequestError, UnsupportedFeatureError)):
        body(ImageRequest("x", n=10))


@pytest.mark.parametrize(
    "ratio", ["1:1", "16:9", "4:3", "3:2", "2:3", "3:4", "9:16", "21:9"]
)  # fmt: skip
def test_each_documented_ratio_is_sent_as_it_is(ratio: str) -> None:
    assert extra(ImageRequest("x", aspect_ratio=ratio)) == {"aspect_ratio": ratio}


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "4:3", "3:2", "2:3", "3:4", "9:16"])
def test_the_live_model_takes_seven_ratios(ratio: str) -> None:
    assert extra(ImageRequest("x", aspect_ratio=ratio), "image-01-live") == {"aspect_ratio": ratio}


def test_the_live_model_has_no_21_9() -> None:
    request = ImageRequest("x", aspect_ratio="21:9")
    with pytest.raises(UnsupportedFeatureError, match="16:9") as caught:
        body(request, "image-01-live")
    assert (caught.value.field, caught.value.charged) == ("aspect_ratio", "no")
    assert body(request, "image-01-live", NEAREST)["aspect_ratio"] == "16:9"
    [notice] = notices(request, "image-01-live", NEAREST)
    assert (notice.kind, notice.field) == ("adjusted", "aspect_ratio")


@pytest.mark.parametrize(
    ("ratio", "nearest"), [("5:4", "4:3"), ("4:5", "3:4"), ("2:1", "16:9"), ("1:99", "9:16")]
)
def test_another_ratio_is_refused_or_on_demand_the_nearest(ratio: str, nearest: str) -> None:
    request = ImageRequest("x", aspect_ratio=ratio)
    with pytest.raises(UnsupportedFeatureError, match=nearest):
        body(request)
    assert body(request, terms=NEAREST)["aspect_ratio"] == nearest
    assert [n.field for n in notices(request, "image-01", NEAREST)] == ["aspect_ratio"]


@pytest.mark.parametrize("size", ["512x512", "2048x2048", "512x2048", "1280x720", "1024x520"])
def test_a_size_is_sent_as_width_and_height_both(size: str) -> None:
    width, height = map(int, size.split("x"))
    assert extra(ImageRequest("x", size=size)) == {"width": width, "height": height}


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ("511x512", "512x512"),
        ("504x1024", "512x1040"),
        ("2049x2048", "2048x2048"),
        ("2056x512", "2048x512"),
        ("1025x1024", "1024x1024"),
        ("1024x1023", "1024x1024"),
        ("1080x1923", "1080x1920"),
        ("1x16384", "512x2048"),
    ],
)
def test_a_size_out_of_bounds_or_step_is_refused_or_the_nearest(size: str, nearest: str) -> None:
    request = ImageRequest("x", size=size)
    with pytest.raises(UnsupportedFeatureError, match=nearest) as caught:
        body(request)
    assert caught.value.field == "size"
    with pytest.raises(UnsupportedFeatureError):
        body(request, terms=ADJUST)
    width, height = map(int, nearest.split("x"))
    sent = body(request, terms=NEAREST)
    assert (sent["width"], sent["height"]) == (width, height)
    [notice] = notices(request, "image-01", NEAREST)
    assert (notice.kind, notice.field) == ("adjusted", "size")
    assert nearest in notice.message


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ("1024x1024", "1:1"),
        ("1280x720", "16:9"),
        ("1152x864", "4:3"),
        ("1248x832", "3:2"),
        ("832x1248", "2:3"),
        ("864x1152", "3:4"),
        ("720x1280", "9:16"),
    ],
)
def test_the_live_model_gets_a_ratio_in_place_of_its_size(size: str, ratio: str) -> None:
    assert extra(ImageRequest("x", size=size), "image-01-live") == {"aspect_ratio": ratio}
    assert notices(ImageRequest("x", size=size), "image-01-live", Terms()) == ()


@pytest.mark.parametrize(
    ("size", "ratio"), [("1344x576", "16:9"), ("1920x1080", "16:9"), ("512x512", "1:1")]
)
def test_the_live_model_makes_no_other_size(size: str, ratio: str) -> None:
    request = ImageRequest("x", size=size)
    with pytest.raises(UnsupportedFeatureError):
        body(request, "image-01-live")
    sent = body(request, "image-01-live", NEAREST)
    assert sent["aspect_ratio"] == ratio
    assert not sent.keys() & {"width", "height"}
    assert [n.field for n in notices(request, "image-01-live", NEAREST)] == ["size"]


@pytest.mark.parametrize("seed", [0, 7, -1, 2**63 - 1, -(2**63)])
def test_a_seed_is_sent_as_it_is(seed: int) -> None:
    assert extra(ImageRequest("x", seed=seed)) == {"seed": seed}


@pytest.mark.parametrize("wanted", [True, False])
def test_the_prompt_optimizer_is_named_only_on_demand(*, wanted: bool) -> None:
    assert extra(ImageRequest("x", enhance_prompt=wanted)) == {"prompt_optimizer": wanted}


def test_bytes_are_asked_for_as_base64_and_urls_by_default() -> None:
    assert extra(ImageRequest("x", output="bytes")) == {"response_format": "base64"}
    assert extra(ImageRequest("x", output="url")) == {}


def test_a_reference_goes_as_its_url_or_as_a_data_url(tmp_path: Path) -> None:
    file = tmp_path / "portrait.bin"
    file.write_bytes(JPEG)
    png = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    jpeg = f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"
    for source, wire in (
        (URL, URL),
        (PNG, png),
        (file, jpeg),
        (str(file), jpeg),
        (png, png),
        (jpeg.replace("image/jpeg", "text/plain"), jpeg),
    ):
        reference = ReferenceImage(source)
        expected = {"subject_reference": [{"type": "character", "image_file": wire}]}
        assert extra(ImageRequest("x", references=reference)) == expected
        assert extra(ImageRequest("x", references=[reference]), "image-01-live") == expected


def test_a_source_image_is_refused_or_left_out() -> None:
    request = ImageRequest("x", references=ReferenceImage(URL, "source"))
    with pytest.raises(UnsupportedFeatureError) as caught:
        body(request)
    assert caught.value.field == "references"
    with pytest.raises(UnsupportedFeatureError):
        body(request, terms=NEAREST)
    assert "subject_reference" not in body(request, terms=ADJUST)
    [notice] = notices(request, "image-01", ADJUST)
    assert (notice.kind, notice.field) == ("ignored", "references")


def test_of_two_characters_the_first_is_sent_on_demand() -> None:
    request = ImageRequest("x", references=[URL, f"{URL}?2"])
    with pytest.raises(UnsupportedFeatureError):
        body(request)
    [sent] = body(request, terms=ADJUST)["subject_reference"]
    assert sent["image_file"] == URL
    assert [n.kind for n in notices(request, "image-01", ADJUST)] == ["ignored"]


def test_a_reference_remembered_from_json_can_not_be_sent() -> None:
    remembered = ReferenceImage.remembered(None, "image/png", "0" * 64, "character")
    with pytest.raises(InvalidRequestError, match="again"):
        body(ImageRequest("x", references=remembered))


@pytest.mark.parametrize(
    "options",
    [
        {"aigc_watermark": True},
        {"style": {"style_type": "水彩", "style_weight": 0.8}},
        {"prompt_optimizer": True},
        {"something_new": [1, None, {"a": "b"}]},
    ],
)
def test_provider_options_are_merged_in(options: dict[str, Any]) -> None:
    request = ImageRequest("x", provider_options={"minimax": options, "wavespeed": {"loras": []}})
    assert extra(request, "image-01-live") == options


@pytest.mark.parametrize("name", ["model", "n", "seed"])
def test_provider_options_may_not_touch_what_money_rests_on(name: str) -> None:
    request = ImageRequest("x", provider_options={"minimax": {name: 1}})
    with pytest.raises(InvalidRequestError, match=name) as caught:
        body(request, terms=Terms("nearest", "adjust"))
    assert (caught.value.field, caught.value.provider) == ("provider_options", "minimax")


@pytest.mark.parametrize(
    ("neutral", "own"),
    [
        ({"size": "512x512"}, {"aspect_ratio": "1:1"}),
        ({"aspect_ratio": "1:1"}, {"width": 512, "height": 512}),
        ({"aspect_ratio": "1:1"}, {"width": 512}),
        ({}, {"aspect_ratio": "1:1", "width": 512, "height": 512}),
    ],
)
def test_pixels_and_ratio_are_never_sent_together(
    neutral: dict[str, str], own: dict[str, Any]
) -> None:
    size, ratio = neutral.get("size"), neutral.get("aspect_ratio")
    options = {"minimax": own}
    request = ImageRequest("x", size=size, aspect_ratio=ratio, provider_options=options)
    try:
        sent = body(request)
    except InvalidRequestError:
        return
    assert sent.keys() & {"width", "height", "aspect_ratio"} in (
        {"width", "height"},
        {"aspect_ratio"},
    )


@pytest.mark.parametrize(
    ("model", "own"),
    [
        ("image-01", {"width": 512}),
        ("image-01", {"height": 512}),
        ("image-01", {"width": 504, "height": 512}),
        ("image-01", {"width": 2056, "height": 512}),
        ("image-01", {"width": 513, "height": 512}),
        ("image-01", {"width": "512", "height": "512"}),
        ("image-01-live", {"width": 512, "height": 512}),
    ],
)
def test_pixels_in_provider_options_keep_the_rules_too(model: str, own: dict[str, Any]) -> None:
    with pytest.raises((InvalidRequestError, UnsupportedFeatureError)):
        body(ImageRequest("x", provider_options={"minimax": own}), model)


@pytest.mark.parametrize(
    ("host", "model", "amount", "currency"),
    [
        (None, "image-01", "0.0035", "USD"),
        (GLOBAL_HOST, "image-01", "0.0035", "USD"),
        ("https://api.minimax.io/", "image-01", "0.0035", "USD"),
        (CHINA_HOST, "image-01", "0.025", "CNY"),
        (CHINA_HOST, "image-01-live", "0.025", "CNY"),
        ("https://api.minimaxi.com", "image-01", "0.025", "CNY"),
        ("https://api.minimaxi.com:443/prefix", "image-01", "0.025", "CNY"),
        ("https://api.minimax.chat", "image-01", "0.025", "CNY"),
        ("https://api.minimaxi.chat", "image-01", "0.025", "CNY"),
        ("https://api.minimax.cn.example.com", "image-01", "0.0035", "USD"),
    ],
)
def test_the_price_is_that_of_the_host_s_region(
    host: str | None, model: str, amount: str, currency: str
) -> None:
    price = MiniMax(base_url=host).price(model, ImageRequest("x"))
    assert price is not None
    assert (str(price.amount), price.currency, price.per) == (amount, currency, "image")


def test_a_host_in_capitals_is_the_same_host() -> None:
    price = MiniMax(base_url="https://API.MiniMax.cn").price("image-01", ImageRequest("x"))
    assert price is not None
    assert price.currency == "CNY"


def test_the_live_model_has_no_known_price_in_dollars() -> None:
    backend = MiniMax()
    assert backend.price("image-01-live", ImageRequest("x")) is None
    job = play(backend.submit(ImageRequest("x"), "image-01-live", Terms()), reply(SUCCESS)).value
    assert job.settled is not None
    assert (job.settled.cost.amount, job.settled.cost.basis) == (None, "unknown")


def test_the_price_may_be_paid_in_yuan() -> None:
    backend = MiniMax(base_url=CHINA_HOST)
    job = play(backend.submit(ImageRequest("x"), "image-01-live", Terms()), reply(SUCCESS)).value
    assert job.settled is not None
    cost = job.settled.cost
    assert (str(cost.amount), cost.currency, cost.basis) == ("0.025", "CNY", "list-price")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "https://api.minimax.io/v1/image_generation"),
        ("", "https://api.minimax.io/v1/image_generation"),
        ("https://api.minimax.cn/", "https://api.minimax.cn/v1/image_generation"),
        ("http://127.0.0.1:8000/mm", "http://127.0.0.1:8000/mm/v1/image_generation"),
    ],
)
def test_the_call_is_one_paid_post_without_the_key(host: str | None, url: str) -> None:
    backend = MiniMax(api_key="sk-made-up-0123456789", base_url=host)
    played = play(backend.submit(ImageRequest("x"), "image-01", Terms()), reply(SUCCESS))
    [call] = played.calls
    assert (call.method, call.url, call.account, call.paid) == ("POST", url, "minimax", True)
    assert "sk-made-up" not in repr((call, call.json, played.events, backend))


@pytest.mark.parametrize(
    "host",
    [
        "http://api.minimax.io",
        "ftp://api.minimax.io",
        "api.minimax.io",
        "https://user:pass@api.minimax.io",
        "https://api.minimax.io?x=1",
        "https://api.minimax.io#x",
        "https://api.minimax.io:0",
        "https://api.minimax.io:70000",
        "https://",
        "https://api.min imax.io",
        "https://[::1",
        "http://127.0.0.1.example.com",
    ],
)
def test_an_unsafe_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        MiniMax(base_url=host)
    assert caught.value.field == "base_url"
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("host", ["http://localhost:1", "http://[::1]:1", "http://127.0.0.1"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    assert MiniMax(base_url=host).host == host


def test_an_empty_key_counts_as_none() -> None:
    assert MiniMax(api_key=" ").api_key is None
    assert MiniMax(api_key="k").api_key is not None


@pytest.mark.parametrize("key", ["sk-made up", "sk-made\nup", "sk-mäde-up", 5, b"sk"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        MiniMax(api_key=key)
    assert caught.value.field == "api_key"
    assert "sk-m" not in str(caught.value)
