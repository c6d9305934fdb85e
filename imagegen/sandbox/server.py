"""A sandbox on a real port: an ASGI application, run by uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from imagegen.distribution import install
from imagegen.sandbox.exchange import Answer, Request, text_answer

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as missing:
    raise ImportError(
        f"the sandbox is served by uvicorn, which is missing: {install('sandbox')}"
    ) from missing

if TYPE_CHECKING:
    from imagegen.sandbox.app import Sandbox

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_BODY_LIMIT: Final = 64 * 1024 * 1024
_PATIENCE: Final = 5.0
_ABORT: Final = "imagegen.abort"


class App:
    """The ASGI application over `sandbox`.

    A connection is dropped through the scope's `imagegen.abort`, which our uvicorn protocol
    puts there; under another server the application fails instead, which closes it as well.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._closing = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the server's starting and stopping."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        body = await _body(receive)
        if body is None:
            await _send(text_answer("the body is too large", status=413), scope, send)
            return
        if not await self._answer(scope, body, send):
            _abort(scope)
            # uvicorn complains of applications that return before it knows of the break.
            await receive()

    def close(self) -> None:
        """Drop the answers still waiting; for the event loop's thread."""
        self._closing.set()

    async def _answer(self, scope: Scope, body: bytes, send: Send) -> bool:
        """Whether an answer was sent."""
        answer = self._sandbox.handle(_request(scope, body))
        stays = await self._pause(answer.delay)
        if answer.drop is not None or not stays:
            return False
        await _send(answer, scope, send)
        return True

    async def _pause(self, seconds: float) -> bool:
        """Whether the server still stood after `seconds`."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), seconds)
        return not self._closing.is_set()


async def _live(receive: Receive, send: Send) -> None:
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it passes the limit."""
    chunks: list[bytes] = []
    more, size = True, 0
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        more = message.get("more_body", False)
        if size > _BODY_LIMIT:
            return None
    return b"".join(chunks)


def _request(scope: Scope, body: bytes) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query: bytes = scope["query_string"]
    return Request(scope["method"], scope["path"], query.decode("latin-1"), headers, body)


def _abort(scope: Scope) -> None:
    abort: Callable[[], None] | None = scope.get(_ABORT)
    if abort is None:
        raise ConnectionAbortedError("the sandbox drops this connection")
    abort()


async def _send(answer: Answer, scope: Scope, send: Send) -> None:
    body = await asyncio.to_thread(lambda: answer.body) if answer.lazy else answer.body
    headers = {**answer.headers, "Content-Length": str(len(body))}
    wire = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": wire})
    shown = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": shown})


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, with a way for the application to break the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app: Any = self.app

        async def with_abort(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, _ABORT: lambda: _reset(transport)}, receive, send)

        self.app = with_abort


def _reset(transport: asyncio.Transport) -> None:
    """Break the connection so that the other end reads "connection reset"."""
    connection: socket.socket = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # the other end may have gone already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class _Server(uvicorn.Server):
    def __init__(self, app: App) -> None:
        self._app = app
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                loop="asyncio",
                ws="none",
                lifespan="on",
                log_config=None,
                log_level=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.close()
        await super().shutdown(sockets)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # From here on a client is kept waiting, not refused: the origin is told before the start.
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _origin(host: str, listener: socket.socket) -> str:
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    name = f"[{reached}]" if ":" in reached else reached
    return f"http://{name}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def _named(sandbox: Sandbox, origin: str) -> Generator[None]:
    before, sandbox.origin = sandbox.origin, origin
    try:
        yield
    finally:
        sandbox.origin = before


def serve(
    sandbox: Sandbox,
    host: str = "127.0.0.1",
    port: int = 8399,
    *,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; `ready` is called with the origin once the port is bound.

    Raises OSError where the port cannot be bound.
    """
    with _bound(host, port) as listener, _named(sandbox, _origin(host, listener)):
        if ready is not None:
            ready(sandbox.origin)
        with contextlib.suppress(KeyboardInterrupt):
            _Server(App(sandbox)).run([listener])


@contextlib.contextmanager
def running(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
    """Serve from a thread while the block runs; yields the origin.

    Raises OSError where the port cannot be bound.
    """
    with _bound(host, port) as listener, _named(sandbox, _origin(host, listener)):
        server = _Server(App(sandbox))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            yield sandbox.origin
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the sandbox's server did not start")
        time.sleep(0.002)
