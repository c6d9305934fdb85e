"""Buying pictures, as flows: within the limits, on the ledger, and again only if not accepted.

The order of steps is what keeps money safe. The intent and its reserved price are on the ledger
before the first byte leaves; the job is written down before anything else is done with the answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar, cast
from uuid import uuid4

from attrs import define, evolve, field, frozen

from imagegen.backends.base import Backend, attached
from imagegen.backends.carrying import carried, may_be_billed
from imagegen.errors import (
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    JobFailedError,
    SubmissionUnknownError,
    TransportError,
)
from imagegen.events import Failed, Retried, Settled, Submitted, Submitting
from imagegen.flow import Flow, Pause, awaited
from imagegen.limits import Limiter, Turn
from imagegen.pictures.download import with_bytes
from imagegen.purchase.bookkeeping import Books
from imagegen.purchase.orders import Order
from imagegen.purchase.outcomes import ending
from imagegen.purchase.policy import Retries
from imagegen.request import ImageRequest
from imagegen.result import Attempt, Generation, Job, Notice

if TYPE_CHECKING:
    from imagegen.drivers import Clock
    from imagegen.ledger import Budget, Entry, Ledger

T = TypeVar("T")

OnUnknown = Literal["raise", "reconcile", "spend"]

SETTLING = 10.0
"""Seconds after which a provider's list is believed to show all that it accepted. A judgement:
no provider documents how long a new job takes to appear."""
SKEW = timedelta(seconds=120)
"""How far the provider's clock may be from ours."""


NO_LIST = (
    "It may be billed, so it was not repeated; this provider has no list to look it up in: look at "
    "the usage of your account before you send it again"
)


@frozen(kw_only=True)
class Conditions:
    """What the caller allows: repetitions, what to do about the unknown, and until when."""

    retries: Retries
    on_unknown: OnUnknown
    until: datetime


@define
class _Purchase:
    """One part of an order on its way: the submissions that failed, and the entry of the last.

    `unwritten` tells if the last one's job is not on the ledger.
    """

    order: Order
    part: ImageRequest
    conditions: Conditions
    started: float
    entry: Entry | None = None
    unwritten: tuple[Notice, ...] = ()
    failed: list[Attempt] = field(factory=list[Attempt])

    def attempt(self, error: ImageGenError, now: float) -> Attempt:
        return self.order.failed(self.part, error, now - self.started)


class Buyer:
    """Makes the purchases of one client: every paid submission passes through here."""

    def __init__(
        self,
        clock: Clock,
        *,
        trusted: Collection[str],
        ledger: Ledger | None = None,
        budget: Budget | None = None,
        limiters: Mapping[str, Limiter] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._trusted = trusted
        self._ledger = ledger
        self._books = Books(ledger, budget)
        self._limiters = limiters or {}
        self._chance = chance

    def generation(
        self, order: Order, part: ImageRequest, conditions: Conditions
    ) -> Flow[Generation]:
        """Submit *part* and wait for its pictures."""
        purchase = _Purchase(order, part, conditions, self._clock.monotonic())
        with self._place(order.backend) as place:
            return (yield from self._attempted(purchase, self._made(purchase, place)))

    def _made(self, purchase: _Purchase, place: _Place) -> Flow[Generation]:
        job = yield from self._job(purchase, place)
        started, failed, entry = purchase.started, purchase.failed, purchase.entry
        return (yield from self._result(purchase.order.backend, job, started, failed, entry))

    def job(self, order: Order, part: ImageRequest, conditions: Conditions) -> Flow[Job]:
        """Submit *part*; the flow ends when its job is known."""
        purchase = _Purchase(order, part, conditions, self._clock.monotonic())
        with self._place(order.backend) as place:
            job = yield from self._attempted(purchase, self._job(purchase, place))
        return evolve(job, notices=(*job.notices, *purchase.unwritten))

    def result(self, backend: Backend, job: Job) -> Flow[Generation]:
        """Wait for *job* of some time ago, and fetch its pictures if the request wants bytes."""
        age = _age(job, self._clock.now())
        return (yield from self._result(backend, job, self._clock.monotonic(), age=age))

    def _result(
        self,
        backend: Backend,
        job: Job,
        started: float,
        failed: Sequence[Attempt] = (),
        entry: Entry | None = None,
        *,
        age: float = 0.0,
    ) -> Flow[Generation]:
        """Wait for *job*, begun at the moment *started* after submissions that *failed*."""
        try:
            generation = job.settled or (yield from self._settled(backend, job, age))
        except ImageGenError as error:
            yield from self._books.settled(job, error, entry)
            raise
        with attached(job):
            unwritten = yield from self._books.settled(job, generation, entry)
            if job.request.output == "bytes":
                generation = yield from with_bytes(generation, self._trusted)
            seconds = self._clock.monotonic() - started
            timed = (evolve(attempt, seconds=seconds) for attempt in generation.attempts)
            told = (*generation.notices, *unwritten)
            generation = evolve(generation, attempts=(*failed, *timed), notices=told)
            yield Settled(generation)
        return generation

    def _settled(self, backend: Backend, job: Job, age: float) -> Flow[Generation]:
        with attached(job):
            yield from self._books.recalled(backend, job.model)
            try:
                generation = yield from _private(job.request, backend.settle(job, age))
            except (ContentPolicyError, JobFailedError) as error:
                error.job = error.job or job  # it is about the job, which has ended
                raise
        self._books.learned(backend, job.model)
        return generation

    def looked_up(self, backend: Backend, entry: Entry) -> Flow[Entry]:
        """Ask the provider, if it has a list, what became of a submission without an answer."""
        if self._ledger is None or not backend.can_find:
            return entry
        since, until = entry.started_at - SKEW, min(self._clock.now(), entry.until) + SKEW
        found = yield from _private(
            entry.request, backend.find(entry.request, entry.model, since, until)
        )
        known: Entry = yield from awaited(self._ledger.identify(entry.id, found))
        return known

    def _attempted(self, purchase: _Purchase, flow: Flow[T]) -> Flow[T]:
        """Let an error tell of every submission that led to it."""
        try:
            return (yield from flow)
        except ImageGenError as error:
            last = purchase.attempt(error, self._clock.monotonic())
            error.attempts = (*purchase.failed, last)
            yield Failed(last.provider, last.model, error)
            raise

    def _job(self, purchase: _Purchase, place: _Place) -> Flow[Job]:
        """Submit, and again as long as it was provably not accepted and time and budget allow."""
        while True:
            try:
                return (yield from self._submitted(purchase, place))
            except ImageGenError as error:
                failure = error
            place.left()  # nothing is in flight meanwhile
            attempt = purchase.attempt(failure, self._clock.monotonic())
            nth = 1 + sum(before.error == attempt.error for before in purchase.failed)
            wait = purchase.conditions.retries.wait(failure, nth, self._chance)
            if wait is None:
                raise failure
            try:
                yield Pause(wait, firm=True)
            except DeadlineExceededError:
                raise failure from None
            purchase.failed.append(attempt)
            yield Retried(attempt.provider, attempt.model, failure, wait)

    def _submitted(self, purchase: _Purchase, place: _Place) -> Flow[Job]:
        yield from place.entered()
        try:
            return (yield from self._submission(purchase))
        except ImageGenError as error:
            can_find = purchase.order.backend.can_find and purchase.entry is not None
            reconcile = purchase.conditions.on_unknown == "reconcile" and can_find
            if ending(error) != "ambiguous" or not reconcile:
                raise
            return (yield from self._traced(purchase, error))

    def _submission(self, purchase: _Purchase) -> Flow[Job]:
        order, part = purchase.order, purchase.part
        purchase.started = self._clock.monotonic()
        purchase.entry = entry = self._entry(purchase)
        yield from self._books.intended(entry)
        try:
            yield Submitting(order.backend.name, order.model, part.n)
            self._check_time(purchase.conditions)
        except BaseException:
            self._books.withdrawn(entry)
            raise
        try:
            job = yield from _private(part, order.backend.submit(part, order.model, order.terms))
        except ImageGenError as error:
            if isinstance(error, SubmissionUnknownError) and not order.backend.can_find:
                error.advice = NO_LIST
            yield from self._books.failed(entry, error)
            raise
        except BaseException as interruption:
            self._books.interrupted(entry, interruption)
            if carried(interruption) is None:
                may_be_billed(interruption, order.backend.name)
            raise
        job = _named(job, entry)
        with attached(job):
            purchase.unwritten = yield from self._books.accepted(entry, job)
            yield Submitted(job)
        return job

    def _check_time(self, conditions: Conditions) -> None:
        """Refuse to send what others may take for abandoned: this machine may have been asleep."""
        if self._clock.now() > conditions.until:
            raise DeadlineExceededError("the time is up before anything was sent", sent=False)

    def _entry(self, purchase: _Purchase) -> Entry | None:
        if self._ledger is None:
            return None
        from imagegen.ledger import Entry  # noqa: PLC0415 - SQLite is loaded only for a ledger

        order, part = purchase.order, purchase.part
        return Entry(
            id=uuid4().hex,
            provider=order.backend.name,
            model=order.backend.model_id(order.model, part),
            n=part.n,
            request=part,
            reserved=order.part_price(part),
            started_at=self._clock.now(),
            until=purchase.conditions.until,
        )

    def _traced(self, purchase: _Purchase, unknown: ImageGenError) -> Flow[Job]:
        """Find the job of a submission without an answer.

        Raises:
            ImageGenError: it cannot be told.
            TransportError: the provider certainly has no such job.
        """
        try:
            yield Pause(SETTLING, firm=True)
            entry = cast("Entry", purchase.entry)
            known = yield from self.looked_up(purchase.order.backend, entry)
        except ImageGenError as error:
            unknown.add_note(f"looking it up failed: {error}")
            raise unknown from None
        except BaseException as interruption:
            may_be_billed(interruption, purchase.order.backend.name)
            raise
        if known.job:
            with attached(known.job):
                yield Submitted(known.job)
            return known.job
        if known.state != "refused":
            raise unknown
        raise TransportError(
            f"the submission was lost, and the provider has no job of it: {unknown.message}",
            sent=False,
            provider=unknown.provider,
            model=unknown.model,
        ) from unknown

    @contextmanager
    def _place(self, backend: Backend) -> Generator[_Place]:
        place = _Place(backend.name, self._limiters.get(backend.name))
        try:
            yield place
        finally:
            place.left()


class _Place:
    """A purchase's place in the queue of its provider's limits, then among those in flight."""

    def __init__(self, provider: str, limiter: Limiter | None) -> None:
        self._provider = provider
        self._limiter = limiter
        self._turn: Turn | None = None

    def entered(self) -> Flow[None]:
        """Wait until a submission may leave; a repetition queues again.

        Raises:
            DeadlineExceededError: the limits leave no room in time.
        """
        self.left()
        if self._limiter is None:
            return
        turn = self._turn = self._limiter.join()
        try:
            yield from awaited(turn.first)
            while wait := turn.wait():
                yield Pause(wait, firm=True)
        except DeadlineExceededError as error:
            raise DeadlineExceededError(
                "the limits that are set for this provider leave no room in time",
                sent=False,
                provider=self._provider,
            ) from error
        turn.take()

    def left(self) -> None:
        if self._turn:
            self._turn.leave()
            self._turn = None


def _age(job: Job, now: datetime) -> float:
    """Seconds since *job* was accepted, as far as it tells: a time without a zone is none."""
    accepted = job.created_at
    if accepted is None or accepted.tzinfo is None:
        return 0.0
    return max((now - accepted).total_seconds(), 0.0)


def _named(job: Job, entry: Entry | None) -> Job:
    """Give a settled job without an id that of its entry, by which it can be found again."""
    if entry is None or job.id or job.settled is None:
        return job
    made = job.settled
    images = (evolve(i, request_id=i.request_id or entry.id) for i in made.images)
    attempts = (evolve(a, request_id=a.request_id or entry.id) for a in made.attempts)
    settled = evolve(made, images=tuple(images), attempts=tuple(attempts))
    return evolve(job, id=entry.id, settled=settled)


def _private(request: ImageRequest, flow: Flow[T]) -> Flow[T]:
    """Let no error of *flow* quote the prompt, if prompts are hidden."""
    try:
        return (yield from flow)
    except ImageGenError as error:
        error.hide_prompt(request.prompt)
        raise
