"""AsyncClient: the same verbs for asyncio."""

from __future__ import annotations

import asyncio
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
from imagegen.drivers import AsyncDriver, Clock, Tell
from imagegen.drivers.side_by_side import tasks_side_by_side
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


class AsyncClient(BaseClient):
    """Client's twin for asyncio: the same verbs, awaited and cancellable at once."""

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
        transport: httpx.AsyncBaseTransport | None = None,
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
        self._driver = AsyncDriver(self._accounts, self._clock, transport, http)

    async def generate(
        self,
        request: ImageRequest | str,
        *,
        model: Model | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit | None = None,
        unsupported: Unsupported | None = None,
    ) -> Generation:
        """See `Client.generate`."""
        deadline, terms = self._deadline(timeout), self._defaults.terms(fit, unsupported)
        plan = self._generating(request, model, max_cost, terms, deadline)
        return await self._perform(plan, deadline)

    async def submit(
        self,
        request: ImageRequest | str,
        *,
        model: Model | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit | None = None,
        unsupported: Unsupported | None = None,
    ) -> Job:
        """See `Client.submit`."""
        deadline, terms = self._deadline(timeout), self._defaults.terms(fit, unsupported)
        plan = self._submitting(request, model, max_cost, terms, deadline)
        return await self._perform(plan, deadline)

    async def compare(
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
        """See `Client.compare`."""
        deadline, terms = self._deadline(timeout), self._defaults.terms(fit, unsupported)
        plan = self._comparing(request, models, max_cost, terms, deadline, fetch=fetch)
        return await self._perform(plan, deadline)

    async def result(self, job: Job, *, timeout: float | None = None) -> Generation:
        """See `Client.result`."""
        return await self._perform(self._resuming(job), self._deadline(timeout))

    async def reconcile(
        self, *, look_up: bool = True, timeout: float | None = None
    ) -> Reconciliation:
        """See `Client.reconcile`."""
        return await self._perform(self._reconciling(look_up=look_up), self._deadline(timeout))

    async def check(self, *, timeout: float | None = None) -> tuple[Checked, ...]:
        """See `Client.check`."""
        return await self._perform(checking(self._backends), self._deadline(timeout))

    async def current_prices(
        self, models: Collection[str] = (), *, timeout: float | None = None
    ) -> dict[str, Price]:
        """See `Client.current_prices`."""
        plan = pricing_now(self._backends, models)
        return await self._perform(plan, self._deadline(timeout))

    async def fetch(self, generation: Generation, *, timeout: float | None = None) -> Generation:
        """See `Client.fetch`."""
        plan = self._fetching(generation)
        return fetched(generation, await self._perform(plan, self._deadline(timeout)))

    async def save(
        self,
        generation: Generation,
        directory: str | Path,
        *,
        timeout: float | None = None,
        provenance: bool | None = None,
    ) -> list[Path]:
        """See `Client.save`."""
        outcomes = await self._perform(self._fetching(generation), self._deadline(timeout))
        return await asyncio.to_thread(
            self._written, generation, outcomes, Path(directory), provenance=provenance
        )

    async def _perform(self, plan: Plan[T], deadline: float) -> T:
        watch = Watch(self._on_event)
        try:
            step = advance(plan)
            while not isinstance(step, Done):
                step = advance(plan, await self._carried_out(step, deadline, watch))
        except ImageGenError:
            raise
        except BaseException as interruption:
            plan.close()
            watch.note_on(interruption)
            raise
        return step.value

    async def _carried_out(
        self, step: Batch[Any] | Event, deadline: float, watch: Watch
    ) -> list[Outcome[Any]] | None:
        if not isinstance(step, Batch):
            watch.tell(step)
            return None
        watch.submissions += len(step.flows) if step.paid else 0
        most = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(flow: Flow[Any]) -> Outcome[Any]:
            async with most:
                started = self._clock.monotonic()
                try:
                    value = await self._driver.run(flow, deadline, watch.tell)
                except Exception as error:  # noqa: BLE001 - the batch raises what it cannot tell
                    return step.failed(error, self._clock.monotonic() - started)
                return Outcome(value, None, self._clock.monotonic() - started)

        return await tasks_side_by_side([one(flow) for flow in step.flows])

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()
        self._close_ledger()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
