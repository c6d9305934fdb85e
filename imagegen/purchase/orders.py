"""A request to one model, as an order: split into parts, each a flow, and joined again. Pure.

A part asks for no more pictures than one submission can. Parts are independent purchases: what
one brings is kept whatever becomes of the others.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any, Generic, TypeAlias, TypeVar, cast

from attrs import evolve, frozen

from imagegen import backends, errors
from imagegen.backends.base import Backend, Terms
from imagegen.errors import (
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    ImageGenError,
    InvalidRequestError,
    JobFailedError,
)
from imagegen.events import Event
from imagegen.flow import Flow
from imagegen.pictures.download import is_about_fetching, not_fetched
from imagegen.pictures.fidelity import compared
from imagegen.purchase.outcomes import ending, unexpected
from imagegen.redaction import brief
from imagegen.request import ImageRequest
from imagegen.result import (
    Attempt,
    Cost,
    GeneratedImage,
    Generation,
    ImageFailure,
    Job,
    Notice,
    was_sent,
)

T = TypeVar("T")


@frozen
class Outcome(Generic[T]):
    """What came of one part: a value or an error, after so many seconds."""

    value: T | None
    error: ImageGenError | None
    seconds: float


@frozen
class Batch(Generic[T]):
    """Flows to run side by side; `paid` ones may buy something."""

    flows: Sequence[Flow[T]]
    paid: bool = False

    def failed(self, error: Exception, seconds: float) -> Outcome[T]:
        """What came of a flow that *error* ended.

        One that no flow should end in is raised again, but beside others that are paid for: it
        must not take them along.
        """
        if isinstance(error, ImageGenError):
            return Outcome(None, error, seconds)
        if not self.paid or len(self.flows) < 2:
            raise error
        return Outcome(None, unexpected(error), seconds)


Plan: TypeAlias = Generator[Batch[Any] | Event, Any, T]
"""What a client carries out: it runs each batch that the plan yields and sends the outcomes back,
and passes events on."""


@frozen
class Order:
    """One request, one backend, one model; `notices` say what its translation departs from."""

    backend: Backend
    model: str
    request: ImageRequest
    terms: Terms
    parts: tuple[ImageRequest, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def full_model(self) -> str:
        """The provider's own id of the model, whatever family was named."""
        return self.backend.model_id(self.model, self.request)

    @property
    def list_cost(self) -> Cost:
        """What it costs if every picture comes; unknown if any part's price is."""
        return Cost.total(self.part_price(part) for part in self.parts)

    def part_price(self, part: ImageRequest) -> Cost:
        """What *part* costs if every picture of it comes."""
        price = self.backend.price(self.model, part)
        return price.cost(part.n) if price else Cost()

    def joined(self, outcomes: Sequence[Outcome[Generation]]) -> Generation:
        """Join what the parts brought.

        Raises:
            ImageGenError: no part brought a picture.
        """
        if not any(map(brought, outcomes)):
            raise _gravest(outcomes)
        parts = [
            o.value or self._without_pictures(part, o)
            for part, o in zip(self.parts, outcomes, strict=True)
        ]
        return compared(joined(parts, self.request))

    def joined_jobs(self, outcomes: Sequence[Outcome[Job]]) -> Job:
        """Join the jobs of the parts; a part that was refused is a settled one.

        Raises:
            ImageGenError: every part was refused.
        """
        if not any(map(brought, outcomes)):
            raise _gravest(outcomes)
        jobs = [
            o.value or self._refused_job(part, o)
            for part, o in zip(self.parts, outcomes, strict=True)
        ]
        return composite(jobs, self.request)

    def _without_pictures(self, part: ImageRequest, outcome: Outcome[Any]) -> Generation:
        """Say of a part what it cost and why nothing came."""
        error = outcome.error or ImageGenError("nothing came")
        attempts = error.attempts or (self.failed(part, error, outcome.seconds),)
        return Generation(
            failures=tuple(failure_of(error, index) for index in range(part.n)),
            cost=Cost.total(attempt.cost for attempt in attempts),
            provider=self.backend.name,
            model=attempts[-1].model,
            request=part,
            attempts=attempts,
            job=error.job,
        )

    def failed(self, part: ImageRequest, error: ImageGenError, seconds: float) -> Attempt:
        """The attempt to buy *part* that ended in *error*."""
        return Attempt.failed(
            error,
            provider=self.backend.name,
            model=self.model,
            n=part.n,
            price=self.part_price(part),
            seconds=seconds,
        )

    def _refused_job(self, part: ImageRequest, outcome: Outcome[Job]) -> Job:
        if outcome.error and outcome.error.job:
            return outcome.error.job
        settled = self._without_pictures(part, outcome)
        return Job(
            provider=settled.provider, model=settled.model, id="", request=part, settled=settled
        )


def order(
    backend: Backend,
    model: str,
    request: ImageRequest,
    terms: Terms,
    max_cost: Decimal | str | float | None,
) -> Order:
    """Check everything that can be checked before anything is sent.

    Raises:
        UnsupportedFeatureError, InvalidRequestError: the model cannot make this.
        ConfigurationError: there is no key.
        BudgetExceededError: it costs, or might cost, more than *max_cost*.
    """
    made = drafted(backend, model, request, terms)
    if backend.api_key is None:
        raise ConfigurationError(
            "there is no API key",
            advice=f"Set {backend.key_variable}, or give the backend an api_key",
            provider=backend.name,
            field="api_key",
        )
    if max_cost is not None:
        check_cost(made, max_cost)
    return made


def drafted(backend: Backend, model: str, request: ImageRequest, terms: Terms) -> Order:
    """Split and translate, without asking for a key.

    Raises:
        UnsupportedFeatureError, InvalidRequestError: the model cannot make this.
    """
    _check_options(request, backend)
    parts = split(request, backend.images_per_call(model, request))
    ends = parts[:1] + parts[1:][-1:]
    told = [backend.translate(part, model, terms).notices for part in ends]
    return Order(backend, model, request, terms, parts, _split_notices(told, parts, request))


def _check_options(request: ImageRequest, backend: Backend) -> None:
    """Refuse options for a provider that does not exist: a misspelt name would lose them."""
    others = request.provider_options.keys() - {backend.name}
    unknown = others and others - set(backends.names())
    if unknown:
        raise InvalidRequestError(
            f"provider_options has {min(unknown)!r}, which is no provider",
            advice=f"Use {', '.join(backends.names())}",
            field="provider_options",
        )


def check_cost(made: Order, max_cost: Decimal | str | float) -> None:
    """Hold *max_cost*.

    Raises:
        BudgetExceededError: the order costs, or might cost, more.
    """
    limit, cost = amount(max_cost), made.list_cost
    if cost.amount is None:
        words = f"its price is unknown, so max_cost={limit} cannot be promised"
    elif cost.amount > limit:
        words = f"it would cost {cost.amount} {cost.currency}, more than max_cost={limit}"
    else:
        return
    raise BudgetExceededError(words, provider=made.backend.name, model=made.model, field="max_cost")


def amount(value: Decimal | str | float) -> Decimal:
    """Read an amount of money.

    Raises:
        InvalidRequestError: it is none, or negative.
    """
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise InvalidRequestError(
            f'max_cost must be an amount such as "0.05", not {brief(value)}', field="max_cost"
        )
    return number


def split(request: ImageRequest, most: int) -> tuple[ImageRequest, ...]:
    """Cut *request* into parts of at most *most* pictures; seeds count on from part to part."""
    if request.n <= most:
        return (request,)
    starts = range(0, request.n, most)
    return tuple(
        evolve(
            request,
            n=min(most, request.n - start),
            seed=None if request.seed is None else request.seed + start,
        )
        for start in starts
    )


def joined(parts: Sequence[Generation], request: ImageRequest) -> Generation:
    """One Generation from those of the parts, in order."""
    if len(parts) == 1:
        whole = parts[0]
        return whole if whole.request is request else evolve(whole, request=request)
    starts = [sum(part.request.n for part in parts[:k]) for k in range(len(parts))]
    jobs = [part.job for part in parts if part.job]
    return evolve(
        parts[0],
        images=_chained(part.images for part in parts),
        failures=_chained(map(_placed, parts, starts)),
        cost=Cost.total(part.cost for part in parts),
        request=request,
        attempts=_chained(part.attempts for part in parts),
        notices=_split_notices(
            [part.notices for part in parts], [part.request for part in parts], request
        ),
        job=composite(jobs, request) if jobs else None,
        raw=_chained(part.raw for part in parts),
    )


def fetched(generation: Generation, outcomes: Sequence[Outcome[GeneratedImage]]) -> Generation:
    """Put the bytes that came into *generation*; a picture without keeps its URL, with a notice."""
    pairs = list(zip(generation.images, outcomes, strict=True))
    missing = [not_fetched(i, o.error) for i, (_, o) in enumerate(pairs) if o.error]
    others = (notice for notice in generation.notices if not is_about_fetching(notice))
    complete = evolve(
        generation,
        images=tuple(outcome.value or image for image, outcome in pairs),
        notices=(*others, *missing),
    )
    return compared(complete)


def composite(jobs: Sequence[Job], request: ImageRequest) -> Job:
    """One job that stands for several."""
    if len(jobs) == 1:
        return jobs[0]
    ids = ",".join(job.id for job in jobs if job.id)
    return evolve(jobs[0], id=ids, request=request, settled=None, parts=tuple(jobs))


def _chained(tuples: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(chain.from_iterable(tuples))


def _placed(part: Generation, start: int) -> tuple[ImageFailure, ...]:
    """The part's failures, counted from the beginning of the whole request."""
    return tuple(
        evolve(f, index=None if f.index is None else f.index + start) for f in part.failures
    )


def _split_notices(
    told: Iterable[tuple[Notice, ...]], parts: Sequence[ImageRequest], request: ImageRequest
) -> tuple[Notice, ...]:
    """Each notice of the parts once, and how seeds were counted on."""
    own = dict.fromkeys(_chained(told))
    if len(parts) > 1 and request.seed is not None and was_sent("seed", own):
        seeds = ", ".join(str(part.seed) for part in parts)
        own[Notice("adjusted", "seed", f"split into {len(parts)} calls with seeds {seeds}")] = None
    return tuple(own)


def failure_of(error: ImageGenError, index: int) -> ImageFailure:
    """Say of one picture that *error* is why it is missing."""
    return ImageFailure(
        error=type(error).__name__,
        message=error.message,
        index=index,
        charged=error.charged,
        code=error.code,
        request_id=error.request_id,
        job=error.job,
    )


def _gravest(outcomes: Sequence[Outcome[Any]]) -> ImageGenError:
    """The error to raise when nothing came: one about spent money first, with every job."""
    several = errors_in(outcomes)

    def gravity(error: ImageGenError) -> tuple[int, bool]:
        return {"ambiguous": 2, "accepted": 1}.get(ending(error), 0), error.charged != "no"

    gravest = max(several, key=gravity)
    jobs = [e.job for e in several if e.job]
    if jobs:
        whole = evolve(jobs[0].request, n=sum(job.request.n for job in jobs))
        gravest.job = composite(jobs, whole)
    gravest.attempts = _chained(error.attempts for error in several)
    for other in several:
        if other is not gravest:
            gravest.add_note(f"another part failed too: {other}")
    return gravest


def brought(outcome: Outcome[Any]) -> bool:
    """Tell whether a part has a job, or pictures, to show."""
    value = outcome.value
    return bool(value.images) if isinstance(value, Generation) else value is not None


def errors_in(outcomes: Sequence[Outcome[Any]]) -> list[ImageGenError]:
    """Why each part brought no picture, if none did."""
    return [o.error or _error_in(cast("Generation", o.value)) for o in outcomes]


def _error_in(settled: Generation) -> ImageGenError:
    """The error that a part was settled with, when its job was submitted."""
    if not settled.failures:
        return JobFailedError("nothing came of it", provider=settled.provider, model=settled.model)
    failure = settled.failures[0]
    kind = getattr(errors, failure.error, None)
    if not (isinstance(kind, type) and issubclass(kind, BackendError)):
        kind = BackendError
    error: ImageGenError = kind(
        failure.message,
        provider=settled.provider,
        model=settled.model,
        job=failure.job,
        charged=failure.charged,
        request_id=failure.request_id,
        code=failure.code,
    )
    error.attempts = settled.attempts
    return error
