"""Picture bytes: type and size, told as Pillow tells them, whatever the bytes."""

from __future__ import annotations

import io
import struct
import time
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from imagegen.media import EXTENSIONS, Media, sniff

KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "baseline JPEG": ("JPEG", "RGB", {}),
    "grey JPEG": ("JPEG", "L", {}),
    "CMYK JPEG": ("JPEG", "CMYK", {}),
    "progressive JPEG": ("JPEG", "RGB", {"progressive": True}),
    "optimised JPEG": ("JPEG", "RGB", {"optimize": True, "quality": 30}),
    "JPEG with EXIF": ("JPEG", "RGB", {"exif": b"Exif\x00\x00" + bytes(30_000)}),
    "JPEG with restarts": ("JPEG", "RGB", {"restart_marker_rows": 1}),
    "JPEG with a comment": ("JPEG", "RGB", {"comment": b"\xff\xc0" * 999}),
    "PNG": ("PNG", "RGB", {}),
    "PNG with alpha": ("PNG", "RGBA", {}),
    "PNG with a palette": ("PNG", "P", {}),
    "one-bit PNG": ("PNG", "1", {}),
    "lossy WebP": ("WEBP", "RGB", {"quality": 50}),
    "lossless WebP": ("WEBP", "RGB", {"lossless": True}),
    "lossy WebP with alpha": ("WEBP", "RGBA", {"quality": 50}),
    "lossless WebP with alpha": ("WEBP", "RGBA", {"lossless": True}),
    "GIF": ("GIF", "P", {}),
    "WebP with EXIF": ("WEBP", "RGB", {"exif": b"Exif\x00\x00" + bytes(99)}),
}


def picture(kind: str, size: tuple[int, int]) -> bytes:
    codec, mode, options = KINDS[kind]
    file = io.BytesIO()
    image = Image.new(mode, size, 1)
    if mode == "RGBA":  # an opaque picture is written without its alpha
        image.putpixel((0, 0), (1, 2, 3, 4))
    image.save(file, codec, **options)
    return file.getvalue()


def as_pillow_tells(data: bytes) -> Media:
    with Image.open(io.BytesIO(data)) as image:
        return Media(image.get_format_mimetype() or "", *image.size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (8, 8), (17, 5), (1280, 720), (2048, 512)])
def test_a_picture_is_told_as_pillow_tells_it(kind: str, size: tuple[int, int]) -> None:
    data = picture(kind, size)
    assert sniff(data) == as_pillow_tells(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(KINDS)), st.integers(1, 300), st.integers(1, 300))
def test_pictures_of_any_size_are_told_as_pillow_tells_them(
    kind: str, width: int, height: int
) -> None:
    data = picture(kind, (width, height))
    assert sniff(data) == as_pillow_tells(data)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("lossy WebP", (16_383, 1)),
        ("lossless WebP", (1, 16_383)),
        ("lossy WebP with alpha", (16_383, 2)),
        ("progressive JPEG", (65_500, 1)),
        ("one-bit PNG", (1, 100_000)),
    ],
)
def test_the_longest_sides_are_told(kind: str, size: tuple[int, int]) -> None:
    assert sniff(picture(kind, size)) == as_pillow_tells(picture(kind, size))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(KINDS)), st.data())
def test_a_picture_cut_anywhere_is_told_as_far_as_it_goes(kind: str, data: st.DataObject) -> None:
    whole = picture(kind, (40, 30))
    part = whole[: data.draw(st.integers(0, len(whole)))]
    full = sniff(whole)
    assert full
    assert sniff(part) in (None, Media(full.type), full)


MAGIC = st.sampled_from(
    [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8X", b"GIF89a"]
)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200) | st.tuples(MAGIC, st.binary(max_size=200)).map(b"".join))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    media = sniff(data)
    assert media is None or media.type in EXTENSIONS
    assert media is None or (media.width is None) is (media.height is None)
    assert media is None or (media.width != 0 and media.height != 0)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(KINDS)), st.data())
def test_a_picture_with_wrong_bytes_does_not_make_it_raise(kind: str, data: st.DataObject) -> None:
    broken = bytearray(picture(kind, (40, 30)))
    places = st.lists(st.integers(0, min(len(broken), 200) - 1), max_size=5)
    for place in data.draw(places):
        broken[place] = data.draw(st.integers(0, 255))
    media = sniff(bytes(broken))
    assert media is None or isinstance(media.type, str)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\x89PNG",
        b"RIFF",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"GIF89",
        b"GIF88a\x01\0\x01\0",
        b"II+\0",
        b"BM",
        b"<svg/>",
        b"<html>",
        b'{"error": 1}',
        b" \xff\xd8\xff",
    ],
)
def test_what_is_no_picture_that_we_know_is_none(data: bytes) -> None:
    assert sniff(data) is None


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\xff\xd8\xff\xd9", "image/jpeg"),
        (b"\xff\xd8\xff\xe0\x00\x02\x00\xc0\x00\x11\x08\x00\x10\x00\x10", "image/jpeg"),
        (b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x00\x00\x10\x03", "image/jpeg"),
        (b"\xff\xd8\xff\xc4\x00\x07\x08\x00\x10\x00\x10\x03", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"JUNK", 3, 2), "image/png"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 0, 2), "image/png"),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(4), "image/webp"),
        (b"RIFF\0\0\0\0WEBPJUNK" + b"\x01" * 40, "image/webp"),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(40), "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a\x03\0\0\0", "image/gif"),
        (b"GIF89a\x03\0\x2c", "image/gif"),
    ],
)
def test_a_header_that_tells_no_size_leaves_it_open(data: bytes, media_type: str) -> None:
    assert sniff(data) == Media(media_type, None, None)


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\xff" * 5,
        b"\xff\xd0" * 3,
        b"\xff\x01",
        b"\xff\xe1\x00\x04ab" * 9,
        b"\xff\xdb\x00\x02",
    ],
)
def test_a_jpeg_frame_is_found_behind_padding_and_other_segments(before: bytes) -> None:
    frame = b"\xff\xc2\x00\x11\x08\x00\x20\x00\x40\x03"
    assert sniff(b"\xff\xd8" + before + frame) == Media("image/jpeg", 64, 32)


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\xd0", b"\xff\xe0\x00\x00"])
def test_ten_megabytes_of_hostile_jpeg_are_given_up_in_no_time(filler: bytes) -> None:
    data = b"\xff\xd8\xff\xe0\x00\x02" + filler * (10_000_000 // len(filler))
    started = time.process_time()
    assert sniff(data) == Media("image/jpeg")
    assert time.process_time() - started < 0.5


def test_every_type_that_is_told_has_a_files_ending() -> None:
    told = {media.type for kind in KINDS if (media := sniff(picture(kind, (1, 1))))}
    assert EXTENSIONS.keys() == told | {"image/tiff"}
    assert set(EXTENSIONS.values()) == {".jpg", ".png", ".webp", ".gif", ".tiff"}


@pytest.mark.parametrize("data", [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II*\0"])
def test_a_tiff_is_told_without_its_size(data: bytes) -> None:
    assert sniff(data) == Media("image/tiff")
