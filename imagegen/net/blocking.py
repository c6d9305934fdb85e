"""Blocking connections of httpcore, made to judged addresses and kept for reuse."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

from imagegen.net.blocking_stream import BlockingStream, end_of
from imagegen.net.engine import Engine
from imagegen.net.messages import Request, Response, joined
from imagegen.net.resolver import UnresolvedError, looked_up, shares, written_out
from imagegen.net.routes import LONGEST_CONNECT, Route, Routes, not_connected
from imagegen.net.shelf import Shelf


class Backend:
    """Connects to the very addresses that were judged: a second look-up could give others."""

    def __init__(self, engine: Engine, *, public: bool) -> None:
        self._core = engine.core
        self._public = public

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> BlockingStream:
        """Look *host* up and connect to it, address by address, in *timeout* seconds."""
        del local_address, socket_options  # httpcore passes None
        end = end_of(timeout, LONGEST_CONNECT)
        failure: Exception | None = None
        try:
            for address, share in shares(self._found(host, port, end), end):
                try:
                    return BlockingStream(self._core, connected(address, port, share))
                except OSError as error:
                    failure = error
        except UnresolvedError as error:
            raise not_connected(self._core, host, error) from None
        except TimeoutError:
            raise not_connected(self._core, host, None) from None
        raise not_connected(self._core, host, failure) from failure

    def _found(self, host: str, port: int, end: float) -> list[str]:
        found = written_out(host, public=self._public)
        if found is None:
            found = looked_up(host, port, public=self._public).result(end - time.monotonic())
        return found


def connected(address: str, port: int, seconds: float) -> socket.socket:
    """A socket connected to *address*, which is no name."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        sock.settimeout(seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


class Transport:
    """Blocking connections; https goes through the environment's proxy, if it has one."""

    def __init__(self, engine: Engine) -> None:
        self._routes = Routes(engine, engine.core.ConnectionPool, Backend)
        self._shelf: Shelf[Any] = Shelf()

    def send(self, request: Request) -> Response[Iterator[bytes]]:
        """Send *request* and read the head of the response; exceptions are httpcore's."""
        route = self._routes.of(request)
        connection = self._kept(request, route) or self._routes.connection(route)
        try:
            response = connection.handle_request(self._routes.message(request))
        except BaseException:
            connection.close()
            raise

        def close() -> None:
            try:
                response.close()
            finally:
                self._give_back(request, route, connection)

        return Response(response.status, joined(response.headers), response.iter_stream(), close)

    def _kept(self, request: Request, route: Route) -> Any:
        if request.fresh:
            return None
        connection, dead = self._shelf.taken(route)
        for one in dead:
            one.close()
        return connection

    def _give_back(self, request: Request, route: Route, connection: Any) -> None:
        for one in [connection] if request.fresh else self._shelf.put(route, connection):
            one.close()

    def close(self) -> None:
        """Close every connection that is not in use."""
        for connection in self._shelf.cleared():
            connection.close()
