"""A response body, taken chunk by chunk within its bounds, compressed or not.

We ask for no compression, but a proxy may compress all the same, and the answer to a paid
submission must not be lost for that. One layer of gzip or deflate is undone, never beyond the
limit: a few hundred bytes can stand for gigabytes.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Any

from imagegen.drivers.inline import Sieve

_GZIP_OR_ZLIB = 47
"""`wbits` that lets zlib tell the two formats apart by their header."""


class BodyError(Exception):
    """The body is too large, too late, or not what its headers say."""


class Body:
    """Collects a body of at most *limit* bytes, before and after decompression.

    With *pictures*, long strings of base64 are taken out of it: `pictures` has their bytes, under
    the names that stand for them in the body.
    """

    def __init__(self, encoding: str, limit: int, *, pictures: bool = False) -> None:
        self.pictures: dict[str, bytes] = {}
        self._inflater = _inflater(encoding.strip().lower())
        self._taken: Sieve | BytesIO = Sieve(self.pictures) if pictures else BytesIO()
        self._received = self._left = limit
        self._late = False

    def add(self, chunk: bytes, *, late: bool) -> None:
        """Take a chunk; one that comes late is welcome only if it is the last.

        Raises:
            BodyError: a bound is passed, or the compression is broken.
        """
        if self._late:
            raise BodyError("the body goes on after the deadline")
        self._late = late
        self._received -= len(chunk)
        plain = self._inflated(chunk)
        self._left -= len(plain)
        if self._received < 0 or self._left < 0:
            raise BodyError("the body is larger than any reply should be")
        self._taken.write(plain)

    def _inflated(self, chunk: bytes) -> bytes:
        if self._inflater is None:
            return chunk
        if self._inflater.eof:  # it would keep, and copy each time, whatever follows the end
            return b""
        try:
            plain: bytes = self._inflater.decompress(chunk, self._left + 1)
        except zlib.error as error:
            raise BodyError(f"the body is not compressed as its header says: {error}") from None
        return plain

    def joined(self) -> bytes:
        """The whole body.

        Raises:
            BodyError: its compression breaks off.
        """
        if self._inflater is not None and not self._inflater.eof:
            raise BodyError("the compressed body breaks off")
        return self._taken.getvalue()

    def so_far(self) -> bytes:
        """What came until now, which may break off anywhere."""
        return self._taken.getvalue()


def _inflater(encoding: str) -> Any:
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(_GZIP_OR_ZLIB)
    raise BodyError(f"the body came as {encoding[:20]!r}, which was not asked for")
