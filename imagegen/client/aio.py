"""AsyncClient: the same verbs for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from imagegen import orders
from imagegen.backends.base import Backend, Terms
from imagegen.client.base import (
    SIDE_BY_SIDE,
    TIMEOUT,
    BaseClient,
    Fit,
    Money,
    Unsupported,
    Watch,
    saved,
)
from imagegen.drivers import AsyncDriver, Clock, Tell
from imagegen.errors import ImageGenError
from imagegen.flow import Flow
from imagegen.orders import Outcome
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job
from imagegen.side_by_side import tasks_side_by_side

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class AsyncClient(BaseClient):
    """Client's twin for asyncio: the same verbs, awaited and cancellable at once."""

    def __init__(
        self,
        backends: Sequence[Backend] | None = None,
        *,
        timeout: float = TIMEOUT,
        on_event: Tell | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(backends, timeout, clock, on_event)
        self._driver = AsyncDriver(self._accounts, self._clock, transport)

    async def generate(
        self,
        request: ImageRequest | str,
        *,
        model: str | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit = "strict",
        unsupported: Unsupported = "error",
    ) -> Generation:
        """See `Client.generate`."""
        made = self._order(request, model, max_cost, Terms(fit, unsupported))
        flows = made.generations(self._trusted)
        return made.joined(await self._run(flows, timeout, submissions=len(flows)))

    async def submit(
        self,
        request: ImageRequest | str,
        *,
        model: str | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit = "strict",
        unsupported: Unsupported = "error",
    ) -> Job:
        """See `Client.submit`."""
        made = self._order(request, model, max_cost, Terms(fit, unsupported))
        flows = made.jobs()
        return made.joined_jobs(await self._run(flows, timeout, submissions=len(flows)))

    async def result(self, job: Job, *, timeout: float | None = None) -> Generation:
        """See `Client.result`."""
        flows, made = self._resumed(job)
        return made.joined(await self._run(flows, timeout))

    async def fetch(self, generation: Generation, *, timeout: float | None = None) -> Generation:
        """See `Client.fetch`."""
        return orders.fetched(generation, await self._run(self._fetching(generation), timeout))

    async def save(
        self, generation: Generation, directory: str | Path, *, timeout: float | None = None
    ) -> list[Path]:
        """See `Client.save`."""
        outcomes = await self._run(self._fetching(generation), timeout)
        return await asyncio.to_thread(saved, generation, outcomes, Path(directory))

    async def _run(
        self, flows: Sequence[Flow[T]], timeout: float | None, *, submissions: int = 0
    ) -> list[Outcome[T]]:
        deadline, watch = (
            self._deadline(timeout),
            Watch(self._on_event, submissions),
        )
        most = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(flow: Flow[T]) -> Outcome[T]:
            async with most:
                started = self._clock.monotonic()
                try:
                    value = await self._driver.run(flow, deadline, watch.tell)
                except ImageGenError as error:
                    return Outcome(None, error, self._clock.monotonic() - started)
                return Outcome(value, None, self._clock.monotonic() - started)

        try:
            return await tasks_side_by_side([one(flow) for flow in flows])
        except BaseException as interruption:
            watch.note_on(interruption)
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
