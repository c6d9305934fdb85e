"""A body is bounded, before and after decompression."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import httpx
import pytest
from hypothesis import given, strategies as st

from imagegen import MiniMax
from imagegen.client import Client
from imagegen.drivers.body import Body, BodyError

JSON = b'{"id": "0123abcd"}'
PACKED = gzip.compress(JSON, mtime=0)
"""Without the time of day: test names have to be the same in every process."""


def whole(encoding: str, data: bytes, limit: int = 1000) -> bytes:
    body = Body(encoding, limit)
    for start in range(0, len(data), 7):
        body.add(data[start : start + 7], late=False)
    return body.joined()


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("", JSON),
        ("identity", JSON),
        ("gzip", PACKED),
        (" GZIP ", PACKED),
        ("deflate", zlib.compress(JSON)),
    ],
)
def test_a_body_is_read_as_its_header_says(encoding: str, data: bytes) -> None:
    assert whole(encoding, data) == JSON


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x" * 999])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(BodyError, match="not asked for"):
        Body(encoding, 1000)


@pytest.mark.parametrize("data", [b"", b"x", JSON, PACKED[:-9]])
def test_what_is_not_compressed_as_the_header_says_is_refused(data: bytes) -> None:
    with pytest.raises(BodyError):
        whole("gzip", data)


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_body_of_the_limit_is_taken_and_one_more_byte_is_not(encoding: str) -> None:
    def packed(size: int) -> bytes:
        return gzip.compress(b"a" * size) if encoding else b"a" * size

    assert len(whole(encoding, packed(500), 500)) == 500
    with pytest.raises(BodyError, match="larger"):
        whole(encoding, packed(501), 500)


def test_a_compressed_flood_takes_no_more_memory_than_the_limit() -> None:
    flood = gzip.compress(gzip.compress(b"\0" * 200_000_000)[:100] + b"\0" * 100_000_000)
    tracemalloc.start()
    with pytest.raises(BodyError, match="larger"):
        whole("gzip", flood, 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_a_chunk_after_a_late_one_is_too_late() -> None:
    body = Body("", 100)
    body.add(b"a", late=True)
    assert body.joined() == b"a"
    with pytest.raises(BodyError, match="deadline"):
        body.add(b"b", late=True)


@given(st.binary(max_size=300), st.sampled_from(["", "gzip", "deflate"]))
def test_any_bytes_are_taken_or_refused(data: bytes, encoding: str) -> None:
    try:
        assert len(whole(encoding, data)) <= 1000
    except BodyError:
        assert encoding


def test_a_paid_answer_that_a_proxy_compressed_is_not_lost() -> None:
    answer = (
        b'{"id": "ab", "data": {"image_urls": ["https://h.example/a.jpeg"]}, '
        b'"base_resp": {"status_code": 0}}'
    )
    headers = {"content-encoding": "gzip"}

    class Proxy(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            stream = httpx.ByteStream(gzip.compress(answer))
            return httpx.Response(200, headers=headers, stream=stream)

    with Client([MiniMax(api_key="any")], transport=Proxy()) as client:
        assert len(client.generate("a fox").images) == 1
