"""The network under the drivers: proxies of the environment, names, time for every operation."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, strategies as st

from imagegen import net
from imagegen.net import asynchronous, blocking
from imagegen.net.blocking_stream import BlockingStream
from imagegen.net.proxies import Proxy, proxy_for
from imagegen.net.resolver import shares

ENGINE = net.engine()
CORE = ENGINE.core
PROXIED = net.Url.parse("https://api.example.com/x")


def asking(
    url: str = "https://api.example.com/x",
    *,
    connect: float = 5.0,
    fresh: bool = False,
    public: bool = False,
    trace: Any = None,
) -> net.Request:
    parsed = net.Url.parse(url)
    host = (b"host", parsed.authority.encode())
    return net.Request("GET", parsed, [host], None, 60.0, connect, trace, fresh, public)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_https_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for(PROXIED) is None
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert proxy_for(PROXIED) == Proxy(net.Url.parse("http://127.0.0.1:9"))


def test_a_host_of_no_proxy_and_this_machine_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.com")
    assert proxy_for(PROXIED) is None
    assert proxy_for(net.Url.parse("http://127.0.0.1:8399/x")) is None


def test_a_proxy_that_is_not_there_is_a_connection_that_was_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    transport = net.Transport(ENGINE)
    with pytest.raises(CORE.ConnectError):
        transport.send(asking())
    transport.close()


def test_a_proxy_without_a_scheme_is_an_http_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "127.0.0.1:9")
    assert proxy_for(PROXIED) == Proxy(net.Url.parse("http://127.0.0.1:9"))


def test_a_proxy_of_another_kind_is_a_connection_that_was_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:secret@127.0.0.1:9")
    with pytest.raises(CORE.ConnectError, match="https_proxy") as caught:
        net.Transport(ENGINE).send(asking())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://[secret",
        "http://me:secret@127.0.0.1:99999",
        "http://me:secret@127.0.0.1:port",
    ],
)
def test_what_is_no_address_of_a_proxy_is_a_connection_that_was_not_made(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(CORE.ConnectError, match="https_proxy") as caught:
        net.Transport(ENGINE).send(asking())
    assert "secr" not in "".join(traceback.format_exception(caught.value))


@pytest.fixture(params=["sync", "async"])
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Time for every operation


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that is not to be in a hurry; little of what is sent fits between the two."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield listener


def connected(listener: socket.socket) -> BlockingStream:
    backend = blocking.Backend(ENGINE, public=False)
    return backend.connect_tcp("127.0.0.1", listener.getsockname()[1], 5.0)


def test_a_silent_peer_has_the_time_that_is_left_and_not_that_of_the_operation(
    listener: socket.socket,
) -> None:
    stream = connected(listener)
    with net.within(0.1), pytest.raises(CORE.ReadTimeout):
        stream.read(1, 60.0)
    with net.within(60.0), pytest.raises(CORE.ReadTimeout):
        stream.read(1, 0.1)
    with pytest.raises(CORE.ReadTimeout):
        stream.read(1, 0.1)
    stream.close()


def test_a_send_and_a_receive_get_no_more_than_what_is_left(listener: socket.socket) -> None:
    stream = connected(listener)
    peer, _ = listener.accept()
    peer.sendall(b"x")
    sock = stream.get_extra_info("socket")
    with net.within(5.0):
        stream.write(b"x" * 70_000, 60.0)
        assert 0.0 < sock.gettimeout() <= 5.0
        stream.read(1, 60.0)
        assert 0.0 < sock.gettimeout() <= 5.0
    peer.close()
    stream.close()


def test_a_peer_that_reads_slowly_does_not_make_the_time_longer(listener: socket.socket) -> None:
    stream = connected(listener)
    peer, _ = listener.accept()
    stop = threading.Event()

    def read_slowly() -> None:
        while not stop.wait(0.02):
            peer.recv(65_536)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    started = time.monotonic()
    with net.within(0.3), pytest.raises(CORE.WriteTimeout):
        stream.write(b"x" * 100_000_000, 60.0)
    assert 0.25 < time.monotonic() - started < 2.0
    stop.set()
    stream.close()  # it may have read everything, and wait for more
    reader.join()
    peer.close()


def test_when_the_time_is_up_nothing_is_begun(listener: socket.socket) -> None:
    stream = connected(listener)
    peer, _ = listener.accept()
    peer.sendall(b"here already")
    with net.within(0.0):
        with pytest.raises(CORE.ReadTimeout):
            stream.read(1, 60.0)
        with pytest.raises(CORE.WriteTimeout):
            stream.write(b"x" * 70_000, 60.0)
    assert stream.read(4, 60.0) == b"here"
    with net.within(0.0), pytest.raises(CORE.ConnectTimeout):
        stream.start_tls(ENGINE.tls(), "127.0.0.1", 60.0)
    peer.close()


# Connections, kept or not


def connections_of_three_requests(flavour: str, *, fresh: bool) -> int:
    accepted: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            accepted.append(peer)
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer: socket.socket) -> None:
        with peer:
            while peer.recv(65_536):
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        asked = asking(f"http://127.0.0.1:{listener.getsockname()[1]}/x", fresh=fresh)
        if flavour == "sync":
            transport = net.Transport(ENGINE)
            for _ in range(3):
                response = transport.send(asked)
                assert b"".join(response.chunks) == b""
                response.close()
            transport.close()
        else:
            asyncio.run(three(asked))
    return len(accepted)


async def three(asked: net.Request) -> None:
    transport = net.AsyncTransport(ENGINE)
    for _ in range(3):
        response = await transport.send(asked)
        async for _ in response.chunks:
            pass
        await response.close()
    await transport.close()


def test_a_connection_is_kept_for_what_is_free(flavour: str) -> None:
    assert connections_of_three_requests(flavour, fresh=False) == 1


def test_a_paid_submission_never_rides_on_a_used_connection(flavour: str) -> None:
    assert connections_of_three_requests(flavour, fresh=True) == 3


# Names


class Names:
    """Stands in for the system's look-up: names and their addresses, all others unknown."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.hang = threading.Event()
        self.hang.set()

    def getaddrinfo(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        self.threads.add(threading.current_thread())
        self.hang.wait()
        if host not in self.known:
            raise OSError("no such name")
        return [(2, 1, 6, "", (address, port)) for address in self.known[host]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr("socket.getaddrinfo", names.getaddrinfo)
    yield names
    names.hang.set()


class Connections:
    """Stands in for connecting to an address: tells of every try, and takes no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tried: list[tuple[str, float]] = []
        self.alive: set[str] = set()
        monkeypatch.setattr(blocking, "connected", self.connect)
        monkeypatch.setattr(asynchronous, "connected", self.aconnect)

    def connect(self, address: str, port: int, seconds: float) -> socket.socket:
        self.tried.append((address, seconds))
        if address in self.alive:
            raise Reached
        raise OSError(f"{address} is dead")

    async def aconnect(self, core: Any, address: str, port: int, seconds: float) -> None:
        self.connect(address, port, seconds)

    @property
    def addresses(self) -> list[str]:
        return [address for address, _ in self.tried]


class Reached(Exception):  # noqa: N818 - it is no error
    """A connection would have been made."""


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    return Connections(monkeypatch)


def get(
    flavour: str, url: str = "https://cdn.example/a.jpg", *, public: bool, connect: float = 5.0
) -> None:
    request = asking(url, public=public, connect=connect)
    if flavour == "sync":
        net.Transport(ENGINE).send(request)
    else:
        asyncio.run(net.AsyncTransport(ENGINE).send(request))


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
    ],
)
def test_a_name_that_resolves_to_a_local_address_is_not_connected_to(
    names: Names, connections: Connections, flavour: str, addresses: list[str]
) -> None:
    names.known["cdn.example"] = addresses
    with pytest.raises(CORE.ConnectError, match="not public"):
        get(flavour, public=True)
    assert connections.tried == []


def test_a_configured_host_may_be_local(
    names: Names, connections: Connections, flavour: str
) -> None:
    names.known["cdn.example"] = ["10.0.0.1"]
    connections.alive = {"10.0.0.1"}
    with pytest.raises(Reached):
        get(flavour, public=False)


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("public", [True, False])
def test_a_name_that_does_not_resolve_is_a_connection_that_was_not_made(
    flavour: str, *, public: bool
) -> None:
    with pytest.raises(CORE.ConnectError, match="does not resolve"):
        get(flavour, public=public)


def test_a_name_that_cannot_be_one_is_a_connection_that_was_not_made(flavour: str) -> None:
    with pytest.raises(CORE.ConnectError, match="does not resolve"):
        get(flavour, f"https://{'a' * 64}.example/", public=False)


@pytest.mark.parametrize("public", [True, False])
def test_addresses_are_tried_in_turn_and_the_name_is_looked_up_once(
    names: Names, connections: Connections, flavour: str, *, public: bool
) -> None:
    names.known["cdn.example"] = ["93.184.216.34", "93.184.216.35", "93.184.216.36"]
    connections.alive = {"93.184.216.35"}
    with pytest.raises(Reached):
        get(flavour, public=public)
    assert connections.addresses == ["93.184.216.34", "93.184.216.35"]
    assert names.asked == ["cdn.example"]


def test_each_address_gets_a_fair_share_of_the_time_that_is_left(
    names: Names, connections: Connections, flavour: str
) -> None:
    names.known["cdn.example"] = ["93.184.216.34", "93.184.216.35", "93.184.216.36"]
    with pytest.raises(CORE.ConnectError, match=r"216\.36 is dead"):
        get(flavour, public=True, connect=6.0)
    assert [given for _, given in connections.tried] == pytest.approx([2.0, 3.0, 6.0], abs=0.5)


@given(used=st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_shares_are_at_least_equal_and_never_more_than_there_is(used: list[float]) -> None:
    now = 100.0

    def monotonic() -> float:
        return now

    with mock.patch("time.monotonic", monotonic):
        given_out = shares(["93.184.216.34"] * len(used), 110.0)
        for (_, share), part in zip(given_out, used, strict=True):
            assert 10.0 / len(used) - 1e-6 <= share <= 110.0 - now + 1e-6
            now += share * part * 0.999
    assert now <= 110.0


def test_no_address_is_tried_when_the_time_is_up() -> None:
    with pytest.raises(TimeoutError):
        list(shares(["93.184.216.34"], time.monotonic() - 1.0))


def test_a_look_up_that_hangs_ends_with_the_time_for_connecting(names: Names, flavour: str) -> None:
    """In asyncio, the end of the event loop waits for it no more than the request does."""
    names.hang.clear()
    started = time.monotonic()
    with pytest.raises(CORE.ConnectTimeout, match=r"cdn\.example"):
        get(flavour, public=False, connect=0.1)
    assert time.monotonic() - started < 2.0


def test_a_look_up_that_hangs_ends_when_the_time_for_everything_is_up(names: Names) -> None:
    names.hang.clear()
    started = time.monotonic()
    with net.within(0.1), pytest.raises(CORE.ConnectTimeout, match=r"cdn\.example"):
        get("sync", public=False, connect=60.0)
    assert time.monotonic() - started < 2.0


def test_a_look_up_that_hangs_can_be_cancelled_at_once(names: Names) -> None:
    names.hang.clear()

    async def main() -> float:
        request = asking("https://cdn.example/a.jpg")
        task = asyncio.create_task(net.AsyncTransport(ENGINE).send(request))
        while not names.asked:  # noqa: ASYNC110 - the stand-in tells nobody
            await asyncio.sleep(0.001)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    assert asyncio.run(main()) < 0.5


def test_a_look_up_that_nobody_waits_for_any_more_ends_without_a_word(names: Names) -> None:
    """pytest is told to make an error of an exception that a thread leaves behind."""
    names.hang.clear()
    with pytest.raises(CORE.ConnectTimeout):
        get("async", public=False, connect=0.01)
    names.hang.set()
    for thread in names.threads:
        thread.join(5)
        assert not thread.is_alive()


PROGRAM = """
import asyncio, socket, sys, threading
from imagegen import AsyncClient, Client, DeadlineExceededError, MiniMax

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
backends = [MiniMax(api_key="made-up", base_url="https://api.example")]

async def main():
    async with AsyncClient(backends) as client:
        await client.generate("a fox", timeout=0.1)

try:
    if sys.argv[1] == "async":
        asyncio.run(main())
    else:
        Client(backends).generate("a fox", timeout=0.1)
except DeadlineExceededError:
    print("in time")
"""


def test_a_look_up_that_hangs_does_not_hold_the_interpreter_s_end(flavour: str) -> None:
    command = [sys.executable, "-c", PROGRAM, flavour]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert (done.stdout, done.stderr) == ("in time\n", "")


def test_a_handshake_that_is_cancelled_leaves_no_connection_open(listener: socket.socket) -> None:
    url = f"https://127.0.0.1:{listener.getsockname()[1]}/"

    async def main() -> None:
        request = asking(url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await net.AsyncTransport(ENGINE).send(request)
        peer, _ = await asyncio.to_thread(listener.accept)
        with peer:
            peer.settimeout(5.0)
            while await asyncio.to_thread(peer.recv, 65_536):
                pass

    asyncio.run(main())


def test_through_a_proxy_the_proxy_s_name_is_looked_up_and_no_other(
    names: Names, connections: Connections, flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    names.known["proxy.example"] = ["10.0.0.1"]
    connections.alive = {"10.0.0.1"}
    with pytest.raises(Reached):
        get(flavour, public=True)
    assert names.asked == ["proxy.example"]


@pytest.mark.parametrize("host", ["93.184.216.34", "[2606:2800:220:1::1]"])
def test_an_address_needs_no_thread(
    names: Names, connections: Connections, flavour: str, host: str
) -> None:
    connections.alive = {host.strip("[]")}
    with pytest.raises(Reached):
        get(flavour, f"https://{host}/", public=True)
    assert not names.threads


def test_a_machine_without_room_for_a_thread_is_a_connection_that_was_not_made(
    flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(CORE.ConnectError, match="cannot be looked up"):
        get(flavour, public=False)
