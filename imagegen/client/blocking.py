"""Client: blocking, with threads for what goes on at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from imagegen import orders
from imagegen.backends.base import Backend, Terms
from imagegen.client.base import (
    SIDE_BY_SIDE,
    TIMEOUT,
    USUAL,
    BaseClient,
    Fit,
    Model,
    Money,
    Unsupported,
    saved,
)
from imagegen.client.watch import Watch
from imagegen.drivers import Clock, Driver, Tell
from imagegen.errors import ImageGenError
from imagegen.events import Event
from imagegen.flow import Done, Flow, advance
from imagegen.orders import Batch, Outcome, Plan
from imagegen.policy import Retries
from imagegen.recovery import Reconciliation
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job
from imagegen.side_by_side import threads_side_by_side

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
            `imagegen.ledger.Budget`. Without a ledger, it counts what this client spends.
        on_event: is called with each `imagegen.events` value, from the thread that works.
        transport: an httpx transport to use instead of the network, such as the sandbox's.
        clock: time, for tests.
    """

    def __init__(
        self,
        backends: Sequence[Backend] | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = USUAL,
        ledger: Ledger | None = None,
        budget: Budget | Money | None = None,
        on_event: Tell | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            backends,
            timeout=timeout,
            retries=retries,
            ledger=ledger,
            budget=budget,
            on_event=on_event,
            clock=clock,
        )
        self._driver = Driver(self._accounts, self._clock, transport)

    def generate(
        self,
        request: ImageRequest | str,
        *,
        model: Model | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit = "strict",
        unsupported: Unsupported = "error",
    ) -> Generation:
        """Make the pictures and wait for them.

        Args:
            request: an ImageRequest, or just the prompt.
            model: ``"provider:model-id"``, or a Route; may be left out if there is one backend.
            timeout: seconds for everything: submission, waiting, downloads.
            max_cost: refuse before sending if the list price is above it or unknown; an amount in
                the price's currency, best as a string such as ``"0.05"``.
            fit: ``"nearest"`` takes the nearest size where the model does not make the one asked.
            unsupported: ``"adjust"`` leaves out what the model cannot express.

        Raises:
            ImageGenError: nothing came; see `imagegen.errors`. If only some pictures came, they
                are returned, with the rest as `failures`.
        """
        deadline, terms = self._deadline(timeout), Terms(fit, unsupported)
        plan = self._generating(request, model, max_cost, terms, deadline)
        return self._perform(plan, deadline)

    def submit(
        self,
        request: ImageRequest | str,
        *,
        model: Model | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit = "strict",
        unsupported: Unsupported = "error",
    ) -> Job:
        """Submit as `generate` does, and return as soon as the provider has given an id.

        A provider that answers with the pictures at once (MiniMax) yields a job that holds them.
        """
        deadline, terms = self._deadline(timeout), Terms(fit, unsupported)
        plan = self._submitting(request, model, max_cost, terms, deadline)
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

    def fetch(self, generation: Generation, *, timeout: float | None = None) -> Generation:
        """Return *generation* with the bytes of every picture that can be fetched.

        One that cannot keeps its URL, and a notice says why.
        """
        plan = self._fetching(generation)
        return orders.fetched(generation, self._perform(plan, self._deadline(timeout)))

    def save(
        self, generation: Generation, directory: str | Path, *, timeout: float | None = None
    ) -> list[Path]:
        """Write every picture into *directory* and return the paths, in order.

        Pictures that are still URLs are fetched. Files are named after provider, request id and
        place, and appear whole or not at all.

        Raises:
            ImageGenError: a picture could not be fetched (the others are written all the same;
                a note names them), or the folder not written.
        """
        outcomes = self._perform(self._fetching(generation), self._deadline(timeout))
        paths = saved(generation, outcomes, Path(directory))
        self._saved(generation)
        return paths

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
            except ImageGenError as error:
                return Outcome(None, error, self._clock.monotonic() - started)
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
