"""Finishing what a crash, a deadline or a lost answer left open, as a plan over the ledger.

It never submits anything: it asks for results, and looks lost submissions up where the provider
has a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from imagegen.backends.base import Backend
from imagegen.errors import ConfigurationError, ImageGenError, JobFailedError
from imagegen.flow import Flow, Pause, awaited
from imagegen.purchase.buying import SETTLING, Buyer
from imagegen.purchase.plans import Batch, Outcome, Plan
from imagegen.result import Generation

if TYPE_CHECKING:
    from imagegen.ledger import Entry, Ledger

T = TypeVar("T")

GONE = timedelta(days=8)
"""A job that its provider does not know, so long after, is not going to be known again.
WaveSpeedAI keeps predictions for seven days."""


@frozen(kw_only=True)
class Reconciliation:
    """What became of the submissions that were open.

    Attributes:
        generations: results that came, and were not handed over before.
        errors: why other results did not come, each with its job if that may still go on; and why
            a lost submission could not be looked up.
        adopted: lost submissions that the provider turned out to have accepted.
        absent: lost submissions that it certainly did not accept; nothing was paid for them.
        unknown: submissions of which nobody can tell; their price stays reserved.
        running: what other processes are at work on.
    """

    generations: tuple[Generation, ...] = ()
    errors: tuple[ImageGenError, ...] = ()
    adopted: tuple[Entry, ...] = ()
    absent: tuple[Entry, ...] = ()
    unknown: tuple[Entry, ...] = ()
    running: tuple[Entry, ...] = ()


class Recovery:
    """One reconciliation of *ledger* through *backends*, which have their keys."""

    def __init__(
        self,
        ledger: Ledger,
        buyer: Buyer,
        backends: Mapping[str, Backend],
        now: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._buyer = buyer
        self._backends = backends
        self._now = now

    def plan(self, *, look_up: bool) -> Plan[Reconciliation]:
        """Look the unknown up, if asked to, then collect every result that is open."""
        yield from _alone(awaited(self._ledger.abandoned()))
        looks = (yield from self._looked_up()) if look_up else []
        looked_up = [look.value for look in looks if look.value]
        # Read before the waiting for results, which may take all the time that there is.
        unknown = yield from _alone(awaited(self._ledger.entries("unknown")))
        running, outcomes = yield from self._collected()
        errors = [o.error for o in looks] + [o.error for o in outcomes]
        return Reconciliation(
            generations=tuple(o.value for o in outcomes if o.value),
            errors=tuple(filter(None, errors)),
            adopted=tuple(e for e in looked_up if e.state == "submitted"),
            absent=tuple(e for e in looked_up if e.state == "refused"),
            unknown=tuple(unknown),
            running=tuple(running),
        )

    def _looked_up(self) -> Plan[list[Outcome[Entry]]]:
        unknown = yield from _alone(awaited(self._ledger.entries("unknown")))
        flows = [self._look_up(entry) for entry in unknown if self._can_find(entry)]
        outcomes: list[Outcome[Entry]] = yield Batch(flows)
        return outcomes

    def _can_find(self, entry: Entry) -> bool:
        backend = self._backends.get(entry.provider)
        return backend is not None and backend.can_find

    def _look_up(self, entry: Entry) -> Flow[Entry]:
        sure = (entry.updated_at or entry.started_at) + timedelta(seconds=SETTLING)
        wait = (sure - self._now()).total_seconds()
        if wait > 0:
            yield Pause(min(wait, SETTLING), firm=True)
        return (yield from self._buyer.looked_up(self._backends[entry.provider], entry))

    def _collected(self) -> Plan[tuple[list[Entry], list[Outcome[Generation]]]]:
        """Ask for every result that nobody has, but not for those that others are waiting for."""
        rows = yield from _alone(
            awaited(self._ledger.entries("intent", "submitted", "settled", collected=False))
        )
        running = [row for row in rows if row.state != "settled" and self._ledger.in_use(row)]
        open_rows = [row for row in rows if row.state != "intent" and row not in running]
        flows = [self._collect(row) for row in open_rows if row.job and _has_result(row)]
        outcomes: list[Outcome[Generation]] = yield Batch(flows)
        return running, outcomes

    def _collect(self, entry: Entry) -> Flow[Generation]:
        backend = self._backends.get(entry.provider)
        if backend is None or entry.job is None:
            raise ConfigurationError(
                f"its result cannot be asked for: {entry.provider} is not configured here",
                advice="Give this client the backend, with its key",
                provider=entry.provider,
                model=entry.model,
                job=entry.job,
                charged="yes",
            )
        try:
            return (yield from self._buyer.result(backend, entry.job))
        except JobFailedError as error:
            if error.status == 404 and self._now() - entry.started_at > GONE:
                gone = JobFailedError(error.message, charged="unknown")
                yield from awaited(self._ledger.settled(entry.job, gone))
            raise


def _has_result(entry: Entry) -> bool:
    """Tell a job that has, or may bring, pictures from one that ended without any."""
    settled = entry.job.settled if entry.job else None
    return entry.state == "submitted" or bool(settled and settled.images)


def _alone(flow: Flow[T]) -> Plan[T]:
    """Run one flow, and let its error be ours."""
    outcomes: list[Outcome[T]] = yield Batch([flow])
    (outcome,) = outcomes
    if outcome.error:
        raise outcome.error
    return outcome.value  # type: ignore[return-value]
