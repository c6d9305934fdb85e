"""Client: blocking, with threads for what goes on at the same time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from imagegen.account import Checked, checking, pricing_now
from imagegen.backends.base import Backend, Fit, Unsupported
from imagegen.client.arguments import Money
from imagegen.client.base import SIDE_BY_SIDE, USUAL, BaseClient
from imagegen.client.models import Model
from imagegen.client.watch import Watch
from imagegen.config.environment import Backends
from imagegen.defaults import TIMEOUT, Defaults
from imagegen.drivers import Clock, Driver, Tell
from imagegen.drivers.side_by_side import threads_side_by_side
from imagegen.errors import ImageGenError
from imagegen.events import Event
from imagegen.flow import Done, Flow, advance
from imagegen.net.engine import Http
from imagegen.pricing import Price
from imagegen.purchase.comparison import Comparison
from imagegen.purchase.joining import fetched
from imagegen.purchase.plans import Batch, Outcome, Plan
from imagegen.purchase.policy import Retries
from imagegen.purchase.recovery import Reconciliation
from imagegen.purchase.routing import Route
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job

if TYPE_CHECKING:
    import httpx

    from imagegen.ledger import Budget, Ledger

T = TypeVar("T")


class Client(BaseClient):
    """Makes pictures, blocking. Safe to share between threads; close it or use `with`.

    Args:
        backends: which providers; None takes every installed one, configured by the environment.
        timeout: seconds that one call may take in all, unless the call says otherwise.
        retries: how often a submission that was not accepted is made again; None: never.
        ledger: where every purchase is written down before it is made; it stays open when the
            client is closed.
        budget: the most that all calls together may spend: an amount in USD, or an
            `imagegen.Budget`. Without a ledger, it counts what this client spends.
        defaults: what is meant where a call names nothing.
        routes: by name; a call may name one in place of a model.
        on_event: is called with each `imagegen.events` value, from the thread that works.
        http: ``"httpx"``, or ``"httpx2"``, its successor, which is an extra; None takes what
            ``IMAGEGEN_HTTP`` says, else httpx.
        transport: an httpx or httpx2 transport in place of the network, such as the sandbox's.
        clock: time, for tests.
    """

    def __init__(
        self,
        backends: Sequence[Backend] | Backends | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = USUAL,
        ledger: Ledger | None = None,
        budget: Budget | Money | None = None,
        defaults: Defaults | None = None,
        routes: Mapping[str, Route] | None = None,
        on_event: Tell | None = None,
        http: Http | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            backends,
            timeout=timeout,
            retries=retries,
            ledger=ledger,
            budget=budget,
            defaults=defaults,
            routes=routes,
            on_event=on_event,
            clock=clock,
        )
        self._driver = Driver(self._accounts, self._clock, transport, http)

    def generate(
        self,
        request: ImageRequest | str,
        *,
        model: Model | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit | None = None,
        unsupported: Unsupported | None = None,
    ) -> Generation:
        """Make the pictures and wait for them.

        Args:
            request: an ImageRequest, or just the prompt.
            model: ``"provider:model-id"``, the name of a route, or a Route; may be left out if
                the client has a default, or one backend only.
            timeout: seconds for everything: submission, waiting, downloads.
            max_cost: refuse before sending if the list price is above it or unknown; an amount in
                the price's currency, best as a string such as ``"0.05"``.
            fit: ``"nearest"`` takes the nearest size where the model does not make the one asked;
                ``"strict"`` refuses it.
            unsupported: ``"adjust"`` leaves out what the model cannot express; ``"error"``
                refuses it.

        Raises:
            ImageGenError: nothing came; see `imagegen.errors`. If only some pictures came, they
                are returned, with the rest as `failures`.
        """
        deadline, terms = self._deadline(timeout), self._defaults.terms(fit, unsupported)
        plan = self._generating(request, model, max_cost, terms, deadline)
        return self._perform(plan, deadline)

    def submit(
        self,
        request: ImageRequest | str,
        *,
        model: Model | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit | None = None,
        unsupported: Unsupported | None = None,
    ) -> Job:
        """Submit as `generate` does, and return as soon as the provider has given an id.

        A provider that answers with the pictures at once (MiniMax) yields a job that holds them.
        """
        deadline, terms = self._deadline(timeout), self._defaults.terms(fit, unsupported)
        plan = self._submitting(request, model, max_cost, terms, deadline)
        return self._perform(plan, deadline)

    def compare(
        self,
        request: ImageRequest | str,
        models: Sequence[Model],
        *,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit | None = None,
        unsupported: Unsupported | None = None,
        fetch: bool = True,
    ) -> Comparison:
        """Make the same pictures with several models, side by side, and fetch them.

        What one model cannot make, or fails to, is told beside the others' pictures.

        Args:
            request: an ImageRequest, or just the prompt.
            models: as for `plan`; each model of a route is one of its own, and the route's
                `max_cost` bounds all of the comparison.
            timeout: seconds for everything.
            max_cost: refuse before sending if the list prices of all together are above it, or
                one is unknown.
            fit: as for `generate`.
            unsupported: as for `generate`.
            fetch: False leaves the pictures at their URLs, for `fetch` or `save`.

        Raises:
            BudgetExceededError: it would cost more than *max_cost*, or a route's.
            ConfigurationError: a model string names no provider of this client.
        """
        deadline, terms = self._deadline(timeout), self._defaults.terms(fit, unsupported)
        plan = self._comparing(request, models, max_cost, terms, deadline, fetch=fetch)
        return self._perform(plan, deadline)

    def result(self, job: Job, *, timeout: float | None = None) -> Generation:
        """Wait for a job that `submit` returned or an error carried, in this process or another."""
        return self._perform(self._resuming(job), self._deadline(timeout))

    def reconcile(self, *, look_up: bool = True, timeout: float | None = None) -> Reconciliation:
        """Finish what a crash, a deadline or a lost answer left open on the ledger.

        Collects every result that nobody has yet, and, if *look_up*, asks the providers that have
        a list for the submissions of which nobody knows. Nothing is ever submitted.

        Raises:
            ConfigurationError: there is no ledger, or it cannot be read.
        """
        return self._perform(self._reconciling(look_up=look_up), self._deadline(timeout))

    def check(self, *, timeout: float | None = None) -> tuple[Checked, ...]:
        """Ask every provider whether it accepts its key and what is left there; free of charge.

        What goes wrong with one is told in its place.
        """
        return self._perform(checking(self._backends), self._deadline(timeout))

    def current_prices(
        self, models: Collection[str] = (), *, timeout: float | None = None
    ) -> dict[str, Price]:
        """Ask the providers that tell prices what the account pays now; free of charge.

        Args:
            models: ``"provider:model-id"``, of which no others are told; a family stands for its
                members. None: what a provider lists.
            timeout: seconds for everything.

        Returns:
            Prices by ``"provider:model-id"``; what is not told is left out.

        Raises:
            UnsupportedFeatureError: a provider of *models* tells none.
            ImageGenError: a provider refused, was not reached, or not understood.
        """
        plan = pricing_now(self._backends, models)
        return self._perform(plan, self._deadline(timeout))

    def fetch(self, generation: Generation, *, timeout: float | None = None) -> Generation:
        """Return *generation* with the bytes of every picture that can be fetched.

        One that cannot keeps its URL, and a notice says why.
        """
        plan = self._fetching(generation)
        return fetched(generation, self._perform(plan, self._deadline(timeout)))

    def save(
        self,
        generation: Generation,
        directory: str | Path,
        *,
        timeout: float | None = None,
        provenance: bool | None = None,
    ) -> list[Path]:
        """Write every picture into *directory* and return the paths, in order.

        Pictures that are still URLs are fetched. Files are named after provider, request id and
        place, and appear whole or not at all. Unless *provenance* is False (None: the client's
        default), PNG and JPEG files say how they were made; see docs/guides/pictures.md.

        Raises:
            ImageGenError: a picture could not be fetched (the others are written all the same;
                a note names them), or the folder not written.
        """
        outcomes = self._perform(self._fetching(generation), self._deadline(timeout))
        return self._written(generation, outcomes, Path(directory), provenance=provenance)

    def _perform(self, plan: Plan[T], deadline: float) -> T:
        watch = Watch(self._on_event)
        try:
            step = advance(plan)
            while not isinstance(step, Done):
                step = advance(plan, self._carried_out(step, deadline, watch))
        except ImageGenError:
            raise
        except BaseException as interruption:
            plan.close()
            watch.note_on(interruption)
            raise
        return step.value

    def _carried_out(
        self, step: Batch[Any] | Event, deadline: float, watch: Watch
    ) -> list[Outcome[Any]] | None:
        if not isinstance(step, Batch):
            watch.tell(step)
            return None
        watch.submissions += len(step.flows) if step.paid else 0

        def one(flow: Flow[Any]) -> Outcome[Any]:
            started = self._clock.monotonic()
            try:
                value = self._driver.run(flow, deadline, watch.tell)
            except Exception as error:  # noqa: BLE001 - the batch raises what it cannot tell
                return step.failed(error, self._clock.monotonic() - started)
            return Outcome(value, None, self._clock.monotonic() - started)

        return threads_side_by_side(one, step.flows, SIDE_BY_SIDE)

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()
        self._close_ledger()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
