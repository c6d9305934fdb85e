"""Which connections are used again, and which never are."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from typing import Any

import pytest

from imagegen import net

CORE = net.engine().core
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"


def asked_twice(caller: Any, origin: str) -> list[bytes]:
    bodies = [caller.ask(f"{origin}/{number}").body for number in range(2)]
    caller.turn()
    return bodies


def test_a_connection_is_used_again(caller: Any, serve: Any, tools: Any) -> None:
    server = serve(tools.answers(OK, OK, then=tools.waits))
    assert asked_twice(caller, server.origin) == [b"ok", b"ok"]
    assert (server.connections, caller.kept) == (1, 1)


@pytest.mark.usefixtures("trusted")
def test_a_connection_over_tls_is_used_again(caller: Any, serve: Any, tools: Any) -> None:
    server = serve(tools.answers(OK, OK, then=tools.waits), tls=True)
    assert asked_twice(caller, server.origin) == [b"ok", b"ok"]
    assert server.connections == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
REUSABLE = {
    "content-length": (OK, b"ok"),
    "chunked": (CHUNKED, b"ok"),
    "chunked, with a trailer": (CHUNKED[:-2] + b"X-Sum: 1\r\n\r\n", b"ok"),
    "continued first": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
    "hinted first": (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, b"ok"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n", b""),
    "an error": (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", b"no"),
}
SINGLE = {
    "connection: close": (OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), b"ok"),
    "Connection: Close": (OK.replace(b"OK\r\n", b"OK\r\nConnection: x, Close\r\n"), b"ok"),
    "HTTP/1.0": (OK.replace(b"1.1", b"1.0"), b"ok"),
    "HTTP/1.0, kept": (
        OK.replace(b"1.1 200 OK\r\n", b"1.0 200 OK\r\nConnection: keep-alive\r\n"),
        b"ok",
    ),
    "read until it ends": (b"HTTP/1.1 200 OK\r\n\r\nok", b"ok"),
    "read until it ends, HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"),
}
LEFT_OVER = {
    "another response": OK + FORGED,
    "half of one": OK + FORGED[:20],
    "a line": OK + b"\r\n",
    "after no content": b"HTTP/1.1 204 No Content\r\n\r\n" + FORGED,
    "after chunks": CHUNKED + FORGED,
}


@pytest.mark.parametrize("name", REUSABLE)
def test_after_a_complete_reply_a_connection_is_used_again(
    caller: Any, serve: Any, tools: Any, name: str
) -> None:
    reply, body = REUSABLE[name]
    server = serve(tools.answers(reply, reply, then=tools.waits))
    assert asked_twice(caller, server.origin) == [body, body]
    assert server.connections == 1


def test_the_reply_to_a_head_request_has_no_body(caller: Any, serve: Any, tools: Any) -> None:
    server = serve(tools.answers(OK[:-2], OK, then=tools.waits))
    assert caller.ask(f"{server.origin}/", method="HEAD").body == b""
    assert caller.ask(f"{server.origin}/").body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("name", SINGLE)
def test_a_connection_that_is_for_one_reply_is_not_kept(
    caller: Any, serve: Any, tools: Any, name: str
) -> None:
    reply, body = SINGLE[name]
    server = serve(tools.answers(reply))
    assert asked_twice(caller, server.origin) == [body, body]
    assert (server.connections, caller.kept) == (2, 0)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", LEFT_OVER)
@pytest.mark.usefixtures("trusted")
def test_what_follows_a_reply_is_not_the_next_one(
    caller: Any,
    serve: Any,
    tools: Any,
    name: str,
    tls: bool,  # noqa: FBT001 - a column
) -> None:
    server = serve(tools.answers(LEFT_OVER[name], FORGED, then=tools.waits), tls=tls)
    assert b"forged" not in asked_twice(caller, server.origin)
    assert server.connections == 2


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.usefixtures("trusted")
def test_a_connection_that_the_server_closed_meanwhile_is_not_used(
    caller: Any, serve: Any, tools: Any, *, tls: bool
) -> None:
    """It says so at once, even before the event loop has a turn to notice."""
    closed = threading.Event()

    def behave(connection: socket.socket) -> None:
        tools.answers(OK)(connection)
        connection.close()
        closed.set()

    server = serve(behave, tls=tls)
    for _ in range(3):
        assert caller.ask(server.origin).body == b"ok"
        assert closed.wait(20.0)
        closed.clear()
    assert server.connections == 3


@pytest.mark.parametrize("read", [0, 1])
def test_a_connection_whose_response_was_not_read_to_its_end_is_not_kept(
    caller: Any, serve: Any, tools: Any, read: int
) -> None:
    body = b"x" * 1_000_000
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    server = serve(tools.answers(reply))
    request = caller.asking(server.origin)

    def left() -> Any:
        response = caller.transport.send(request)
        for _ in range(read):
            next(response.chunks)
        response.close()

    async def aleft() -> None:
        response = await caller.transport.send(request)
        for _ in range(read):
            await anext(response.chunks)
        await response.close()
        await response.chunks.aclose()

    caller.wait(aleft() if caller.flavour == "async" else left())
    assert caller.kept == 0
    assert caller.ask(server.origin).body == body
    assert server.connections == 2


def test_a_connection_that_comes_back_after_the_end_is_closed(
    caller: Any, serve: Any, tools: Any
) -> None:
    over = threading.Event()

    def behave(connection: socket.socket) -> None:
        tools.answers(OK, then=tools.waits)(connection)
        over.set()

    request = caller.asking(serve(behave).origin)

    def asked() -> Any:
        response = caller.transport.send(request)
        caller.transport.close()
        assert b"".join(response.chunks) == b"ok"
        response.close()

    async def aasked() -> None:
        response = await caller.transport.send(request)
        await caller.transport.close()
        assert [chunk async for chunk in response.chunks] == [b"ok"]
        await response.close()

    caller.wait(aasked() if caller.flavour == "async" else asked())
    caller.turn()
    assert caller.kept == 0
    assert over.wait(20.0)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_a_past_event_loop_left_behind_can_be_closed(serve: Any, tools: Any) -> None:
    """It is left to the collector of garbage, but that is no reason to fail."""
    server = serve(tools.answers(OK, then=tools.waits))

    async def asked() -> net.AsyncTransport:
        transport = net.AsyncTransport(net.engine())
        host = [(b"host", b"h")]
        response = await transport.send(
            net.Request(
                "GET",
                net.Url.parse(server.origin),
                host,
                None,
                30.0,
                30.0,
                ignored,
                fresh=False,
                public=False,
            )
        )
        assert [chunk async for chunk in response.chunks] == [b"ok"]
        await response.close()
        return transport

    transport = asyncio.run(asked())
    asyncio.run(transport.close())
    del transport
    gc.collect()


async def ignored(_: str, __: Any) -> None:
    pass
