"""A fast server of this machine that answers as the providers do, in a process of its own.

It serves kept and fresh connections alike, keeps a reply back for as long as it is told to think,
and counts what it is asked for. `benchmarks.providers` has the answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import multiprocessing
import resource
import socket
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Self

from benchmarks.providers import Providers

BACKLOG = 4096
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n"


def raise_limits() -> None:
    """Allow as many open sockets as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Wire(asyncio.Protocol):
    """One connection, with one request on it at a time."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._came = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        self._came += data
        end = self._came.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = bytes(self._came[:end]).lower()
        whole = end + _length(head)
        if len(self._came) < whole:
            return
        body = bytes(self._came[end:whole])
        del self._came[:whole]
        method, path, _ = head.split(b" ", 2)
        kind, reply = self._providers.answer(method, path.partition(b"?")[0], body)
        send = partial(self._send, kind, reply, b"\r\nconnection: close" in head)
        think = self._providers.think
        if think and path != b"/control":
            asyncio.get_running_loop().call_later(think, send)
        else:
            send()

    def _send(self, kind: bytes, reply: bytes, last: bool) -> None:  # noqa: FBT001 - private
        if self._transport is None or self._transport.is_closing():
            return
        head = HEAD % (kind, len(reply)) + (b"connection: close\r\n\r\n" if last else b"\r\n")
        if len(reply) < 2**16:
            self._transport.write(head + reply)
        else:
            self._transport.write(head)
            self._transport.write(reply)
        if last:
            self._transport.close()


def _length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    return int(head[at + 17 : head.index(b"\r\n", at + 17)]) if at >= 0 else 0


async def _serve(pipe: Connection) -> None:
    raise_limits()
    door = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    providers = Providers(f"http://127.0.0.1:{door.getsockname()[1]}")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Wire(providers), sock=door, backlog=BACKLOG)
    pipe.send(providers.origin)
    loop.add_reader(pipe.fileno(), server.close)  # the other process is gone
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve_forever()


def _run(pipe: Connection) -> None:
    asyncio.run(_serve(pipe))


class Server:
    """The server's process, from this one: `with Server() as server`.

    Attributes:
        origin: its scheme, host and port.
    """

    origin: str

    def __enter__(self) -> Self:
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe()
        self._process = spawn.Process(target=_run, args=(there,), daemon=True)
        self._process.start()
        there.close()
        self._pipe = here  # its end tells the process to end
        self.origin = here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def begin(self, **settings: Any) -> None:
        """Forget all predictions and counts, and behave as *settings* say; see `Providers`."""
        self._control("POST", json.dumps(settings))

    def counts(self) -> dict[str, int]:
        """What it was asked for since it began."""
        return self._control("GET", None)

    def _control(self, method: str, body: str | None) -> dict[str, int]:
        address = self.origin.removeprefix("http://")
        with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
            connection.request(method, "/control", body)
            counts: dict[str, int] = json.loads(connection.getresponse().read())
            return counts
