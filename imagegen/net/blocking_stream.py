"""A blocking connection as a stream for httpcore, nothing untimed.

A timeout of httpcore is for one operation, of which there may be any number, so a peer that sends
a byte now and then could hold a request for as long as it likes. Here every single one gets what
is left of the time that `within` allows.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

SENT_TOGETHER = 65_536
"""Bytes of a request that may wait for the rest of it: head and body leave in one piece."""
_RECEIVED_TOGETHER = 65_536

_end: ContextVar[float] = ContextVar("end", default=math.inf)


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Let every blocking network operation in the block end *seconds* from now at the latest."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def end_of(timeout: float | None, otherwise: float = math.inf) -> float:
    """The moment at which an operation of *timeout* seconds must have ended."""
    return min(_end.get(), time.monotonic() + (otherwise if timeout is None else timeout))


def _hurry(sock: Any, end: float) -> None:
    """Give the next operation of *sock* no more than what is left."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is up")
    sock.settimeout(None if left == math.inf else left)


class BlockingStream:
    """*sock*, connected; exceptions are those of *core*, an httpcore."""

    def __init__(self, core: Any, sock: Any) -> None:
        self._core = core
        self._sock = sock
        self._unsent = b""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send *buffer*, perhaps not before the next `read`."""
        self._unsent = self._unsent + buffer if self._unsent else buffer
        if len(self._unsent) > SENT_TOGETHER:
            self._send(end_of(timeout))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive up to *max_bytes*; none at the end."""
        end = end_of(timeout)
        if self._unsent:
            # A server may answer, and close, before it has read everything; so httpcore has it.
            with suppress(self._core.WriteError):
                self._send(end)
        try:
            _hurry(self._sock, end)
            received: bytes = self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise self._core.ReadTimeout(str(error)) from error
        except OSError as error:
            raise self._core.ReadError(str(error)) from error
        return received

    def _send(self, end: float) -> None:
        left, self._unsent = memoryview(self._unsent), b""
        try:
            while left:
                _hurry(self._sock, end)
                left = left[self._sock.send(left) :]
        except TimeoutError as error:
            raise self._core.WriteTimeout(str(error)) from error
        except OSError as error:
            raise self._core.WriteError(str(error)) from error

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BlockingStream:
        """Shake hands; the connection is closed if that fails."""
        end = end_of(timeout)
        try:
            secured = _Secured(self._sock, ssl_context, server_hostname, end)
        except TimeoutError as error:
            self.close()
            raise self._core.ConnectTimeout(str(error)) from error
        except OSError as error:
            self.close()
            raise self._core.ConnectError(str(error)) from error
        except BaseException:
            self.close()
            raise
        return BlockingStream(self._core, secured)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks: whether there is something to read, and how TLS was agreed on."""
        if info == "is_readable":
            return self._is_readable()
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, _Secured) else None
        return _innermost(self._sock) if info == "socket" else None

    def _is_readable(self) -> bool:
        """Tell whether anything came, be it the end; as `select` would, for any file number."""
        if isinstance(self._sock, _Secured) and self._sock.holds():
            return True
        try:
            self._sock.settimeout(0.0)
            _innermost(self._sock).recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True


def _innermost(sock: Any) -> socket.socket:
    while isinstance(sock, _Secured):
        sock = sock.within
    found: socket.socket = sock
    return found


class _Secured:
    """TLS within *within*, a socket or, for a proxy that speaks TLS, another of these.

    `ssl.SSLSocket` would do for most, but truststore's configuration, which httpx2 takes on macOS
    and Windows, lets one thread at a time shake hands: others would wait, whatever their deadline.
    """

    def __init__(
        self, within: Any, context: ssl.SSLContext, hostname: str | None, end: float
    ) -> None:
        self.within = within
        self._end = end
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_hostname=hostname)
        self.selected_alpn_protocol = self._tls.selected_alpn_protocol
        self._carried(self._tls.do_handshake)

    def settimeout(self, seconds: float | None) -> None:
        """Give what follows so much time in all."""
        self._end = end_of(seconds)
        self.within.settimeout(seconds)

    def recv(self, size: int) -> bytes:
        """Receive."""
        try:
            return self._carried(lambda: self._tls.read(size))
        except ssl.SSLEOFError:
            return b""

    def send(self, data: memoryview) -> int:
        """Send."""
        return self._carried(lambda: self._tls.write(data))

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        left = memoryview(data)
        while left:
            left = left[self.send(left) :]

    def holds(self) -> bool:
        """Tell whether something came that was not asked for yet."""
        inner = isinstance(self.within, _Secured) and self.within.holds()
        return inner or self._arrived.pending > 0 or self._tls.pending() > 0

    def close(self) -> None:
        """Close everything."""
        self.within.close()

    def _carried(self, operation: Callable[[], T]) -> T:
        """Do *operation*, carrying records to and fro until it is done."""
        while True:
            try:
                done = operation()
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError:
                with suppress(OSError):  # an alert, which tells the other end why
                    self._flush()
                raise
            else:
                self._flush()
                return done
            _hurry(self.within, self._end)
            if data := self.within.recv(_RECEIVED_TOGETHER):
                self._arrived.write(data)
            else:
                self._arrived.write_eof()

    def _flush(self) -> None:
        if self._leaving.pending:
            _hurry(self.within, self._end)
            self.within.sendall(self._leaving.read())
