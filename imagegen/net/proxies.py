"""The proxy that the environment names for https."""

from __future__ import annotations

from urllib.request import getproxies_environment, proxy_bypass

from imagegen.net.messages import Url


class UnsupportedProxyError(Exception):
    """The environment names a proxy that speaks neither http nor https."""


def proxy_for(url: Url) -> str | None:
    """The proxy that the environment names for an https request; None for a direct one.

    Raises:
        UnsupportedProxyError: it is of a kind that is not supported.
    """
    if url.scheme != "https":
        return None
    proxy = getproxies_environment().get("https")
    if proxy is None or proxy_bypass(url.address):
        return None
    named = proxy if "://" in proxy else f"http://{proxy}"
    if not named.startswith(("http://", "https://")):
        raise UnsupportedProxyError("the environment's https_proxy is not an http(s) one")
    return named
