"""An httpx or httpx2 transport in place of the network, such as the sandbox's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

from imagegen.errors import ConfigurationError
from imagegen.net.messages import Request, Response, joined


class Given:
    """Sends through a blocking transport of httpx or httpx2."""

    def __init__(self, transport: Any) -> None:
        self._transport = _able(transport, "handle_request")
        self._library = _library_of(transport)

    def send(self, request: Request) -> Response[Iterator[bytes]]:
        """Send *request* and read the head of the response; exceptions are the transport's."""
        response = self._transport.handle_request(_message(self._library, request))
        headers = joined(response.headers.raw)
        return Response(response.status_code, headers, iter(response.stream), response.close)

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()


class AsyncGiven:
    """Given's twin."""

    def __init__(self, transport: Any) -> None:
        self._transport = _able(transport, "handle_async_request")
        self._library = _library_of(transport)

    async def send(self, request: Request) -> Response[AsyncIterator[bytes]]:
        """Send *request* and read the head of the response; exceptions are the transport's."""
        response = await self._transport.handle_async_request(_message(self._library, request))
        headers = joined(response.headers.raw)
        return Response(response.status_code, headers, aiter(response.stream), response.aclose)

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def _able(transport: Any, verb: str) -> Any:
    """*transport* itself, if it can send; later it would fail as a submission that was sent.

    Raises:
        ConfigurationError: it is no transport, or one of the other kind.
    """
    if not callable(getattr(transport, verb, None)):
        raise ConfigurationError(
            f"{type(transport).__name__} is no transport that has {verb}()",
            advice="Give Client an httpx.BaseTransport, AsyncClient an httpx.AsyncBaseTransport",
            field="transport",
        )
    return transport


def _library_of(transport: Any) -> Any:
    homes = {base.__module__.partition(".")[0] for base in type(transport).__mro__}
    return import_module("httpx2" if "httpx2" in homes else "httpx")


def _message(library: Any, request: Request) -> Any:
    return library.Request(
        request.method,
        str(request.url),
        headers=request.headers,
        content=request.content,
        extensions=request.extensions,
    )
