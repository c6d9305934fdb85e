"""Reconciling: what comes of everything that a crash, a deadline or a lost answer left open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagegen import (
    ConfigurationError,
    Cost,
    DeadlineExceededError,
    ImageRequest,
    Job,
    MiniMax,
    RateLimitError,
    SubmissionUnknownError,
    WaveSpeed,
)
from imagegen.events import Event, Submitted, Submitting
from imagegen.ledger import Entry, Ledger
from imagegen.ledger.owner import this_process
from imagegen.purchase.buying import SETTLING
from imagegen.purchase.recovery import Reconciliation
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import FakeClock

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
MEMBER = "minimax/image-01/text-to-image"
LOST = Fault("drop", accepted=True)
NEVER_ARRIVED = Fault("http", status=504, shape="html")


class StopError(BaseException):
    """Cuts a call off, as the end of its process would."""


@pytest.fixture
def sandbox(time: FakeClock) -> Sandbox:
    return Sandbox(clock=time.epoch)


@pytest.fixture
def ledger(tmp_path: Path, time: FakeClock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db", now=time.now) as opened:
        yield opened


@pytest.fixture
def desk(kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger) -> Any:
    return kit.on(sandbox, clock=time, ledger=ledger)


def reconciled(kit: Any, desk: Any, **options: Any) -> Reconciliation:
    report = kit.wait(desk.client.reconcile(**options))
    assert isinstance(report, Reconciliation)
    return report


def states(ledger: Ledger) -> list[str]:
    return [row.state for row in ledger.entries().result(10)]


def lose(desk: Any, sandbox: Sandbox, model: str = WAVESPEED, fault: Fault = LOST) -> None:
    """Make a submission whose answer does not arrive."""
    sandbox.inject(fault)
    with pytest.raises(SubmissionUnknownError):
        desk.generate("a fox", model=model)


def an_entry(time: FakeClock, **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "provider": "wavespeed",
        "model": MEMBER,
        "n": 1,
        "request": ImageRequest("a fox"),
        "reserved": Cost(amount=Decimal("0.0035"), currency="USD", basis="list-price"),
        "started_at": time.now(),
        "until": time.now() + timedelta(seconds=300),
    }
    return Entry(**(values | changes))


# Nothing to do


def test_without_a_ledger_there_is_nothing_to_reconcile(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    desk = kit.on(sandbox, clock=time)
    with pytest.raises(ConfigurationError, match="no ledger to reconcile") as caught:
        reconciled(kit, desk)
    assert caught.value.field == "ledger"


def test_an_empty_ledger_and_one_whose_results_were_handed_over_give_nothing(
    kit: Any, desk: Any, model: str
) -> None:
    assert reconciled(kit, desk) == Reconciliation()
    desk.generate("a fox", model=model)
    desk.result(desk.submit("a fox", model=model))
    made = len(desk.requests)
    assert reconciled(kit, desk) == Reconciliation()
    assert len(desk.requests) == made


def test_what_was_refused_is_not_open(kit: Any, desk: Any, sandbox: Sandbox, model: str) -> None:
    sandbox.inject(Fault("rate_limit"))
    with pytest.raises(RateLimitError):
        desk.generate("a fox", model=model)
    assert reconciled(kit, desk) == Reconciliation()


def test_a_closed_ledger_is_an_error(kit: Any, desk: Any, ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(ConfigurationError, match="is closed"):
        reconciled(kit, desk)


# Results that nobody has


def test_a_submitted_job_is_collected_once(
    kit: Any, desk: Any, ledger: Ledger, sandbox: Sandbox, model: str
) -> None:
    job = desk.submit("a fox", model=model)
    report = reconciled(kit, desk)
    (generation,) = report.generations
    assert generation.images[0].request_id == job.id
    assert (states(ledger), len(sandbox.submissions)) == (["settled"], 1)
    assert reconciled(kit, desk) == Reconciliation()


def test_a_job_whose_time_was_up_is_collected(
    kit: Any, desk: Any, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.latency = 60.0
    with pytest.raises(DeadlineExceededError):
        desk.generate("a fox", model=WAVESPEED, timeout=10)
    assert states(ledger) == ["submitted"]
    (generation,) = reconciled(kit, desk).generations
    assert len(generation.images) == 1
    assert len(sandbox.submissions) == 1


def test_every_part_of_a_split_is_collected(kit: Any, desk: Any, sandbox: Sandbox) -> None:
    desk.submit(ImageRequest("a fox", n=20), model=WAVESPEED)
    report = reconciled(kit, desk)
    assert sorted(len(generation.images) for generation in report.generations) == [2, 9, 9]
    assert len(sandbox.submissions) == 3


def test_another_client_collects_what_the_first_left(
    kit: Any, *, desk: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, model: str
) -> None:
    job = desk.submit("a fox", model=model)
    desk.close()
    other = kit.on(sandbox, clock=time, ledger=ledger)
    (generation,) = reconciled(kit, other).generations
    assert generation.attempts[0].request_id == job.id


def test_with_saving_a_result_is_open_until_it_is_saved(
    kit: Any, sandbox: Sandbox, time: FakeClock, tmp_path: Path
) -> None:
    with Ledger(now=time.now, collect="saved") as ledger:
        desk = kit.on(sandbox, clock=time, ledger=ledger)
        desk.generate("a fox", model=WAVESPEED)
        first = reconciled(kit, desk)
        assert reconciled(kit, desk).generations == first.generations
        desk.save(first.generations[0], tmp_path)
        assert reconciled(kit, desk) == Reconciliation()


def test_a_job_that_failed_meanwhile_is_an_error_and_then_closed(
    kit: Any, desk: Any, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Fault("prediction_status"))
    job = desk.submit("a fox", model=WAVESPEED)
    (error,) = reconciled(kit, desk).errors
    assert error.job is not None
    assert (type(error).__name__, error.charged, error.job.id) == ("JobFailedError", "no", job.id)
    assert states(ledger) == ["settled"]
    assert reconciled(kit, desk) == Reconciliation()


def test_a_job_that_goes_on_beyond_the_time_is_an_error_and_stays_open(
    kit: Any, desk: Any, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.latency = 600.0
    job = desk.submit("a fox", model=WAVESPEED)
    (error,) = reconciled(kit, desk, timeout=30).errors
    assert isinstance(error, DeadlineExceededError)
    assert (error.job, error.charged, states(ledger)) == (job, "yes", ["submitted"])
    assert len(reconciled(kit, desk, timeout=900).generations) == 1


def test_a_job_of_a_provider_that_is_not_configured_is_an_error_with_the_job(
    kit: Any, *, desk: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    job = desk.submit("a fox", model=WAVESPEED)
    minimax = MiniMax(api_key="sandbox", base_url=sandbox.origin)
    for backends in ([minimax], [minimax, WaveSpeed(base_url=sandbox.origin)]):
        watched = kit.watched(sandbox, time)
        other = kit.desk(backends, watched=watched, clock=time, ledger=ledger)
        (error,) = reconciled(kit, other).errors
        assert (type(error), error.job, error.charged) == (ConfigurationError, job, "yes")
        assert other.requests == []
    assert len(reconciled(kit, desk).generations) == 1


@pytest.mark.parametrize(("days", "state"), [(1, "submitted"), (9, "settled")])
def test_a_job_that_its_provider_no_longer_knows_is_given_up_after_eight_days(
    kit: Any, *, desk: Any, time: FakeClock, ledger: Ledger, days: int, state: str
) -> None:
    desk.submit("a fox", model=WAVESPEED)
    time.sleep(days * 86_400)
    forgetful = kit.on(Sandbox(clock=time.epoch), clock=time, ledger=ledger)
    (error,) = reconciled(kit, forgetful).errors
    assert (error.status, states(ledger)) == (404, [state])
    assert ledger.spend().result(10)[0].open == Decimal("0.0035")


def test_pictures_that_came_inline_are_not_kept_by_the_ledger(kit: Any, desk: Any) -> None:
    """Their bytes were in the answer only; what is left says that they came, and what they cost."""
    desk.submit(ImageRequest("a fox", output="bytes"), model=MINIMAX)
    (generation,) = reconciled(kit, desk).generations
    (image,) = generation.images
    assert (image.url, image.data) == (None, None)
    assert "could not be fetched" in generation.notices[0].message
    assert generation.cost.amount == Decimal("0.0035")


# Submissions without an answer


def test_a_lost_submission_that_was_accepted_is_adopted_and_collected(
    kit: Any, desk: Any, sandbox: Sandbox, ledger: Ledger
) -> None:
    lose(desk, sandbox)
    report = reconciled(kit, desk)
    (adopted,), (generation,) = report.adopted, report.generations
    (accepted,) = sandbox.submissions
    assert adopted.job is not None
    assert generation.job is not None
    assert (adopted.job.id, generation.job.id) == (accepted.id, accepted.id)
    assert (report.unknown, report.absent, states(ledger)) == ((), (), ["settled"])


def test_a_lost_submission_that_is_not_listed_is_absent_and_frees_its_price(
    kit: Any, desk: Any, sandbox: Sandbox, ledger: Ledger
) -> None:
    lose(desk, sandbox, fault=NEVER_ARRIVED)
    assert ledger.spend().result(10)[0].open == Decimal("0.0035")
    report = reconciled(kit, desk)
    assert [entry.state for entry in report.absent] == ["refused"]
    assert (report.generations, report.adopted, report.unknown) == ((), (), ())
    assert (sandbox.submissions, ledger.spend().result(10)) == ([], [])


def test_an_unknown_of_a_provider_without_a_list_stays_unknown_and_held(
    kit: Any, desk: Any, sandbox: Sandbox, ledger: Ledger
) -> None:
    lose(desk, sandbox, MINIMAX)
    made = len(desk.requests)
    for _ in range(2):
        report = reconciled(kit, desk)
        assert [entry.provider for entry in report.unknown] == ["minimax"]
        assert (report.generations, report.errors, report.absent) == ((), (), ())
    assert ledger.spend().result(10)[0].open == Decimal("0.0035")
    assert len(desk.requests) == made


def test_nothing_is_looked_up_unless_wanted(kit: Any, desk: Any, sandbox: Sandbox) -> None:
    lose(desk, sandbox)
    made = len(desk.requests)
    report = reconciled(kit, desk, look_up=False)
    assert (len(report.unknown), report.adopted, len(desk.requests)) == (1, (), made)


def test_the_list_is_given_time_to_show_what_was_just_sent(
    kit: Any, desk: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.listing_lag = SETTLING - 1
    lose(desk, sandbox)
    assert len(reconciled(kit, desk).adopted) == 1
    assert time.monotonic() >= SETTLING


def test_two_that_it_could_be_leave_it_to_a_person(
    kit: Any, desk: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    lose(desk, sandbox)
    kit.on(sandbox, clock=time).submit("a fox", model=WAVESPEED)
    report = reconciled(kit, desk)
    (entry,) = report.unknown
    assert "2 jobs of the provider" in str(entry.message)
    assert (report.adopted, states(ledger)) == ((), ["unknown"])


def test_two_lost_submissions_of_the_same_prompt_are_not_guessed_at(
    kit: Any, desk: Any, sandbox: Sandbox, ledger: Ledger
) -> None:
    lose(desk, sandbox)
    lose(desk, sandbox, fault=NEVER_ARRIVED)
    report = reconciled(kit, desk)
    assert (len(report.unknown), report.adopted, report.absent) == (2, (), ())
    assert states(ledger) == ["unknown", "unknown"]


def test_a_job_of_someone_else_with_the_same_key_and_prompt_could_be_adopted(
    kit: Any, desk: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    """A limit of looking up, and documented as one: the list does not say who submitted."""
    lose(desk, sandbox, fault=NEVER_ARRIVED)
    theirs = kit.on(sandbox, clock=time).submit("a fox", model=WAVESPEED)
    (adopted,) = reconciled(kit, desk).adopted
    assert adopted.job is not None
    assert adopted.job.id == theirs.id


@pytest.mark.parametrize("status", [401, 500])
def test_a_list_that_cannot_be_read_leaves_it_unknown_and_held(
    kit: Any, *, desk: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, status: int
) -> None:
    lose(desk, sandbox)

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"code": status, "message": "no list today"})

    wavespeed = WaveSpeed(api_key="sandbox", base_url=sandbox.origin)
    watched = kit.watched(httpx.MockTransport(refuse))
    other = kit.desk([wavespeed], watched=watched, clock=time, ledger=ledger)
    report = reconciled(kit, other)
    assert (len(report.unknown), report.absent) == (1, ())
    assert ledger.spend().result(10)[0].open == Decimal("0.0035")
    assert len(reconciled(kit, desk).adopted) == 1


# Processes


def test_a_submission_that_was_cut_off_is_looked_up(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, Submitted):
            raise StopError

    cut = kit.on(sandbox, clock=time, ledger=ledger, on_event=listen)
    with pytest.raises(StopError):
        cut.generate("a fox", model=WAVESPEED)
    (generation,) = reconciled(kit, kit.on(sandbox, clock=time, ledger=ledger)).generations
    assert generation.job is not None
    assert generation.job.id == sandbox.submissions[0].id


@pytest.mark.parametrize("accepted", [True, False])
def test_an_intent_whose_process_is_gone_is_looked_up(
    kit: Any, *, desk: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, accepted: bool
) -> None:
    if accepted:
        kit.on(sandbox, clock=time).submit("a fox", model=WAVESPEED)
    host, _, start = this_process().split(":", 2)
    gone = f"{host}:{2**22 + 1}:{start}"
    ledger.intend(an_entry(time, owner=gone)).result(10)
    report = reconciled(kit, desk)
    assert (len(report.adopted), len(report.absent)) == ((1, 0) if accepted else (0, 1))
    assert len(report.generations) == int(accepted)


def test_an_intent_of_this_process_is_left_until_a_minute_after_its_deadline(
    kit: Any, desk: Any, time: FakeClock, ledger: Ledger
) -> None:
    ledger.intend(an_entry(time)).result(10)
    assert reconciled(kit, desk) == Reconciliation()
    time.sleep(361)
    assert len(reconciled(kit, desk).absent) == 1


def test_what_another_living_process_is_at_work_on_is_left_to_it(
    kit: Any, desk: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    theirs = kit.on(sandbox, clock=time).submit("a fox", model=WAVESPEED)
    entry = an_entry(time, owner=f"elsewhere:{os.getppid()}:1")
    ledger.intend(entry).result(10)
    report = reconciled(kit, desk)
    assert ([row.id for row in report.running], report.generations) == ([entry.id], ())
    ledger.submitted(entry.id, theirs).result(10)
    report = reconciled(kit, desk)
    assert ([row.state for row in report.running], report.generations) == (["submitted"], ())
    time.sleep(301)
    report = reconciled(kit, desk)
    assert (report.running, len(report.generations)) == ((), 1)


# Everything at once


def test_nothing_is_ever_submitted(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    told: list[Event] = []
    desk = kit.on(sandbox, clock=time, ledger=ledger, on_event=told.append)
    desk.submit("one", model=WAVESPEED)
    for model in (WAVESPEED, MINIMAX):
        lose(desk, sandbox, model)
        lose(desk, sandbox, model, NEVER_ARRIVED)
    told.clear()
    before = len(sandbox.submissions)
    report = reconciled(kit, desk)
    assert len(sandbox.submissions) == before
    assert not [event for event in told if isinstance(event, Submitting)]
    assert len(report.generations) == 1


def test_the_job_of_a_row_survives_a_round_trip_through_the_ledger(
    kit: Any, desk: Any, ledger: Ledger
) -> None:
    job = desk.submit(ImageRequest("a fox", seed=7), model=WAVESPEED)
    (row,) = ledger.entries("submitted").result(10)
    assert row.job is not None
    assert Job.from_json(row.job.to_json()) == job
    assert len(desk.result(row.job).images) == 1
    assert reconciled(kit, desk) == Reconciliation()


def test_a_result_whose_writing_was_lost_is_settled_by_the_next_reconciliation(
    kit: Any, time: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(clock=time.epoch)
    lost = Future[bool]()
    lost.set_exception(ConfigurationError("the ledger cannot be used: database is locked"))
    with Ledger(tmp_path / "ledger.db", now=time.now) as ledger:
        desk = kit.on(sandbox, clock=time, ledger=ledger)
        with monkeypatch.context() as broken:
            broken.setattr(ledger, "settled", lambda *_: lost)
            desk.generate("a fox", model="minimax:image-01")
        (open_row,) = ledger.entries().result()
        assert open_row.state == "submitted"
        report = desk.client.reconcile()
        report = kit.wait(report) if kit.flavour == "async" else report
        (closed,) = ledger.entries().result()
    assert closed.state == "settled"
    assert (len(report.generations), report.errors) == (1, ())
