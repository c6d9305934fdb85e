"""Trying the models of a route one after the other, as a plan that a client carries out."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from imagegen.errors import (
    AllRoutesFailedError,
    BudgetExceededError,
    DeadlineExceededError,
    ImageGenError,
    ProviderUnavailableError,
)
from imagegen.events import FellBack
from imagegen.purchase.health import Health
from imagegen.purchase.joining import brought, errors_in
from imagegen.purchase.orders import Order, check_cost
from imagegen.purchase.outcomes import ending, is_open
from imagegen.purchase.plans import Batch, Outcome, Plan
from imagegen.purchase.policy import NEVER, Retries
from imagegen.purchase.routing import Candidates, Route
from imagegen.result import EXACT, Attempt, Cost, Generation

T = TypeVar("T")

NOTHING = Cost(amount=Decimal(0), basis="list-price")


@frozen
class Verb(Generic[T]):
    """What is done with an order: the flows that buy its parts, and the joining of outcomes."""

    flows: Callable[[Order, Retries], Batch[T]]
    joined: Callable[[Order, Sequence[Outcome[T]]], T]


def report(health: Health, name: str, outcomes: Sequence[Outcome[Any]]) -> None:
    """Let *health* know how *name* did with one order."""
    made = [o for o in outcomes if isinstance(o.value, Generation) and o.value.images]
    if made:
        health.succeeded(name, max(outcome.seconds for outcome in made))
    elif any(map(brought, outcomes)):
        health.released(name)
    else:
        error = errors_in(outcomes)[0]
        if isinstance(error, DeadlineExceededError) and ending(error) == "not accepted":
            health.released(name)  # it was not even asked: our own limits took the time
        else:
            health.failed(name, error)


class Fallback(Generic[T]):
    """One call through *route*: what was tried, what it cost, what is left."""

    def __init__(
        self,
        route: Route,
        verb: Verb[T],
        health: Health,
        *,
        retries: Retries,
        max_cost: Decimal | None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._route = route
        self._verb = verb
        self._health = health
        self._retries = retries
        self._max_cost = max_cost
        self._chance = chance
        self._attempts: list[Attempt] = []
        self._errors: list[ImageGenError] = []
        self._rejected: list[Generation] = []
        self._spent = Decimal(0)
        """The most that may have been spent so far; under `max_cost`, every price is known."""

    def plan(self, orders: Mapping[str, Order | ImageGenError]) -> Plan[T]:
        """Try the models that have an Order; the others are skipped for the error they have.

        Raises:
            AllRoutesFailedError: no model made it.
            ImageGenError: one failed in a way that the route does not turn from.
        """
        usable: dict[str, Order] = {}
        for name, made in orders.items():
            if isinstance(made, Order):
                usable[name] = made
            else:
                self._skip(name, made)
        names = Candidates(usable, self._health, self._chance).ranked(self._route)
        turned: tuple[str, ImageGenError] | None = None
        for name in names:
            if not self._admitted(name, usable[name]):
                continue
            if turned:
                yield from self._turning(*turned, to=name)
            value = yield from self._tried(name, usable[name], last=name == names[-1])
            if value is not None:
                return value
            turned = name, self._errors[-1]
        raise self._all_failed()

    def _skip(self, name: str, error: ImageGenError) -> None:
        """Pass a model over, before any call."""
        provider, _, model = name.partition(":")
        error.provider, error.model = error.provider or provider, error.model or model
        skipped = Attempt.failed(
            error, provider=provider, model=model, n=0, price=NOTHING, seconds=0.0
        )
        self._attempts.append(skipped)
        self._errors.append(error)

    def _admitted(self, name: str, order: Order) -> bool:
        """Ask the budget, then the model's health; its probe is taken only if it will be used."""
        try:
            self._check_cost(order)
        except BudgetExceededError as error:
            self._skip(name, error)
            return False
        barred = self._health.admit(name)
        if barred:
            provider, _, model = name.partition(":")
            self._skip(name, ProviderUnavailableError(barred, provider=provider, model=model))
        return barred is None

    def _check_cost(self, order: Order) -> None:
        if self._max_cost is not None:
            check_cost(order, max(EXACT.subtract(self._max_cost, self._spent), Decimal(0)))

    def _tried(self, name: str, order: Order, *, last: bool) -> Plan[T | None]:
        """Buy from one model; None says that the route turns to the next."""
        batch = self._verb.flows(order, self._retries if last else NEVER)
        try:
            outcomes = yield batch
        except BaseException:
            self._health.released(name)
            raise
        report(self._health, name, outcomes)
        parts = errors_in([outcome for outcome in outcomes if not brought(outcome)])
        clear = self._route.on_unknown == "spend" or not any(map(is_open, parts))
        turns = all(map(self._route.turns_from, parts))  # before joining, which adds to errors
        try:
            value = self._verb.joined(order, outcomes)
        except ImageGenError as error:
            if any(part.charged != "no" for part in parts):
                self._spend(order.list_cost.amount)
            self._turn_from(error, turns=turns)
            return None
        return self._wanted(order, value, clear=clear)

    def _spend(self, amount: Decimal | None) -> None:
        self._spent = EXACT.add(self._spent, amount or Decimal(0))

    def _turning(self, turned_from: str, why: ImageGenError, *, to: str) -> Plan[None]:
        try:
            yield FellBack(turned_from, to, why)
        except BaseException:
            self._health.released(to)
            raise

    def _turn_from(self, error: ImageGenError, *, turns: bool) -> None:
        """Remember *error*, or raise it if what any part met does not allow another purchase."""
        self._attempts += error.attempts
        if turns:
            self._errors.append(error)
            return
        if any(earlier.charged != "no" for earlier in self._errors):
            self._errors.append(error)
            raise self._all_failed()
        for earlier in self._errors:
            error.add_note(f"before that: {earlier}")
        error.attempts = tuple(self._attempts)
        raise error

    def _wanted(self, order: Order, value: T, *, clear: bool) -> T | None:
        """The value with the whole story; None if a predicate rejects it.

        Unless *clear*, a part may still be made and billed: no predicate can buy it again.
        """
        if not isinstance(value, Generation):
            return value
        if clear and self._route.rejects(value):
            unwanted = _unwanted(value)
            self._attempts += (_rejected(attempt, unwanted) for attempt in value.attempts)
            self._rejected.append(value)
            self._spend(value.cost.amount or order.list_cost.amount)
            self._errors.append(unwanted)
            return None
        costs = [attempt.cost for attempt in self._attempts]
        return evolve(
            value,
            attempts=(*self._attempts, *value.attempts),
            cost=Cost.total([*costs, value.cost]),
        )

    def _all_failed(self) -> AllRoutesFailedError:
        why = "; ".join(f"{e.provider}:{e.model}: {e.message}" for e in self._errors)
        failed = AllRoutesFailedError(f"no model of the route made it: {why}", self._errors)
        failed.attempts = tuple(self._attempts)
        failed.rejected = tuple(self._rejected)
        return failed


def _unwanted(generation: Generation) -> ImageGenError:
    return ImageGenError(
        "it made pictures, which fallback_on rejected",
        provider=generation.provider,
        model=generation.model,
        job=generation.job,
        charged="yes",
    )


def _rejected(attempt: Attempt, why: ImageGenError) -> Attempt:
    if attempt.error:
        return attempt
    return evolve(attempt, error=type(why).__name__, message=why.message)
