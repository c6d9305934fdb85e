"""Connections of httpcore on asyncio, made to judged addresses and kept for reuse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from imagegen.net.async_stream import AsyncStream
from imagegen.net.engine import Engine
from imagegen.net.messages import Request, Response, joined
from imagegen.net.resolver import UnresolvedError, looked_up, shares, written_out
from imagegen.net.routes import LONGEST_CONNECT, Route, Routes, not_connected
from imagegen.net.shelf import Shelf


class AsyncBackend:
    """`blocking.Backend`'s twin."""

    def __init__(self, engine: Engine, *, public: bool) -> None:
        self._core = engine.core
        self._public = public

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> AsyncStream:
        """Look *host* up and connect to it, address by address, in *timeout* seconds."""
        del local_address, socket_options  # httpcore passes None
        end = time.monotonic() + (LONGEST_CONNECT if timeout is None else timeout)
        failure: Exception | None = None
        try:
            for address, share in shares(await self._found(host, port, end), end):
                try:
                    return await connected(self._core, address, port, share)
                except OSError as error:
                    failure = error
        except UnresolvedError as error:
            raise not_connected(self._core, host, error) from None
        except TimeoutError:
            raise not_connected(self._core, host, None) from None
        raise not_connected(self._core, host, failure) from failure

    async def _found(self, host: str, port: int, end: float) -> list[str]:
        found = written_out(host, public=self._public)
        if found is None:
            async with asyncio.timeout(end - time.monotonic()):
                coming = looked_up(host, port, public=self._public)
                found = await asyncio.wrap_future(coming)
        return found


async def connected(core: Any, address: str, port: int, seconds: float) -> AsyncStream:
    """A stream of *core* connected to *address*, which is no name."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        _, stream = await loop.create_connection(lambda: AsyncStream(core), address, port)
    return stream


class AsyncTransport:
    """`blocking.Transport`'s twin."""

    def __init__(self, engine: Engine) -> None:
        self._routes = Routes(engine, engine.core.AsyncConnectionPool, AsyncBackend)
        self._shelf: Shelf[Any] = Shelf()

    async def send(self, request: Request) -> Response[AsyncIterator[bytes]]:
        """Send *request* and read the head of the response; exceptions are httpcore's."""
        route = self._routes.of(request)
        connection = await self._kept(request, route) or self._routes.connection(route)
        try:
            response = await connection.handle_async_request(self._routes.message(request))
        except BaseException:
            await connection.aclose()
            raise

        async def close() -> None:
            try:
                await response.aclose()
            finally:
                await self._give_back(request, route, connection)

        return Response(response.status, joined(response.headers), response.aiter_stream(), close)

    async def _kept(self, request: Request, route: Route) -> Any:
        if request.fresh:
            return None
        connection, dead = self._shelf.taken(route)
        for one in dead:
            await one.aclose()
        return connection

    async def _give_back(self, request: Request, route: Route, connection: Any) -> None:
        for one in [connection] if request.fresh else self._shelf.put(route, connection):
            await one.aclose()

    async def close(self) -> None:
        """Close every connection that is not in use."""
        for connection in self._shelf.cleared():
            await connection.aclose()
