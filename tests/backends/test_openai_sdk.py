"""OpenAI's own SDK is the reference: what it sends and what we send are equal.

Two things differ on purpose. `n` is always sent, so the SDK is asked to send it too. And a picture
that is named by a URL goes as JSON, which the SDK has no words for; that is in `fixtures/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import openai
import pytest

from imagegen import ImageRequest, ReferenceImage
from imagegen.backends.openai import OpenAI
from openai_recorder import FLARE, KEY, PNG, Recorder, Sent

LOCAL = "Qwen/Qwen-Image"
JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x08\x00\x10\x03"


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    server = Recorder(key=KEY)
    yield server
    server.close()


@pytest.fixture(scope="module")
def sdk(recorder: Recorder) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=KEY, base_url=f"{recorder.origin}/v1", max_retries=0) as sdk:
        yield sdk


def source(picture: bytes) -> ReferenceImage:
    return ReferenceImage(picture, role="source")


Case = tuple[dict[str, Any], str, ImageRequest]

GENERATIONS: list[Case] = [
    ({"prompt": "a fox", "n": 1}, FLARE, ImageRequest("a fox")),
    (
        {"prompt": "ein Füchslein 🦊", "n": 2, "size": "1280x720"},
        FLARE,
        ImageRequest("ein Füchslein 🦊", n=2, aspect_ratio="16:9"),
    ),
    (
        {"prompt": "x", "n": 1, "response_format": "b64_json", "size": "1024x1024"},
        "dall-e-3",
        ImageRequest("x", size="1024x1024", output="bytes"),
    ),
    (
        {"prompt": "x", "n": 3, "quality": "max", "background": "opaque", "output_compression": 80},
        "gpt-image-2.5-sunburst",
        ImageRequest(
            "x",
            n=3,
            provider_options={
                "openai": {"quality": "max", "background": "opaque", "output_compression": 80}
            },
        ),
    ),
    (
        {"prompt": "x", "n": 1, "extra_body": {"seed": 7, "negative_prompt": "blur"}},
        LOCAL,
        ImageRequest("x", seed=7, provider_options={"openai": {"negative_prompt": "blur"}}),
    ),
]

EDITS: list[Case] = [
    (
        {"prompt": "a fox 🦊", "n": 1, "image": ("fox.png", PNG, "image/png")},
        FLARE,
        ImageRequest("a fox 🦊", references=source(PNG)),
    ),
    (
        {
            "prompt": "a\r\nfox",
            "n": 2,
            "size": "1024x1024",
            "quality": "low",
            "image": [("1.png", PNG, "image/png"), ("2.jpg", JPEG, "image/jpeg")],
        },
        "gpt-image-1.5",
        ImageRequest(
            "a\r\nfox",
            n=2,
            size="1024x1024",
            references=[source(PNG), source(JPEG)],
            provider_options={"openai": {"quality": "low"}},
        ),
    ),
    (
        {
            "prompt": "x",
            "n": 1,
            "image": ("1.png", PNG, "image/png"),
            "extra_body": {"seed": 7, "true_cfg_scale": 4.5, "flag": True, "tags": ["a", "b"]},
        },
        LOCAL,
        ImageRequest(
            "x",
            seed=7,
            references=source(PNG),
            provider_options={
                "openai": {"true_cfg_scale": 4.5, "flag": True, "tags": ["a", "b"], "none": None}
            },
        ),
    ),
]


def ours(kit: Any, recorder: Recorder, model: str, request: ImageRequest) -> Sent:
    desk = kit.desk([OpenAI(api_key=KEY, base_url=f"{recorder.origin}/v1")])
    generation = desk.generate(request, model=f"openai:{model}")
    assert len(generation.images) == request.n
    return recorder.sent[-1]


@pytest.mark.parametrize("case", GENERATIONS)
def test_a_generation_is_sent_as_the_sdk_sends_it(
    kit: Any, recorder: Recorder, sdk: openai.OpenAI, case: Case
) -> None:
    arguments, model, request = case
    sdk.images.generate(model=model, **arguments)
    theirs, mine = recorder.sent[-1], ours(kit, recorder, model, request)
    assert (mine.method, mine.path) == (theirs.method, theirs.path)
    assert mine.headers["authorization"] == theirs.headers["authorization"]
    assert mine.json == theirs.json


@pytest.mark.parametrize("case", EDITS)
def test_an_edit_is_sent_as_the_sdk_sends_it(
    kit: Any, recorder: Recorder, sdk: openai.OpenAI, case: Case
) -> None:
    arguments, model, request = case
    sdk.images.edit(model=model, **arguments)
    theirs, mine = recorder.sent[-1], ours(kit, recorder, model, request)
    assert (mine.method, mine.path) == (theirs.method, theirs.path)
    assert mine.parts == theirs.parts
    assert mine.headers["content-length"] == str(len(mine.body))


def test_every_model_that_we_name_is_one_that_the_sdk_knows() -> None:
    assert set(OpenAI().models()) <= set(get_args(openai.types.ImageModel))
