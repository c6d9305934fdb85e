"""A backend with a bug: what is paid for is not lost, and the bug is not disguised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from imagegen import ConfigurationError, ImageRequest, Route, WaveSpeed
from imagegen.backends.base import Terms
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    ContentPolicyError,
    ImageGenError,
    JobFailedError,
    TransportError,
)
from imagegen.flow import Flow, Pause
from imagegen.ledger import Entry, Ledger
from imagegen.result import Generation, Job
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import FakeClock

MODEL = "wavespeed:minimax/image-01"
MINIMAX = "minimax:image-01"
MAY_GO_ON = "was accepted and may go on"
MAY_BE_BILLED = "may be billed"


class BugInSettle(WaveSpeed):
    """Stumbles over the first poll's reply."""

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        yield Pause(0.0)
        raise KeyError("outputs")


class BugInSubmit(WaveSpeed):
    """Sends, and stumbles over the reply."""

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        yield from super().submit(request, model, terms)
        raise KeyError("id")


class BugInOutcome(WaveSpeed):
    """Stumbles when it knows the job already."""

    def _outcome(self, *_: Any) -> Generation:
        raise KeyError("outputs")


class Laconic(WaveSpeed):
    """Says how settling ended, and not of which job."""

    ending: ClassVar[Callable[[], ImageGenError]]

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        yield Pause(0.0)
        raise type(self).ending()


class BugInFind(WaveSpeed):
    """Cannot read the list."""

    def find(self, *_: Any) -> Flow[tuple[Job, ...]]:
        yield Pause(0.0)
        raise KeyError("items")


class Seldom(WaveSpeed):
    """Stumbles over every job but that of the seed 7."""

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        if job.request.seed != 7:
            raise KeyError("outputs")
        return (yield from super().settle(job, age))


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, time: FakeClock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db", now=time.now) as opened:
        yield opened


@pytest.fixture
def sandbox(time: FakeClock) -> Sandbox:
    return Sandbox(clock=time.epoch)


def only_row(ledger: Ledger) -> Entry:
    (entry,) = ledger.entries().result(10)
    return entry


def desk(kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, kind: type[WaveSpeed]) -> Any:
    backend = kind(api_key="sandbox", base_url=sandbox.origin)
    return kit.desk(
        [backend], watched=kit.watched(sandbox, time), clock=time, ledger=ledger, retries=None
    )


def notes(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", ()))


@pytest.mark.parametrize("kind", [BugInSettle, BugInOutcome])
def test_a_bug_after_acceptance_leaves_the_job_in_the_notes_and_on_the_ledger(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, kind: type[WaveSpeed]
) -> None:
    with pytest.raises(KeyError, match="outputs") as caught:
        desk(kit, sandbox, time, ledger, kind).generate("a fox", model=MODEL)
    (submission,) = sandbox.submissions
    assert notes(caught.value).count(f"job {submission.id} {MAY_GO_ON}") == 1
    assert MAY_BE_BILLED not in notes(caught.value)
    row = only_row(ledger)
    assert (row.state, row.job and row.job.id) == ("submitted", submission.id)


def test_its_pictures_come_once_the_bug_is_mended(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    with pytest.raises(KeyError):
        desk(kit, sandbox, time, ledger, BugInOutcome).generate("a fox", model=MODEL)
    mended = desk(kit, sandbox, time, ledger, WaveSpeed)
    report = kit.wait(mended.client.reconcile())
    assert len(report.generations[0].images) == 1
    assert len(sandbox.submissions) == 1


def test_a_bug_before_the_job_is_known_leaves_the_submission_unknown(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    with pytest.raises(KeyError, match="id") as caught:
        desk(kit, sandbox, time, ledger, BugInSubmit).generate("a fox", model=MODEL)
    assert notes(caught.value).count(MAY_BE_BILLED) == 1
    assert (only_row(ledger).state, only_row(ledger).error) == ("unknown", "KeyError")


def test_a_bug_in_asking_for_a_job_names_the_job(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    job = desk(kit, sandbox, time, ledger, WaveSpeed).submit("a fox", model=MODEL)
    with pytest.raises(KeyError) as caught:
        desk(kit, sandbox, time, ledger, BugInSettle).result(job)
    assert f"job {job.id} {MAY_GO_ON}" in notes(caught.value)


def test_a_bug_in_looking_up_leaves_the_submission_unknown(
    kit: Any, time: FakeClock, ledger: Ledger
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("drop", accepted=True)])
    route = Route(models=[MODEL], on_unknown="reconcile")
    with pytest.raises(KeyError, match="items") as caught:
        desk(kit, sandbox, time, ledger, BugInFind).generate("a fox", model=route)
    assert MAY_BE_BILLED in notes(caught.value)
    assert only_row(ledger).state == "unknown"


@pytest.mark.parametrize(
    ("said", "state", "charged"),
    [
        (lambda: JobFailedError("it broke", charged="no"), "settled", "no"),
        (lambda: ContentPolicyError("blocked", charged="yes"), "settled", "yes"),
        (lambda: TransportError("refused", sent=False), "submitted", "yes"),
        (lambda: AuthenticationError("the key has expired"), "submitted", "yes"),
    ],
)
def test_an_error_after_acceptance_has_the_job_even_if_the_backend_forgets_it(
    kit: Any,
    *,
    sandbox: Sandbox,
    time: FakeClock,
    ledger: Ledger,
    said: Callable[[], ImageGenError],
    state: str,
    charged: str,
) -> None:
    kind = type("Laconic", (Laconic,), {"ending": staticmethod(said)})
    with pytest.raises(type(said())) as caught:
        desk(kit, sandbox, time, ledger, kind).generate("a fox", model=MODEL)
    assert caught.value.job is not None
    assert caught.value.job.id == sandbox.submissions[0].id
    assert caught.value.charged == charged
    assert only_row(ledger).state == state


def test_a_bug_in_one_part_keeps_the_others_and_the_job_of_its_own(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    request = ImageRequest("a fox", n=10, seed=7)
    made = desk(kit, sandbox, time, ledger, Seldom).generate(request, model=MODEL)
    assert len(made.images) == 9
    (failure,) = made.failures
    assert failure.error == BackendError.__name__
    assert failure.charged == "yes"
    assert failure.job is not None
    assert failure.job.id in {submission.id for submission in sandbox.submissions}
    assert sorted(row.state for row in ledger.entries().result(10)) == ["settled", "submitted"]


def test_a_bug_in_every_part_carries_every_job(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    request = ImageRequest("a fox", n=10)
    with pytest.raises(BackendError, match="KeyError") as caught:
        desk(kit, sandbox, time, ledger, BugInSettle).generate(request, model=MODEL)
    assert caught.value.charged == "yes"
    assert caught.value.job is not None
    accepted = {submission.id for submission in sandbox.submissions}
    assert {part.id for part in caught.value.job.parts} == accepted


def test_a_backend_of_an_earlier_interface_is_refused_before_anything_is_bought(
    kit: Any, sandbox: Sandbox
) -> None:
    class Earlier(WaveSpeed):
        def settle(self, job: Job) -> Flow[Generation]:  # type: ignore[override]
            return (yield from super().settle(job))

    backend = Earlier(api_key="sandbox", base_url=sandbox.origin)
    for given in ([backend], {"wavespeed": backend}):
        with pytest.raises(ConfigurationError, match=r"Earlier\.settle takes no \(job, age\)"):
            kit.desk(given)
    assert sandbox.submissions == []
