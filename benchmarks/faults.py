"""What can go wrong between a client and a provider: a wire that breaks, and a list of troubles.

A provider that denies what it did is not in the list: nobody can tell a refusal in its own words
(or a 4xx in whosever words) from a purchase.
"""

import itertools
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, cast

import httpcore
import httpx
from attrs import field, frozen

from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import FakeClock

Step = Literal["submit", "poll", "download", "look-up"]

MODELS: Mapping[str, str] = {
    "minimax": "minimax:image-01",
    "wavespeed": "wavespeed:minimax/image-01",
}
STATUSES = (
    *(400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 425, 429, 451, 499),
    *(500, 501, 502, 503, 504, 520, 522, 524, 529, 599),
)
REFUSALS = frozenset(range(400, 500)) - {408, 499}
"""What no gateway says of a request that a provider took."""
OWN_REFUSALS = REFUSALS | {501, 503, 529}
"""And no provider, in its own words. Any other 5xx may come after it has begun to work."""
MINIMAX_CODES = (
    *(1000, 1001, 1002, 1004, 1008, 1013, 1024, 1026, 1027, 1028, 1030, 1033, 1039, 1041, 1042),
    *(1043, 1044, 2013, 2037, 2038, 2039, 2042, 2045, 2048, 2049, 2054, 2056, 2061, 20132),
    *(1, 999, 1999, 9999),
)
WAVESPEED_CODES = (1200, 1400, 1401, 1402, 1403, 1405, 1406, 1407, 5000, 5003, 5004, 1998, 5999)
LATE_CODES = frozenset({1000, 1001, 1013, 1024, 1027, 1033, 1, 999, 1999, 9999, 5000, 5004, 5999})
"""Those that may come although the pictures are billed: unclear, or not known at all."""
FINAL_CODES = frozenset({1200})
"""Those that say of a prediction, wherever they stand, that it brings no picture."""
ENDED = ("failed", "cancelled", "timeout", "deleted")
UNDER_WAY = ("created", "pending", "queued", "processing", "completed", "", "melted")


@frozen
class Cut:
    """An exchange without an answer: whether the provider got it, and whether a byte had left.

    `waits` names the timeout that passes first; `late`: the answer begins, and then breaks off.
    """

    error: Exception
    begun: bool = True
    delivered: bool = False
    waits: str = ""
    late: bool = False


@frozen
class Said:
    """An answer in the provider's place, whether the provider got the request or not."""

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str])
    body: bytes = b""
    delivered: bool = False


@frozen
class Trouble:
    """Something that goes wrong; `ends`: the provider says that the job brings no picture."""

    name: str
    what: Cut | Said | Fault
    steps: tuple[Step, ...] = ("submit", "poll", "download")
    providers: tuple[str, ...] = tuple(MODELS)
    sync_mode: bool = False
    ends: bool = False


class _BreakingOff(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"code": 200, "da'
        raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


class Wire(httpx.BaseTransport):
    """The way to the sandbox, on which one thing goes wrong; `came` is what the client read."""

    def __init__(self, sandbox: Sandbox, clock: FakeClock) -> None:
        self._within = sandbox.transport(clock.sleep)
        self._clock = clock
        self._place: tuple[str, Step] | None = None
        self._seen = itertools.count()
        self.came: list[bytes] = []

    def arm(self, what: Cut | Said, place: tuple[str, Step], after: int, most: int) -> None:
        """Let *what* happen to the requests of *place*, after the first few, so many times."""
        self._what, self._place = what, place
        self._hit = range(after, after + most)

    def mend(self) -> None:
        """Let everything pass from now on."""
        self._place = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or break."""
        if self._place != _place(request) or next(self._seen) not in self._hit:
            response = self._within.handle_request(request)
            self.came.append(response.read())
            return httpx.Response(
                response.status_code, headers=response.headers, content=response.content
            )
        what = self._what
        if what.delivered:
            self._within.handle_request(_untraced(request))
        if isinstance(what, Said):
            _begin(request)
            return httpx.Response(what.status, headers=what.headers, content=what.body)
        return self._cut(what, request)

    def _cut(self, cut: Cut, request: httpx.Request) -> httpx.Response:
        if cut.begun:
            _begin(request)
        if cut.waits:
            self._clock.sleep(request.extensions["timeout"][cut.waits])
        if cut.late:
            return httpx.Response(200, stream=_BreakingOff(cut.error))
        raise cut.error


class AsyncWire(httpx.AsyncBaseTransport):
    """Wire's twin."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or break."""
        content, events = await request.aread(), list[str]()
        told = request.extensions | {"trace": lambda event, _: events.append(event)}
        copy = httpx.Request(
            request.method, request.url, headers=request.headers, content=content, extensions=told
        )
        try:
            return self._wire.handle_request(copy)
        finally:
            for event in events:
                await request.extensions["trace"](event, {})


def _begin(request: httpx.Request) -> None:
    request.extensions["trace"]("http11.send_request_headers.started", {})


def _untraced(request: httpx.Request) -> httpx.Request:
    content = request.read()
    return httpx.Request(request.method, request.url, headers=request.headers, content=content)


def _place(request: httpx.Request) -> tuple[str, Step]:
    path = request.url.path
    if path.startswith("/v1/"):
        return "minimax", "submit"
    if path == "/api/v3/predictions":
        return "wavespeed", "look-up"
    if path.startswith("/api/v3/"):
        return "wavespeed", "poll" if request.method == "GET" else "submit"
    return "wavespeed" if path.startswith("/files/output/") else "minimax", "download"


def cuts() -> Iterator[Trouble]:
    """What sockets do."""
    unsent = {
        "connection refused": Cut(httpcore.ConnectError("[Errno 111] refused"), begun=False),
        "no such name": Cut(httpcore.ConnectError("[Errno -2] not known"), begun=False),
        "certificate": Cut(httpx.ConnectError("CERTIFICATE_VERIFY_FAILED"), begun=False),
        "handshake stalls": Cut(httpcore.ConnectTimeout(), begun=False, waits="connect"),
        "connecting stalls": Cut(httpx.ConnectTimeout("timed out"), begun=False, waits="connect"),
        "no connection free": Cut(httpcore.PoolTimeout(), begun=False, waits="pool"),
    }
    sent: dict[str, dict[str, Any]] = {
        "connection error after the first byte": {"error": httpcore.ConnectError("late")},
        "write stalls": {"error": httpcore.WriteTimeout(), "waits": "write"},
        "reset while writing": {"error": httpcore.WriteError("[Errno 32] Broken pipe")},
        "read stalls": {"error": httpcore.ReadTimeout(), "waits": "read"},
        "reset before the answer": {"error": httpx.ReadError("[Errno 104] reset")},
        "closed without an answer": {"error": httpcore.RemoteProtocolError("disconnected")},
        "no HTTP": {"error": httpcore.RemoteProtocolError("illegal status line")},
        "TLS breaks": {"error": ssl.SSLError("DECRYPTION_FAILED_OR_BAD_RECORD_MAC")},
        "odd exception": {"error": RuntimeError("somebody else's bug")},
        "answer breaks off": {"error": httpcore.ReadError("reset"), "late": True},
        "answer ends early": {"error": httpcore.RemoteProtocolError("early"), "late": True},
        "answer stalls": {"error": httpcore.ReadTimeout(), "late": True, "waits": "read"},
    }
    everywhere: tuple[Step, ...] = ("submit", "poll", "download", "look-up")
    yield from (Trouble(name, cut, everywhere) for name, cut in unsent.items())
    for name, options in sent.items():
        for delivered in (False, True):
            shown = f"{name}, {'' if delivered else 'not '}delivered"
            yield Trouble(shown, Cut(delivered=delivered, **options), everywhere)


def statuses(numbers: Iterable[int]) -> Iterator[Trouble]:
    """HTTP errors in every shape, with and without Retry-After, of what was taken or not."""
    shapes: tuple[Literal["json", "html", "empty"], ...] = ("json", "html", "empty")
    for status, shape, wait, accepted in itertools.product(
        numbers, shapes, (None, 3), (False, True)
    ):
        denied = OWN_REFUSALS if shape == "json" else REFUSALS
        if accepted and status in denied:
            continue
        name = f"HTTP {status} {shape}{', Retry-After' * bool(wait)}{', accepted' * accepted}"
        fault = Fault("http", status=status, shape=shape, retry_after=wait, accepted=accepted)
        yield Trouble(name, fault, ("submit",) if accepted else ("submit", "poll", "download"))
    for status, delivered in itertools.product((301, 302, 307, 308), (False, True)):
        for target in ("https://elsewhere.example/", "http://127.0.0.1:8399/v1/loop", "//["):
            said = Said(status, {"location": target}, delivered=delivered)
            yield Trouble(f"HTTP {status} to {target}, {'' if delivered else 'not '}taken", said)


def garbage() -> Iterator[Trouble]:
    """Successes that are none."""
    for shape in ("text", "html", "empty", "truncated", "types"):
        yield Trouble(f"garbage: {shape}", Fault("garbage", shape=cast("Any", shape)))
    bodies = (b"", b"<html>Just a moment...</html>", b"null", b"[]", b"{}", b"\xff", b"[" * 5000)
    for status, body in itertools.product((200, 201, 204, 206), bodies):
        yield Trouble(f"HTTP {status} {body[:9]!r}", Said(status, body=body), ("submit", "poll"))
    for status, body in itertools.product((200, 403, 429, 500, 502, 503), (b"", b"<html>", b"{}")):
        yield Trouble(f"HTTP {status} {body!r}", Said(status, body=body), ("look-up",))
    for field_, value in itertools.product(("items", "total"), ("null", "7", '"x"', "[1]", "{}")):
        page = f'{{"code": 200, "data": {{"{field_}": {value}}}}}'.encode()
        yield Trouble(f"a list with {field_} {value}", Said(200, body=page), ("look-up",))


def codes() -> Iterator[Trouble]:
    """The providers' own codes."""
    for code in MINIMAX_CODES:
        only: dict[str, Any] = {"steps": ("submit",), "providers": ("minimax",)}
        yield Trouble(f"code {code}", Fault("code", code=code), **only)
        if code in LATE_CODES:
            late = Fault("http", status=200, code=code, accepted=True)
            yield Trouble(f"code {code}, accepted", late, **only)
    for code, status in itertools.product(WAVESPEED_CODES, (200, 400, 500)):
        one: dict[str, Any] = {"providers": ("wavespeed",), "ends": code in FINAL_CODES}
        fault = Fault("code", code=code, status=status)
        yield Trouble(f"code {code} under {status}", fault, ("submit", "poll"), **one)
        if code in LATE_CODES and status not in REFUSALS:
            late = Fault("http", status=status, code=code, accepted=True)
            yield Trouble(f"code {code} under {status}, accepted", late, ("submit",), **one)
    for kind in ("rate_limit", "insufficient_balance"):
        yield Trouble(kind, Fault(cast("Any", kind)), ("submit",))


def endings() -> Iterator[Trouble]:
    """How predictions end, and what becomes of their pictures."""
    only: dict[str, Any] = {"providers": ("wavespeed",), "steps": ("submit", "poll")}
    for status, code in itertools.product((*ENDED, *UNDER_WAY), (0, 1200, 1403, 5003, 7777)):
        if status in ENDED or not code:
            fault = Fault("prediction_status", prediction_status=status, code=code)
            name = f"the prediction is {status!r}, code {code}"
            yield Trouble(name, fault, ends=status in ENDED, **only)
    sole: dict[str, Any] = {"providers": ("wavespeed",), "steps": ("submit",)}
    yield Trouble("sync mode times out", Fault("sync_timeout"), sync_mode=True, **sole)
    yield Trouble("nanoseconds", Fault("nanoseconds"), **sole)
    for kind in ("moderated", "missing", "slow", "late"):
        fault = Fault(cast("Any", kind), seconds=400.0 if kind in ("slow", "late") else 0.0)
        yield Trouble(kind, fault, ("submit",), ends=kind in {"moderated", "missing"})
    for shape in ("null", "objects", "empty"):
        fault = Fault("outputs", shape=cast("Any", shape))
        yield Trouble(f"outputs: {shape}", fault, ("submit",), ends=shape != "objects")
    yield Trouble("expired", Fault("expired"), ("download",))


def troubles(numbers: Iterable[int]) -> Iterator[Trouble]:
    """All of them, *numbers* being the HTTP statuses."""
    yield from (*cuts(), *statuses(numbers), *garbage(), *codes(), *endings())


def passing() -> Iterator[Fault]:
    """A few of every kind, for sequences of many."""
    for accepted in (False, True):
        yield Fault("drop", accepted=accepted)
        yield Fault("http", status=502, shape="html", accepted=accepted)
        yield Fault("http", status=408, shape="json", accepted=accepted)
    for status in (429, 503):
        yield Fault("http", status=status, retry_after=1)
    for shape in ("text", "truncated", "types", "empty"):
        yield Fault("garbage", shape=cast("Any", shape))
    for word in ("failed", "timeout", "processing"):
        yield Fault("prediction_status", prediction_status=word)
    yield Fault("rate_limit", retry_after=2)
    yield Fault("insufficient_balance")
    yield Fault("moderated", image=0)
    yield Fault("missing", image=0)
    yield Fault("slow", seconds=400.0)
    yield Fault("late", seconds=400.0)
    yield Fault("drop", step="poll", accepted=True)
    yield Fault("http", step="poll", status=500)
    yield Fault("garbage", step="poll", shape="html")


class Line(httpx.BaseTransport):
    """The way to the sandbox, which counts lost answers, and where a process may die."""

    def __init__(self, sandbox: Sandbox, clock: FakeClock, reached: Callable[[str], None]) -> None:
        self._within = sandbox.transport(clock.sleep)
        self._reached = reached
        self._lock = threading.Lock()
        self.lost = 0
        """Submissions without a clear answer."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer from the sandbox."""
        paid = request.method == "POST" and not request.url.path.endswith("/predictions")
        if not paid:
            return self._within.handle_request(request)
        self._reached("before sending")
        try:
            response = self._within.handle_request(request)
        except httpx.HTTPError:
            self._lose()
            raise
        self._reached("after sending")
        if not _is_clear(response):
            self._lose()
        return response

    def _lose(self) -> None:
        with self._lock:
            self.lost += 1


def _is_clear(response: httpx.Response) -> bool:
    """Tell whether an answer says, for those who can read it, what was accepted or refused."""
    try:
        answer = httpx.Response(200, content=response.read()).json()
    except ValueError:
        return False
    said = answer.get("base_resp", answer)
    code = said.get("status_code", said.get("code")) if isinstance(said, dict) else None
    if code in (0, 200):
        return response.status_code == 200 and bool(answer.get("data"))
    return code in (400, 429, 503, 1002, 1008)
