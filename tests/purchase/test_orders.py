from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from imagegen import ImageRequest, MiniMax, WaveSpeed
from imagegen.backends.base import Terms
from imagegen.errors import (
    BudgetExceededError,
    ConfigurationError,
    DeadlineExceededError,
    ImageGenError,
    InvalidRequestError,
    RateLimitError,
    SubmissionUnknownError,
    UnsupportedFeatureError,
)
from imagegen.events import Submitted, Submitting
from imagegen.flow import Call, advance
from imagegen.purchase.buying import Buyer, Conditions
from imagegen.purchase.joining import composite, failure_of, fetched, joined
from imagegen.purchase.orders import Order, order, split
from imagegen.purchase.plans import Outcome
from imagegen.purchase.policy import NEVER
from imagegen.result import Cost, GeneratedImage, Generation, Job
from imagegen.testing import EPOCH, FakeClock, reply

BACKEND = MiniMax(api_key="made-up-key-of-a-test")
REQUEST = ImageRequest("a fox", n=20, seed=100)


def made(request: ImageRequest = REQUEST, **options: Any) -> Order:
    terms = options.pop("terms", Terms())
    max_cost = options.pop("max_cost", None)
    backend = options.pop("backend", BACKEND)
    return order(backend, options.pop("model", "image-01"), request, terms, max_cost)


def delivered(part: ImageRequest, job: Job | None = None) -> Generation:
    return Generation(
        images=tuple(GeneratedImage(seed=part.seed) for _ in range(part.n)),
        cost=Cost(amount=Decimal("0.0035") * part.n, currency="USD", basis="list-price"),
        provider="minimax",
        model="image-01",
        request=part,
        job=job,
    )


def job_of(part: ImageRequest, identity: str) -> Job:
    return Job(provider="minimax", model="image-01", id=identity, request=part)


def lost(error: ImageGenError, seconds: float = 1.0) -> Outcome[Any]:
    return Outcome(None, error, seconds)


# Splitting


@pytest.mark.parametrize(
    ("n", "most", "parts"),
    [(1, 9, [1]), (9, 9, [9]), (10, 9, [9, 1]), (20, 9, [9, 9, 2]), (3, 1, [1, 1, 1])],
)
def test_a_request_is_cut_into_parts_in_order(n: int, most: int, parts: list[int]) -> None:
    assert [part.n for part in split(ImageRequest("a fox", n=n), most)] == parts


def test_seeds_count_on_from_part_to_part() -> None:
    assert [part.seed for part in split(REQUEST, 9)] == [100, 109, 118]


def test_parts_without_a_seed_have_none() -> None:
    assert {part.seed for part in split(ImageRequest("a fox", n=20), 9)} == {None}


def test_the_last_seed_of_a_split_may_be_the_largest() -> None:
    last = split(ImageRequest("a fox", n=10, seed=2**63 - 10), 9)[-1]
    assert last.seed == 2**63 - 1


def test_the_list_cost_counts_every_picture_exactly() -> None:
    assert made().list_cost == Cost(amount=Decimal("0.0700"), currency="USD", basis="list-price")


# What is refused before anything is sent


@pytest.mark.parametrize("max_cost", ["0.07", Decimal("0.07"), 0.07, 1, "1e3"])
def test_a_cost_within_its_limit_passes(max_cost: Any) -> None:
    assert len(made(max_cost=max_cost).parts) == 3


@pytest.mark.parametrize("max_cost", ["0.0699999", 0, "0", Decimal("0.01"), 0.0699])
def test_a_cost_above_its_limit_is_refused(max_cost: Any) -> None:
    with pytest.raises(BudgetExceededError, match=r"would cost 0\.0700 USD") as caught:
        made(max_cost=max_cost)
    assert (caught.value.field, caught.value.charged) == ("max_cost", "no")
    assert (caught.value.provider, caught.value.model) == ("minimax", "image-01")


def test_an_unknown_price_cannot_be_promised() -> None:
    with pytest.raises(BudgetExceededError, match="price is unknown"):
        made(model="image-01-live", max_cost="1000")


@pytest.mark.parametrize("max_cost", ["five", "", "-1", float("nan"), "Infinity", [], True, "NaN"])
def test_a_max_cost_that_is_no_amount_is_refused(max_cost: Any) -> None:
    with pytest.raises(InvalidRequestError, match="max_cost must be an amount") as caught:
        made(max_cost=max_cost)
    assert caught.value.field == "max_cost"


def test_a_missing_key_is_refused_and_its_variable_named() -> None:
    with pytest.raises(ConfigurationError, match="WAVESPEED_API_KEY") as caught:
        made(backend=WaveSpeed(), model="minimax/image-01")
    assert (caught.value.provider, caught.value.field) == ("wavespeed", "api_key")


def test_the_last_part_is_checked_too() -> None:
    """Three pictures of a model that makes pairs are a pair and one that cannot be."""
    backend = WaveSpeed(api_key="made-up-key-of-a-test")
    pairs = "google/nano-banana-pro/text-to-image-multi"
    request = ImageRequest("a fox", n=3, aspect_ratio="3:2")
    with pytest.raises(UnsupportedFeatureError, match="1 is not 2–2") as caught:
        made(request, backend=backend, model=pairs)
    assert caught.value.field == "n"


# Joining


def test_what_the_parts_brought_is_joined_in_order() -> None:
    whole = made()
    outcomes = [Outcome(delivered(part), None, 1.0) for part in whole.parts]
    generation = whole.joined(outcomes)
    assert [image.seed for image in generation.images] == [100] * 9 + [109] * 9 + [118] * 2
    assert generation.cost == Cost(amount=Decimal("0.0700"), currency="USD", basis="list-price")
    assert generation.request == REQUEST
    (notice,) = generation.notices
    assert (notice.kind, notice.field) == ("adjusted", "seed")
    assert "100, 109, 118" in notice.message


def test_a_single_part_is_itself() -> None:
    whole = made(ImageRequest("a fox", seed=1))
    generation = whole.joined([Outcome(delivered(whole.parts[0]), None, 1.0)])
    assert generation.notices == ()
    assert generation.job is None


def test_a_refused_part_costs_nothing_and_leaves_the_sum_known() -> None:
    whole = made()
    error = RateLimitError("busy", provider="minimax")
    first, second, third = whole.parts
    generation = whole.joined(
        [Outcome(delivered(first), None, 1.0), lost(error), Outcome(delivered(third), None, 1.0)]
    )
    assert len(generation.images) == 11
    assert [failure.index for failure in generation.failures] == list(range(9, 18))
    assert {(f.error, f.charged) for f in generation.failures} == {("RateLimitError", "no")}
    assert generation.attempts[-1].error == "RateLimitError"
    assert generation.attempts[-1].n == second.n
    assert (generation.cost.amount, generation.cost.currency) == (Decimal("0.0385"), "USD")


def test_a_part_of_unknown_outcome_makes_the_sum_unknown() -> None:
    whole = made()
    fine = [Outcome(delivered(part), None, 1.0) for part in whole.parts[:2]]
    generation = whole.joined([*fine, lost(SubmissionUnknownError("gone"))])
    assert generation.cost == Cost()
    assert {f.charged for f in generation.failures} == {"unknown"}


def test_a_part_that_was_charged_in_vain_costs_its_list_price() -> None:
    whole = made()
    job = job_of(whole.parts[2], "third")
    error = DeadlineExceededError("late", charged="yes", job=job)
    fine = [Outcome(delivered(part), None, 1.0) for part in whole.parts[:2]]
    generation = whole.joined([*fine, lost(error)])
    assert generation.cost.amount == Decimal("0.0700")
    assert {f.job for f in generation.failures} == {job}
    assert generation.job == job


def test_a_part_in_vain_without_a_price_makes_the_sum_unknown() -> None:
    whole = made(model="image-01-live")
    fine = Outcome(delivered(whole.parts[0]), None, 1.0)
    errors = [lost(DeadlineExceededError("late", charged="yes")) for _ in whole.parts[1:]]
    assert whole.joined([fine, *errors]).cost == Cost()


def test_if_the_first_part_is_lost_the_others_keep_their_places() -> None:
    whole = made()
    fine = [Outcome(delivered(part), None, 1.0) for part in whole.parts[1:]]
    generation = whole.joined([lost(RateLimitError("busy")), *fine])
    assert [f.index for f in generation.failures] == list(range(9))
    assert [image.seed for image in generation.images] == [109] * 9 + [118] * 2
    assert (generation.provider, generation.model) == ("minimax", "image-01")


def test_a_part_s_own_failures_are_counted_from_the_beginning() -> None:
    whole = made()
    broken = failure_of(RateLimitError("x"), 1)
    hidden = evolve(broken, index=None)
    second = evolve(delivered(whole.parts[1]), failures=(broken, hidden))
    parts = [delivered(whole.parts[0]), second, delivered(whole.parts[2])]
    assert [f.index for f in joined(parts, REQUEST).failures] == [10, None]


# When nothing came


def test_the_gravest_error_is_raised_with_a_note_of_the_others() -> None:
    errors = [
        RateLimitError("first"),
        SubmissionUnknownError("second"),
        DeadlineExceededError("third", charged="yes"),
    ]
    with pytest.raises(SubmissionUnknownError, match="second") as caught:
        made().joined([lost(error) for error in errors])
    notes = " ".join(caught.value.__notes__)
    assert "first" in notes
    assert "third" in notes
    assert "second" not in notes


def test_an_error_about_money_is_graver_than_a_refusal() -> None:
    errors = [RateLimitError("first"), DeadlineExceededError("second", charged="yes")]
    with pytest.raises(DeadlineExceededError, match="second"):
        made(ImageRequest("a fox", n=10)).joined([lost(error) for error in errors])


def test_the_error_raised_carries_every_job_of_the_parts() -> None:
    whole = made()
    jobs = [job_of(part, f"job-{k}") for k, part in enumerate(whole.parts)]
    errors = [DeadlineExceededError("late", charged="yes", job=job) for job in jobs]
    with pytest.raises(DeadlineExceededError) as caught:
        whole.joined([lost(error) for error in errors])
    assert caught.value.job is not None
    assert caught.value.job.parts == tuple(jobs)
    assert caught.value.job.request.n == 20


@pytest.mark.parametrize("grave", [SubmissionUnknownError("gone"), RateLimitError("busy")])
def test_the_error_raised_carries_the_only_job_of_the_parts(grave: ImageGenError) -> None:
    whole = made(ImageRequest("a fox", n=10))
    job = job_of(whole.parts[1], "accepted")
    late = DeadlineExceededError("late", charged="yes", job=job)
    with pytest.raises(ImageGenError) as caught:
        whole.joined([lost(grave), lost(late)])
    assert caught.value.job == job


def test_if_no_part_was_submitted_the_gravest_error_is_raised() -> None:
    with pytest.raises(SubmissionUnknownError):
        made().joined_jobs(
            [
                lost(RateLimitError("x")),
                lost(SubmissionUnknownError("y")),
                lost(RateLimitError("z")),
            ]
        )


# Jobs


def test_the_jobs_of_the_parts_are_one_composite_job() -> None:
    whole = made()
    jobs = [job_of(part, f"job-{k}") for k, part in enumerate(whole.parts)]
    job = whole.joined_jobs([Outcome(job, None, 1.0) for job in jobs])
    assert job.id == "job-0,job-1,job-2"
    assert job.parts == tuple(jobs)
    assert job.request == REQUEST
    assert Job.from_json(job.to_json()) == job


def test_a_refused_part_of_a_composite_job_is_settled_with_its_failures() -> None:
    whole = made()
    fine = [Outcome(job_of(part, "fine"), None, 1.0) for part in whole.parts[:2]]
    job = whole.joined_jobs([*fine, lost(RateLimitError("busy"))])
    assert job.parts[2].settled is not None
    assert [f.error for f in job.parts[2].settled.failures] == ["RateLimitError"] * 2
    assert job.id == "fine,fine"
    assert Job.from_json(job.to_json()) == job


def test_a_part_that_was_accepted_before_it_failed_keeps_its_job() -> None:
    whole = made(ImageRequest("a fox", n=10))
    accepted = job_of(whole.parts[1], "accepted")
    error = DeadlineExceededError("late", charged="yes", job=accepted)
    fine = Outcome(job_of(whole.parts[0], "fine"), None, 1.0)
    assert whole.joined_jobs([fine, lost(error)]).parts[1] == accepted


def test_a_composite_of_one_job_is_that_job() -> None:
    job = job_of(REQUEST, "only")
    assert composite([job], REQUEST) is job


# Fetching


def test_a_picture_that_could_not_be_fetched_is_kept_with_a_notice() -> None:
    generation = delivered(ImageRequest("a fox", n=2))
    came = GeneratedImage(data=b"\xff\xd8\xff")
    outcomes: list[Outcome[GeneratedImage]] = [
        Outcome(came, None, 1.0),
        Outcome(None, RateLimitError("busy"), 1.0),
    ]
    result = fetched(generation, outcomes)
    assert result.images == (came, generation.images[1])
    (notice,) = result.notices
    assert "image 1 could not be fetched (busy)" in notice.message


def test_an_interruption_as_soon_as_the_job_is_known_names_it() -> None:
    backend = WaveSpeed(api_key="k")
    made = order(backend, "minimax/image-01", ImageRequest("a"), Terms(), None)
    conditions = Conditions(retries=NEVER, on_unknown="raise", until=EPOCH)
    flow = Buyer(FakeClock(), trusted=()).job(made, made.parts[0], conditions)
    assert isinstance(advance(flow), Submitting)
    assert isinstance(advance(flow), Call)
    envelope = {"code": 200, "data": {"id": "0123abcd", "status": "created"}}
    assert isinstance(advance(flow, reply(envelope)), Submitted)
    with pytest.raises(KeyboardInterrupt) as caught:
        advance(flow, KeyboardInterrupt())
    assert "job 0123abcd was accepted" in "".join(caught.value.__notes__)


def test_a_picture_of_another_size_is_named_by_its_place_in_the_whole_request() -> None:
    request = ImageRequest("a", n=12, size="512x512")
    made = order(MiniMax(api_key="k"), "image-01", request, Terms(), None)

    def outcome(part: ImageRequest, side: int) -> Outcome[Generation]:
        images = (GeneratedImage(width=side, height=side),) * part.n
        value = Generation(provider="minimax", model="image-01", request=part, images=images)
        return Outcome(value, None, 1.0)

    whole = made.joined([outcome(made.parts[0], 512), outcome(made.parts[1], 8)])
    told = [notice.message for notice in whole.notices]
    assert told == [f"image {k} came as 8x8, not 512x512" for k in (9, 10, 11)]
