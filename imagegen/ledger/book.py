"""The operations on the rows, each called by the writer within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import get_args
from uuid import uuid4

from attrs import evolve

from imagegen.errors import (
    ConfigurationError,
    ImageGenError,
    InvalidRequestError,
    SubmissionUnknownError,
)
from imagegen.ledger.budget import Budget, require_room
from imagegen.ledger.money import billionths
from imagegen.ledger.owner import is_gone, this_process
from imagegen.ledger.privacy import Privacy
from imagegen.ledger.rows import changed_row, entry_of, moment, new_row, spend_of
from imagegen.ledger.values import TRANSITIONS, Entry, Spend, State
from imagegen.redaction import brief
from imagegen.result import Cost, Generation, Job

GRACE = timedelta(seconds=60)
"""How long after its deadline an intent may still be written to by a living process."""
SKEWS = timedelta(seconds=240)
"""Twice the difference of clocks that a look-up allows: two of them may see the same jobs."""

_MOVE = """
UPDATE attempts SET state = :state, cost = :cost, cost_currency = :cost_currency,
    cost_basis = :cost_basis, images = :images, job_id = :job_id, job = :job, error = :error,
    message = :message, request_id = :request_id, updated_at = :updated_at
WHERE id = :id AND state IN ('{}')"""
_MOVES = {to: _MOVE.format("', '".join(sources)) for to, sources in TRANSITIONS.items()}
_NOTE = "UPDATE attempts SET message = :message, updated_at = :now WHERE id = :id"
_COLLECT = """
UPDATE attempts SET collected = 1, updated_at = :now
WHERE provider = :provider AND (job_id = :id OR request_id = :id)
    AND state = 'settled' AND NOT collected"""
_HAS_JOB = "SELECT 1 FROM attempts WHERE job_id = :id AND provider = :provider LIMIT 1"
_RIVALS = """
SELECT count(*) FROM attempts
WHERE state IN ('intent', 'unknown') AND id <> :id
    AND provider = :provider AND model = :model AND prompt = :prompt
    AND started_at <= :until AND until >= :started_at"""
_HELD = """
SELECT coalesce(sum(spent + open), 0) FROM totals
WHERE currency = :currency AND (:day IS NULL OR day = :day)"""
_SPEND = """
SELECT * FROM totals WHERE day >= :since AND submissions > 0
ORDER BY day, provider, model, currency"""


class Book:
    """The rows of one ledger; what its methods do is described at `Ledger`'s of the same name."""

    def __init__(
        self, connection: sqlite3.Connection, privacy: Privacy, now: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._privacy = privacy
        self._now = now
        self._process = this_process()
        self._prompts: dict[str, str] = {}  # by entry, where they are not stored

    def intend(self, entry: Entry, budget: Budget | None) -> None:
        """Insert *entry* as an intent, if it fits into *budget*."""
        amount = entry.reserved.amount
        if amount is not None and billionths(amount) is None:
            raise InvalidRequestError(
                f"no submission is reserved at {brief(amount)}", field="reserved"
            )
        if budget is not None:
            require_room(budget, entry, self._held(budget, entry))
        self._insert(
            Entry(
                id=entry.id,
                provider=entry.provider,
                model=entry.model,
                n=entry.n,
                request=self._privacy.request(entry.request),
                reserved=entry.reserved,
                started_at=entry.started_at,
                until=entry.until,
                owner=entry.owner or self._process,
            )
        )
        if not self._privacy.prompts:
            self._prompts[entry.id] = entry.request.prompt

    def submitted(self, entry_id: str, job: Job) -> bool:
        """Note the accepted *job*, in a row of its own if the entry's already has another."""
        entry = self._required(entry_id)
        accepted = self._accepted(entry, job)
        if entry.job is None and self._move(accepted):
            return True
        same = entry.job is not None and entry.job.id == job.id
        if same or self._has_job(entry.provider, job.id):
            return False
        self._insert(
            evolve(
                accepted,
                id=uuid4().hex,
                cost=Cost(),
                images=0,
                request_id=None,
                collected=False,
            )
        )
        return True

    def refused(self, entry_id: str, error: ImageGenError) -> bool:
        """Note that it was not accepted."""
        return self._failed(entry_id, "refused", error)

    def unknown(self, entry_id: str, error: BaseException) -> bool:
        """Note that it may have been accepted."""
        return self._failed(entry_id, "unknown", error)

    def settled(self, key: str | Job, outcome: Generation | ImageGenError) -> bool:
        """Note how it ended."""
        entries = self._about(key, outcome.job)
        jobs = [job for job in (key, outcome.job) if isinstance(job, Job)]
        moved = [self._move(self._ended(entry, outcome, jobs)) for entry in entries]
        return any(moved)

    def collected(self, generation: Generation) -> int:
        """Mark the rows of the attempts as collected."""
        made = [attempt for attempt in generation.attempts if attempt.error is None]
        named = {(a.provider, a.request_id) for a in made if a.request_id}
        return sum(self._collect(provider, request_id) for provider, request_id in named)

    def identify(self, entry_id: str, found: Sequence[Job]) -> Entry:
        """Decide what became of an unknown row, from the jobs that the provider lists."""
        entry = self._required(entry_id)
        if entry.state != "unknown":
            return entry
        free = {job.id: job for job in found if not self._has_job(entry.provider, job.id)}
        rivals = self._rivals(entry)
        if not free:
            words = "the provider's list does not have it"
            self._move(evolve(entry, state="refused", error=None, message=words))
        elif len(free) == 1 and not rivals and not any(job.notices for job in free.values()):
            self._move(self._accepted(entry, *free.values()))
        else:
            self._note(entry, f"{len(free)} jobs of the provider and {rivals} other rows match it")
        return self._required(entry_id)

    def abandoned(self) -> list[Entry]:
        """Turn the intents that nobody will finish into unknown ones."""
        latest = self._now() - GRACE
        words = "nothing was recorded of its outcome, and its process has ended or its time is up"
        lost = [e for e in self.entries(("intent",)) if e.until < latest or is_gone(e.owner)]
        for entry in lost:
            error = SubmissionUnknownError.__name__
            self._move(evolve(entry, state="unknown", error=error, message=words))
        return [self._required(entry.id) for entry in lost]

    def entries(self, states: Sequence[State], *, collected: bool | None = None) -> list[Entry]:
        """Return rows, oldest first."""
        wanted = states or get_args(State)
        where = f"state IN ({', '.join('?' * len(wanted))}) AND collected IN (?, ?)"
        flags = (False, True) if collected is None else (collected, collected)
        return self._rows(where, *wanted, *flags)

    def entry(self, key: str) -> Entry | None:
        """Return a row by its id, else by its job's."""
        found = self._rows("id = ?", key) or (self._rows("job_id = ?", key) if key else [])
        return found[0] if found else None

    def spend(self, since: date | None) -> list[Spend]:
        """Return the account."""
        first = since.isoformat()[:10] if since else ""
        return [spend_of(row) for row in self._connection.execute(_SPEND, {"since": first})]

    def _required(self, entry_id: str) -> Entry:
        for entry in self._rows("id = ?", entry_id):
            return entry
        raise ConfigurationError(
            f"the ledger has no entry {brief(entry_id)}", advice="Call intend() with it first"
        )

    def _about(self, key: str | Job, job: Job | None) -> list[Entry]:
        """Return the rows that an outcome is about, once its job, if it names one, has a row."""
        if isinstance(key, Job):
            return self._open_of_job(key.provider, key.id)
        entries = self._rows("id = ?", key)
        if not entries or job is None or not job.id:
            return entries
        self.submitted(key, job)
        own = self._rows("id = ? AND job_id = ?", key, job.id)
        return own or self._open_of_job(entries[0].provider, job.id)

    def _has_job(self, provider: str, job_id: str) -> bool:
        found = self._connection.execute(_HAS_JOB, {"provider": provider, "id": job_id})
        return bool(job_id) and found.fetchone() is not None

    def _open_of_job(self, provider: str, job_id: str) -> list[Entry]:
        """Of a provider that repeats an id, the rows that are settled need not be read again."""
        where = "job_id = ? AND provider = ? AND state <> 'settled'"
        return self._rows(where, job_id, provider) if job_id else []

    def _rows(self, where: str, *values: object) -> list[Entry]:
        query = f"SELECT * FROM attempts WHERE {where} ORDER BY started_at, number"  # noqa: S608 - same
        return [entry_of(row) for row in self._connection.execute(query, values)]

    def _accepted(self, entry: Entry, job: Job) -> Entry:
        kept = self._privacy.job(job)
        return evolve(entry, state="submitted", job=kept, error=None, message=None)

    def _failed(self, entry_id: str, state: State, error: BaseException) -> bool:
        entries = self._rows("id = ?", entry_id)
        return any(self._move(self._with_error(entry, state, error)) for entry in entries)

    def _with_error(
        self, entry: Entry, state: State, error: BaseException, jobs: Sequence[Job] = ()
    ) -> Entry:
        known = [self._prompts.get(entry.id), *(job.request.prompt for job in jobs)]
        words = error.message if isinstance(error, ImageGenError) else str(error)
        return evolve(
            entry,
            state=state,
            error=type(error).__name__,
            message=self._privacy.words(words, [prompt for prompt in known if prompt]),
            request_id=getattr(error, "request_id", None) or entry.request_id,
        )

    def _ended(
        self, entry: Entry, outcome: Generation | ImageGenError, jobs: Sequence[Job]
    ) -> Entry:
        if isinstance(outcome, Generation):
            return self._delivered(entry, outcome)
        costs = {"no": _nothing(entry.reserved), "yes": entry.reserved}
        cost = costs.get(outcome.charged, Cost())
        return evolve(self._with_error(entry, "settled", outcome, jobs), cost=cost)

    def _delivered(self, entry: Entry, outcome: Generation) -> Entry:
        generation = self._privacy.generation(outcome)
        request_id = next((a.request_id for a in generation.attempts if a.request_id), None)
        job = entry.job or Job(
            provider=entry.provider,
            model=generation.model,
            id=request_id or "",
            request=entry.request,
            notices=generation.notices,
        )
        return evolve(
            entry,
            state="settled",
            cost=generation.cost,
            images=len(generation.images),
            job=evolve(job, settled=generation),
            error=None,
            message=None,
            request_id=request_id or entry.request_id,
        )

    def _insert(self, entry: Entry) -> None:
        row = new_row(entry, self._now())
        columns, values = ", ".join(row), ", :".join(row)
        self._connection.execute(f"INSERT INTO attempts ({columns}) VALUES (:{values})", row)  # noqa: S608 - our own words

    def _move(self, entry: Entry) -> bool:
        """Write *entry* if its row is in a state from which it may come to this one."""
        row = changed_row(entry, self._now())
        moved = self._connection.execute(_MOVES[entry.state], row).rowcount > 0
        if moved and entry.state in ("settled", "refused"):
            self._prompts.pop(entry.id, None)
        return moved

    def _note(self, entry: Entry, words: str) -> None:
        row = {"id": entry.id, "message": words, "now": moment(self._now())}
        self._connection.execute(_NOTE, row)

    def _collect(self, provider: str, request_id: str) -> int:
        row = {"provider": provider, "id": request_id, "now": moment(self._now())}
        return self._connection.execute(_COLLECT, row).rowcount

    def _rivals(self, entry: Entry) -> int:
        """Count the other open rows whose jobs a look-up for *entry* may have seen."""
        wide = evolve(entry, started_at=entry.started_at - SKEWS, until=entry.until + SKEWS)
        row = new_row(wide, self._now())
        return int(self._connection.execute(_RIVALS, row).fetchone()[0])

    def _held(self, budget: Budget, entry: Entry) -> int:
        day = moment(entry.started_at)[:10] if budget.per == "day" else None
        query = {"currency": budget.currency, "day": day}
        return int(self._connection.execute(_HELD, query).fetchone()[0])


def _nothing(reserved: Cost) -> Cost:
    return Cost(amount=Decimal(0), currency=reserved.currency, basis="list-price")
