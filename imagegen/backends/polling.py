"""Asking for a job until it ends, for providers that accept first and make the pictures later."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from attrs import Attribute, Factory, define, field, frozen

from imagegen import codec
from imagegen.backends.base import Backend, Translation, attached, submit_once
from imagegen.backends.pacing import LONGEST, Asking, Bounds, Growing, Pace, Paces
from imagegen.backends.reading import fits_a_path
from imagegen.backends.refusals import Said, accepted, refused, told, waited
from imagegen.errors import (
    BackendError,
    ConfigurationError,
    DeadlineExceededError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
)
from imagegen.events import Polled
from imagegen.flow import Call, Flow, Pause, Reply
from imagegen.redaction import brief, shown
from imagegen.request import ImageRequest
from imagegen.result import Job

NOT_FOUND = 3
"""Polls in a row that may find no such job: a new one may not be known everywhere yet."""

_PASSING = (
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
)
"""What a poll may meet while the job goes on."""


class Status(Protocol):
    """How a job is doing, as a provider tells it."""

    @property
    @abstractmethod
    def state(self) -> str:
        """The provider's own word."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether it ended, with pictures or without."""


class Ticket(Protocol):
    """An answer that accepts a submission."""

    @property
    @abstractmethod
    def id(self) -> str:
        """The provider's id of the job."""


def _addressable(_: object, __: Attribute[str], value: str) -> None:
    if not fits_a_path(value):
        raise ValueError("an id that no URL can hold")


@frozen
class Placed:
    """The answer of most providers: an `id`, and what is not needed yet."""

    id: str = field(validator=_addressable)


S = TypeVar("S", bound=Status)
S_co = TypeVar("S_co", bound=Status, covariant=True)


class Seat(Protocol[S_co]):
    """How one waiting job is asked for."""

    @property
    @abstractmethod
    def old(self) -> float:
        """Seconds since the last answer was true."""

    @abstractmethod
    def wait(self, seconds: float) -> float:
        """The wait until the next poll, *seconds* after the last answer is from."""

    @abstractmethod
    def asked(self, call: Call, moment: float | None) -> Flow[tuple[S_co, Any]]:
        """Learn how the job is doing, and the decoded JSON that tells of it."""


@frozen
class Alone(Generic[S]):
    """A job that is asked for by itself; its answers are read as `cls`."""

    cls: type[S]
    said: Callable[[Any], Said]
    old: float = 0.0

    def wait(self, seconds: float) -> float:
        """Return *seconds*."""
        return seconds

    def asked(self, call: Call, moment: float | None) -> Flow[tuple[S, Any]]:  # noqa: ARG002 - for those that share
        """Make the call."""
        reply: Reply = yield call
        return _read(reply, self.cls, self.said)


def _read(reply: Reply, cls: type[S], said: Callable[[Any], Said]) -> tuple[S, Any]:
    refusal, is_success = Said(), 200 <= reply.status < 300
    try:
        raw = codec.decode(reply.body, pictures=reply.pictures)
        if is_success:
            return _structured(raw, cls, said, reply), raw
        refusal = said(raw)
    except MalformedReplyError as error:
        if is_success:
            error.status = reply.status
            raise
    words = refusal.words or f"HTTP {reply.status} without a reason"
    context: dict[str, Any] = {"code": refusal.code, "retry_after": refusal.retry_after}
    if reply.status == 404:
        words = f"the job is not known (any more): {words}"
        raise told(JobFailedError, words, reply, **context)
    raise refused(reply.status, words, reply, **context)


def _structured(raw: Any, cls: type[S], said: Callable[[Any], Said], reply: Reply) -> S:
    try:
        return codec.structure(raw, cls)
    except MalformedReplyError as error:
        error.retry_after = waited(reply, said(raw).retry_after)
        raise


@define
class Polls(Generic[S]):
    """The polls of one job.

    Attributes:
        call: one poll.
        asking: when the next is due.
        seat: how it is asked for, perhaps together with others.
        most: how many in a row may fail.
    """

    _job: Job
    _call: Call
    _asking: Asking
    _seat: Seat[S]
    _most: int
    _failures: int = 0
    _not_found: int = 0
    _trouble: str = ""

    def until_over(self) -> Flow[tuple[S, Any]]:
        """Poll until the job is over, and return what is told of it then.

        Raises:
            ImageGenError: too many polls failed in a row, or one for good.
        """
        while True:
            try:
                moment = yield Pause(self._seat.wait(self._asking.wait()))
                self._asking.waited(moment)
                answer, raw = yield from self._seat.asked(self._call, moment)
            except DeadlineExceededError as error:
                if self._trouble:
                    error.add_note(f"the last poll failed: {self._trouble}")
                raise
            except _PASSING as error:
                self._failed(error)
                yield Polled(self._job, "no answer")
                continue
            self._failures, self._not_found, self._trouble = 0, 0, ""
            yield Polled(self._job, shown(answer.state, 40))
            if answer.is_over:
                self._asking.ended(self._seat.old)
                return answer, raw
            self._asking.goes_on(self._seat.old)

    def _failed(self, error: BackendError) -> None:
        """Count *error*, and raise it if that is one too many."""
        self._failures, self._trouble = self._failures + 1, error.message
        self._not_found = self._not_found + 1 if error.status == 404 else 0
        count, most = self._failures, self._most
        if error.status == 404:
            count, most = self._not_found, NOT_FOUND
        if count > most:
            raise error
        self._asking.failed(error.retry_after)


def _within(low: float, high: float) -> Callable[[object, Attribute[Any], Any], None]:
    def check(_: object, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, (int, float)) or not low <= value <= high:
            raise ConfigurationError(
                f"{attribute.name} must be {low}–{high}, not {brief(value)}", field=attribute.name
            )

    return check


def yes_or_no(_: object, attribute: Attribute[Any], value: Any) -> None:
    """Check an option that is a bool."""
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"{attribute.name} must be True or False, not {brief(value)}", field=attribute.name
        )


@frozen(kw_only=True)
class Polling(Backend):
    """A backend whose jobs are asked for until they end, in waits that learn from the last ones.

    Args:
        first_poll: seconds from the submission to the first poll.
        poll_growth: factor by which each wait is longer than the last.
        slowest_poll: seconds that no wait exceeds.
        learn_polls: learn from the last jobs of each model when to ask; the three options above
            hold until three of its jobs have ended.
        shortest_poll: seconds that no learned wait falls below.
        average_poll: over the life of a job, learned polls are no more than one in so many
            seconds. `first_poll` goes before these two where it is less.
        poll_failures: how many polls in a row may fail before the error is raised with its job.
    """

    first_poll: float = field(default=2.0, validator=_within(0.01, 3600))
    poll_growth: float = field(default=1.25, validator=_within(1, 10))
    slowest_poll: float = field(default=5.0, validator=_within(0.01, 3600))
    learn_polls: bool = field(default=True, validator=yes_or_no)
    shortest_poll: float = field(default=0.5, validator=_within(0.01, 3600))
    average_poll: float = field(default=1.0, validator=_within(0.01, 3600))
    poll_failures: int = field(default=60, validator=_within(0, 1000))
    _paces: Paces = field(
        default=Factory(lambda self: Paces(self._new_pace), takes_self=True),
        init=False,
        eq=False,
        repr=False,
    )

    def said(self, answer: Any) -> Said:  # noqa: ARG002 - for overriders
        """What the decoded *answer* says where it refuses; nothing, unless this is overridden."""
        return Said()

    def placed(
        self, call: Call, request: ImageRequest, sent: Translation, cls: type[Ticket] = Placed
    ) -> Flow[Job]:
        """Make the paid *call* once, and make a job of the `id` in its answer.

        Args:
            call: the submission.
            request: what it asks for.
            sent: the translation whose body the call has.
            cls: an attrs class with `id`, as which an answer is read that accepts.

        Raises:
            ImageGenError: the provider refused, as `said` and the HTTP status tell.
            SubmissionUnknownError: bytes were sent and no reply came, or none that tells.
            TransportError, DeadlineExceededError: nothing was sent.
        """
        context = {"provider": self.name, "model": sent.model}
        reply = yield from submit_once(call, **context)
        ticket, _ = accepted(reply, cls, self.said, **context)
        return Job(
            provider=self.name,
            model=sent.model,
            id=ticket.id,
            request=request,
            created_at=reply.received_at,
            notices=sent.notices,
        )

    def polled(self, job: Job, age: float, call: Call, cls: type[S]) -> Flow[tuple[S, Any]]:
        """Make the free *call* until its answer, read as *cls*, says that *job* is over.

        A poll that fails in passing is repeated; `Retry-After` is kept. Every error has the job.

        Args:
            job: what is waited for.
            age: seconds since it was accepted.
            call: one poll.
            cls: an attrs class with `state`, the provider's own word, and `is_over`.

        Returns:
            The answer, and its decoded JSON.

        Raises:
            ImageGenError: too many polls failed in a row, or one for good.
        """
        seat = Alone(cls, self.said)
        with attached(job):
            polls = Polls(job, call, self.asking(job, age), seat, self.poll_failures)
            return (yield from polls.until_over())

    def asking(self, job: Job, age: float) -> Asking:
        """When to ask for *job*, accepted *age* seconds ago."""
        return Asking(self._paces.of(job.model), age, learn=self.learn_polls)

    def recall(self, model: str, durations: Sequence[tuple[float, float]]) -> None:
        """Know *durations* of *model*, unless its own jobs have taught something already."""
        if self.learn_polls:
            self._paces.of(model).recall(durations)

    def learned(self, model: str) -> Sequence[tuple[float, float]]:
        """The ages between which its jobs ended."""
        return self._paces.of(model).news()

    def _new_pace(self) -> Pace:
        """Whoever asks for a faster first poll asks for faster ones after it."""
        first, slowest = self.first_poll, self.slowest_poll
        return Pace(
            Growing(first=first, growth=self.poll_growth, slowest=slowest),
            Bounds(
                shortest=min(self.shortest_poll, first),
                longest=max(LONGEST, slowest),
                average=min(self.average_poll, first),
            ),
        )
