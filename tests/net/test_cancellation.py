"""A task may be cancelled at every one of its steps; no connection and no money is forgotten.

Server and client share an event loop, so that so many turns of it always lead to the same place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from imagegen import AsyncClient, Generation, ImageGenError, MiniMax, WaveSpeed, net
from imagegen.net import asynchronous
from imagegen.net.async_stream import AsyncStream
from imagegen.sandbox import Sandbox
from imagegen.sandbox.exchange import Request
from imagegen.testing import FakeClock

STEPS = 200
CASES = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


class Opened:
    """Remembers the socket of every connection that was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sockets: list[Any] = []
        sockets = self._sockets

        class Watched(AsyncStream):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                sockets.append(transport.get_extra_info("socket"))
                super().connection_made(transport)

        monkeypatch.setattr(asynchronous, "AsyncStream", Watched)

    @property
    def still(self) -> int:
        return sum(sock.fileno() >= 0 for sock in self._sockets)

    def __len__(self) -> int:
        return len(self._sockets)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    return Opened(monkeypatch)


class Provider:
    """A sandbox behind a server of asyncio; takes note of what it hears."""

    def __init__(self, sandbox: Sandbox, tls: Any) -> None:
        self._sandbox = sandbox
        self._tls = tls
        self._tasks: list[asyncio.Task[None]] = []
        self.heard: list[bytes] = []
        self.origin = ""

    @property
    def asked_to_pay(self) -> int:
        return sum(head.startswith(b"POST") for head in self.heard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve; afterwards every connection must have been closed by the other end."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        scheme = "https" if self._tls else "http"
        async with server:
            yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await turns(20)
            async with asyncio.timeout(20):
                await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            self.heard += [error.partial] if error.partial else []
            raise
        self.heard.append(head)
        first, *lines = head.decode().splitlines()[:-1]
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = first.split()
        path, _, query = target.partition("?")
        answer = self._sandbox.handle(Request(method, path, query, headers, body))
        status = f"HTTP/1.1 {answer.status} X\r\nContent-Length: {len(answer.body)}\r\n\r\n"
        writer.write(status.encode() + answer.body)
        await writer.drain()


async def turns(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def client_at(origin: str, clock: FakeClock | None, **options: Any) -> AsyncClient:
    backends = [
        MiniMax(api_key="sandbox", base_url=origin),
        WaveSpeed(api_key="sandbox", base_url=origin, first_poll=0.01),
    ]
    return AsyncClient(backends, clock=clock, retries=None, **options)


async def cancelled_after(
    steps: int, provider: Provider, model: str, clock: FakeClock, *, twice: bool
) -> Any:
    """Cancel a purchase after so many steps; then make another with the same client."""
    async with provider.running() as origin, client_at(origin, clock) as client:
        task = asyncio.create_task(client.generate("a fox", model=model))
        await turns(steps)
        done = task.done()
        task.cancel()
        if twice:
            await turns(1)
            task.cancel()
        outcome = await ending(task)
        assert done or isinstance(outcome, asyncio.CancelledError | Generation)
        again = await client.generate("a badger", model=model)
        assert again.request.prompt == "a badger"
        assert len(again.images) == 1
    return outcome


async def ending(task: asyncio.Task[Any]) -> Any:
    """What *task* returned or raised, with its notes, which `gather` loses."""
    try:
        return await task
    except BaseException as error:  # noqa: BLE001 - judged by the caller
        return error


@CASES
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.usefixtures("trusted")
def test_a_purchase_may_be_cancelled_at_every_step(
    opened: Opened, tools: Any, model: str, *, tls: bool, twice: bool
) -> None:
    for steps in range(STEPS):
        clock = FakeClock()
        context = tools.bench.server_side() if tls else None
        provider = Provider(Sandbox(latency=0.05, clock=clock.epoch), context)
        outcome = asyncio.run(cancelled_after(steps, provider, model, clock, twice=twice))
        assert opened.still == 0
        if isinstance(outcome, Generation):
            break
        notes = getattr(outcome, "__notes__", [])
        if provider.asked_to_pay > 1:  # the second was for the badger
            assert any("it may be billed" in x or "was accepted" in x for x in notes), steps
    else:
        pytest.fail("no purchase was ever done")
    assert len(opened) > steps


@CASES
@pytest.mark.usefixtures("trusted")
def test_a_purchase_may_run_out_of_time_at_every_moment(
    opened: Opened, tools: Any, model: str, *, tls: bool
) -> None:
    async def bought(provider: Provider, timeout: float) -> Any:
        async with provider.running() as origin, client_at(origin, None) as client:
            buying = client.generate("a fox", model=model, timeout=timeout)
            return await ending(asyncio.create_task(buying))

    for step in range(40):
        context = tools.bench.server_side() if tls else None
        provider = Provider(Sandbox(latency=0.005), context)
        outcome = asyncio.run(bought(provider, 0.0005 * (step + 1)))
        assert opened.still == 0
        if isinstance(outcome, Generation):
            continue
        assert isinstance(outcome, ImageGenError)
        if provider.asked_to_pay:
            assert outcome.charged != "no"


@CASES
@pytest.mark.usefixtures("trusted")
def test_an_interrupted_connection_is_never_kept(tools: Any, *, tls: bool) -> None:
    """The response that was not read would be the answer to the next request."""

    async def main(steps: int) -> tuple[list[bytes], int]:
        heard: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    path = head.split()[1]
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path))
                    await writer.drain()
                    await asyncio.sleep(0)
                    writer.write(path)
            except (asyncio.IncompleteReadError, OSError):
                writer.transport.abort()

        async def ask(path: str) -> bytes:
            response = await transport.send(asking(f"{origin}{path}"))
            try:
                return b"".join([chunk async for chunk in response.chunks])
            finally:
                await response.close()

        transport = net.AsyncTransport(net.engine())
        context = tools.bench.server_side() if tls else None
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            scheme = "https" if tls else "http"
            origin = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            heard.append(await ask("/first"))
            task = asyncio.create_task(ask("/interrupted"))
            await turns(steps)
            finished = task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            heard += [await ask("/second"), await ask("/third")]
            await transport.close()
            await turns(10)
        return heard, finished

    for steps in range(STEPS):
        heard, finished = asyncio.run(main(steps))
        assert heard == [b"/first", b"/second", b"/third"]
        if finished:
            break
    else:
        pytest.fail("no request was ever answered")


async def ignored(_: str, __: Any) -> None:
    pass


def asking(url: str) -> net.Request:
    parsed = net.Url.parse(url)
    host = (b"host", parsed.authority.encode())
    return net.Request("GET", parsed, [host], None, 30.0, 30.0, ignored, fresh=False, public=False)
