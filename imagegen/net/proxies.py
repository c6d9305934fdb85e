"""The proxy that the environment names for https."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes
from urllib.request import getproxies_environment, proxy_bypass

from attrs import field, frozen

from imagegen.net.messages import Url


class UnsupportedProxyError(Exception):
    """The environment names a proxy that speaks neither http nor https, or cannot be read."""


@frozen
class Proxy:
    """A proxy's address, and the user and password that only it is told."""

    url: Url
    auth: tuple[bytes, bytes] | None = field(default=None, repr=False)


def proxy_for(url: Url) -> Proxy | None:
    """The proxy that the environment names for an https request; None for a direct one.

    Raises:
        UnsupportedProxyError: it is of a kind that is not supported, or no address.
    """
    if url.scheme != "https":
        return None
    named = getproxies_environment().get("https")
    if named is None or proxy_bypass(url.address):
        return None
    scheme, separator, rest = named.partition("://")
    if not separator:
        scheme, rest = "http", named
    user, _, address = rest.rpartition("@")
    try:
        return Proxy(Url.parse(f"{scheme}://{address}"), _auth(user))
    except ValueError:  # whose words, and whose cause, could show the password
        words = "the environment's https_proxy is not the address of an http(s) one"
        raise UnsupportedProxyError(words) from None


def _auth(user: str) -> tuple[bytes, bytes] | None:
    name, _, password = user.partition(":")
    return (unquote_to_bytes(name), unquote_to_bytes(password)) if user else None
