"""What the verbs of the WaveSpeedAI backend hand on: calls, names, durations, settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from imagegen.backends.base import Terms
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.backends.wavespeed.catalogue import advice_on_model
from imagegen.errors import (
    ConfigurationError,
    DeadlineExceededError,
    InvalidRequestError,
    JobFailedError,
    ProviderUnavailableError,
)
from imagegen.events import Polled
from imagegen.flow import Call, Pause, Reply, advance
from imagegen.redaction import brief
from imagegen.request import ImageRequest
from imagegen.result import Job
from imagegen.testing import EPOCH, play, reply

TEXT = "minimax/image-01/text-to-image"
FOX = ImageRequest("a red fox")
DONE = {"id": "p1", "model": TEXT, "status": "completed", "outputs": ["https://h/1.png"]}
ANSWER = {"code": 200, "message": "success", "data": DONE}


def job(identity: str = "p1") -> Job:
    return Job(provider="wavespeed", model=TEXT, id=identity, request=FOX)


def test_the_submission_is_one_paid_call_that_may_bring_pictures() -> None:
    played = play(WaveSpeed().submit(FOX, TEXT, Terms()), reply(ANSWER))
    (call,) = played.calls
    assert call == Call(
        "POST",
        f"https://api.wavespeed.ai/api/v3/{TEXT}",
        json=WaveSpeed().translate(FOX, TEXT, Terms()).body,
        account="wavespeed",
        paid=True,
        pictures=True,
    )
    assert played.value.settled is not None
    assert played.value.settled.raw == (ANSWER,)


def test_a_refused_model_that_is_like_a_listed_one_is_told_of_it() -> None:
    refused = reply({"code": 400, "message": "no such model"}, status=400)
    advice = {}
    for model in ("wavespeed-ai/flux-deb", TEXT):
        with pytest.raises(InvalidRequestError) as caught:
            play(WaveSpeed().submit(FOX, model, Terms()), refused)
        advice[model] = caught.value.advice
    assert advice == {
        "wavespeed-ai/flux-deb": advice_on_model("wavespeed-ai/flux-deb"),
        TEXT: "",
    }
    assert "did you mean wavespeed-ai/flux-dev" in advice["wavespeed-ai/flux-deb"]


def test_the_family_has_two_members_and_another_model_itself() -> None:
    family = ("minimax/image-01/image-to-image", TEXT)
    assert WaveSpeed().members("minimax/image-01") == family
    assert WaveSpeed().members(TEXT) == (TEXT,)


def test_a_poll_is_a_free_call_that_may_bring_pictures() -> None:
    played = play(WaveSpeed().settle(job("p/1")), reply(ANSWER | {"data": DONE | {"id": "p/1"}}))
    assert played.calls == (
        Call(
            "GET",
            "https://api.wavespeed.ai/api/v3/predictions/p%2F1/result",
            account="wavespeed",
            timeout=30.0,
            pictures=True,
        ),
    )


@pytest.mark.parametrize("identity", ["", ".", ".."])
def test_a_job_whose_id_is_none_is_not_asked_for(identity: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        play(WaveSpeed().settle(job(identity)))
    assert caught.value.message == f"{identity!r} is no id that a URL can hold"
    assert caught.value.job == job(identity)


def test_an_id_of_letters_and_dots_is_asked_for() -> None:
    named = ANSWER | {"data": DONE | {"id": "X.X"}}
    (call,) = play(WaveSpeed().settle(job("X.X")), reply(named)).calls
    assert call.url == "https://api.wavespeed.ai/api/v3/predictions/X.X/result"


def test_a_lost_submission_is_looked_up_at_the_host_with_the_key() -> None:
    backend = WaveSpeed(base_url="http://127.0.0.1:8080")
    listing = reply({"code": 200, "message": "success", "data": {"page": 1, "items": []}})
    since, until = EPOCH - timedelta(minutes=1), EPOCH
    played = play(backend.find(FOX, TEXT, since, until), listing)
    (call,) = played.calls
    assert (played.value, call.account) == ((), "wavespeed")
    assert call.url == "http://127.0.0.1:8080/api/v3/predictions"
    assert call.json is not None
    assert (call.json["model"], call.json["created_after"], call.json["created_before"]) == (
        TEXT,
        "2025-12-31T23:59:00Z",
        "2026-01-01T00:00:00Z",
    )


# Polls that fail

DOWN = reply({"code": 500, "message": "try later"}, status=500)
GOES_ON = reply(ANSWER | {"data": DONE | {"status": "processing", "outputs": []}})


@pytest.mark.parametrize("most", [0, 1, 3])
def test_so_many_polls_in_a_row_may_fail_and_no_more(most: int) -> None:
    backend = WaveSpeed(poll_failures=most)
    answers = [*[DOWN] * most, GOES_ON, *[DOWN] * most, reply(ANSWER)]
    assert play(backend.settle(job()), *answers).value.images
    with pytest.raises(ProviderUnavailableError):
        play(backend.settle(job()), GOES_ON, *[DOWN] * (most + 1))


def test_a_new_prediction_may_be_unknown_for_three_polls() -> None:
    unknown = reply({"code": 404, "message": "no such prediction"}, status=404)
    assert play(WaveSpeed().settle(job()), *[unknown] * 3, reply(ANSWER)).value.images
    with pytest.raises(JobFailedError):
        play(WaveSpeed().settle(job()), *[unknown] * 4)


def late(*answers: Reply) -> DeadlineExceededError:
    with pytest.raises(DeadlineExceededError) as caught:
        play(WaveSpeed().settle(job()), *answers, DeadlineExceededError("time is up"))
    return caught.value


def test_when_time_is_up_the_last_trouble_is_told() -> None:
    assert late(DOWN).__notes__ == ["the last poll failed: try later"]


def test_trouble_that_is_over_is_not_told() -> None:
    assert not hasattr(late(DOWN, GOES_ON), "__notes__")
    assert not hasattr(late(), "__notes__")


def test_a_state_is_told_in_at_most_forty_characters() -> None:
    strange = reply(ANSWER | {"data": DONE | {"status": "ab " * 30, "outputs": []}})
    told = play(WaveSpeed().settle(job()), strange, reply(ANSWER)).events
    states = [event.status for event in told if isinstance(event, Polled)]
    assert states == [("ab " * 30)[:39] + "…", "completed"]


# When it is asked


def first_wait(backend: WaveSpeed, age: float = 0.0) -> float:
    step = advance(backend.settle(job(), age))
    assert isinstance(step, Pause)
    return step.seconds


def test_durations_that_others_learned_are_known_of_their_model_only() -> None:
    backend = WaveSpeed()
    backend.recall("another/model", [(30.0, 31.0)] * 20)
    assert first_wait(backend) == 2.0
    backend.recall(TEXT, [(30.0, 31.0)] * 20)
    assert first_wait(backend) > 10.0


def test_where_nothing_is_to_be_learned_nothing_is_recalled() -> None:
    backend = WaveSpeed(learn_polls=False)
    backend.recall(TEXT, [(30.0, 31.0)] * 20)
    assert first_wait(backend) == 2.0


@pytest.mark.parametrize(("slowest", "longest"), [(5.0, 20.0), (60.0, 60.0)])
def test_a_learned_wait_may_be_as_long_as_the_slowest_configured(
    slowest: float, longest: float
) -> None:
    backend = WaveSpeed(slowest_poll=slowest)
    backend.recall(TEXT, [(900.0, 901.0)] * 20)
    assert first_wait(backend) == longest


# Settings


def test_the_backend_is_known_by_these_names() -> None:
    cls = WaveSpeed
    assert (cls.name, cls.default_model) == ("wavespeed", "minimax/image-01")
    assert (cls.key_variable, cls.host_variable) == ("WAVESPEED_API_KEY", "WAVESPEED_BASE_URL")
    assert (cls.default_host, cls.prefix) == ("https://api.wavespeed.ai", "/api/v3")
    assert (cls.can_find, cls.can_price) == (True, True)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("first_poll", 0.01, 3600),
        ("poll_growth", 1, 10),
        ("slowest_poll", 0.01, 3600),
        ("shortest_poll", 0.01, 3600),
        ("average_poll", 0.01, 3600),
        ("poll_failures", 0, 1000),
    ],
)
def test_a_setting_may_be_as_low_and_as_high_as_is_said(name: str, low: float, high: float) -> None:
    for value in (low, high):
        assert getattr(WaveSpeed(**{name: value}), name) == value  # type: ignore[arg-type]
    wrong: tuple[Any, ...] = (low - 0.001, high + 0.001, "2")
    for value in wrong:
        with pytest.raises(ConfigurationError) as caught:
            WaveSpeed(**{name: value})
        assert str(caught.value) == f"{name} must be {low}–{high}, not {brief(value)}"


@pytest.mark.parametrize("name", ["learn_polls", "poll_together"])
def test_a_switch_is_on_or_off(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WaveSpeed(**{name: 1})  # type: ignore[arg-type]
    assert str(caught.value) == f"{name} must be True or False, not 1"


def test_the_settings_are_as_documented_unless_given() -> None:
    names = (
        "sync_mode", "first_poll", "poll_growth", "slowest_poll", "learn_polls",
        "shortest_poll", "average_poll", "poll_failures", "poll_together",
    )  # fmt: skip
    backend: Any = WaveSpeed()
    values = [getattr(backend, name) for name in names]
    assert values == [False, 2.0, 1.25, 5.0, True, 0.5, 1.0, 60, True]


def test_settings_are_given_by_name_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        WaveSpeed("key")  # type: ignore[call-arg]


def test_what_a_backend_has_learned_is_no_part_of_what_it_is() -> None:
    backend = WaveSpeed()
    backend.recall(TEXT, [(30.0, 31.0)] * 20)
    assert backend == WaveSpeed()
    for name in ("paces", "sweeps"):
        with pytest.raises(TypeError, match="unexpected keyword"):
            WaveSpeed(**{name: None})  # type: ignore[arg-type]
    assert "_paces" not in repr(backend)
    assert "_sweeps" not in repr(backend)
