"""A request to one model, as an order: split into parts, each a purchase of its own. Pure.

A part asks for no more pictures than one submission can. What one brings is kept whatever becomes
of the others; `joining` puts it together.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from attrs import evolve, frozen

from imagegen import backends
from imagegen.backends.base import Backend, Terms
from imagegen.errors import (
    BudgetExceededError,
    ConfigurationError,
    ImageGenError,
    InvalidRequestError,
)
from imagegen.pictures.fidelity import compared
from imagegen.purchase.joining import (
    brought,
    composite,
    failure_of,
    gravest_of,
    joined,
    split_notices,
)
from imagegen.purchase.plans import Outcome
from imagegen.redaction import brief
from imagegen.request import ImageRequest
from imagegen.result import Attempt, Cost, Generation, Job, Notice


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
            raise gravest_of(outcomes)
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
            raise gravest_of(outcomes)
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
    if not backend.has_key:
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
    return Order(backend, model, request, terms, parts, split_notices(told, parts, request))


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
