"""Pictures as base64, taken out of JSON while it arrives.

Nine large pictures are 70 MB of base64. Kept whole, read as JSON and then decoded, they would be
in memory several times. Here each is decoded chunk by chunk and never held as text.

One rule makes it safe without parsing: in JSON, a quote that a letter or digit follows and that no
backslash precedes opens a string. So a run of base64 right after it lies within that string.
"""

from __future__ import annotations

import os
import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterator
from io import BytesIO
from typing import cast

LONG = 16 * 2**10
"""Letters of base64 from which a string is taken out; hardly a picture has fewer."""

_BEGINS = re.compile(rb'"(?<!\\")[A-Za-z0-9+/]{%d}' % LONG)
_MAY_BEGIN = re.compile(rb'"(?<!\\")[A-Za-z0-9+/]*\Z')
_RUN = re.compile(rb"[A-Za-z0-9+/]{0,%d}" % LONG)
_BLOCK = 3 * 2**14


class Sieve:
    """JSON text without its long strings of base64, whose bytes are put into *pictures*.

    In the text, the name under which the bytes are found stands for each; nobody else can know
    that name beforehand. A string that is not base64 from quote to quote, exactly as an encoder
    writes it, stays as it came.
    """

    def __init__(self, pictures: dict[str, bytes]) -> None:
        self._pictures = pictures
        self._names = ""
        self._text = BytesIO()
        self._escaping = False
        self._run: int | None = None
        """Letters since the quote, where the text ends in a string that is base64 so far."""
        self._payload: _Payload | None = None

    def write(self, chunk: bytes) -> None:
        """Take the next chunk."""
        at = 0
        while at < len(chunk):
            at = self._decoded(self._payload, chunk, at) if self._payload else self._kept(chunk, at)

    def getvalue(self) -> bytes:
        """The text until now; a string that it breaks off in is there as it came."""
        if self._payload:
            self._put_back(self._payload)
        return self._text.getvalue()

    def _kept(self, chunk: bytes, at: int) -> int:
        """Keep text up to where base64 begins, or to the end of *chunk*; return that place."""
        if self._run is not None:
            return self._went_on(self._run, chunk, at)
        start = at + self._escaping
        begin = _begin(chunk, start)
        if begin:
            self._keep(chunk[at:begin])
            self._payload = _Payload()
            return begin
        quote = chunk.rfind(b'"', max(start, len(chunk) - LONG))
        opened = quote >= 0 and _MAY_BEGIN.match(chunk, quote)
        self._keep(chunk[at:])
        self._run = len(chunk) - quote - 1 if opened else None
        return len(chunk)

    def _went_on(self, run: int, chunk: bytes, at: int) -> int:
        """Go on with the string that the text ends in; return where to read again."""
        more = len(cast("re.Match[bytes]", _RUN.match(chunk, at))[0])
        self._run = None
        if run + more >= LONG:
            self._payload = _Payload(self._taken_back(run))
        elif at + more == len(chunk):
            self._keep(chunk[at:])
            self._run = run + more
            return len(chunk)
        return at

    def _taken_back(self, length: int) -> bytes:
        """Take the last *length* letters out of the text."""
        place = self._text.seek(-length, os.SEEK_END)
        end = self._text.read()
        self._text.seek(place)
        self._text.truncate()
        return end

    def _decoded(self, payload: _Payload, chunk: bytes, at: int) -> int:
        """Decode up to the quote, or to the end of *chunk*; return the place to go on from."""
        quote = chunk.find(b'"', at)
        end = len(chunk) if quote < 0 else quote
        try:
            payload.add(memoryview(chunk)[at:end])
            at = end
            if quote >= 0:
                self._name(payload.ended())
        except Error:
            self._put_back(payload)
        return at

    def _name(self, data: bytes) -> None:
        self._names = self._names or os.urandom(16).hex()
        name = f"<picture {self._names} {len(self._pictures)}>"
        self._pictures[name] = data
        self._keep(name.encode())
        self._payload = None

    def _put_back(self, payload: _Payload) -> None:
        for piece in payload.text():
            self._keep(piece)
        self._payload = None

    def _keep(self, text: bytes) -> None:
        self._text.write(text)
        self._escaping = text.endswith(b"\\")


def _begin(chunk: bytes, start: int) -> int | None:
    """Where a long string's letters begin: one place in every so many is enough to look from."""
    for place in range(start + LONG, len(chunk), LONG):
        quote = chunk.rfind(b'"', place - LONG, place)
        if quote >= 0 and _BEGINS.match(chunk, quote):
            return quote + 1
    return None


class _Payload:
    """Base64 that becomes bytes, or text again where it turns out to be something else."""

    def __init__(self, begun: bytes = b"") -> None:
        self._data = BytesIO()
        self._rest = b""
        self.add(memoryview(begun))

    def add(self, text: memoryview) -> None:
        """Decode *text* but for its last one to four letters: only the end may be padded.

        Raises:
            binascii.Error: it is no base64; nothing of it is taken.
        """
        missing = 4 - len(self._rest)
        group, text = self._rest + bytes(text[:missing]), text[missing:]
        if not text:
            self._rest = group
            return
        whole = (len(text) - 1) // 4 * 4
        self._data.writelines((_bytes(group), _bytes(text[:whole])))
        self._rest = bytes(text[whole:])

    def ended(self) -> bytes:
        """The bytes.

        Raises:
            binascii.Error: the end is not what an encoder writes.
        """
        end = a2b_base64(self._rest)
        if b2a_base64(end, newline=False) != self._rest:
            raise Error("not as an encoder pads it")
        self._data.write(end)
        return self._data.getvalue()

    def text(self) -> Iterator[bytes]:
        """What was taken, as it came."""
        data = self._data.getbuffer()
        for start in range(0, len(data), _BLOCK):
            yield b2a_base64(data[start : start + _BLOCK], newline=False)
        yield self._rest


def _bytes(text: bytes | memoryview) -> bytes:
    """Decode whole groups without padding: what is no letter of base64 makes the result shorter."""
    data = a2b_base64(text)
    if 4 * len(data) != 3 * len(text):
        raise Error("not a letter of base64")
    return data
