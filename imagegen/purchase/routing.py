"""Routes: several models for one request, in an order, and when to turn from one to the next.

Turning to another model is a purchase. It happens only if the one before provably cost nothing
more, or its result was rejected, or the caller accepts to pay twice.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from attrs import Attribute, field, frozen
from attrs.converters import optional

from imagegen.errors import (
    AuthenticationError,
    ConfigurationError,
    ImageGenError,
    InsufficientBalanceError,
    JobFailedError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
)
from imagegen.purchase.buying import OnUnknown
from imagegen.purchase.health import Health
from imagegen.purchase.orders import Order, amount
from imagegen.purchase.outcomes import is_open
from imagegen.redaction import brief
from imagegen.result import Generation

logger = logging.getLogger("imagegen")

Strategy = Literal["order", "cheapest", "fastest", "weighted"]
Judge: TypeAlias = type[ImageGenError] | Callable[[ImageGenError | Generation], bool]

FALLBACK_ON: tuple[type[ImageGenError], ...] = (
    AuthenticationError,
    InsufficientBalanceError,
    JobFailedError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
)
"""What a route turns from unless it is told otherwise: faults of a provider or of its account."""

_WEIGHTS = "one positive number for each model"


def _judges(given: Judge | Sequence[Judge]) -> tuple[Judge, ...]:
    several = tuple(given) if isinstance(given, Sequence) else (given,)
    for judge in several:
        error = isinstance(judge, type) and issubclass(judge, ImageGenError)
        if not error and (isinstance(judge, type) or not callable(judge)):
            raise _wrong("fallback_on", judge, "error classes of imagegen, or a predicate")
    return several


def _one_of(allowed: tuple[str, ...]) -> Callable[[object, Attribute[Any], object], None]:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise _wrong(attribute.name, value, " or ".join(f'"{word}"' for word in allowed))

    return check


def _wrong(name: str, value: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"Route: {name} must be {allowed}, not {brief(value)}", field=name)


def _listed(given: object) -> tuple[Any, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise _wrong("models", given, "a list of model strings")
    return tuple(given)


def _weighed(given: object) -> tuple[Any, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise _wrong("weights", given, _WEIGHTS)
    return tuple(given)


@frozen(kw_only=True)
class Route:
    """Several models for one request.

    Args:
        models: ``"provider:model-id"`` strings.
        strategy: which model is tried first, and which next: ``"order"`` as listed;
            ``"cheapest"`` by the list price of this very request, unknown prices last;
            ``"fastest"`` by measured latency and failure rate, unmeasured models first;
            ``"weighted"`` by chance, in proportion to `weights`.
        fallback_on: error classes, or predicates on an error or a Generation, that make the
            route turn to the next model. A Generation that a predicate accepts was still paid
            for. Whatever it says, a purchase whose outcome is unknown is not replaced.
        max_cost: the most that all attempts together may cost, the unknown counted in full.
        on_unknown: what to do when a submission's outcome is unknown: ``"raise"``;
            ``"reconcile"`` looks into the provider's list first, if it has one, and needs a
            ledger; ``"spend"`` turns to the next model at the risk of paying twice.
        weights: a positive number for each model.

    Raises:
        ConfigurationError: a value is none of these.
    """

    models: tuple[str, ...] = field(converter=_listed)
    strategy: Strategy = field(default="order", validator=_one_of(get_args(Strategy)))
    fallback_on: tuple[Judge, ...] = field(default=FALLBACK_ON, converter=_judges)
    max_cost: Decimal | None = field(default=None, converter=optional(amount))
    on_unknown: OnUnknown = field(default="raise", validator=_one_of(get_args(OnUnknown)))
    weights: tuple[float, ...] | None = field(default=None, converter=optional(_weighed))

    def __attrs_post_init__(self) -> None:
        odd = [name for name in self.models if not isinstance(name, str)]
        if odd or len(set(self.models)) < len(self.models):
            raise _wrong("models", odd or self.models, "different model strings")
        if (self.strategy == "weighted") != (self.weights is not None):
            raise _wrong("weights", self.weights, 'given with strategy="weighted", and only then')
        if self.weights is not None and not _fit(self.weights, len(self.models)):
            raise _wrong("weights", self.weights, _WEIGHTS)

    def turns_from(self, error: ImageGenError) -> bool:
        """Tell whether the next model may be tried after *error*."""
        if is_open(error):
            return self.on_unknown == "spend"
        return any(_judged(judge, error) for judge in self.fallback_on)

    def rejects(self, generation: Generation) -> bool:
        """Tell whether the next model is to be tried although pictures came."""
        predicates = (judge for judge in self.fallback_on if not isinstance(judge, type))
        return any(_judged(judge, generation) for judge in predicates)


def _fit(weights: Sequence[object], n: int) -> bool:
    largest = sys.float_info.max
    numbers = all(isinstance(w, (int, float)) and 0 < w <= largest for w in weights)
    return numbers and len(weights) == n


def _judged(judge: Judge, outcome: ImageGenError | Generation) -> bool:
    if isinstance(judge, type):
        return isinstance(outcome, judge)
    try:
        return bool(judge(outcome))
    except Exception:
        logger.exception("a predicate of fallback_on failed; the route does not turn")
        return False


class Candidates:
    """The models of a route that can make this very request, in the order to try them."""

    def __init__(
        self, orders: Mapping[str, Order], health: Health, chance: Callable[[], float]
    ) -> None:
        self._orders = orders
        self._health = health
        self._chance = chance

    def ranked(self, route: Route) -> list[str]:
        """The names, best first."""
        names = list(self._orders)
        match route.strategy:
            case "order":
                return names
            case "cheapest":
                return sorted(names, key=self._price)
            case "fastest":
                return sorted(names, key=lambda name: self._health.expected_seconds(name) or 0.0)
            case "weighted":
                weights = dict(zip(route.models, route.weights or (), strict=True))
                return sorted(names, key=lambda name: self._drawn(weights[name]))

    def _price(self, name: str) -> tuple[bool, str, Decimal]:
        """Unknown prices last; those in one currency side by side, as they cannot be compared."""
        cost = self._orders[name].list_cost
        costs = [made.list_cost for made in self._orders.values()]
        first = next((other.currency for other in costs if other.amount), None)
        foreign = "" if cost.currency == first else cost.currency or ""
        return cost.amount is None, foreign, cost.amount or Decimal(0)

    def _drawn(self, weight: float) -> float:
        """A time until the first event of that rate: sorting by it draws by weight."""
        return -math.log(1.0 - self._chance()) / weight
