"""Routes: what is a valid one, when it turns, and in which order models are tried."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from imagegen import (
    AuthenticationError,
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    GeneratedImage,
    Generation,
    ImageGenError,
    ImageRequest,
    InsufficientBalanceError,
    InvalidRequestError,
    Job,
    JobFailedError,
    MalformedReplyError,
    MiniMax,
    ProviderUnavailableError,
    RateLimitError,
    Route,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
    WaveSpeed,
)
from imagegen.backends.base import Backend, Terms
from imagegen.pricing import Price
from imagegen.purchase.health import Health
from imagegen.purchase.orders import Order, order
from imagegen.purchase.routing import FALLBACK_ON, Candidates
from imagegen.testing import FakeClock

REQUEST = ImageRequest("a fox")
JOB = Job(provider="wavespeed", model="m", id="job-1", request=REQUEST)
MADE = Generation(
    images=(GeneratedImage(url="https://cdn.example/1.jpg", nsfw=True),),
    provider="wavespeed",
    model="m",
    request=REQUEST,
)
A, B, C = "minimax:image-01", "wavespeed:minimax/image-01", "wavespeed:luma/photon"

# What is a route


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"models": []}, r"models must be a list of model strings, not \[\]"),
    ({"models": A}, "models must be a list of model strings, not 'minimax:image-01'"),
    ({"models": None}, "models must be a list of model strings, not None"),
    ({"models": {A}}, "models must be a list of model strings"),
    ({"models": [A, A]}, "models must be different model strings"),
    ({"models": [A, 7]}, r"models must be different model strings, not \[7\]"),
    ({"models": [[A]]}, "models must be different model strings"),
    ({"strategy": "best"}, '"order" or "cheapest" or "fastest" or "weighted", not \'best\''),
    ({"strategy": ["order"]}, "strategy must be"),
    ({"on_unknown": "retry"}, '"raise" or "reconcile" or "spend", not \'retry\''),
    ({"on_unknown": None}, "on_unknown must be"),
    ({"fallback_on": ValueError}, "fallback_on must be error classes of imagegen, or a predicate"),
    ({"fallback_on": "RateLimitError"}, "fallback_on must be"),
    ({"fallback_on": None}, "fallback_on must be"),
    ({"fallback_on": [RateLimitError, 429]}, "fallback_on must be .* not 429"),
    ({"fallback_on": [RateLimitError("busy")]}, "fallback_on must be"),
    ({"fallback_on": {RateLimitError}}, "fallback_on must be"),
    ({"weights": [1, 1]}, 'weights must be given with strategy="weighted", and only then'),
    ({"strategy": "weighted"}, 'weights must be given with strategy="weighted"'),
    *(
        ({"strategy": "weighted", "weights": weights}, "weights must be one positive number for")
        for weights in (
            [], [1], [1, 2, 3], [1, 0], [1, -1], [1, "1"], [1, None], [1, float("nan")],
            [1, float("inf")], [1, 10**400], 5, "12", {A: 1, B: 2},
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), WRONG, ids=lambda value: repr(value)[:60])
def test_a_wrong_route_is_refused_by_name(given: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Route: .*{words}") as caught:
        Route(**({"models": [A, B]} | dict(given)))
    assert caught.value.field in given or caught.value.field == "weights"


@pytest.mark.parametrize("amount", ["a lot", "NaN", "-1", "Infinity", [], object()])
def test_a_max_cost_that_is_no_amount_is_refused(amount: Any) -> None:
    with pytest.raises(InvalidRequestError, match="max_cost must be an amount") as caught:
        Route(models=[A], max_cost=amount)
    assert caught.value.field == "max_cost"


def test_a_route_is_a_value() -> None:
    route = Route(models=[A, B], max_cost="0.05")
    assert route == Route(models=(A, B), max_cost=Decimal("0.05"))
    assert (route.strategy, route.on_unknown, route.fallback_on) == ("order", "raise", FALLBACK_ON)
    assert Route(models=[A], fallback_on=RateLimitError).fallback_on == (RateLimitError,)


# When it turns

TURNS: list[tuple[ImageGenError, bool]] = [
    (AuthenticationError("no key"), True),
    (InsufficientBalanceError("empty"), True),
    (JobFailedError("failed", job=JOB, charged="no"), True),
    (JobFailedError("cancelled", job=JOB, charged="unknown"), True),
    (ProviderUnavailableError("down"), True),
    (RateLimitError("busy"), True),
    (TransportError("refused", sent=False), True),
    (BackendError("odd"), False),
    (BudgetExceededError("too much"), False),
    (ConfigurationError("no key"), False),
    (ContentPolicyError("blocked"), False),
    (DeadlineExceededError("late", sent=False), False),
    (InvalidRequestError("wrong"), False),
    (UnsupportedFeatureError("cannot"), False),
]
OPEN: list[ImageGenError] = [
    DeadlineExceededError("late", job=JOB, charged="yes"),
    MalformedReplyError("odd"),
    ProviderUnavailableError("down", charged="unknown"),
    RateLimitError("busy", charged="yes"),
    SubmissionUnknownError("no answer"),
    TransportError("cut", sent=True),
    TransportError("polls fail", job=JOB, charged="yes"),
]


@pytest.mark.parametrize(("error", "turns"), TURNS)
def test_a_route_turns_from_a_providers_faults_and_not_from_the_callers(
    error: ImageGenError, *, turns: bool
) -> None:
    assert Route(models=[A, B]).turns_from(error) == turns


@pytest.mark.parametrize("error", OPEN)
@pytest.mark.parametrize("on_unknown", ["raise", "reconcile", "spend"])
def test_what_may_still_be_paid_for_is_replaced_only_if_the_caller_says_spend(
    error: ImageGenError, on_unknown: Any
) -> None:
    judges: list[Any] = [ImageGenError, lambda _: True]
    route = Route(models=[A, B], fallback_on=judges, on_unknown=on_unknown)
    assert route.turns_from(error) == (on_unknown == "spend")


def test_classes_and_predicates_decide_together() -> None:
    def teapot(outcome: Any) -> bool:
        return bool(outcome.status == 418)

    route = Route(models=[A, B], fallback_on=[ContentPolicyError, teapot])
    assert route.turns_from(ContentPolicyError("blocked"))
    assert route.turns_from(BackendError("a teapot", status=418))
    assert not route.turns_from(RateLimitError("busy", status=429))


def test_a_class_stands_for_its_subclasses() -> None:
    assert Route(models=[A, B], fallback_on=BackendError).turns_from(RateLimitError("busy"))


def test_only_predicates_are_asked_about_a_result() -> None:
    assert not Route(models=[A, B], fallback_on=ImageGenError).rejects(MADE)
    flagged = Route(models=[A, B], fallback_on=lambda made: made.images[0].nsfw)
    assert flagged.rejects(MADE)


def test_a_predicate_that_raises_is_logged_and_does_not_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def judge(_: Any) -> bool:
        raise LookupError("mine")

    route = Route(models=[A, B], fallback_on=[judge, RateLimitError])
    assert not route.rejects(MADE)
    assert not route.turns_from(ContentPolicyError("blocked"))
    assert route.turns_from(RateLimitError("busy"))
    assert "LookupError: mine" in caplog.text
    assert "the route does not turn" in caplog.text


def test_an_interruption_in_a_predicate_is_not_swallowed() -> None:
    def judge(_: Any) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Route(models=[A, B], fallback_on=judge).rejects(MADE)


# In which order


class PerCall(MiniMax):
    """A model whose call costs the same however many of its four pictures are wanted."""

    def images_per_call(self, model: str, request: ImageRequest) -> int:
        return 4

    def list_price(self, model: str, request: ImageRequest) -> Price | None:
        amount, day = Decimal("0.008"), date(2026, 11, 20)
        return Price(amount=amount, currency="USD", per="call", as_of=day, source="this test")


GLOBAL = MiniMax(api_key="k")
CHINA = MiniMax(api_key="k", base_url="https://api.minimax.cn")
WAVE = WaveSpeed(api_key="k")


def made(backend: Backend, model: str, n: int = 1) -> Order:
    request = ImageRequest("a fox", n=n)
    return order(backend, model, request, Terms(unsupported="adjust"), None)


def chance_of(seed: int) -> Callable[[], float]:
    return random.Random(seed).random  # noqa: S311 - not a secret


def ranked(route: Route, orders: Mapping[str, Order], health: Health | None = None) -> list[str]:
    unused = health or Health(FakeClock().monotonic)
    return Candidates(orders, unused, chance_of(7)).ranked(route)


def test_order_is_as_listed_whatever_the_price() -> None:
    orders = {C: made(WAVE, "luma/photon"), A: made(GLOBAL, "image-01")}
    assert ranked(Route(models=[C, A]), orders) == [C, A]


@pytest.mark.parametrize(
    ("n", "first"),
    [
        (1, A),
        (2, A),
        (3, "per call"),
        (4, "per call"),
        (5, "per call"),
        (9, "per call"),
        (13, "per call"),
    ],
)
def test_the_cheapest_is_so_for_this_very_request(n: int, first: str) -> None:
    orders = {"per call": made(PerCall(api_key="k"), "image-01", n), A: made(GLOBAL, "image-01", n)}
    price = {name: each.list_cost.amount for name, each in orders.items()}
    assert price[A] == n * Decimal("0.0035")
    assert price["per call"] == -(-n // 4) * Decimal("0.008")
    route = Route(models=["per call", A], strategy="cheapest")
    assert ranked(route, orders)[0] == min(price, key=lambda name: price[name] or Decimal(0))
    assert ranked(route, orders)[0] == first


def test_unknown_prices_come_last_and_foreign_ones_before_them() -> None:
    orders = {
        "unknown": made(WAVE, "acme/new"),
        "yuan": made(CHINA, "image-01"),
        "dear": made(WAVE, "midjourney/text-to-image"),
        "cheap": made(WAVE, "minimax/image-01"),
        "unknown too": made(GLOBAL, "image-01-live"),
    }
    route = Route(models=list(orders), strategy="cheapest")
    assert ranked(route, orders) == ["yuan", "cheap", "dear", "unknown", "unknown too"]
    home = {name: orders[name] for name in ("dear", "yuan", "unknown", "cheap")}
    assert ranked(route, home) == ["cheap", "dear", "yuan", "unknown"]


def test_equal_prices_keep_the_order_as_listed() -> None:
    orders = {B: made(WAVE, "minimax/image-01"), A: made(GLOBAL, "image-01")}
    assert ranked(Route(models=[B, A], strategy="cheapest"), orders) == [B, A]


def test_the_fastest_counts_failures_in_and_tries_the_unmeasured_first() -> None:
    health = Health(FakeClock().monotonic)
    orders = {
        name: made(GLOBAL, "image-01")
        for name in ("slow", "only failed", "fast but failing", "fast", "new")
    }
    health.succeeded("slow", 30.0)
    health.succeeded("fast", 9.0)
    health.succeeded("fast but failing", 8.0)
    for _ in range(2):
        health.failed("fast but failing", ProviderUnavailableError("down"))
    health.failed("only failed", ProviderUnavailableError("down"))
    route = Route(models=list(orders), strategy="fastest")
    names = ["new", "fast", "fast but failing", "slow", "only failed"]
    assert ranked(route, orders, health) == names


def test_weights_are_drawn_in_proportion() -> None:
    orders = {name: made(GLOBAL, "image-01") for name in "abc"}
    route = Route(models=list(orders), strategy="weighted", weights=[1, 2, 7])
    draw = Candidates(orders, Health(FakeClock().monotonic), chance_of(20261121))
    first = Counter(draw.ranked(route)[0] for _ in range(10_000))
    shares = [first[name] / 10_000 for name in "abc"]
    assert shares == pytest.approx([0.1, 0.2, 0.7], abs=0.015)


def test_the_second_is_drawn_in_proportion_too() -> None:
    orders = {name: made(GLOBAL, "image-01") for name in "abc"}
    route = Route(models=list(orders), strategy="weighted", weights=[1, 2, 7])
    draw = Candidates(orders, Health(FakeClock().monotonic), chance_of(20261121))
    rankings = [draw.ranked(route) for _ in range(10_000)]
    seconds = Counter(second for first, second, _ in rankings if first == "c")
    assert seconds["b"] / seconds.total() == pytest.approx(2 / 3, abs=0.02)


positive = st.floats(min_value=1e-6, max_value=1e6)


@given(weights=st.lists(positive, min_size=1, max_size=6), seed=st.integers(), data=st.data())
def test_every_usable_model_is_tried_once_whatever_the_weights(
    weights: list[float], seed: int, data: st.DataObject
) -> None:
    names = [f"m{k}" for k in range(len(weights))]
    usable = data.draw(st.lists(st.sampled_from(names), unique=True))
    made_once = made(GLOBAL, "image-01")
    route = Route(models=names, strategy="weighted", weights=weights)
    health = Health(FakeClock().monotonic)
    drawn = Candidates(dict.fromkeys(usable, made_once), health, chance_of(seed)).ranked(route)
    assert sorted(drawn) == sorted(usable)


@given(strategy=st.sampled_from(["order", "cheapest", "fastest"]), data=st.data())
def test_every_strategy_tries_every_usable_model_once(strategy: Any, data: st.DataObject) -> None:
    orders = {
        A: made(GLOBAL, "image-01"),
        B: made(WAVE, "minimax/image-01"),
        C: made(CHINA, "image-01"),
    }
    usable = data.draw(st.lists(st.sampled_from(sorted(orders)), unique=True))
    route = Route(models=sorted(orders), strategy=strategy)
    assert sorted(ranked(route, {name: orders[name] for name in usable})) == sorted(usable)
