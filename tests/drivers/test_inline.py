"""Long strings of base64 are taken out of JSON as it comes, and nothing else is changed."""

from __future__ import annotations

import base64
import gzip
import json
import re
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from imagegen import codec
from imagegen.drivers import inline
from imagegen.drivers.body import Body, BodyError
from imagegen.drivers.inline import LONG, Sieve
from imagegen.errors import MalformedReplyError

SHORT = 8
LETTERS = base64.b64encode(bytes(range(256)) * 64)
"""More than long enough, and not padded to a multiple of anything."""
MANY = settings(deadline=None, max_examples=500)


@contextmanager
def short() -> Iterator[None]:
    """Take strings out from 8 letters on, so that small examples get into every corner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline, "LONG", SHORT)
        patch.setattr(inline, "_BLOCK", 6)
        for name in ("_BEGINS", "_RUN"):
            long = getattr(inline, name).pattern
            patch.setattr(inline, name, re.compile(long.replace(b"%d" % LONG, b"%d" % SHORT)))
        yield


def pieces(whole: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield whole[at : at + size]
        at += size
    yield whole[at:]


def sieved(whole: bytes, sizes: Iterable[int] = ()) -> tuple[bytes, dict[str, bytes]]:
    pictures: dict[str, bytes] = {}
    sieve = Sieve(pictures)
    for piece in pieces(whole, sizes):
        sieve.write(piece)
    return sieve.getvalue(), pictures


def spelt(text: bytes, pictures: dict[str, bytes]) -> bytes:
    """The text with base64 again in the place of each name."""
    for name, data in pictures.items():
        assert text.count(b'"%s' % name.encode()) == 1
        text = text.replace(name.encode(), base64.b64encode(data))
    return text


def read(text: bytes, pictures: dict[str, bytes] | None = None) -> Any:
    """What a backend reads, as it would read the same without a sieve."""
    try:
        return in_words(codec.decode(text, pictures=pictures))
    except MalformedReplyError:
        return MalformedReplyError


def in_words(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [in_words(item) for item in value]
    if isinstance(value, dict):
        return {name: in_words(item) for name, item in value.items()}
    return value


# Whatever comes

SIZES = st.lists(st.integers(0, 12), max_size=40)
WORDS = (
    st.binary(max_size=24).map(lambda data: base64.b64encode(data).decode())
    | st.text("Az09+/", max_size=24)
    | st.text('Az09+/=-_\\" \n\té\ud800', max_size=24)
    | st.builds("{}{}".format, st.text("A", min_size=SHORT, max_size=12), st.text('="\\ B/'))
    | st.text(max_size=12)
)
DOCUMENTS = st.recursive(
    WORDS | st.integers(10**9, 10**20) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
PIECES = ('\\"', "\\\\", "/+9z", "AAAAAAAA", "AAAAAAAAAA==", "==", "<picture ")
SOUP = st.lists(
    st.sampled_from([piece.encode() for piece in (*'"""\\\\A=[]{},: \n1é', *PIECES)] + [b"\xff"])
    | st.binary(max_size=18).map(base64.b64encode),
    max_size=40,
).map(b"".join)


@MANY
@given(value=DOCUMENTS, sizes=SIZES, plain=st.booleans(), slashes=st.booleans())
def test_any_document_in_any_pieces_is_read_as_without_a_sieve(
    value: Any, sizes: list[int], *, plain: bool, slashes: bool
) -> None:
    text = json.dumps(value, ensure_ascii=not plain, separators=(",", ":") if plain else None)
    whole = (text.replace("/", "\\/") if slashes else text).encode("utf-8", "surrogatepass")
    with short():
        assert read(*sieved(whole, sizes)) == read(whole)


@MANY
@given(whole=SOUP, sizes=SIZES)
def test_of_any_bytes_in_any_pieces_nothing_is_lost(whole: bytes, sizes: list[int]) -> None:
    with short():
        text, pictures = sieved(whole, sizes)
        at_once = sieved(whole)
    assert spelt(text, pictures) == whole
    assert read(text, pictures) == read(whole)
    assert list(at_once[1].values()) == list(pictures.values())


ESCAPES = (
    '"AAAAAAAAAAAA',
    'a"AAAAAAAAAAAA',
    'AAAAAAAA"AAAAAAAAAAAA',
    "AAAAAAAA\\AAAAAAAA",
    "\\",
    "\\AAAAAAAAAAAA",
    'AAAAAAAAA\\"AAAAAAAAAAAA',
    "AAAAAAAAAAAAAA",
)


@pytest.mark.parametrize("value", ESCAPES)
def test_a_string_with_escapes_cut_anywhere_is_read_as_without_a_sieve(value: str) -> None:
    whole = json.dumps([value, {value: value}]).encode()
    with short():
        for at in range(len(whole)):
            assert read(*sieved(whole, [at])) == json.loads(whole)
            assert read(*sieved(whole, [at, 1, 1, 1])) == json.loads(whole)


@settings(deadline=None, max_examples=100)
@given(whole=SOUP, size=st.integers(1, 9), encoding=st.sampled_from(["", "gzip", "deflate"]))
def test_a_body_that_breaks_off_anywhere_is_kept_as_far_as_it_came(
    whole: bytes, size: int, encoding: str
) -> None:
    pack: Any = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    packed = pack(whole)
    plain, sieving = Body(encoding, 9999), Body(encoding, 9999, pictures=True)
    with short():
        for start in range(0, len(packed) - 1, size):
            piece = packed[start : start + size]
            plain.add(piece, late=False)
            sieving.add(piece, late=False)
        assert spelt(sieving.so_far(), sieving.pictures) == plain.so_far()


# What is taken out


@pytest.mark.parametrize("size", [12_288, 12_289, 12_290, 300_000])
@pytest.mark.parametrize("chunk", [1000, 16_385, 65_536, 10**6])
def test_a_long_string_of_base64_is_taken_out(size: int, chunk: int) -> None:
    data = bytes(range(250)) * 1200
    data = data[:size]
    whole = json.dumps({"id": "7", "outputs": [base64.b64encode(data).decode()] * 2}).encode()
    text, pictures = sieved(whole, [chunk] * 400)
    assert list(pictures.values()) == [data, data]
    assert len(text) < 200
    assert codec.decode(text, pictures=pictures) == {"id": "7", "outputs": [data, data]}


@pytest.mark.parametrize(("letters", "taken"), [(4, 0), (8, 1), (12, 1), (24, 1)])
def test_where_a_string_stands_and_is_cut_is_no_matter(letters: int, taken: int) -> None:
    for before in range(2 * SHORT):
        whole = b'[%s"%s"]' % (b" " * before, b"A" * letters)
        with short():
            assert {len(sieved(whole, [at])[1]) for at in range(len(whole))} == {taken}


@pytest.mark.parametrize(
    "string",
    [
        LETTERS[: LONG - 4],
        LETTERS[: LONG - 1] + b"=",
        LETTERS[: LONG + 1],
        LETTERS[: LONG + 2],
        LETTERS[: LONG + 3],
        LETTERS[: LONG + 2] + b"=",
        LETTERS[:LONG] + b"=",
        LETTERS[:LONG] + b"====",
        LETTERS[:LONG] + b"AA==AAAA",
        LETTERS[:LONG] + b"AAAA====AAAA",
        LETTERS[:LONG] + b"AB==",
        LETTERS[:LONG] + b"AAB=",
        LETTERS[:LONG] + b"A-_A",
        LETTERS[:LONG] + b"\\/AAA",
        LETTERS[:LONG] + b"\\n" + LETTERS[:LONG],
        LETTERS[:LONG] + b"\\u0041AAA",
        LETTERS[:LONG] + b'\\"' + LETTERS[:LONG],
        LETTERS[:LONG] + b" " + LETTERS[:LONG],
        LETTERS[:LONG] + "é".encode(),
        b'\\"' + LETTERS[:LONG],
        b"\\\\" + LETTERS[:LONG],
        b"data:image/png;base64," + LETTERS[:LONG],
        b" " + LETTERS[:LONG],
    ],
    ids=range(23),
)
@pytest.mark.parametrize("chunk", [977, 65_536])
def test_what_is_not_base64_from_quote_to_quote_stays_as_it_came(string: bytes, chunk: int) -> None:
    whole = b'{"a": "%s", "b": ["%s"]}' % (string, string)
    text, pictures = sieved(whole, [chunk] * 200)
    assert (text, pictures) == (whole, {})


def test_the_name_of_a_field_stays_a_name() -> None:
    whole = b'{"%s": {"%s": "%s"}}' % ((LETTERS[:LONG],) * 3)
    words = LETTERS[:LONG].decode()
    text, pictures = sieved(whole)
    assert codec.decode(text, pictures=pictures) == {words: {words: base64.b64decode(words)}}


def test_digits_outside_of_a_string_are_no_base64() -> None:
    whole = b'["a",%s,"b"]' % (b"1" * 2 * LONG)
    assert sieved(whole, [100] * 400) == (whole, {})


def test_nobody_can_know_the_name_of_a_picture_beforehand() -> None:
    whole = b'["%s"]' % LETTERS[:LONG]
    (one,), (other,) = sieved(whole)[1], sieved(whole)[1]
    assert one != other
    forged = b'["%s", "%s"]' % (one.encode(), LETTERS[:LONG])
    text, pictures = sieved(forged)
    assert codec.decode(text, pictures=pictures) == [one, base64.b64decode(LETTERS[:LONG])]


def test_the_names_count_as_little_as_other_text_against_the_bounds_of_a_reply() -> None:
    text, pictures = sieved(b'["%s"]' % LETTERS[:LONG])
    (name,) = pictures
    assert not set(name) & set('[{,"\\')
    assert text == b'["%s"]' % name.encode()


# Memory


def peak(body: Body, chunks: Iterable[bytes]) -> int:
    """Bytes that are held at most while *chunks* are taken and joined."""
    tracemalloc.start()
    try:
        for chunk in chunks:
            body.add(chunk, late=False)
        body.joined()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def cut(whole: bytes) -> list[bytes]:
    return [whole[start : start + 65_536] for start in range(0, len(whole), 65_536)]


@pytest.mark.parametrize("letters", [LONG, 2**20, 8 * 2**20])
def test_pictures_take_the_memory_of_their_bytes_and_never_that_of_their_text(letters: int) -> None:
    string = base64.b64encode(bytes(letters // 4 * 3))
    whole = b"[%s]" % b",".join([b'"%s"' % string] * (8 * 2**20 // letters))
    body = Body("", len(whole), pictures=True)
    assert peak(body, cut(whole)) < 0.9 * len(whole)
    assert sum(map(len, body.pictures.values())) >= 6 * 2**20


def test_a_body_without_pictures_is_held_once() -> None:
    chunks = cut(bytes(8 * 2**20))
    assert peak(Body("", 8 * 2**20), chunks) < 1.2 * 8 * 2**20


def test_a_payload_without_end_is_bounded_by_the_limit() -> None:
    body = Body("", 4 * 2**20, pictures=True)
    body.add(b'{"id": "7", "outputs": ["', late=False)
    tracemalloc.start()
    for _ in range(63):
        body.add(b"A" * 65_536, late=False)
    with pytest.raises(BodyError, match="larger"):
        body.add(b"A" * 65_536, late=False)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 4 * 2**20
    assert body.so_far().startswith(b'{"id": "7", "outputs": ["AAAA')
    assert 4 * 2**20 - 65_536 <= len(body.so_far()) <= 4 * 2**20


def test_payloads_that_break_again_and_again_stay_as_they_came() -> None:
    broken = b'"%s\\' % LETTERS[:LONG]
    whole = broken * 200
    assert sieved(whole, [64] * (len(whole) // 64)) == (whole, {})


def test_a_body_may_come_letter_by_letter() -> None:
    whole = b'["%s","%s"]' % (LETTERS[: LONG - 1], LETTERS[:LONG])
    text, pictures = sieved(whole, [1] * len(whole))
    assert spelt(text, pictures) == whole
    assert len(pictures) == 1
