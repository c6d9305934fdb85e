"""What MiniMax cannot be told, and what it leaves out: by field, in words, with what it cost."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegen.backends.base import Terms, Translation
from imagegen.backends.minimax import CHINA_HOST, GLOBAL_HOST, MiniMax
from imagegen.errors import (
    ContentPolicyError,
    ImageGenError,
    InvalidRequestError,
    SubmissionUnknownError,
    UnsupportedFeatureError,
)
from imagegen.flow import Call, Reply
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Generation, Job, Notice
from imagegen.testing import EPOCH, Played, play, reply

STRICT = Terms()
LOOSE = Terms(fit="nearest", unsupported="adjust")
SOURCE = ReferenceImage("https://h/a.png", role="source")
CHARACTER = ReferenceImage("https://h/c.png", role="character")
OTHER = ReferenceImage("https://h/d.png", role="character")
URL = "https://h/1.png"
SHAPES = (
    "width and height go together, without aspect_ratio, for image-01 only, each "
    "512–2048 pixels and divisible by 8"
)


def translated(
    terms: Terms = STRICT, prompt: str = "x", model: str = "image-01", **fields: Any
) -> Translation:
    return MiniMax().translate(ImageRequest(prompt, **fields), model, terms)


def refusal(**fields: Any) -> tuple[str | None, str, str]:
    with pytest.raises(UnsupportedFeatureError) as caught:
        translated(**fields)
    error = caught.value
    assert error.provider == "minimax"
    return error.field, error.message, error.advice


def submitted(answer: Reply, **fields: Any) -> Played[Job]:
    return play(MiniMax().submit(ImageRequest("x", **fields), "image-01", STRICT), answer)


def made(data: Any, **more: Any) -> Generation:
    body = {"id": "a1", "data": data, "base_resp": {"status_code": 0, "status_msg": "success"}}
    settled = submitted(reply(body), **more).value.settled
    assert settled is not None
    return settled


def failed(body: Any, **fields: Any) -> ImageGenError:
    with pytest.raises(ImageGenError) as caught:
        submitted(reply(body, headers={"trace-id": "t1"}), **fields)
    return caught.value


# Words


def test_a_model_that_minimax_has_not() -> None:
    for model in ("image-02", "IMAGE-01", ""):
        told = refusal(model=model)
        assert told == ("model", "model: there is no such model", "Use image-01 or image-01-live")


def test_one_to_nine_pictures_are_asked_for_at_once() -> None:
    assert [translated(n=n).body["n"] for n in (1, 9)] == [1, 9]
    assert refusal(n=10)[:2] == ("n", "n: 10 is not 1–9 in one submission")


def test_a_source_is_no_character() -> None:
    why = "MiniMax has no source images, only a character"
    instead = 'Give it role="character", or use wavespeed:minimax/image-01'
    advice = f'{instead}; unsupported="adjust" leaves it out'
    assert refusal(references=[SOURCE]) == ("references", f"references: {why}", advice)
    made = translated(LOOSE, references=[SOURCE])
    assert made.notices == (Notice("ignored", "references", f"not sent: {why}"),)
    assert "subject_reference" not in made.body


def test_one_character_is_taken_the_first() -> None:
    why = "MiniMax takes one character, the first"
    advice = 'unsupported="adjust" leaves it out'
    told = refusal(references=[CHARACTER, OTHER])
    assert told == ("references", f"references: {why}", advice)
    made = translated(LOOSE, references=[CHARACTER, OTHER])
    assert made.notices == (Notice("ignored", "references", f"not sent: {why}"),)
    subject = [{"type": "character", "image_file": "https://h/c.png"}]
    assert made.body["subject_reference"] == subject
    assert translated(references=[CHARACTER]).body["subject_reference"] == subject


def test_image_01_live_takes_the_sizes_of_its_ratios() -> None:
    sent = translated(model="image-01-live", size="1280x720")
    assert sent.body == {"model": "image-01-live", "prompt": "x", "n": 1, "aspect_ratio": "16:9"}
    why = "1280x728 is no size of a ratio of image-01-live"
    told = refusal(model="image-01-live", size="1280x728")
    assert told == ("size", f"size: {why}", 'The nearest is 1280x720; fit="nearest" takes it')
    made = translated(LOOSE, model="image-01-live", size="1280x728")
    assert made.notices == (Notice("adjusted", "size", f"{why}; 1280x720 was sent"),)
    assert made.body["aspect_ratio"] == "16:9"


def test_only_image_01_takes_the_widest_ratio() -> None:
    assert translated(aspect_ratio="21:9").body["aspect_ratio"] == "21:9"
    assert refusal(model="image-01-live", aspect_ratio="21:9")[0] == "aspect_ratio"
    assert refusal(model="image-01-live", size="1344x576")[0] == "size"


@pytest.mark.parametrize(
    "own",
    [
        {"width": 512},
        {"height": 512},
        {"width": 512, "height": 511},
        {"width": 504, "height": 512},
        {"width": 2048, "height": 2056},
        {"width": 516, "height": 512},
        {"width": "512", "height": 512},
        {"width": True, "height": 512},
        {"width": 512.0, "height": 512},
        {"width": 512, "height": 512, "aspect_ratio": "1:1"},
    ],
)
def test_the_caller_s_own_shape_keeps_minimax_s_rules(own: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translated(provider_options={"minimax": own})
    error = caught.value
    assert error.message == SHAPES
    assert (error.provider, error.model, error.field) == ("minimax", "image-01", "provider_options")


@pytest.mark.parametrize("own", [{"width": 512, "height": 2048}, {"aspect_ratio": "1:1"}])
def test_the_caller_s_own_shape_goes_before_the_neutral_one(own: dict[str, Any]) -> None:
    shapes: tuple[dict[str, Any], ...] = ({"size": "1024x1024"}, {"aspect_ratio": "16:9"}, {})
    for neutral in shapes:
        body = translated(provider_options={"minimax": own}, **neutral).body
        assert body == {"model": "image-01", "prompt": "x", "n": 1} | own


def test_other_options_leave_the_neutral_shape() -> None:
    body = translated(provider_options={"minimax": {"style": 1}}, aspect_ratio="16:9").body
    assert (body["aspect_ratio"], body["style"]) == ("16:9", 1)


def test_image_01_live_takes_no_pixels_of_the_caller_s_own() -> None:
    own = {"minimax": {"width": 512, "height": 512}}
    with pytest.raises(InvalidRequestError):
        translated(model="image-01-live", provider_options=own)


@pytest.mark.parametrize("name", ["model", "n", "prompt", "seed"])
def test_what_prices_and_results_rest_on_cannot_be_overwritten(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"may not set '{name}'"):
        translated(provider_options={"minimax": {name: 1}})


def test_an_earlier_generation_cannot_be_asked_for() -> None:
    job = Job(provider="minimax", model="image-01", id="a1", request=ImageRequest("x"))
    with pytest.raises(UnsupportedFeatureError) as caught:
        MiniMax().settle(job)
    error = caught.value
    assert error.message == "MiniMax cannot be asked for an earlier generation"
    assert error.advice == "Its jobs come settled; keep the Job that submit() returned"
    assert (error.provider, error.job) == ("minimax", job)


@pytest.mark.parametrize(
    ("host", "currency"),
    [
        (GLOBAL_HOST, "USD"),
        (CHINA_HOST, "CNY"),
        ("https://api.minimaxi.com", "CNY"),
        ("https://api.minimax.chat", "CNY"),
        ("https://api.minimaxi.chat", "CNY"),
        ("https://API.MINIMAX.CN:443", "CNY"),
        ("https://api.minimax.cn/proxy", "CNY"),
        ("https://api.minimax.cn.example", "USD"),
        ("https://xapi.minimax.cn", "USD"),
    ],
)
def test_the_price_is_that_of_the_host_s_region(host: str, currency: str) -> None:
    price = MiniMax(base_url=host).list_price("image-01", ImageRequest("x"))
    assert price is not None
    assert price.currency == currency


def test_settings_are_given_by_name_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        MiniMax("key")  # type: ignore[call-arg]


def test_the_backend_is_known_by_these_names() -> None:
    assert (MiniMax.name, MiniMax.default_model) == ("minimax", "image-01")
    assert (MiniMax.key_variable, MiniMax.host_variable) == ("MINIMAX_API_KEY", "MINIMAX_API_HOST")
    assert (MiniMax.default_host, MiniMax.prefix) == ("https://api.minimax.io", "/v1")


# Calls and replies


def test_the_submission_is_one_paid_call_that_may_bring_pictures() -> None:
    played = submitted(reply({"data": {"image_urls": [URL]}, "base_resp": {"status_code": 0}}))
    assert played.calls == (
        Call(
            "POST",
            "https://api.minimax.io/v1/image_generation",
            json={"model": "image-01", "prompt": "x", "n": 1},
            account="minimax",
            paid=True,
            pictures=True,
        ),
    )
    job = played.value
    assert (job.provider, job.model, job.id, job.created_at) == ("minimax", "image-01", "", EPOCH)


def test_a_generation_says_all_that_is_known_of_it() -> None:
    body = {"id": "a1", "data": {"image_urls": [URL, URL]}, "base_resp": {"status_code": 0}}
    job = submitted(reply(body), n=2, seed=7).value
    generation = job.settled
    assert generation is not None
    assert (job.id, job.notices) == ("a1", generation.notices)
    assert {(image.url, image.seed, image.request_id) for image in generation.images} == {
        (URL, 7, "a1")
    }
    assert {image.expires_at for image in generation.images} == {EPOCH + timedelta(hours=24)}
    (attempt,) = generation.attempts
    assert (attempt.provider, attempt.model, attempt.request_id) == ("minimax", "image-01", "a1")
    assert (attempt.n, attempt.images, attempt.created_at) == (2, 2, EPOCH)
    assert generation.raw == (body,)


def test_an_inline_picture_does_not_expire() -> None:
    inline = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
    (image,) = made({"image_base64": [inline]}, output="bytes").images
    assert (image.expires_at, image.data is None) == (None, False)


def test_of_two_forms_of_the_pictures_the_one_that_was_asked_for_is_taken() -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(9000)
    both = {"image_urls": [URL], "image_base64": [base64.b64encode(content).decode()]}
    (inline,) = made(both, output="bytes").images
    (linked,) = made(both).images
    assert (inline.data, inline.url) == (content, None)
    assert (linked.data, linked.url) == (None, URL)


def test_pictures_that_were_decoded_on_their_way_are_put_back_in() -> None:
    body = b'{"data": {"image_base64": ["name"]}, "base_resp": {"status_code": 0}}'
    content = b"\x89PNG\r\n\x1a\n" + bytes(40)
    answer = Reply(200, {}, body, EPOCH, pictures={"name": content})
    settled = submitted(answer, output="bytes").value.settled
    assert settled is not None
    assert [image.data for image in settled.images] == [content]


@pytest.mark.parametrize(
    ("query", "moment"),
    [
        ("?Expires=1767229200", datetime(2026, 1, 1, 1, tzinfo=UTC)),
        ("?a=1&Expires=1767229200&b=2", datetime(2026, 1, 1, 1, tzinfo=UTC)),
        ("?Expires=999999999", datetime(2001, 9, 9, 1, 46, 39, tzinfo=UTC)),
        ("?Expires=9999999999", EPOCH + timedelta(hours=24)),
        ("?Expires=17672292001", EPOCH + timedelta(hours=24)),
        ("?xExpires=1767229200", EPOCH + timedelta(hours=24)),
        ("?expires=1767229200", EPOCH + timedelta(hours=24)),
    ],
)
def test_a_picture_expires_when_its_url_says_but_within_a_day(query: str, moment: datetime) -> None:
    (image,) = made({"image_urls": [f"{URL}{query}"]}).images
    assert image.expires_at == moment


def test_pictures_that_are_missing_say_why_and_cost_as_they_may() -> None:
    body = {
        "id": "a1",
        "data": {"image_urls": [URL, "xx"]},
        "metadata": {"failed_count": "1"},
        "base_resp": {"status_code": 0},
    }
    generation = submitted(reply(body), n=4).value.settled
    assert generation is not None
    told = [(f.error, f.message, f.index, f.charged) for f in generation.failures]
    assert told == [
        ("ContentPolicyError", "blocked by MiniMax for its content", None, "unknown"),
        ("MalformedReplyError", "MiniMax counted it neither made nor blocked", None, "unknown"),
        ("MalformedReplyError", "no picture came", None, "unknown"),
    ]
    assert {failure.request_id for failure in generation.failures} == {"a1"}
    assert str(generation.cost.amount) == "0.0105"


def test_a_picture_that_did_not_come_whole_keeps_its_place_where_none_is_missing() -> None:
    generation = made({"image_urls": [URL, "xx"]}, n=2)
    (failure,) = generation.failures
    assert (failure.index, failure.message) == (1, "no picture came")


@pytest.mark.parametrize("count", [None, "x", -1, 9, 2])
def test_no_more_pictures_are_blocked_than_are_missing(count: Any) -> None:
    body = {
        "data": {"image_urls": [URL]},
        "metadata": {"failed_count": count},
        "base_resp": {"status_code": 0},
    }
    settled = submitted(reply(body), n=3).value.settled
    assert settled is not None
    assert len(settled.failures) == 2
    assert str(settled.cost.amount) == ("0.0035" if count in (2, 9) else "0.0105")
    blocked = [f for f in settled.failures if f.error == "ContentPolicyError"]
    assert len(blocked) == (2 if count in (2, 9) else 0)


@pytest.mark.parametrize(
    ("count", "kind", "words"),
    [
        (2, ContentPolicyError, "2 of 2 pictures were blocked and none came; it said 'odd'"),
        (1, ContentPolicyError, "1 of 2 pictures were blocked and none came; it said 'odd'"),
        (0, SubmissionUnknownError, "a success without any picture; it said 'odd'"),
    ],
)
def test_a_success_without_pictures_says_why_and_may_have_cost(
    count: int, kind: type[ImageGenError], words: str
) -> None:
    resp = {"status_code": 0, "status_msg": "odd"}
    error = failed({"id": "a1", "metadata": {"failed_count": count}, "base_resp": resp}, n=2)
    assert (type(error), error.message, error.charged) == (kind, words, "unknown")
    assert (error.provider, error.model, error.request_id) == ("minimax", "image-01", "a1")


def test_an_image_url_that_is_not_allowed_is_the_request_s_fault() -> None:
    resp = {"status_code": 1000, "status_msg": "disallowed image url: http://h"}
    error = failed({"base_resp": resp})
    assert type(error) is InvalidRequestError
    assert (error.charged, error.code, error.request_id) == ("no", 1000, "t1")
    assert (error.provider, error.model, error.status) == ("minimax", "image-01", 200)


@pytest.mark.parametrize("body", [{}, {"base_resp": {}}, {"base_resp": {"status_code": None}}, []])
def test_an_answer_without_code_and_pictures_tells_nothing(body: Any) -> None:
    error = failed(body)
    assert type(error) is SubmissionUnknownError
    assert (error.provider, error.model, error.request_id) == ("minimax", "image-01", "t1")


@pytest.mark.parametrize("code", [None, 0, 1000, 1027])
def test_pictures_that_came_are_kept_whatever_the_code(code: Any) -> None:
    body = {"data": {"image_urls": [URL]}, "base_resp": {"status_code": code}}
    assert submitted(reply(body)).value.settled is not None


@pytest.mark.parametrize("identity", [None, "", 7])
def test_the_trace_of_the_headers_stands_where_the_answer_has_no_id(identity: Any) -> None:
    body = {"id": identity, "data": {"image_urls": [URL]}, "base_resp": {"status_code": 0}}
    assert submitted(reply(body, headers={"trace-id": "t1"})).value.id == "t1"
