"""What becomes of a paid submission on real sockets that misbehave."""

from __future__ import annotations

import logging
import signal
import socket
import struct
import subprocess
import sys
import threading
import time as real_time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagegen import ImageRequest, MiniMax, WaveSpeed, net
from imagegen.defaults import LONGEST_TIMEOUT
from imagegen.errors import ImageGenError, SubmissionUnknownError, TransportError
from imagegen.net import shelf
from imagegen.sandbox import Fault, Sandbox
from wire import take

DEADLINE = 0.3
LATE = 2.0
"""Seconds after the start at which an error is no longer "not long after the deadline"."""
DRIPPING = 3.0
"""Seconds after which a dripping server gives up, so that a client that waits for it fails."""
SUBMISSIONS = {"minimax": "/v1/image_generation", "wavespeed": "/api/v3/minimax/image-01"}

Behaviour = Callable[["FaultServer", socket.socket], None]


class FaultServer:
    """Treats every connection as *behave* says, and counts what came."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._workers: list[threading.Thread] = []
        self.stop = threading.Event()
        self.connections = 0
        self.requests: list[bytes] = []
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.stop.is_set():
                connection.close()
                return
            self.connections += 1
            worker = threading.Thread(target=self._serve, args=(connection,))
            worker.start()
            self._workers.append(worker)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._behave(self, connection)
            except OSError:
                return

    def take(self, connection: socket.socket) -> None:
        """Read one whole request."""
        head, _ = take(connection)
        self.requests.append(head)

    def close(self) -> None:
        self.stop.set()
        with socket.create_connection(self._listener.getsockname()):
            pass
        self._acceptor.join()
        self._listener.close()
        for worker in self._workers:
            worker.join()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(server: FaultServer, connection: socket.socket, head: bytes, drop: bytes) -> None:
    connection.sendall(head)
    end = real_time.monotonic() + DRIPPING
    while real_time.monotonic() < end and not server.stop.wait(0.05):
        connection.sendall(drop)


def resets_on_accept(_: FaultServer, connection: socket.socket) -> None:
    reset(connection)


def resets_after_the_first_byte(_: FaultServer, connection: socket.socket) -> None:
    connection.recv(1)
    reset(connection)


def closes_on_accept(_: FaultServer, __: socket.socket) -> None:
    pass


def resets_after_the_request(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    reset(connection)


def closes_after_the_request(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)


def sends_half_a_status_line(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    connection.sendall(b"HTTP/1.1 20")


def sends_a_short_body(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"id": "7"')


def resets_in_the_body(server: FaultServer, connection: socket.socket) -> None:
    sends_a_short_body(server, connection)
    reset(connection)


def sends_garbage(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    connection.sendall(b"\x00\xff\x16\x03 what is HTTP?\r\n\r\n")


def sends_a_bad_chunk(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    )


def compresses(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx"
    )


def stalls_before_reading(server: FaultServer, _: socket.socket) -> None:
    server.stop.wait()


def stalls(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    server.stop.wait()


def stalls_after_the_head(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    server.stop.wait()


def drips_the_head(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    drip(server, connection, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")


def drips_informational_heads(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    drip(server, connection, b"", b"HTTP/1.1 100 Continue\r\n\r\n")


def drips_the_body(server: FaultServer, connection: socket.socket) -> None:
    server.take(connection)
    drip(server, connection, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ")


def pauses_twice(server: FaultServer, connection: socket.socket) -> None:
    """Stay silent twice, each time for less than the deadline leaves at the start."""
    server.take(connection)
    server.stop.wait(1.3)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    server.stop.wait()


AT_ONCE: list[Behaviour] = [
    resets_after_the_first_byte,
    closes_on_accept,
    resets_after_the_request,
    closes_after_the_request,
    sends_half_a_status_line,
    sends_a_short_body,
    resets_in_the_body,
    sends_garbage,
    sends_a_bad_chunk,
    compresses,
]
AT_THE_DEADLINE: list[Behaviour] = [
    stalls_before_reading,
    stalls,
    stalls_after_the_head,
    drips_the_head,
    drips_informational_heads,
    drips_the_body,
]


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], FaultServer]]:
    servers: list[FaultServer] = []

    def start(behave: Behaviour) -> FaultServer:
        servers.append(FaultServer(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def desk_at(kit: Any, origin: str, **options: Any) -> Any:
    backends = [
        MiniMax(api_key="made-up-key-of-a-test", base_url=origin),
        WaveSpeed(api_key="made-up-key-of-a-test", base_url=origin, first_poll=0.01),
    ]
    return kit.desk(backends, **options)


def refused_origin() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_refused_connection_is_known_not_to_be_charged(kit: Any, model: str) -> None:
    with pytest.raises(TransportError, match="ConnectError") as caught:
        desk_at(kit, refused_origin()).generate("a fox", model=model, timeout=30)
    assert caught.value.sent is False
    assert caught.value.charged == "no"
    assert caught.value.job is None
    assert caught.value.provider == model.partition(":")[0]


def test_a_reset_on_accept_is_not_charged_or_unknown_as_the_socket_noticed(
    kit: Any, serve: Callable[[Behaviour], FaultServer]
) -> None:
    server = serve(resets_on_accept)
    desk = desk_at(kit, server.origin, retries=None)
    with pytest.raises((TransportError, SubmissionUnknownError)) as caught:
        desk.generate("a fox", model="minimax:image-01", timeout=30)
    sent = getattr(caught.value, "sent", True)
    assert caught.value.charged == ("unknown" if sent else "no")
    assert server.connections == 1


@pytest.mark.parametrize("behave", AT_ONCE)
def test_a_broken_exchange_is_of_unknown_outcome_and_not_repeated(
    kit: Any, model: str, serve: Callable[[Behaviour], FaultServer], behave: Behaviour
) -> None:
    server = serve(behave)
    with pytest.raises(SubmissionUnknownError, match=r"no reply came|breaks off") as caught:
        desk_at(kit, server.origin).generate("a fox", model=model, timeout=30)
    assert caught.value.charged == "unknown"
    assert caught.value.provider == model.partition(":")[0]
    assert server.connections == 1
    assert len(server.requests) <= 1


@pytest.mark.parametrize("behave", AT_THE_DEADLINE)
def test_a_silent_exchange_is_of_unknown_outcome_soon_after_the_deadline(
    kit: Any, serve: Callable[[Behaviour], FaultServer], behave: Behaviour
) -> None:
    server = serve(behave)
    desk = desk_at(kit, server.origin)
    started = real_time.monotonic()
    with pytest.raises(SubmissionUnknownError, match="the time is up during POST") as caught:
        desk.generate("a fox", model="minimax:image-01", timeout=DEADLINE)
    assert DEADLINE - 0.1 < real_time.monotonic() - started < LATE
    assert caught.value.charged == "unknown"
    assert server.connections == 1
    assert len(server.requests) <= 1


def test_a_pause_in_the_reply_does_not_start_the_deadline_again(
    kit: Any, serve: Callable[[Behaviour], FaultServer]
) -> None:
    server = serve(pauses_twice)
    desk = desk_at(kit, server.origin)
    started = real_time.monotonic()
    with pytest.raises(SubmissionUnknownError):
        desk.generate("a fox", model="minimax:image-01", timeout=1.5)
    assert real_time.monotonic() - started < 2.3


def test_a_server_that_does_not_read_a_large_body_is_left_soon_after_the_deadline(
    kit: Any, model: str, serve: Callable[[Behaviour], FaultServer]
) -> None:
    server = serve(stalls_before_reading)
    options = {name: {"style_note": "x" * 8_000_000} for name in SUBMISSIONS}
    request = ImageRequest("a fox", provider_options=options)
    desk = desk_at(kit, server.origin)
    started = real_time.monotonic()
    with pytest.raises(SubmissionUnknownError) as caught:
        desk.generate(request, model=model, timeout=DEADLINE)
    assert real_time.monotonic() - started < LATE
    assert caught.value.charged == "unknown"
    assert server.connections == 1


@pytest.mark.parametrize("behave", [resets_after_the_request, sends_half_a_status_line])
def test_each_part_of_a_split_is_sent_once(
    kit: Any, model: str, serve: Callable[[Behaviour], FaultServer], behave: Behaviour
) -> None:
    server = serve(behave)
    with pytest.raises(SubmissionUnknownError):
        desk_at(kit, server.origin).generate(ImageRequest("a fox", n=20), model=model, timeout=30)
    assert (server.connections, len(server.requests)) == (3, 3)


class _DiesBetween:
    """Answers one submission, then closes the idle connection as keep-alive servers do."""

    def __call__(self, server: FaultServer, connection: socket.socket) -> None:
        server.take(connection)
        body = b'{"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}'
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)


def test_an_idle_connection_that_the_server_closed_is_replaced_without_sending_twice(
    kit: Any, serve: Callable[[Behaviour], FaultServer]
) -> None:
    server = serve(_DiesBetween())
    desk = desk_at(kit, server.origin, retries=None)
    for _ in range(3):
        with pytest.raises(ImageGenError, match="rate limit"):
            desk.generate("a fox", model="minimax:image-01", timeout=30)
        real_time.sleep(0.05)
    assert len(server.requests) == 3


def test_an_idle_connection_is_not_kept_for_ever(kit: Any) -> None:
    """A firewall that forgot it would swallow the next paid submission without a word."""
    with Sandbox().running() as origin:
        desk = desk_at(kit, origin)
        desk.generate("a fox", model="minimax:image-01", timeout=30)
        assert 0 < shelf.KEPT_FOR <= 60
        desk.close()


def test_the_longest_timeout_fits_the_socket(
    kit: Any, model: str, serve: Callable[[Behaviour], FaultServer]
) -> None:
    server = serve(closes_after_the_request)
    with pytest.raises(SubmissionUnknownError):
        desk_at(kit, server.origin).generate("a fox", model=model, timeout=LONGEST_TIMEOUT)
    assert len(server.requests) == 1


def test_no_log_shows_the_key_nor_a_signature(
    kit: Any, model: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    key = "sk-canary-0123456789"
    caplog.set_level(logging.DEBUG)
    sandbox = Sandbox(keys=[key])
    with sandbox.running() as origin:
        backends = [
            MiniMax(api_key=key, base_url=origin),
            WaveSpeed(api_key=key, base_url=origin, first_poll=0.01),
        ]
        desk = kit.desk(backends, timeout=30, retries=None)
        desk.save(desk.generate("a fox", model=model), tmp_path)
        sandbox.inject(Fault("insufficient_balance"))
        with pytest.raises(ImageGenError):
            desk.generate("a fox", model=model)
        desk.close()
    assert net.engine().core.__name__ in {
        record.name.partition(".")[0] for record in caplog.records
    }
    logged = "\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    assert key not in logged
    assert "Signature=" not in logged


PROGRAM = """
import sys
from imagegen import Client, ImageRequest, MiniMax, WaveSpeed

model, origin = sys.argv[1:]
backends = [MiniMax(api_key="k", base_url=origin), WaveSpeed(api_key="k", base_url=origin)]
with Client(backends, timeout=60) as client:
    client.generate(ImageRequest("a fox", n=20), model=model)
"""


def test_ctrl_c_ends_a_program_that_waits_for_several_parts(model: str) -> None:
    """Soon: threads that went on would hold the interpreter until their own time is up."""
    sandbox = Sandbox(latency=60.0)
    with (
        sandbox.running() as origin,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, model, origin], stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            _wait_until(lambda: len(sandbox.submissions) == 3)
            real_time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=3.0)
        finally:
            process.kill()
    assert "KeyboardInterrupt" in said
    assert len(sandbox.submissions) == 3


def _wait_until(done: Callable[[], bool]) -> None:
    end = real_time.monotonic() + 10
    while not done():
        assert real_time.monotonic() < end
        real_time.sleep(0.01)
