"""What both clients know: their backends, and how to turn arguments into plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from imagegen import orders
from imagegen.backends.base import Backend, Terms
from imagegen.buying import Buyer, Conditions, OnUnknown
from imagegen.config import configured
from imagegen.download import fetched_image
from imagegen.drivers import Account, Clock, Tell
from imagegen.errors import ConfigurationError, ImageGenError, InvalidRequestError
from imagegen.fallback import Fallback, Verb, report
from imagegen.files import write_images
from imagegen.flow import Flow
from imagegen.health import Health, ModelHealth
from imagegen.limits import Limiter
from imagegen.orders import Batch, Order, Outcome, Plan
from imagegen.policy import NEVER, Retries
from imagegen.recovery import Reconciliation, Recovery
from imagegen.redaction import brief
from imagegen.request import ImageRequest
from imagegen.result import GeneratedImage, Generation, Job
from imagegen.routing import Route

if TYPE_CHECKING:
    from imagegen.ledger import Budget, Ledger

T = TypeVar("T")

TIMEOUT = 300.0
LONGEST_TIMEOUT = 7 * 86_400
SIDE_BY_SIDE = 32
"""Parts of one request that are under way at a time."""

Fit = Literal["strict", "nearest"]
Unsupported = Literal["error", "adjust"]
Money = Decimal | str | float
Model: TypeAlias = str | Route
USUAL = Retries()


class BaseClient:
    """What both clients know: their backends, and how to turn arguments into plans."""

    def __init__(
        self,
        backends: Sequence[Backend] | None,
        *,
        timeout: float,
        retries: Retries | None,
        ledger: Ledger | None,
        budget: Budget | Money | None,
        on_event: Tell | None,
        clock: Clock | None,
    ) -> None:
        self._backends = configured(backends)
        self._timeout = _seconds(timeout)
        self._clock = clock or Clock()
        self._on_event = on_event
        self._retries = _checked(retries, Retries, "retries") or NEVER
        usable = [b for b in self._backends.values() if isinstance(b, Backend)]
        self._accounts = {b.name: Account(b.host, b.api_key) for b in usable}
        self._trusted = frozenset("/".join(b.host.split("/", 3)[:3]) for b in usable)
        self._health = Health(self._clock.monotonic)
        self.ledger, self._own_ledger = _ledger_for(ledger, budget)
        self._buyer = Buyer(
            self._clock,
            trusted=self._trusted,
            ledger=self.ledger,
            budget=_budget(budget),
            limiters={
                backend.name: Limiter(limits, self._clock.monotonic)
                for backend in usable
                if (limits := backend.account_limits)
            },
        )

    def health(self) -> dict[str, ModelHealth]:
        """How each model has done so far, by ``"provider:model-id"``."""
        return self._health.snapshot()

    def _generating(
        self,
        request: ImageRequest | str,
        model: Model | None,
        max_cost: Money | None,
        terms: Terms,
        deadline: float,
    ) -> Plan[Generation]:
        verb = Verb(self._verb_flows(self._buyer.generation, model, deadline), Order.joined)
        generation = yield from self._bought(request, model, max_cost, terms, verb)
        self._handed_over(generation)
        return generation

    def _submitting(
        self,
        request: ImageRequest | str,
        model: Model | None,
        max_cost: Money | None,
        terms: Terms,
        deadline: float,
    ) -> Plan[Job]:
        verb = Verb(self._verb_flows(self._buyer.job, model, deadline), Order.joined_jobs)
        return self._bought(request, model, max_cost, terms, verb)

    def _verb_flows(
        self,
        buy: Callable[[Order, ImageRequest, Conditions], Flow[T]],
        model: Model | None,
        deadline: float,
    ) -> Callable[[Order, Retries], Batch[T]]:
        on_unknown: OnUnknown = model.on_unknown if isinstance(model, Route) else "raise"
        if on_unknown == "reconcile" and self.ledger is None:
            raise ConfigurationError(
                'on_unknown="reconcile" needs a ledger',
                advice="Give the client one: Client(ledger=Ledger())",
                field="ledger",
            )
        until = self._clock.now() + timedelta(seconds=deadline - self._clock.monotonic())

        def flows(made: Order, retries: Retries) -> Batch[T]:
            conditions = Conditions(retries=retries, on_unknown=on_unknown, until=until)
            return Batch([buy(made, part, conditions) for part in made.parts], paid=True)

        return flows

    def _bought(
        self,
        request: ImageRequest | str,
        model: Model | None,
        max_cost: Money | None,
        terms: Terms,
        verb: Verb[T],
    ) -> Plan[T]:
        wanted = _request(request)
        if isinstance(model, Route):
            return (yield from self._routed(wanted, model, max_cost, terms, verb))
        name, made = self._order(wanted, model, max_cost, terms)
        outcomes = yield verb.flows(made, self._retries)
        report(self._health, name, outcomes)
        return verb.joined(made, outcomes)

    def _routed(
        self,
        request: ImageRequest,
        route: Route,
        max_cost: Money | None,
        terms: Terms,
        verb: Verb[T],
    ) -> Plan[T]:
        made: dict[str, Order | ImageGenError] = {}
        for model in route.models:
            try:
                made[model] = self._order(request, model, None, terms)[1]
            except ImageGenError as error:
                if error.field == "model" and isinstance(error, ConfigurationError):
                    raise
                made[model] = error
        limits = [route.max_cost] if max_cost is None else [route.max_cost, orders.amount(max_cost)]
        most = min((limit for limit in limits if limit is not None), default=None)
        return Fallback(route, verb, self._health, retries=self._retries, max_cost=most).plan(made)

    def _handed_over(self, generation: Generation) -> None:
        """Note that the caller has the result now; nobody needs to wait for that."""
        if self.ledger and self.ledger.collect == "returned":
            self.ledger.collected(generation)

    def _saved(self, generation: Generation) -> None:
        if self.ledger:
            self.ledger.collected(generation)

    def _close_ledger(self) -> None:
        if self.ledger and self._own_ledger:
            self.ledger.close()

    def _order(
        self, request: ImageRequest, model: str | None, max_cost: Money | None, terms: Terms
    ) -> tuple[str, Order]:
        backend, model_id = self._model(model)
        made = orders.order(backend, model_id, request, terms, max_cost)
        return f"{backend.name}:{model_id}", made

    def _model(self, model: str | None) -> tuple[Backend, str]:
        if model is None:
            if len(self._backends) != 1:
                raise self._wrong_model("no model was named")
            (name,) = self._backends
            model = f"{name}:"
        name, colon, model_id = str(model).partition(":")
        if not colon:
            raise self._wrong_model(f"{model!r} names no provider")
        backend = self._backend(name)
        return backend, model_id or backend.default_model

    def _backend(self, name: str) -> Backend:
        backend = self._backends.get(name)
        if backend is None:
            raise self._wrong_model(f"this client has no backend {name!r}")
        if isinstance(backend, ConfigurationError):
            raise backend
        return backend

    def _wrong_model(self, words: str) -> ConfigurationError:
        known = " or ".join(
            f'"{name}:{backend.default_model}"'
            for name, backend in self._backends.items()
            if isinstance(backend, Backend)
        )
        advice = f'Give model="provider:model", such as {known}'
        return ConfigurationError(words, advice=advice, field="model")

    def _resuming(self, job: Job) -> Plan[Generation]:
        if not isinstance(job, Job):
            raise InvalidRequestError(f"result() takes a Job, not {type(job).__name__}")
        backend = self._backend(job.provider)
        jobs = job.parts or (job,)
        parts = tuple(part.request for part in jobs)
        resumed = Order(backend, job.model, job.request, Terms(), parts)
        outcomes = yield Batch([self._buyer.result(backend, part) for part in jobs])
        generation = resumed.joined(outcomes)
        self._handed_over(generation)
        return generation

    def _reconciling(self, *, look_up: bool) -> Plan[Reconciliation]:
        if self.ledger is None:
            raise ConfigurationError(
                "there is no ledger to reconcile",
                advice='Give the client one: Client(ledger=Ledger("ledger.db"))',
                field="ledger",
            )
        usable = {n: b for n, b in self._backends.items() if isinstance(b, Backend) and b.api_key}
        recovery = Recovery(self.ledger, self._buyer, usable, self._clock.now)
        report = yield from recovery.plan(look_up=look_up)
        for generation in report.generations:
            self._handed_over(generation)
        return report

    def _fetching(self, generation: Generation) -> Plan[list[Outcome[GeneratedImage]]]:
        if not isinstance(generation, Generation):
            raise InvalidRequestError(f"this takes a Generation, not {type(generation).__name__}")
        flows = [fetched_image(image, self._trusted) for image in generation.images]
        outcomes: list[Outcome[GeneratedImage]] = yield Batch(flows)
        return outcomes

    def _deadline(self, timeout: float | None) -> float:
        seconds = self._timeout if timeout is None else _seconds(timeout)
        return self._clock.monotonic() + seconds


def _request(request: ImageRequest | str) -> ImageRequest:
    wanted = ImageRequest(request) if isinstance(request, str) else request
    if not isinstance(wanted, ImageRequest):
        raise InvalidRequestError(
            f"a request is an ImageRequest or a prompt, not {type(request).__name__}"
        )
    return wanted


def _budget(given: Budget | Money | None) -> Budget | None:
    if given is None:
        return None
    from imagegen.ledger import Budget  # noqa: PLC0415 - SQLite is loaded only for a ledger

    return given if isinstance(given, Budget) else Budget(amount=given)


def _ledger_for(ledger: Ledger | None, budget: Budget | Money | None) -> tuple[Ledger | None, bool]:
    """The ledger to use, and whether it is the client's own: a budget needs one to count on."""
    if ledger is None and budget is None:
        return None, False
    from imagegen.ledger import Ledger  # noqa: PLC0415 - SQLite is loaded only for a ledger

    given = _checked(ledger, Ledger, "ledger")
    return (given, False) if given else (Ledger(), True)


def _checked(value: T | None, kind: type[T], name: str) -> T | None:
    if value is None or isinstance(value, kind):
        return value
    raise ConfigurationError(
        f"{name} must be a {kind.__name__} or None, not {brief(value)}", field=name
    )


def _seconds(timeout: float) -> float:
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not number or not 0 < timeout <= LONGEST_TIMEOUT:
        raise InvalidRequestError(
            f"timeout must be seconds, above 0 and at most {LONGEST_TIMEOUT}, not {brief(timeout)}",
            field="timeout",
        )
    return float(timeout)


def saved(
    generation: Generation, outcomes: Sequence[Outcome[GeneratedImage]], directory: Path
) -> list[Path]:
    """Write what came; raise the first error if something did not."""
    paths = write_images(orders.fetched(generation, outcomes), directory)
    written = [path for path in paths if path]
    for error in (outcome.error for outcome in outcomes if outcome.error):
        error.provider, error.model = generation.provider, generation.model
        error.job, error.charged = generation.job, "yes"
        error.add_note(f"saved all the same: {', '.join(map(str, written)) or 'nothing'}")
        raise error
    return written
