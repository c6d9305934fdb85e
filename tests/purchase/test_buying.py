"""One purchase: the order of its steps, what is written when, repetitions and looking up."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from imagegen import (
    BudgetExceededError,
    ConfigurationError,
    DeadlineExceededError,
    ImageRequest,
    Job,
    Limits,
    MiniMax,
    RateLimitError,
    Retries,
    Route,
    SubmissionUnknownError,
    TransportError,
    WaveSpeed,
)
from imagegen.backends.base import Terms
from imagegen.events import Event, Failed, Polled, Retried, Settled, Submitted, Submitting
from imagegen.flow import Call, Done, Pause, advance
from imagegen.ledger import Entry, Ledger
from imagegen.purchase.buying import SETTLING, Buyer, Conditions
from imagegen.purchase.orders import order
from imagegen.purchase.policy import NEVER
from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Request
from imagegen.testing import EPOCH, FakeClock, reply

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
LOST = Fault("drop", accepted=True)
NEVER_ARRIVED = Fault("http", status=504, shape="html")
"""A gateway's page: nobody can tell, and the sandbox accepted nothing."""


class StopError(BaseException):
    """An interruption that asyncio and pytest do not treat in a way of their own."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path, time: FakeClock) -> Iterator[Ledger]:
    with Ledger(path, now=time.now) as opened:
        yield opened


@pytest.fixture
def sandbox(time: FakeClock) -> Sandbox:
    return Sandbox(clock=time.epoch)


def rows(ledger: Ledger) -> list[Entry]:
    return ledger.entries().result(10)


def states(ledger: Ledger) -> list[str]:
    return [row.state for row in rows(ledger)]


def behind(
    sandbox: Sandbox, look: Callable[[httpx.Request], httpx.Response | None]
) -> httpx.MockTransport:
    """Mount *sandbox* behind *look*, which sees each request first and may answer it."""

    def handle(request: httpx.Request) -> httpx.Response:
        answered = look(request)
        if answered is not None:
            return answered
        path, query = request.url.path, request.url.query.decode()
        sent = Request(request.method, path, query, dict(request.headers), request.content)
        answer = sandbox.handle(sent)
        if answer.drop:
            raise httpx.ReadError("reset")
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    return httpx.MockTransport(handle)


def desk_behind(kit: Any, sandbox: Sandbox, look: Any, **options: Any) -> Any:
    backends = [
        MiniMax(api_key="sandbox", base_url=sandbox.origin),
        WaveSpeed(api_key="sandbox", base_url=sandbox.origin),
    ]
    return kit.desk(backends, watched=kit.watched(behind(sandbox, look)), **options)


# The order of steps


def test_the_intent_is_committed_before_the_first_byte_leaves(
    kit: Any, *, sandbox: Sandbox, time: FakeClock, ledger: Ledger, path: Path, model: str
) -> None:
    seen: list[tuple[str, int, int]] = []

    def look(request: httpx.Request) -> None:
        if request.method == "POST":
            with closing(sqlite3.connect(path)) as other:
                seen.extend(other.execute("SELECT state, n, reserved FROM attempts"))

    desk = desk_behind(kit, sandbox, look, clock=time, ledger=ledger)
    desk.generate(ImageRequest("a fox", n=2), model=model)
    assert seen == [("intent", 2, 7_000_000)]
    assert states(ledger) == ["settled"]


def test_the_job_is_committed_before_it_is_first_asked_for(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, path: Path
) -> None:
    seen: list[tuple[str, str]] = []

    def look(request: httpx.Request) -> None:
        if request.method == "GET" and not seen:
            with closing(sqlite3.connect(path)) as other:
                seen.extend(other.execute("SELECT state, job_id FROM attempts"))

    desk = desk_behind(kit, sandbox, look, clock=time, ledger=ledger)
    desk.generate("a fox", model=WAVESPEED)
    assert seen == [("submitted", sandbox.submissions[0].id)]


def test_a_ledger_that_cannot_be_written_lets_nothing_leave(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, model: str
) -> None:
    ledger.close()
    desk = kit.on(sandbox, clock=time, ledger=ledger, retries=Retries())
    with pytest.raises(ConfigurationError, match="is closed") as caught:
        desk.generate("a fox", model=model)
    assert (desk.requests, caught.value.charged) == ([], "no")


def test_a_budget_that_is_used_up_lets_nothing_leave(
    kit: Any, sandbox: Sandbox, time: FakeClock, model: str
) -> None:
    desk = kit.on(sandbox, clock=time, budget="0.01")
    assert [len(desk.generate("a fox", model=model).images) for _ in range(2)] == [1, 1]
    with pytest.raises(BudgetExceededError, match=r"of the total budget of 0\.01 USD"):
        desk.generate("a fox", model=model)
    assert len(sandbox.submissions) == 2


@pytest.mark.parametrize("verb", ["generate", "submit"])
def test_a_ledger_that_breaks_while_the_answer_is_on_its_way_loses_no_picture(
    kit: Any,
    *,
    sandbox: Sandbox,
    time: FakeClock,
    ledger: Ledger,
    model: str,
    verb: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = desk_behind(kit, sandbox, lambda _: ledger.close(), clock=time, ledger=ledger)
    made = getattr(desk, verb)("a fox", model=model)
    (notice,) = [notice for notice in made.notices if notice.field == "ledger"]
    assert "it stays open there: the ledger" in notice.message
    generation = desk.result(made) if verb == "submit" else made
    assert len(generation.images) == 1
    assert "the ledger could not be written" in caplog.text


class Unwritable:
    """A ledger that cannot be written for a while after a purchase, as if another held it."""

    def __init__(self, ledger: Ledger, *methods: str) -> None:
        self._ledger = ledger
        self._failing = list(methods)

    def __getattr__(self, name: str) -> Any:
        if name not in self._failing:
            return getattr(self._ledger, name)
        self._failing.remove(name)
        refused = Future[None]()
        refused.set_exception(ConfigurationError("the ledger cannot be used: database is locked"))
        return lambda *_: refused


def test_what_was_not_written_when_it_was_accepted_is_written_in_the_end(
    kit: Any, sandbox: Sandbox, *, time: FakeClock, ledger: Ledger, model: str
) -> None:
    desk = kit.on(sandbox, clock=time, ledger=ledger)
    busy: Any = Unwritable(ledger, "submitted", *(["settled"] if model == MINIMAX else []))
    desk.client._buyer._books._ledger = busy
    generation = desk.generate("a fox", model=model)
    (row,) = rows(ledger)
    assert (row.state, row.images) == ("settled", 1)
    assert "ledger" not in {notice.field for notice in generation.notices}


@pytest.mark.parametrize("n", [1, 10])
def test_a_ledger_that_is_busy_in_the_end_is_told_of_beside_the_pictures(
    kit: Any, sandbox: Sandbox, *, time: FakeClock, ledger: Ledger, n: int
) -> None:
    desk = kit.on(sandbox, clock=time, ledger=ledger)
    desk.client._buyer._books._ledger = Unwritable(ledger, "settled")
    generation = desk.generate(ImageRequest("a fox", n=n), model=WAVESPEED)
    assert len(generation.images) == n
    (notice,) = [notice for notice in generation.notices if notice.field == "ledger"]
    assert notice.kind == "unverified"
    assert "database is locked" in notice.message
    assert states(ledger).count("submitted") == 1


@pytest.mark.parametrize("n", [1, 20])
def test_events_come_in_the_order_of_the_steps(
    kit: Any, *, sandbox: Sandbox, time: FakeClock, ledger: Ledger, model: str, n: int
) -> None:
    told: list[Event] = []
    desk = kit.on(sandbox, clock=time, ledger=ledger, on_event=told.append)
    desk.generate(ImageRequest("a fox", n=n), model=model)
    kinds = [type(event) for event in told if not isinstance(event, Polled)]
    parts = -(-n // 9)
    assert sorted(kinds, key=str) == sorted([Submitting, Submitted, Settled] * parts, key=str)
    assert states(ledger) == ["settled"] * parts


# Interruptions

SENT = {"code": 200, "data": {"id": "0123abcd", "status": "created"}}
DONE = {
    "code": 200,
    "data": {"id": "0123abcd", "status": "completed", "outputs": ["https://cdn.example/1.jpg"]},
}
AFTER: list[tuple[str, list[str]]] = [
    ("Future", ["refused"]),
    ("Submitting", ["refused"]),
    ("Call", ["unknown"]),
    ("Future", ["submitted"]),
    ("Submitted", ["submitted"]),
    ("Future", ["submitted"]),
    ("Pause", ["submitted"]),
    ("Call", ["submitted"]),
    ("Polled", ["submitted"]),
    ("Future", ["settled"]),
    ("Settled", ["settled"]),
]
"""Each step of one generation, and the row if that is where it is cut off."""


def purchase(buyer: Buyer) -> Any:
    backend = WaveSpeed(api_key="k")
    made = order(backend, "minimax/image-01", ImageRequest("a fox"), Terms(), None)
    conditions = Conditions(retries=NEVER, on_unknown="raise", until=EPOCH)
    return buyer.generation(made, made.parts[0], conditions)


def walked(flow: Any, steps: int) -> tuple[list[str], Any]:
    """Take so many steps of *flow*; give their names and the last one."""
    answers = iter([reply(SENT), reply(DONE)])
    names: list[str] = []
    outcome: Any = None
    step: Any = None
    for _ in range(steps):
        step = advance(flow, outcome)
        names.append("Future" if hasattr(step, "result") else type(step).__name__)
        outcome = next(answers) if isinstance(step, Call) else None
        if isinstance(step, Pause):
            outcome = 0.0
        if names[-1] == "Future":
            outcome = step.result(10)
    return names, step


def test_one_generation_has_these_steps(ledger: Ledger) -> None:
    names, last = walked(purchase(Buyer(FakeClock(), trusted=(), ledger=ledger)), len(AFTER) + 1)
    assert names == [*(name for name, _ in AFTER), "Done"]
    assert isinstance(last, Done)


@pytest.mark.parametrize("step", range(len(AFTER)))
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, StopError])
def test_an_interruption_at_any_step_leaves_the_right_row(
    ledger: Ledger, step: int, interruption: type[BaseException]
) -> None:
    flow = purchase(Buyer(FakeClock(), trusted=(), ledger=ledger))
    walked(flow, step + 1)
    with pytest.raises(interruption) as caught:
        advance(flow, interruption())
    assert states(ledger) == AFTER[step][1]
    notes = "".join(getattr(caught.value, "__notes__", ()))
    assert ("0123abcd" in notes) == (step >= 3)
    assert ("may be billed" in notes) == (step == 2)


@pytest.mark.parametrize("step", range(len(AFTER)))
def test_a_flow_that_is_dropped_at_any_step_leaves_the_right_row(ledger: Ledger, step: int) -> None:
    flow = purchase(Buyer(FakeClock(), trusted=(), ledger=ledger))
    walked(flow, step + 1)
    flow.close()
    assert states(ledger) == AFTER[step][1]


@pytest.mark.parametrize("kind", [Submitting, Submitted, Polled, Settled])
def test_an_interruption_in_a_listener_leaves_the_right_row(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, kind: type[Event]
) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, kind):
            raise StopError

    desk = kit.on(sandbox, clock=time, ledger=ledger, on_event=listen)
    with pytest.raises(StopError):
        desk.generate("a fox", model=WAVESPEED)
    left = {
        Submitting: ["refused"],
        Submitted: ["submitted"],
        Polled: ["submitted"],
        Settled: ["settled"],
    }
    assert states(ledger) == left[kind]
    assert len(sandbox.submissions) == (kind is not Submitting)


def test_an_interruption_while_the_answer_is_awaited_leaves_it_unknown_and_held(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, model: str
) -> None:
    def look(_: httpx.Request) -> None:
        raise StopError

    with pytest.raises(StopError) as caught:
        desk_behind(kit, sandbox, look, clock=time, ledger=ledger).generate("a fox", model=model)
    (row,) = rows(ledger)
    assert (row.state, row.error) == ("unknown", "StopError")
    assert ledger.spend().result(10)[0].open == Decimal("0.0035")
    assert "may be billed" in "".join(caught.value.__notes__)


# Repetitions


def test_a_repetition_has_a_row_of_its_own(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, model: str
) -> None:
    sandbox.inject(Fault("rate_limit", times=2))
    told: list[Event] = []
    desk = kit.on(sandbox, clock=time, ledger=ledger, retries=Retries(), on_event=told.append)
    generation = desk.generate("a fox", model=model)
    assert states(ledger) == ["refused", "refused", "settled"]
    assert len({row.id for row in rows(ledger)}) == 3
    assert generation.cost == rows(ledger)[-1].cost
    assert [type(e) for e in told if isinstance(e, (Submitting, Retried))] == [
        Submitting, Retried, Submitting, Retried, Submitting,
    ]  # fmt: skip


def test_what_fails_for_good_is_told_once(
    kit: Any, sandbox: Sandbox, time: FakeClock, model: str
) -> None:
    sandbox.inject(Fault("rate_limit", times=None))
    told: list[Event] = []
    desk = kit.on(sandbox, clock=time, retries=Retries(rate_limited=1), on_event=told.append)
    with pytest.raises(RateLimitError) as caught:
        desk.generate("a fox", model=model)
    (failed,) = [event for event in told if isinstance(event, Failed)]
    assert failed.error is caught.value
    assert f"{failed.provider}:{failed.model}".startswith(model)


def test_a_repetition_queues_for_the_limits_again(kit: Any, time: FakeClock) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit")])
    backend = MiniMax(api_key="k", base_url=sandbox.origin, limits=Limits(per_minute=1))
    watched = kit.watched(sandbox, time)
    desk = kit.desk([backend], watched=watched, clock=time, retries=Retries())
    desk.generate("a fox")
    assert len(desk.requests) == 2
    assert time.monotonic() == pytest.approx(60.0)


def test_limits_that_leave_no_room_in_time_send_nothing_and_say_who(
    kit: Any, time: FakeClock, ledger: Ledger
) -> None:
    sandbox = Sandbox(clock=time.epoch)
    backend = MiniMax(api_key="k", base_url=sandbox.origin, limits=Limits(per_minute=1))
    watched = kit.watched(sandbox, time)
    desk = kit.desk([backend], watched=watched, clock=time, ledger=ledger)
    desk.generate("a fox")
    with pytest.raises(DeadlineExceededError, match="no room in time") as caught:
        desk.generate("a fox", timeout=10)
    assert (caught.value.provider, caught.value.charged) == ("minimax", "no")
    assert (len(desk.requests), len(rows(ledger))) == (1, 1)


# Looking up a submission without an answer

TRACED = Route(models=[WAVESPEED], on_unknown="reconcile")


def test_a_lost_answer_is_found_and_its_pictures_come(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(LOST)
    told: list[Event] = []
    desk = kit.on(sandbox, clock=time, ledger=ledger, retries=Retries(), on_event=told.append)
    generation = desk.generate("a fox", model=TRACED)
    (accepted,) = sandbox.submissions
    assert (generation.job.id, len(generation.images)) == (accepted.id, 1)
    assert states(ledger) == ["settled"]
    assert [e.job.id for e in told if isinstance(e, Submitted)] == [accepted.id]
    assert time.monotonic() >= SETTLING


def test_the_time_of_a_job_without_a_zone_is_no_age_and_no_error(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    desk = kit.on(sandbox, clock=time)
    job = desk.submit("a fox", model=WAVESPEED)
    naive = Job.from_json(evolve(job, created_at=datetime(2026, 1, 1)).to_json())  # noqa: DTZ001 - that is the fact
    assert len(desk.result(naive).images) == 1


def test_a_lost_answer_is_found_for_a_submission_too(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(LOST)
    job = kit.on(sandbox, clock=time, ledger=ledger).submit("a fox", model=TRACED)
    assert job.id == sandbox.submissions[0].id
    assert states(ledger) == ["submitted"]


def test_a_submission_that_is_certainly_absent_is_made_again(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(NEVER_ARRIVED)
    desk = kit.on(sandbox, clock=time, ledger=ledger, retries=Retries())
    generation = desk.generate("a fox", model=TRACED)
    assert (len(generation.images), len(sandbox.submissions)) == (1, 1)
    assert states(ledger) == ["refused", "settled"]
    lost, made = generation.attempts
    assert (lost.error, lost.charged, made.error) == ("TransportError", "no", None)


def test_a_submission_that_is_certainly_absent_cost_nothing(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(NEVER_ARRIVED)
    desk = kit.on(sandbox, clock=time, ledger=ledger)
    with pytest.raises(ExceptionGroup) as caught:
        desk.generate("a fox", model=TRACED)
    (error,) = caught.value.exceptions
    assert isinstance(error, TransportError)
    assert (error.charged, error.sent) == ("no", False)
    assert "the provider has no job of it" in error.message
    assert states(ledger) == ["refused"]


def unknown(desk: Any, **options: Any) -> SubmissionUnknownError:
    with pytest.raises(SubmissionUnknownError) as caught:
        desk.generate("a fox", **options)
    assert caught.value.charged == "unknown"
    return caught.value


def test_a_provider_without_a_list_leaves_it_unknown(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(LOST)
    desk = kit.on(sandbox, clock=time, ledger=ledger, retries=Retries())
    unknown(desk, model=Route(models=[MINIMAX], on_unknown="reconcile"))
    assert (len(desk.requests), states(ledger)) == (1, ["unknown"])
    assert time.monotonic() == 0.0


def test_two_jobs_that_it_could_be_leave_it_unknown(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    kit.on(sandbox, clock=time).submit("a fox", model=WAVESPEED)
    sandbox.inject(LOST)
    desk = kit.on(sandbox, clock=time, ledger=ledger, retries=Retries())
    unknown(desk, model=TRACED)
    (row,) = rows(ledger)
    assert row.state == "unknown"
    assert "2 jobs of the provider" in str(row.message)


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_list_that_cannot_be_read_leaves_it_unknown_and_says_why(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, status: int
) -> None:
    def look(request: httpx.Request) -> httpx.Response | None:
        listing = request.url.path == "/api/v3/predictions"
        refusal = {"code": status, "message": "no list today"}
        return httpx.Response(status, json=refusal) if listing else None

    sandbox.inject(LOST)
    desk = desk_behind(kit, sandbox, look, clock=time, ledger=ledger)
    error = unknown(desk, model=TRACED)
    notes = "".join(error.__notes__)
    assert "looking it up failed" in notes
    assert "no list today" in notes
    assert (len(sandbox.submissions), states(ledger)) == (1, ["unknown"])


def test_without_the_time_to_look_it_is_unknown_at_once(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(LOST)
    desk = kit.on(sandbox, clock=time, ledger=ledger)
    error = unknown(desk, model=TRACED, timeout=SETTLING - 1)
    assert "there is no time to wait" in "".join(error.__notes__)
    assert (time.monotonic(), states(ledger)) == (0.0, ["unknown"])


def test_nothing_is_looked_up_unless_asked_for(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    sandbox.inject(LOST)
    desk = kit.on(sandbox, clock=time, ledger=ledger)
    unknown(desk, model=WAVESPEED)

    sandbox.inject(LOST)
    unknown(desk, model=Route(models=[WAVESPEED]))
    assert desk.sent == ["POST /api/v3/minimax/image-01/text-to-image"] * 2
    assert states(ledger) == ["unknown", "unknown"]


def test_looking_up_needs_a_ledger(kit: Any, sandbox: Sandbox, time: FakeClock) -> None:
    desk = kit.on(sandbox, clock=time)
    with pytest.raises(ConfigurationError, match="needs a ledger") as caught:
        desk.generate("a fox", model=TRACED)
    assert (desk.requests, caught.value.field) == ([], "ledger")


# Splits


def test_each_part_has_a_row_and_a_lost_one_stays_unknown_beside_the_pictures(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger, model: str
) -> None:
    sandbox.inject(Fault("drop", accepted=True, after=1))
    generation = kit.on(sandbox, clock=time, ledger=ledger).generate(
        ImageRequest("a fox", n=18), model=model
    )
    assert (len(generation.images), len(generation.failures)) == (9, 9)
    assert {failure.charged for failure in generation.failures} == {"unknown"}
    assert sorted(states(ledger)) == ["settled", "unknown"]
    assert len(sandbox.submissions) == 2


def test_an_entry_names_the_member_of_a_family_that_is_bought(
    kit: Any, sandbox: Sandbox, time: FakeClock, ledger: Ledger
) -> None:
    kit.on(sandbox, clock=time, ledger=ledger).generate("a fox", model=WAVESPEED, timeout=40)
    (row,) = rows(ledger)
    assert (row.model, row.n) == ("minimax/image-01/text-to-image", 1)
    assert (row.until - row.started_at).total_seconds() == 40
