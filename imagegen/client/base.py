"""What both clients know: their backends, and how to turn arguments into orders."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

from imagegen import orders
from imagegen.backends.base import Backend, Terms
from imagegen.config import configured
from imagegen.download import fetched_image
from imagegen.drivers import Account, Clock, Tell
from imagegen.errors import ConfigurationError, InvalidRequestError
from imagegen.events import Event, Submitted
from imagegen.files import write_images
from imagegen.flow import Flow
from imagegen.orders import Order, Outcome
from imagegen.redaction import brief
from imagegen.request import ImageRequest
from imagegen.result import GeneratedImage, Generation, Job

TIMEOUT = 300.0
LONGEST_TIMEOUT = 7 * 86_400
SIDE_BY_SIDE = 32
"""Parts of one request that are under way at a time."""

logger = logging.getLogger("imagegen")

Fit = Literal["strict", "nearest"]
Unsupported = Literal["error", "adjust"]
Money = Decimal | str | float


class BaseClient:
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
        if not isinstance(generation, Generation):
            raise InvalidRequestError(f"this takes a Generation, not {type(generation).__name__}")
        return [fetched_image(image, self._trusted) for image in generation.images]

    def _deadline(self, timeout: float | None) -> float:
        seconds = self._timeout if timeout is None else _seconds(timeout)
        return self._clock.monotonic() + seconds


class Watch:
    """Passes events on, and remembers what was accepted, for the case of an interruption."""

    def __init__(self, on_event: Tell | None, submissions: int) -> None:
        self._on_event = on_event
        self._submissions = submissions
        self._jobs: list[Job] = []
        self._stopped = threading.Event()

    def tell(self, event: Event) -> None:
        """Pass *event* on; a failing listener changes nothing."""
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
        if self._submissions < 2:
            return  # the only flow has said it all
        for job in self._jobs:
            state = "was settled" if job.settled else "was accepted and may go on"
            interruption.add_note(f"{job.provider}: job {job.id} {state}")
        if self._submissions > len(self._jobs):
            interruption.add_note("other parts of the request were under way and may be billed")


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
        error.add_note(f"saved all the same: {', '.join(map(str, written)) or 'nothing'}")
        raise error
    return written
