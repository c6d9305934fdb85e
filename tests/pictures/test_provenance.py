"""Marked pictures: the facts are in them, and not one pixel or byte of theirs is changed."""

from __future__ import annotations

import io
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve
from hypothesis import example, given, settings, strategies as st
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

from imagegen import Attempt, GeneratedImage, Generation, ImageRequest, __version__
from imagegen.pictures.files import write_images
from imagegen.pictures.provenance import NAMESPACE, SOURCE_TYPE, Provenance, marked, provenance_of
from imagegen.redaction import hide_prompts, prompts_hidden
from imagegen.sandbox import drawing
from imagegen.sandbox.pictures import Picture

NOON = datetime(2026, 11, 21, 12, 0, 5, 999, tzinfo=UTC)
FACTS = Provenance(
    provider="minimax",
    model="image-01",
    prompt="a red fox",
    seed=7,
    request_id="req-1",
    created_at=NOON,
)
NAMESPACES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    NAMESPACE: "imagegen",
}
DRAWN = drawing.jpeg(Picture(prompt="a red fox", seed=7, width=96, height=64))
XMP_KEYWORD = "XML:com.adobe.xmp"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
ICC = b"a profile " * 20_000


def encoded(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    (image or Image.open(io.BytesIO(DRAWN))).save(file, kind, **options)
    return file.getvalue()


def in_mode(mode: str) -> Image.Image:
    return Image.open(io.BytesIO(DRAWN)).convert(mode)


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return len(content).to_bytes(4, "big") + kind + content + crc.to_bytes(4, "big")


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def with_chunk(kind: bytes, content: bytes) -> bytes:
    return PNG[:33] + chunk(kind, content) + PNG[33:]


def with_segment(marker: int, content: bytes) -> bytes:
    return DRAWN[:2] + segment(marker, content) + DRAWN[2:]


def interlaced() -> bytes:
    """A grey square of 8 pixels a side in Adam7 order, which Pillow reads but does not write."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    rows = b"".join(
        b"\0" + bytes(x * 30 + y for x in range(left, 8, right))
        for left, top, right, down in (*passes, (0, 1, 1, 2))
        for y in range(top, 8, down)
    )
    header = chunk(b"IHDR", bytes((0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 1)))
    body = header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def text_chunks() -> PngInfo:
    texts = PngInfo()
    texts.add_text("Author", "somebody")
    texts.add_itxt("Title", "ein Fuchs ü", lang="de")
    texts.add_text("parameters", "steps: 20", zip=True)
    return texts


PNG = encoded("PNG")
EXIF = Image.Exif()
EXIF[0x010E] = "of the camera"
FRAMES = [in_mode("RGB").rotate(angle) for angle in (0, 90, 180)]
JPEGS = {
    "of the sandbox": DRAWN,
    "with Exif": encoded("JPEG", exif=EXIF),
    "with a profile of several segments": encoded("JPEG", icc_profile=ICC),
    "progressive": encoded("JPEG", progressive=True),
    "with restarts": encoded("JPEG", restart_marker_rows=1),
    "with a comment": encoded("JPEG", comment=b"\xff\xc0" * 99),
    "with trailing data": DRAWN + b"\xff\xd8\xff trailing",
    "CMYK": encoded("JPEG", in_mode("CMYK")),
    "grey": encoded("JPEG", in_mode("L")),
    "with fill bytes": DRAWN[:2] + b"\xff\xff" + DRAWN[2:],
    "without JFIF": DRAWN[:2] + DRAWN[20:],
}
PNGS = {
    "plain": PNG,
    "interlaced": interlaced(),
    "with a palette": encoded("PNG", in_mode("P"), transparency=3),
    "with alpha": encoded("PNG", in_mode("RGBA")),
    "with ancillary chunks": encoded(
        "PNG", pnginfo=text_chunks(), dpi=(72, 72), icc_profile=ICC, exif=EXIF
    ),
    "animated": encoded("PNG", FRAMES[0], save_all=True, append_images=FRAMES[1:], duration=40),
    "with trailing data": PNG + b"trailing",
}
PICTURES = [
    *(pytest.param(data, "image/jpeg", id=f"JPEG {kind}") for kind, data in JPEGS.items()),
    *(pytest.param(data, "image/png", id=f"PNG {kind}") for kind, data in PNGS.items()),
]
BOTH = [pytest.param(DRAWN, "image/jpeg", id="JPEG"), pytest.param(PNG, "image/png", id="PNG")]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def info(data: bytes) -> dict[Any, Any]:
    return opened(data).info


def packet(data: bytes) -> bytes:
    xmp: bytes = info(data)["xmp"]
    return xmp


def properties(data: bytes) -> dict[str, str]:
    """What the XMP packet of a picture says, by the usual prefixes."""
    root = ET.fromstring(packet(data))  # noqa: S314 - it is our own
    said: dict[str, str] = {}
    for element in root[0][0]:
        space, name = element.tag.removeprefix("{").split("}")
        said[f"{NAMESPACES[space]}:{name}"] = "".join(element.itertext())
    return said


def inserted(original: bytes, result: bytes) -> bytes:
    """What was put between the bytes of *original*, all of which must be there, in order."""
    pairs = enumerate(zip(original, result, strict=False))
    place = next((k for k, (before, after) in pairs if before != after), len(original))
    length = len(result) - len(original)
    assert result[:place] + result[place + length :] == original
    return result[place : place + length]


@pytest.fixture
def hidden() -> Iterator[None]:
    before = prompts_hidden()
    hide_prompts()
    yield
    hide_prompts(hide=before)


# What is in the file


@pytest.mark.parametrize(("data", "media_type"), BOTH)
def test_the_packet_tells_what_is_known(data: bytes, media_type: str) -> None:
    assert properties(marked(data, media_type, FACTS)) == {
        "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPE,
        "Iptc4xmpExt:AISystemUsed": "minimax image-01",
        "Iptc4xmpExt:AIPromptInformation": "a red fox",
        "dc:identifier": "minimax-req-1-0",
        "dc:description": "a red fox\nMade by a model: minimax image-01, seed 7",
        "xmp:CreatorTool": f"imagegen {__version__}",
        "xmp:CreateDate": "2026-11-21T12:00:05+00:00",
        "imagegen:seed": "7",
        "imagegen:requestId": "req-1",
    }


def test_a_png_has_its_own_keywords_too() -> None:
    texts = info(marked(PNG, "image/png", FACTS))
    assert {name: text for name, text in texts.items() if name not in {"xmp", XMP_KEYWORD}} == {
        "Description": "a red fox",
        "Comment": "Made by a model: minimax image-01, seed 7",
        "Source": "minimax image-01",
        "Software": f"imagegen {__version__}",
        "Creation Time": "2026-11-21T12:00:05+00:00",
    }


@pytest.mark.parametrize(("data", "media_type"), BOTH)
def test_what_is_not_known_is_left_out(data: bytes, media_type: str) -> None:
    result = marked(data, media_type, Provenance(provider="p", model="m"))
    assert properties(result).keys() == {
        "Iptc4xmpExt:DigitalSourceType",
        "Iptc4xmpExt:AISystemUsed",
        "dc:description",
        "xmp:CreatorTool",
    }
    assert properties(result)["dc:description"] == "Made by a model: p m"
    assert not info(result).keys() & {"Description", "Creation Time"}


def test_seed_0_is_a_seed() -> None:
    said = properties(marked(DRAWN, "image/jpeg", evolve(FACTS, seed=0)))
    assert said["imagegen:seed"] == "0"
    assert said["dc:description"].endswith("seed 0")


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 10**5000], ids=[1, 2, 3])
def test_what_cannot_be_a_seed_is_none(seed: int) -> None:
    assert "imagegen:seed" not in properties(marked(PNG, "image/png", evolve(FACTS, seed=seed)))


def test_a_keyword_of_the_picture_is_left_to_it() -> None:
    data = with_chunk(b"tEXt", b"Software\0of the provider")
    result = marked(data, "image/png", FACTS)
    texts = info(result)
    assert result.count(b"Software\0") == 1
    assert (texts["Software"], texts["Source"]) == ("of the provider", "minimax image-01")


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(("data", "media_type"), BOTH)
def test_a_hidden_prompt_is_not_in_the_file(data: bytes, media_type: str) -> None:
    result = marked(data, media_type, FACTS)
    assert b"red fox" not in result
    assert "Iptc4xmpExt:AIPromptInformation" not in properties(result)
    assert properties(result)["imagegen:seed"] == "7"
    assert "red fox" not in repr(FACTS)


NASTY = [
    "🦊 in ❄️ \U0010fffd",
    "]]> <![CDATA[ <!-- &amp; & < > \" ' </rdf:li> <?xpacket end?>",
    "one\ntwo\r\nthree\ttab\rfour",
    "ends with space ",
    "x" * 1500,
    "&" * 1500,
    "🦊" * 1500,
]


@pytest.mark.parametrize("prompt", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize(("data", "media_type"), BOTH)
def test_a_prompt_is_told_as_it_is(data: bytes, media_type: str, prompt: str) -> None:
    result = marked(data, media_type, evolve(FACTS, prompt=prompt))
    assert properties(result)["Iptc4xmpExt:AIPromptInformation"] == prompt
    assert info(result).get("Description", prompt) == prompt


@pytest.mark.parametrize(
    ("prompt", "told"),
    [("a\0b\x1b[31m\x7f\x9b", "ab[31m"), ("\ud800x\udfff", "x"), ("a\ufffe\uffffb", "ab")],
)
@pytest.mark.parametrize(("data", "media_type"), BOTH)
def test_what_no_xml_can_hold_is_dropped(
    data: bytes, media_type: str, prompt: str, told: str
) -> None:
    result = marked(data, media_type, evolve(FACTS, prompt=prompt))
    assert properties(result)["Iptc4xmpExt:AIPromptInformation"] == told


def test_a_prompt_of_nothing_that_can_be_told_is_left_out() -> None:
    result = marked(PNG, "image/png", evolve(FACTS, prompt="\0\x01"))
    assert "Iptc4xmpExt:AIPromptInformation" not in properties(result)
    assert "Description" not in info(result)


def test_a_prompt_of_10000_letters_fits_into_a_jpeg_segment() -> None:
    result = marked(DRAWN, "image/jpeg", evolve(FACTS, prompt="x" * 10_000))
    assert properties(result)["Iptc4xmpExt:AIPromptInformation"] == "x" * 10_000


def test_a_prompt_that_does_not_fit_into_a_jpeg_segment_is_left_out() -> None:
    long = evolve(FACTS, prompt="🦊" * 10_000)
    assert properties(marked(DRAWN, "image/jpeg", long)) == properties(
        marked(DRAWN, "image/jpeg", evolve(FACTS, prompt=None))
    )
    said = properties(marked(PNG, "image/png", long))
    assert said["Iptc4xmpExt:AIPromptInformation"] == "🦊" * 10_000


def test_a_jpeg_segment_is_never_too_long() -> None:
    told = set[bool]()
    for length in range(32_100, 32_300):
        result = marked(DRAWN, "image/jpeg", evolve(FACTS, prompt="x" * length))
        added, start = len(result) - len(DRAWN), result.index(b"http://ns.adobe.com/")
        assert int.from_bytes(result[start - 2 : start], "big") + 2 == added <= 65_535
        told.add(added > 60_000)
    assert told == {True, False}


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
@example("&" * 400, "💥" * 400, "<" * 400)
def test_any_names_make_a_readable_packet(provider: str, model: str, request_id: str) -> None:
    facts = Provenance(provider=provider, model=model, request_id=request_id)
    said = properties(marked(DRAWN, "image/jpeg", facts))
    assert said["Iptc4xmpExt:AISystemUsed"] == facts.system


def test_no_signed_query_comes_in_with_a_name() -> None:
    url = "https://h/a?Signature=SECRET"
    facts = Provenance(provider=url, model=url, request_id=url)
    assert b"SECRET" not in marked(PNG, "image/png", facts)


# What stays


@pytest.mark.parametrize(("data", "media_type"), PICTURES)
def test_no_pixel_changes(data: bytes, media_type: str) -> None:
    result = marked(data, media_type, FACTS)
    assert result != data
    before, after = opened(data), opened(result)
    assert (after.mode, after.size, after.format) == (before.mode, before.size, before.format)
    for frame in range(getattr(before, "n_frames", 1)):
        before.seek(frame)
        after.seek(frame)
        assert ImageChops.difference(after.convert("RGB"), before.convert("RGB")).getbbox() is None
        assert after.tobytes() == before.tobytes()


@pytest.mark.parametrize(("data", "media_type"), PICTURES)
def test_no_byte_is_lost_or_changed(data: bytes, media_type: str) -> None:
    assert b"xpacket" in inserted(data, marked(data, media_type, FACTS))


@pytest.mark.parametrize(("data", "media_type"), PICTURES)
def test_other_metadata_is_still_read(data: bytes, media_type: str) -> None:
    before, after = opened(data), opened(marked(data, media_type, FACTS))
    assert before.info.items() <= after.info.items()
    assert after.getexif() == before.getexif()


@pytest.mark.parametrize(("data", "media_type"), PICTURES)
def test_marking_again_changes_nothing(data: bytes, media_type: str) -> None:
    once = marked(data, media_type, FACTS)
    assert marked(once, media_type, evolve(FACTS, seed=8)) == once


def test_jfif_and_exif_stay_in_front_of_the_packet() -> None:
    data = marked(JPEGS["with Exif"], "image/jpeg", FACTS)
    places = [data.index(name) for name in (b"JFIF\0", b"Exif\0\0", b"http://ns.adobe.com/xap")]
    assert places == sorted(places)
    assert opened(data).getexif()[0x010E] == "of the camera"


@pytest.mark.parametrize("data", PNGS.values(), ids=list(PNGS))
def test_every_chunk_has_its_checksum(data: bytes) -> None:
    rest = marked(data, "image/png", FACTS)[8:].removesuffix(b"trailing")
    while rest:
        length = int.from_bytes(rest[:4], "big")
        assert rest[: length + 12] == chunk(rest[4:8], rest[8 : 8 + length])
        rest = rest[length + 12 :]


# What is left alone


ALONE: dict[str, tuple[bytes, str]] = {
    "JPEG with XMP": (encoded("JPEG", xmp=XMP), "image/jpeg"),
    "JPEG with XMP behind its profile": (
        JPEGS["with a comment"].replace(
            b"\xff\xdb", segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP) + b"\xff\xdb", 1
        ),
        "image/jpeg",
    ),
    "JPEG with extended XMP": (
        with_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0x"),
        "image/jpeg",
    ),
    "JPEG with C2PA": (with_segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x08jumb"), "image/jpeg"),
    "JPEG of several pictures": (with_segment(0xE2, b"MPF\0MM\0*"), "image/jpeg"),
    "PNG with XMP": (with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP), "image/png"),
    "PNG with compressed XMP": (
        with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
        "image/png",
    ),
    "PNG with XMP of ImageMagick": (
        with_chunk(b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(b"x")),
        "image/png",
    ),
    "PNG with C2PA": (with_chunk(b"caBX", b"\0\0\0\x08jumb"), "image/png"),
    "WebP": (encoded("WEBP"), "image/webp"),
    "GIF": (encoded("GIF"), "image/gif"),
    "TIFF": (encoded("TIFF"), "image/tiff"),
    "PNG that is called a JPEG": (PNG, "image/jpeg"),
    "JPEG that is called a PNG": (DRAWN, "image/png"),
    "PNG of another system": (PNG[:8] + chunk(b"CgBI", b"\0" * 4) + PNG[8:], "image/png"),
    "PNG without pixels": (PNG[:33] + chunk(b"IEND", b""), "image/png"),
    "PNG with a chunk of no name": (with_chunk(b"a\0bc", b""), "image/png"),
    "JPEG without pixels": (b"\xff\xd8\xff\xe0\0\2\xff\xd9", "image/jpeg"),
    "JPEG with an unknown marker": (with_segment(0xF0, b""), "image/jpeg"),
    "JPEG with a segment of no length": (DRAWN[:2] + b"\xff\xe2\0\0" + DRAWN[2:], "image/jpeg"),
    "nothing": (b"", "image/png"),
}


@pytest.mark.parametrize(("data", "media_type"), ALONE.values(), ids=list(ALONE))
def test_it_is_left_alone(data: bytes, media_type: str) -> None:
    assert marked(data, media_type, FACTS) == data


@pytest.mark.parametrize(("data", "media_type"), PICTURES)
def test_a_picture_that_is_cut_off_is_left_alone(data: bytes, media_type: str) -> None:
    end = data.rindex(b"IEND") if media_type == "image/png" else data.index(b"\xff\xd9", 700) + 1
    for length in {*range(0, end, max(1, end // 60)), end - 1, end}:
        assert marked(data[:length], media_type, FACTS) == data[:length]


STARTS = st.sampled_from([b"\xff\xd8", b"\xff\xd8\xff\xe1", PNG[:8], PNG[:33], DRAWN[:20]])


@settings(max_examples=300, deadline=None)
@given(st.tuples(STARTS, st.binary(max_size=80)), st.sampled_from(["image/jpeg", "image/png"]))
def test_no_bytes_make_it_raise_or_lose_one(parts: tuple[bytes, bytes], media_type: str) -> None:
    data = b"".join(parts)
    inserted(data, marked(data, media_type, FACTS))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*JPEGS.values(), *PNGS.values()]), st.data())
def test_a_picture_with_wrong_bytes_loses_none(whole: bytes, data: st.DataObject) -> None:
    broken = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, min(len(broken), 900) - 1), max_size=4)):
        broken[place] = data.draw(st.integers(0, 255))
    for media_type in ("image/jpeg", "image/png"):
        inserted(bytes(broken), marked(bytes(broken), media_type, FACTS))


@pytest.mark.parametrize(
    ("start", "filler", "media_type"),
    [
        (DRAWN[:2], b"\xff", "image/jpeg"),
        (DRAWN[:2], b"\xff\xe2\x00\x02", "image/jpeg"),
        (DRAWN[:-2], b"\xff\x00", "image/jpeg"),
        (PNG[:33], chunk(b"tEXt", b""), "image/png"),
    ],
)
def test_ten_megabytes_of_hostile_bytes_are_given_up_in_no_time(
    start: bytes, filler: bytes, media_type: str
) -> None:
    data = start + filler * (10_000_000 // len(filler))
    started = time.process_time()
    assert marked(data, media_type, FACTS) == data
    assert time.process_time() - started < 0.5


# Of which picture


def generation(*images: GeneratedImage, **fields: Any) -> Generation:
    request = ImageRequest("a red fox", n=max(1, len(images)))
    return Generation(
        **{"images": images, "provider": "p", "model": "m", "request": request, **fields}
    )


def attempt(model: str, request_id: str | None, **fields: Any) -> Attempt:
    return Attempt(
        **{"provider": f"of {model}", "model": model, "n": 1, "images": 1, **fields},
        request_id=request_id,
    )


def test_a_picture_of_a_route_is_told_by_its_own_attempt() -> None:
    attempts = (
        attempt("failed", "b", images=0, error="JobFailedError"),
        attempt("first", "a"),
        attempt("second", "b", created_at=NOON),
    )
    images = (GeneratedImage(request_id="a", seed=1), GeneratedImage(request_id="b", seed=2))
    made = generation(*images, attempts=attempts)
    assert provenance_of(made, 0) == Provenance(
        provider="of first", model="first", prompt="a red fox", seed=1, request_id="a"
    )
    assert provenance_of(made, 1) == Provenance(
        provider="of second",
        model="second",
        prompt="a red fox",
        seed=2,
        request_id="b",
        created_at=NOON,
        index=1,
    )


@pytest.mark.parametrize("request_id", [None, "another"])
def test_a_picture_of_no_known_attempt_is_told_by_the_generation(request_id: str | None) -> None:
    made = generation(GeneratedImage(request_id=request_id), attempts=(attempt("x", None),))
    facts = provenance_of(made, 0)
    assert (facts.provider, facts.model, facts.created_at) == ("p", "m", None)


def test_pictures_of_one_exchange_have_names_of_their_own() -> None:
    made = generation(GeneratedImage(request_id="a"), GeneratedImage(request_id="a"))
    assert [provenance_of(made, k).identifier for k in (0, 1)] == ["p-a-0", "p-a-1"]


def test_nothing_but_these_facts_is_told(tmp_path: Path) -> None:
    signed = "https://me:SECRET@cdn.host/a.png?Signature=SECRET"
    image = GeneratedImage(url=signed, request_id="a").with_data(PNG)
    assert image
    request = ImageRequest("a red fox", references=signed, provider_options={"p": {"x": "SECRET"}})
    made = generation(image, request=request, raw=({"key": "SECRET"},))
    (path,) = write_images(made, tmp_path)
    assert path
    data = path.read_bytes()
    assert data != PNG
    assert b"SECRET" not in data
    assert b"cdn.host" not in data


# In the folder


def saved(data: bytes, folder: Path, **options: Any) -> bytes:
    image = GeneratedImage(request_id="req-1", seed=7).with_data(data)
    assert image
    (path,) = write_images(generation(image), folder, **options)
    assert path
    assert image.data == data
    return path.read_bytes()


@pytest.mark.parametrize(("data", "media_type"), BOTH)
def test_a_saved_picture_is_marked(data: bytes, media_type: str, tmp_path: Path) -> None:
    made = saved(data, tmp_path)
    facts = Provenance(provider="p", model="m", prompt="a red fox", seed=7, request_id="req-1")
    assert made == marked(data, media_type, facts) != data


def test_pictures_are_saved_without_another_copy_of_them(tmp_path: Path) -> None:
    start = DRAWN.removesuffix(b"\xff\xd9")
    large = GeneratedImage().with_data(start + bytes(4 * 2**20) + b"\xff\xd9")
    assert large
    tracemalloc.start()
    paths = write_images(generation(large, large, large), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {b"ns.adobe.com/xap" in path.read_bytes() for path in paths if path} == {True}
    assert peak < 2**20


@pytest.mark.parametrize(("data", "media_type"), BOTH)
def test_without_provenance_the_file_is_what_came(
    data: bytes, media_type: str, tmp_path: Path
) -> None:
    assert media_type
    assert saved(data, tmp_path, provenance=False) == data


@pytest.mark.parametrize("make", [lambda: encoded("WEBP"), lambda: encoded("GIF")])
def test_other_types_are_saved_as_they_came(make: Callable[[], bytes], tmp_path: Path) -> None:
    assert saved(make(), tmp_path) == make()
