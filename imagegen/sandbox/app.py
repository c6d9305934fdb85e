"""The sandbox: two providers' APIs behind one function, from a request to an answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, field, frozen

from imagegen.sandbox import mishaps
from imagegen.sandbox.exchange import (
    Answer,
    Provider,
    Request,
    Step,
    json_answer,
    parse as parse_json,
    text_answer,
)
from imagegen.sandbox.faults import Fault, Faults
from imagegen.sandbox.files import ROOT, Files
from imagegen.sandbox.minimax import MiniMax
from imagegen.sandbox.transport import AsyncSandboxTransport, SandboxTransport
from imagegen.sandbox.wavespeed import WaveSpeed

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from imagegen.client import AsyncClient, Client

_PAGE: Final = """\
imagegen sandbox: the image APIs of MiniMax and WaveSpeedAI, emulated. No real key is needed.

  POST /v1/image_generation            MiniMax: answers when the pictures are ready
  POST /api/v3/{model}                 WaveSpeedAI: answers with a prediction
  GET  /api/v3/predictions/{id}/result WaveSpeedAI: how the prediction is doing
  GET  /sandbox/submissions            what was accepted, and billed, so far
  POST /sandbox/faults                 what shall go wrong next
"""


@frozen
class Submission:
    """An accepted submission: `images` billed at `price` USD altogether, `at` epoch seconds.

    `body` is the JSON object as received; `webhook` the URL given with it, which is never called.
    """

    provider: Provider
    model: str
    id: str
    images: int
    price: Decimal
    body: Mapping[str, Any] = field(repr=False)
    at: float
    webhook: str | None = None


class Sandbox:
    """Both providers' HTTP APIs, emulated; `handle` does no I/O and never sleeps.

    Args:
        latency: seconds that one generation takes.
        keys: the bearer keys accepted; None takes any that is not empty.
        origin: scheme, host and port of the URLs handed out.
        url_lifetime: seconds before a picture's URL answers 403.
        sync_limit: seconds that WaveSpeed's `enable_sync_mode` waits at most.
        listing_lag: seconds before a new WaveSpeed prediction appears in the list.
        balance: USD; every accepted submission is charged to it.
        clock: epoch seconds.
        faults: what goes wrong, as with `inject`.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        keys: Collection[str] | None = None,
        origin: str = "http://127.0.0.1:8399",
        url_lifetime: float = 86_400.0,
        sync_limit: float = 90.0,
        listing_lag: float = 0.0,
        balance: Decimal | str = "100",
        clock: Callable[[], float] = time.time,
        faults: Iterable[Fault] = (),
    ) -> None:
        if isinstance(keys, str):
            raise TypeError("keys is a collection of keys, not one string")
        self.latency = float(latency)
        self.keys = None if keys is None else frozenset(keys)
        self.origin = origin
        self.url_lifetime = url_lifetime
        self.sync_limit = sync_limit
        self.listing_lag = listing_lag
        self.balance = Decimal(balance)
        self.clock = clock
        self.submissions: list[Submission] = []
        self.files = Files(self)
        self._faults = Faults(faults)
        self._minimax = MiniMax(self)
        self._wavespeed = WaveSpeed(self)
        self._lock = threading.Lock()

    def inject(self, *faults: Fault) -> None:
        """Let these go wrong too, after those injected before."""
        with self._lock:
            self._faults.inject(faults)

    def handle(self, request: Request) -> Answer:
        """What the addressed provider answers; safe to call from several threads."""
        with self._lock:
            place = self._place(request)
            if place is None:
                return self._serve(request, None)
            fault = self._faults.take(*place)
            return mishaps.spoil(place[0], fault, lambda: self._serve(request, fault))

    def transport(self, sleep: Callable[[float], object] = time.sleep) -> SandboxTransport:
        """For `httpx.Client(transport=...)`: every host it is asked for is this sandbox."""
        return SandboxTransport(self, sleep)

    def async_transport(
        self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> AsyncSandboxTransport:
        """For `httpx.AsyncClient(transport=...)`."""
        return AsyncSandboxTransport(self, sleep)

    def client(self, **options: Any) -> Client:
        """A Client of both backends on this sandbox; *options* are those of `imagegen.Client`."""
        from imagegen.sandbox.clients import client  # noqa: PLC0415 - the library, on demand

        return client(self, **options)

    def async_client(self, **options: Any) -> AsyncClient:
        """An AsyncClient of both backends on this sandbox."""
        from imagegen.sandbox.clients import async_client  # noqa: PLC0415 - as above

        return async_client(self, **options)

    def running(self, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[str]:
        """Serve on a real port (0: a free one) from a thread; yields the origin.

        Raises OSError where the port cannot be bound, ImportError without uvicorn.
        """
        from imagegen.sandbox.server import running  # noqa: PLC0415  (uvicorn is an extra)

        return running(self, host, port)

    def accept(
        self,
        provider: Provider,
        *,
        model: str,
        identity: str,
        images: int,
        price: Decimal,
        body: Mapping[str, Any],
        webhook: str | None = None,
    ) -> None:
        """Log a submission and charge for it: for the emulated providers' own use."""
        self.balance -= price
        self.submissions.append(
            Submission(provider, model, identity, images, price, body, self.clock(), webhook)
        )

    def _place(self, request: Request) -> tuple[Provider, Step] | None:
        if request.path.startswith(ROOT):
            owner = self.files.provider(request)
            return (owner, "download") if owner else None
        if self._minimax.submits(request):
            return "minimax", "submit"
        step = self._wavespeed.step(request)
        return ("wavespeed", step) if step else None

    def _serve(self, request: Request, fault: Fault | None) -> Answer:
        path = request.path
        if path.startswith(ROOT):
            return self.files.answer(request, expired=fault is not None and fault.kind == "expired")
        if path.startswith("/api/v3/"):
            return self._wavespeed.answer(request, fault)
        if path.startswith("/sandbox/"):
            return self._control(request)
        if path == "/":
            return text_answer(_PAGE)
        return self._minimax.answer(request, fault)

    def _control(self, request: Request) -> Answer:
        match request.method, request.path:
            case "GET", "/sandbox/submissions":
                return json_answer([_plain(submission) for submission in self.submissions])
            case "POST", "/sandbox/faults":
                return self._script(request)
            case "DELETE", "/sandbox/faults":
                self._faults.clear()
                return json_answer({"faults": 0})
            case _:
                return json_answer({"error": "no such control"}, status=404)

    def _script(self, request: Request) -> Answer:
        try:
            fault = Fault.from_json(parse_json(request.body))
        except ValueError as wrong:
            return json_answer({"error": str(wrong)}, status=400)
        self._faults.inject([fault])
        return json_answer(asdict(fault), status=201)


def _plain(submission: Submission) -> dict[str, Any]:
    return {**asdict(submission, recurse=False), "price": str(submission.price)}
