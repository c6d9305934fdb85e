"""`client.compare`: one request through several models, under one budget."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import imagegen.purchase.comparison
from imagegen import (
    BudgetExceededError,
    Comparison,
    ConfigurationError,
    Contender,
    ContentPolicyError,
    Cost,
    Defaults,
    GeneratedImage,
    Generation,
    ImageRequest,
    Job,
    Ledger,
    Limits,
    MiniMax,
    RateLimitError,
    ReferenceImage,
    Route,
    SubmissionUnknownError,
    WaveSpeed,
)
from imagegen.events import Event, Settled, Submitting
from imagegen.flow import Flow
from imagegen.result import Attempt
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import FakeClock

MINIMAX, WAVESPEED = MODELS = ("minimax:image-01", "wavespeed:minimax/image-01")
REQUEST = ImageRequest("a fox", n=2, size="1024x512")
USD: dict[str, Any] = {"currency": "USD", "basis": "list-price"}


def comparison(kit: Any, sandbox: Sandbox, request: Any = REQUEST, **options: Any) -> Comparison:
    """Compare on *sandbox*; options of the client go by `client_`."""
    own = {k.removeprefix("client_"): options.pop(k) for k in list(options) if k[:7] == "client_"}
    desk = kit.on(sandbox, **own)
    models = options.pop("models", MODELS)
    made: Comparison = kit.wait(desk.client.compare(request, models, **options))
    return made


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


def test_every_model_makes_the_same_request_and_its_pictures_are_fetched(
    kit: Any, sandbox: Sandbox
) -> None:
    made = comparison(kit, sandbox)
    assert [each.model for each in made.contenders] == list(MODELS)
    for each in made.contenders:
        assert each.generation is not None
        assert each.generation.request == REQUEST
        assert [(i.width, i.height) for i in each.images] == [(1024, 512)] * 2
        assert all(image.data for image in each.images)
        assert each.megapixels == Decimal("1.048576")
    assert made.request == REQUEST
    assert made.started_at.tzinfo is not None


def test_the_cost_is_that_of_each_and_of_all(kit: Any, sandbox: Sandbox) -> None:
    made = comparison(kit, sandbox)
    assert [each.cost for each in made.contenders] == [Cost(amount=Decimal("0.0070"), **USD)] * 2
    assert made.cost == Cost(amount=Decimal("0.0140"), **USD)
    assert [each.cost_per_megapixel.amount for each in made.contenders] == [Decimal("0.006676")] * 2
    assert sum(s.price for s in sandbox.submissions) == made.cost.amount


def test_models_run_side_by_side(kit: Any) -> None:
    told: list[Event] = []
    comparison(kit, Sandbox(latency=0.3), client_on_event=told.append)
    first_settled = next(k for k, event in enumerate(told) if isinstance(event, Settled))
    begun = {e.provider for e in told[:first_settled] if isinstance(e, Submitting)}
    assert begun == {"minimax", "wavespeed"}


def test_what_one_cannot_make_is_told_beside_the_pictures_of_the_other(
    kit: Any, sandbox: Sandbox
) -> None:
    source = ReferenceImage("https://example.com/a.jpg", role="source")
    made = comparison(kit, sandbox, ImageRequest("a crown", references=[source]))
    refused, other = made.contenders
    assert (refused.generation, refused.images, refused.seconds) == (None, (), 0.0)
    assert refused.error is not None
    assert refused.error.field == "references"
    assert refused.cost == Cost(amount=Decimal(0), basis="list-price")
    assert len(other.images) == 1
    assert made.cost == other.cost
    assert len(sandbox.submissions) == 1


@pytest.mark.parametrize(
    ("kind", "error", "cost"),
    [
        ({"kind": "rate_limit"}, RateLimitError, Decimal(0)),
        ({"kind": "code", "code": 1026}, ContentPolicyError, Decimal(0)),
        ({"kind": "drop", "accepted": True}, SubmissionUnknownError, None),
    ],
)
def test_a_model_that_fails_does_not_cost_the_others_their_pictures(
    kit: Any, sandbox: Sandbox, kind: Any, error: type[Exception], cost: Decimal | None
) -> None:
    sandbox.inject(Fault(**kind, provider="minimax"))
    failed, other = comparison(kit, sandbox).contenders
    assert isinstance(failed.error, error)
    assert failed.cost.amount == cost
    assert failed.price == Cost(amount=Decimal("0.0070"), **USD)
    assert failed.megapixels is None
    assert failed.cost_per_megapixel == Cost()
    assert len(other.images) == 2


def test_what_is_unknown_makes_the_total_unknown(kit: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("drop", provider="minimax", accepted=True))
    assert comparison(kit, sandbox).cost == Cost()


def test_if_every_model_fails_there_is_still_a_comparison(kit: Any, sandbox: Sandbox) -> None:
    sandbox.inject(*(Fault("rate_limit", provider=p) for p in ("minimax", "wavespeed")))
    made = comparison(kit, sandbox)
    assert [type(each.error) for each in made.contenders] == [RateLimitError] * 2
    assert made.cost.amount == 0


def test_more_pictures_than_a_call_makes_are_split_for_each_model(
    kit: Any, sandbox: Sandbox
) -> None:
    made = comparison(kit, sandbox, ImageRequest("a fox", n=20, seed=1, size="512x512"))
    assert [len(each.images) for each in made.contenders] == [20, 20]
    assert [[i.seed for i in each.images] for each in made.contenders] == [
        [1] * 9 + [10] * 9 + [19] * 2
    ] * 2


def test_a_picture_that_cannot_be_fetched_keeps_its_url_with_a_notice(
    kit: Any, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("expired", provider="minimax", times=9))
    one, other = comparison(kit, sandbox).contenders
    assert one.generation is not None
    assert [notice.field for notice in one.generation.notices] == ["output", "output"]
    assert all(image.url and not image.data for image in one.images)
    assert (one.megapixels, one.cost_per_megapixel) == (None, Cost())
    assert all(image.data for image in other.images)


# One budget


@pytest.mark.parametrize(("allowed", "sent"), [("0.0139", 0), ("0.0140", 2)])
def test_max_cost_bounds_all_models_together(
    kit: Any, sandbox: Sandbox, allowed: str, sent: int
) -> None:
    if sent:
        assert comparison(kit, sandbox, max_cost=allowed).cost.amount == Decimal("0.0140")
    else:
        with pytest.raises(BudgetExceededError, match=r"0\.0140 USD, not 0\.0139"):
            comparison(kit, sandbox, max_cost=allowed)
    assert len(sandbox.submissions) == sent


def test_max_cost_cannot_be_held_where_a_price_is_unknown(kit: Any, sandbox: Sandbox) -> None:
    models = [MINIMAX, "minimax:image-01-live"]
    request = ImageRequest("a fox", aspect_ratio="1:1")
    with pytest.raises(BudgetExceededError, match="unknown"):
        comparison(kit, sandbox, request, models=models, max_cost="1")
    assert sandbox.submissions == []


def test_what_cannot_be_asked_does_not_count_against_max_cost(kit: Any, sandbox: Sandbox) -> None:
    source = ReferenceImage("https://example.com/a.jpg", role="source")
    request = ImageRequest("a crown", references=[source])
    assert comparison(kit, sandbox, request, max_cost="0.0035").cost.amount == Decimal("0.0035")


def test_the_budget_of_the_client_holds_for_all_of_them(kit: Any, sandbox: Sandbox) -> None:
    made = comparison(kit, sandbox, client_budget="0.0100")
    errors = [type(each.error) for each in made.contenders if each.error]
    assert errors == [BudgetExceededError]
    assert len(sandbox.submissions) == 1


def test_every_purchase_is_on_the_ledger_and_handed_over(kit: Any, sandbox: Sandbox) -> None:
    with Ledger() as ledger:
        comparison(kit, sandbox, client_ledger=ledger)
        kit.wait(kit.on(sandbox, ledger=ledger).client.reconcile())
        entries = ledger.entries().result()
    assert [
        (e.provider, e.state, e.collected) for e in sorted(entries, key=lambda e: e.provider)
    ] == [
        ("minimax", "settled", True),
        ("wavespeed", "settled", True),
    ]


def test_a_route_s_own_bound_holds_for_the_whole_comparison(kit: Any, sandbox: Sandbox) -> None:
    routes = {"cheap": Route(models=MODELS, max_cost="0.0139")}
    with pytest.raises(BudgetExceededError, match=r"not 0\.0139"):
        comparison(kit, sandbox, models=["cheap"], client_routes=routes, max_cost="1")
    assert sandbox.submissions == []


def test_the_default_maximum_bounds_all_models_together(kit: Any, sandbox: Sandbox) -> None:
    with pytest.raises(BudgetExceededError):
        comparison(kit, sandbox, client_defaults=Defaults(max_cost="0.0139"))
    assert sandbox.submissions == []


# Nothing paid for is lost


def test_a_bug_of_one_backend_does_not_take_the_others_along(kit: Any, sandbox: Sandbox) -> None:
    class Buggy(MiniMax):
        def submit(self, *_: Any) -> Flow[Job]:
            yield from ()
            raise ValueError("a bug")

    account: Any = {"api_key": "k", "base_url": sandbox.origin}
    backends = [Buggy(**account), WaveSpeed(**account, first_poll=0.01)]
    desk = kit.desk(backends, watched=kit.watched(sandbox))
    failed, other = kit.wait(desk.client.compare("a fox", MODELS)).contenders
    assert str(failed.error) == "minimax: ValueError: a bug (model image-01)"
    assert failed.cost == Cost()
    assert isinstance(failed.error.__cause__, ValueError)
    assert len(other.images) == 1


def test_a_bug_in_what_one_brought_does_not_take_the_others_along(
    kit: Any, sandbox: Sandbox
) -> None:
    class Odd(MiniMax):
        def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
            yield from ()
            return Generation(images=("odd",), provider="minimax", model="x", request=job.request)  # type: ignore[arg-type]

        def submit(self, request: ImageRequest, model: str, terms: Any) -> Flow[Job]:
            yield from ()
            return Job(provider="minimax", model=model, id="1", request=request)

    account: Any = {"api_key": "k", "base_url": sandbox.origin}
    backends = [Odd(**account), WaveSpeed(**account, first_poll=0.01)]
    desk = kit.desk(backends, watched=kit.watched(sandbox))
    failed, other = kit.wait(desk.client.compare("a fox", MODELS)).contenders
    assert failed.generation is None
    assert failed.error is not None
    assert failed.error.charged == "unknown"
    assert len(other.images) == 1


def test_the_words_of_a_bug_are_hidden_where_prompts_are(
    kit: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Buggy(MiniMax):
        def submit(self, request: ImageRequest, *_: Any) -> Flow[Job]:
            yield from ()
            raise ValueError(f"bad: {request.prompt}")

    monkeypatch.setattr("imagegen.redaction._Prompts.hidden", True)
    account: Any = {"api_key": "k", "base_url": sandbox.origin}
    backends = [Buggy(**account), WaveSpeed(**account, first_poll=0.01)]
    desk = kit.desk(backends, watched=kit.watched(sandbox))
    failed = kit.wait(desk.client.compare("my secret fox", MODELS)).contenders[0]
    assert "secret" not in f"{failed.error} {failed.error!r} {failed.error.__cause__}"


def test_an_interruption_while_fetching_tells_what_is_paid_for(
    kit: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> Any:
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(imagegen.purchase.comparison, "_with_pictures", cut)
    with pytest.raises(KeyboardInterrupt) as caught:
        kit.wait(kit.on(sandbox).client.compare("a fox", [MINIMAX]))
    (note,) = caught.value.__notes__
    assert note == f"minimax: job {sandbox.submissions[0].id} was settled, and is paid for"


def test_pictures_may_be_left_at_their_urls(kit: Any, sandbox: Sandbox) -> None:
    made = comparison(kit, sandbox, fetch=False)
    assert all(image.url and not image.data for each in made.contenders for image in each.images)


def test_fetching_again_answers_the_notice_of_the_first_time(kit: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("expired", provider="minimax"))
    desk = kit.on(sandbox)
    (one,) = kit.wait(desk.client.compare("a fox", [MINIMAX])).contenders
    assert [notice.field for notice in one.generation.notices] == ["output"]
    again = desk.fetch(one.generation)
    assert again.images[0].data
    assert again.notices == ()


# Latency


def test_waiting_for_limits_and_repetitions_is_no_latency_of_the_model(
    kit: Any, sandbox: Sandbox
) -> None:
    clock = FakeClock()
    account: Any = {"api_key": "k", "base_url": sandbox.origin}
    backend = MiniMax(**account, limits=Limits(per_minute=1))
    desk = kit.desk([backend], watched=kit.watched(sandbox, clock), clock=clock)
    desk.generate("a fox", model=MINIMAX)
    sandbox.inject(Fault("rate_limit"))
    (one,) = kit.wait(desk.client.compare("a fox", [MINIMAX])).contenders
    assert clock.monotonic() >= 60
    assert len(one.images) == 1
    assert one.seconds < 1


# Which models


@pytest.mark.parametrize(
    "models",
    [
        ["minimax:", MINIMAX],
        [MINIMAX, MINIMAX],
        [WAVESPEED, f"{WAVESPEED}/text-to-image", "wavespeed:"],
    ],
)
def test_one_model_under_several_names_is_bought_from_once(
    kit: Any, sandbox: Sandbox, models: list[str]
) -> None:
    made = comparison(kit, sandbox, models=models)
    assert len(made.contenders) == len(sandbox.submissions) == 1
    assert made.contenders[0].model in (*MODELS, models[0])


def test_a_route_stands_for_its_models(kit: Any, sandbox: Sandbox) -> None:
    made = comparison(kit, sandbox, models=["both"], client_routes={"both": Route(models=MODELS)})
    assert [each.model for each in made.contenders] == list(MODELS)


@pytest.mark.parametrize("models", [[], "minimax:image-01", ["dalle:3"], ["cheap"], [None], None])
def test_models_that_are_none_are_refused_before_anything_is_sent(
    kit: Any, sandbox: Sandbox, models: Any
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        comparison(kit, sandbox, models=models)
    assert caught.value.field == "model"
    assert sandbox.submissions == []


def test_a_missing_key_is_told_in_its_place(kit: Any, sandbox: Sandbox) -> None:
    watched = kit.watched(sandbox)
    backends = [MiniMax(base_url=sandbox.origin), WaveSpeed(api_key="k", base_url=sandbox.origin)]
    desk = kit.desk(backends, watched=watched)
    made = kit.wait(desk.client.compare("a fox", MODELS))
    assert isinstance(made.contenders[0].error, ConfigurationError)
    assert len(made.contenders[1].images) == 1


def test_events_tell_whose_they_are(kit: Any, sandbox: Sandbox) -> None:
    told: list[Event] = []
    comparison(kit, sandbox, client_on_event=told.append)
    settled = {e.generation.provider for e in told if isinstance(e, Settled)}
    assert settled == {"minimax", "wavespeed"}


def test_the_health_of_each_model_is_learned(kit: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("rate_limit", provider="minimax"))
    desk = kit.on(sandbox)
    kit.wait(desk.client.compare("a fox", MODELS))
    assert desk.client.health().keys() == set(MODELS)


# The value


def contender(cost: Cost, *sizes: tuple[int | None, int | None]) -> Contender:
    images = tuple(GeneratedImage(width=w, height=h) for w, h in sizes)
    made = Generation(images=images, cost=cost, provider="p", model="m", request=ImageRequest("x"))
    return Contender(model="p:m", generation=made)


def test_currencies_are_not_added_up() -> None:
    several = (
        contender(Cost(amount=Decimal(1), currency="USD", basis="list-price"), (1000, 1000)),
        contender(Cost(amount=Decimal(7), currency="CNY", basis="list-price"), (1000, 1000)),
    )
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    made = Comparison(request=ImageRequest("x"), contenders=several, started_at=moment)
    assert made.cost == Cost()
    assert [each.cost_per_megapixel.currency for each in several] == ["USD", "CNY"]


def test_an_unknown_cost_has_no_cost_per_megapixel() -> None:
    assert contender(Cost(), (1000, 1000)).cost_per_megapixel == Cost()


def test_one_picture_of_unknown_size_makes_the_whole_unknown() -> None:
    one = contender(Cost(amount=Decimal(1), **USD), (1000, 1000), (None, None))
    assert one.megapixels is None


def test_a_failure_costs_what_its_attempts_did() -> None:
    error = ContentPolicyError("blocked", charged="yes")
    price = Cost(amount=Decimal("0.01"), **USD)
    error.attempts = (Attempt(provider="p", model="m", n=1, cost=price),)
    assert Contender(model="p:m", error=error).cost == price
