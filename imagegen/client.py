"""Client and AsyncClient: lifetime and concurrency.

What to send and how to join is decided in `imagegen.orders`, how to talk in the backends. The
two classes are twins but for `await`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from imagegen import orders
from imagegen.backends.base import Backend, Terms
from imagegen.config import configured
from imagegen.download import fetched_image
from imagegen.drivers import Account, AsyncDriver, Clock, Driver, Tell
from imagegen.errors import ConfigurationError, ImageGenError, InvalidRequestError
from imagegen.events import Event, Submitted
from imagegen.files import write_images
from imagegen.flow import Flow
from imagegen.orders import Order, Outcome
from imagegen.request import ImageRequest
from imagegen.result import GeneratedImage, Generation, Job
from imagegen.side_by_side import tasks_side_by_side, threads_side_by_side

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

TIMEOUT = 300.0
LONGEST_TIMEOUT = 7 * 86_400
SIDE_BY_SIDE = 32
"""Parts of one request that are under way at a time."""

logger = logging.getLogger("imagegen")

Fit = Literal["strict", "nearest"]
Unsupported = Literal["error", "adjust"]
Money = Decimal | str | float


class _BaseClient:
    """What both clients know: their backends, and how to turn arguments into orders."""

    def __init__(
        self,
        backends: Sequence[Backend] | None,
        timeout: float,
        clock: Clock | None,
        on_event: Tell | None,
    ) -> None:
        self._backends = configured(backends)
        self._timeout = _seconds(timeout)
        self._clock = clock or Clock()
        self._on_event = on_event
        usable = [b for b in self._backends.values() if isinstance(b, Backend)]
        self._accounts = {b.name: Account(b.host, b.api_key) for b in usable}
        self._trusted = frozenset("/".join(b.host.split("/", 3)[:3]) for b in usable)

    def _order(
        self, request: ImageRequest | str, model: str | None, max_cost: Money | None, terms: Terms
    ) -> Order:
        wanted = ImageRequest(request) if isinstance(request, str) else request
        if not isinstance(wanted, ImageRequest):
            raise InvalidRequestError(
                f"a request is an ImageRequest or a prompt, not {type(request).__name__}"
            )
        backend, model_id = self._model(model)
        return orders.order(backend, model_id, wanted, terms, max_cost)

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

    def _resumed(self, job: Job) -> tuple[list[Flow[Generation]], Order]:
        if not isinstance(job, Job):
            raise InvalidRequestError(f"result() takes a Job, not {type(job).__name__}")
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


class _Watch:
    """Passes events on, and remembers what was accepted, for the case of an interruption."""

    def __init__(self, on_event: Tell | None, parts: int) -> None:
        self._on_event = on_event
        self._parts = parts
        self._jobs: list[Job] = []
        self._stopped = threading.Event()

    def tell(self, event: Event) -> None:
        if self._stopped.is_set():
            raise KeyboardInterrupt
        if isinstance(event, Submitted):
            self._jobs.append(event.job)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            logger.exception("on_event failed; the call goes on")

    def note_on(self, interruption: BaseException) -> None:
        """Stop the threads at their next event, and note which jobs go on without us."""
        self._stopped.set()
        for job in self._jobs:
            state = "was settled" if job.settled else "was accepted and may go on"
            interruption.add_note(f"{job.provider}: job {job.id} {state}")
        if 1 < self._parts > len(self._jobs):
            interruption.add_note("other parts of the request were under way and may be billed")


class Client(_BaseClient):
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
        return made.joined(self._run(made.generations(self._trusted), timeout))

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
        return made.joined_jobs(self._run(made.jobs(), timeout))

    def result(self, job: Job, *, timeout: float | None = None) -> Generation:
        """Wait for a job that `submit` returned or an error carried, in this process or another."""
        flows, made = self._resumed(job)
        return made.joined(self._run(flows, timeout))

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
        deadline, watch = self._deadline(timeout), _Watch(self._on_event, len(flows))

        def one(flow: Flow[T]) -> Outcome[T]:
            started = self._clock.monotonic()
            try:
                value = self._driver.run(flow, deadline, watch.tell)
            except ImageGenError as error:
                return Outcome(None, error, self._clock.monotonic() - started)
            return Outcome(value, None, self._clock.monotonic() - started)

        try:
            return threads_side_by_side(one, flows, SIDE_BY_SIDE)
        except BaseException as interruption:
            watch.note_on(interruption)
            raise

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_BaseClient):
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
        return made.joined(await self._run(made.generations(self._trusted), timeout))

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
        return made.joined_jobs(await self._run(made.jobs(), timeout))

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
        return await asyncio.to_thread(_saved, generation, outcomes, Path(directory))

    async def _run(self, flows: Sequence[Flow[T]], timeout: float | None) -> list[Outcome[T]]:
        deadline, watch = self._deadline(timeout), _Watch(self._on_event, len(flows))
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


def _seconds(timeout: float) -> float:
    if not isinstance(timeout, (int, float)) or not 0 < timeout <= LONGEST_TIMEOUT:
        raise InvalidRequestError(
            f"timeout must be seconds, above 0 and at most {LONGEST_TIMEOUT}, not {timeout!r}",
            field="timeout",
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
