"""Reading requests from a socket, as a server does."""

from __future__ import annotations

import socket


def take(connection: socket.socket) -> tuple[bytes, bytes]:
    """Read one whole request: its head, and its body; ConnectionAbortedError if none comes."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(x[15:]) for x in lines if x.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += _more(connection)
    return head, body


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise ConnectionAbortedError
    return data
