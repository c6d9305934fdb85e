"""Six invariants of money, under whatever sequence of purchases, faults, crashes and recoveries.

A state machine over a sandbox of both providers, a Client whose clock jumps, and a ledger file.
After every step the ledger is held against the log of what the providers really accepted:

I1. A picture is accepted at most once, unless the provider failed the job, or the caller chose
    on_unknown="spend" (then at most once by each model).
I2. Every acceptance has a row with its id, or an open row that covers it.
I3. There are no more rows of unknown outcome than answers that were lost and calls cut off.
I4. What is spent or held is at least what was billed, and at most the budget.
I5. Only what was handed over is marked as collected.
I6. A settled row never changes; an id that was written never disappears.

tests/money runs it for seconds; `python -m benchmarks.invariants` for 10,000 steps and more.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import HealthCheck, settings, stateful, strategies as st

from benchmarks.fault_matrix import covers
from benchmarks.faults import ENDED, MODELS, Line, passing
from imagegen import (
    BudgetExceededError,
    Client,
    Generation,
    ImageGenError,
    ImageRequest,
    Job,
    MiniMax,
    Retries,
    Route,
    WaveSpeed,
)
from imagegen.events import Event, Polled, Submitted
from imagegen.ledger import Entry, Ledger
from imagegen.sandbox import Fault, Sandbox, Submission
from imagegen.testing import FakeClock

COUNTS: Counter[str] = Counter()
"""How often each rule fired, and what it met."""

M, W = MODELS["minimax"], MODELS["wavespeed"]
ANY_MODEL = st.sampled_from(
    [
        *(M, W, W),
        Route(models=[W, M]),
        Route(models=[M, W], on_unknown="reconcile"),
        Route(models=[W, M], on_unknown="reconcile"),
        Route(models=[W, M], on_unknown="spend"),
    ]
)
POINTS = st.sampled_from(["before sending", "after sending", "accepted", "polling"])
"""Where a process dies, or is interrupted."""


FAULTS = st.lists(
    st.builds(
        lambda fault, after, times: evolve(fault, after=after, times=times),
        st.sampled_from(list(passing())),
        st.integers(0, 2),
        st.integers(1, 3),
    ),
    max_size=2,
)


def counted(step: Callable[..., None]) -> Callable[..., None]:
    """Count how often a rule fires."""

    @wraps(step)
    def counting(self: Money, **drawn: Any) -> None:
        COUNTS[f"rule {step.__name__}"] += 1
        step(self, **drawn)

    return counting


class Died(BaseException):
    """The process is gone."""


class Money(stateful.RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp())
        self._clock = FakeClock()
        self._sandbox = Sandbox(latency=10.0, clock=self._clock.epoch)
        self._numbers = itertools.count()
        self._jobs: list[Job] = []
        self._spending: set[str] = set()
        self._handed: set[str] = set()
        self._known: dict[str, Entry] = {}
        self._cut_off = 0
        self._point = ""
        self._dies = False
        self._line = Line(self._sandbox, self._clock, self._reached)

    @stateful.initialize(budget=st.sampled_from([None, None, Decimal("0.5"), Decimal("0.05")]))
    def begin(self, budget: Decimal | None) -> None:
        """Open the shop."""
        self._budget = budget
        self._open()

    def _open(self) -> None:
        origin = self._sandbox.origin
        self._ledger = Ledger(self._folder / "ledger.db", now=self._clock.now)
        self._client = Client(
            [backend(api_key="sandbox", base_url=origin) for backend in (MiniMax, WaveSpeed)],
            transport=self._line,
            clock=self._clock,
            ledger=self._ledger,
            budget=self._budget,
            retries=Retries(),
            on_event=self._told,
        )

    def teardown(self) -> None:
        """Close it."""
        if hasattr(self, "_client"):
            self._client.close()
            self._ledger.close()
        shutil.rmtree(self._folder)

    @stateful.rule(
        model=ANY_MODEL,
        n=st.sampled_from([1, 1, 1, 2, 11]),
        faults=FAULTS,
        timeout=st.sampled_from([5.0, 60.0, 300.0]),
    )
    @counted
    def generate(self, model: str | Route, n: int, faults: list[Fault], timeout: float) -> None:
        """Buy pictures, whatever goes wrong."""
        self._sandbox.inject(*faults)
        self._hand_over(self._tried("generate", model, n, timeout))

    @stateful.rule(model=st.sampled_from([M, W]), n=st.sampled_from([1, 2]), faults=FAULTS)
    @counted
    def submit(self, model: str, n: int, faults: list[Fault]) -> None:
        """Buy, and ask for the result later."""
        self._sandbox.inject(*faults)
        if job := self._tried("submit", model, n, 60.0):
            self._jobs.append(job)

    @stateful.rule(model=ANY_MODEL)
    @counted
    def lose_the_answer(self, model: str | Route) -> None:
        """Buy, and hear nothing."""
        self._sandbox.inject(Fault("drop", accepted=True))
        self._hand_over(self._tried("generate", model, 1, 60.0))

    @stateful.rule(number=st.integers(0, 99))
    @counted
    def result(self, number: int) -> None:
        """Ask for the result of an earlier job, if there is one.

        What is drawn does not depend on the jobs: parts of one request share a clock and run in
        threads, so that a replay of the same steps may have others.
        """
        if not self._jobs:
            return
        job = self._jobs[number % len(self._jobs)]
        try:
            self._hand_over(self._client.result(job, timeout=30.0))
        except ImageGenError as error:
            COUNTS[f"result: {type(error).__name__}"] += 1

    @stateful.rule(model=ANY_MODEL, n=st.sampled_from([1, 1, 11]), point=POINTS)
    @counted
    def crash(self, model: str | Route, n: int, point: str) -> None:
        """Die while buying, with nobody to write anything; another process goes on."""
        self._dies = True
        self._cut("generate", model, n, point)
        self._reopen()
        intents = {row.id for row in self._ledger.entries("intent").result()}
        self._cut_off += len(intents - self._known.keys())

    @stateful.rule(model=ANY_MODEL, n=st.sampled_from([1, 1, 11]), point=POINTS)
    @counted
    def interrupt(self, model: str | Route, n: int, point: str) -> None:
        """Press Ctrl-C while buying; the client goes on to be used."""
        self._cut("generate", model, n, point)

    @stateful.rule(look_up=st.booleans(), timeout=st.sampled_from([30.0, 300.0]))
    @counted
    def reconcile(self, look_up: bool, timeout: float) -> None:  # noqa: FBT001 - drawn
        """Finish what is open; this never buys."""
        before = len(self._sandbox.submissions)
        try:
            report = self._client.reconcile(look_up=look_up, timeout=timeout)
        except ImageGenError as error:
            COUNTS[f"reconcile: {type(error).__name__}"] += 1
        else:
            COUNTS["adopted"] += len(report.adopted)
            COUNTS["absent"] += len(report.absent)
            for generation in report.generations:
                self._hand_over(generation)
        require(len(self._sandbox.submissions) == before, "reconciling bought")

    @stateful.rule(seconds=st.sampled_from([3.0, 15.0, 120.0, 500.0, 90_000.0]))
    @counted
    def wait(self, seconds: float) -> None:
        """Let time pass: jobs are completed, intents and URLs grow old."""
        self._clock.sleep(seconds)

    @stateful.rule()
    @counted
    def reopen(self) -> None:
        """Close everything properly, and open it again."""
        self._reopen()

    def _reopen(self) -> None:
        self._client.close()
        self._ledger.close()
        self._open()

    def _tried(self, verb: str, model: str | Route, n: int, timeout: float) -> Any:
        request = ImageRequest(f"fox {next(self._numbers)}", size="512x512", n=n, seed=1)
        if isinstance(model, Route) and model.on_unknown == "spend":
            self._spending.add(request.prompt)
        try:
            return getattr(self._client, verb)(request, model=model, timeout=timeout)
        except BudgetExceededError:
            COUNTS["over the budget"] += 1
        except ImageGenError as error:
            COUNTS[f"{verb}: {type(error).__name__}"] += 1
            if error.job:
                self._jobs.append(error.job)
        return None

    def _cut(self, verb: str, model: str | Route, n: int, point: str) -> None:
        self._point = point
        try:
            self._hand_over(self._tried(verb, model, n, 60.0))
        except Died:
            COUNTS[f"{'died' if self._dies else 'interrupted'} {point}"] += 1
        _wait_for_threads()
        self._point, self._dies = "", False

    def _reached(self, point: str) -> None:
        if point != self._point:
            return
        if self._dies:
            self._ledger.close()
        else:
            self._cut_off += 1
        raise Died

    def _told(self, event: Event) -> None:
        match event:
            case Submitted():
                self._reached("accepted")
            case Polled():
                self._reached("polling")
            case _:
                pass

    def _hand_over(self, generation: Generation | None) -> None:
        if generation:
            COUNTS["generations"] += 1
            self._handed |= {image.request_id for image in generation.images if image.request_id}

    @stateful.invariant()
    def holds(self) -> None:
        """Hold the ledger against the log."""
        if not hasattr(self, "_client"):
            return
        COUNTS["steps"] += 1
        rows = self._ledger.entries().result()
        self._once()
        self._covered(rows)
        self._explained(rows)
        self._within_budget()
        self._collected(rows)
        self._kept(rows)

    def _billed(self) -> list[Submission]:
        made = self._sandbox._wavespeed._predictions  # noqa: SLF001 - asking it would use up faults
        return [
            one
            for one in self._sandbox.submissions
            if one.images and (one.id not in made or made[one.id].end not in ENDED)
        ]

    def _once(self) -> None:
        billed = self._billed()
        spent = Counter(
            (picture(one), one.provider) for one in billed if one.body["prompt"] in self._spending
        )
        once = Counter(picture(one) for one in billed if one.body["prompt"] not in self._spending)
        twice = [key for key, times in (spent + once).items() if times > 1]
        require(not twice, f"I1: bought twice: {twice}")

    def _covered(self, rows: list[Entry]) -> None:
        ids = {row.job.id for row in rows if row.job} | {row.request_id for row in rows}
        nameless = Counter(
            (one.provider, *picture(one)) for one in self._billed() if one.id not in ids
        )
        covering = Counter(
            (r.provider, r.request.prompt, r.request.seed) for r in rows if covers(r)
        )
        bare = {key: times for key, times in nameless.items() if covering[key] < times}
        require(not bare, f"I2: without a row: {bare}")

    def _explained(self, rows: list[Entry]) -> None:
        unknown = sum(row.state in ("unknown", "intent") for row in rows)
        most = self._line.lost + self._cut_off
        require(unknown <= most, f"I3: {unknown} unknown, and {most} lost or cut off")

    def _within_budget(self) -> None:
        lines = self._ledger.spend().result()
        held = sum((line.spent + line.open for line in lines), Decimal(0))
        billed = sum((one.price for one in self._billed()), Decimal(0))
        require(billed <= held, f"I4: {billed} billed, and {held} spent or held")
        require(self._budget is None or held <= self._budget, f"I4: {held} of {self._budget}")

    def _collected(self, rows: list[Entry]) -> None:
        for row in (row for row in rows if row.collected):
            ended = row.state in ("settled", "refused")
            require(ended, f"I5: {row} is collected, and may still bring pictures")
            handed = not row.images or row.request_id in self._handed
            require(handed, f"I5: {row} was not handed over")

    def _kept(self, rows: list[Entry]) -> None:
        now = {row.id: row for row in rows}
        gone = self._known.keys() - now.keys()
        require(not gone, f"I6: rows are gone: {gone}")
        for old in self._known.values():
            new = now[old.id]
            same = evolve(new, updated_at=old.updated_at, collected=old.collected)
            require(old.state != "settled" or same == old, f"I6: {old} became {new}")
            require(new.collected >= old.collected, f"I6: {old} is not collected any more")
            kept = not old.job or (new.job and new.job.id == old.job.id)
            require(kept, f"I6: the job of {old} is gone")
        self._known = now


def require(holds: object, words: str) -> None:
    """Raise AssertionError with *words* unless it holds."""
    if not holds:
        raise AssertionError(words)


def picture(one: Submission) -> tuple[str, int]:
    """What was asked for, once: every request has a prompt, every part a seed of its own."""
    return one.body["prompt"], one.body["seed"]


def _wait_for_threads() -> None:
    """Wait for what goes on after an interruption: the next step is not to meet it."""
    for thread in threading.enumerate():
        if thread.name == "imagegen":
            thread.join(10.0)


def run(examples: int, steps: int, *, repeatable: bool = True) -> None:
    """Run the machine so often, with so many steps each time.

    Raises:
        AssertionError: an invariant does not hold; the steps that lead there are printed.
    """
    given = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=repeatable,
        suppress_health_check=list(HealthCheck),
    )
    stateful.run_state_machine_as_test(Money, settings=given)


def main() -> None:
    """Run until there were enough steps; print what happened in them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=10_000)
    given = options.parse_args()
    started, examples = time.monotonic(), 0
    while COUNTS["steps"] < given.steps:
        run(50, 40, repeatable=False)
        examples += 50
    print(f"{COUNTS.pop('steps'):,} steps, {examples:,} examples")
    print(f"{time.monotonic() - started:.0f} seconds")
    for name, times in COUNTS.most_common():
        print(f"{name:40} {times:8,}")


if __name__ == "__main__":
    main()
