"""The streams under httpcore, blocking and on asyncio, against real sockets."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from hashlib import sha256
from typing import Any

import pytest

from imagegen import net
from imagegen.net.async_stream import MOST_UNREAD

ENGINE = net.engine()
CORE = ENGINE.core
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
LARGE = bytes(range(256)) * 10_000
SCHEMES = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


def reply_with(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def digests(tools: Any) -> Any:
    """Answer a request with its body's digest and its body."""

    def behave(connection: socket.socket) -> None:
        _, body = tools.take(connection)
        connection.sendall(reply_with(sha256(body).hexdigest().encode() + body))

    return behave


def secured(caller: Any, stream: Any) -> Any:
    return caller.wait(stream.start_tls(ENGINE.tls(), "127.0.0.1", 30.0))


# What is sent


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_head_and_body_leave_in_one_piece(caller: Any, serve: Any, *, tls: bool) -> None:
    pieces: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        pieces.append(connection.recv(65_536))
        connection.sendall(OK)

    server = serve(behave, tls=tls)
    caller.ask(f"{server.origin}/x", method="POST", content=b"y" * 10_000)
    assert pieces[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert pieces[0].endswith(b"\r\n\r\n" + b"y" * 10_000)


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_large_bodies_go_and_come_whole(caller: Any, serve: Any, tools: Any, *, tls: bool) -> None:
    server = serve(digests(tools), tls=tls)
    answer = caller.ask(server.origin, method="POST", content=LARGE, fresh=True)
    assert answer.body == sha256(LARGE).hexdigest().encode() + LARGE


@pytest.mark.parametrize("length", [65_000, 65_535, 65_536, 65_537, 66_000])
def test_a_body_of_about_what_is_sent_together_goes_whole(
    caller: Any, serve: Any, tools: Any, length: int
) -> None:
    server = serve(digests(tools))
    content = LARGE[:length]
    assert caller.ask(server.origin, method="POST", content=content).body[64:] == content


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_data_larger_than_a_record_is_carried_both_ways(
    caller: Any, serve: Any, *, tls: bool
) -> None:
    def echo(connection: socket.socket) -> None:
        while data := connection.recv(65_536):
            connection.sendall(data)

    stream = caller.connected(serve(echo, tls=tls).port)
    stream = secured(caller, stream) if tls else stream
    for size in (1, 16_384, 16_385, 50_000):
        caller.wait(stream.write(LARGE[:size]))
        got = b""
        while len(got) < size:
            got += caller.wait(stream.read(7_000))
        assert got == LARGE[:size]
    caller.close(stream)


def test_what_is_written_after_the_end_fails(caller: Any, serve: Any, tools: Any) -> None:
    stream = caller.connected(serve(tools.waits).port)
    caller.close(stream)
    with pytest.raises(CORE.WriteError):
        caller.wait(stream.write(b"x" * 70_000))


# What is received


TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_an_answer_that_comes_before_everything_was_sent_is_read(
    caller: Any, serve: Any, tools: Any, *, tls: bool
) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(TOO_LARGE)
        if not tls:
            connection.shutdown(socket.SHUT_WR)
        tools.waits(connection)

    server = serve(behave, tls=tls)
    answer = caller.ask(server.origin, method="POST", content=LARGE, fresh=True)
    assert (answer.status, answer.body) == (413, b"no")


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_an_answer_before_the_request_is_read_although_the_peer_closes(
    caller: Any, serve: Any, *, tls: bool
) -> None:
    """Over TLS, it may come together with the handshake's end."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(TOO_LARGE)
        connection.recv(1)

    answer = caller.ask(serve(behave, tls=tls).origin, method="POST", content=b"x", fresh=True)
    assert (answer.status, answer.body) == (413, b"no")


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_a_large_answer_together_with_the_handshake_s_end_is_read_whole(
    caller: Any, serve: Any, tools: Any, *, tls: bool
) -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(reply_with(LARGE))
        tools.waits(connection)

    assert caller.ask(serve(behave, tls=tls).origin, fresh=True).body == LARGE


def test_a_peer_that_resets_is_an_error(caller: Any, serve: Any, tools: Any) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(1)
        tools.resets(connection)

    stream = caller.connected(serve(behave).port)
    caller.wait(stream.write(b"x"))
    with pytest.raises(CORE.ReadError):
        caller.wait(stream.read(1))
    caller.close(stream)


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_the_end_is_read_after_what_came_before_it(caller: Any, serve: Any, *, tls: bool) -> None:
    stream = caller.connected(serve(lambda it: it.sendall(b"last words"), tls=tls).port)
    stream = secured(caller, stream) if tls else stream
    assert caller.read_all(stream) == b"last words"
    assert caller.wait(stream.read(1)) == b""
    caller.close(stream)


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_a_fast_sender_waits_for_a_slow_reader(caller: Any, serve: Any, *, tls: bool) -> None:
    server = serve(lambda it: it.sendall(LARGE * 4), tls=tls)
    stream = caller.connected(server.port)
    stream = secured(caller, stream) if tls else stream
    received, most = 0, 0
    while data := caller.wait(stream.read(100_000)):
        assert data[0] == received % 256
        received += len(data)
        caller.turn(3)
        most = max(most, len(getattr(stream, "_unread", b"")))
    assert received == 4 * len(LARGE)
    assert most <= 2 * MOST_UNREAD + 131_072  # what asyncio had in hand when it was told to stop
    caller.close(stream)


@SCHEMES
@pytest.mark.usefixtures("trusted")
def test_what_came_and_the_end_can_be_told_from_silence(
    caller: Any, serve: Any, *, tls: bool
) -> None:
    def behave(connection: socket.socket) -> None:
        for _ in range(2):
            connection.recv(1)
            connection.sendall(b"yes")
        connection.recv(1)

    def is_readable() -> bool:
        return bool(stream.get_extra_info("is_readable"))

    stream = caller.connected(serve(behave, tls=tls).port)
    stream = secured(caller, stream) if tls else stream
    caller.wait(stream.write(b"?"))
    assert caller.wait(stream.read(3)) == b"yes"
    assert not is_readable()
    caller.wait(stream.write(b"?"))
    assert caller.wait(stream.read(1)) == b"y"
    assert tls or caller.flavour == "async" or is_readable()
    assert caller.wait(stream.read(2)) == b"es"
    assert not is_readable()
    caller.wait(stream.write(b"?"))
    assert caller.wait(stream.read(1)) == b""
    assert is_readable()
    caller.close(stream)


@pytest.mark.parametrize("said", [b"x", b""], ids=["data", "end"])
def test_what_the_event_loop_was_not_told_yet_is_seen(caller: Any, serve: Any, said: bytes) -> None:
    """A connection is put away and taken out again without a turn of the event loop."""
    asked = threading.Event()

    def behave(connection: socket.socket) -> None:
        asked.wait(20.0)
        connection.sendall(said)

    stream = caller.connected(serve(behave).port)
    asked.set()
    caller.arrived(stream)
    assert stream.get_extra_info("is_readable")
    caller.close(stream)


# TLS


def causes(error: BaseException | None) -> list[type[BaseException]]:
    found: list[type[BaseException]] = []
    while error is not None:
        found.append(type(error))
        error = error.__cause__ or error.__context__
    return found


def test_a_certificate_that_is_not_believed_is_told_as_such(
    caller: Any, serve: Any, tools: Any
) -> None:
    server = serve(tools.waits, tls=True)
    with pytest.raises(CORE.ConnectError) as caught:
        caller.ask(server.origin)
    assert ssl.SSLCertVerificationError in causes(caught.value)


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_is_not_believed(caller: Any, serve: Any, tools: Any) -> None:
    stream = caller.connected(serve(tools.waits, tls=True).port)
    with pytest.raises(CORE.ConnectError) as caught:
        caller.wait(stream.start_tls(ENGINE.tls(), "other.example", 30.0))
    assert ssl.SSLCertVerificationError in causes(caught.value)


AT_ONCE = struct.pack("ii", 1, 0)
BEFORE_TLS: dict[str, Any] = {
    "closes": lambda _: None,
    "closes after the greeting": lambda it: it.recv(1),
    "resets": lambda it: (it.recv(1), it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)),
    "does not speak TLS": lambda it: (it.sendall(OK), it.recv(1)),
    "breaks off": lambda it: (it.recv(1000), it.sendall(b"\x16\x03\x03\x40\x00\x02\x00")),
}


@pytest.mark.parametrize("name", BEFORE_TLS)
def test_a_handshake_that_fails_is_a_connection_that_was_not_made(
    caller: Any, serve: Any, name: str
) -> None:
    server = serve(BEFORE_TLS[name])
    with pytest.raises(CORE.ConnectError):
        caller.ask(server.origin.replace("http", "https"))


SOON = pytest.mark.parametrize("turns", [0, 1, 2, 3, 10])
"""Turns of the event loop between what happened and the handshake."""


@SOON
@pytest.mark.parametrize("name", ["closes", "does not speak TLS"])
def test_a_handshake_with_somebody_who_left_does_not_wait(
    caller: Any, serve: Any, name: str, turns: int
) -> None:
    stream = caller.connected(serve(BEFORE_TLS[name]).port)
    if not stream.get_extra_info("is_readable"):
        caller.arrived(stream)
    caller.turn(turns)
    with pytest.raises(CORE.ConnectError):
        secured(caller, stream)


@SOON
@pytest.mark.usefixtures("trusted")
def test_what_was_said_in_the_clear_is_not_taken_for_secured(
    caller: Any, serve: Any, tools: Any, turns: int
) -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(FORGED)
        with tools.bench.server_side().wrap_socket(connection, server_side=True) as secure:
            tools.answers(OK)(secure)

    stream = caller.connected(serve(behave).port)
    if not stream.get_extra_info("is_readable"):
        caller.arrived(stream)
    caller.turn(turns)
    with pytest.raises(CORE.ConnectError):
        secured(caller, stream)
