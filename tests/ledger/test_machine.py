"""The ledger against a plain dict: any sequence of operations, crashes and jumps of the clock."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, evolve
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from imagegen import (
    BudgetExceededError,
    Cost,
    GeneratedImage,
    Generation,
    ImageGenError,
    ImageRequest,
    Job,
    JobFailedError,
    RateLimitError,
)
from imagegen.ledger import Budget, Entry, Ledger, Spend

PROVIDERS = st.sampled_from(["minimax", "wavespeed"])
PROMPTS = st.sampled_from(["a fox", "an owl"])
JOBS = st.sampled_from(["1", "2", "3", "4", "5", "6"])
PRICES = st.sampled_from([None, Decimal("0.0035"), Decimal("0.02"), Decimal("0.000000001")])
COSTS = st.sampled_from([None, Decimal(0), Decimal("0.0035"), Decimal("0.05")])
CHARGES = st.sampled_from(["no", "yes", "unknown"])
AMOUNT = Decimal("0.05")
OPEN = {"intent", "unknown"}


def dollars(amount: Decimal | None) -> Cost:
    return Cost(amount=amount, currency=None if amount is None else "USD")


@define
class Row:
    """What the model knows of one row."""

    id: str
    provider: str
    prompt: str
    reserved: Decimal | None
    started: datetime
    until: datetime
    state: str = "intent"
    job: str | None = None
    cost: Decimal | None = None
    images: int = 0
    currency: str | None = None

    @property
    def held(self) -> Decimal:
        if self.state == "refused":
            return Decimal(0)
        return self.reserved or Decimal(0) if self.cost is None else self.cost


def seen(entry: Entry) -> Row:
    """Return what the model should know of *entry*."""
    return Row(
        id=entry.id,
        provider=entry.provider,
        prompt=entry.request.prompt,
        reserved=entry.reserved.amount,
        started=entry.started_at,
        until=entry.until,
        state=entry.state,
        job=entry.job.id if entry.job else None,
        cost=entry.cost.amount,
        images=entry.images,
        currency=entry.cost.currency or entry.reserved.currency,
    )


class Ledgers(RuleBasedStateMachine):
    """Every operation is done to the ledger and to the model, which must agree."""

    ids: Bundle[str] = Bundle("ids")

    @initialize(per=st.sampled_from(["day", "total"]))
    def open(self, per: Any) -> None:
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "0" / "ledger.db"
        self.moment = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.ledger = Ledger(self.path, now=lambda: self.moment)
        self.budget = Budget(amount=AMOUNT, per=per)
        self.always_within = True
        self.rows: dict[str, Row] = {}
        self.final: dict[str, Row] = {}
        self.told: set[tuple[str, str]] = set()
        self.allowed: Counter[str] = Counter()

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()

    def held(self) -> Counter[str]:
        """What is held, by what the budget counts together."""
        sums: Counter[str] = Counter()
        for row in self.rows.values():
            sums[self.period(row.started)] += row.held  # type: ignore[assignment]
        return sums

    def period(self, moment: datetime) -> str:
        return str(moment.date()) if self.budget.per == "day" else ""

    @rule(
        target=ids,
        provider=PROVIDERS,
        prompt=PROMPTS,
        price=PRICES,
        minutes=st.integers(0, 60),
        budgeted=st.sampled_from([True, True, True, True, False]),
    )
    def intend(
        self, provider: str, prompt: str, price: Decimal | None, minutes: int, *, budgeted: bool
    ) -> str:
        entry = Entry(
            provider=provider,
            model="m",
            n=1,
            request=ImageRequest(prompt),
            reserved=dollars(price),
            started_at=self.moment,
            until=self.moment + timedelta(minutes=minutes),
        )
        held = self.held()[self.period(self.moment)]
        fits = not budgeted or (price is not None and held + price <= AMOUNT)
        try:
            self.ledger.intend(entry, self.budget if budgeted else None).result()
        except BudgetExceededError:
            assert not fits
            return entry.id
        assert fits
        self.always_within &= budgeted
        self.rows[entry.id] = seen(entry)
        return entry.id

    def job(self, provider: str, job: str, prompt: str = "a fox") -> Job:
        return Job(provider=provider, model="m", id=job, request=ImageRequest(prompt))

    def of_job(self, provider: str, job: str) -> list[Row]:
        return [r for r in self.rows.values() if (r.provider, r.job) == (provider, job)]

    def take(self, row: Row, job: str) -> bool:
        """Do as `submitted` should."""
        self.told.add((row.provider, job))
        if row.job is None and row.state != "settled":
            row.state, row.job = "submitted", job
            return True
        if self.of_job(row.provider, job):
            return False
        (late,) = (
            entry
            for entry in self.ledger.entries().result()
            if entry.job and (entry.provider, entry.job.id) == (row.provider, job)
        )
        assert late.id not in self.rows
        self.rows[late.id] = evolve(
            row,
            id=late.id,
            state="submitted",
            job=job,
            cost=None,
            images=0,
            currency=None if row.reserved is None else "USD",
        )
        return True

    @rule(entry_id=ids, job=JOBS)
    def submitted(self, entry_id: str, job: str) -> None:
        row = self.rows.get(entry_id)
        if row is None:
            error = self.ledger.submitted(entry_id, self.job("minimax", job)).exception()
            assert isinstance(error, ImageGenError)
            return
        before = self.held()
        done = self.ledger.submitted(entry_id, self.job(row.provider, job)).result()
        assert done == self.take(row, job)
        self.allow(before)

    def allow(self, before: Counter[str]) -> None:
        """Providers may charge what no intent foresaw, and late answers come; no budget helps."""
        self.allowed += self.held() - before

    @rule(entry_id=ids)
    def refused(self, entry_id: str) -> None:
        self.fail(entry_id, "refused", OPEN)

    @rule(entry_id=ids)
    def unknown(self, entry_id: str) -> None:
        self.fail(entry_id, "unknown", {"intent"})

    def fail(self, entry_id: str, state: str, sources: set[str]) -> None:
        row = self.rows.get(entry_id)
        done = getattr(self.ledger, state)(entry_id, RateLimitError("no")).result()
        assert done == (row is not None and row.state in sources)
        if row and done:
            row.state = state

    @rule(entry_id=ids, job=st.none() | JOBS, cost=COSTS)
    def settled(self, entry_id: str, job: str | None, cost: Decimal | None) -> None:
        row = self.rows.get(entry_id)
        provider = row.provider if row else "minimax"
        named = self.job(provider, job) if job else None
        outcome = Generation(
            images=(GeneratedImage(url="https://h.example/1.png"),),
            cost=dollars(cost),
            provider=provider,
            model="m",
            request=ImageRequest("a fox"),
            job=named,
        )
        before = self.held()
        done = self.ledger.settled(entry_id, outcome).result()
        assert done == any([self.settle(r, cost, 1) for r in self.about(row, job)])  # noqa: C419 - all
        self.allow(before)

    def about(self, row: Row | None, job: str | None) -> list[Row]:
        if row is None:
            return []
        if job is None:
            return [row]
        self.take(row, job)
        return [row] if row.job == job else self.of_job(row.provider, job)

    def settle(self, row: Row, cost: Decimal | None, images: int) -> bool:
        if row.state == "settled":
            return False
        row.state, row.cost, row.images = "settled", cost, images
        row.currency = "USD" if cost is not None and images else row.currency
        row.job = row.job if row.job is not None or not images else ""
        return True

    @rule(provider=PROVIDERS, job=JOBS, charged=CHARGES)
    def ended(self, provider: str, job: str, charged: Any) -> None:
        before = self.held()
        error = JobFailedError("it broke", charged=charged)
        done = self.ledger.settled(self.job(provider, job), error).result()
        costs: dict[str, Callable[[Row], Decimal | None]] = {
            "no": lambda _: Decimal(0),
            "yes": lambda row: row.reserved,
            "unknown": lambda _: None,
        }
        rows = self.of_job(provider, job)
        assert done == any([self.settle(r, costs[charged](r), 0) for r in rows])  # noqa: C419 - all
        self.allow(before)

    @rule(entry_id=ids, jobs=st.sets(JOBS, max_size=2))
    def identify(self, entry_id: str, jobs: set[str]) -> None:
        row = self.rows.get(entry_id)
        if row is None:
            return
        found = [self.job(row.provider, job) for job in sorted(jobs)]
        after = self.ledger.identify(entry_id, found).result()
        free = [job for job in sorted(jobs) if not self.of_job(row.provider, job)]
        if row.state == "unknown" and not free:
            row.state = "refused"
        elif row.state == "unknown" and len(free) == 1 and not self.rivals(row):
            row.state, row.job = "submitted", free[0]
        assert seen(after) == row

    def rivals(self, row: Row) -> list[Row]:
        return [
            other
            for other in self.rows.values()
            if other.id != row.id
            and other.state in OPEN
            and (other.provider, other.prompt) == (row.provider, row.prompt)
            and other.started <= row.until
            and row.started <= other.until
        ]

    @rule()
    def abandoned(self) -> None:
        late = self.moment - timedelta(seconds=60)
        lost = {r.id for r in self.rows.values() if r.state == "intent" and r.until < late}
        assert {entry.id for entry in self.ledger.abandoned().result()} == lost
        for entry_id in lost:
            self.rows[entry_id].state = "unknown"

    @rule(seconds=st.integers(0, 100_000))
    def jump(self, seconds: int) -> None:
        self.moment += timedelta(seconds=seconds)

    @rule()
    def crash(self) -> None:
        """Go on with the files as they are at this moment, but for what memory held."""
        folder = self.path.parent.with_name(str(int(self.path.parent.name) + 1))
        folder.mkdir()
        for name in ("ledger.db", "ledger.db-wal"):
            shutil.copy(self.path.with_name(name), folder)
        self.ledger.close()
        self.path = folder / "ledger.db"
        self.ledger = Ledger(self.path, now=lambda: self.moment)

    @rule(entry_id=consumes(ids))
    def forget(self, entry_id: str) -> None:
        """Let go of one, so that others are drawn more often."""

    @invariant()
    def the_rows_are_the_model_s(self) -> None:
        entries = self.ledger.entries().result()
        assert {entry.id: seen(entry) for entry in entries} == self.rows

    @invariant()
    def the_account_is_the_sum_of_the_rows(self) -> None:
        lines: dict[Any, Spend] = {}
        for row in self.rows.values():
            if row.state == "refused":
                continue
            priced = row.cost is not None or row.reserved is not None
            key = (row.started.date(), row.provider, row.currency)
            line = lines.get(key) or Spend(
                day=key[0], provider=row.provider, model="m", currency=key[2], submissions=0,
                images=0, spent=Decimal(0), open=Decimal(0), unknown=0, unpriced=0,
            )  # fmt: skip
            lines[key] = evolve(
                line,
                submissions=line.submissions + 1,
                images=line.images + row.images,
                spent=line.spent + (row.cost or 0),
                open=line.open + (row.held if row.cost is None else 0),
                unknown=line.unknown + (row.state == "unknown"),
                unpriced=line.unpriced + (not priced),
            )
        spend = self.ledger.spend().result()
        assert {(line.day, line.provider, line.currency): line for line in spend} == lines

    @invariant()
    def what_is_settled_never_changes(self) -> None:
        for entry_id, row in self.final.items():
            assert self.rows[entry_id] == row
        settled = (row for row in self.rows.values() if row.state == "settled")
        self.final |= {row.id: evolve(row) for row in settled}

    @invariant()
    def every_job_that_was_told_is_in_some_row(self) -> None:
        known = {(e.provider, e.job.id) for e in self.ledger.entries().result() if e.job}
        assert self.told <= known

    @invariant()
    def the_budget_holds_but_for_what_no_intent_foresaw(self) -> None:
        if self.always_within:
            for period, held in self.held().items():
                assert held <= AMOUNT + self.allowed[period]


Ledgers.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestLedgers = Ledgers.TestCase
