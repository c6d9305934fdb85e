"""OpenTelemetry: one span for each paid submission, made from the events of a client.

A client is given one as its listener::

    with OpenTelemetry() as spans, Client(on_event=spans) as client:
        ...

Spans tell who, what, how long, what came and what it cost; never a prompt, a URL, a key or a
picture. Their names follow OpenTelemetry's conventions for generative AI where those have one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from imagegen import __version__
from imagegen.distribution import install
from imagegen.errors import ImageGenError
from imagegen.events import Event, Failed, Polled, Retried, Settled, Submitted, Submitting
from imagegen.result import Job

try:
    from opentelemetry import trace
except ImportError as missing:
    raise ImportError(
        f"spans are made with opentelemetry-api, which is missing: {install('otel')}"
    ) from missing

if TYPE_CHECKING:
    from imagegen.drivers import Tell
    from imagegen.result import Cost, Generation

Worker: TypeAlias = "threading.Thread | asyncio.Task[Any]"

OPERATION = "generate_content"
"""The conventions' own name for making content that is not only text."""


class OpenTelemetry:
    """An `on_event` function that makes a span for each submission.

    A span begins when the submission is about to leave and ends with its outcome: pictures, or an
    error. A submission that is made again has a span for each time. Its parent is the span that
    is current where the client was called, in threads and in tasks too.

    What is cut off, by Ctrl-C or by cancellation, tells nothing more, and neither does `submit`
    once the job is known. Such a span ends at the moment of its last event. That is noticed when
    another submission begins, and on `close`.

    Args:
        tracer_provider: whose spans they are; None: the global one.
        then: another `on_event` function, which is told every event too.
    """

    def __init__(
        self, tracer_provider: trace.TracerProvider | None = None, then: Tell | None = None
    ) -> None:
        self._tracer = trace.get_tracer("imagegen", __version__, tracer_provider)
        self._then = then
        self._open: dict[Worker, _Submission] = {}

    def __call__(self, event: Event) -> None:
        """Take one event, from the thread or task that does the work."""
        try:
            self._take(event)
        finally:
            if self._then:
                self._then(event)

    def close(self) -> None:
        """End the spans of which nothing more will be heard; it may be repeated.

        Call it, or leave the `with` block, once the client is closed and before the tracer
        provider is shut down.
        """
        for worker in tuple(self._open):
            self._leave(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, event: Event) -> None:
        worker = _worker()
        if isinstance(event, Submitting):
            self._sweep(worker)
            self._open[worker] = _Submission(self._tracer, event)
            return
        submission = self._open.get(worker)
        if submission is None:
            return
        if submission.is_foreign(event):
            self._leave(worker)
        elif submission.heard(event):
            del self._open[worker]

    def _sweep(self, beginning: Worker) -> None:
        """End what was left open by a worker that has stopped, or begins something new."""
        for worker in tuple(self._open):
            if worker is beginning or _stopped(worker):
                self._leave(worker)

    def _leave(self, worker: Worker) -> None:
        if submission := self._open.pop(worker, None):
            submission.left()


class _Submission:
    """One submission under way, and its span."""

    def __init__(self, tracer: trace.Tracer, event: Submitting) -> None:
        self._started = self._heard = time.time_ns()
        self._job: Job | None = None
        self._span = tracer.start_span(
            f"{OPERATION} {event.model}",
            kind=trace.SpanKind.CLIENT,
            start_time=self._started,
            attributes={
                "gen_ai.operation.name": OPERATION,
                "gen_ai.output.type": "image",
                "gen_ai.provider.name": event.provider,
                "gen_ai.request.choice.count": event.n,
                "gen_ai.request.model": event.model,
                "imagegen.charged": "unknown",
            },
        )

    def is_foreign(self, event: Event) -> bool:
        """Tell an event of later work by the same thread or task, such as `result`."""
        return self._job is not None and _job_id(event) != self._job.id

    def heard(self, event: Event) -> bool:
        """Note what *event* tells; True if that was all."""
        self._heard = time.time_ns()
        match event:
            case Submitted(job):
                self._accepted(job)
            case Settled(generation):
                self._settled(generation)
            case Failed(error=error):
                self._failed(error)
            case Retried(error=error, wait=wait):
                self._retried(error, wait)
            case _:
                pass
        return isinstance(event, Settled | Failed | Retried)

    def left(self) -> None:
        """End the span where it was last heard of."""
        if self._job is None:
            self._wrong("interrupted")
        self._span.end(self._heard)

    def _accepted(self, job: Job) -> None:
        self._job = job
        self._span.set_attribute("imagegen.charged", "yes")
        self._name(job)

    def _settled(self, generation: Generation) -> None:
        self._span.set_attribute("imagegen.images", len(generation.images))
        self._add_cost(generation.cost)
        self._span.end(self._heard)

    def _failed(self, error: ImageGenError) -> None:
        if error.job:
            self._name(error.job)
        self._span.set_attribute("imagegen.images", 0)
        self._span.set_attribute("imagegen.charged", error.charged)
        if error.attempts:
            self._add_cost(error.attempts[-1].cost)
        self._wrong(type(error).__name__)
        self._span.end(self._heard)

    def _retried(self, error: ImageGenError, wait: float) -> None:
        """The event comes after the wait, which is no part of the submission."""
        ended = max(self._heard - int(wait * 1e9), self._started)
        self._span.add_event("imagegen.retry", {"imagegen.retry.wait": wait}, ended)
        self._heard = ended
        self._failed(error)

    def _name(self, job: Job) -> None:
        self._span.set_attribute("gen_ai.response.model", job.model)
        if job.id:
            self._span.set_attribute("gen_ai.response.id", job.id)

    def _add_cost(self, cost: Cost) -> None:
        if cost.amount is None:
            return
        self._span.set_attribute("imagegen.cost.amount", float(cost.amount))
        self._span.set_attribute("imagegen.cost.basis", cost.basis)
        if cost.currency:
            self._span.set_attribute("imagegen.cost.currency", cost.currency)

    def _wrong(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR)


def _worker() -> Worker:
    """The task or thread that tells: it works on one submission at a time."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task or threading.current_thread()


def _stopped(worker: Worker) -> bool:
    return worker.done() if isinstance(worker, asyncio.Task) else not worker.is_alive()


def _job_id(event: Event) -> str | None:
    """The id of the job that *event* is about; MiniMax's generations name it as a request id."""
    match event:
        case Submitted(job) | Polled(job=job) | Failed(error=ImageGenError(job=Job() as job)):
            return job.id
        case Settled(generation) if generation.job:
            return generation.job.id
        case Settled(generation) if generation.attempts:
            return generation.attempts[-1].request_id or ""
        case _:
            return None
