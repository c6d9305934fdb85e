"""The network under both drivers: httpcore's pools as httpx transports, and nothing untimed.

httpx's own timeouts are for one operation each, so a peer that sends a byte now and then holds
a request for as long as it likes. Here every send and receive of a blocking connection gets what
is left of the time that `within` allows. (The async driver needs no such help: asyncio
interrupts.) Names are looked up in threads of our own, because the system's look-up can be neither
timed nor interrupted, and asyncio's would hold up the end of `asyncio.run`.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.request import getproxies_environment, proxy_bypass

import httpcore
import httpx
from attrs import frozen

from imagegen.resolver import looked_up, shares

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

KEPT_ALIVE = 20
KEPT_FOR = 5.0
"""Seconds that an idle connection is kept."""
LONGEST_CONNECT = 60.0
"""Seconds for making a connection where nobody gives fewer."""

FRESH = "imagegen.fresh"
"""Request extension: true asks for a connection that nothing was sent on before.

A connection that lay idle may be closing at the other end just as the request leaves. For a paid
one that would be an outcome that nobody knows, although nothing was accepted.
"""

PUBLIC = "imagegen.public"
"""Request extension: true asks that the host resolve to public addresses only."""


@frozen
class _Route:
    """What tells one pool of connections from another."""

    proxy: str | None
    fresh: bool
    public: bool


_end: ContextVar[float] = ContextVar("end", default=math.inf)

BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
)
"""Raised before any byte of a request is written."""
_UNCONNECTED = (httpcore.ConnectError, httpcore.ConnectTimeout)


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Let every blocking network operation in the block end *seconds* from now at the latest."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def _hurry(sock: socket.socket) -> None:
    """Give the next operation of *sock* no more than what is left."""
    left = _end.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is up")
    given = sock.gettimeout()
    if left < (math.inf if given is None else given):
        sock.settimeout(left)


class TimedSocket(socket.socket):
    """A socket whose every operation has the time that is left, however many httpcore needs."""

    __slots__ = ()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive, in the time that is left."""
        _hurry(self)
        return super().recv(bufsize, flags)

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """Send, in the time that is left."""
        _hurry(self)
        return super().send(data, flags)


class TimedTLSSocket(ssl.SSLSocket):
    """TimedSocket's like for TLS."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as it is called
        """Shake hands, in the time that is left."""
        _hurry(self)
        super().do_handshake(block)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive, in the time that is left."""
        _hurry(self)
        return super().recv(buflen, flags)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send, in the time that is left."""
        _hurry(self)
        return super().send(data, flags)


class _Backend(httpcore.NetworkBackend):
    """Connects to the very addresses that were judged: a second look-up could give others."""

    def __init__(self, *, public: bool) -> None:
        self._public = public
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        end = _end_of(timeout)
        failure: Exception = _unresolved(host)
        for address, share in shares(self._found(host, port, end), end):
            try:
                stream = self._backend.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except _UNCONNECTED as error:
                failure = error
                continue
            # httpcore takes no socket of ours, and for one write may send many times.
            stream.get_extra_info("socket").__class__ = TimedSocket
            return stream
        raise failure

    def _found(self, host: str, port: int, end: float) -> list[str]:
        found = looked_up(host, port, public=self._public)
        try:
            return found.result(end - time.monotonic())
        except TimeoutError:
            raise _unresolved(host) from None


class _AsyncStream(httpcore.AsyncNetworkStream):
    """A connection that a cancelled handshake closes; httpcore would leave it open."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            secure = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self.aclose()
            raise
        return _AsyncStream(secure)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """_Backend's twin."""

    def __init__(self, *, public: bool) -> None:
        self._public = public
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        end = _end_of(timeout)
        failure: Exception = _unresolved(host)
        for address, share in shares(await self._found(host, port, end), end):
            try:
                stream = await self._backend.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except _UNCONNECTED as error:
                failure = error
                continue
            return _AsyncStream(stream)
        raise failure

    async def _found(self, host: str, port: int, end: float) -> list[str]:
        found = looked_up(host, port, public=self._public)
        try:
            async with asyncio.timeout(end - time.monotonic()):
                return await asyncio.wrap_future(found)
        except TimeoutError:
            raise _unresolved(host) from None


def _end_of(timeout: float | None) -> float:
    """The moment at which making a connection must have ended."""
    own = LONGEST_CONNECT if timeout is None else timeout
    return min(_end.get(), time.monotonic() + own)


def _unresolved(host: str) -> httpcore.ConnectTimeout:
    return httpcore.ConnectTimeout(f"no address of {host} came in time")


@cache
def tls() -> ssl.SSLContext:
    """The one TLS configuration of the process: certificates are read once."""
    context = httpx.create_ssl_context()
    context.sslsocket_class = TimedTLSSocket
    return context


def proxy_for(request: httpx.Request) -> str | None:
    """The proxy that the environment names for an https request; None for a direct one.

    Raises:
        httpcore.ConnectError: it is of a kind that is not supported.
    """
    proxy = getproxies_environment().get("https") if request.url.scheme == "https" else None
    if proxy is None or proxy_bypass(request.url.host):
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    if not url.startswith(("http://", "https://")):
        raise httpcore.ConnectError("the environment's https_proxy is not an http(s) one")
    return url


def _wire_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class Transport(httpx.BaseTransport):
    """Blocking connections, kept alive; https through the environment's proxy, if it has one."""

    def __init__(self) -> None:
        self._pools: dict[_Route, httpcore.ConnectionPool] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; exceptions are httpcore's."""
        response = self._pool(_route(request)).handle_request(_wire_request(request))
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def _pool(self, route: _Route) -> httpcore.ConnectionPool:
        if route not in self._pools:
            self._pools.setdefault(route, _new_pool(route))
        return self._pools[route]

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._response.aiter_stream()

    async def aclose(self) -> None:
        await self._response.aclose()


class AsyncTransport(httpx.AsyncBaseTransport):
    """Transport's twin."""

    def __init__(self) -> None:
        self._pools: dict[_Route, httpcore.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; exceptions are httpcore's."""
        pool = self._pool(_route(request))
        response = await pool.handle_async_request(_wire_request(request))
        return httpx.Response(
            response.status, headers=response.headers, stream=_AsyncBody(response)
        )

    def _pool(self, route: _Route) -> httpcore.AsyncConnectionPool:
        if route not in self._pools:
            self._pools.setdefault(route, _new_async_pool(route))
        return self._pools[route]

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()


def _route(request: httpx.Request) -> _Route:
    proxy = proxy_for(request)
    return _Route(
        proxy=proxy,
        fresh=bool(request.extensions.get(FRESH)),
        # Through a proxy, the proxy resolves names, and is itself often local.
        public=proxy is None and bool(request.extensions.get(PUBLIC)),
    )


def _new_pool(route: _Route) -> httpcore.ConnectionPool:
    return httpcore.ConnectionPool(
        ssl_context=tls(),
        proxy=httpcore.Proxy(route.proxy, ssl_context=tls()) if route.proxy else None,
        max_connections=None,
        max_keepalive_connections=0 if route.fresh else KEPT_ALIVE,
        keepalive_expiry=KEPT_FOR,
        network_backend=_Backend(public=route.public),
    )


def _new_async_pool(route: _Route) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=tls(),
        proxy=httpcore.Proxy(route.proxy, ssl_context=tls()) if route.proxy else None,
        max_connections=None,
        max_keepalive_connections=0 if route.fresh else KEPT_ALIVE,
        keepalive_expiry=KEPT_FOR,
        network_backend=_AsyncBackend(public=route.public),
    )
