"""A sandbox mounted under httpx: no port, no socket, the same exceptions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import httpx

from imagegen.sandbox.exchange import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from imagegen.sandbox.app import Sandbox

# httpcore's names: clients that ask "was anything sent?" listen for them.
_SENT: Final = (
    "http11.send_request_headers.started",
    "http11.send_request_headers.complete",
    "http11.send_request_body.started",
    "http11.send_request_body.complete",
    "http11.receive_response_headers.started",
)


def _read(request: httpx.Request, body: bytes) -> Request:
    url = request.url
    return Request(request.method, url.path, url.query.decode("ascii"), dict(request.headers), body)


def _patience(request: httpx.Request, answer: Answer) -> tuple[float, bool]:
    """Seconds to wait, and whether the client's read timeout ends them."""
    timeout: dict[str, Any] = request.extensions.get("timeout", {})
    limit = timeout.get("read")
    if limit is not None and answer.drop != "before" and answer.delay > limit:
        return limit, True
    return answer.delay, False


def _broken(request: httpx.Request, answer: Answer) -> httpx.TransportError | None:
    match answer.drop:
        case "before":
            return httpx.ConnectError("[Errno 111] Connection refused", request=request)
        case "after":
            return httpx.ReadError("[Errno 104] Connection reset by peer", request=request)
        case _:
            return None


def _respond(request: httpx.Request, answer: Answer, body: bytes) -> httpx.Response:
    headers = {**answer.headers, "Content-Length": str(len(body))}
    shown = b"" if request.method == "HEAD" else body
    return httpx.Response(
        answer.status, headers=headers, stream=httpx.ByteStream(shown), request=request
    )


class SandboxTransport(httpx.BaseTransport):
    """Answers an `httpx.Client` from `sandbox`, pausing with `sleep`; from any thread."""

    def __init__(self, sandbox: Sandbox, sleep: Callable[[float], object]) -> None:
        self._sandbox = sandbox
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer; raises what a socket would: ConnectError, ReadError, ReadTimeout."""
        answer = self._sandbox.handle(_read(request, request.read()))
        trace = request.extensions.get("trace")
        if trace is not None and answer.drop != "before":
            for event in _SENT:
                trace(event, {})
        wait, timed_out = _patience(request, answer)
        if wait:
            self._sleep(wait)
        if timed_out:
            raise httpx.ReadTimeout("The read operation timed out", request=request)
        if broken := _broken(request, answer):
            raise broken
        return _respond(request, answer, answer.body)


class AsyncSandboxTransport(httpx.AsyncBaseTransport):
    """Answers an `httpx.AsyncClient` from `sandbox`; pictures are drawn in a thread."""

    def __init__(self, sandbox: Sandbox, sleep: Callable[[float], Awaitable[object]]) -> None:
        self._sandbox = sandbox
        self._sleep = sleep

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer; raises what a socket would: ConnectError, ReadError, ReadTimeout."""
        answer = self._sandbox.handle(_read(request, await request.aread()))
        trace = request.extensions.get("trace")
        if trace is not None and answer.drop != "before":
            for event in _SENT:
                await trace(event, {})
        wait, timed_out = _patience(request, answer)
        if wait:
            await self._sleep(wait)
        if timed_out:
            raise httpx.ReadTimeout("The read operation timed out", request=request)
        if broken := _broken(request, answer):
            raise broken
        body = await asyncio.to_thread(lambda: answer.body) if answer.lazy else answer.body
        return _respond(request, answer, body)
