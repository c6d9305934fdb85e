"""What becomes of a row: from the intent to its outcome, in whatever order the news comes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from imagegen import (
    ConfigurationError,
    Cost,
    ImageFailure,
    ImageGenError,
    InvalidRequestError,
    JobFailedError,
    RateLimitError,
    SubmissionUnknownError,
)
from imagegen.errors import Charged
from imagegen.ledger import Entry, Ledger, book
from imagegen.ledger.rows import entry_of

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Maker

LOST = SubmissionUnknownError("no reply came", request_id="trace-1")
REFUSED = RateLimitError("too many requests")
FAILED = JobFailedError("it broke", charged="no")


def row(ledger: Ledger, key: str) -> Entry:
    entry = ledger.entry(key).result()
    assert entry is not None
    return entry


def test_an_intent_is_stored_with_everything_but_an_outcome(
    ledger: Ledger, make: Maker, clock: Clock
) -> None:
    entry = make.entry(owner="here:1:2", until=clock.now() + timedelta(microseconds=1))
    forged = evolve(entry, state="settled", images=9, job=make.job(), cost=make.price("9"))
    assert ledger.intend(forged).result() is None
    assert row(ledger, entry.id) == evolve(entry, updated_at=clock.now())


def test_the_same_entry_is_not_intended_twice(ledger: Ledger, make: Maker) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    with pytest.raises(ConfigurationError, match="UNIQUE"):
        ledger.intend(entry).result()


def test_a_submission_that_goes_well(ledger: Ledger, make: Maker) -> None:
    entry, job = make.entry(), make.job()
    ledger.intend(entry).result()
    assert ledger.submitted(entry.id, job).result()
    assert row(ledger, "job-1") == row(ledger, entry.id)
    assert row(ledger, entry.id).job == job
    assert ledger.settled(job, make.generation(job)).result()
    settled = row(ledger, entry.id)
    assert (settled.state, settled.images, settled.cost) == ("settled", 1, make.price())
    assert settled.job == evolve(job, settled=make.generation(job))
    assert settled.request_id == "job-1"


def test_an_answer_at_once_needs_no_wait_in_between(ledger: Ledger, make: Maker) -> None:
    entry, job = make.entry(provider="minimax"), make.job(provider="minimax")
    job = evolve(job, settled=make.generation(job, job=None))
    ledger.intend(entry).result()
    assert job.settled is not None
    futures = [ledger.submitted(entry.id, job), ledger.settled(entry.id, job.settled)]
    assert [future.result() for future in futures] == [True, True]
    assert row(ledger, entry.id).job == job


def test_pictures_are_stored_as_addresses_only(ledger: Ledger, make: Maker, png: bytes) -> None:
    job, entry = make.job(), make.entry()
    image = make.generation(job).images[0].with_data(png)
    assert image is not None
    failure = ImageFailure(
        error="X", message="x", job=evolve(job, settled=make.generation(job, images=(image,)))
    )
    heavy = make.generation(job, images=(image,), failures=(failure,), raw=("secret",))
    ledger.intend(entry).result()
    ledger.submitted(entry.id, evolve(job, settled=heavy)).result()
    early = row(ledger, entry.id)
    ledger.settled(entry.id, heavy).result()
    for stored in (early.job, row(ledger, entry.id).job):
        assert stored is not None
        assert stored.settled is not None
        assert stored.settled.images[0] == evolve(image, data=None)
        assert stored.settled.raw == ()
        assert '"data"' not in stored.to_json()


def test_an_outcome_without_a_submission_makes_the_job(ledger: Ledger, make: Maker) -> None:
    entry, job = make.entry(provider="minimax"), make.job(provider="minimax")
    generation = make.generation(job, job=None)
    ledger.intend(entry).result()
    assert ledger.settled(entry.id, generation).result()
    assert row(ledger, entry.id).job == evolve(job, settled=generation)
    assert row(ledger, "job-1").id == entry.id


def test_a_job_without_an_id_is_found_by_its_entry_only(ledger: Ledger, make: Maker) -> None:
    entry, job = make.entry(), make.job("")
    ledger.intend(entry).result()
    assert ledger.submitted(entry.id, job).result()
    assert not ledger.settled(job, make.generation(job)).result()
    assert ledger.entry("").result() is None
    assert not ledger.submitted(entry.id, job).result()
    assert ledger.settled(entry.id, make.generation(job)).result()


@pytest.mark.parametrize(
    ("charged", "cost"),
    [
        ("no", Cost(amount=Decimal(0), currency="USD", basis="list-price")),
        ("yes", Cost(amount=Decimal("0.0035"), currency="USD", basis="list-price")),
        ("unknown", Cost()),
    ],
)
def test_an_ended_job_costs_what_its_error_says(
    ledger: Ledger, make: Maker, charged: Charged, cost: Cost
) -> None:
    entry, job = make.entry(), make.job()
    ledger.intend(entry).result()
    ledger.submitted(entry.id, job).result()
    error = JobFailedError("it broke", charged=charged, request_id="trace-2")
    assert ledger.settled(job, error).result()
    settled = row(ledger, entry.id)
    assert (settled.cost, settled.images, settled.job) == (cost, 0, job)
    assert (settled.error, settled.message) == ("JobFailedError", "it broke")
    assert settled.request_id == "trace-2"
    (line,) = ledger.spend().result()
    assert (line.spent or line.open) == (0 if charged == "no" else Decimal("0.0035"))
    assert bool(line.open) == (charged == "unknown")


def test_a_refusal_releases_what_was_reserved(ledger: Ledger, make: Maker) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    assert ledger.refused(entry.id, REFUSED).result()
    assert not ledger.refused(entry.id, REFUSED).result()
    refused = row(ledger, entry.id)
    assert (refused.state, refused.error) == ("refused", "RateLimitError")
    assert ledger.spend().result() == []


def test_an_unknown_outcome_stays_reserved(ledger: Ledger, make: Maker) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    assert ledger.unknown(entry.id, KeyboardInterrupt("by hand")).result()
    unknown = row(ledger, entry.id)
    assert (unknown.state, unknown.error, unknown.message) == (
        "unknown",
        "KeyboardInterrupt",
        "by hand",
    )
    (line,) = ledger.spend().result()
    assert (line.open, line.unknown) == (Decimal("0.0035"), 1)


def test_a_message_shows_no_signed_query(ledger: Ledger, make: Maker) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    ledger.unknown(entry.id, OSError("GET https://h.example/a?token=secret failed")).result()
    assert row(ledger, entry.id).message == "GET https://h.example/a failed"


ALLOWED = {
    "intent": {"submitted", "settled", "refused", "unknown"},
    "submitted": {"settled"},
    "settled": set[str](),
    "unknown": {"submitted", "settled", "refused"},
    "refused": {"submitted", "settled"},
}


@pytest.mark.parametrize("state", ALLOWED)
@pytest.mark.parametrize("to", ["submitted", "settled", "refused", "unknown"])
def test_only_the_allowed_transitions_happen(
    ledger: Ledger, make: Maker, state: str, to: str
) -> None:
    entry, job = make.entry(), make.job()
    report: dict[str, Callable[[], Future[Any]]] = {
        "intent": lambda: ledger.intend(entry),
        "submitted": lambda: ledger.submitted(entry.id, job),
        "settled": lambda: ledger.settled(entry.id, make.generation(job)),
        "refused": lambda: ledger.refused(entry.id, REFUSED),
        "unknown": lambda: ledger.unknown(entry.id, LOST),
    }
    report["intent"]().result()
    if state != "intent":
        assert report[state]().result()
    assert report[to]().result() == (to in ALLOWED[state])
    assert row(ledger, entry.id).state == (to if to in ALLOWED[state] else state)
    assert len(ledger.entries().result()) == 1


@pytest.mark.parametrize("before", ["unknown", "refused"])
def test_a_late_answer_is_taken(ledger: Ledger, make: Maker, before: str) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    getattr(ledger, before)(entry.id, LOST).result()
    assert ledger.submitted(entry.id, make.job()).result()
    late = row(ledger, entry.id)
    assert (late.state, late.job, late.error, late.message) == (
        "submitted",
        make.job(),
        None,
        None,
    )
    (line,) = ledger.spend().result()
    assert (line.open, line.unknown) == (Decimal("0.0035"), 0)


def test_a_late_answer_beside_an_adopted_job_gets_its_own_row(ledger: Ledger, make: Maker) -> None:
    entry, true = make.entry(), make.job("true")
    ledger.intend(entry).result()
    ledger.unknown(entry.id, LOST).result()
    ledger.identify(entry.id, [make.job("adopted")]).result()
    assert ledger.submitted(entry.id, true).result()
    adopted, own = ledger.entries("submitted").result()
    assert (adopted.id, adopted.job) == (entry.id, make.job("adopted"))
    assert own.job == true
    assert own.reserved == entry.reserved
    assert own.started_at == entry.started_at
    assert not ledger.submitted(entry.id, true).result()
    assert not ledger.submitted(entry.id, make.job("adopted")).result()
    assert len(ledger.entries().result()) == 2


def test_an_outcome_goes_to_the_job_that_it_names(ledger: Ledger, make: Maker) -> None:
    entry, true = make.entry(), make.job("true")
    ledger.intend(entry).result()
    ledger.submitted(entry.id, make.job("adopted")).result()
    assert ledger.settled(entry.id, make.generation(true)).result()
    assert row(ledger, entry.id).state == "submitted"
    assert row(ledger, "true").state == "settled"


def test_a_job_after_the_end_gets_its_own_row(ledger: Ledger, make: Maker) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    ledger.settled(entry.id, FAILED).result()
    assert ledger.submitted(entry.id, make.job()).result()
    assert row(ledger, entry.id).state == "settled"
    (own,) = ledger.entries("submitted").result()
    assert own.job == make.job()
    assert own.error is None


def test_two_rows_may_be_told_the_same_job(ledger: Ledger, make: Maker) -> None:
    several = [make.entry(), make.entry()]
    for entry in several:
        ledger.intend(entry).result()
        assert ledger.submitted(entry.id, make.job()).result()
    assert ledger.settled(several[0].id, make.generation(make.job())).result()
    assert row(ledger, several[1].id).state == "submitted"
    assert ledger.settled(make.job(), make.generation(make.job())).result()
    assert row(ledger, several[1].id).state == "settled"


def test_a_job_id_that_the_provider_repeats_costs_no_more_each_time(
    ledger: Ledger, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []

    def counted(row: Any) -> Entry:
        read.append(row)
        return entry_of(row)

    monkeypatch.setattr(book, "entry_of", counted)
    job, counts = make.job("the same"), list[int]()
    for _ in range(6):
        entry = make.entry()
        ledger.intend(entry).result()
        assert ledger.submitted(entry.id, job).result()
        assert ledger.settled(job, make.generation(job)).result()
        late = make.entry()
        ledger.intend(late).result()
        assert ledger.settled(late.id, make.generation(job)).result()
        counts.append(len(read))
        read.clear()
    assert len(set(counts)) == 1
    assert [row.state for row in ledger.entries().result()] == ["settled"] * 12


def test_an_entry_that_does_not_exist(ledger: Ledger, make: Maker) -> None:
    assert not ledger.refused("nobody", REFUSED).result()
    assert not ledger.unknown("nobody", LOST).result()
    assert not ledger.settled("nobody", FAILED).result()
    assert not ledger.settled(make.job("nobody"), FAILED).result()
    assert ledger.entry("nobody").result() is None
    for attempt in (ledger.submitted("nobody", make.job()), ledger.identify("nobody", [])):
        with pytest.raises(ConfigurationError, match="no entry 'nobody'"):
            attempt.result()


def test_a_cost_that_no_submission_has_is_unknown(ledger: Ledger, make: Maker) -> None:
    for amount in ("-1", "1000001"):
        entry = make.entry()
        ledger.intend(entry).result()
        cost = Cost(amount=Decimal(amount), currency="USD", basis="billed")
        assert ledger.settled(entry.id, make.generation(make.job(entry.id), cost=cost)).result()
        assert row(ledger, entry.id).cost.amount is None
    (line,) = ledger.spend().result()
    assert (line.spent, line.open) == (Decimal(0), Decimal("0.007"))


def test_what_could_not_be_read_again_is_not_written(ledger: Ledger, make: Maker) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    cost = Cost(amount=Decimal("NaN"), currency="USD", basis="billed")
    with pytest.raises(InvalidRequestError):
        ledger.settled(entry.id, make.generation(make.job(entry.id), cost=cost)).result()
    assert row(ledger, entry.id).state == "intent"


def test_collected_marks_each_row_once(ledger: Ledger, make: Maker) -> None:
    jobs = [make.job("one"), make.job("two"), make.job("one", provider="minimax")]
    for job in jobs:
        entry = make.entry(provider=job.provider)
        ledger.intend(entry).result()
        ledger.submitted(entry.id, job).result()
        ledger.settled(job, make.generation(job)).result()
    made = make.generation(jobs[0])
    both = evolve(made, attempts=(*made.attempts, *make.generation(jobs[1]).attempts))
    assert ledger.collected(made).result() == 1
    assert ledger.collected(both).result() == 1
    assert ledger.collected(both).result() == 0
    (left,) = ledger.entries("settled", collected=False).result()
    assert left.provider == "minimax"
    assert len(ledger.entries(collected=True).result()) == 2
    assert ledger.collected(evolve(made, attempts=())).result() == 0


def test_a_row_is_collected_by_the_request_id_of_its_error(ledger: Ledger, make: Maker) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    error = ImageGenError("no pictures", request_id="trace-3", charged="yes")
    ledger.settled(entry.id, error).result()
    made = make.generation(make.job("trace-3"))
    assert ledger.collected(made).result() == 1


def test_entries_come_oldest_first(ledger: Ledger, make: Maker) -> None:
    order = [3, 1, 2, 1]
    for minutes in order:
        ledger.intend(make.entry(n=minutes, started_at=make.noon + timedelta(minutes=minutes)))
    assert [entry.n for entry in ledger.entries().result()] == [1, 1, 2, 3]
    assert ledger.entries("settled", "unknown").result() == []


def test_what_is_settled_can_be_fetched_after_a_crash(
    open_ledger: Callable[..., Ledger], make: Maker
) -> None:
    ledger, entry, job = open_ledger(), make.entry(), make.job()
    ledger.intend(entry)
    ledger.submitted(entry.id, job)
    ledger.settled(job, make.generation(job)).result()
    ledger.close()
    (left,) = open_ledger().entries("settled", collected=False).result()
    assert left.job is not None
    assert left.job.settled is not None
    assert left.job.settled.images[0].url == "https://cdn.example/1.jpg"
