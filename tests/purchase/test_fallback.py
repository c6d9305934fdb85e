"""Trying the models of a route: when the next is bought, what is kept, what it all cost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from imagegen import (
    AllRoutesFailedError,
    BudgetExceededError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    Generation,
    ImageGenError,
    ImageRequest,
    InsufficientBalanceError,
    InvalidRequestError,
    MiniMax,
    ProviderUnavailableError,
    RateLimitError,
    Retries,
    Route,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
    WaveSpeed,
)
from imagegen.events import Event, Failed, FellBack, Retried
from imagegen.ledger import Ledger
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import FakeClock

A, B = "minimax:image-01", "wavespeed:minimax/image-01"
C = "wavespeed:luma/photon"
PRICE = Decimal("0.0035")
BOTH = Route(models=[A, B])
BUSY = Fault("rate_limit", provider="minimax", times=None)
DOWN = Fault("http", provider="wavespeed", status=503, times=None)


@pytest.fixture
def sandbox(time: FakeClock) -> Sandbox:
    return Sandbox(clock=time.epoch)


@pytest.fixture
def ledger(tmp_path: Path, time: FakeClock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db", now=time.now) as opened:
        yield opened


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def desk(kit: Any, sandbox: Sandbox, time: FakeClock, told: list[Event]) -> Any:
    return kit.on(sandbox, clock=time, retries=Retries(), on_event=told.append)


def bought(sandbox: Sandbox) -> list[str]:
    return [submission.provider for submission in sandbox.submissions]


def failed(desk: Any, kind: type[ImageGenError] = AllRoutesFailedError, **options: Any) -> Any:
    with pytest.raises(kind) as caught:
        desk.generate(options.pop("request", "a fox"), **options)
    assert type(caught.value) is kind
    return caught.value


# Turning


def test_the_first_model_that_makes_it_is_the_only_one_asked(desk: Any, sandbox: Sandbox) -> None:
    generation = desk.generate("a fox", model=BOTH)
    assert (generation.provider, bought(sandbox)) == ("minimax", ["minimax"])
    assert len(generation.attempts) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (BUSY, "RateLimitError"),
        (Fault("insufficient_balance", provider="minimax"), "InsufficientBalanceError"),
        (Fault("code", provider="minimax", code=2049), "AuthenticationError"),
        (Fault("drop", provider="minimax"), "TransportError"),
    ],
)
def test_a_fault_of_the_provider_turns_to_the_next_and_both_attempts_are_told(
    desk: Any, sandbox: Sandbox, told: list[Event], fault: Fault, kind: str
) -> None:
    sandbox.inject(fault)
    generation = desk.generate("a fox", model=BOTH)
    assert bought(sandbox) == ["wavespeed"]
    assert [attempt.error for attempt in generation.attempts] == [kind, None]
    assert generation.cost.amount == PRICE
    (turned,) = [event for event in told if isinstance(event, FellBack)]
    assert (turned.model, turned.to, type(turned.error).__name__) == (A, B, kind)


def test_a_prediction_that_failed_and_is_refunded_turns(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("prediction_status"))
    generation = desk.generate("a fox", model=Route(models=[B, A]))
    assert bought(sandbox) == ["wavespeed", "minimax"]
    assert [a.charged for a in generation.attempts] == ["no", "yes"]
    assert generation.cost.amount == PRICE


def test_a_refusal_of_the_content_turns_only_if_asked(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("code", provider="minimax", code=1026, times=2))
    error = failed(desk, ContentPolicyError, model=BOTH)
    assert (bought(sandbox), error.charged) == ([], "no")
    asked = Route(models=[A, B], fallback_on=[ContentPolicyError])
    assert desk.generate("a fox", model=asked).provider == "wavespeed"


def test_what_the_caller_did_wrong_is_raised_as_it_is(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("code", provider="minimax", code=2013))
    failed(desk, InvalidRequestError, model=BOTH)
    assert bought(sandbox) == []


def test_an_error_says_what_was_tried_before_it(desk: Any, sandbox: Sandbox) -> None:
    blocked = Fault("code", provider="wavespeed", code=1200, status=400, message="flagged as odd")
    sandbox.inject(BUSY, blocked)
    error = failed(desk, ContentPolicyError, model=BOTH)
    assert [a.error for a in error.attempts] == ["RateLimitError", "ContentPolicyError"]
    assert "before that: minimax: " in "".join(error.__notes__)


@pytest.mark.parametrize("on_unknown", ["raise", "reconcile"])
def test_a_lost_answer_is_not_bought_elsewhere(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, on_unknown: Any
) -> None:
    sandbox.inject(Fault("drop", provider="minimax", accepted=True))
    desk = kit.on(sandbox, clock=time, ledger=ledger)
    route = Route(models=[A, B], on_unknown=on_unknown, fallback_on=[lambda _: True])
    error = failed(desk, SubmissionUnknownError, model=route)
    assert (bought(sandbox), error.charged) == (["minimax"], "unknown")


def test_spend_buys_elsewhere_at_the_risk_of_paying_twice(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("drop", provider="minimax", accepted=True))
    generation = desk.generate("a fox", model=Route(models=[A, B], on_unknown="spend"))
    assert bought(sandbox) == ["minimax", "wavespeed"]
    assert [a.charged for a in generation.attempts] == ["unknown", "yes"]
    assert generation.cost.amount is None


def test_reconcile_turns_once_the_submission_is_certainly_absent(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(Fault("http", provider="wavespeed", status=504, shape="html"))
    route = Route(models=[B, A], on_unknown="reconcile")
    generation = kit.on(sandbox, clock=time, ledger=ledger).generate("a fox", model=route)
    assert (generation.provider, bought(sandbox)) == ("minimax", ["minimax"])
    assert [row.state for row in ledger.entries().result(10)] == ["refused", "settled"]


def test_a_split_of_which_a_part_came_is_kept_and_does_not_turn(
    desk: Any, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("insufficient_balance", provider="minimax", after=1))
    generation = desk.generate(ImageRequest("a fox", n=18), model=BOTH)
    assert (len(generation.images), len(generation.failures)) == (9, 9)
    assert bought(sandbox) == ["minimax"]


def test_a_split_with_one_lost_part_does_not_turn_even_if_the_others_may(
    desk: Any, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("drop", provider="minimax", accepted=True), BUSY)
    error = failed(desk, SubmissionUnknownError, model=BOTH, request=ImageRequest("a fox", n=18))
    assert error.charged == "unknown"
    assert bought(sandbox) == ["minimax"]


# Predicates on results


def flagged(outcome: Generation | ImageGenError) -> bool:
    return isinstance(outcome, Generation) and any(image.nsfw for image in outcome.images)


PICKY = Route(models=[B, A], fallback_on=[flagged])


def test_a_result_that_a_predicate_rejects_is_paid_for_and_counted(
    desk: Any, sandbox: Sandbox, told: list[Event]
) -> None:
    sandbox.inject(Fault("moderated", provider="wavespeed", image=0))
    generation = desk.generate("a fox", model=PICKY)
    assert (generation.provider, bought(sandbox)) == ("minimax", ["wavespeed", "minimax"])
    assert generation.cost.amount == 2 * PRICE
    assert [attempt.images for attempt in generation.attempts] == [1, 1]
    (turned,) = [event for event in told if isinstance(event, FellBack)]
    assert "which fallback_on rejected" in str(turned.error)


def test_a_rejected_result_is_not_lost_if_nothing_better_comes(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("moderated", provider="wavespeed", image=0))
    sandbox.inject(Fault("drop", provider="minimax", times=None))
    route = Route(models=[B, A], fallback_on=[flagged, TransportError])
    error = failed(desk, model=route)
    (rejected,) = error.rejected
    assert (rejected.provider, len(rejected.images), error.charged) == ("wavespeed", 1, "yes")
    assert error.exceptions[0].job == rejected.job


def test_a_rejected_result_is_not_lost_if_the_next_model_fails_for_good(
    desk: Any, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("moderated", provider="wavespeed", image=0))
    sandbox.inject(Fault("code", provider="minimax", code=1026))
    error = failed(desk, model=PICKY)
    assert [type(e) for e in error.exceptions] == [ImageGenError, ContentPolicyError]
    assert (len(error.rejected), error.charged) == (1, "yes")
    assert error.exceptions[0].job == error.rejected[0].job


def test_a_job_that_goes_on_is_not_lost_if_the_time_is_up_at_the_next_model(
    kit: Any, time: FakeClock
) -> None:
    sandbox = Sandbox(latency=60, clock=time.epoch)
    desk = kit.on(sandbox, clock=time)
    error = failed(desk, model=Route(models=[B, A], on_unknown="spend"), timeout=30)
    first, second = error.exceptions
    assert isinstance(first, DeadlineExceededError)
    assert isinstance(second, DeadlineExceededError)
    assert first.job is not None
    assert (first.job.id, second.job) == (sandbox.submissions[0].id, None)
    assert (error.charged, second.charged) == ("yes", "no")


def test_a_predicate_that_raises_keeps_what_was_bought(desk: Any, sandbox: Sandbox) -> None:
    route = Route(models=[A, B], fallback_on=lambda made: made.no_such_field)
    assert desk.generate("a fox", model=route).provider == "minimax"
    assert bought(sandbox) == ["minimax"]


# Models that are passed over


def test_a_missing_key_passes_a_model_over(
    kit: Any, sandbox: Sandbox, time: FakeClock, told: list[Event]
) -> None:
    backends = [MiniMax(), WaveSpeed(api_key="sandbox", base_url=sandbox.origin)]
    watched = kit.watched(sandbox, time)
    desk = kit.desk(backends, watched=watched, clock=time, on_event=told.append)
    generation = desk.generate("a fox", model=BOTH)
    skipped, made = generation.attempts
    assert (skipped.provider, skipped.n, skipped.error) == ("minimax", 0, "ConfigurationError")
    assert (skipped.message, skipped.charged) == ("there is no API key", "no")
    assert (made.error, generation.cost.amount) == (None, PRICE)
    assert not [event for event in told if isinstance(event, FellBack)]


def test_what_a_model_cannot_express_passes_it_over(desk: Any, sandbox: Sandbox) -> None:
    request = ImageRequest("a fox", size="1000x700")
    generation = desk.generate(request, model=Route(models=[A, C, B]), unsupported="adjust")
    skipped = generation.attempts[0]
    assert (skipped.error, skipped.n) == ("UnsupportedFeatureError", 0)
    assert "1000x700" in str(skipped.message)
    assert bought(sandbox) == ["wavespeed"]


def test_when_every_model_is_passed_over_the_error_names_each(desk: Any, sandbox: Sandbox) -> None:
    error = failed(desk, model=Route(models=[A, B]), request=ImageRequest("a fox", size="1000x700"))
    assert [type(e) for e in error.exceptions] == [UnsupportedFeatureError] * 2
    assert (error.charged, bought(sandbox)) == ("no", [])
    for name in (A, B):
        assert f"{name}: size: 1000x700" in error.message.replace("/text-to-image", "")


def test_an_error_names_the_model_of_a_missing_key(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    desk = kit.desk([MiniMax()], watched=kit.watched(sandbox, time), clock=time)
    error = failed(desk, model=Route(models=[A]))
    assert "minimax:image-01: there is no API key" in error.message
    assert "None" not in str(error)


@pytest.mark.parametrize("wrong", ["minimx:image-01", "image-01", "", ":", " minimax:image-01"])
def test_a_typo_in_a_model_string_is_raised_at_once(desk: Any, wrong: str) -> None:
    error = failed(desk, ConfigurationError, model=Route(models=[A, wrong]))
    assert (error.field, desk.requests) == ("model", [])


# What it may cost


def test_max_cost_holds_for_all_attempts_together(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("moderated", provider="wavespeed", image=0, times=None))
    error = failed(desk, model=PICKY, max_cost="0.006")
    assert bought(sandbox) == ["wavespeed"]
    assert [a.error for a in error.attempts] == ["ImageGenError", "BudgetExceededError"]
    assert isinstance(error.exceptions[1], BudgetExceededError)
    assert len(error.rejected) == 1
    assert desk.generate("a fox", model=PICKY, max_cost="0.007").provider == "minimax"


@pytest.mark.parametrize("digits", [1, 28])
def test_max_cost_is_reckoned_exactly_whatever_the_callers_context(
    desk: Any, sandbox: Sandbox, digits: int
) -> None:
    route = Route(models=[A, B], fallback_on=[lambda made: isinstance(made, Generation)])
    request = ImageRequest("a fox", n=7)  # 0.0245, which is 0.02 to one digit
    with localcontext(prec=digits):
        error = failed(desk, request=request, model=route, max_cost="0.0489")
    assert isinstance(error.exceptions[-1], BudgetExceededError)
    assert bought(sandbox) == ["minimax"]


def test_max_cost_counts_the_unknown_in_full(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("drop", provider="minimax", accepted=True, times=None))
    route = Route(models=[A, B], on_unknown="spend", max_cost="0.006")
    error = failed(desk, model=route)
    assert bought(sandbox) == ["minimax"]
    assert [a.error for a in error.attempts] == ["SubmissionUnknownError", "BudgetExceededError"]
    assert error.charged == "unknown"


def test_max_cost_does_not_count_what_was_refused(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(BUSY)
    assert desk.generate("a fox", model=BOTH, max_cost="0.0035").provider == "wavespeed"


@pytest.mark.parametrize(
    ("route", "call"), [("0.003", None), (None, "0.003"), ("1", "0.003"), ("0.003", "1")]
)
def test_the_lower_of_two_max_costs_holds(
    desk: Any, sandbox: Sandbox, route: str | None, call: str | None
) -> None:
    failed(desk, model=Route(models=[A, B], max_cost=route), max_cost=call)
    assert bought(sandbox) == []


def test_a_model_beyond_max_cost_is_passed_over_for_one_within(desk: Any, sandbox: Sandbox) -> None:
    generation = desk.generate(
        "a fox", model=Route(models=[C, A], max_cost="0.005"), unsupported="adjust"
    )
    assert (generation.provider, bought(sandbox)) == ("minimax", ["minimax"])
    assert generation.attempts[0].error == "BudgetExceededError"


def test_max_cost_passes_a_model_of_unknown_price_over(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    desk = kit.on(sandbox, clock=time)
    live = Route(models=["minimax:image-01-live", A], max_cost="9")
    generation = desk.generate("a fox", model=live)
    assert [a.error for a in generation.attempts] == ["BudgetExceededError", None]


def test_the_budget_of_the_client_ends_a_route(kit: Any, sandbox: Sandbox, time: FakeClock) -> None:
    desk = kit.on(sandbox, clock=time, budget="0.003")
    failed(desk, BudgetExceededError, model=BOTH)
    assert desk.requests == []


# Waiting


def test_a_rate_limited_model_is_not_waited_for_while_another_is_left(
    desk: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.inject(BUSY)
    desk.generate("a fox", model=BOTH)
    assert [path for path in desk.sent if "image_generation" in path] == [
        "POST /v1/image_generation"
    ]
    assert time.monotonic() <= 2.0


def test_the_last_model_is_waited_for(
    desk: Any, sandbox: Sandbox, time: FakeClock, told: list[Event]
) -> None:
    sandbox.inject(BUSY, Fault("rate_limit", provider="wavespeed", retry_after=20))
    generation = desk.generate("a fox", model=BOTH)
    assert (generation.provider, bought(sandbox)) == ("wavespeed", ["wavespeed"])
    assert time.monotonic() >= 20
    kinds = [type(e) for e in told if isinstance(e, (FellBack, Retried, Failed))]
    assert kinds == [Failed, FellBack, Retried]
    assert len(generation.attempts) == 3


def test_if_the_last_model_is_passed_over_the_one_before_was_not_waited_for(
    desk: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    """A limit of routes, and documented as one."""
    sandbox.inject(Fault("insufficient_balance", provider="wavespeed"))
    failed(desk, InsufficientBalanceError, model=B)
    sandbox.inject(Fault("rate_limit", provider="minimax"))
    error = failed(desk, model=BOTH)
    assert [a.error for a in error.attempts] == ["RateLimitError", "ProviderUnavailableError"]
    assert (bought(sandbox), time.monotonic()) == ([], 0.0)


# Health


def test_a_model_that_fails_is_left_alone_and_tried_again(
    desk: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.inject(Fault("insufficient_balance", provider="minimax"))
    assert desk.generate("a fox", model=BOTH).provider == "wavespeed"
    assert desk.client.health()[A].state == "open"
    second = desk.generate("a fox", model=BOTH)
    assert second.provider == "wavespeed"
    assert "left alone for" in str(second.attempts[0].message)
    assert "InsufficientBalanceError" in str(second.attempts[0].message)
    time.sleep(300)
    assert desk.client.health()[A].state == "half-open"
    assert desk.generate("a fox", model=BOTH).provider == "minimax"
    assert desk.client.health()[A].state == "closed"


def test_turning_names_the_error_of_the_model_turned_from(
    desk: Any, sandbox: Sandbox, told: list[Event]
) -> None:
    """Also where a model between the two was passed over."""
    sandbox.inject(Fault("http", provider="wavespeed", status=402))
    failed(desk, InsufficientBalanceError, model=C, unsupported="adjust")
    sandbox.inject(Fault("rate_limit", provider="minimax"))
    told.clear()
    desk.generate("a fox", model=Route(models=[A, C, B]), unsupported="adjust")
    (turned,) = [event for event in told if isinstance(event, FellBack)]
    assert (turned.model, turned.to, type(turned.error)) == (A, B, RateLimitError)


def test_a_model_that_was_named_alone_is_asked_however_it_did(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("insufficient_balance", provider="minimax"))
    failed(desk, InsufficientBalanceError, model=A)
    assert desk.generate("a fox", model=A).provider == "minimax"


def test_an_interruption_gives_the_probe_back(kit: Any, sandbox: Sandbox, time: FakeClock) -> None:
    def listen(_: Event) -> None:
        if time.monotonic() == 300:
            raise SystemExit

    sandbox.inject(Fault("insufficient_balance", provider="minimax"))
    desk = kit.on(sandbox, clock=time, on_event=listen)
    failed(desk, InsufficientBalanceError, model=A)
    time.sleep(300)
    with pytest.raises(SystemExit):
        desk.generate("a fox", model=BOTH)
    time.sleep(1)
    assert desk.generate("a fox", model=BOTH).provider == "minimax"


def test_health_tells_how_each_model_does(desk: Any, sandbox: Sandbox) -> None:
    sandbox.latency = 4.0
    sandbox.inject(BUSY)
    desk.generate("a fox", model=BOTH)
    health = desk.client.health()
    assert health[A].last_error == "RateLimitError"
    assert (health[B].state, health[B].failures_in_a_row) == ("closed", 0)
    assert health[B].seconds >= 4.0


def test_the_fastest_is_learnt(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("slow", provider="minimax", seconds=60))
    route = Route(models=[A, B], strategy="fastest")
    made = [desk.generate("a fox", model=route).provider for _ in range(3)]
    assert made == ["minimax", "wavespeed", "wavespeed"]


# When nothing comes


def test_the_group_has_one_error_for_each_model_and_every_attempt(
    desk: Any, sandbox: Sandbox
) -> None:
    sandbox.inject(BUSY, DOWN)
    error = failed(desk, model=BOTH)
    assert [type(e) for e in error.exceptions] == [RateLimitError, ProviderUnavailableError]
    assert [a.error for a in error.attempts] == ["RateLimitError"] + [
        "ProviderUnavailableError"
    ] * 3
    assert (error.charged, error.rejected, bought(sandbox)) == ("no", (), [])
    assert "minimax:image-01: " in error.message


def test_except_star_takes_the_group_apart(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(BUSY, DOWN)
    caught: list[str] = []
    try:
        desk.generate("a fox", model=BOTH)
    except* RateLimitError as busy:
        caught += [type(e).__name__ for e in busy.exceptions]
    except* ProviderUnavailableError as down:
        caught += [type(e).__name__ for e in down.exceptions]
    assert caught == ["RateLimitError", "ProviderUnavailableError"]


def test_the_group_is_charged_as_the_gravest_of_its_errors(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(BUSY, Fault("prediction_status", prediction_status="cancelled"))
    error = failed(desk, model=BOTH)
    assert [e.charged for e in error.exceptions] == ["no", "unknown"]
    assert error.charged == "unknown"
    assert error.exceptions[1].job.id == sandbox.submissions[0].id


# Submitting


def test_a_route_submits_too(desk: Any, sandbox: Sandbox, told: list[Event]) -> None:
    sandbox.inject(BUSY)
    job = desk.submit("a fox", model=BOTH)
    assert (job.provider, job.id) == ("wavespeed", sandbox.submissions[0].id)
    assert len([event for event in told if isinstance(event, FellBack)]) == 1
    assert len(desk.result(job).images) == 1


def test_predicates_are_not_asked_about_a_job(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("moderated", provider="wavespeed", image=0))
    job = desk.submit("a fox", model=PICKY)
    assert desk.result(job).images[0].nsfw
    assert bought(sandbox) == ["wavespeed"]


def test_a_route_that_cannot_submit_raises_the_group(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(BUSY, DOWN)
    with pytest.raises(AllRoutesFailedError) as caught:
        desk.submit("a fox", model=BOTH)
    assert len(caught.value.exceptions) == 2
    assert bought(sandbox) == []


# The ledger


def test_every_submission_of_a_route_has_a_row(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(Fault("rate_limit", provider="minimax"))
    kit.on(sandbox, clock=time, ledger=ledger).generate("a fox", model=BOTH)
    rows = [(row.provider, row.state) for row in ledger.entries().result(10)]
    assert rows == [("minimax", "refused"), ("wavespeed", "settled")]


# Parts


def incomplete(outcome: Generation | ImageGenError) -> bool:
    return isinstance(outcome, Generation) and bool(outcome.failures)


def test_no_predicate_rejects_a_result_while_a_part_of_it_may_still_be_billed(
    desk: Any, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("drop", accepted=True, after=1))
    route = Route(models=[A, B], fallback_on=[incomplete])
    generation = desk.generate(ImageRequest("a fox", n=12), model=route)
    assert generation.provider == "minimax"
    assert {failure.charged for failure in generation.failures} == {"unknown"}
    assert bought(sandbox) == ["minimax", "minimax"]


def test_parts_that_all_ended_without_pictures_turn_to_the_next_model(
    desk: Any, sandbox: Sandbox
) -> None:
    ended = Fault("prediction_status", step="submit", prediction_status="failed")
    sandbox.inject(ended, Fault("insufficient_balance", provider="wavespeed"))
    route = Route(models=[B, A])
    generation = desk.generate(ImageRequest("a fox", n=12), model=route)
    assert generation.provider == "minimax"
    errors = {attempt.error for attempt in generation.attempts}
    assert errors == {"JobFailedError", "InsufficientBalanceError", None}
