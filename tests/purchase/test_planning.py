"""`client.plan`: what would be sent and paid, without sending anything."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from imagegen import (
    AsyncClient,
    Client,
    ConfigurationError,
    Cost,
    Defaults,
    ImageGenError,
    ImageRequest,
    InvalidRequestError,
    Job,
    MiniMax,
    Notice,
    Price,
    ReferenceImage,
    Route,
    UnsupportedFeatureError,
    WaveSpeed,
)
from imagegen.backends.base import Terms
from imagegen.events import Submitting
from imagegen.flow import Flow, Pause
from imagegen.sandbox import Sandbox
from imagegen.testing import FakeClock

MODELS = ("minimax:image-01", "wavespeed:minimax/image-01")
KEYS = (MiniMax(api_key="k"), WaveSpeed(api_key="k"))
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 3_000


def planner(*backends: Any, **options: Any) -> Client:
    """A client that fails if it sends anything: nothing listens where it would."""
    return Client(list(backends) or list(KEYS), **options)


def test_a_plan_says_what_each_model_would_be_sent() -> None:
    request = ImageRequest("a fox", n=2, aspect_ratio="16:9", seed=7)
    minimax, wavespeed = planner().plan(request, MODELS)
    assert minimax.url == "https://api.minimax.io/v1/image_generation"
    assert minimax.body() == {
        "model": "image-01",
        "prompt": "a fox",
        "n": 2,
        "aspect_ratio": "16:9",
        "seed": 7,
    }
    assert wavespeed.full_model == "minimax/image-01/text-to-image"
    assert wavespeed.url == f"https://api.wavespeed.ai/api/v3/{wavespeed.full_model}"
    assert wavespeed.body() == {
        "prompt": "a fox",
        "size": "1280*720",
        "num_images": 2,
        "seed": 7,
        "enable_sync_mode": False,
        "enable_base64_output": False,
    }


@pytest.mark.parametrize("model", MODELS)
def test_what_is_planned_is_what_is_sent(model: str) -> None:
    sandbox, clock = Sandbox(), FakeClock()
    request = ImageRequest("a fox", n=20, size="1024x1024", seed=3, enhance_prompt=True)
    with sandbox.client(clock=clock) as client:
        (plan,) = client.plan(request, [model])
        client.generate(request, model=model)
    sent = sorted((dict(each.body) for each in sandbox.submissions), key=lambda body: body["seed"])
    assert [plan.body(k) for k in range(plan.calls)] == sent
    assert len(sent) == 3


def test_planning_sends_nothing_and_accepts_a_missing_key() -> None:
    plans = planner(MiniMax(), WaveSpeed()).plan("a fox")
    assert [plan.missing_key for plan in plans] == ["MINIMAX_API_KEY", "WAVESPEED_API_KEY"]
    assert all(plan.supported for plan in plans)


def test_a_key_that_is_there_is_not_missing() -> None:
    assert [plan.missing_key for plan in planner().plan("a fox")] == [None, None]


def test_what_a_model_cannot_make_says_why_beside_the_others() -> None:
    source = ReferenceImage("https://example.com/a.jpg", role="source")
    minimax, wavespeed = planner().plan(ImageRequest("a crown", references=[source]), MODELS)
    assert (minimax.supported, minimax.calls, minimax.url, minimax.body()) == (False, 0, None, None)
    assert isinstance(minimax.error, UnsupportedFeatureError)
    assert minimax.cost == Cost()
    assert wavespeed.supported


def test_departures_are_told_as_the_generation_would_tell_them() -> None:
    request = ImageRequest("a fox", n=12, size="1000x700", seed=5)
    sandbox = Sandbox()
    with sandbox.client(clock=FakeClock()) as client:
        (plan,) = client.plan(request, [MODELS[0]], fit="nearest")
        made = client.generate(request, model=MODELS[0], fit="nearest")
    assert plan.notices == made.notices
    assert [notice.field for notice in plan.notices] == ["size", "seed"]


def test_terms_of_the_client_hold_unless_the_call_names_others() -> None:
    request = ImageRequest("a fox", size="1000x700")
    client = planner(defaults=Defaults(fit="nearest"))
    assert client.plan(request, [MODELS[0]])[0].supported
    assert not client.plan(request, [MODELS[0]], fit="strict")[0].supported


@pytest.mark.parametrize(("n", "calls"), [(1, 1), (9, 1), (10, 2), (18, 2), (20, 3)])
def test_a_plan_counts_its_calls_and_their_price(n: int, calls: int) -> None:
    for plan in planner().plan(ImageRequest("a fox", n=n), MODELS):
        assert plan.calls == calls
        assert plan.cost == Cost(amount=Decimal("0.0035") * n, currency="USD", basis="list-price")


def test_an_unknown_price_is_unknown_and_said() -> None:
    (plan,) = planner().plan("a fox", ["minimax:image-01-live"])
    assert (plan.price, plan.cost.amount) == (None, None)
    assert plan.notices == (
        Notice("unverified", "price", "its price is not known, or varies with its inputs"),
    )


def test_without_models_those_of_keyed_backends_are_planned_and_all_if_there_are_none() -> None:
    keyed, bare = MiniMax(api_key="k"), WaveSpeed()
    assert [plan.provider for plan in planner(keyed, bare).plan("a fox")] == ["minimax"]
    plans = planner(MiniMax(), bare).plan("a fox")
    assert [plan.provider for plan in plans] == ["minimax", "wavespeed"]


def test_a_body_that_does_not_exist_is_none() -> None:
    (plan,) = planner().plan(ImageRequest("a fox", n=10), [MODELS[0]])
    assert plan.body(1) != plan.body(0)
    assert plan.body(2) is None
    assert plan.body(-1) is None


def test_a_reference_is_in_the_body_as_it_would_be_sent() -> None:
    (plan,) = planner().plan(ImageRequest("a fox", references=[JPEG]), [MODELS[0]])
    body = plan.body()
    assert body is not None
    assert body["subject_reference"][0]["image_file"].startswith("data:image/jpeg;base64,/9j/")
    assert "base64" not in repr(plan)


@pytest.mark.parametrize(("day", "told"), [(date(2026, 9, 1), 0), (date(2026, 10, 1), 1)])
def test_a_price_older_than_180_days_is_told(day: date, told: int) -> None:
    price = Price(
        amount=Decimal("0.01"), currency="USD", per="image", as_of=date(2026, 3, 20), source="us"
    )
    clock = FakeClock()
    clock.now = lambda: datetime(day.year, day.month, day.day, tzinfo=UTC)  # type: ignore[method-assign]
    client = planner(MiniMax(prices={"image-01": price}), clock=clock)
    (plan,) = client.plan("a fox", ["minimax:image-01"])
    assert [notice.field for notice in plan.notices] == ["price"] * told
    assert plan.cost.amount == Decimal("0.01")


# Which models


def test_a_route_stands_for_its_models_each_once() -> None:
    client = planner(routes={"both": Route(models=MODELS)})
    plans = client.plan("a fox", ["both", MODELS[1], Route(models=MODELS)])
    assert [plan.model for plan in plans] == list(MODELS)


def test_without_models_the_default_is_planned() -> None:
    route = Route(models=MODELS)
    assert [p.model for p in planner(defaults=Defaults(model=route)).plan("a fox")] == list(MODELS)
    (plan,) = planner(defaults=Defaults(model=MODELS[1])).plan("a fox")
    assert plan.model == MODELS[1]


def test_without_a_default_every_providers_own_model_is_planned() -> None:
    assert [plan.model for plan in planner().plan("a fox")] == list(MODELS)


@pytest.mark.parametrize("models", [["dalle:3"], ["nothing"], [None], [5], [], "minimax:image-01"])
def test_models_that_are_none_are_refused(models: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        planner(defaults=None).plan("a fox", models)
    assert caught.value.field == "model"


def test_a_provider_that_is_wrongly_configured_is_told_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINIMAX_API_HOST", "ftp://nowhere")
    minimax, wavespeed = Client().plan("a fox", MODELS)
    assert isinstance(minimax.error, ConfigurationError)
    assert wavespeed.supported


def test_no_request_no_plan() -> None:
    with pytest.raises(InvalidRequestError):
        planner().plan(5)  # type: ignore[arg-type]


def test_the_async_client_plans_without_being_awaited() -> None:
    plans = AsyncClient(list(KEYS)).plan("a fox", MODELS)
    assert [plan.model for plan in plans] == list(MODELS)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 30),
    size=st.sampled_from([None, "512x512", "1000x700", "4096x4096"]),
    seed=st.none() | st.integers(-3, 2**33),
    fit=st.sampled_from(["strict", "nearest"]),
    unsupported=st.sampled_from(["error", "adjust"]),
    model=st.sampled_from(["minimax:image-01", "minimax:image-01-live", MODELS[1]]),
)
def test_a_plan_never_fails_and_its_bodies_are_json(n: int, size: Any, **terms: Any) -> None:
    model = terms.pop("model")
    request = ImageRequest("a fox", n=n, size=size, seed=terms.pop("seed"))
    (plan,) = planner().plan(request, [model], **terms)
    assert plan.supported == (plan.error is None) == (plan.calls > 0)
    bodies = [plan.body(k) for k in range(plan.calls)]
    counts = [body["n"] if "n" in body else body["num_images"] for body in bodies if body]
    assert sum(counts) == (n if plan.supported else 0)
    json.dumps(bodies, allow_nan=False)
    assert plan.error is None or isinstance(plan.error, ImageGenError)


def test_a_backend_that_pauses_or_tells_before_it_submits_is_planned_too() -> None:
    class Polite(MiniMax):
        def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
            yield Pause(5.0)
            yield Submitting("minimax", model, request.n)
            return (yield from MiniMax.submit(self, request, model, terms))

    (plan,) = planner(Polite(api_key="k")).plan("a fox", [MODELS[0]])
    assert plan.body() == {"model": "image-01", "prompt": "a fox", "n": 1}


def test_one_model_under_several_names_is_planned_once() -> None:
    names = ["wavespeed:", MODELS[1], f"{MODELS[1]}/text-to-image"]
    assert [plan.model for plan in planner().plan("a fox", names)] == [MODELS[1]]
