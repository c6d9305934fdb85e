"""What is wrong, or what a provider cannot express, is told before anything is sent."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imagegen import ImageRequest, Job, MiniMax, ReferenceImage, Size, WaveSpeed
from imagegen.errors import (
    ConfigurationError,
    ImageGenError,
    InvalidRequestError,
    UnsupportedFeatureError,
)
from imagegen.sandbox import Sandbox
from imagegen.testing import FakeClock

PNG = b"\x89PNG\r\n\x1a\n and so on"
JPEG = b"\xff\xd8\xff and so on"
LINK = "https://example.com/fox.jpg"
CYCLE: dict[str, Any] = {}
CYCLE["minimax"] = CYCLE


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


@pytest.fixture
def desk(kit: Any, time: FakeClock) -> Any:
    return kit.on(Sandbox(clock=time.epoch), clock=time)


def column(*cases: tuple[Any, ...]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}-{k}") for k, case in enumerate(cases)]


# Fields of a request


@pytest.mark.parametrize(
    ("field", "fields", "allowed"),
    column(
        ("prompt", {"prompt": ""}, "1–1500 characters"),
        ("prompt", {"prompt": " \n\t"}, "not all blank"),
        ("prompt", {"prompt": "x" * 1501}, "1–1500 characters"),
        ("prompt", {"prompt": None}, "1–1500 characters"),
        ("prompt", {"prompt": 7}, "1–1500 characters"),
        ("prompt", {"prompt": b"a fox"}, "1–1500 characters"),
        ("prompt", {"prompt": ["a fox"]}, "1–1500 characters"),
        ("prompt", {"prompt": "fox \ud83e"}, "lone surrogate"),
        ("n", {"n": 0}, "1 or more"),
        ("n", {"n": -1}, "1 or more"),
        ("n", {"n": 1.0}, "whole number"),
        ("n", {"n": "2"}, "whole number"),
        ("n", {"n": True}, "whole number"),
        ("n", {"n": None}, "whole number"),
        ("n", {"n": Decimal(2)}, "whole number"),
        ("n", {"n": 10_001}, "at most 10000"),
        ("n", {"n": 10**30}, "at most 10000"),
        ("size", {"size": "1280"}, "WIDTHxHEIGHT"),
        ("size", {"size": "1280x"}, "WIDTHxHEIGHT"),
        ("size", {"size": "-8x8"}, "WIDTHxHEIGHT"),
        ("size", {"size": "1280x720x3"}, "WIDTHxHEIGHT"),
        ("size", {"size": "12.5x8"}, "WIDTHxHEIGHT"),
        ("size", {"size": "٨x٨"}, "WIDTHxHEIGHT"),
        ("size", {"size": ""}, "WIDTHxHEIGHT"),
        ("size", {"size": 1024}, "WIDTHxHEIGHT"),
        ("size", {"size": (1024,)}, "WIDTHxHEIGHT"),
        ("size", {"size": [1024, 1024]}, "WIDTHxHEIGHT"),
        ("size", {"size": (1024, 1024, 1024)}, "WIDTHxHEIGHT"),
        ("size", {"size": (1280.0, 720)}, "1 to 16384"),
        ("size", {"size": (True, 720)}, "1 to 16384"),
        ("size", {"size": ("1280", "720")}, "1 to 16384"),
        ("size", {"size": "0x720"}, "1 to 16384"),
        ("size", {"size": "16385x720"}, "1 to 16384"),
        ("aspect_ratio", {"aspect_ratio": "16/9"}, "WIDTH:HEIGHT"),
        ("aspect_ratio", {"aspect_ratio": "0:1"}, "1 to 99"),
        ("aspect_ratio", {"aspect_ratio": "100:1"}, "1 to 99"),
        ("aspect_ratio", {"aspect_ratio": 1.5}, "WIDTH:HEIGHT"),
        ("aspect_ratio", {"aspect_ratio": (16, 9)}, "WIDTH:HEIGHT"),
        ("aspect_ratio", {"aspect_ratio": ""}, "WIDTH:HEIGHT"),
        ("aspect_ratio", {"aspect_ratio": "16:9", "size": "1280x720"}, "not both"),
        ("seed", {"seed": 2**63}, r"2\*\*63-1"),
        ("seed", {"seed": -(2**63) - 1}, r"-2\*\*63"),
        ("seed", {"seed": 1.5}, "integer"),
        ("seed", {"seed": "7"}, "integer"),
        ("seed", {"seed": True}, "integer"),
        ("seed", {"seed": 2**63 - 1, "n": 2}, r"2\*\*63-1"),
        ("references", {"references": ["/no/such/file.png"]}, "cannot be read"),
        ("references", {"references": ["a\0b"]}, "cannot be read"),
        ("references", {"references": [b"GIF89a"]}, "JPEG or PNG"),
        ("references", {"references": b""}, "JPEG or PNG"),
        ("references", {"references": [7]}, "URL, a data URL, a path or bytes"),
        ("references", {"references": 7}, "URL, a data URL, a path or bytes"),
        ("references", {"references": [None]}, "URL, a data URL, a path or bytes"),
        ("references", {"references": ["data:image/png;base64,%%%"]}, "valid base64"),
        ("references", {"references": ["data:image/png;base64"]}, "data:image/jpeg;base64"),
        ("references", {"references": ["https://example.com/\ud83e"]}, "lone surrogate"),
        ("references", {"references": [PNG + bytes(10_000_000)]}, "under 10 MB"),
        ("references", {"references": [Path("/")]}, "cannot be read"),
        ("enhance_prompt", {"enhance_prompt": 1}, "True, False or None"),
        ("enhance_prompt", {"enhance_prompt": "yes"}, "True, False or None"),
        ("output", {"output": "base64"}, '"url" or "bytes"'),
        ("output", {"output": None}, '"url" or "bytes"'),
        ("output", {"output": []}, '"url" or "bytes"'),
        ("provider_options", {"provider_options": None}, "map a provider"),
        ("provider_options", {"provider_options": []}, "map a provider"),
        ("provider_options", {"provider_options": {"minimax": 7}}, "map a provider"),
        ("provider_options", {"provider_options": {7: {}}}, "JSON value"),
        ("provider_options", {"provider_options": {"minimax": {7: 1}}}, "JSON value"),
        ("provider_options", {"provider_options": {"minimax": {"x": {1, 2}}}}, "JSON value"),
        ("provider_options", {"provider_options": {"minimax": {"x": b"y"}}}, "JSON value"),
        ("provider_options", {"provider_options": {"minimax": {"x": float("nan")}}}, "JSON"),
        ("provider_options", {"provider_options": {"minimax": {"x": float("inf")}}}, "JSON"),
        ("provider_options", {"provider_options": {"minimax": {"x": "\ud83e"}}}, "surrogate"),
        ("provider_options", {"provider_options": {"minimax": {"\ud83e": 1}}}, "surrogate"),
        ("provider_options", {"provider_options": {"minimax": {"x": 10**5000}}}, "JSON value"),
        ("provider_options", {"provider_options": CYCLE}, "nested"),
        ("provider_options", {"provider_options": {"minimax": nested(5000)}}, "nested"),
    ),
)
def test_a_field_that_is_wrong_is_named_with_what_is_allowed(
    field: str, fields: dict[str, Any], allowed: str
) -> None:
    with pytest.raises(InvalidRequestError, match=allowed) as caught:
        ImageRequest(**({"prompt": "a fox"} | fields))
    assert caught.value.field == field
    assert isinstance(caught.value, ValueError)
    assert len(caught.value.message) <= 1000


@pytest.mark.parametrize("role", ["", "style", None, 7])
def test_a_role_that_no_reference_has_is_refused(role: Any) -> None:
    with pytest.raises(InvalidRequestError, match='"character" or "source"') as caught:
        ReferenceImage(PNG, role)
    assert caught.value.field == "references"


# What a provider cannot express


SOURCE = ReferenceImage(LINK, "source")


@pytest.mark.parametrize(
    ("field", "model", "fields", "allowed"),
    column(
        ("size", "minimax:image-01", {"size": "700x700"}, "divisible by 8"),
        ("size", "minimax:image-01", {"size": "504x512"}, "512–2048"),
        ("size", "minimax:image-01", {"size": "2056x512"}, "512–2048"),
        ("size", "minimax:image-01-live", {"size": "1024x1032"}, "image-01-live"),
        ("size", "wavespeed:minimax/image-01", {"size": "700x700"}, "divisible by 8"),
        ("size", "wavespeed:minimax/image-01", {"size": "4096x4096"}, "512–2048"),
        ("aspect_ratio", "minimax:image-01", {"aspect_ratio": "5:4"}, "1:1, 16:9"),
        ("aspect_ratio", "minimax:image-01-live", {"aspect_ratio": "21:9"}, "not one of"),
        ("aspect_ratio", "wavespeed:minimax/image-01", {"aspect_ratio": "7:5"}, "1:1, 16:9"),
        ("seed", "wavespeed:minimax/image-01", {"seed": -1}, "is not 0–"),
        ("seed", "wavespeed:bytedance/seedream-v4", {"seed": 7}, "takes none"),
        ("references", "minimax:image-01", {"references": [SOURCE]}, "no source images"),
        ("references", "minimax:image-01", {"references": [LINK, LINK]}, "one character"),
        ("references", "wavespeed:minimax/image-01", {"references": [LINK] * 2}, "one character"),
        (
            "references",
            "wavespeed:minimax/image-01/text-to-image",
            {"references": [LINK]},
            "takes none",
        ),
        ("references", "wavespeed:minimax/image-01/image-to-image", {}, "needs 'image'"),
        ("enhance_prompt", "wavespeed:bytedance/seedream-v4", {"enhance_prompt": True}, "no .*opt"),
        ("model", "minimax:image-02", {}, "image-01 or image-01-live"),
        ("model", "wavespeed:image-01", {}, "vendor/model"),
        ("model", "wavespeed:../../predictions", {}, "vendor/model"),
        ("model", "wavespeed:minimax/image-01?x=1", {}, "vendor/model"),
        ("model", "wavespeed:minimax/image 01", {}, "vendor/model"),
        ("model", "wavespeed:minimax//image-01", {}, "vendor/model"),
    ),
)
@pytest.mark.parametrize("verb", ["generate", "submit"])
def test_what_a_model_cannot_express_is_refused_before_anything_is_sent(  # noqa: PLR0917 - columns
    desk: Any, verb: str, field: str, model: str, fields: dict[str, Any], allowed: str
) -> None:
    with pytest.raises(UnsupportedFeatureError, match=allowed) as caught:
        getattr(desk, verb)(ImageRequest("a fox", **fields), model=model)
    assert caught.value.field == field
    assert caught.value.provider == model.partition(":")[0]
    assert caught.value.charged == "no"
    assert desk.sent == []


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("minimax:image-01", {"minimax": {"n": 3}}),
        ("minimax:image-01", {"minimax": {"seed": 3}}),
        ("minimax:image-01", {"minimax": {"model": "image-02"}}),
        ("wavespeed:minimax/image-01", {"wavespeed": {"num_images": 3}}),
        ("wavespeed:minimax/image-01", {"wavespeed": {"seed": 3}}),
        ("minimax:image-01", {"minmax": {"aigc_watermark": True}}),
    ],
)
def test_options_that_a_price_rests_on_or_that_nobody_reads_are_refused(
    desk: Any, model: str, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequestError, match="provider_options") as caught:
        desk.generate(ImageRequest("a fox", provider_options=options), model=model)
    assert caught.value.field == "provider_options"
    assert desk.sent == []


def test_a_reference_read_back_from_json_is_not_sent_empty(desk: Any, model: str) -> None:
    request = ImageRequest("a fox", references=[PNG])
    text = Job(provider="minimax", model="m", id="7", request=request).to_json()
    with pytest.raises(InvalidRequestError, match="make the ReferenceImage again") as caught:
        desk.generate(Job.from_json(text).request, model=model)
    assert caught.value.field == "references"
    assert desk.sent == []


def test_a_later_change_of_the_caller_s_own_options_reaches_nobody(desk: Any) -> None:
    options: dict[str, Any] = {"minimax": {"aigc_watermark": False}}
    request = ImageRequest("a fox", provider_options=options)
    options["minimax"]["n"] = 9
    assert len(desk.generate(request, model="minimax:image-01").images) == 1


# Arguments of the verbs


@pytest.mark.parametrize(
    ("field", "arguments", "allowed"),
    column(
        ("timeout", {"timeout": 0}, "seconds"),
        ("timeout", {"timeout": -1}, "seconds"),
        ("timeout", {"timeout": "60"}, "seconds"),
        ("timeout", {"timeout": float("nan")}, "seconds"),
        ("timeout", {"timeout": float("inf")}, "seconds"),
        ("timeout", {"timeout": 1e300}, "seconds"),
        ("timeout", {"timeout": 10**400}, "seconds"),
        ("timeout", {"timeout": True}, "seconds"),
        ("timeout", {"timeout": (5, 5)}, "seconds"),
        ("max_cost", {"max_cost": "cheap"}, "0.05"),
        ("max_cost", {"max_cost": -0.01}, "0.05"),
        ("max_cost", {"max_cost": float("nan")}, "0.05"),
        ("max_cost", {"max_cost": "sNaN"}, "0.05"),
        ("max_cost", {"max_cost": object()}, "0.05"),
        ("fit", {"fit": "exact"}, '"strict" or "nearest"'),
        ("fit", {"fit": 1}, '"strict" or "nearest"'),
        ("unsupported", {"unsupported": "ignore"}, '"error" or "adjust"'),
        ("unsupported", {"unsupported": True}, '"error" or "adjust"'),
    ),
)
@pytest.mark.parametrize("verb", ["generate", "submit"])
def test_an_argument_that_is_wrong_is_named_before_anything_is_sent(  # noqa: PLR0917 - columns
    desk: Any, model: str, verb: str, field: str, arguments: dict[str, Any], allowed: str
) -> None:
    with pytest.raises(InvalidRequestError, match=allowed) as caught:
        getattr(desk, verb)("a fox", model=model, **arguments)
    assert caught.value.field == field
    assert desk.sent == []


@pytest.mark.parametrize("timeout", [0, -5, float("inf"), "60", None])
def test_a_client_s_timeout_is_checked_when_it_is_made(kit: Any, timeout: Any) -> None:
    with pytest.raises(InvalidRequestError, match="timeout must be"):
        kit.desk([], timeout=timeout)


@pytest.mark.parametrize("request_given", [None, 7, b"a fox", ["a fox"], {"prompt": "a fox"}])
@pytest.mark.parametrize("verb", ["generate", "submit"])
def test_what_is_no_request_is_a_typed_error(
    desk: Any, model: str, verb: str, request_given: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        getattr(desk, verb)(request_given, model=model)
    assert desk.sent == []


def test_a_blank_prompt_given_alone_is_refused_too(desk: Any, model: str) -> None:
    with pytest.raises(InvalidRequestError, match="prompt must be"):
        desk.generate(" ", model=model)
    assert desk.sent == []


@pytest.mark.parametrize("given", [None, "image-01", "", ":", "nobody:image-01", 7, ("minimax",)])
def test_a_model_that_names_no_backend_of_the_client_is_refused(desk: Any, given: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        desk.generate("a fox", model=given)
    assert 'model="provider:model"' in caught.value.advice
    assert desk.sent == []


@pytest.mark.parametrize("job", [None, "7", {"id": "7"}, 7])
def test_what_is_no_job_is_a_typed_error(desk: Any, job: Any) -> None:
    with pytest.raises(ImageGenError):
        desk.result(job)
    assert desk.sent == []


@pytest.mark.parametrize("generation", [None, "g", 7])
def test_what_is_no_generation_is_a_typed_error(desk: Any, generation: Any, tmp_path: Path) -> None:
    with pytest.raises(ImageGenError):
        desk.fetch(generation)
    with pytest.raises(ImageGenError):
        desk.save(generation, tmp_path)
    assert desk.sent == []


@pytest.mark.parametrize("backend", [None, "minimax", MiniMax, object()])
def test_what_is_no_backend_is_a_typed_error(kit: Any, backend: Any) -> None:
    with pytest.raises(ImageGenError):
        kit.desk([backend])


# Backends


@pytest.mark.parametrize("make", [MiniMax, WaveSpeed])
@pytest.mark.parametrize(
    "base_url",
    [
        "api.example.com",
        "http://api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://user@api.example.com",
        "https://user:pass@api.example.com",
        "https://api.example.com?x=1",
        "https://api.example.com#x",
        "https://api.example.com:0",
        "https://api.example.com:99999",
        "https://api.exa mple.com",
        "https://api.example.com\n.evil.net",
        "https://api.example.com\\@evil.net",
        "https://[::1",
        "http://127.0.0.1.evil.net",
        "http://127.999.0.1",
        "http://a.localhost",
        "http://10.0.0.1",
        "https://exämple.com",
        7,
    ],
)
def test_a_base_url_that_is_no_plain_https_origin_is_refused(make: Any, base_url: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(api_key="k", base_url=base_url)
    assert caught.value.field == "base_url"


@pytest.mark.parametrize("make", [MiniMax, WaveSpeed])
@pytest.mark.parametrize("key", [7, b"key", ["key"], "two words", "line\nbreak", "ключ", "a\x00b"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(make: Any, key: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(api_key=key)
    assert caught.value.field == "api_key"
    assert str(key) not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_poll", 0),
        ("first_poll", -1),
        ("first_poll", "2"),
        ("first_poll", float("nan")),
        ("poll_growth", 0.5),
        ("poll_growth", 11),
        ("slowest_poll", 0),
        ("slowest_poll", 1e9),
        ("poll_failures", -1),
        ("poll_failures", 1e9),
    ],
)
def test_a_poll_setting_out_of_bounds_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=field) as caught:
        WaveSpeed(**{field: value})
    assert caught.value.field == field


def test_a_size_is_a_size_however_it_is_written() -> None:
    """The positive of the table above: what is said to be allowed is."""
    for size in ("1280x720", "1280*720", " 1280 X 720 ", "1280×720", (1280, 720), Size(1280, 720)):
        assert ImageRequest("a fox", size=size).size == Size(1280, 720)
    assert ImageRequest("x" * 1500, seed=-(2**63), references=[JPEG, LINK]).n == 1
