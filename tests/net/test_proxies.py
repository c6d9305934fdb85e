"""Through proxies that speak http or https, to servers that speak TLS."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from imagegen import net
from imagegen.net.proxies import UnsupportedProxyError, proxy_for

ENGINE = net.engine()
CORE = ENGINE.core
LARGE = bytes(range(256)) * 8_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
PROXIES = pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
HERE = net.Url.parse("https://api.example.com/x")

pytestmark = pytest.mark.usefixtures("trusted")


def named(monkeypatch: pytest.MonkeyPatch, proxy: Any, user: str = "") -> None:
    scheme, _, address = proxy.origin.partition("://")
    monkeypatch.setenv("https_proxy", f"{scheme}://{user}{address}")


@PROXIES
def test_a_large_paid_request_and_its_reply_go_through_a_proxy(
    caller: Any, serve: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    heads: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        head, body = tools.take(connection)
        heads.append(head)
        reply = sha256(body).hexdigest().encode() + body
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply)

    asked: list[bytes] = []
    server, proxy = serve(behave, tls=True), serve(tools.tunnels(asked), tls=tls)
    named(monkeypatch, proxy)
    answer = caller.ask(f"{server.origin}/x", method="POST", content=LARGE, fresh=True)
    assert answer.body == sha256(LARGE).hexdigest().encode() + LARGE
    assert heads[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert asked[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % server.port)
    assert (server.connections, proxy.connections) == (1, 1)


@PROXIES
def test_a_tunnel_is_used_again(
    caller: Any, serve: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    server = serve(tools.answers(OK, OK, then=tools.waits), tls=True)
    proxy = serve(tools.tunnels([]), tls=tls)
    named(monkeypatch, proxy)
    for _ in range(2):
        assert caller.ask(server.origin).body == b"ok"
    assert (server.connections, proxy.connections, caller.kept) == (1, 1, 1)


@PROXIES
def test_a_tunnel_on_which_something_is_left_is_not_used_again(
    caller: Any, serve: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    server = serve(tools.answers(OK + FORGED, FORGED, then=tools.waits), tls=True)
    proxy = serve(tools.tunnels([]), tls=tls)
    named(monkeypatch, proxy)
    for _ in range(2):
        assert caller.ask(server.origin).body == b"ok"
    assert server.connections == 2


def test_records_that_came_together_are_not_overlooked(
    caller: Any, serve: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that speaks TLS may put what follows a response into one record with it."""

    def behave(connection: socket.socket) -> None:
        tools.take(connection)
        connection.sendall(OK)
        connection.sendall(FORGED)
        tools.take(connection)
        tools.waits(connection)

    server = serve(behave, tls=True)
    proxy = serve(tools.tunnels([], together=True), tls=True)
    named(monkeypatch, proxy)
    for _ in range(2):
        assert caller.ask(server.origin).body == b"ok"
    assert server.connections == 2


@PROXIES
@pytest.mark.parametrize("length", [0, 65_536])
def test_what_a_proxy_says_before_tls_is_not_taken_for_the_server_s(  # noqa: PLR0917 - columns
    caller: Any,
    serve: Any,
    tools: Any,
    monkeypatch: pytest.MonkeyPatch,
    length: int,
    tls: bool,  # noqa: FBT001 - a column
) -> None:
    """What is read with the end of the proxy's head is cast away; what is not, is refused."""
    head = b"HTTP/1.1 200 Connected\r\n\r\n"
    server = serve(tools.answers(OK), tls=True)
    greeting = b"x" * (length - len(head)) + FORGED
    named(monkeypatch, serve(tools.tunnels([], greeting), tls=tls))
    try:
        answer = caller.ask(server.origin)
    except CORE.ConnectError:
        return
    assert answer.body == b"ok"


def causes(error: BaseException | None) -> list[type[BaseException]]:
    found: list[type[BaseException]] = []
    while error is not None:
        found.append(type(error))
        error = error.__cause__ or error.__context__
    return found


@PROXIES
def test_a_certificate_that_is_not_believed_is_told_as_such_through_a_proxy(
    caller: Any, serve: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    server, over = serve(tools.waits, tls=True), threading.Event()

    def behave(connection: socket.socket) -> None:
        try:
            tools.tunnels([])(connection)
        finally:
            over.set()

    named(monkeypatch, serve(behave, tls=tls))
    with pytest.raises(CORE.ConnectError) as caught:
        caller.ask(f"https://other.example:{server.port}/")
    assert ssl.SSLCertVerificationError in causes(caught.value)
    caller.turn()
    assert over.wait(20.0)


REFUSALS = {
    b"407 Proxy Authentication Required": "407",
    b"403 Forbidden": "403",
    b"502 Bad Gateway": "502",
    b"302 Found\r\nLocation: http://evil.net/": "302",
}


@PROXIES
@pytest.mark.parametrize("status", REFUSALS)
def test_a_proxy_that_refuses_is_an_error_and_the_server_hears_nothing(  # noqa: PLR0917 - columns
    caller: Any,
    serve: Any,
    tools: Any,
    monkeypatch: pytest.MonkeyPatch,
    status: bytes,
    tls: bool,  # noqa: FBT001 - a column
) -> None:
    reply = b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\nno" % status
    proxy = serve(tools.answers(reply, then=tools.waits), tls=tls)
    named(monkeypatch, proxy, "me:se%23cret@")
    with pytest.raises(CORE.ProxyError, match=REFUSALS[status]) as caught:
        caller.ask("https://127.0.0.1:9/", method="POST", content=b"{}", fresh=True)
    assert "cret" not in str(caught.value)
    assert caller.kept == 0


# User and password


@PROXIES
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("me:secret@", b"me:secret"),
        ("me@", b"me:"),
        ("m%40e:se%3Acr%23et@", b"m@e:se:cr#et"),
        ("me:s@e/c#r?et@", b"me:s@e/c#r?et"),
    ],
)
def test_the_user_of_a_proxy_is_told_to_it_and_to_nobody_else(  # noqa: PLR0917 - columns
    caller: Any,
    serve: Any,
    tools: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    written: str,
    meant: bytes,
    tls: bool,  # noqa: FBT001 - a column
) -> None:
    caplog.set_level(logging.DEBUG)
    heads: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        heads.append(tools.take(connection)[0])
        connection.sendall(OK)

    asked: list[bytes] = []
    server, proxy = serve(behave, tls=True), serve(tools.tunnels(asked), tls=tls)
    named(monkeypatch, proxy, written)
    assert caller.ask(server.origin).body == b"ok"
    assert b"\r\nProxy-Authorization: Basic " + b64encode(meant) in asked[0]
    assert b"authorization" not in heads[0].lower()
    assert "cret" not in caplog.text
    assert b64encode(meant).decode() not in caplog.text
    assert "cret" not in repr(proxy_for(HERE))


UNUSABLE = [
    "socks5://me:secret@127.0.0.1:9",
    "ftp://me:secret@127.0.0.1:9",
    "http://me:secret@",
    "http://me:secret",
    "http://me:secret@[::1",
    "http://me:secret@127.0.0.1:port",
    "http://me:secret@127.0.0.1:99999",
    "http://me:secret@127.0.0.1:0",
    "http://me:secret@pröxy",
    "http://me:secret@proxy\x00",
    "http://",
    "://secret",
    "secret word",
]


@pytest.mark.parametrize("proxy", UNUSABLE)
def test_a_proxy_that_cannot_be_read_is_a_connection_that_was_not_made(
    caller: Any, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setattr("imagegen.net.proxies.getproxies_environment", lambda: {"https": proxy})
    with pytest.raises(UnsupportedProxyError):
        proxy_for(HERE)
    with pytest.raises(CORE.ConnectError, match="https_proxy") as caught:
        caller.ask(str(HERE))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("HTTP://Proxy:3128/", "http://proxy:3128/"),
        ("proxy:3128", "http://proxy:3128/"),
        ("me:secret@proxy:3128", "http://proxy:3128/"),
        ("https://proxy", "https://proxy/"),
        ("http://[::1]:3128", "http://[::1]:3128/"),
    ],
)
def test_a_proxy_may_be_written_in_several_ways(
    monkeypatch: pytest.MonkeyPatch, written: str, url: str
) -> None:
    monkeypatch.setenv("https_proxy", written)
    proxy = proxy_for(HERE)
    assert proxy is not None
    assert str(proxy.url) == url


# Configurations of TLS


def test_the_configuration_of_tls_is_the_engine_s_whatever_came_first(
    caller: Any, serve: Any, tools: Any
) -> None:
    """A maker of connections that has none takes certificates of its own choice."""
    plain = serve(tools.answers(OK))
    secure = serve(tools.answers(OK), tls=True)
    assert caller.ask(plain.origin).body == b"ok"
    assert caller.ask(secure.origin).body == b"ok"


@PROXIES
@pytest.mark.usefixtures("truststore")
def test_the_system_s_certificates_do_through_proxies_too(
    caller: Any, serve: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    server = serve(tools.answers(OK, OK, then=tools.waits), tls=True)
    assert caller.ask(server.origin).body == b"ok"
    named(monkeypatch, serve(tools.tunnels([]), tls=tls))
    for _ in range(2):
        assert caller.ask(server.origin, method="POST", content=LARGE).body == b"ok"
    assert server.connections == 2
    with pytest.raises(CORE.ConnectError) as caught:
        caller.ask(f"https://other.example:{server.port}/")
    assert ssl.SSLCertVerificationError in causes(caught.value)


@pytest.mark.usefixtures("truststore")
def test_a_handshake_that_hangs_holds_up_no_other(serve: Any, tools: Any) -> None:
    """Some configurations of TLS shake one hand at a time, with a lock that nobody times."""
    greeted, over = threading.Event(), threading.Event()

    def hang(connection: socket.socket) -> None:
        connection.recv(65_536)
        greeted.set()
        over.wait(20.0)

    def ask(port: int) -> bytes:
        transport, url = net.Transport(ENGINE), net.Url.parse(f"https://127.0.0.1:{port}/")
        header = [(b"host", b"h")]
        request = net.Request(
            "GET", url, header, None, 20.0, 20.0, lambda *_: None, fresh=True, public=False
        )
        response = transport.send(request)
        body = b"".join(response.chunks)
        response.close()
        return body

    def hung() -> None:
        with pytest.raises(CORE.ConnectError):
            ask(hanging)

    hanging = serve(hang).port
    waiting = threading.Thread(target=hung)
    waiting.start()
    assert greeted.wait(20.0)
    assert ask(serve(tools.answers(OK), tls=True).port) == b"ok"
    assert waiting.is_alive()
    over.set()
    waiting.join()
