"""What every backend is made with: its key, its host, its limits and prices, checked."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from imagegen.addresses import is_loopback
from imagegen.errors import ConfigurationError
from imagegen.limits import Limits, preset
from imagegen.pricing import Price
from imagegen.redaction import Secret, brief, without_query


class Named(Protocol):
    """A backend, as far as its options need it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name, by which presets are found."""


_DESCRIBING = ["name", "key_variable", "host_variable", "default_host", "prefix", "default_model"]


def lacking(kind: type) -> str:
    """The names without a default that the class of a backend leaves out; empty for none."""
    return ", ".join(f"`{name}`" for name in _DESCRIBING if not hasattr(kind, name))


def optional_secret(value: str | Secret | None) -> Secret | None:
    """Convert a key given as text; an empty one counts as not given.

    Raises:
        ConfigurationError: no HTTP header can carry it.
    """
    if not isinstance(value, (str, Secret, type(None))):
        raise ConfigurationError("the API key must be a string", field="api_key")
    secret = Secret(value) if isinstance(value, str) else value
    del value  # a traceback may show locals
    if secret is None or not secret.reveal():
        return None
    if not re.fullmatch(r"[!-~]+", secret.reveal()):
        raise ConfigurationError(
            "the API key has a space, a line break or a character outside ASCII",
            advice="Copy it again",
            field="api_key",
        )
    return secret


_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?:/[A-Za-z0-9._~/-]*)?"
)


def optional_host(value: str | None) -> str | None:
    """Check and tidy a base URL: https, or http on this machine only.

    Raises:
        ConfigurationError: anything else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    url = str(value).strip().rstrip("/")
    match = _HOST_URL.fullmatch(url)
    safe = match and (match["scheme"] == "https" or is_loopback(match["host"].strip("[]")))
    if not safe or int((match and match["port"]) or 443) not in range(1, 65_536):
        raise ConfigurationError(
            f"{without_query(url)!r} cannot be a base_url",
            advice='Give "https://host[:port][/prefix]"; http is only for 127.0.0.1 and localhost',
            field="base_url",
        )
    return url


def known_limits(backend: Named, _: object, given: Limits | str | None) -> None:
    """Check that *given* are limits, or the name of a preset."""
    if isinstance(given, str):
        preset(backend.name, given)
    elif given is not None and not isinstance(given, Limits):
        raise ConfigurationError(f"limits must be Limits, not {brief(given)}", field="limits")


def only_prices(_: object, __: object, given: Mapping[str, Price]) -> None:
    """Check that *given* are prices by model id."""
    if not isinstance(given, Mapping) or not all(isinstance(p, Price) for p in given.values()):
        raise ConfigurationError(
            f"prices must be a mapping of model ids to Price, not {brief(given)}", field="prices"
        )
