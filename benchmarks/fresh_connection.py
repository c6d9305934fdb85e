"""What it costs, and what it saves, to send each paid submission on a fresh connection.

The same client against the same server on this machine, with reuse (the extension that asks for a
fresh connection is ignored) and without.

1. Cost: seconds for one submission, plain and with TLS if `openssl` can make a certificate.
2. Saving: a server closes idle connections after as long as the client pauses. A submission that
   leaves on a closing connection ends as SubmissionUnknownError although nothing was accepted.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import shutil
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from attrs import evolve

from imagegen import Client, MiniMax, SubmissionUnknownError, net

REPLY = (
    b'{"id":"0123456789abcdef0123456789abcdef","data":{"image_urls":["https://h.example/a.jpeg"]},'
    b'"metadata":{"failed_count":"0","success_count":"1"},'
    b'"base_resp":{"status_code":0,"status_msg":"success"}}'
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Server:
    """Answers every POST with one picture; closes a connection after `idle` seconds of silence."""

    def __init__(self, idle: float, context: ssl.SSLContext | None = None) -> None:
        self.idle = idle
        self.context = context
        self.answered = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                silence = loop.call_later(self.idle, writer.close)
                head = await reader.readuntil(b"\r\n\r\n")
                silence.cancel()
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.answered += 1
                writer.write(HEAD % len(REPLY) + REPLY)
                await writer.drain()
        writer.close()

    @contextlib.contextmanager
    def running(self) -> Generator[str]:
        """Run in a process of its own on a free loopback port; yield the origin."""
        parent, child = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=self._serve, args=(child,))
        process.start()
        try:
            yield parent.recv()
        finally:
            parent.send("stop")
            self.answered = parent.recv()
            process.join(5)

    def _serve(self, pipe: Connection) -> None:
        asyncio.run(self._until_stopped(pipe))
        pipe.send(self.answered)

    async def _until_stopped(self, pipe: Connection) -> None:
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0, ssl=self.context)
        scheme = "https" if self.context else "http"
        pipe.send(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await asyncio.to_thread(pipe.recv)
        server.close()


class Reusing(net.Transport):
    """Keeps connections for paid submissions too."""

    def send(self, request: net.Request) -> net.Response[Iterator[bytes]]:
        """Forget that a fresh one was asked for."""
        return super().send(evolve(request, fresh=False))


def client(origin: str, *, reuse: bool) -> Client:
    """A client of the server."""
    backend = MiniMax(api_key="benchmark", base_url=origin)
    client = Client([backend])
    if reuse:
        client._driver._transport = Reusing(net.engine())  # noqa: SLF001 - there is no such option
    return client


def cost(origin: str, calls: int) -> None:
    """Print seconds for a submission, reused and fresh, interleaved."""
    times: dict[bool, list[float]] = {True: [], False: []}
    with client(origin, reuse=True) as reusing, client(origin, reuse=False) as fresh:
        for _ in range(calls):
            for reuse, one in ((True, reusing), (False, fresh)):
                started = time.perf_counter()
                one.generate("a fox")
                times[reuse].append(time.perf_counter() - started)
    reused, new = (statistics.median(times[reuse]) * 1e3 for reuse in (True, False))
    print(f"  reused {reused:.2f} ms, fresh {new:.2f} ms: {new - reused:+.2f} ms a submission")


def saving(idle: float, calls: int) -> None:
    """Print how many submissions ended unknown although nothing was accepted."""
    for reuse in (True, False):
        server, unknown = Server(idle), 0
        with server.running() as origin, client(origin, reuse=reuse) as one:
            for call in range(calls):
                try:
                    one.generate("a fox")
                except SubmissionUnknownError:
                    unknown += 1
                # The client's own overhead moves the moment; sweep around the server's limit.
                time.sleep(idle * (0.7 + 0.35 * (call % 100) / 100))
        kind = "reused" if reuse else "fresh "
        print(f"  {kind}: {unknown} of {calls} unknown, {server.answered} accepted")


def certificate(folder: Path) -> ssl.SSLContext | None:
    """A self-signed certificate for this machine, trusted by this process; None without openssl."""
    if shutil.which("openssl") is None:
        return None
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    net.engine().tls().load_verify_locations(cert)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context


def main() -> None:
    """Print both measurements."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", type=int, default=1000)
    calls = options.parse_args().calls
    with Server(idle=60).running() as origin:
        print("cost, plain")
        cost(origin, calls)
    with tempfile.TemporaryDirectory() as folder:
        context = certificate(Path(folder))
        if context:
            with Server(idle=60, context=context).running() as origin:
                print("cost, TLS (both ends on this machine)")
                cost(origin, calls // 4)
    print("saving, the server closes idle connections about as often as the client pauses")
    saving(0.005, calls)


if __name__ == "__main__":
    main()
