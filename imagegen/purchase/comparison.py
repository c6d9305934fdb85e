"""One request through several models, side by side: what each made of it, how fast, for how much.

`comparing` is a plan that a client carries out; `Comparison` is what it brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice

from attrs import evolve, frozen

from imagegen.errors import BudgetExceededError, ImageGenError
from imagegen.flow import Flow
from imagegen.purchase.fallback import NOTHING, Verb, report
from imagegen.purchase.health import Health
from imagegen.purchase.joining import fetched
from imagegen.purchase.orders import Order
from imagegen.purchase.outcomes import unexpected
from imagegen.purchase.plans import Batch, Outcome, Plan
from imagegen.purchase.policy import Retries
from imagegen.request import ImageRequest
from imagegen.result import EXACT, UNKNOWN, Attempt, Cost, GeneratedImage, Generation

PIXELS = 1_000_000
PLACES = 6
"""Decimal places of a cost per megapixel, in its currency."""


@frozen(kw_only=True)
class Contender:
    """What came of one model.

    Attributes:
        model: ``"provider:model-id"``, as it was named.
        generation: what it made, with the bytes of every picture that could be fetched; None if
            nothing came.
        error: why nothing came; None if something did.
        price: what it costs if every picture comes; unknown where the list price is.
        seconds: the longest of its calls, from the submission to the outcome. Waiting for the
            account's limits, for another try, or for the pictures' bytes is not in it; 0.0 if the
            model was not asked.
    """

    model: str
    generation: Generation | None = None
    error: ImageGenError | None = None
    price: Cost = UNKNOWN
    seconds: float = 0.0

    @property
    def cost(self) -> Cost:
        """What it cost, as far as is known: what did not come may be billed, or nobody knows."""
        if self.generation:
            return self.generation.cost
        if self.error is None or self.error.charged == "no":
            return NOTHING
        return Cost.total(attempt.cost for attempt in self.error.attempts)

    @property
    def images(self) -> tuple[GeneratedImage, ...]:
        """The pictures that came."""
        return self.generation.images if self.generation else ()

    @property
    def megapixels(self) -> Decimal | None:
        """Millions of pixels that came; None if a picture's size is not known, or none came."""
        sizes = [(image.width or 0) * (image.height or 0) for image in self.images]
        return EXACT.divide(sum(sizes), PIXELS) if sizes and all(sizes) else None

    @property
    def cost_per_megapixel(self) -> Cost:
        """Its cost for each million pixels that came, to six places; unknown if either is."""
        cost, size = self.cost, self.megapixels
        if cost.amount is None or size is None:
            return UNKNOWN
        each = EXACT.divide(cost.amount, size)
        return evolve(cost, amount=EXACT.quantize(each, Decimal(1).scaleb(-PLACES, EXACT)))


@frozen(kw_only=True)
class Comparison:
    """What several models made of one request.

    Attributes:
        request: what each was asked for.
        contenders: one for each model, in the order in which they were named.
        started_at: aware.
    """

    request: ImageRequest
    contenders: tuple[Contender, ...]
    started_at: datetime

    @property
    def cost(self) -> Cost:
        """What all of it cost; unknown if a part is, or if there are two currencies."""
        return Cost.total(contender.cost for contender in self.contenders)

    def to_html(self, note: str = "") -> str:
        """One page with the pictures side by side, self-contained; see `imagegen.report`.

        *note* is shown at its top.

        Raises:
            ConfigurationError: the extra ``report`` is not installed.
        """
        from imagegen.report import page  # noqa: PLC0415 - needs an extra

        return page(self, note)


def comparing(
    request: ImageRequest,
    orders: Mapping[str, Order | ImageGenError],
    verb: Verb[Generation],
    *,
    fetch: Callable[[GeneratedImage], Flow[GeneratedImage]] | None,
    health: Health,
    retries: Retries,
    max_cost: Decimal | None,
    started_at: datetime,
) -> Plan[Comparison]:
    """Buy from every model that has an Order, all at the same time; the others have their error.

    Pictures are fetched with *fetch*; None leaves them where they are.

    Raises:
        BudgetExceededError: together they cost, or might cost, more than *max_cost*.
    """
    usable = {name: made for name, made in orders.items() if isinstance(made, Order)}
    _check_cost(usable.values(), max_cost)
    flows = chain.from_iterable(verb.flows(made, retries).flows for made in usable.values())
    outcomes = iter((yield Batch(list(flows), paid=True)))
    contenders: list[Contender] = []
    for name, made in orders.items():
        if isinstance(made, Order):
            own = list(islice(outcomes, len(made.parts)))
            report(health, name, own)
            contenders.append(_contender(name, made, own, verb))
        else:
            contenders.append(Contender(model=name, error=made))
    if fetch:
        contenders = yield from _with_pictures(contenders, fetch)
    return Comparison(request=request, contenders=tuple(contenders), started_at=started_at)


def _check_cost(orders: Iterable[Order], max_cost: Decimal | None) -> None:
    total = Cost.total(made.list_cost for made in orders)
    if max_cost is None or (total.amount is not None and total.amount <= max_cost):
        return
    if total.amount is None:
        words = f"a price is unknown or in another currency, so max_cost={max_cost} cannot be held"
    else:
        words = f"together they would cost {total.amount} {total.currency}, not {max_cost}"
    raise BudgetExceededError(words, advice="Compare fewer models, or allow more", field="max_cost")


def _contender(
    name: str, made: Order, outcomes: Sequence[Outcome[Generation]], verb: Verb[Generation]
) -> Contender:
    try:
        generation = verb.joined(made, outcomes)
    except Exception as bug:  # noqa: BLE001 - what other models made is paid for
        error = bug if isinstance(bug, ImageGenError) else unexpected(bug)
        error.provider, error.model = error.provider or made.backend.name, error.model or made.model
        seconds = _longest(error.attempts)
        return Contender(model=name, error=error, price=made.list_cost, seconds=seconds)
    seconds = _longest(generation.attempts)
    return Contender(model=name, generation=generation, price=made.list_cost, seconds=seconds)


def _longest(attempts: Iterable[Attempt]) -> float:
    return max((attempt.seconds or 0.0 for attempt in attempts), default=0.0)


def _with_pictures(
    contenders: Sequence[Contender], fetch: Callable[[GeneratedImage], Flow[GeneratedImage]]
) -> Plan[list[Contender]]:
    """Fetch all pictures at the same time; one that cannot be keeps its URL, with a notice."""
    flows = [fetch(image) for contender in contenders for image in contender.images]
    outcomes = iter((yield Batch(flows)))
    return [
        evolve(each, generation=fetched(made, list(islice(outcomes, len(made.images)))))
        if (made := each.generation)
        else each
        for each in contenders
    ]
