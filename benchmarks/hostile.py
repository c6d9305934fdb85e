"""What a hostile server can cost a client: seconds, and megabytes of memory at the peak.

Each bomb is served where it can come: as the answer to a submission of MiniMax (submit) or of
WaveSpeedAI (create), to a poll, or to a download; a fresh process attacks itself with it.
tests/drivers/test_hostile.py gives each once, and what only lies, and looks at the error.
"""

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import resource
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Self

from imagegen import (
    AsyncClient,
    Client,
    GeneratedImage,
    Generation,
    ImageGenError,
    ImageRequest,
    MiniMax,
    WaveSpeed,
)
from imagegen.drivers import Clock

OK = b"HTTP/1.1 200 OK\r\n"
MEGABYTE = 2**20
JOB_ID = "a-prediction"
WEIGHT = 120 * MEGABYTE
"""Bytes of the heaviest bodies, somewhat fewer than a client takes."""

Wire = Iterable[bytes]
"""Everything that the server writes to a connection, piece by piece."""


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> Wire:
    """Say *body* in plain HTTP."""
    length = b"Content-Length: %d" % len(body)
    yield b"\r\n".join((b"HTTP/1.1 " + status, length, *headers, b"", body))


def forever(start: bytes, piece: bytes) -> Wire:
    """Begin with *start* and go on with *piece*."""
    yield start
    pieces = piece * (65_536 // len(piece) or 1)
    while True:
        yield pieces


def many(start: bytes, piece: bytes, size: int, end: bytes) -> Wire:
    """Repeat *piece* until the body has about *size* bytes."""
    pieces = piece * (65_536 // len(piece) or 1)
    times = size // len(pieces)
    yield OK + b"Content-Length: %d\r\n\r\n" % (len(start) + len(pieces) * times + len(end))
    yield start
    yield from itertools.repeat(pieces, times)
    yield end


def squeezed(times: int, encoding: bytes, window: int) -> Wire:
    """Send zeros without end, compressed *times* times."""
    start, unit = b"", bytes(MEGABYTE)
    for _ in range(times):
        packer = zlib.compressobj(9, zlib.DEFLATED, window)
        start = packer.compress(start + unit) + packer.flush(zlib.Z_FULL_FLUSH)
        unit = packer.compress(unit) + packer.flush(zlib.Z_FULL_FLUSH)
    return forever(OK + b"Content-Encoding: " + encoding + b"\r\n\r\n" + start, unit)


def gzipped(data: bytes) -> bytes:
    """Compress *data* as one gzip member."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = b"Content-Encoding: gzip"
VALID = b'{"base_resp": {"status_code": 0}, "data": {"image_urls": ["https://h.example/a"]}}'

ENDLESS: dict[str, Callable[[], Wire]] = {
    "endless body": lambda: forever(OK + b"\r\n", b"x"),
    "body of 10^30 bytes": lambda: forever(
        OK + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n", b"x"
    ),
    "endless chunks": lambda: forever(CHUNKED, b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    "endless small chunks": lambda: forever(CHUNKED, b"2\r\nab\r\n"),
    "endless headers": lambda: forever(OK, b"a: b\r\n"),
    "endless header": lambda: forever(OK + b"a: ", b"b"),
    "endless trailers": lambda: forever(CHUNKED + b"0\r\n", b"a: b\r\n"),
    "endless chunk extension": lambda: forever(CHUNKED + b"2;a=", b"b"),
    "endless 100 Continue": lambda: forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless status line": lambda: forever(b"HTTP/1.1 200 ", b"O"),
    "gzip bomb": lambda: squeezed(1, b"gzip", 31),
    "gzip bomb in gzip": lambda: squeezed(2, b"gzip", 31),
    "gzip bomb in gzip in gzip": lambda: squeezed(3, b"gzip", 31),
    "gzip bomb in gzip, declared": lambda: squeezed(2, b"gzip, gzip", 31),
    "deflate bomb": lambda: squeezed(1, b"deflate", 15),
    "deflate bomb without a header": lambda: squeezed(1, b"deflate", -15),
    "endless bytes after gzip": lambda: forever(
        OK + GZIP + b"\r\n\r\n" + gzipped(VALID), b"x"
    ),
}  # fmt: skip

LIES: dict[str, Callable[[], Wire]] = {
    "nothing": lambda: [b""],
    "not HTTP": lambda: [b"\x00\xff\x16\x03 what is HTTP?\r\n\r\n"],
    "HTTP/0.9": lambda: [b"<html>It works!</html>"],
    "HTTP/2": lambda: [b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"],
    "HTTP/9.9": lambda: [b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
    "status 99": lambda: answer(VALID, status=b"99 What"),
    "status 1000": lambda: answer(VALID, status=b"1000 What"),
    "status 101": lambda: [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n" + VALID],
    "status 204 with a body": lambda: answer(VALID, status=b"204 No Content"),
    "status 304": lambda: answer(b"", status=b"304 Not Modified"),
    "redirect to nowhere": lambda: answer(b"", status=b"302 Found"),
    "header of 1 MB": lambda: answer(VALID, b"a: " + b"b" * MEGABYTE),
    "10,000 headers": lambda: answer(VALID, *[b"a%d: b" % k for k in range(10_000)]),
    "control characters in a header": lambda: answer(VALID, b"trace-id: a\x1b[2J\x07b"),
    "NUL in a header": lambda: answer(VALID, b"trace-id: a\x00b"),
    "carriage return in a header": lambda: answer(VALID, b"trace-id: a\rb: c"),
    "folded header": lambda: answer(VALID, b"trace-id: a\r\n b"),
    "header that is no text": lambda: answer(VALID, b"trace-id: \xff\xfe\xed\xa0\x80"),
    "Content-Length too long": lambda: [OK + b"Content-Length: 9999\r\n\r\n" + VALID[:40]],
    "Content-Length too short": lambda: [OK + b"Content-Length: 9\r\n\r\n" + VALID],
    "Content-Length below zero": lambda: [OK + b"Content-Length: -9\r\n\r\n" + VALID],
    "Content-Length of words": lambda: [OK + b"Content-Length: many\r\n\r\n" + VALID],
    "two Content-Lengths": lambda: answer(VALID, b"Content-Length: 9"),
    "Content-Length and chunks": lambda: answer(VALID, b"Transfer-Encoding: chunked"),
    "chunk of size zz": lambda: [CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"],
    "chunk of size 16^30": lambda: [CHUNKED + b"f" * 30 + b"\r\n{}\r\n0\r\n\r\n"],
    "chunk that breaks off": lambda: [CHUNKED + b"ff\r\n" + VALID[:40]],
    "gzip that is none": lambda: answer(VALID, GZIP),
    "gzip that breaks off": lambda: answer(gzipped(VALID)[:-9], GZIP),
    "gzip of gzip": lambda: answer(gzipped(gzipped(VALID)), GZIP),
    "gzip of 10,000 layers": lambda: answer(VALID, b"Content-Encoding: " + b"gzip," * 10_000),
    "an unknown compression": lambda: answer(VALID, b"Content-Encoding: br"),
    "Retry-After of 10^99": lambda: answer(
        b"", b"Retry-After: 1" + b"0" * 99, status=b"403 Forbidden"
    ),
}  # fmt: skip
"""Answers that are not what HTTP, or their own headers, say."""

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x3b\x9a\xca\x00\x3b\x9a\xca\x00\x08\x02\x00\x00\x00"
"""The beginning of a picture of 10^9 x 10^9 pixels."""
ODD = (
    b"",
    b"null",
    b"true",
    b"0",
    b'"text"',
    b"[]",
    b"{}",
    b"[[[]]]",
    b'{"code": "200", "data": "x", "base_resp": "x"}',
    b'{"code": [], "data": [], "base_resp": []}',
    b'{"code": 200, "data": {"id": 7, "status": "created"}}',
    b'{"code": 200, "data": {"id": "", "status": "created"}}',
    b'{"code": 200, "data": {"id": "..", "status": "created"}}',
    b'{"code": 200, "data": {"id": "a-prediction", "status": "completed", "outputs": 7}}',
    b'{"code": 200, "data": {"id": "a-prediction", "status": "completed", "outputs": [7, null]}}',
    b'{"code": 200, "data": {"id": "a-prediction", "status": "failed", "error": {"a": []}}}',
    b'{"base_resp": {"status_code": 0}, "data": {"image_urls": 7}}',
    b'{"base_resp": {"status_code": 0}, "data": {"image_urls": [7, null, {}, []]}}',
    b'{"base_resp": {"status_code": 0}, "metadata": 7, "id": {}, "data": null}',
    b'{"base_resp": {"status_code": 1e400}}',
    b'{"base_resp": {"status_code": [], "status_msg": {}}}',
)
JSON: dict[str, Callable[[], Wire]] = {
    "10 million zeros": lambda: many(b"[", b"0,", 20 * MEGABYTE, b"0]"),
    "empty arrays": lambda: many(b"[", b"[],", WEIGHT, b"0]"),
    "short strings": lambda: many(b"[", b'"ab",', WEIGHT, b"0]"),
    "fractions": lambda: many(b"[", b"0.1,", WEIGHT, b"0]"),
    "members": lambda: many(b"{", b'"a":0,', WEIGHT, b'"b":0}'),
    "one string": lambda: many(b'{"message":"', b"a", WEIGHT, b'"}'),
    "one string of escapes": lambda: many(b'{"message":"', b"\\u00e9", WEIGHT, b'"}'),
    "base64 of no picture": lambda: many(
        b'{"base_resp":{"status_code":0},"data":{"image_base64":["', b"AAAA", WEIGHT, b'"]}}'
    ),
    "base64 of a picture": lambda: many(
        b'{"base_resp":{"status_code":0},"data":{"image_base64":["' + base64.b64encode(PNG),
        b"AAAA", WEIGHT, b'"]}}',
    ),
    "deep arrays": lambda: many(b"", b"[", MEGABYTE, b"]"),
    "deep objects": lambda: many(b"", b'{"a":', MEGABYTE, b"0}"),
    "a million digits": lambda: answer(b'{"code":' + b"1" * 1_000_000 + b"}"),
    "a fraction of a million digits": lambda: answer(b'{"code":0.' + b"1" * 1_000_000 + b"}"),
    "exponent of 10^9": lambda: answer(b'{"code":1e999999999}'),
    "NaN": lambda: answer(b'{"code":NaN}'),
    "Infinity": lambda: answer(b'{"code":-Infinity}'),
    "lone surrogate": lambda: answer(b'{"message":"\\ud800"}'),
    "invalid UTF-8": lambda: answer(b'{"message":"\xff\xed\xa0\x80"}'),
    "UTF-16": lambda: answer('{"code":200}'.encode("utf-16")),
}  # fmt: skip
WRONG = {f"wrong type {k}": partial(answer, text) for k, text in enumerate(ODD)}

PICTURES: dict[str, Callable[[], Wire]] = {
    "PNG of 10^9 x 10^9": lambda: answer(PNG),
    "PNG that breaks off": lambda: answer(PNG[:20]),
    "JPEG that breaks off": lambda: answer(b"\xff\xd8\xff\xc0\x00\x11\x08\xff"),
    "JPEG of fill bytes": lambda: many(b"\xff\xd8\xff", b"\xff", 60 * MEGABYTE, b""),
    "JPEG of empty segments": lambda: many(
        b"\xff\xd8", b"\xff\xe0\x00\x02", 60 * MEGABYTE, b""
    ),
    "WebP that breaks off": lambda: answer(b"RIFF\x00\x00\x00\x00WEBPVP8X"),
    "SVG": lambda: answer(b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "HTML": lambda: answer(b"<!doctype html><title>A fox</title>"),
    "no byte": lambda: answer(b""),
}  # fmt: skip

COSTLY = {
    "submit": ENDLESS | JSON,
    "create": JSON,
    "poll": JSON,
    "download": ENDLESS | PICTURES,
}
"""What is large or endless, by step. (How an answer is read does not depend on the call.)"""
BOMBS = {
    "submit": COSTLY["submit"] | LIES | WRONG,
    "create": COSTLY["create"] | LIES | WRONG,
    "poll": COSTLY["poll"] | LIES | WRONG,
    "download": COSTLY["download"] | LIES,
}

HARMLESS = b'{"code": 200, "data": {"id": "%s", "status": "created"}}' % JOB_ID.encode()


class Hostile:
    """A server on this machine that gives *bomb* for an answer at *step*."""

    def __init__(self, step: str, bomb: Callable[[], Wire]) -> None:
        self._step = step
        self._bomb = bomb
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            first, length = stream.readline(), 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            stream.read(length)
            before = self._step == "poll" and first.startswith(b"POST")
            for piece in answer(HARMLESS) if before else self._bomb():
                connection.sendall(piece)


class Restless(Clock):
    """A clock that does not pause before a free call is tried again."""

    def sleep(self, seconds: float) -> None:
        """Do not."""

    async def asleep(self, seconds: float) -> None:  # noqa: ARG002 - as it is called
        """Only let others run."""
        await asyncio.sleep(0)


def attacked(step: str, flavour: str, origin: str, timeout: float) -> Generation:
    """Do with the ``"sync"`` or ``"async"`` client what makes the server give its answer.

    Raises:
        ImageGenError: as it should, unless pictures came, or only a download failed.
    """
    key = "made-up-key-of-a-test"
    backends = [
        MiniMax(api_key=key, base_url=origin),
        WaveSpeed(api_key=key, base_url=origin, first_poll=0.01, poll_failures=0),
    ]
    options: Any = {"timeout": timeout, "retries": None, "clock": Restless()}

    async def awaited() -> Generation:
        async with AsyncClient(backends, **options) as client:
            return await _asked(client, step, origin)  # type: ignore[no-any-return]

    if flavour == "async":
        return asyncio.run(awaited())
    with Client(backends, **options) as client:
        return _asked(client, step, origin)  # type: ignore[no-any-return]


def _asked(client: Any, step: str, origin: str) -> Any:
    request = ImageRequest("a fox", size="1024x1024")
    if step == "download":
        image = GeneratedImage(url=f"{origin}/fox.jpg")
        made = Generation(images=(image,), provider="minimax", model="image-01", request=request)
        return client.fetch(made)
    model = "minimax:image-01" if step == "submit" else "wavespeed:minimax/image-01"
    return client.generate(request, model=model)


def bounded(step: str, flavour: str, origin: str, timeout: float, megabytes: int) -> None:
    """Print how an attack on this process ended, its seconds, and megabytes of memory it took."""
    with Hostile(step, lambda: answer(VALID)) as harmless, contextlib.suppress(ImageGenError):
        attacked(step, flavour, harmless.origin, timeout)
    if megabytes:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no file to speak of
            now = int(file.read().split()[0]) * resource.getpagesize()
        most = now + megabytes * MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        made = attacked(step, flavour, origin, timeout)
        outcome = made.notices[0].message if made.notices else repr(made.images[0])
    except ImageGenError as error:
        outcome = f"{type(error).__name__}: {error.message[:300]}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([outcome, time.monotonic() - started, grown]))


def in_a_process(
    step: str, name: str, flavour: str, timeout: float, megabytes: int = 0
) -> tuple[str, float, float]:
    """Attack a fresh process that may take *megabytes* more memory; 0: what it likes.

    Returns the outcome, the seconds, and the megabytes that it took.
    """
    with Hostile(step, BOMBS[step][name]) as server:
        what = [step, flavour, server.origin, str(timeout), str(megabytes)]
        command = [sys.executable, __file__, "--within", *what]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    outcome, seconds, grown = json.loads(done.stdout)
    return outcome, seconds, grown


def main() -> None:
    """Print what each bomb costs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--timeout", type=float, default=5.0, help="seconds for each call")
    options.add_argument("--within", nargs=5, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.within:
        step, flavour, origin, timeout, megabytes = given.within
        bounded(step, flavour, origin, float(timeout), int(megabytes))
        return
    print(f"{'':52}{'seconds':>8}{'MB':>6}")
    for step, bombs in COSTLY.items():
        for name, flavour in itertools.product(bombs, ("sync", "async")):
            outcome, seconds, grown = in_a_process(step, name, flavour, given.timeout)
            what = f"{step}, {flavour}: {name}"
            print(f"{what:52}{seconds:8.2f}{grown:6.0f}  {outcome[:60]}", flush=True)


if __name__ == "__main__":
    main()
