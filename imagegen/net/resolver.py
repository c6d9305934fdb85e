"""Names to addresses, in threads of our own that nobody has to wait for.

The system's look-up can be neither timed nor interrupted, and asyncio's, in its default executor,
holds up the end of `asyncio.run` for as long as the system takes.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import lru_cache
from ipaddress import ip_address

from imagegen.addresses import is_public_address


class UnresolvedError(Exception):
    """A name does not resolve, or to an address that may not be connected to."""


def written_out(host: str, *, public: bool) -> list[str] | None:
    """The address that *host* is, if it is none that needs to be looked up.

    Raises:
        UnresolvedError: a *public* one is asked for, and it is not.
    """
    return _judged(host, [host], public=public) if _is_address(host) else None


def looked_up(host: str, port: int, *, public: bool) -> Future[list[str]]:
    """Look *host* up; the Future brings addresses that may be connected to, best first.

    It raises UnresolvedError if the name does not resolve, or if *public* ones are asked
    for and one of them is not.
    """
    found: Future[list[str]] = Future()
    found.set_running_or_notify_cancel()  # from here on, a waiter that gives up changes nothing

    def look_up() -> None:
        try:
            found.set_result(_judged(host, _addresses(host, port), public=public))
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)

    _start(look_up, host)
    return found


def _start(look_up: Callable[[], None], host: str) -> None:
    try:
        threading.Thread(target=look_up, name="imagegen-dns", daemon=True).start()
    except RuntimeError as error:
        raise UnresolvedError(f"{host} cannot be looked up: {error}") from None


@lru_cache(maxsize=1000)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise UnresolvedError(f"{host} does not resolve: {error}") from None
    return [str(address[0]) for *_, address in found]


def _judged(host: str, addresses: list[str], *, public: bool) -> list[str]:
    local = [address for address in addresses if public and not is_public_address(address)]
    if local:
        raise UnresolvedError(f"{host} resolves to {local}, which is not public")
    return addresses


def shares(addresses: Sequence[str], end: float) -> Iterator[tuple[str, float]]:
    """Give each address its share, in seconds, of the time until *end*, a monotonic moment.

    One that swallows every packet must not take the others' time too.

    Raises:
        TimeoutError: the time is up.
    """
    for tried, address in enumerate(addresses):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is up")
        yield address, left / (len(addresses) - tried)
