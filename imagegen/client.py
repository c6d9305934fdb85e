"""Client and AsyncClient: lifetime and concurrency.

What to send and how to join is decided in `imagegen.orders`, how to talk in the backends. The
two classes are twins but for `await`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from imagegen import orders
from imagegen.backends.base import Backend, Terms
from imagegen.config import all_completed
from imagegen.download import fetched_image
from imagegen.drivers import Account, AsyncDriver, Clock, Driver, Tell
from imagegen.errors import ConfigurationError, ImageGenError, InvalidRequestError
from imagegen.events import Event, Settled, Submitted
from imagegen.files import write_images
from imagegen.flow import Flow
from imagegen.orders import Order, Outcome
from imagegen.request import ImageRequest
from imagegen.result import GeneratedImage, Generation, Job

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

TIMEOUT = 300.0
SIDE_BY_SIDE = 32

Fit = Literal["strict", "nearest"]
Unsupported = Literal["error", "adjust"]
Money = Decimal | str | float


class _Desk:
    """What both clients know: their backends, and how to turn arguments into orders."""

    def __init__(
        self,
        backends: Sequence[Backend] | None,
        timeout: float,
        clock: Clock | None,
        on_event: Tell | None,
    ) -> None:
        chosen = all_completed(backends)
        self._backends = {backend.name: backend for backend in chosen}
        if len(self._backends) < len(chosen):
            raise ConfigurationError("two backends have the same name; a client needs one of each")
        self._timeout = _seconds(timeout)
        self._clock = clock or Clock()
        self._on_event = on_event or _ignore
        self._accounts = {b.name: Account(b.host, b.api_key) for b in chosen}
        self._trusted = frozenset("/".join(b.host.split("/", 3)[:3]) for b in chosen)

    def _order(
        self, request: ImageRequest | str, model: str | None, max_cost: Money | None, terms: Terms
    ) -> Order:
        wanted = ImageRequest(request) if isinstance(request, str) else request
        backend, model_id = self._model(model)
        return orders.order(backend, model_id, wanted, terms, max_cost)

    def _model(self, model: str | None) -> tuple[Backend, str]:
        if model is None:
            if len(self._backends) != 1:
                raise ConfigurationError("no model was named", advice=self._model_advice())
            (backend,) = self._backends.values()
            return backend, backend.default_model
        name, colon, model_id = model.partition(":")
        if not colon:
            raise ConfigurationError(f"{model!r} names no provider", advice=self._model_advice())
        backend = self._backend(name)
        return backend, model_id or backend.default_model

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            raise ConfigurationError(
                f"this client has no backend {name!r}", advice=self._model_advice()
            )
        return self._backends[name]

    def _model_advice(self) -> str:
        known = " or ".join(f'"{b.name}:{b.default_model}"' for b in self._backends.values())
        return f'Give model="provider:model", such as {known}'

    def _resumed(self, job: Job) -> tuple[list[Flow[Generation]], Order]:
        backend = self._backend(job.provider)
        jobs = job.parts or (job,)
        parts = tuple(part.request for part in jobs)
        resumed = Order(backend, job.model, job.request, Terms(), parts)
        return [orders.waiting(backend, part, self._trusted) for part in jobs], resumed

    def _fetching(self, generation: Generation) -> list[Flow[GeneratedImage]]:
        return [fetched_image(image, self._trusted) for image in generation.images]

    def _deadline(self, timeout: float | None) -> float:
        seconds = self._timeout if timeout is None else _seconds(timeout)
        return self._clock.monotonic() + seconds

    def _outcome(
        self, started: float, value: T | None = None, error: ImageGenError | None = None
    ) -> Outcome[T]:
        if isinstance(value, Generation):
            self._on_event(Settled(value))
        return Outcome(value, error, self._clock.monotonic() - started)


class _Witness:
    """Passes events on, and remembers the jobs that were accepted meanwhile."""

    def __init__(self, on_event: Tell) -> None:
        self._on_event = on_event
        self._jobs: list[Job] = []

    def tell(self, event: Event) -> None:
        if isinstance(event, Submitted):
            self._jobs.append(event.job)
        self._on_event(event)

    def testify(self, interruption: BaseException) -> None:
        """Note on *interruption* which jobs go on without us."""
        for job in self._jobs:
            interruption.add_note(f"{job.provider}: job {job.id} was accepted and may go on")


class Client(_Desk):
    """Makes pictures, blocking. Safe to share between threads; close it or use `with`.

    Args:
        backends: which providers; None takes every installed one, configured by the environment.
        timeout: seconds that one call may take in all, unless the call says otherwise.
        on_event: is called with each `imagegen.events` value, from the thread that works.
        transport: an httpx transport to use instead of the network, such as the sandbox's.
        clock: time, for tests.
    """

    def __init__(
        self,
        backends: Sequence[Backend] | None = None,
        *,
        timeout: float = TIMEOUT,
        on_event: Tell | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(backends, timeout, clock, on_event)
        self._driver = Driver(self._accounts, self._clock, transport)

    def generate(
        self,
        request: ImageRequest | str,
        *,
        model: str | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit = "strict",
        unsupported: Unsupported = "error",
    ) -> Generation:
        """Make the pictures and wait for them.

        Args:
            request: an ImageRequest, or just the prompt.
            model: ``"provider:model-id"``; may be left out if the client has one backend.
            timeout: seconds for everything: submission, waiting, downloads.
            max_cost: refuse before sending if the list price is above it or unknown; an amount in
                the price's currency, best as a string such as ``"0.05"``.
            fit: ``"nearest"`` takes the nearest size where the model does not make the one asked.
            unsupported: ``"adjust"`` leaves out what the model cannot express.

        Raises:
            ImageGenError: nothing came; see `imagegen.errors`. If only some pictures came, they
                are returned, with the rest as `failures`.
        """
        made = self._order(request, model, max_cost, Terms(fit, unsupported))
        return made.generation(self._run(made.generating(self._trusted), timeout))

    def submit(
        self,
        request: ImageRequest | str,
        *,
        model: str | None = None,
        timeout: float | None = None,
        max_cost: Money | None = None,
        fit: Fit = "strict",
        unsupported: Unsupported = "error",
    ) -> Job:
        """Submit as `generate` does, and return as soon as the provider has given an id.

        A provider that answers with the pictures at once (MiniMax) yields a job that holds them.
        """
        made = self._order(request, model, max_cost, Terms(fit, unsupported))
        return made.job(self._run(made.submitting(), timeout))

    def result(self, job: Job, *, timeout: float | None = None) -> Generation:
        """Wait for a job that `submit` returned or an error carried, in this process or another."""
        flows, made = self._resumed(job)
        return made.generation(self._run(flows, timeout))

    def fetch(self, generation: Generation, *, timeout: float | None = None) -> Generation:
        """Return *generation* with the bytes of every picture that can be fetched.

        One that cannot keeps its URL, and a notice says why.
        """
        return orders.fetched(generation, self._run(self._fetching(generation), timeout))

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
        outcomes = self._run(self._fetching(generation), timeout)
        return _saved(generation, outcomes, Path(directory))

    def _run(self, flows: Sequence[Flow[T]], timeout: float | None) -> list[Outcome[T]]:
        deadline, witness = self._deadline(timeout), _Witness(self._on_event)

        def one(flow: Flow[T]) -> Outcome[T]:
            started = self._clock.monotonic()
            try:
                return self._outcome(started, self._driver.run(flow, deadline, witness.tell))
            except ImageGenError as error:
                return self._outcome(started, error=error)

        if len(flows) < 2:
            return [one(flow) for flow in flows]
        pool = ThreadPoolExecutor(min(len(flows), SIDE_BY_SIDE), "imagegen")
        try:
            return list(pool.map(one, flows))
        except BaseException as interruption:
            witness.testify(interruption)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Desk):
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
        return made.generation(await self._run(made.generating(self._trusted), timeout))

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
        return made.job(await self._run(made.submitting(), timeout))

    async def result(self, job: Job, *, timeout: float | None = None) -> Generation:
        """See `Client.result`."""
        flows, made = self._resumed(job)
        return made.generation(await self._run(flows, timeout))

    async def fetch(self, generation: Generation, *, timeout: float | None = None) -> Generation:
        """See `Client.fetch`."""
        return orders.fetched(generation, await self._run(self._fetching(generation), timeout))

    async def save(
        self, generation: Generation, directory: str | Path, *, timeout: float | None = None
    ) -> list[Path]:
        """See `Client.save`."""
        outcomes = await self._run(self._fetching(generation), timeout)
        return await asyncio.to_thread(_saved, generation, outcomes, Path(directory))

    async def _run(self, flows: Sequence[Flow[T]], timeout: float | None) -> list[Outcome[T]]:
        deadline, witness = self._deadline(timeout), _Witness(self._on_event)

        async def one(flow: Flow[T]) -> Outcome[T]:
            started = self._clock.monotonic()
            try:
                return self._outcome(started, await self._driver.run(flow, deadline, witness.tell))
            except ImageGenError as error:
                return self._outcome(started, error=error)

        if len(flows) < 2:
            return [await one(flow) for flow in flows]
        tasks = [asyncio.ensure_future(one(flow)) for flow in flows]
        try:
            return await asyncio.gather(*tasks)
        except BaseException as interruption:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            witness.testify(interruption)
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def generate(
    prompt: str,
    *,
    model: str | None = None,
    timeout: float = TIMEOUT,
    max_cost: Money | None = None,
    fit: Fit = "strict",
    unsupported: Unsupported = "error",
    **fields: Any,
) -> Generation:
    """Make pictures in one line, with a client configured by the environment.

    *fields* are those of ImageRequest, such as ``n=2, size="1280x720"``; the rest is as for
    `Client.generate`.
    """
    with Client(timeout=timeout) as client:
        return client.generate(
            ImageRequest(prompt, **fields),
            model=model,
            max_cost=max_cost,
            fit=fit,
            unsupported=unsupported,
        )


def _ignore(_: Event) -> None:
    pass


def _seconds(timeout: float) -> float:
    if not isinstance(timeout, (int, float)) or not (isfinite(timeout) and timeout > 0):
        raise InvalidRequestError(
            f"timeout must be a number of seconds above 0, not {timeout!r}", field="timeout"
        )
    return float(timeout)


def _saved(
    generation: Generation, outcomes: Sequence[Outcome[GeneratedImage]], directory: Path
) -> list[Path]:
    """Write what came; raise the first error if something did not."""
    paths = write_images(orders.fetched(generation, outcomes), directory)
    written = [path for path in paths if path]
    for error in (outcome.error for outcome in outcomes if outcome.error):
        error.add_note(f"saved all the same: {', '.join(map(str, written)) or 'nothing'}")
        raise error
    return written
