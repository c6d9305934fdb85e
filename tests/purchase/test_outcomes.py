"""How a submission ended: what is listed is as listed, and everything else is ambiguous."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given, strategies as st

from imagegen import errors
from imagegen.backends.base import attached
from imagegen.backends.carrying import carried, carry
from imagegen.errors import (
    AllRoutesFailedError,
    AuthenticationError,
    BackendError,
    BudgetExceededError,
    Charged,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.purchase.outcomes import (
    ENDINGS,
    REPEATABLE,
    Ending,
    ending,
    is_open,
    repeatable,
    unexpected,
)
from imagegen.redaction import hide_prompts, prompts_hidden
from imagegen.request import ImageRequest
from imagegen.result import Job

JOB = Job(provider="wavespeed", model="m", id="job-1", request=ImageRequest("a fox"))
CLASSES = sorted(
    (
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ImageGenError)
    ),
    key=lambda kind: kind.__name__,
)
CHARGES: tuple[Charged, ...] = get_args(Charged)
TELLS_SENT = (DeadlineExceededError, TransportError)

PASSES: tuple[type[ImageGenError], ...] = (DeadlineExceededError, RateLimitError, TransportError)
SAID_NO: tuple[type[ImageGenError], ...] = (
    AuthenticationError,
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    ContentPolicyError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    ProviderUnavailableError,
    UnsupportedFeatureError,
)
LISTED: dict[tuple[type[ImageGenError], Charged], Ending] = {
    **{(kind, "no"): "not accepted" for kind in PASSES},
    **{(kind, "no"): "definite" for kind in SAID_NO},
    (ContentPolicyError, "unknown"): "definite",
    (ContentPolicyError, "yes"): "definite",
    (JobFailedError, "unknown"): "definite",
    (MalformedReplyError, "yes"): "definite",
}
CASES = [
    (kind, charged, sent, job)
    for kind, charged, sent, job in product(CLASSES, CHARGES, (False, True), (None, JOB))
    if kind in TELLS_SENT or not sent
]


def made(kind: type[ImageGenError], charged: Charged, job: Job | None, *, sent: bool) -> Any:
    told: dict[str, Any] = {"charged": charged, "job": job}
    if issubclass(kind, TELLS_SENT):
        told["sent"] = sent
    if issubclass(kind, AllRoutesFailedError):
        return kind("all failed", [RateLimitError("busy")], **told)
    return kind("no", **told)


def expected(kind: type[ImageGenError], charged: Charged, job: Job | None, *, sent: bool) -> Ending:
    listed = LISTED.get((kind, charged))
    if job is None:
        return "ambiguous" if sent or listed is None else listed
    if listed == "definite":
        return listed
    return "accepted" if charged == "yes" else "ambiguous"


@pytest.mark.parametrize(("kind", "charged", "sent", "job"), CASES)
def test_every_combination_ends_as_listed_or_is_ambiguous(
    kind: type[ImageGenError], charged: Charged, job: Job | None, *, sent: bool
) -> None:
    error = made(kind, charged, job, sent=sent)
    assert ending(error) == expected(kind, charged, job, sent=sent)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_job_that_goes_on_is_accepted_whatever_ended_the_waiting(
    kind: type[ImageGenError],
) -> None:
    with pytest.raises(ImageGenError) as caught, attached(JOB):
        raise made(kind, "no", None, sent=False)
    assert ending(caught.value) == "accepted"


def test_the_table_lists_nothing_else() -> None:
    assert dict(ENDINGS) == LISTED


@pytest.mark.parametrize(("kind", "charged", "sent", "job"), CASES)
def test_only_a_passing_refusal_without_a_purchase_is_repeated(
    kind: type[ImageGenError], charged: Charged, job: Job | None, *, sent: bool
) -> None:
    passing = kind in {ProviderUnavailableError, RateLimitError, TransportError}
    unspent = charged == "no" and job is None and not sent
    assert repeatable(made(kind, charged, job, sent=sent)) == (passing and unspent)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("charged", CHARGES)
def test_a_subclass_that_nobody_listed_is_ambiguous(
    kind: type[ImageGenError], charged: Charged
) -> None:
    other: type[ImageGenError] = type("OtherError", (kind,), {})
    error = made(other, charged, None, sent=False)
    assert (ending(error), repeatable(error)) == ("ambiguous", False)


def test_a_subclass_whose_job_goes_on_is_accepted() -> None:
    other: type[ImageGenError] = type("OtherError", (RateLimitError,), {})
    assert ending(other("busy", job=JOB, charged="yes")) == "accepted"


def test_a_job_refutes_that_nothing_was_accepted() -> None:
    assert ending(RateLimitError("busy", job=JOB, charged="no")) == "ambiguous"


@pytest.mark.parametrize(("kind", "charged", "sent", "job"), CASES)
def test_what_may_still_be_made_and_billed_is_open(
    kind: type[ImageGenError], charged: Charged, job: Job | None, *, sent: bool
) -> None:
    still = expected(kind, charged, job, sent=sent) in {"accepted", "ambiguous"}
    assert is_open(made(kind, charged, job, sent=sent)) is still


# A backend's own bug


@pytest.fixture
def hidden() -> Iterator[None]:
    before = prompts_hidden()
    hide_prompts()
    yield
    hide_prompts(hide=before)


def test_a_bug_is_told_with_its_words_its_cause_and_its_notes() -> None:
    bug = KeyError("pictures")
    bug.add_note("the job is job-1")
    bug.add_note("it may go on")
    error = unexpected(bug)
    assert (type(error), str(error)) == (BackendError, "KeyError: 'pictures'")
    assert error.__cause__ is bug
    assert error.__notes__ == ["the job is job-1", "it may go on"]


def test_a_bug_without_notes_has_none() -> None:
    assert not hasattr(unexpected(KeyError("pictures")), "__notes__")


def test_a_bug_that_carries_a_job_hands_it_on() -> None:
    bug = KeyError("pictures")
    carry(JOB, bug)
    error = unexpected(bug)
    assert (error.job, carried(error)) == (JOB, JOB)
    assert carried(unexpected(KeyError("pictures"))) is None


def test_nobody_knows_what_a_bug_has_cost() -> None:
    error = unexpected(KeyError("pictures"))
    assert (error.charged, ending(error)) == ("unknown", "ambiguous")


@pytest.mark.usefixtures("hidden")
def test_of_a_bug_that_may_quote_the_prompt_only_its_kind_is_told() -> None:
    error = unexpected(KeyError("a fox"))
    assert (str(error), error.__cause__) == ("KeyError", None)


@given(
    kind=st.sampled_from(CLASSES),
    derived=st.booleans(),
    charged=st.sampled_from(CHARGES),
    sent=st.booleans(),
    job=st.sampled_from([None, JOB]),
    advice=st.text(max_size=5),
)
def test_nothing_that_may_have_cost_money_is_ever_repeatable(
    *,
    kind: type[ImageGenError],
    derived: bool,
    charged: Charged,
    sent: bool,
    job: Job | None,
    advice: str,
) -> None:
    actual = type("OtherError", (kind,), {}) if derived else kind
    error = made(actual, charged, job, sent=sent)
    error.advice = advice
    if repeatable(error):
        assert (error.charged, error.job, getattr(error, "sent", False)) == ("no", None, False)
        assert type(error) in REPEATABLE
        assert ending(error) in {"not accepted", "definite"}
