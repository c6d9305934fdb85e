"""From a neutral request to the body of OpenAI's image API, or to its form."""

from __future__ import annotations

from typing import Any

import pytest

from imagegen import Client, backends
from imagegen.backends.base import Terms
from imagegen.backends.openai import HOST, MODELS, OpenAI
from imagegen.capabilities import FreeSizes, capabilities
from imagegen.errors import ConfigurationError, InvalidRequestError, UnsupportedFeatureError
from imagegen.flow import Call, Part
from imagegen.request import ImageRequest, ReferenceImage, Size
from imagegen.result import Notice
from imagegen.testing import play, reply

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x08\x08\x00\x00\x00\x00"
JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x08\x00\x10\x03"
URL = "https://pictures.example/scene.png"
FREE, FIXED, LOCAL = "gpt-image-2.6-flare", "gpt-image-1.5", "Qwen/Qwen-Image"
EVERY = (*MODELS, "gpt-image-1", "dall-e-2", "dall-e-3", LOCAL, "openai/gpt-image-2")
ADJUST, NEAREST = Terms(unsupported="adjust"), Terms(fit="nearest")
SUCCESS = {"created": 1, "data": [{"url": "https://pictures.example/1.png"}]}


def body(request: ImageRequest, model: str = FREE, terms: Terms | None = None) -> Any:
    translation = OpenAI().translate(request, model, terms or Terms())
    assert translation.model == model
    return translation.body


def notices(request: ImageRequest, model: str, terms: Terms | None = None) -> list[tuple[str, str]]:
    found = OpenAI().translate(request, model, terms or Terms()).notices
    return [(notice.kind, notice.field) for notice in found]


def call(request: ImageRequest, model: str = FREE, **options: Any) -> Call:
    backend = OpenAI(**{"api_key": "made-up", **options})
    return play(backend.submit(request, model, Terms()), reply(SUCCESS)).calls[0]


def source(picture: Any, role: Any = "source") -> ReferenceImage:
    return ReferenceImage(picture, role)


# The backend itself


def test_it_is_installed_by_its_name() -> None:
    assert backends.load("openai") is OpenAI
    assert OpenAI().models()[0] == OpenAI.default_model == FREE


@pytest.mark.parametrize("host", [None, HOST, f"{HOST}/v1", f"{HOST}/v1/"])
def test_the_usual_host_may_end_in_the_prefix(host: str | None) -> None:
    assert call(ImageRequest("x"), base_url=host).url == f"{HOST}/v1/images/generations"


def test_another_host_may_have_a_path_of_its_own() -> None:
    sent = call(ImageRequest("x"), base_url="https://gateway.example/api/v1")
    assert sent.url == "https://gateway.example/api/v1/images/generations"


def test_openai_needs_a_key_and_other_hosts_may_not() -> None:
    local = OpenAI(base_url="http://127.0.0.1:8080/v1")
    assert (OpenAI().has_key, OpenAI(api_key="made-up").has_key, local.has_key) == (0, 1, 1)
    with Client([OpenAI()]) as client, pytest.raises(ConfigurationError, match="no API key"):
        client.generate("a fox", model="openai:")


@pytest.mark.parametrize(
    ("host", "needs"),
    [
        (HOST.upper().replace("HTTPS", "https"), True),
        (f"{HOST}:443", True),
        (f"{HOST}//v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://openai.com.gateway.example", False),
        ("https://notopenai.com", False),
        ("https://[1.2.3.4]", False),
        ("https://gateway.example/api.openai.com", False),
    ],
)
def test_every_spelling_of_openai_s_own_hosts_needs_a_key(host: str, *, needs: bool) -> None:
    assert OpenAI(base_url=host).has_key is not needs
    assert OpenAI(base_url=host, api_key="made-up").has_key


def test_the_key_goes_along_only_where_there_is_one() -> None:
    local = "http://127.0.0.1:8080"
    assert call(ImageRequest("x")).account == "openai"
    assert call(ImageRequest("x"), base_url=local).account == "openai"
    assert call(ImageRequest("x"), base_url=local, api_key=None).account is None
    assert call(ImageRequest("x"), api_key=None).account == "openai"  # which the driver refuses


def test_a_submission_is_paid_and_its_answer_may_hold_pictures() -> None:
    sent = call(ImageRequest("x"))
    assert (sent.method, sent.paid, sent.pictures, sent.form) == ("POST", True, True, None)


# Plain fields


@pytest.mark.parametrize("model", EVERY)
def test_a_bare_prompt_sends_model_prompt_and_n_only(model: str) -> None:
    assert body(ImageRequest("x"), model) == {"model": model, "prompt": "x", "n": 1}


def test_gpt_image_models_send_bytes_and_it_is_told_where_urls_were_asked_for() -> None:
    assert notices(ImageRequest("x"), FREE) == [("adjusted", "output")]
    assert notices(ImageRequest("x", output="bytes"), FREE) == []
    assert "response_format" not in body(ImageRequest("x", output="bytes"))


@pytest.mark.parametrize("model", ["dall-e-2", "dall-e-3", LOCAL])
def test_others_are_asked_for_bytes_or_left_to_their_usual(model: str) -> None:
    assert body(ImageRequest("x", output="bytes"), model)["response_format"] == "b64_json"
    assert "output" not in [field for _, field in notices(ImageRequest("x"), model)]


def test_a_model_of_somebody_else_is_sent_with_a_warning() -> None:
    assert notices(ImageRequest("x"), LOCAL) == [("unverified", "model")]


@pytest.mark.parametrize(("model", "most"), [(FREE, 10), ("dall-e-3", 1), (LOCAL, 10)])
def test_so_many_pictures_are_asked_for_in_one_call(model: str, most: int) -> None:
    assert OpenAI().images_per_call(model, ImageRequest("x", n=20)) == most
    assert body(ImageRequest("x", n=most), model)["n"] == most
    with pytest.raises(UnsupportedFeatureError, match="n:"):
        body(ImageRequest("x", n=most + 1), model)


def test_a_seed_goes_to_other_peoples_models_only() -> None:
    assert body(ImageRequest("x", seed=7), LOCAL)["seed"] == 7
    with pytest.raises(UnsupportedFeatureError, match="seed"):
        body(ImageRequest("x", seed=7), FREE)
    assert ("ignored", "seed") in notices(ImageRequest("x", seed=7), FREE, ADJUST)
    assert "seed" not in body(ImageRequest("x", seed=7), FREE, ADJUST)


@pytest.mark.parametrize("model", EVERY)
def test_only_dall_e_3_rewrites_prompts_and_always_does(model: str) -> None:
    always = model == "dall-e-3"
    assert body(ImageRequest("x", enhance_prompt=always), model) == body(ImageRequest("x"), model)
    with pytest.raises(UnsupportedFeatureError, match="enhance_prompt"):
        body(ImageRequest("x", enhance_prompt=not always), model)


# Shapes


@pytest.mark.parametrize(
    ("model", "ratio", "size"),
    [
        (FREE, "1:1", "1024x1024"),
        (FREE, "16:9", "1280x720"),
        (FREE, "9:16", "720x1280"),
        (FREE, "3:1", "1776x592"),
        ("openai/gpt-image-2", "3:2", "1248x832"),
        (FIXED, "3:2", "1536x1024"),
        (FIXED, "2:3", "1024x1536"),
        ("chatgpt-image-latest", "1:1", "1024x1024"),
        ("dall-e-3", "7:4", "1792x1024"),
        ("dall-e-2", "1:1", "1024x1024"),
        (LOCAL, "16:9", "1280x720"),
        (LOCAL, "1:99", "96x9504"),
    ],
)
def test_a_ratio_is_a_size_of_exactly_that_ratio(model: str, ratio: str, size: str) -> None:
    assert body(ImageRequest("x", aspect_ratio=ratio), model)["size"] == size


@pytest.mark.parametrize(
    ("model", "ratio", "size"),
    [(FIXED, "16:9", "1536x1024"), ("dall-e-2", "3:2", "1024x1024"), (FREE, "1:99", "544x1632")],
)
def test_a_ratio_that_no_size_has_is_refused_or_the_nearest_taken(
    model: str, ratio: str, size: str
) -> None:
    request = ImageRequest("x", aspect_ratio=ratio)
    with pytest.raises(UnsupportedFeatureError, match=r"aspect_ratio: no size of .* is"):
        body(request, model)
    assert ("adjusted", "aspect_ratio") in notices(request, model, NEAREST)
    assert body(request, model, NEAREST)["size"] == size


@pytest.mark.parametrize(
    ("model", "size"),
    [(FREE, "1536x864"), (FREE, "3840x2160"), (FIXED, "1024x1536"), (LOCAL, "1x16384")],
)
def test_a_size_that_is_made_is_sent_as_it_is(model: str, size: str) -> None:
    assert body(ImageRequest("x", size=size), model)["size"] == size


@pytest.mark.parametrize(
    ("model", "size", "nearest", "words"),
    [
        (FREE, "1000x700", "1008x704", "divisible by 16"),
        (FREE, "512x512", "816x816", "655,360–8,294,400 pixels"),
        (FIXED, "1280x720", "1536x1024", "one of 1024x1024, 1536x1024, 1024x1536"),
        ("dall-e-3", "512x512", "1024x1024", "one of"),
    ],
)
def test_a_size_that_is_not_made_is_refused_or_the_nearest_taken(
    model: str, size: str, nearest: str, words: str
) -> None:
    request = ImageRequest("x", size=size)
    with pytest.raises(UnsupportedFeatureError, match=words) as caught:
        body(request, model)
    assert (caught.value.field, caught.value.charged) == ("size", "no")
    assert nearest in caught.value.advice
    assert body(request, model, NEAREST)["size"] == nearest
    assert ("adjusted", "size") in notices(request, model, NEAREST)


# Pictures to change


def test_one_picture_is_a_file_of_a_form() -> None:
    request = ImageRequest("x", n=2, size="1536x864", references=source(PNG))
    sent = call(request)
    assert sent.url == f"{HOST}/v1/images/edits"
    assert sent.json is None
    assert sent.form == (
        Part("model", FREE),
        Part("prompt", "x"),
        Part("n", "2"),
        Part("size", "1536x864"),
        Part("image", PNG, filename="image-1.png", media_type="image/png"),
    )
    assert sent.body == {
        "model": FREE,
        "prompt": "x",
        "n": "2",
        "size": "1536x864",
        "image": f"<image/png, {len(PNG)} bytes>",
    }
    assert "PNG" not in repr(sent)


def test_several_pictures_are_files_of_one_name() -> None:
    sent = call(ImageRequest("x", references=[source(PNG), source(JPEG)]))
    assert [(p.name, p.filename, p.media_type) for p in sent.form or () if p.filename] == [
        ("image[]", "image-1.png", "image/png"),
        ("image[]", "image-2.jpg", "image/jpeg"),
    ]


def test_where_there_is_a_url_the_pictures_go_as_json() -> None:
    sent = call(ImageRequest("x", references=[source(URL), source(PNG)]))
    assert (sent.url, sent.form) == (f"{HOST}/v1/images/edits", None)
    assert sent.json is not None
    first, second = sent.json["images"]
    assert first == {"image_url": URL}
    assert second["image_url"].startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize("name", ["mask", "markup"])
def test_a_mask_of_the_callers_goes_as_json_too(name: str) -> None:
    options = {"openai": {name: {"file_id": "file-1"}}}
    sent = call(ImageRequest("x", references=source(PNG), provider_options=options))
    assert sent.json is not None
    assert sent.json[name] == {"file_id": "file-1"}
    assert list(sent.json["images"][0]) == ["image_url"]


@pytest.mark.parametrize("model", ["dall-e-2", LOCAL])
def test_a_url_is_refused_where_only_files_are_taken(model: str) -> None:
    request = ImageRequest("x", references=source(URL))
    with pytest.raises(UnsupportedFeatureError, match="Give the bytes"):
        body(request, model)
    translation = OpenAI().translate(request, model, ADJUST)
    assert (translation.files, "images" in translation.body) == ((), False)
    assert ("ignored", "references") in [(n.kind, n.field) for n in translation.notices]


@pytest.mark.parametrize(("model", "most"), [(FREE, 16), ("dall-e-2", 1), ("dall-e-3", 0)])
def test_so_many_pictures_can_be_given(model: str, most: int) -> None:
    fine = ImageRequest("x", references=[source(PNG)] * most)
    assert len(OpenAI().translate(fine, model, Terms()).files) == most
    many = ImageRequest("x", references=[source(PNG)] * (most + 1))
    with pytest.raises(UnsupportedFeatureError, match="references"):
        body(many, model)
    assert len(OpenAI().translate(many, model, ADJUST).files) == most


def test_a_character_is_refused_or_sent_as_a_picture_to_change() -> None:
    request = ImageRequest("x", references=source(PNG, "character"))
    with pytest.raises(UnsupportedFeatureError, match="no characters"):
        body(request)
    translation = OpenAI().translate(request, FREE, ADJUST)
    assert [part.content for part in translation.files] == [PNG]
    assert ("adjusted", "references") in notices(request, FREE, ADJUST)


def test_a_reference_without_its_bytes_cannot_be_sent() -> None:
    whole = source(PNG)
    kept = ReferenceImage.remembered(None, whole.media_type, whole.sha256, "source")
    with pytest.raises(InvalidRequestError, match="make the ReferenceImage again"):
        body(ImageRequest("x", references=kept))


# The caller's own fields


def test_the_callers_own_fields_are_merged_last() -> None:
    own = {"quality": "high", "background": "transparent", "size": "auto", "user": "u-1"}
    request = ImageRequest("x", size="1536x864", provider_options={"openai": own})
    assert body(request) == {"model": FREE, "prompt": "x", "n": 1, **own}


@pytest.mark.parametrize(
    "name", ["model", "prompt", "n", "stream", "partial_images", "image", "image[]", "images"]
)
def test_what_prices_jobs_and_results_rest_on_is_reserved(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="prices, jobs and results") as caught:
        body(ImageRequest("x", provider_options={"openai": {name: 1}}))
    assert caught.value.field == "provider_options"


def test_drawings_that_are_no_pictures_are_refused_before_they_are_paid_for() -> None:
    with pytest.raises(UnsupportedFeatureError, match="pixels only"):
        body(ImageRequest("x", provider_options={"openai": {"output_format": "svg"}}))


# What can be asked for, as it is found out


def test_capabilities_are_found() -> None:
    flare, fixed, local = (capabilities(OpenAI(), model) for model in (FREE, FIXED, LOCAL))
    assert flare.free_sizes is None
    assert Size(2048, 1152) in flare.sizes
    assert fixed.sizes == (Size(1024, 1024), Size(1024, 1536), Size(1536, 1024))
    assert local.free_sizes == FreeSizes(shortest=1, longest=16384, step=1)
    assert (flare.most_images, flare.most_references, local.seed) == (10, 16, True)
    assert (flare.inline, fixed.inline, local.inline) == (True, True, True)
    assert (flare.source, flare.character, flare.seed, flare.enhance_prompt) == (1, 0, 0, 0)
    assert (flare.known, local.known) == (True, False)


def test_no_price_is_known_but_the_callers_own() -> None:
    assert {OpenAI().price(model, ImageRequest("x")) for model in EVERY} == {None}


def test_a_notice_is_told_in_the_job_and_in_its_generation() -> None:
    request = ImageRequest("x")
    job = play(OpenAI(api_key="k").submit(request, FREE, Terms()), reply(SUCCESS)).value
    assert job.settled is not None
    words = "gpt-image-2.6-flare sends the bytes, never URLs"
    assert job.notices == job.settled.notices == (Notice("adjusted", "output", words),)
