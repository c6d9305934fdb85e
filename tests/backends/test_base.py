"""What backends share: terms, drafts, errors by HTTP status."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from imagegen.backends.base import Draft, Terms, attached, submit_once
from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.errors import (
    ConfigurationError,
    ImageGenError,
    InvalidRequestError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.flow import Call
from imagegen.pricing import Price
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Job
from imagegen.testing import play, reply

JOB = Job(provider="wavespeed", model="a/b", id="id1", request=ImageRequest("x"))


@pytest.mark.parametrize("backend", [MiniMax(), WaveSpeed()])
def test_a_backend_names_itself_and_its_variables(backend: MiniMax | WaveSpeed) -> None:
    names = (backend.name, backend.key_variable, backend.host_variable, backend.default_model)
    assert names in {
        ("minimax", "MINIMAX_API_KEY", "MINIMAX_API_HOST", "image-01"),
        ("wavespeed", "WAVESPEED_API_KEY", "WAVESPEED_BASE_URL", "minimax/image-01"),
    }
    assert backend.translate(ImageRequest("x"), backend.default_model, Terms()).notices == ()


@pytest.mark.parametrize("terms", [{"fit": "loose"}, {"unsupported": "ignore"}, {"fit": None}])
def test_terms_are_checked(terms: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Terms(**terms)
    assert caught.value.field == next(iter(terms))


def test_a_strict_draft_refuses_and_says_which_word_would_let_it_pass() -> None:
    draft = Draft("p", "m", Terms())
    with pytest.raises(UnsupportedFeatureError, match='unsupported="adjust"') as caught:
        draft.unsupported("seed", "no seeds here")
    assert (caught.value.provider, caught.value.model, caught.value.field) == ("p", "m", "seed")
    with pytest.raises(UnsupportedFeatureError, match='fit="nearest"'):
        draft.unfit("size", "too small", "512x512")
    assert draft.finished().notices == ()


def test_each_term_loosens_its_own_kind_only() -> None:
    with pytest.raises(UnsupportedFeatureError):
        Draft("p", "m", Terms(fit="nearest")).unsupported("seed", "none")
    with pytest.raises(UnsupportedFeatureError):
        Draft("p", "m", Terms(unsupported="adjust")).unfit("size", "none", "1x1")


def test_a_submission_s_reply_comes_through_untouched() -> None:
    call, answer = Call("POST", "https://api.example/x", paid=True), reply({"a": 1})
    played = play(submit_once(call, provider="p"), answer)
    assert played.value is answer
    assert played.calls == (call,)


def test_a_submission_is_not_repeated_after_a_lost_reply() -> None:
    call = Call("POST", "https://api.example/x", paid=True)
    with pytest.raises(SubmissionUnknownError, match="reset by peer") as caught:
        play(submit_once(call, provider="p", model="m"), TransportError("reset by peer"))
    assert (caught.value.provider, caught.value.model) == ("p", "m")


def test_an_error_s_own_job_is_not_replaced() -> None:
    own = Job(provider="wavespeed", model="a/b", id="id2", request=ImageRequest("x"))

    def failing() -> None:
        with attached(JOB):
            raise ImageGenError("x", job=own)

    with pytest.raises(ImageGenError) as caught:
        failing()
    assert caught.value.job is own
    assert (caught.value.provider, caught.value.model) == ("wavespeed", "a/b")


def test_an_error_from_outside_the_tree_gets_a_note_of_the_job() -> None:
    def failing() -> None:
        with attached(JOB):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        failing()
    assert "id1" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("backend", "host"),
    [
        (MiniMax(base_url="https://api.minimax.io/v1"), "https://api.minimax.io"),
        (MiniMax(base_url="https://proxy.example/minimax/v1/"), "https://proxy.example/minimax"),
        (WaveSpeed(base_url="https://api.wavespeed.ai/api/v3"), "https://api.wavespeed.ai"),
        (WaveSpeed(base_url="https://api.wavespeed.ai"), "https://api.wavespeed.ai"),
    ],
)
def test_the_prefix_of_the_api_is_tolerated_in_a_base_url(
    backend: MiniMax | WaveSpeed, host: str
) -> None:
    assert backend.host == host


def test_a_model_id_that_is_nearly_a_listed_one_is_refused_with_the_listed_one() -> None:
    flow = WaveSpeed().submit(ImageRequest("a"), "minimax/image01/text-to-image", Terms())
    answer = reply({"code": 400, "message": "model not found"}, status=400)
    with pytest.raises(InvalidRequestError) as caught:
        play(flow, answer)
    assert "did you mean minimax/image-01/text-to-image" in caught.value.advice


def test_a_source_is_refused_by_minimax_with_what_to_do() -> None:
    request = ImageRequest("a", references=[ReferenceImage("https://h/a.png", "source")])
    with pytest.raises(UnsupportedFeatureError) as caught:
        MiniMax().translate(request, "image-01", Terms())
    assert 'role="character"' in caught.value.advice


CONTRACT = Price(
    amount=Decimal("0.003"), currency="EUR", per="call", as_of=date(2026, 11, 1), source="a deal"
)


def test_the_callers_own_price_goes_before_the_list_price() -> None:
    backend = MiniMax(prices={"image-01": CONTRACT})
    assert backend.price("image-01", ImageRequest("x")) is CONTRACT
    assert backend.list_price("image-01", ImageRequest("x")) != CONTRACT
    assert backend.price("image-01-live", ImageRequest("x")) is None


def test_an_own_price_belongs_to_the_member_of_a_family() -> None:
    backend = WaveSpeed(prices={"minimax/image-01/image-to-image": CONTRACT})
    reference = ReferenceImage("https://example.com/a.png")
    assert backend.price("minimax/image-01", ImageRequest("x", references=[reference])) is CONTRACT
    assert backend.price("minimax/image-01", ImageRequest("x")) != CONTRACT


@pytest.mark.parametrize("given", [{"image-01": "0.003"}, [CONTRACT], None])
def test_own_prices_are_a_mapping_of_prices(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="prices must be"):
        MiniMax(prices=given)
