"""Whatever a server answers, the caller gets a typed error or a result, in time and in bounds.

The answers are those of benchmarks/hostile.py, which measures what they cost.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from imagegen import ImageRequest, MiniMax, WaveSpeed
from imagegen.drivers.body import Body
from imagegen.errors import (
    ConfigurationError,
    ImageGenError,
    InvalidRequestError,
    SubmissionUnknownError,
)
from scripts import loaded

TIMEOUT = 1.0
LATE = 1.5
"""Seconds that a busy machine may take to notice, and to read what came in time."""


bench = loaded("benchmarks.hostile")
silence = loaded("benchmarks.deadline")
EVERYTHING = [
    pytest.param(step, name, flavour, id=f"{step}-{name}-{flavour}")
    for step, bombs in bench.BOMBS.items()
    for name, flavour in product(bombs, ("sync", "async"))
]


@pytest.fixture(params=["sync", "async"])
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def outcome(
    step: str, flavour: str, bomb: Callable[[], Iterable[bytes]], timeout: float = TIMEOUT
) -> Any:
    """What came of an attack: a Generation or an ImageGenError. Anything else is raised."""
    with bench.Hostile(step, bomb) as server:
        started = time.monotonic()
        try:
            came = bench.attacked(step, flavour, server.origin, timeout)
        except ImageGenError as error:
            came = error
        assert time.monotonic() - started < timeout + LATE
        return came


@pytest.mark.parametrize(("step", "name", "flavour"), EVERYTHING)
def test_whatever_is_answered_is_a_typed_error_or_a_result(
    step: str, name: str, flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "WEIGHT", 4 * bench.MEGABYTE)
    came = outcome(step, flavour, bench.BOMBS[step][name])
    if step == "poll":
        assert came.job.id == bench.JOB_ID
    elif step == "download":
        (image,) = came.images
        assert image.url
        assert image.data is None or name in bench.PICTURES
    elif isinstance(came, ImageGenError):
        assert came.charged != "no" or came.status == 403 or came.job
    else:
        assert all(image.url or image.data for image in came.images)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    head=st.sampled_from([b"", bench.OK, bench.CHUNKED, bench.OK + bench.GZIP + b"\r\n\r\n"]),
    rest=st.binary(max_size=200),
    step=st.sampled_from(sorted(bench.BOMBS)),
)
def test_whatever_bytes_are_answered_are_a_typed_error_or_a_result(
    flavour: str, head: bytes, rest: bytes, step: str
) -> None:
    came = outcome(step, flavour, lambda: [head + rest])
    assert isinstance(came, ImageGenError) or step == "download"


# Memory


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is counted from /proc")
@pytest.mark.parametrize("flavour", ["sync", "async"])
@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("submit", "endless body"),
        ("submit", "gzip bomb"),
        ("submit", "base64 of no picture"),
        ("submit", "empty arrays"),
        ("poll", "one string"),
        ("download", "JPEG of fill bytes"),
    ],
)
def test_the_worst_fits_into_a_bounded_memory(step: str, name: str, flavour: str) -> None:
    said, seconds, _ = bench.in_a_process(step, name, flavour, 5.0, megabytes=640)
    assert "Memory" not in said
    assert seconds < 5.0 + LATE


def test_small_chunks_take_hardly_more_memory_than_what_they_hold() -> None:
    body = Body("", 2**20)
    tracemalloc.start()
    for _ in range(200_000):
        body.add(bytes(bytearray(b"ab")), late=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


# Where to a download may be sent on


class Elsewhere:
    """A server of this machine's network that nobody may ask."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)  # noqa: FBT003 - as the socket wants it
        self.port = self.listener.getsockname()[1]

    @property
    def asked(self) -> bool:
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


LOCATIONS = [
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://localhost/",
    "http://localhost.:{port}/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://0.0.0.0/",
    "http://cdn.example:{port}/",
    "http://me:secret@93.184.216.34/",
    "http://[::1",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "javascript:alert(1)",
    "/fox.jpg",
    "/" + "x" * 9000,
    "https://" + "a" * 70_000,
]


@pytest.mark.parametrize("location", LOCATIONS, ids=[text[:40] for text in LOCATIONS])
@pytest.mark.parametrize("status", [b"302 Found", b"308 Permanent"])
def test_a_download_is_sent_on_to_no_private_place_and_not_for_ever(
    flavour: str, location: str, status: bytes
) -> None:
    elsewhere = Elsewhere()
    target = b"Location: " + location.format(port=elsewhere.port).encode()
    came = outcome("download", flavour, lambda: bench.answer(b"", target, status=status))
    assert came.images[0].data is None
    assert "could not be fetched" in came.notices[0].message
    assert not elsewhere.asked
    elsewhere.listener.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1"])
def test_a_download_is_sent_on_to_no_name_of_a_private_place(
    flavour: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host == "cdn.example":
            return [(2, 1, 6, "", ("93.184.216.34", port)), (2, 1, 6, "", (address, port))]
        return real(host, port, *args, **options)

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    # Closed in words too: else the next try may meet a connection that is just being closed.
    target = (b"Location: https://cdn.example/fox.jpg", b"Connection: close")
    came = outcome("download", flavour, lambda: bench.answer(b"", *target, status=b"302 Found"))
    assert came.images[0].data is None
    assert "not public" in came.notices[0].message


# Who it is that answers


def test_a_server_with_another_s_certificate_gets_no_byte_of_a_request(kit: Any) -> None:
    got: list[bytes] = []

    def behave(_: Any, connection: socket.socket) -> None:
        got.append(connection.recv(65_536))

    with silence.Peer(silence.over_tls(behave)) as peer:
        backend = MiniMax(api_key="made-up", base_url=f"https://127.0.0.1:{peer.port}")
        with pytest.raises(ConfigurationError, match="certificate") as caught:
            kit.desk([backend], retries=None).generate("a fox", timeout=10)
    assert caught.value.charged == "no"
    assert got == []


# Answers that come early, or only in part


def test_an_answer_before_the_request_was_read_is_understood_or_of_unknown_outcome(
    kit: Any,
) -> None:
    def behave(_: Any, connection: socket.socket) -> None:
        refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        connection.recv(1)
        connection.sendall(refusal)
        raise OSError

    with silence.Peer(behave) as peer:
        backend = MiniMax(api_key="made-up", base_url=f"http://127.0.0.1:{peer.port}")
        with pytest.raises((InvalidRequestError, SubmissionUnknownError)):
            kit.desk([backend], retries=None).generate(silence.LARGE, timeout=10)


BEGINNING = b'{"code": 200, "data": {"id": "%s", "status": "crea' % bench.JOB_ID.encode()
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
COMPLETED = (
    b'{"code": 200, "data": {"id": "%s", "status": "completed", '
    b'"outputs": ["https://h.example/a.jpg"]}}' % bench.JOB_ID.encode()
)


def closes(_: Any, connection: socket.socket) -> None:
    connection.sendall(LONG + BEGINNING)
    connection.shutdown(socket.SHUT_RDWR)


def resets(_: Any, connection: socket.socket) -> None:
    connection.sendall(LONG + BEGINNING)
    time.sleep(0.1)  # what has not been read is lost with the reset
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError


def sends_a_bad_chunk(_: Any, connection: socket.socket) -> None:
    connection.sendall(bench.CHUNKED + b"%x\r\n%s\r\nzz\r\n" % (len(BEGINNING), BEGINNING))


def sends_too_much(_: Any, connection: socket.socket) -> None:
    for piece in bench.forever(bench.OK + b"\r\n" + BEGINNING, b"x"):
        connection.sendall(piece)


def breaks_gzip_off(_: Any, connection: socket.socket) -> None:
    packed = bench.gzipped(BEGINNING + b" " * 9000)[:-8]
    connection.sendall(bench.OK + bench.GZIP + b"\r\n\r\n" + packed)
    connection.shutdown(socket.SHUT_RDWR)


def falls_silent(peer: Any, connection: socket.socket) -> None:
    connection.sendall(LONG + BEGINNING)
    peer.stop.wait()


def accepts(break_off: Callable[[Any, socket.socket], None]) -> Any:
    """A server that accepts a submission, breaks off its answer, and is well when polled."""

    def behave(peer: Any, connection: socket.socket) -> None:
        for first in silence.requests(connection):
            if first.startswith(b"GET"):
                connection.sendall(b"".join(bench.answer(COMPLETED)))
                continue
            break_off(peer, connection)

    return silence.Peer(behave)


def desk_at(kit: Any, port: int) -> Any:
    backend = WaveSpeed(api_key="made-up", base_url=f"http://127.0.0.1:{port}", first_poll=0.01)
    return kit.desk([backend], retries=None)


@pytest.mark.parametrize(
    "break_off", [closes, resets, sends_a_bad_chunk, sends_too_much, breaks_gzip_off]
)
def test_a_paid_id_is_kept_though_its_answer_breaks_off(kit: Any, break_off: Any) -> None:
    with accepts(break_off) as peer:
        made = desk_at(kit, peer.port).generate("a fox", timeout=10)
    assert made.job.id == bench.JOB_ID
    assert made.images[0].url == "https://h.example/a.jpg"


def test_a_paid_id_is_kept_though_the_deadline_comes_before_its_answer_s_end(kit: Any) -> None:
    with accepts(falls_silent) as peer:
        desk = desk_at(kit, peer.port)
        job = desk.submit("a fox", timeout=0.3)
        assert desk.result(job, timeout=10).images
    assert job.id == bench.JOB_ID


def test_pictures_that_are_paid_for_are_kept_though_more_was_announced(flavour: str) -> None:
    came = outcome("submit", flavour, lambda: [LONG + bench.VALID])
    assert came.images[0].url == "https://h.example/a"


def test_an_answer_without_an_id_tells_why_it_breaks_off(kit: Any) -> None:
    def behave(_: Any, connection: socket.socket) -> None:
        next(silence.requests(connection))
        connection.sendall(LONG + b'{"code": 200, "da')
        connection.shutdown(socket.SHUT_RDWR)

    with silence.Peer(behave) as peer, pytest.raises(SubmissionUnknownError) as caught:
        desk_at(kit, peer.port).submit(ImageRequest("a fox"), timeout=10)
    assert "breaks off" in caught.value.message
    assert "RemoteProtocolError" in caught.value.message
    assert caught.value.charged == "unknown"
