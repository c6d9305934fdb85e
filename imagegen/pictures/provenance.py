"""How a picture came about, written into its file: an XMP packet, and in PNG also plain text.

Pixels and every byte that was there stay; a segment or some chunks are put between them. Where
that is not certain to be harmless, nothing is. What is written follows

- the IPTC Photo Metadata Standard 2025.1 (November 2025) for what a model made,
- XMP Specification Part 3, Storage in Files (Adobe, 2016) for where the packet stands,
- PNG Specification, Third Edition (W3C, 2025) for textual chunks,

as they stood on 2026-11-21; docs/decisions/0017-provenance.md says why.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeAlias

from attrs import evolve, field, frozen
from attrs.converters import optional

from imagegen import __version__
from imagegen.media import SEGMENTS
from imagegen.redaction import prompts_hidden, shown, shown_prompt
from imagegen.request import SEEDS
from imagegen.result import Generation

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's term for what a model made (NewsCodes, read on 2026-11-21)."""

NAMESPACE = "urn:uuid:fbdd308d-3837-4793-b875-04df89692624#"
"""Of our own XMP properties, `imagegen:seed` and `imagegen:requestId`; it never changes."""

_TOOL = f"imagegen {__version__}"
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "imagegen": NAMESPACE,
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
_ILLEGIBLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


Pieces: TypeAlias = tuple[bytes | memoryview, ...]
"""A file's content in order, none of it copied."""


def _legible(text: str) -> str:
    """*text* without control characters, and without what XML 1.0 forbids."""
    return _ILLEGIBLE.sub("", text)


def _word(text: str) -> str:
    """A name or id from outside, in one short line without signed queries."""
    return _legible(shown(text, 128))


def _seed(seed: int | None) -> int | None:
    return seed if seed is not None and SEEDS.start <= seed < SEEDS.stop else None


@frozen(kw_only=True)
class Provenance:
    """How one picture came about.

    Attributes:
        provider: the backend's name.
        model: the provider's model id.
        prompt: as it was asked for; None where it is not to be told.
        seed: of the call that made it; None where the provider chose.
        request_id: the provider's id of the exchange or prediction.
        created_at: when the provider says that it was made.
        index: the picture's place in its Generation, from 0.
    """

    provider: str = field(converter=_word)
    model: str = field(converter=_word)
    prompt: str | None = field(
        default=None, converter=optional(_legible), repr=lambda it: shown_prompt(it or "")
    )
    seed: int | None = field(default=None, converter=_seed)
    request_id: str | None = field(default=None, converter=optional(_word))
    created_at: datetime | None = None
    index: int = 0

    @property
    def system(self) -> str:
        """Provider and model."""
        return f"{self.provider} {self.model}"

    @property
    def sentence(self) -> str:
        """What a person reads who sees nothing else."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"Made by a model: {self.system}{seed}"

    @property
    def identifier(self) -> str | None:
        """Names this one picture: pictures of one exchange share its request id."""
        return self.request_id and f"{self.provider}-{self.request_id}-{self.index}"

    @property
    def created(self) -> str | None:
        """The date as XMP and RFC 3339 write it."""
        return self.created_at.isoformat(timespec="seconds") if self.created_at else None


def provenance_of(generation: Generation, index: int) -> Provenance:
    """Tell how the picture at *index*, from 0, came about.

    Provider, model and date are those of the attempt that has the picture's request id: a route
    may have asked several models.
    """
    image = generation.images[index]
    mine = (a for a in generation.attempts if a.images and a.request_id == image.request_id)
    attempt = next(mine, None) if image.request_id else None
    return Provenance(
        provider=attempt.provider if attempt else generation.provider,
        model=attempt.model if attempt else generation.model,
        prompt=generation.request.prompt,
        seed=image.seed,
        request_id=image.request_id,
        created_at=attempt.created_at if attempt else None,
        index=index,
    )


def marked(data: bytes, media_type: str, facts: Provenance) -> bytes:
    """Return the picture *data* with *facts* in it, or as it is where that could do harm."""
    return b"".join(marked_pieces(data, media_type, facts))


def marked_pieces(data: bytes, media_type: str, facts: Provenance) -> Pieces:
    """Return what `marked` joins; nothing of *data* is copied.

    JPEG and PNG are marked. Left alone are other types, a picture that carries XMP or a C2PA
    manifest, and whatever is not whole and in order: no bytes make it raise. The prompt is left
    out while `imagegen.redaction.prompts_hidden`, and where it does not fit into a JPEG segment.
    """
    told = evolve(facts, prompt=None) if prompts_hidden() else facts
    if media_type == "image/jpeg":
        return _in_jpeg(data, told)
    return _in_png(data, told) if media_type == "image/png" else (data,)


@frozen
class _Part:
    """A segment or chunk: its marker or type, how its content begins, and where it ends."""

    kind: bytes
    head: bytes
    end: int


_HEAD = 80


def _inserted(data: bytes, place: int, addition: bytes) -> Pieces:
    return memoryview(data)[:place], addition, memoryview(data)[place:]


# JPEG

_PACKET_BYTES = 65_502
_APP1_NAME = b"http://ns.adobe.com/xap/1.0/\0"
_MARKER = re.compile(rb"\xff+([\xc0-\xcf\xd9-\xef\xfe])")
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_LEFT_ALONE: Mapping[bytes, tuple[bytes, ...]] = {
    b"\xe1": (b"http://ns.adobe.com/",),  # XMP, and its extension
    b"\xe2": (b"MPF\0",),  # the sizes of several pictures in one file
    b"\xeb": (b"",),  # C2PA, in JUMBF boxes
}


def _in_jpeg(data: bytes, facts: Provenance) -> Pieces:
    parts = _segments(data)
    if not parts or any(part.head.startswith(_LEFT_ALONE.get(part.kind, ())) for part in parts):
        return (data,)
    place = 2
    for part in parts:
        if part.kind not in (b"\xe0", b"\xe1"):  # JFIF and Exif insist on coming first
            break
        place = part.end
    return _inserted(data, place, _app1(facts))


def _app1(facts: Provenance) -> bytes:
    packet = _packet(facts)
    if len(packet) > _PACKET_BYTES:  # without the prompt, it is a few thousand at most
        packet = _packet(evolve(facts, prompt=None))
    content = _APP1_NAME + packet
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


def _segments(data: bytes) -> list[_Part]:
    """The segments from SOI to EOI; none if anything else is between them, or no scan."""
    parts, position = list[_Part](), 2
    while data.startswith(b"\xff\xd8") and len(parts) < SEGMENTS:
        marker = _MARKER.match(data, position)
        if marker is None:
            break
        if marker[1] == b"\xd9":
            return parts if any(part.kind == b"\xda" for part in parts) else []
        start = marker.end()
        length = int.from_bytes(data[start : start + 2], "big")
        position = start + length
        if position > len(data):
            break
        parts.append(_Part(marker[1], data[start + 2 : min(start + _HEAD, position)], position))
        if marker[1] == b"\xda":
            end = _SCAN_END.search(data, position)
            position = end.start() if end else len(data)
    return []


# PNG

_SIGNATURE_AND_HEADER = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
_AFTER_HEADER = 33
_XMP_KEYWORD = "XML:com.adobe.xmp"
_XMP_KEYWORDS = {_XMP_KEYWORD, "Raw profile type xmp", "Raw profile type APP1"}
_TEXT = (b"tEXt", b"zTXt", b"iTXt")


def _in_png(data: bytes, facts: Provenance) -> Pieces:
    parts = _chunks(data)
    keywords = {_keyword(part) for part in parts if part.kind in _TEXT}
    if not parts or keywords & _XMP_KEYWORDS or any(part.kind == b"caBX" for part in parts):
        return (data,)
    texts = [_text(_XMP_KEYWORD, _packet(facts))]
    for keyword, text in _keywords(facts).items():
        if text and keyword not in keywords:
            texts.append(_text(keyword, text.encode()))
    return _inserted(data, _AFTER_HEADER, b"".join(texts))


def _keywords(facts: Provenance) -> dict[str, str | None]:
    """Texts under the keywords that the PNG specification names."""
    return {
        "Description": facts.prompt,
        "Comment": facts.sentence,
        "Source": facts.system,
        "Software": _TOOL,
        "Creation Time": facts.created,
    }


def _keyword(part: _Part) -> str:
    return part.head.split(b"\0", 1)[0].decode("latin-1")


def _text(keyword: str, text: bytes) -> bytes:
    """An iTXt chunk: UTF-8, not compressed, in no named language."""
    body = b"iTXt" + keyword.encode("latin-1") + bytes(5) + text
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _chunks(data: bytes) -> list[_Part]:
    """The chunks from IHDR to IEND; none if anything else is between them."""
    parts, position = list[_Part](), 8
    while data.startswith(_SIGNATURE_AND_HEADER) and len(parts) < SEGMENTS:
        length = int.from_bytes(data[position : position + 4], "big")
        kind, start = data[position + 4 : position + 8], position + 8
        position = start + length + 4
        if position > len(data) or not kind.isalpha():
            break
        if kind == b"IEND":
            return parts if any(part.kind == b"IDAT" for part in parts) else []
        parts.append(_Part(kind, data[start : start + min(length, _HEAD)], position))
    return []


# XMP


def _packet(facts: Provenance) -> bytes:
    """An XMP packet, marked read-only: where it stands, it cannot grow."""
    names = "".join(f' xmlns:{prefix}="{name}"' for prefix, name in _NAMESPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="{_TOOL}"><rdf:RDF{names}>'
        f'<rdf:Description rdf:about="">\n{"".join(_properties(facts))}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta>\n<?xpacket end="r"?>'
    ).encode()


def _properties(facts: Provenance) -> Iterator[str]:
    texts = {
        "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPE,
        "Iptc4xmpExt:AISystemUsed": facts.system,
        "Iptc4xmpExt:AIPromptInformation": facts.prompt,
        "dc:identifier": facts.identifier,
        "xmp:CreatorTool": _TOOL,
        "xmp:CreateDate": facts.created,
        "imagegen:seed": None if facts.seed is None else str(facts.seed),
        "imagegen:requestId": facts.request_id,
    }
    for name, text in texts.items():
        if text:
            yield f"<{name}>{_escaped(text)}</{name}>\n"
    description = f"{facts.prompt}\n{facts.sentence}" if facts.prompt else facts.sentence
    yield (
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{_escaped(description)}'
        "</rdf:li></rdf:Alt></dc:description>\n"
    )


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def _escaped(text: str) -> str:
    """*text* as XML, in which a bare carriage return would be read as a line feed."""
    return text.translate(_ESCAPES)
