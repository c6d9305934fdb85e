"""Servers that behave in one way or another, and one way to drive both transports."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self
from unittest import mock

import pytest
from attrs import field, frozen

from imagegen import net
from imagegen.net import asynchronous, blocking
from scripts import loaded
from wire import take

ENGINE = net.engine()
Behaviour = Callable[[socket.socket], None]


bench = loaded("benchmarks.deadline")
"""It has a certificate, and both sides' configuration of TLS."""


class Server:
    """Treats every connection as *behave* says, in a thread of its own."""

    def __init__(self, behave: Behaviour, *, tls: bool) -> None:
        self._behave = behave
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._over = False
        self._open: list[socket.socket] = []
        self.connections = 0
        self.port = self._listener.getsockname()[1]
        self._threads[0].start()

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._over:
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._tls:
                connection = bench.server_side().wrap_socket(connection, server_side=True)
                self._open.append(stack.enter_context(connection))
            self._behave(connection)

    def close(self) -> None:
        self._over = True
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()


@frozen
class Answer:
    """A response, read to its end."""

    status: int
    headers: Any
    body: bytes


@frozen
class Sent:
    """What transports were told of an exchange: the names of httpcore's events."""

    events: list[str] = field(factory=list)

    def trace(self, event: str, _: Any) -> None:
        self.events.append(event)

    async def atrace(self, event: str, _: Any) -> None:
        self.events.append(event)


class Caller:
    """A Transport or an AsyncTransport, and their streams, run to the end of each operation."""

    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self._runner = asyncio.Runner() if flavour == "async" else None
        self.transport: Any = (net.AsyncTransport if self._runner else net.Transport)(ENGINE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(self.transport.close())
        if self._runner:
            self._runner.close()

    def wait(self, value: Any) -> Any:
        return self._runner.run(value) if self._runner else value

    def turn(self, times: int = 10) -> None:
        """Let the event loop take note of what happened."""

        async def turns() -> None:
            for _ in range(times):
                await asyncio.sleep(0)

        if self._runner:
            self._runner.run(turns())

    def asking(
        self,
        url: str,
        *,
        method: str = "GET",
        content: bytes | None = None,
        fresh: bool = False,
        sent: Sent | None = None,
    ) -> net.Request:
        parsed = net.Url.parse(url)
        headers = [(b"host", parsed.authority.encode())]
        if content is not None:
            headers.append((b"content-length", b"%d" % len(content)))
        told = sent or Sent()
        trace = told.atrace if self._runner else told.trace
        return net.Request(method, parsed, headers, content, 30.0, 30.0, trace, fresh, public=False)

    def ask(self, url: str, **options: Any) -> Answer:
        """Send a request and read all of the response."""
        return self.wait(self._exchange(self.asking(url, **options)))  # type: ignore[no-any-return]

    def _exchange(self, request: net.Request) -> Any:
        return self._aexchange(request) if self._runner else self._bexchange(request)

    def _bexchange(self, request: net.Request) -> Answer:
        response = self.transport.send(request)
        try:
            body = b"".join(response.chunks)
        finally:
            response.close()
        return Answer(response.status, response.headers, body)

    async def _aexchange(self, request: net.Request) -> Answer:
        response = await self.transport.send(request)
        try:
            body = b"".join([chunk async for chunk in response.chunks])
        finally:
            await response.close()
        return Answer(response.status, response.headers, body)

    @property
    def kept(self) -> int:
        """How many connections lie on the shelf."""
        return sum(map(len, self.transport._shelf._idle.values()))

    def connected(self, port: int) -> Any:
        """A stream to this machine."""
        maker = asynchronous.AsyncBackend if self._runner else blocking.Backend
        return self.wait(maker(ENGINE, public=False).connect_tcp("127.0.0.1", port, 30.0))

    def read_all(self, stream: Any) -> bytes:
        data = b""
        while more := self.wait(stream.read(65_536)):
            data += more
        return data

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait, for as long as a test may take, until something happened at the other end."""
        end = time.monotonic() + 20
        while not happened():
            assert time.monotonic() < end
            time.sleep(0.001)
            self.turn(2)

    @staticmethod
    def arrived(stream: Any) -> None:
        """Wait until the system has something for *stream*, which may not know yet."""
        assert select.select([stream.get_extra_info("socket")], [], [], 20.0)[0]

    def close(self, stream: Any) -> None:
        self.wait(stream.aclose() if self._runner else stream.close())
        self.turn(2)


class Tools:
    """What servers are made of."""

    bench = bench
    take = staticmethod(take)

    def answers(self, *replies: bytes, then: Behaviour | None = None) -> Behaviour:
        """Answer one request after the other on a connection; then close it, or do *then*."""

        def behave(connection: socket.socket) -> None:
            for reply in replies:
                self.take(connection)
                connection.sendall(reply)
            if then:
                then(connection)

        return behave

    @staticmethod
    def waits(connection: socket.socket) -> None:
        """Read until the other end closes."""
        while connection.recv(65_536):
            pass

    @staticmethod
    def resets(connection: socket.socket) -> None:
        """Close the connection so that the other end notices a reset."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def tunnels(
        self, heads: list[bytes], greeting: bytes = b"", *, together: bool = False
    ) -> Behaviour:
        """Be a proxy to this machine that remembers what it was asked.

        *together*: it does not hurry, and so carries several records at a time.
        """

        def behave(connection: socket.socket) -> None:
            head, _ = self.take(connection)
            heads.append(head)
            port = int(head.split()[1].rpartition(b":")[2])
            with socket.create_connection(("127.0.0.1", port)) as target:
                connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n" + greeting)
                _relayed(connection, target, 0.05 if together else 0.0)

        return behave


def _relayed(one: socket.socket, other: socket.socket, pause: float) -> None:
    """Carry bytes to and fro, in one thread: TLS is not to be read and written at once."""
    others = {one: other, other: one}
    while True:
        for ready in select.select(list(others), [], [])[0]:
            time.sleep(pause)
            data = ready.recv(65_536)
            if not data:
                return
            others[ready].sendall(data)


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["sync", "async"])
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def caller(flavour: str) -> Iterator[Caller]:
    with Caller(flavour) as caller:
        yield caller


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server; it and its threads end with the test."""
    with contextlib.ExitStack() as stack:

        def start(behave: Behaviour, *, tls: bool = False) -> Server:
            server = Server(behave, tls=tls)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def trusted() -> Iterator[None]:
    """The servers' certificate is believed."""
    with bench.certificate_is_trusted():
        yield


@pytest.fixture
def truststore(trusted: None) -> Iterator[None]:  # noqa: ARG001 - which it comes after
    """They are, by the configuration of TLS that httpx2 has on macOS and Windows."""
    library = pytest.importorskip("truststore")
    context = library.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=bench.CERTIFICATE)
    with mock.patch.object(net.Engine, "tls", return_value=context):
        yield
