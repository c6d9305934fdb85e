"""The network under both drivers: httpcore's pools as httpx transports.

httpx's own timeouts are for one operation each, so a peer that sends a byte now and then holds
a request for as long as it likes. Here every read and write of a blocking connection gets what is
left of the time that `within` allows. (The async driver needs no such help: asyncio interrupts.)
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx
from attrs import frozen

from imagegen.addresses import is_public_address

KEPT_ALIVE = 20
KEPT_FOR = 5.0
"""Seconds that an idle connection is kept."""

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


_end: ContextVar[float | None] = ContextVar("end", default=None)

BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
)
"""Raised before any byte of a request is written."""


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Let every blocking network operation in the block end *seconds* from now at the latest."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    end = _end.get()
    if end is None:
        return timeout
    left = end - time.monotonic()
    if left <= 0:
        raise error("the time is up")
    return left if timeout is None else min(left, timeout)


class TimedStream(httpcore.NetworkStream):
    """A connection whose every operation has the time that is left."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive, in the time that is left."""
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send, in the time that is left."""
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Shake hands, in the time that is left."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return TimedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Ask the connection itself."""
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return TimedStream(
            self._backend.connect_tcp(host, port, left, local_address, socket_options)
        )


class _PublicBackend(_Backend):
    """Connects to the very address that was judged: a second look-up could give another."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = _public_address(host, _resolved(host, port))
        return super().connect_tcp(address, port, timeout, local_address, socket_options)


class _AsyncPublicBackend(httpcore.AsyncNetworkBackend):
    def __init__(self) -> None:
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await asyncio.to_thread(_resolved, host, port)
        address = _public_address(host, found)
        return await self._backend.connect_tcp(
            address, port, timeout, local_address, socket_options
        )


def _resolved(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(f"{host} does not resolve: {error}") from None
    return [str(address[0]) for *_, address in found]


def _public_address(host: str, addresses: Sequence[str]) -> str:
    local = [address for address in addresses if not is_public_address(address)]
    if local or not addresses:
        raise httpcore.ConnectError(f"{host} resolves to {local or 'nothing'}, which is not public")
    return addresses[0]


@cache
def tls() -> ssl.SSLContext:
    """The one TLS configuration of the process: certificates are read once."""
    return httpx.create_ssl_context()


def proxy_for(request: httpx.Request) -> str | None:
    """The proxy that the environment names for an https request; None for a direct one."""
    proxy = getproxies().get("https") if request.url.scheme == "https" else None
    return None if proxy is None or proxy_bypass(request.url.host) else proxy


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
        proxy=httpcore.Proxy(route.proxy) if route.proxy else None,
        max_connections=None,
        max_keepalive_connections=0 if route.fresh else KEPT_ALIVE,
        keepalive_expiry=KEPT_FOR,
        network_backend=_PublicBackend() if route.public else _Backend(),
    )


def _new_async_pool(route: _Route) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=tls(),
        proxy=httpcore.Proxy(route.proxy) if route.proxy else None,
        max_connections=None,
        max_keepalive_connections=0 if route.fresh else KEPT_ALIVE,
        keepalive_expiry=KEPT_FOR,
        network_backend=_AsyncPublicBackend() if route.public else None,
    )
