"""Every exchange of `fixtures/` comes of a neutral request, body for body, and ends as it says."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from imagegen.backends.base import Backend, Terms
from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    ContentPolicyError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    RateLimitError,
    SubmissionUnknownError,
)
from imagegen.flow import Flow, Reply
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Generation
from imagegen.testing import Played, play

Exchange = Callable[[str], tuple[dict[str, Any], tuple[Reply, ...]]]

FOX = ImageRequest("A red fox in the snow")
PORTRAIT = ReferenceImage("https://pictures.example/portrait.png", "character")
LIBRARY = ImageRequest(
    "A girl looking into the distance from a library window",
    n=2,
    aspect_ratio="16:9",
    references=ReferenceImage(
        "https://cdn.hailuoai.com/prod/2025-08-12-17/video_cover/"
        "1754990600020238321-411603868533342214-cover.jpg"
    ),
)
SUNSET = ImageRequest(
    "A cinematic shot of a city at sunset, soft golden light",
    size="1024*1024",
    enhance_prompt=False,
    references=ReferenceImage("https://example.com/your-input.jpg", "source"),
)
EVERYTHING: dict[str, Any] = {"n": 9, "size": "1280x720", "enhance_prompt": True, "output": "bytes"}

M, W = MiniMax(), WaveSpeed()
WAITING = WaveSpeed(sync_mode=True)
FAMILY = "minimax/image-01"

GOOD: list[tuple[str, Backend, str, ImageRequest]] = [
    ("minimax/reference-example", M, "image-01", LIBRARY),
    (
        "minimax/every-parameter",
        M,
        "image-01",
        ImageRequest(
            FOX.prompt,
            seed=9007199254740993,
            references=PORTRAIT,
            provider_options={"minimax": {"aigc_watermark": False}},
            **EVERYTHING,
        ),
    ),
    ("minimax/captured-success", M, "image-01", FOX),
    ("minimax/one-blocked", M, "image-01", ImageRequest(FOX.prompt, n=2)),
    ("wavespeed/quick-start", W, "minimax/image-01", SUNSET),
    (
        "wavespeed/every-parameter",
        WAITING,
        "minimax/image-01",
        ImageRequest(
            FOX.prompt,
            seed=7,
            references=[ReferenceImage("https://pictures.example/scene.png", "source"), PORTRAIT],
            **EVERYTHING,
        ),
    ),
    ("wavespeed/completed", W, "wavespeed-ai/flux-dev", FOX),
    ("wavespeed/sync-timeout", WAITING, "minimax/image-01", FOX),
]

Bad = tuple[str, Backend, str, ImageRequest, type[ImageGenError], str]

BAD: list[Bad] = [
    ("minimax/all-blocked", M, "image-01", FOX, ContentPolicyError, "unknown"),
    ("minimax/unsupported-model", M, "image-01-live", FOX, InvalidRequestError, "no"),
    ("minimax/prompt-too-long", M, "image-01", ImageRequest("a" * 1500), InvalidRequestError, "no"),
    ("minimax/key-not-understood", M, "image-01", FOX, AuthenticationError, "no"),
    ("minimax/key-of-another-region", M, "image-01", FOX, AuthenticationError, "no"),
    ("minimax/no-balance", M, "image-01", FOX, InsufficientBalanceError, "no"),
    ("minimax/plan-without-the-model", M, "image-01", FOX, AuthenticationError, "no"),
    ("minimax/prompt-refused", M, "image-01", FOX, ContentPolicyError, "no"),
    ("minimax/rate-limited", M, "image-01", FOX, RateLimitError, "no"),
    (
        "minimax/reference-not-fetched",
        M,
        "image-01",
        ImageRequest(FOX.prompt, references=PORTRAIT),
        InvalidRequestError,
        "no",
    ),
    ("minimax/gateway-page", M, "image-01", FOX, SubmissionUnknownError, "unknown"),
    ("wavespeed/no-credits", W, FAMILY, FOX, InsufficientBalanceError, "no"),
    ("wavespeed/concurrency-limit", W, FAMILY, FOX, RateLimitError, "no"),
    ("wavespeed/invalid-key", W, FAMILY, FOX, AuthenticationError, "no"),
    ("wavespeed/refused-under-200", W, FAMILY, FOX, InvalidRequestError, "no"),
    (
        "wavespeed/error-object",
        W,
        FAMILY,
        ImageRequest(FOX.prompt, output="bytes"),
        InvalidRequestError,
        "no",
    ),
    ("wavespeed/gateway-page", W, FAMILY, FOX, SubmissionUnknownError, "unknown"),
    ("wavespeed/moderated", W, FAMILY, FOX, ContentPolicyError, "no"),
    (
        "wavespeed/reference-not-fetched",
        W,
        FAMILY,
        ImageRequest(
            FOX.prompt, references=ReferenceImage("https://pictures.example/gone.png", "source")
        ),
        InvalidRequestError,
        "no",
    ),
]


def generating(backend: Backend, model: str, request: ImageRequest) -> Flow[Generation]:
    job = yield from backend.submit(request, model, Terms())
    return job.settled or (yield from backend.settle(job))


def played(
    exchange: Exchange, case: str, backend: Backend, model: str, request: ImageRequest
) -> Played[Generation]:
    body, replies = exchange(case)
    result = play(generating(backend, model, request), *replies)
    assert result.calls[0].json == body
    return result


@pytest.mark.parametrize(("case", "backend", "model", "request_"), GOOD, ids=[g[0] for g in GOOD])
def test_the_body_is_the_fixture_s_and_is_sent_once(
    exchange: Exchange, case: str, backend: Backend, model: str, request_: ImageRequest
) -> None:
    result = played(exchange, case, backend, model, request_)
    assert [call.method for call in result.calls] == ["POST"] + ["GET"] * (len(result.calls) - 1)
    assert [call.paid for call in result.calls] == [True] + [False] * (len(result.calls) - 1)
    assert result.value.images
    assert result.value.request == request_


@pytest.mark.parametrize("bad", BAD, ids=[b[0] for b in BAD])
def test_a_failing_exchange_says_whose_fault_and_whether_it_was_charged(
    exchange: Exchange, bad: Bad
) -> None:
    case, backend, model, request, kind, charged = bad
    body, _ = exchange(case)
    assert backend.translate(request, model, Terms()).body == body
    with pytest.raises(ImageGenError) as caught:
        played(exchange, case, backend, model, request)
    assert type(caught.value) is kind
    assert caught.value.charged == charged
    assert caught.value.provider == backend.name


def test_the_reference_s_example_brings_three_pictures_at_their_list_price(
    exchange: Exchange,
) -> None:
    generation = played(exchange, *GOOD[0]).value
    assert [i.url for i in generation.images] == [
        f"https://pictures.example/{k}.jpeg" for k in (1, 2, 3)
    ]
    assert generation.cost.amount == Decimal("0.0105")
    assert generation.failures == ()
    assert generation.images[0].request_id == "03ff3cd0820949eb8a410056b5f21d38"


def test_the_quick_start_polls_the_prediction_until_it_is_completed(exchange: Exchange) -> None:
    result = played(exchange, *GOOD[4])
    prefix = "https://api.wavespeed.ai/api/v3/"
    poll = f"{prefix}predictions/6488c2754f6f4dfea924382fa14d11bd/result"
    assert [c.url for c in result.calls] == [f"{prefix}minimax/image-01/image-to-image", poll, poll]
    [image] = result.value.images
    assert image.url == "https://d11ewybssaphwx.cloudfront.net/output/1.jpg"
    assert image.nsfw is False
    assert result.value.cost.amount == Decimal("0.0035")
    assert result.value.cost.currency == "USD"
    assert result.value.attempts[0].execution_seconds == 33.0


def test_nine_inline_pictures_come_measured_by_their_own_bytes(exchange: Exchange) -> None:
    for case in (GOOD[1], GOOD[5]):
        generation = played(exchange, *case).value
        assert len(generation.images) == 9
        assert {(i.media_type, i.width, i.height) for i in generation.images} == {
            ("image/jpeg", 16, 8)
        }
        assert {i.url for i in generation.images} == {None}
        assert generation.cost.amount == Decimal("0.0315")


def test_an_undeclared_subject_reference_is_sent_with_a_warning(exchange: Exchange) -> None:
    [notice] = played(exchange, *GOOD[5]).value.notices
    assert (notice.kind, notice.field) == ("unverified", "references")


def test_one_blocked_picture_leaves_the_other_paid_and_delivered(exchange: Exchange) -> None:
    generation = played(exchange, *GOOD[3]).value
    [failure] = generation.failures
    assert len(generation.images) == 1
    assert (failure.error, failure.index, failure.charged) == (
        "ContentPolicyError",
        None,
        "unknown",
    )
    assert generation.cost.amount == Decimal("0.0035")
    assert generation.attempts[0].charged == "yes"


def test_the_captured_submission_becomes_a_job(exchange: Exchange) -> None:
    body, replies = exchange("wavespeed/created")
    result = play(W.submit(FOX, "alibaba/wan-2.5/text-to-image", Terms()), *replies)
    assert result.calls[0].json == body
    job = result.value
    assert (job.id, job.model) == (
        "6488c2754f6f4dfea924382fa14d11bd",
        "alibaba/wan-2.5/text-to-image",
    )
    assert job.settled is None
    assert str(job.created_at) == "2025-09-29 23:09:43.027000+00:00"


def test_nine_fractional_digits_and_milliseconds_are_read(exchange: Exchange) -> None:
    [attempt] = played(exchange, *GOOD[6]).value.attempts
    assert str(attempt.created_at) == "2025-05-19 06:09:15.948268+00:00"
    assert attempt.execution_seconds == 25.729


def test_failed_predictions_keep_their_job_and_code(exchange: Exchange) -> None:
    for case, code in (("moderated", 1200), ("reference-not-fetched", 1402)):
        bad = next(b for b in BAD if b[0] == f"wavespeed/{case}")
        with pytest.raises(ImageGenError) as caught:
            played(exchange, *bad[:4])
        assert caught.value.code == code
        assert caught.value.job is not None
        assert caught.value.job.id == "6488c2754f6f4dfea924382fa14d11bd"


def test_the_provider_s_words_are_told(exchange: Exchange) -> None:
    for case, words in (
        ("minimax/no-balance", "insufficient balance"),
        ("minimax/prompt-too-long", "prompt length must be less than 1500"),
        ("wavespeed/concurrency-limit", "You have reached your concurrency limit"),
        ("wavespeed/error-object", "webhook callback does not support base64 output"),
        ("wavespeed/gateway-page", "504 Gateway Time-out"),
        ("wavespeed/moderated", "Content flagged as potentially sensitive"),
    ):
        bad = next(b for b in BAD if b[0] == case)
        with pytest.raises(ImageGenError, match=words):
            played(exchange, *bad[:4])


def test_backend_errors_with_a_wait_to_respect_say_none_where_none_was_asked(
    exchange: Exchange,
) -> None:
    bad = next(b for b in BAD if b[0] == "wavespeed/concurrency-limit")
    with pytest.raises(BackendError) as caught:
        played(exchange, *bad[:4])
    assert caught.value.retry_after is None
