"""Whether anything was sent: known for every point at which an exchange can fail."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from imagegen.drivers import Account, Clock
from imagegen.errors import ConfigurationError, TransportError
from imagegen.flow import Call
from imagegen.redaction import Secret

KEY = Secret("made-up-key-of-a-test")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
LARGE = {"note": "x" * 2_000_000}


def refused() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def failure(kit: Any, origin: str, json: Any = None, *, paid: bool = False) -> TransportError:
    """What a POST to *origin* ends with."""
    clock = Clock()
    driver = kit.driver({"shop": Account(origin, KEY)}, clock)
    call = Call("POST", f"{origin}/make", json=json or {}, account="shop", paid=paid)
    with pytest.raises(TransportError) as caught:
        driver.call(call, clock.monotonic() + 60.0)
    return caught.value


def test_a_refused_connection_sends_nothing(kit: Any) -> None:
    assert failure(kit, f"http://127.0.0.1:{refused()}").sent is False


def test_a_name_that_nobody_knows_sends_nothing(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    assert failure(kit, "https://api.example").sent is False


HANDSHAKES: dict[str, Any] = {
    "closes": lambda _: None,
    "reads, then closes": lambda it: it.recv(65_536),
    "answers in the clear": lambda it: (it.sendall(OK + b"ok"), it.recv(65_536)),
    "answers the greeting in the clear": lambda it: (it.recv(65_536), it.sendall(OK + b"ok")),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_that_fails_sends_nothing(kit: Any, serve: Any, name: str) -> None:
    server = serve(HANDSHAKES[name])
    assert failure(kit, f"https://127.0.0.1:{server.port}").sent is False


def test_a_certificate_that_is_not_believed_is_the_user_s_to_look_at(
    kit: Any, serve: Any, tools: Any
) -> None:
    """For a paid call; another is repeated, as whatever comes of a network that fails."""
    server, clock = serve(tools.waits, tls=True), Clock()
    driver = kit.driver({"shop": Account(server.origin, KEY)}, clock)
    call = Call("POST", f"{server.origin}/make", json={}, account="shop", paid=True)
    with pytest.raises(ConfigurationError, match="is not trusted") as caught:
        driver.call(call, clock.monotonic() + 60.0)
    assert caught.value.field == "base_url"
    assert failure(kit, server.origin).sent is False


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.usefixtures("trusted")
def test_a_certificate_that_is_not_believed_through_a_proxy_is_too(
    kit: Any, serve: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    server, proxy = serve(tools.waits, tls=True), serve(tools.tunnels([]), tls=tls)
    monkeypatch.setenv("https_proxy", proxy.origin)
    clock, origin = Clock(), f"https://other.example:{server.port}"
    driver = kit.driver({"shop": Account(origin, KEY)}, clock)
    call = Call("POST", f"{origin}/make", json={}, account="shop", paid=True)
    with pytest.raises(ConfigurationError, match="is not trusted"):
        driver.call(call, clock.monotonic() + 60.0)


PROXIES: dict[str, bytes] = {
    "wants a password": b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n",
    "forbids": b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
    "is no proxy": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "closes": b"",
    "breaks off": b"HTTP/1.1 200 Conn",
    "connects, then closes": b"HTTP/1.1 200 Connected\r\n\r\n",
    "connects to what speaks no TLS": b"HTTP/1.1 200 Connected\r\n\r\n" + OK,
}


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_that_fails_is_sent_nothing_of_the_request(
    kit: Any, serve: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        heard.append(tools.take(connection)[0])
        connection.sendall(PROXIES[name])

    monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{serve(behave).port}")
    error = failure(kit, "https://api.example", paid=True)
    assert error.sent is False
    assert "secret" not in str(error)
    assert b"made-up-key" not in b"".join(heard)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:{}", "socks5://127.0.0.1:{}", "http://[x"])
def test_a_proxy_that_is_not_there_is_sent_nothing(
    kit: Any, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("https_proxy", proxy.format(refused()))
    assert failure(kit, "https://api.example", paid=True).sent is False


LATER: dict[str, Any] = {
    "closes after a byte": lambda _, it: it.recv(1),
    "resets after a byte": lambda tools, it: (it.recv(1), tools.resets(it)),
    "closes after the request": lambda tools, it: tools.take(it),
    "half a head": lambda tools, it: (tools.take(it), it.sendall(OK[:12])),
    "half a body": lambda tools, it: (tools.take(it), it.sendall(OK + b"o")),
    "no HTTP": lambda tools, it: (tools.take(it), it.sendall(b"what is HTTP?\r\n\r\n")),
}


@pytest.mark.parametrize("json", [{}, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", LATER)
@pytest.mark.usefixtures("trusted")
def test_what_fails_later_may_have_been_sent(  # noqa: PLR0917 - columns
    kit: Any,
    serve: Any,
    tools: Any,
    name: str,
    json: Any,
    tls: bool,  # noqa: FBT001 - a column
) -> None:
    server = serve(lambda connection: LATER[name](tools, connection), tls=tls)
    assert failure(kit, server.origin, json).sent is True
    assert server.connections == 1


def test_a_url_of_letters_that_only_seem_plain_is_not_sent(kit: Any) -> None:
    driver = kit.driver({}, Clock())
    with pytest.raises(TransportError, match="no web address") as caught:
        driver.call(Call("GET", "http\N{LATIN SMALL LETTER LONG S}://h/"), Clock().monotonic() + 9)
    assert caught.value.sent is False
