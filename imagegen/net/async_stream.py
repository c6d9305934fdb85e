"""A connection of asyncio as a stream for httpcore; the caller's deadline interrupts it."""

from __future__ import annotations

import asyncio
import select
import ssl
from contextlib import suppress
from typing import Any

from imagegen.net.blocking_stream import SENT_TOGETHER
from imagegen.net.routes import LONGEST_CONNECT

MOST_UNREAD = 256 * 1024
"""Bytes that arrived and were not read; beyond, the other end is made to wait."""


class AsyncStream(asyncio.Protocol):
    """A TCP connection as a stream for httpcore; reads and writes are not timed here.

    Head and body of a request are written one after the other; they leave together.
    """

    def __init__(self, core: Any) -> None:
        self._core = core
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._unread = bytearray()
        self._ended = False
        self._lost: Exception | None = None
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._full = False
        self._unsent = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the connection is there."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes arrived."""
        self._unread += data
        if len(self._unread) > MOST_UNREAD:
            self._transport.pause_reading()
        _wake(self._reading)

    def eof_received(self) -> None:
        """Asyncio's: the other end sends no more."""
        self._ended = True
        _wake(self._reading)
        _wake(self._writing)  # asyncio closes now: what is unsent stays so

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's: it is over, for the reason *exc* or none."""
        self._ended, self._lost = True, exc
        _wake(self._reading)
        _wake(self._writing)

    def pause_writing(self) -> None:
        """Asyncio's: too much waits to be sent."""
        self._full = True

    def resume_writing(self) -> None:
        """Asyncio's: there is room again."""
        self._full = False
        _wake(self._writing)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the caller's deadline interrupts
        """Receive up to *max_bytes*; none at the end."""
        if self._unsent:
            # A server may answer, and close, before it has read everything; so httpcore has it.
            with suppress(self._core.WriteError):
                await self._send()
        while not self._unread:
            if self._lost is not None:
                raise self._core.ReadError(str(self._lost)) from self._lost
            if self._ended:
                return b""
            self._reading = self._loop.create_future()
            await self._reading
        data = bytes(self._unread[:max_bytes])
        del self._unread[:max_bytes]
        if len(self._unread) <= MOST_UNREAD and not self._ended:
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - same
        """Send *buffer*, perhaps not before the next `read`."""
        self._unsent = self._unsent + buffer if self._unsent else buffer
        if len(self._unsent) > SENT_TOGETHER:
            await self._send()

    async def _send(self) -> None:
        buffer, self._unsent = self._unsent, b""
        if self._transport.is_closing():
            raise self._core.WriteError("the connection is closed")
        self._transport.write(buffer)
        while self._full:
            if self._transport.is_closing():
                raise self._core.WriteError(str(self._lost or "the connection is closed"))
            self._writing = self._loop.create_future()
            await self._writing

    async def aclose(self) -> None:
        """Close the connection at once; everything was read, so there is no need to be polite."""
        if not self._loop.is_closed():  # which closes nothing any more
            self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncStream:
        """Shake hands; the connection is closed if that fails."""
        if self._unread or self._ended:  # what came is of anybody, and would pass for secured
            self._transport.abort()
            raise self._core.ConnectError("the other end spoke, or left, before it was to")
        try:
            secured = await self._loop.start_tls(
                self._transport,
                self,
                ssl_context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=LONGEST_CONNECT if timeout is None else timeout,
            )
        except Exception as error:  # within TLS, some asyncios raise others than OSError
            self._transport.abort()
            raise self._core.ConnectError(str(error)) from error
        except BaseException:
            self._transport.abort()
            raise
        if secured is None:  # as asyncio says that the connection was lost meanwhile
            raise self._core.ConnectError("the other end left during the TLS handshake")
        self._transport = secured
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks: whether there is something to read, and how TLS was agreed on."""
        if info == "is_readable":  # nothing is to be read between two requests but the end
            return self._ended or bool(self._unread) or _has_come(self._transport)
        return self._transport.get_extra_info(info)


def _has_come(transport: Any) -> bool:
    """Tell whether the system has something that the event loop has not been told of yet."""
    sock = transport.get_extra_info("socket")
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()  # `select` knows no file number above 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
