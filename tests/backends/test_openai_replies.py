"""What OpenAI's image API answers, and what becomes of it: pictures, refusals, money."""

from __future__ import annotations

import json
from base64 import b64decode, encodebytes
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from answers import FIXTURES, MANY, any_reply, outcome
from imagegen.backends.base import Terms
from imagegen.backends.openai import OpenAI
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ContentPolicyError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.flow import Reply
from imagegen.pricing import Price
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Generation, Job
from imagegen.testing import EPOCH, play, reply

Exchange = Callable[[str], tuple[dict[str, Any], tuple[Reply, ...]]]

FLARE, LOCAL = "gpt-image-2.6-flare", "Qwen/Qwen-Image"
FOX = ImageRequest("A red fox in the snow", output="bytes")
OPTIONS = {
    "quality": "high",
    "background": "opaque",
    "moderation": "low",
    "output_format": "jpeg",
    "output_compression": 90,
}
PAINTED = "Add a watercolor effect to this image"
PRICE = Price(
    amount=Decimal("0.04"),
    currency="USD",
    per="image",
    as_of=EPOCH.date(),
    source="our invoice",
)
HIGH = {"openai": {"quality": "high"}}
DRAGON = "a dragon laying over the spine of the Green Mountains of Vermont"


def picture(exchange: Exchange) -> bytes:
    content = json.loads(exchange("openai/reference-example")[1][0].body)["data"][0]["b64_json"]
    return b64decode(content)


def asked(backend: OpenAI, request: ImageRequest, model: str, *replies: Any) -> Generation:
    job = play(backend.submit(request, model, Terms()), *replies).value
    assert job.settled is not None
    assert job.settled.request == request
    return job.settled


def read(answer: Any, request: ImageRequest = FOX, model: str = FLARE, **how: Any) -> Generation:
    return asked(OpenAI(api_key="made-up"), request, model, reply(answer, **how))


def refused(answer: Any, request: ImageRequest = FOX, model: str = FLARE, **how: Any) -> Any:
    with pytest.raises(ImageGenError) as caught:
        read(answer, request, model, **how)
    assert (caught.value.provider, caught.value.model) == ("openai", model)
    return caught.value


# The exchanges of fixtures/


GOOD: list[tuple[str, str, ImageRequest]] = [
    (
        "openai/reference-example",
        "gpt-image-1.5",
        ImageRequest("A cute baby sea otter", size="1024x1024"),
    ),
    (
        "openai/every-parameter",
        "gpt-image-2.6-sunburst",
        ImageRequest(
            "A red fox in the snow",
            n=2,
            size="1536x864",
            output="bytes",
            provider_options={"openai": OPTIONS},
        ),
    ),
    (
        "openai/edit-of-a-url",
        "gpt-image-1.5",
        ImageRequest(
            PAINTED,
            size="1024x1024",
            references=ReferenceImage("https://example.com/source-image.png", "source"),
            provider_options=HIGH,
        ),
    ),
    (
        "openai/urls",
        "dall-e-3",
        ImageRequest(
            "A red fox in the snow",
            aspect_ratio="7:4",
            provider_options={"openai": {"style": "natural"}},
        ),
    ),
    (
        "openai/local-server",
        LOCAL,
        ImageRequest(DRAGON, size="1024x1024", seed=42, output="bytes"),
    ),
    ("openai/fewer-than-asked", FLARE, ImageRequest("A red fox in the snow", n=3)),
]

BAD: list[tuple[str, str, ImageRequest, type[ImageGenError], str]] = [
    ("openai/key-not-accepted", FLARE, FOX, AuthenticationError, "no"),
    ("openai/no-credits", FLARE, FOX, InsufficientBalanceError, "no"),
    ("openai/rate-limited", FLARE, FOX, RateLimitError, "no"),
    ("openai/prompt-blocked", FLARE, FOX, ContentPolicyError, "no"),
    ("openai/picture-blocked", FLARE, FOX, ContentPolicyError, "unknown"),
    (
        "openai/unknown-parameter",
        FLARE,
        ImageRequest(FOX.prompt, provider_options={"openai": {"response_format": "url"}}),
        InvalidRequestError,
        "no",
    ),
    ("openai/model-shut-down", "gpt-image-1", FOX, ConfigurationError, "no"),
    ("openai/server-error", FLARE, FOX, SubmissionUnknownError, "unknown"),
    ("openai/gateway-page", FLARE, FOX, SubmissionUnknownError, "unknown"),
    (
        "openai/local-refusal",
        LOCAL,
        ImageRequest("a dragon", size="1000x1000"),
        InvalidRequestError,
        "no",
    ),
    ("openai/error-under-200", FLARE, FOX, SubmissionUnknownError, "unknown"),
]


@pytest.mark.parametrize(("case", "model", "request_"), GOOD, ids=[g[0] for g in GOOD])
def test_the_body_is_the_fixture_s_and_pictures_come(
    exchange: Exchange, case: str, model: str, request_: ImageRequest
) -> None:
    body, replies = exchange(case)
    played = play(OpenAI(api_key="made-up").submit(request_, model, Terms()), *replies)
    assert played.calls[0].json == body
    generation = played.value.settled
    assert generation is not None
    assert generation.images
    assert len(generation.images) + len(generation.failures) == request_.n
    assert Job.from_json(played.value.to_json()) == played.value


def test_a_form_is_the_fixture_s_too(exchange: Exchange) -> None:
    body, replies = exchange("openai/edit-of-a-file")
    request = ImageRequest(
        PAINTED,
        size="1024x1024",
        references=ReferenceImage(picture(exchange), "source"),
        provider_options=HIGH,
    )
    played = play(OpenAI().submit(request, "gpt-image-1.5", Terms()), *replies)
    assert played.calls[0].body == body


@pytest.mark.parametrize("bad", BAD, ids=[b[0] for b in BAD])
def test_a_failing_exchange_says_whose_fault_and_whether_it_was_charged(
    exchange: Exchange, bad: tuple[str, str, ImageRequest, type[ImageGenError], str]
) -> None:
    case, model, request, kind, charged = bad
    body, replies = exchange(case)
    assert OpenAI().translate(request, model, Terms()).body == body
    with pytest.raises(ImageGenError) as caught:
        asked(OpenAI(api_key="made-up"), request, model, *replies)
    assert type(caught.value) is kind
    assert (caught.value.charged, caught.value.provider) == (charged, "openai")


# Pictures


def test_a_picture_is_measured_by_its_own_bytes_and_its_cost_is_unknown(exchange: Exchange) -> None:
    generation = asked(OpenAI(), FOX, FLARE, *exchange("openai/reference-example")[1])
    [image] = generation.images
    assert (image.data, image.url) == (picture(exchange), None)
    assert (image.media_type, image.width, image.height) == ("image/png", 16, 8)
    assert (generation.cost.amount, generation.cost.basis) == (None, "unknown")
    assert generation.attempts[0].charged == "yes"
    assert generation.raw[0]["usage"]["total_tokens"] == 100


def test_the_callers_own_price_counts_for_what_may_be_billed(exchange: Exchange) -> None:
    backend = OpenAI(api_key="made-up", prices={FLARE: PRICE})
    request = ImageRequest(FOX.prompt, n=3)
    generation = asked(backend, request, FLARE, *exchange("openai/fewer-than-asked")[1])
    assert generation.cost.amount == Decimal("0.12")


def test_what_is_missing_is_told_beside_what_came(exchange: Exchange) -> None:
    request = ImageRequest(FOX.prompt, n=3)
    generation = asked(OpenAI(), request, FLARE, *exchange("openai/fewer-than-asked")[1])
    assert len(generation.images) == 1
    assert [(f.error, f.index, f.charged) for f in generation.failures] == [
        ("MalformedReplyError", None, "unknown"),
        ("MalformedReplyError", None, "unknown"),
    ]


def test_an_empty_place_among_all_has_its_index(exchange: Exchange) -> None:
    _, (answer,) = exchange("openai/fewer-than-asked")
    generation = asked(OpenAI(), ImageRequest("x", n=2), FLARE, answer)
    assert [failure.index for failure in generation.failures] == [1]


def test_every_empty_place_among_all_has_its_index() -> None:
    items = [{}, {"url": "https://pictures.example/1.png"}, None]
    failures = read({"data": items}, ImageRequest("x", n=3)).failures
    assert [failure.index for failure in failures] == [0, 2]


@pytest.mark.parametrize("junk", [[{}], [None] * 1000])
def test_junk_beside_all_that_was_asked_for_is_neither_missing_nor_billed(junk: list[Any]) -> None:
    items = [*junk, {"url": "https://pictures.example/1.png"}, *junk]
    backend = OpenAI(api_key="made-up", prices={FLARE: PRICE})
    generation = asked(backend, FOX, FLARE, reply({"data": items}))
    assert (len(generation.images), generation.failures) == (1, ())
    assert generation.cost.amount == PRICE.amount


@pytest.mark.parametrize("content", ["", "?", "aGVsbG8=", 7, None])
def test_a_url_counts_beside_bytes_that_are_no_picture(content: Any) -> None:
    url = "HTTPS://pictures.example/1.png"
    [image] = read({"data": [{"b64_json": content, "url": url}]}).images
    assert (image.url, image.data) == (url, None)


def test_base64_may_be_in_lines(exchange: Exchange) -> None:
    content = encodebytes(picture(exchange) * 9).decode()
    [image] = read({"data": [{"b64_json": content}]}).images
    assert image.data == picture(exchange) * 9


@pytest.mark.parametrize(
    ("model", "host", "lifetime"),
    [
        ("dall-e-3", None, timedelta(hours=1)),
        ("dall-e-3", "http://127.0.0.1:8080", None),
        (LOCAL, None, None),
    ],
)
def test_a_url_lives_an_hour_where_that_is_documented(
    exchange: Exchange, model: str, host: str | None, lifetime: timedelta | None
) -> None:
    _, (answer,) = exchange("openai/urls")
    [image] = asked(OpenAI(base_url=host), ImageRequest("x"), model, answer).images
    assert image.url == "https://pictures.example/1.png?se=2026-11-21T19%3A00%3A00Z"
    assert image.expires_at == (lifetime and EPOCH + lifetime)


def test_a_prompt_that_was_rewritten_is_told_without_its_words(exchange: Exchange) -> None:
    generation = asked(OpenAI(), ImageRequest("x"), "dall-e-3", *exchange("openai/urls")[1])
    [notice] = generation.notices
    assert (notice.kind, notice.field) == ("delivered", "prompt")
    assert "dusk" not in notice.message
    assert generation.raw[0]["data"][0]["revised_prompt"].endswith("dusk.")


@pytest.mark.parametrize("words", [FOX.prompt, "", None, ["other"]])
def test_a_prompt_that_was_left_alone_is_not_told(words: Any) -> None:
    item = {"url": "https://pictures.example/1.png", "revised_prompt": words}
    assert read({"data": [item]}).notices == ()


def test_a_data_url_is_a_picture_too(exchange: Exchange) -> None:
    _, (answer,) = exchange("openai/reference-example")
    content = json.loads(answer.body)["data"][0]["b64_json"]
    [image] = read({"data": [{"url": f"data:image/png;base64,{content}"}]}).images
    assert image.data == picture(exchange)


def test_more_than_was_asked_for_is_kept_and_told() -> None:
    items = [{"url": f"https://pictures.example/{k}.png"} for k in range(3)]
    generation = read({"data": items})
    assert len(generation.images) == 3
    assert ("delivered", "n") in [(n.kind, n.field) for n in generation.notices]


def test_the_request_id_is_the_header_s() -> None:
    headers = {"x-request-id": "req_1"}
    answer = {"data": [{"url": "https://pictures.example/1.png"}]}
    generation = read(answer, headers=headers)
    assert generation.images[0].request_id == generation.attempts[0].request_id == "req_1"
    assert refused({"error": {}}, status=400, headers=headers).request_id == "req_1"


@pytest.mark.parametrize(
    "answer", [{}, {"data": []}, {"data": None}, {"data": "x"}, {"data": [{}]}, {"data": [None]}]
)
def test_a_success_without_pictures_may_be_billed(answer: Any) -> None:
    error = refused(answer)
    assert (type(error), error.charged) == (SubmissionUnknownError, "unknown")


# Refusals


def error(code: Any = None, type: Any = "invalid_request_error", **more: Any) -> dict[str, Any]:  # noqa: A002 - its name on the wire
    return {"error": {"message": "no", "type": type, "param": None, "code": code, **more}}


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, error(), InvalidRequestError),
        (400, error("billing_hard_limit_reached"), InsufficientBalanceError),
        (401, error("invalid_api_key"), AuthenticationError),
        (403, error("unsupported_country_region_territory"), AuthenticationError),
        (404, error("model_not_found"), ConfigurationError),
        (413, {"detail": "too large"}, InvalidRequestError),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, InvalidRequestError),
        (429, error("rate_limit_exceeded", "rate_limit_error"), RateLimitError),
        (429, error("slow_down", "rate_limit_error"), RateLimitError),
        (429, error(None, "insufficient_quota"), InsufficientBalanceError),
        (
            429,
            error("project_spend_limit_exceeded", "insufficient_quota"),
            InsufficientBalanceError,
        ),
        (429, "busy", RateLimitError),
    ],
)
def test_a_refusal_costs_nothing(status: int, answer: Any, kind: type[ImageGenError]) -> None:
    found = refused(answer, status=status)
    assert (type(found), found.charged, found.status) == (kind, "no", status)


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504, 524])
@pytest.mark.parametrize("answer", [error("slow_down"), error("insufficient_quota"), {}, [], "x"])
def test_what_may_come_after_the_work_had_begun_is_unknown(status: int, answer: Any) -> None:
    found = refused(answer, status=status)
    assert (type(found), found.charged) == (SubmissionUnknownError, "unknown")


@pytest.mark.parametrize(
    ("status", "details", "charged"),
    [
        (400, {"moderation_details": {"moderation_stage": "input"}}, "no"),
        (400, {"moderation_details": {"moderation_stage": "output"}}, "unknown"),
        (400, {"moderation_details": "input"}, "unknown"),
        (400, {}, "unknown"),
        (500, {"moderation_details": {"moderation_stage": "input"}}, "unknown"),
    ],
)
@pytest.mark.parametrize("code", ["moderation_blocked", "content_policy_violation"])
def test_only_a_blocked_prompt_is_certainly_free(
    code: str, status: int, details: dict[str, Any], charged: str
) -> None:
    found = refused(error(code, "image_generation_user_error", **details), status=status)
    assert (type(found), found.charged, found.code) == (ContentPolicyError, charged, code)


@pytest.mark.parametrize("broken", ["closed early", ""])
@pytest.mark.parametrize(
    ("status", "start", "charged"),
    [(400, b"{", "unknown"), (400, b"<html>", "no"), (401, b"{", "no"), (429, b"{", "no")],
)
def test_half_a_refusal_may_have_been_that_of_a_picture(
    broken: str, status: int, start: bytes, charged: str
) -> None:
    answer = reply(body=start + b'"error": {"code": "moderation_blo', status=status)
    flow = OpenAI(api_key="made-up").submit(FOX, FLARE, Terms())
    with pytest.raises(ImageGenError, match="without a readable answer") as caught:
        play(flow, evolve(answer, broken=broken))
    assert (caught.value.charged, caught.value.status) == (charged, status)


def test_words_code_and_field_are_told() -> None:
    found = refused(error("invalid_value", param="size"), status=400)
    assert (found.message, found.code, found.field) == ("no", "invalid_value", "size")
    assert "code invalid_value" in str(found)
    assert refused(error(param="quality"), status=400).field is None
    assert refused({"error": "in plain words"}, status=400).message == "in plain words"
    assert refused({"error": {"code": 500}}, status=500).code == 500
    assert "field required" in refused({"detail": [{"msg": "field required"}]}, status=422).message


def test_a_code_is_shown_as_untrusted_text() -> None:
    found = refused(error("a\x1b[2Jb" + "x" * 500), status=400)
    assert "\x1b" not in str(found.code)
    assert len(found.code) <= 80


def test_a_wait_that_is_asked_for_is_kept() -> None:
    found = refused(error("slow_down"), status=429, headers={"Retry-After": "12"})
    assert isinstance(found, BackendError)
    assert found.retry_after == 12.0


def test_a_lost_answer_is_unknown() -> None:
    flow = OpenAI(api_key="made-up").submit(FOX, FLARE, Terms())
    with pytest.raises(SubmissionUnknownError):
        play(flow, TransportError("the line is dead", sent=True))


def test_an_earlier_generation_cannot_be_asked_for() -> None:
    job = Job(provider="openai", model=FLARE, id="", request=FOX)
    with pytest.raises(UnsupportedFeatureError, match="earlier generation"):
        OpenAI().settle(job)


# The account


def test_the_list_of_models_tells_that_the_key_is_accepted() -> None:
    date = {"Date": "Thu, 01 Jan 2026 00:00:05 GMT"}
    played = play(OpenAI(api_key="made-up").check(), reply({"data": []}, headers=date))
    [call] = played.calls
    assert (call.method, call.url) == ("GET", "https://api.openai.com/v1/models")
    assert (call.account, call.paid) == ("openai", False)
    assert (played.value.balance, played.value.quota, played.value.skew) == (None, (), 5.0)


def test_without_a_key_it_is_asked_for_without_credentials() -> None:
    flow = OpenAI().check()
    call = next(flow)
    flow.close()
    assert call.account is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (401, error("invalid_api_key"), AuthenticationError),
        (404, {"detail": "Not Found"}, ConfigurationError),
        (500, error(), ProviderUnavailableError),
        (200, {"data": None}, MalformedReplyError),
        (200, "<html>", MalformedReplyError),
        (502, "<html>", ProviderUnavailableError),
    ],
)
def test_a_check_that_fails_says_why(status: int, answer: Any, kind: type[ImageGenError]) -> None:
    with pytest.raises(kind) as caught:
        play(OpenAI(api_key="made-up").check(), reply(answer, status=status))
    assert caught.value.provider == "openai"


# Whatever is answered


REAL = [json.loads(file.read_bytes()) for file in sorted(FIXTURES.glob("openai/*/[0-9]*.json"))]


@MANY
@given(
    data=st.data(),
    n=st.integers(1, 10),
    model=st.sampled_from([FLARE, "dall-e-2", LOCAL]),
)
def test_anything_is_answered_and_the_outcome_is_typed(
    data: st.DataObject, n: int, model: str
) -> None:
    answer = any_reply(data, REAL)
    flow = OpenAI(api_key="made-up").submit(ImageRequest("x", n=n), model, Terms())
    result = outcome(flow, answer)
    if isinstance(result, ImageGenError):
        assert result.charged != "no" or answer.status in range(400, 500)
        return
    assert isinstance(result, Job)
    assert result.settled is not None
    assert result.settled.images
    assert len(result.settled.images) + len(result.settled.failures) >= n
    assert Job.from_json(result.to_json()) == result


@MANY
@given(data=st.data())
def test_anything_is_answered_to_a_check_and_the_outcome_is_typed(data: st.DataObject) -> None:
    answer = any_reply(data, [{"object": "list", "data": [{"id": FLARE}]}])
    result = outcome(OpenAI(api_key="made-up").check(), answer)
    assert isinstance(result, ImageGenError) or answer.status < 300
