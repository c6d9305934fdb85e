"""Which hosts and addresses are on the public net, and which mean this machine or network. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network

_EMBEDDING = [
    ip_network(text)
    for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]
"""IPv6 networks whose addresses stand for IPv4 ones, which may be anywhere."""

_NUMBER = r"(?:0x[0-9a-f]*|[0-9]+)"
_LOCAL_ENDINGS = frozenset({"localhost", "local", "internal"})


def is_loopback(host: str | None) -> bool:
    """Tell whether *host*, as written and without brackets, certainly means this machine.

    Other names, such as ``a.localhost`` and ``127.1``, are looked up, and may lead elsewhere.
    """
    if host is None or host.lower() == "localhost":
        return host is not None
    try:
        address = ip_address(host)
    except ValueError:
        return False
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return "%" not in host and (inner or address).is_loopback


def is_public_host(host: str) -> bool:
    """Tell a public name or address, as written in a URL, from one that is local."""
    host = host.lower()
    if host.startswith("["):
        return is_public_address(host.strip("[]"))
    if re.fullmatch(rf"{_NUMBER}(\.{_NUMBER})*\.?", host):
        return is_public_address(host)
    labels = host.split(".")
    whole = len(labels) > 1 and all(0 < len(label) < 64 for label in labels)
    return whole and labels[-1] not in _LOCAL_ENDINGS


def is_public_address(text: str) -> bool:
    """Tell whether an IP address is public; 127.1, 0x7f000001 and the like never are."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    multicast = address.is_multicast
    return address.is_global and not multicast and not any(address in n for n in _EMBEDDING)
