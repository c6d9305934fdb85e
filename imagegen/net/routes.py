"""How a request gets to its server: directly or through a proxy, and to which addresses."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from attrs import frozen

from imagegen.net.engine import Engine
from imagegen.net.messages import Request, Url
from imagegen.net.proxies import Proxy, UnsupportedProxyError, proxy_for

LONGEST_CONNECT = 60.0
"""Seconds for making a connection where nobody gives fewer."""


def not_connected(core: Any, host: str, failure: Exception | None) -> Exception:
    """*core*'s error for what kept a connection to *host* from being made; None: no time."""
    words = str(failure) if failure else f"no address of {host} came in time"
    late = failure is None or isinstance(failure, TimeoutError)
    error: Exception = (core.ConnectTimeout if late else core.ConnectError)(words)
    return error


@frozen
class Route:
    """What tells one kind of connection from another."""

    origin: tuple[str, str, int]
    proxy: Proxy | None
    public: bool


class Routes:
    """Makes connections: *pool* is httpcore's, which knows how to make one through a proxy."""

    def __init__(self, engine: Engine, pool: Any, backend: Callable[..., Any]) -> None:
        self._engine = engine
        self._pool = pool
        self._backend = backend
        self._makers: dict[tuple[Proxy | None, bool, bool], Any] = {}

    def of(self, request: Request) -> Route:
        """The route of *request*.

        Raises:
            ConnectError: httpcore's; the environment's proxy is of no use.
        """
        try:
            proxy = proxy_for(request.url)
        except UnsupportedProxyError as error:
            raise self._engine.core.ConnectError(str(error)) from None
        # Through a proxy, the proxy resolves names, and is itself often local.
        return Route(request.url.origin, proxy, public=proxy is None and request.public)

    def connection(self, route: Route) -> Any:
        """A new connection of httpcore's, not yet made.

        Raises:
            ConnectError: httpcore's; the certificates that TLS needs, or the proxy's address, are
                of no use.
        """
        scheme, host, port = route.origin
        key = route.proxy, route.public, scheme == "https"
        maker = self._makers.get(key) or self._makers.setdefault(key, self._maker(route))
        origin = self._engine.core.Origin(scheme.encode(), host.strip("[]").encode(), port)
        return maker.create_connection(origin)

    def _maker(self, route: Route) -> Any:
        tls = self._tls() if route.origin[0] == "https" else None
        return self._pool(
            ssl_context=tls,
            proxy=self._proxy(route.proxy, tls) if route.proxy else None,
            network_backend=self._backend(self._engine, public=route.public),
        )

    def _proxy(self, proxy: Proxy, tls: ssl.SSLContext | None) -> Any:
        return self._engine.core.Proxy(self._url(proxy.url), auth=proxy.auth, ssl_context=tls)

    def _url(self, url: Url) -> Any:
        return self._engine.core.URL(
            scheme=url.scheme.encode(),
            host=url.address.encode(),
            port=url.port,
            target=url.target.encode(),
        )

    def _tls(self) -> ssl.SSLContext:
        try:
            return self._engine.tls()
        except OSError as error:  # before anything is sent, which its own class does not tell
            words = f"this machine's certificates cannot be read: {error}"
            raise self._engine.core.ConnectError(words) from error

    def message(self, request: Request) -> Any:
        """*request* as httpcore's."""
        return self._engine.core.Request(
            method=request.method.encode(),
            url=self._url(request.url),
            headers=request.headers,
            content=request.content,
            extensions=request.extensions,
        )
