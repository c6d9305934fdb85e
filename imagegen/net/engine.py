"""Which library carries HTTP: httpx's httpcore, or httpcore2, that of its successor httpx2."""

from __future__ import annotations

import os
import ssl
from functools import cache
from importlib import import_module
from typing import Any, Literal, cast, get_args

from attrs import frozen

from imagegen.distribution import install
from imagegen.errors import ConfigurationError

Http = Literal["httpx", "httpx2"]
VARIABLE = "IMAGEGEN_HTTP"

NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
"""Names, in every one of these libraries, of what is raised before a byte of a request is sent."""


@frozen(eq=False)
class Engine:
    """One of the libraries: `core` is its module of connections, whose names are httpcore's."""

    name: Http
    core: Any

    @cache  # noqa: B019 - there are two engines in a process, for good
    def tls(self) -> ssl.SSLContext:
        """The one TLS configuration of the process: certificates are read once."""
        return cast("ssl.SSLContext", import_module(self.name).create_ssl_context())


def engine(name: str | None = None) -> Engine:
    """Return the engine called *name*; None asks the variable IMAGEGEN_HTTP, else means httpx.

    Raises:
        ConfigurationError: there is no such engine, or it is not installed.
    """
    chosen = name or os.environ.get(VARIABLE) or "httpx"
    if chosen not in get_args(Http):
        raise ConfigurationError(
            f"there is no HTTP library {chosen!r} to choose",
            advice=f'Use "httpx" or "httpx2", as http= or in {VARIABLE}',
            field="http",
        )
    return _loaded(cast("Http", chosen))


@cache
def _loaded(name: Http) -> Engine:
    try:
        return Engine(name, import_module(name.replace("httpx", "httpcore")))
    except ImportError as error:
        raise ConfigurationError(
            f"{name} is not installed", advice=install(name), field="http"
        ) from error
