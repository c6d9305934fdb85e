"""What both clients know: their backends, and how to turn arguments into plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from imagegen.backends.base import Backend, Fit, Terms, Unsupported
from imagegen.client.arguments import (
    Money,
    budget_of,
    checked,
    in_seconds,
    ledger_for,
    opened_ledger,
    request_of,
)
from imagegen.client.models import Model, Models
from imagegen.config import configured, load
from imagegen.config.environment import Backends
from imagegen.defaults import TIMEOUT, Defaults
from imagegen.drivers import Account, Clock, Tell
from imagegen.errors import ConfigurationError, ImageGenError, InvalidRequestError
from imagegen.events import logger
from imagegen.flow import Flow
from imagegen.limits import Limiter
from imagegen.pictures.download import fetched_image
from imagegen.pictures.files import write_images
from imagegen.purchase import orders
from imagegen.purchase.buying import Buyer, Conditions, OnUnknown
from imagegen.purchase.comparison import Comparison, comparing
from imagegen.purchase.fallback import Fallback, Verb, report
from imagegen.purchase.health import Health, ModelHealth
from imagegen.purchase.joining import fetched
from imagegen.purchase.orders import Order
from imagegen.purchase.planning import ModelPlan, plan_of
from imagegen.purchase.plans import Batch, Outcome, Plan
from imagegen.purchase.policy import NEVER, Retries
from imagegen.purchase.recovery import Reconciliation, Recovery
from imagegen.purchase.routing import Route
from imagegen.request import ImageRequest
from imagegen.result import GeneratedImage, Generation, Job

if TYPE_CHECKING:
    from imagegen.config.settings import Settings
    from imagegen.ledger import Budget, Ledger

T = TypeVar("T")

SIDE_BY_SIDE = 32
"""Parts of one request that are under way at a time."""

USUAL = Retries()


class BaseClient:
    """What both clients know: their backends, and how to turn arguments into plans."""

    def __init__(
        self,
        backends: Sequence[Backend] | Backends | None,
        *,
        timeout: float,
        retries: Retries | None,
        ledger: Ledger | None,
        budget: Budget | Money | None,
        defaults: Defaults | None,
        routes: Mapping[str, Route] | None,
        on_event: Tell | None,
        clock: Clock | None,
    ) -> None:
        self._backends = configured(backends)
        self._defaults = checked(defaults, Defaults, "defaults") or Defaults()
        self._models = Models(self._backends, routes or {}, self._defaults.model)
        self._timeout = in_seconds(timeout)
        self._clock = clock or Clock()
        self._on_event = on_event
        self._retries = checked(retries, Retries, "retries") or NEVER
        usable = [b for b in self._backends.values() if isinstance(b, Backend)]
        self._accounts = {b.name: Account(b.host, b.api_key, b.key_header) for b in usable}
        self._trusted = frozenset("/".join(b.host.split("/", 3)[:3]) for b in usable)
        self._health = Health(self._clock.monotonic)
        self.ledger, self._own_ledger = ledger_for(ledger, budget)
        self._buyer = Buyer(
            self._clock,
            trusted=self._trusted,
            ledger=self.ledger,
            budget=budget_of(budget),
            limiters={
                backend.name: Limiter(limits, self._clock.monotonic)
                for backend in usable
                if (limits := backend.account_limits)
            },
        )

    @classmethod
    def from_config(
        cls, path: str | Path | None = None, *, profile: str | None = None, **options: Any
    ) -> Self:
        """Make a client as ``imagegen.toml`` and the environment say.

        Args:
            path: the file to read, which is trusted; None: the one that ``IMAGEGEN_CONFIG``
                names, else the one in the working directory over the user's own.
            profile: which of the file's profiles; None: the one that ``IMAGEGEN_PROFILE`` names.
            options: arguments of the client, which go before what the file says.

        Raises:
            ConfigurationError: the file is wrong; it says where, and how to mend it.
        """
        return cls.from_settings(load(path, profile=profile), **options)

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self:
        """Make a client of *settings*, which `imagegen.config.load` read; else as `from_config`."""
        for warning in settings.warnings:
            logger.warning("%s", warning)
        said: dict[str, Any] = {
            "backends": settings.backends,
            "budget": settings.budget,
            "defaults": settings.defaults,
            "routes": settings.routes,
            "timeout": settings.timeout or TIMEOUT,
        }
        budget = "budget" not in options and settings.budget
        if budget and options.get("ledger", settings.ledger) in (None, "off"):
            raise ConfigurationError(
                "the configuration's budget needs a ledger, and there is to be none",
                advice="Let the client have one, or leave the budget out of the configuration",
                field="ledger",
            )
        if "ledger" in options or settings.ledger in (None, "off"):
            return cls(**said | options)
        ledger = opened_ledger(settings.ledger, prompts=settings.prompts)
        try:
            client = cls(**said | options, ledger=ledger)
        except BaseException:
            ledger.close()
            raise
        client._own_ledger = True
        return client

    def health(self) -> dict[str, ModelHealth]:
        """How each model has done so far, by ``"provider:model-id"``."""
        return self._health.snapshot()

    def plan(
        self,
        request: ImageRequest | str,
        models: Sequence[Model] | None = None,
        *,
        fit: Fit | None = None,
        unsupported: Unsupported | None = None,
    ) -> tuple[ModelPlan, ...]:
        """Say what each model would be sent, and what it would cost. Nothing is sent, or awaited.

        Args:
            request: an ImageRequest, or just the prompt.
            models: ``"provider:model-id"``, names of routes, or Routes, which stand for all of
                their models; None: the client's default, else the default model of
                every backend that has a key, of all of them if none has.
            fit: as for `generate`.
            unsupported: as for `generate`.

        Raises:
            ConfigurationError: a model string names no provider of this client.
            InvalidRequestError: *request* is none.
        """
        wanted, terms = request_of(request), self._defaults.terms(fit, unsupported)
        today = self._clock.now().date()
        plans: list[ModelPlan] = []
        for name in self._models.distinct(self._models.listed(models), wanted):
            provider, _, model_id = name.partition(":")
            try:
                backend, model_id = self._models.found(name)
            except ConfigurationError as error:
                if error.field == "model":
                    raise
                plans.append(
                    ModelPlan(model=name, provider=provider, full_model=model_id, error=error)
                )
            else:
                plans.append(plan_of(backend, model_id, wanted, terms, name=name, today=today))
        return tuple(plans)

    def _comparing(
        self,
        request: ImageRequest | str,
        models: Sequence[Model],
        max_cost: Money | None,
        terms: Terms,
        deadline: float,
        *,
        fetch: bool,
    ) -> Plan[Comparison]:
        if models is None:
            raise ConfigurationError("no models were named", field="model")
        wanted = request_of(request)
        names = self._models.distinct(self._models.listed(models), wanted)
        limits = [*self._models.limits(models), self._most(max_cost)]
        flows = self._verb_flows(self._buyer.generation, None, deadline)
        comparison = yield from comparing(
            wanted,
            self._orders(wanted, names, terms),
            Verb(flows, Order.joined),
            fetch=(lambda image: fetched_image(image, self._trusted)) if fetch else None,
            health=self._health,
            retries=self._retries,
            max_cost=min((limit for limit in limits if limit is not None), default=None),
            started_at=self._clock.now(),
        )
        for contender in comparison.contenders:
            if contender.generation:
                self._handed_over(contender.generation)
        return comparison

    def _generating(
        self,
        request: ImageRequest | str,
        model: Model | None,
        max_cost: Money | None,
        terms: Terms,
        deadline: float,
    ) -> Plan[Generation]:
        chosen = self._models.chosen(model)
        verb = Verb(self._verb_flows(self._buyer.generation, chosen, deadline), Order.joined)
        generation = yield from self._bought(request, chosen, max_cost, terms, verb)
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
        chosen = self._models.chosen(model)
        verb = Verb(self._verb_flows(self._buyer.job, chosen, deadline), Order.joined_jobs)
        return self._bought(request, chosen, max_cost, terms, verb)

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
        model: Model,
        max_cost: Money | None,
        terms: Terms,
        verb: Verb[T],
    ) -> Plan[T]:
        wanted, most = request_of(request), self._most(max_cost)
        if isinstance(model, Route):
            return (yield from self._routed(wanted, model, most, terms, verb))
        name, made = self._order(wanted, model, most, terms)
        outcomes = yield verb.flows(made, self._retries)
        report(self._health, name, outcomes)
        return verb.joined(made, outcomes)

    def _routed(
        self,
        request: ImageRequest,
        route: Route,
        max_cost: Decimal | None,
        terms: Terms,
        verb: Verb[T],
    ) -> Plan[T]:
        made = self._orders(request, route.models, terms)
        limits = [limit for limit in (route.max_cost, max_cost) if limit is not None]
        most = min(limits, default=None)
        return Fallback(route, verb, self._health, retries=self._retries, max_cost=most).plan(made)

    def _orders(
        self, request: ImageRequest, models: Sequence[str], terms: Terms
    ) -> dict[str, Order | ImageGenError]:
        """An order for each of *models*, or why there is none.

        Raises:
            ConfigurationError: one names no provider of this client.
        """
        made: dict[str, Order | ImageGenError] = {}
        for model in models:
            try:
                made[model] = self._order(request, model, None, terms)[1]
            except ImageGenError as error:
                if error.field == "model" and isinstance(error, ConfigurationError):
                    raise
                made[model] = error
        return made

    def _most(self, max_cost: Money | None) -> Decimal | None:
        return self._defaults.max_cost if max_cost is None else orders.amount(max_cost)

    def _handed_over(self, generation: Generation) -> None:
        """Note that the caller has the result now; nobody needs to wait for that."""
        if self.ledger and self.ledger.collect == "returned":
            self.ledger.collected(generation)

    def _close_ledger(self) -> None:
        if self.ledger and self._own_ledger:
            self.ledger.close()

    def _order(
        self, request: ImageRequest, model: str, max_cost: Money | None, terms: Terms
    ) -> tuple[str, Order]:
        backend, model_id = self._models.found(model)
        made = orders.order(backend, model_id, request, terms, max_cost)
        return f"{backend.name}:{model_id}", made

    def _resuming(self, job: Job) -> Plan[Generation]:
        if not isinstance(job, Job):
            raise InvalidRequestError(f"result() takes a Job, not {type(job).__name__}")
        backend = self._models.backend(job.provider)
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
        usable = {n: b for n, b in self._backends.items() if isinstance(b, Backend) and b.has_key}
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

    def _written(
        self,
        generation: Generation,
        outcomes: Sequence[Outcome[GeneratedImage]],
        directory: Path,
        *,
        provenance: bool | None,
    ) -> list[Path]:
        """Write what came; raise the first error if something did not."""
        marked = self._defaults.provenance if provenance is None else provenance
        whole = fetched(generation, outcomes)
        written = [path for path in write_images(whole, directory, provenance=marked) if path]
        for error in (outcome.error for outcome in outcomes if outcome.error):
            error.provider, error.model = generation.provider, generation.model
            error.job, error.charged = generation.job, "yes"
            error.add_note(f"saved all the same: {', '.join(map(str, written)) or 'nothing'}")
            raise error
        if self.ledger:
            self.ledger.collected(generation)
        return written

    def _deadline(self, timeout: float | None) -> float:
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        return self._clock.monotonic() + seconds
