"""What a request would become at each model: bodies, departures, calls, price. No network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import date
from typing import Any

from attrs import field, frozen

from imagegen.backends.base import Backend, Terms
from imagegen.errors import ImageGenError
from imagegen.events import Event
from imagegen.flow import Call, Pause, advance
from imagegen.pricing import Price
from imagegen.purchase.orders import Order, drafted
from imagegen.request import ImageRequest
from imagegen.result import UNKNOWN, Cost, Notice


@frozen(kw_only=True)
class ModelPlan:
    """What one model would make of a request, and for how much; nothing was sent.

    Attributes:
        model: ``"provider:model-id"``, as it was named.
        provider: the backend's name.
        full_model: the provider's own id; that of the family's member for this request.
        error: why this model cannot make it, or the provider is not usable; None if it can.
        missing_key: the environment variable that lacks the provider's key; None if there is one,
            or if `error` tells that the provider is not usable.
        notices: how the translation would depart from the request, and an old price.
        price: what one image or call costs; None where unknown.
        calls: how many paid calls it would take; 0 if the model cannot make it.
        cost: what it costs if every picture comes; `amount` is None where unknown.
    """

    model: str
    provider: str
    full_model: str
    error: ImageGenError | None = None
    missing_key: str | None = None
    notices: tuple[Notice, ...] = ()
    price: Price | None = None
    calls: int = 0
    cost: Cost = UNKNOWN
    _order: Order | None = field(default=None, repr=False, alias="order")

    @property
    def supported(self) -> bool:
        """Whether the model can make it, given a key."""
        return self.error is None

    @property
    def url(self) -> str | None:
        """Where every call would go; None if the model cannot make it."""
        call = self._call(0)
        return call.url if call else None

    def body(self, index: int = 0) -> Mapping[str, Any] | None:
        """The body of call *index*, exactly as it would be sent; None without such a call.

        Pictures that are sent along are in it as data URLs. Of a body that is a form, its fields
        are told, and the type and size of its files.
        """
        call = self._call(index)
        return call.body if call else None

    def _call(self, index: int) -> Call | None:
        """Let the backend begin to submit, and look at what it would send."""
        if self._order is None or not 0 <= index < self.calls:
            return None
        part, order = self._order.parts[index], self._order
        flow = order.backend.submit(part, order.model, order.terms)
        with closing(flow):
            step = advance(flow)
            while isinstance(step, (Pause, Event)):
                step = advance(flow)
        return step if isinstance(step, Call) else None


def plan_of(
    backend: Backend, model: str, request: ImageRequest, terms: Terms, *, name: str, today: date
) -> ModelPlan:
    """Say what *model*, which the caller named *name*, would make of *request*."""
    missing = None if backend.has_key else backend.key_variable
    try:
        order = drafted(backend, model, request, terms)
    except ImageGenError as error:
        return ModelPlan(
            model=name, provider=backend.name, full_model=model, error=error, missing_key=missing
        )
    price = backend.price(model, request)
    return ModelPlan(
        model=name,
        provider=backend.name,
        full_model=order.full_model,
        missing_key=missing,
        notices=(*order.notices, *_doubts(price, today)),
        price=price,
        calls=len(order.parts),
        cost=order.list_cost,
        order=order,
    )


def _doubts(price: Price | None, today: date) -> list[Notice]:
    if price is None:
        return [Notice("unverified", "price", "its price is not known, or varies with its inputs")]
    if price.is_old(today):
        words = f"its price is of {price.as_of}, {(today - price.as_of).days} days ago"
        return [Notice("unverified", "price", words)]
    return []
