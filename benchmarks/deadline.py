"""How long after its deadline a call ends, whatever hangs: each step, both clients, real sockets.

The time is that of the whole call: from making the client, over its closing, to the end of
`asyncio.run`. tests/drivers/test_deadline.py runs each case once.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import ssl
import statistics
import tempfile
import threading
import time
import timeit
from collections.abc import Callable, Generator, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Self
from unittest import mock

from attrs import frozen

from imagegen import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    GeneratedImage,
    Generation,
    ImageGenError,
    ImageRequest,
    MiniMax,
    SubmissionUnknownError,
    WaveSpeed,
    net,
)
from imagegen.limits import Limits
from imagegen.net.engine import Engine
from imagegen.net.resolver import looked_up

JOB_ID = "prediction-that-hangs"
FOX = ImageRequest("a fox")
LARGE = ImageRequest("a fox", provider_options={"minimax": {"note": "x" * 8_000_000}})
"""No socket's buffer takes it whole."""
TWO_PARTS = ImageRequest("a fox", n=18)
"""Two submissions."""
PAUSE = 0.02
"""Seconds between the drops of what drips."""
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/1jDIkfyfmKKPg2c
BWhFoL8hXjO0UI3TuJsWrKWlveChRANCAASZ4uoWuJAwhStXSqoMfwWh5jHuiELc
gN4++jof457x7qTfyrwgiYSLTXLFqcQdErZwvSCZ1sdX/v1Keg4QBPIp
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBPDCB46ADAgECAgEHMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWxvY2FsaG9z
dDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAGA1UEAwwJ
bG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmeLqFriQMIUrV0qq
DH8FoeYx7ohC3IDePvo6H+Oe8e6k38q8IImEi01yxanEHRK2cL0gmdbHV/79SnoO
EATyKaMkMCIwDwYDVR0RBAgwBocEfwAAATAPBgNVHRMBAf8EBTADAQH/MAoGCCqG
SM49BAMCA0gAMEUCIQCau9lT1qqLmt6wK8wqa29YD8aG0iGRuJYLI97F77TzfgIg
cm4V+oprOxx2d+53BIhKmW1khT4i3Y9fW9T7VsXtphM=
-----END CERTIFICATE-----
"""
"""Of this machine's address, signed by itself, with its key: a secret that protects nothing."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

Behaviour = Callable[["Peer", socket.socket], None]


class Peer:
    """A server on this machine that treats every connection as *behave* says."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.stop = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._behave(self, connection)
            self.stop.wait()

    def drip(self, connection: socket.socket, drop: bytes) -> None:
        """Send *drop* again and again."""
        while not self.stop.wait(PAUSE):
            connection.sendall(drop)


class DeafPeer(Peer):
    """Accepts nobody: its queue is short and full, so that the system drops whatever comes."""

    def __enter__(self) -> Self:
        self._listener.listen(0)
        self._queue = [socket.socket() for _ in range(3)]
        for waiting in self._queue:
            waiting.setblocking(False)  # noqa: FBT003 - as the socket wants it
            waiting.connect_ex(self._listener.getsockname())
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for waiting in self._queue:
            waiting.close()


def requests(connection: socket.socket) -> Iterator[bytes]:
    """Read request after request; yield their first lines."""
    with connection.makefile("rb") as stream:
        while first := stream.readline():
            length = 0
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            stream.read(length)
            yield first


def reads_nothing(peer: Peer, _: socket.socket) -> None:
    """Leave the connection alone."""
    peer.stop.wait()


def reads_slowly(peer: Peer, connection: socket.socket) -> None:
    """Take a little of the request now and then."""
    while not peer.stop.wait(PAUSE):
        connection.recv(65_536)


def drips_a_handshake(peer: Peer, connection: socket.socket) -> None:
    """Answer a greeting with the beginning of a record of 16 kB."""
    connection.recv(65_536)
    connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
    peer.drip(connection, b"\x00")


@cache
def server_side() -> ssl.SSLContext:
    """The configuration of a server with CERTIFICATE."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.pem"
        path.write_text(CERTIFICATE)
        context.load_cert_chain(path)
    return context


@cache
def client_side() -> ssl.SSLContext:
    """The clients' configuration, with trust in CERTIFICATE."""
    context: ssl.SSLContext = import_module(net.engine().name).create_ssl_context()
    context.load_verify_locations(cadata=CERTIFICATE)
    return context


def certificate_is_trusted() -> contextlib.AbstractContextManager[Any]:
    """Have the clients trust CERTIFICATE in the block."""
    return mock.patch.object(Engine, "tls", return_value=client_side())


def over_tls(behave: Behaviour) -> Behaviour:
    """Shake hands, then behave so."""

    def behave_within(peer: Peer, connection: socket.socket) -> None:
        with server_side().wrap_socket(connection, server_side=True) as secure:
            behave(peer, secure)
            peer.stop.wait()

    return behave_within


def tunnels_to_a_dripping_handshake(peer: Peer, connection: socket.socket) -> None:
    """Be a proxy, after a while, to a server that drips."""
    next(requests(connection))
    peer.stop.wait(5 * PAUSE)
    connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
    drips_a_handshake(peer, connection)


def answers(*pieces: bytes, drop: bytes = b"") -> Behaviour:
    """Read a request, answer with *pieces* and then silence, or *drop* by drop."""

    def behave(peer: Peer, connection: socket.socket) -> None:
        next(requests(connection))
        for piece in pieces:
            connection.sendall(piece)
        if drop:
            peer.drip(connection, drop)

    return behave


def after_a_submission(answer: bytes, drop: bytes = b"") -> Behaviour:
    """Accept a submission; treat every later request as *answer* and *drop* say."""
    accepted = b'{"code": 200, "data": {"id": "%s", "status": "created"}}' % JOB_ID.encode()

    def behave(peer: Peer, connection: socket.socket) -> None:
        for first in requests(connection):
            if first.startswith(b"POST"):
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(accepted)
                connection.sendall(head + accepted)
                continue
            connection.sendall(answer)
            if drop:
                peer.drip(connection, drop)

    return behave


def redirects_slowly(peer: Peer, connection: socket.socket) -> None:
    """Send every request on to the next place, after a while."""
    for _ in requests(connection):
        peer.stop.wait(5 * PAUSE)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")


@contextlib.contextmanager
def names_hang() -> Generator[None]:
    """No name is resolved until the end of the block."""
    end, real = threading.Event(), socket.getaddrinfo

    def hang(host: Any, *args: Any, **options: Any) -> Any:
        if not str(host).startswith("127."):
            end.wait()
        return real("127.0.0.1" if end.is_set() else host, *args, **options)

    with mock.patch("socket.getaddrinfo", hang):
        try:
            yield
        finally:
            end.set()


@frozen(kw_only=True)
class Case:
    """Something that hangs while *request* is made, or a picture downloaded; how it has to end.

    `surroundings` holds while the call is made; `sent` is the DeadlineExceededError's.
    """

    behave: Behaviour = reads_nothing
    peer: Callable[[Behaviour], Peer] = Peer
    request: ImageRequest = FOX
    model: str = "minimax:image-01"
    download: bool = False
    limits: Limits | None = None
    origin: str = "http://127.0.0.1:{port}"
    proxy: str = ""
    surroundings: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    error: type[ImageGenError] = DeadlineExceededError
    sent: bool = False
    job: bool = False


UNKNOWN: dict[str, Any] = {"error": SubmissionUnknownError}
"""For what hangs once the paid request is on its way."""
JOB: dict[str, Any] = {"model": "wavespeed:minimax/image-01", "job": True}
DOWNLOAD: dict[str, Any] = {"download": True, "sent": True}
TRUST: dict[str, Any] = {"surroundings": certificate_is_trusted}
TLS: dict[str, Any] = TRUST | {"origin": "https://127.0.0.1:{port}"}
ABROAD = "https://api.example"
PROXIED: dict[str, Any] = TRUST | {"origin": ABROAD, "proxy": "http://127.0.0.1:{port}"}
TLS_PROXIED = PROXIED | {"proxy": "https://127.0.0.1:{port}"}

CASES = {
    "name": Case(origin=ABROAD, surroundings=names_hang),
    "name of the proxy": Case(origin=ABROAD, proxy="proxy.example:1", surroundings=names_hang),
    "connection": Case(peer=DeafPeer),
    "TLS handshake": Case(**TLS),
    "TLS handshake, dripping": Case(behave=drips_a_handshake, **TLS),
    "tunnel through a proxy": Case(behave=answers(), **PROXIED),
    "tunnel, dripping": Case(behave=answers(b"HTTP/1.1 200 ", drop=b"O"), **PROXIED),
    "TLS through a tunnel, dripping": Case(behave=tunnels_to_a_dripping_handshake, **PROXIED),
    "TLS through a TLS tunnel, dripping": Case(
        behave=over_tls(tunnels_to_a_dripping_handshake), **TLS_PROXIED
    ),
    "request not read": Case(request=LARGE, **UNKNOWN),
    "request read slowly": Case(request=LARGE, behave=reads_slowly, **UNKNOWN),
    "TLS, request read slowly": Case(
        request=LARGE, behave=over_tls(reads_slowly), **UNKNOWN, **TLS
    ),
    "no answer": Case(behave=answers(), **UNKNOWN),
    "place among those in flight": Case(
        request=TWO_PARTS, limits=Limits(in_flight=1), behave=answers(), **UNKNOWN
    ),
    "status line, dripping": Case(behave=answers(b"HTTP/1.1 200 ", drop=b"O"), **UNKNOWN),
    "headers, dripping": Case(behave=answers(b"HTTP/1.1 200 OK\r\nx: ", drop=b"x"), **UNKNOWN),
    "100 Continue for ever": Case(behave=answers(drop=b"HTTP/1.1 100 Go on\r\n\r\n"), **UNKNOWN),
    "body, dripping": Case(behave=answers(HEAD, drop=b" "), **UNKNOWN),
    "TLS, body dripping": Case(behave=over_tls(answers(HEAD, drop=b" ")), **UNKNOWN, **TLS),
    "half a body": Case(behave=answers(HEAD, b" " * 500), **UNKNOWN),
    "poll, no answer": Case(behave=after_a_submission(b""), sent=True, **JOB),
    "poll, dripping": Case(behave=after_a_submission(HEAD, b" "), sent=True, **JOB),
    "poll, told to wait": Case(
        behave=after_a_submission(
            b"HTTP/1.1 429 Wait\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"
        ),
        **JOB,
    ),
    "download, no answer": Case(behave=answers(), **DOWNLOAD),
    "download, half a body": Case(behave=answers(HEAD, b"\xff\xd8\xff"), **DOWNLOAD),
    "download, dripping": Case(behave=answers(HEAD, drop=b"\xff"), **DOWNLOAD),
    "download, redirected slowly": Case(behave=redirects_slowly, **DOWNLOAD),
}


def ended(case: Case, flavour: str, timeout: float) -> tuple[ImageGenError | None, float]:
    """Run *case* with the ``"sync"`` or ``"async"`` client; return its error, and its seconds."""
    with case.peer(case.behave) as peer, case.surroundings():
        proxy = {"https_proxy": case.proxy.format(port=peer.port)} if case.proxy else {}
        with mock.patch.dict(os.environ, proxy):
            started = time.monotonic()
            error = _error(case, flavour, case.origin.format(port=peer.port), timeout)
            return error, time.monotonic() - started


def _error(case: Case, flavour: str, origin: str, timeout: float) -> ImageGenError | None:
    backends = [
        MiniMax(api_key="made-up-key-of-a-test", base_url=origin, limits=case.limits),
        WaveSpeed(api_key="made-up-key-of-a-test", base_url=origin, first_poll=0.01),
    ]

    async def awaited() -> None:
        async with AsyncClient(backends) as client:
            await _called(case, client, origin, timeout)

    try:
        if flavour == "async":
            asyncio.run(awaited())
        else:
            with Client(backends) as client:
                _called(case, client, origin, timeout)
    except ImageGenError as error:
        return error
    return None


def _called(case: Case, client: Any, origin: str, timeout: float) -> Any:
    if not case.download:
        return client.generate(case.request, model=case.model, timeout=timeout)
    image = GeneratedImage(url=f"{origin}/fox.jpg")
    made = Generation(images=(image,), provider="minimax", model="image-01", request=case.request)
    return client.save(made, tempfile.gettempdir(), timeout=timeout)


def thread_cost() -> float:
    """Microseconds that a look-up in a thread takes longer than one without."""

    def median(look_up: Callable[[], object]) -> float:
        return statistics.median(timeit.repeat(look_up, number=10, repeat=200)) * 1e5

    direct = median(lambda: socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM))
    return median(lambda: looked_up("localhost", 80, public=False).result()) - direct


def main() -> None:
    """Print how late each case ends."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=20, help="runs of each case")
    options.add_argument("--timeout", type=float, default=0.3, help="seconds for each call")
    given = options.parse_args()
    print(f"{'milliseconds late':44}{'median':>8}{'p99':>8}{'max':>8}")
    late: list[float] = []
    for name, case in CASES.items():
        for flavour in ("sync", "async"):
            endings = [ended(case, flavour, given.timeout) for _ in range(given.times)]
            own = [(seconds - given.timeout) * 1e3 for _, seconds in endings]
            others = [error for error, _ in endings if not isinstance(error, case.error)]
            print(_line(f"{name} ({flavour})", own), *others)
            late += own
    print(_line(f"all {len(late)}", late))
    print(f"a thread for each look-up: {thread_cost():.0f} µs")


def _line(name: str, late: list[float]) -> str:
    p99 = statistics.quantiles(late, n=100, method="inclusive")[98]
    return f"{name:44}{statistics.median(late):8.1f}{p99:8.1f}{max(late):8.1f}"


if __name__ == "__main__":
    main()
