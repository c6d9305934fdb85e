"""The network under the drivers: proxies from the environment, TLS, time for every operation."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import httpcore
import httpx
import pytest

from imagegen import net

PROXIED = httpx.Request("GET", "https://api.example.com/x")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_https_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert net.proxy_for(PROXIED) is None
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert net.proxy_for(PROXIED) == "http://127.0.0.1:9"


def test_a_host_of_no_proxy_and_this_machine_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.com")
    assert net.proxy_for(PROXIED) is None
    assert net.proxy_for(httpx.Request("GET", "http://127.0.0.1:8399/x")) is None


def test_a_proxy_that_is_not_there_is_a_connection_that_was_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    transport = net.Transport()
    with pytest.raises(httpcore.ConnectError):
        transport.handle_request(PROXIED)
    transport.close()


class Recording(httpcore.NetworkStream):
    """A connection that notes how long each operation may take."""

    def __init__(self) -> None:
        self.given: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.given.append(timeout)
        return b"x" * max_bytes

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.given.append(timeout)

    def close(self) -> None:
        self.given.append(None)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        self.given.append(timeout)
        return self

    def get_extra_info(self, info: str) -> Any:
        return info


def test_every_operation_gets_what_is_left_even_after_tls() -> None:
    recording = Recording()
    stream = net.TimedStream(recording)
    with net.within(5.0):
        stream.read(1, 60.0)
        secure = stream.start_tls(ssl.create_default_context(), "h", 60.0)
        time.sleep(0.02)
        secure.write(b"", 60.0)
        secure.read(1, 1.0)
    first, tls, write, own = recording.given
    assert first is not None
    assert tls is not None
    assert write is not None
    assert 5.0 >= first >= tls > write > 4.0
    assert own == 1.0


def test_outside_of_within_the_time_given_counts() -> None:
    recording = Recording()
    stream = net.TimedStream(recording)
    stream.read(1, 7.0)
    stream.write(b"", None)
    assert recording.given == [7.0, None]
    assert stream.get_extra_info("socket") == "socket"


def test_when_the_time_is_up_nothing_is_begun() -> None:
    recording = Recording()
    stream = net.TimedStream(recording)
    with net.within(0.0):
        with pytest.raises(httpcore.ReadTimeout):
            stream.read(1, 60.0)
        with pytest.raises(httpcore.WriteTimeout):
            stream.write(b"", 60.0)
        with pytest.raises(httpcore.ConnectTimeout):
            stream.start_tls(ssl.create_default_context())
    assert recording.given == []


class Counting(httpcore.NetworkBackend):
    """Counts the connections made to a server that answers everything alike."""

    def __init__(self) -> None:
        self.made = 0

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        self.made += 1
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        return httpcore.MockStream([answer] * 10)


def connections_of_three_requests(monkeypatch: pytest.MonkeyPatch, *, fresh: bool) -> int:
    counting = Counting()
    monkeypatch.setattr(net, "_Backend", lambda: counting)
    transport = net.Transport()
    for _ in range(3):
        extensions = {net.FRESH: fresh}
        request = httpx.Request("POST", "http://127.0.0.1:1/x", extensions=extensions)
        response = transport.handle_request(request)
        response.read()
        response.close()
    transport.close()
    return counting.made


def test_a_connection_is_kept_for_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connections_of_three_requests(monkeypatch, fresh=False) == 1


def test_a_paid_submission_never_rides_on_a_used_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert connections_of_three_requests(monkeypatch, fresh=True) == 3


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and what they resolve to; connections go nowhere but are noted by their error."""
    names: dict[str, list[str]] = {}

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host not in names:
            raise OSError("no such name")
        return [(2, 1, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return names


def fetch(url: str, *, blocking: bool) -> None:
    extensions = {net.PUBLIC: True, "timeout": {"connect": 0.05}}
    request = httpx.Request("GET", url, extensions=extensions)
    if blocking:
        net.Transport().handle_request(request)
    else:
        asyncio.run(net.AsyncTransport().handle_async_request(request))


@pytest.mark.parametrize("blocking", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["fe80::1%eth0"],
        ["64:ff9b::7f00:1"],
        ["93.184.216.34", "192.168.0.1"],
        [],
    ],
)
def test_a_name_that_resolves_to_a_local_address_is_not_connected_to(
    resolver: dict[str, list[str]], addresses: list[str], *, blocking: bool
) -> None:
    resolver["cdn.example"] = addresses
    with pytest.raises(httpcore.ConnectError, match="not public"):
        fetch("https://cdn.example/a.jpg", blocking=blocking)


@pytest.mark.parametrize("blocking", [True, False], ids=["sync", "async"])
def test_a_name_that_does_not_resolve_is_a_connection_that_was_not_made(
    resolver: dict[str, list[str]], *, blocking: bool
) -> None:
    assert resolver == {}
    with pytest.raises(httpcore.ConnectError, match="does not resolve"):
        fetch("https://cdn.example/a.jpg", blocking=blocking)


def test_the_address_that_was_judged_is_the_one_connected_to(
    resolver: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[str] = []

    def connect_tcp(_: object, host: str, *__: Any) -> httpcore.NetworkStream:
        connected.append(host)
        raise httpcore.ConnectError("far enough")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect_tcp)
    resolver["cdn.example"] = ["93.184.216.34", "93.184.216.35"]
    with pytest.raises(httpcore.ConnectError, match="far enough"):
        fetch("https://cdn.example/a.jpg", blocking=True)
    assert connected == ["93.184.216.34"]
