"""Small valid PNGs of any size, without Pillow: a pattern in two colours."""

from __future__ import annotations

import zlib
from hashlib import blake2b

from imagegen.request import Size

_BANDS = 8


def png(words: str, size: Size) -> bytes:
    """Draw a pattern that *words* decide: equal words and sizes give equal bytes."""
    digest = blake2b(words.encode("utf-8"), digest_size=6 + _BANDS).digest()
    palette, bands = digest[:6], digest[6:]
    header = size.width.to_bytes(4, "big") + size.height.to_bytes(4, "big") + b"\1\3\0\0\0"
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette),
            _chunk(b"IDAT", _rows(bands, size)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + check


def _rows(bands: bytes, size: Size) -> bytes:
    """The rows, one bit a pixel, each after its filter's number; a band at a time in memory."""
    deflated, parts = zlib.compressobj(1), list[bytes]()
    for nth, band in enumerate(bands):
        count = size.height * (nth + 1) // _BANDS - size.height * nth // _BANDS
        parts.append(deflated.compress((b"\0" + _row(band, size.width)) * count))
    return b"".join([*parts, deflated.flush()])


def _row(band: int, width: int) -> bytes:
    bits = "".join("01"[band >> (x * 8 // width) & 1] for x in range(width))
    length = -(-width // 8)
    return int(bits.ljust(length * 8, "0"), 2).to_bytes(length, "big")
