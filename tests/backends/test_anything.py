"""Whatever a provider answers and whatever a caller asks for, the outcome is a value or typed."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

from attrs import evolve
from hypothesis import given, strategies as st

from answers import FIXTURES, ID, MANY, any_reply, outcome
from imagegen.backends.base import Backend, Terms
from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.errors import ImageGenError
from imagegen.flow import Call, Reply
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Generation, Job

JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x02\x00\x04\x00\x03"
ENDED = ("failed", "timeout", "cancelled", "deleted")
PIXELS = {
    "1:1": "1024x1024",
    "16:9": "1280x720",
    "4:3": "1152x864",
    "3:2": "1248x832",
    "2:3": "832x1248",
    "3:4": "864x1152",
    "9:16": "720x1280",
    "21:9": "1344x576",
}

REAL: dict[str, list[Any]] = {
    provider: [
        json.loads(f.read_bytes()) for f in sorted(FIXTURES.glob(f"{provider}/*/[0-9]*.json"))
    ]
    for provider in ("minimax", "wavespeed")
}


def decoded(answer: Reply) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def has_base_resp(answer: Reply) -> bool:
    whole = decoded(answer)
    base_resp = whole.get("base_resp") if isinstance(whole, dict) else None
    return isinstance(base_resp, dict) and re.fullmatch(
        "-?[0-9]+", str(base_resp.get("status_code"))
    ) is not None  # fmt: skip


@MANY
@given(data=st.data(), n=st.integers(1, 9))
def test_minimax_answers_anything_and_the_outcome_is_typed(data: st.DataObject, n: int) -> None:
    answer = any_reply(data, REAL["minimax"])
    request = ImageRequest("x", n=n, seed=data.draw(st.none() | st.integers(-5, 5)))
    result = outcome(MiniMax().submit(request, "image-01", Terms()), answer)
    if isinstance(result, ImageGenError):
        if 200 <= answer.status < 300 and not has_base_resp(answer):
            assert result.charged != "no"
        return
    assert isinstance(result, Job)
    assert result.settled is not None
    assert len(result.settled.images) + len(result.settled.failures) >= n
    assert result.settled.images
    assert Job.from_json(result.to_json()) == result


def paid_id(answer: Reply) -> str | None:
    """The id of a prediction that no reader could take for anything else."""
    whole = decoded(answer)
    data = whole.get("data") if isinstance(whole, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("status"), str):
        return None
    if type(whole.get("code")) is not int or len(str(answer.body)) > 2000:
        return None
    found = data.get("id")
    return found if isinstance(found, str) and re.fullmatch("[a-z0-9]{32}", found) else None


@MANY
@given(data=st.data(), n=st.integers(1, 9))
def test_wavespeed_answers_a_submission_with_anything_and_no_id_is_lost(
    data: st.DataObject, n: int
) -> None:
    answer = any_reply(data, REAL["wavespeed"])
    request = ImageRequest("x", n=n)
    result = outcome(WaveSpeed().submit(request, "minimax/image-01", Terms()), answer)
    found = paid_id(answer)
    if isinstance(result, ImageGenError):
        assert found is None or (result.job is not None and result.job.id == found)
        return
    assert isinstance(result, Job)
    assert found in (None, result.id)
    assert Job.from_json(result.to_json()) == result


@MANY
@given(data=st.data(), n=st.integers(1, 9), tolerated=st.integers(0, 1))
def test_wavespeed_answers_a_poll_with_anything_and_the_job_stays_known(
    data: st.DataObject, n: int, tolerated: int
) -> None:
    answer = any_reply(data, REAL["wavespeed"])
    job = Job(
        provider="wavespeed", model="a/b", id=ID, request=ImageRequest("x", n=n)
    )  # fmt: skip
    result = outcome(WaveSpeed(poll_failures=tolerated).settle(job), answer)
    if isinstance(result, Call):
        assert (result.method, result.paid) == ("GET", False)
        assert result.url.endswith(f"/predictions/{ID}/result")
    elif isinstance(result, ImageGenError):
        assert result.job == job
        whole = decoded(answer)
        told = whole.get("data") if isinstance(whole, dict) else None
        ended = isinstance(told, dict) and told.get("status") in ENDED
        assert ended or result.charged != "no"
    else:
        assert isinstance(result, Generation)
        assert result.images
        assert len(result.images) + len(result.failures) >= n
        assert Generation.from_json(result.to_json()).cost == result.cost


SIZES = st.tuples(st.integers(1, 16384), st.integers(1, 16384)) | st.sampled_from(
    [(1024, 1024), (1280, 720), (512, 2048), (1344, 576), (1080, 1920)]
)
RATIOS = st.sampled_from([*PIXELS, "5:4", "1:99"]) | st.builds(
    "{}:{}".format, st.integers(1, 99), st.integers(1, 99)
)
REFERENCES = st.lists(
    st.builds(
        ReferenceImage,
        st.sampled_from(["https://pictures.example/a.png", "http://b.example/?q=1", JPEG]),
        st.sampled_from(["character", "source"]),
    ),
    max_size=3,
)
TERMS = st.builds(
    Terms, st.sampled_from(["strict", "nearest"]), st.sampled_from(["error", "adjust"])
)
MODELS: st.SearchStrategy[tuple[Backend, str]] = st.sampled_from(
    [(MiniMax(), "image-01"), (MiniMax(), "image-01-live"), (MiniMax(), "image-02")]
    + [
        (WaveSpeed(), model)
        for model in (
            "minimax/image-01",
            "minimax/image-01/text-to-image",
            "minimax/image-01/image-to-image",
            "wavespeed-ai/flux-dev",
            "google/nano-banana/edit",
            "google/nano-banana-pro/text-to-image-multi",
            "bytedance/seedream-v4",
            "openai/gpt-image-1.5/text-to-image",
            "kwaivgi/kling-image-o1",
            "wavespeed-ai/real-esrgan",
            "acme/brand-new",
            "nonsense",
        )
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> ImageRequest:
    shape = draw(st.sampled_from(["none", "size", "ratio"]))
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
    return ImageRequest(
        draw(text.filter(str.strip) | st.just("x" * 1500)),
        n=draw(st.integers(1, 9)),
        size=draw(SIZES) if shape == "size" else None,
        aspect_ratio=draw(RATIOS) if shape == "ratio" else None,
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 10)),
        references=draw(REFERENCES),
        enhance_prompt=draw(st.none() | st.booleans()),
        output=draw(st.sampled_from(["url", "bytes"])),
    )


@MANY
@given(request=requests(), target=MODELS)
def test_what_translates_strictly_without_a_notice_is_what_was_asked_for(
    request: ImageRequest, target: tuple[Backend, str]
) -> None:
    backend, model = target
    try:
        request = evolve(request, n=min(request.n, backend.images_per_call(model, request)))
        translation = backend.translate(request, model, Terms())
    except ImageGenError:
        return
    if translation.notices:
        return
    body = translation.body
    assert body.get("prompt") == request.prompt
    assert body.get("n", body.get("num_images", 1)) == request.n
    assert body.get("seed") == request.seed
    size = f"{body['width']}x{body['height']}" if "width" in body else body.get("size")
    made = size.replace("*", "x") if size else PIXELS.get(body.get("aspect_ratio", ""))
    if request.size is not None:
        assert made == str(request.size)
    elif request.aspect_ratio is not None:
        wanted = Fraction(*map(int, request.aspect_ratio.split(":")))
        assert made is not None or request.aspect_ratio == body["aspect_ratio"]
        assert made is None or wanted == Fraction(*map(int, made.split("x")))
    else:
        assert not body.keys() & {"size", "width", "height", "aspect_ratio"}
    sent = json.dumps([body.get(name) for name in ("image", "images", "subject_reference")])
    assert all(reference.wire in sent for reference in request.references)


@MANY
@given(
    request=requests(),
    seed=st.none() | st.integers(0, 2**63 - 10),
    terms=TERMS,
    reference=st.booleans(),
)
def test_one_request_is_one_picture_size_at_both_providers(
    request: ImageRequest, seed: int | None, terms: Terms, *, reference: bool
) -> None:
    portrait = [ReferenceImage("https://pictures.example/a.png")] if reference else []
    same = ImageRequest(
        request.prompt,
        n=request.n,
        size=request.size,
        aspect_ratio=request.aspect_ratio,
        seed=seed,
        references=portrait,
    )
    pairs = ((MiniMax(), "image-01"), (WaveSpeed(), "minimax/image-01"))
    results: list[tuple[Any, ...]] = []
    for backend, model in pairs:
        try:
            body = backend.translate(same, model, terms).body
        except ImageGenError as error:
            results.append((type(error), error.field))
            continue
        size = f"{body['width']}x{body['height']}" if "width" in body else body.get("size", "")
        pixels = PIXELS.get(body.get("aspect_ratio", "")) or size.replace("*", "x")
        results.append((pixels, body.get("n") or body.get("num_images"), body.get("seed")))
    assert results[0] == results[1]
