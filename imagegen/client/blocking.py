"""Client: blocking, with threads for what goes on at the same time."""

from __future__ import annotations

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
from imagegen.drivers import Clock, Driver, Tell
from imagegen.errors import ImageGenError
from imagegen.flow import Flow
from imagegen.orders import Outcome
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job
from imagegen.side_by_side import threads_side_by_side

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class Client(BaseClient):
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
        flows = made.generations(self._trusted)
        return made.joined(self._run(flows, timeout, submissions=len(flows)))

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
        flows = made.jobs()
        return made.joined_jobs(self._run(flows, timeout, submissions=len(flows)))

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
        return saved(generation, outcomes, Path(directory))

    def _run(
        self, flows: Sequence[Flow[T]], timeout: float | None, *, submissions: int = 0
    ) -> list[Outcome[T]]:
        deadline, watch = (
            self._deadline(timeout),
            Watch(self._on_event, submissions),
        )

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
