"""The ledger as flows use it: how each ending becomes a row, and what a broken ledger costs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from imagegen import (
    BudgetExceededError,
    ConfigurationError,
    ContentPolicyError,
    Cost,
    DeadlineExceededError,
    GeneratedImage,
    Generation,
    ImageGenError,
    ImageRequest,
    InvalidRequestError,
    Job,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
)
from imagegen.flow import advance
from imagegen.ledger import Budget, Entry, Ledger
from imagegen.purchase.bookkeeping import Books
from imagegen.testing import EPOCH, play

REQUEST = ImageRequest("a red fox")
PRICE = Cost(amount=Decimal("0.0035"), currency="USD", basis="list-price")
JOB = Job(provider="wavespeed", model="m", id="job-1", request=REQUEST)
MADE = Generation(
    images=(GeneratedImage(url="https://cdn.example/1.jpg"),),
    cost=PRICE,
    provider="wavespeed",
    model="m",
    request=REQUEST,
    job=JOB,
)


def an_entry() -> Entry:
    return Entry(
        id="e1",
        provider="wavespeed",
        model="m",
        n=1,
        request=REQUEST,
        reserved=PRICE,
        started_at=EPOCH,
        until=EPOCH + timedelta(seconds=60),
    )


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with Ledger() as opened:
        yield opened


@pytest.fixture
def books(ledger: Ledger) -> Books:
    """Books in which the entry is about to be bought."""
    books = Books(ledger, None)
    play(books.intended(an_entry()))
    return books


def row(ledger: Ledger) -> Entry:
    found = ledger.entry("e1").result(10)
    assert found is not None
    return found


def test_without_a_ledger_nothing_is_written_and_nothing_waited_for() -> None:
    books, entry, error = Books(None, None), an_entry(), RateLimitError("busy")
    steps = [
        books.intended(entry),
        books.accepted(entry, JOB),
        books.failed(entry, error),
        books.settled(JOB, error),
    ]
    assert [play(flow).calls for flow in steps] == [()] * 4
    books.interrupted(entry, KeyboardInterrupt())


@pytest.mark.usefixtures("books")
def test_the_intent_and_its_price_are_on_disk_when_the_flow_goes_on(ledger: Ledger) -> None:
    assert (row(ledger).state, row(ledger).reserved) == ("intent", PRICE)


def test_what_does_not_fit_into_the_budget_leaves_no_row(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceededError, match=r"0\.0035 USD"):
        play(Books(ledger, Budget(amount="0.003")).intended(an_entry()))
    assert ledger.entries().result(10) == []


def test_an_intent_that_was_cut_off_is_refused_as_nothing_was_sent(ledger: Ledger) -> None:
    flow = Books(ledger, None).intended(an_entry())
    advance(flow)
    with pytest.raises(KeyboardInterrupt):
        advance(flow, KeyboardInterrupt())
    assert row(ledger).state == "refused"


def test_an_intent_written_too_late_is_refused_as_nothing_was_sent(ledger: Ledger) -> None:
    flow = Books(ledger, None).intended(an_entry())
    advance(flow)
    with pytest.raises(DeadlineExceededError):
        advance(flow, DeadlineExceededError("the time is up", sent=False))
    assert row(ledger).state == "refused"


def test_an_accepted_job_is_submitted(books: Books, ledger: Ledger) -> None:
    play(books.accepted(an_entry(), JOB))
    assert (row(ledger).state, row(ledger).job) == ("submitted", JOB)


def test_a_job_that_came_settled_is_settled_with_its_cost(books: Books, ledger: Ledger) -> None:
    at_once = Job(provider="wavespeed", model="m", id="job-1", request=REQUEST, settled=MADE)
    play(books.accepted(an_entry(), at_once))
    assert (row(ledger).state, row(ledger).cost, row(ledger).images) == ("settled", PRICE, 1)


NOTHING = Decimal(0)
FAILURES: list[tuple[ImageGenError, str, Decimal | None]] = [
    (RateLimitError("busy"), "refused", None),
    (TransportError("refused", sent=False), "refused", None),
    (DeadlineExceededError("the time is up", sent=False), "refused", None),
    (InvalidRequestError("wrong"), "refused", None),
    (ContentPolicyError("blocked"), "refused", None),
    (ContentPolicyError("blocked", charged="unknown"), "settled", None),
    (ContentPolicyError("blocked", charged="yes"), "settled", PRICE.amount),
    (JobFailedError("failed", job=JOB, charged="no"), "settled", NOTHING),
    (JobFailedError("cancelled", job=JOB, charged="unknown"), "settled", None),
    (SubmissionUnknownError("no answer"), "unknown", None),
    (TransportError("cut", sent=True), "unknown", None),
    (ProviderUnavailableError("busy", charged="unknown"), "unknown", None),
    (MalformedReplyError("odd"), "unknown", None),
    (DeadlineExceededError("late", job=JOB, charged="yes"), "submitted", None),
    (MalformedReplyError("no picture", job=JOB, charged="yes"), "settled", PRICE.amount),
    (MalformedReplyError("odd", job=JOB, charged="unknown"), "submitted", None),
]


@pytest.mark.parametrize(("error", "state", "cost"), FAILURES)
def test_each_ending_of_a_submission_has_its_row(
    books: Books, ledger: Ledger, error: ImageGenError, state: str, cost: Decimal | None
) -> None:
    play(books.failed(an_entry(), error))
    written = row(ledger)
    assert (written.state, written.cost.amount) == (state, cost)
    assert (written.job and written.job.id) == (error.job and error.job.id)


@pytest.mark.parametrize(("error", "state", "cost"), FAILURES)
def test_what_may_be_paid_for_stays_held(
    books: Books, ledger: Ledger, error: ImageGenError, state: str, cost: Decimal | None
) -> None:
    play(books.failed(an_entry(), error))
    held = sum(line.spent + line.open for line in ledger.spend().result(10))
    nothing = state == "refused" or cost == NOTHING
    assert held == (0 if nothing else PRICE.amount)


def test_an_interruption_is_written_as_unknown_without_waiting(
    books: Books, ledger: Ledger
) -> None:
    books.interrupted(an_entry(), KeyboardInterrupt())
    assert (row(ledger).state, row(ledger).error) == ("unknown", "KeyboardInterrupt")


OUTCOMES: list[tuple[Any, str]] = [
    (MADE, "settled"),
    (JobFailedError("failed", job=JOB, charged="no"), "settled"),
    (ContentPolicyError("blocked", job=JOB, charged="yes"), "settled"),
    (DeadlineExceededError("late", job=JOB, charged="yes"), "submitted"),
    (TransportError("cut", job=JOB, charged="yes"), "submitted"),
    (RateLimitError("busy", job=JOB, charged="yes"), "submitted"),
]


@pytest.mark.parametrize(("outcome", "state"), OUTCOMES)
def test_a_job_is_settled_only_once_it_has_ended(
    books: Books, ledger: Ledger, outcome: Generation | ImageGenError, state: str
) -> None:
    play(books.accepted(an_entry(), JOB))
    play(books.settled(JOB, outcome))
    assert row(ledger).state == state


def test_a_ledger_that_fails_before_sending_stops_the_submission(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(ConfigurationError, match="is closed"):
        play(Books(ledger, None).intended(an_entry()))


def test_a_ledger_that_fails_afterwards_is_logged_and_stops_nothing(
    books: Books, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.close()
    play(books.accepted(an_entry(), JOB))
    play(books.failed(an_entry(), SubmissionUnknownError("no answer")))
    play(books.settled(JOB, MADE))
    books.interrupted(an_entry(), KeyboardInterrupt())
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 3
    assert all("could not be written" in record.getMessage() for record in errors)
    assert all(record.exc_info is None for record in errors)


def test_a_ledger_that_is_too_slow_afterwards_is_logged_and_stops_nothing(
    books: Books, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    flow = books.accepted(an_entry(), JOB)
    advance(flow)
    advance(flow, DeadlineExceededError("the time is up", sent=False))
    assert "the writing goes on" in caplog.text
    assert row(ledger).state == "submitted"
