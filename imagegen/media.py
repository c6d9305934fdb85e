"""What picture bytes are: media type and pixel size, read from the header, never decoded."""

from __future__ import annotations

from attrs import frozen


@frozen
class Media:
    """A picture's media type, and width and height in pixels where its header tells them."""

    type: str
    width: int | None = None
    height: int | None = None


EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/tiff": ".tiff",
}
"""File name ending for each type that `sniff` knows."""


def sniff(data: bytes) -> Media | None:
    """Tell what *data* is by its own bytes; None where it is no picture that we know."""
    if data.startswith(b"\xff\xd8\xff"):
        return Media("image/jpeg", *_jpeg_size(data))
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return Media("image/png", *_png_size(data))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Media("image/webp", *_webp_size(data))
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return Media("image/gif", *_gif_size(data))
    if data[:4] in (b"II*\x00", b"MM\x00*"):
        return Media("image/tiff")
    return None


def _size(width: int, height: int) -> tuple[int, int] | tuple[()]:
    return (width, height) if width and height else ()


def _gif_size(data: bytes) -> tuple[int, int] | tuple[()]:
    if len(data) < 10:
        return ()
    return _size(int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))


def _png_size(data: bytes) -> tuple[int, int] | tuple[()]:
    if data[12:16] != b"IHDR" or len(data) < 24:
        return ()
    return _size(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))


SEGMENTS = 10_000
"""Parts of a JPEG header to look at; real ones have tens."""

_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def _jpeg_size(data: bytes) -> tuple[int, int] | tuple[()]:
    position = 2
    for _ in range(SEGMENTS):
        if position + 9 > len(data) or data[position] != 0xFF:
            break
        marker = data[position + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_HEADERS:
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            return _size(int.from_bytes(data[position + 7 : position + 9], "big"), height)
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return ()


def _webp_size(data: bytes) -> tuple[int, int] | tuple[()]:
    chunk = data[12:16]
    if len(data) < 30:
        return ()
    if chunk == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return _size(width, int.from_bytes(data[27:30], "little") + 1)
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return _size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if chunk == b"VP8 ":
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        return _size(width, int.from_bytes(data[28:30], "little") & 0x3FFF)
    return ()
