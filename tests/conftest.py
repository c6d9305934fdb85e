"""One way to drive both clients and both drivers, so that a test is written once for the two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

import httpx
import httpx2
import pytest

from imagegen import (
    AsyncClient,
    Client,
    GeneratedImage,
    Generation,
    ImageRequest,
    Job,
    Retries,
    backends,
    net,
)
from imagegen.backends.base import Backend
from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.drivers import Account, AsyncDriver, Clock, Driver
from imagegen.flow import Call, Flow, Reply
from imagegen.sandbox import Sandbox
from imagegen.testing import FakeClock
from scripts import findable

findable()

pytest_plugins = ["imagegen.testing.plugin"]

INSTALLED = [backends.load(name) for name in backends.names()]
VARIABLES = [name for each in INSTALLED for name in (each.key_variable, each.host_variable)]
MODELS = {"minimax": "minimax:image-01", "wavespeed": "wavespeed:minimax/image-01"}


class Watched(httpx.BaseTransport):
    """Remembers every request that goes to the transport within."""

    def __init__(self, within: httpx.BaseTransport) -> None:
        self._within = within
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._within.handle_request(request)


class AsyncWatched(httpx.AsyncBaseTransport):
    """Watched's twin."""

    def __init__(self, within: httpx.AsyncBaseTransport) -> None:
        self._within = within
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return await self._within.handle_async_request(request)


class Bridge(httpx2.BaseTransport):
    """Lets httpx's transport stand for one of httpx2, so that both libraries' types are met."""

    def __init__(self, within: httpx.BaseTransport) -> None:
        self._within = within

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        with translated():
            response = self._within.handle_request(to_httpx(request))
        return from_httpx(response)


class AsyncBridge(httpx2.AsyncBaseTransport):
    """Bridge's twin."""

    def __init__(self, within: httpx.AsyncBaseTransport) -> None:
        self._within = within

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        with translated():
            response = await self._within.handle_async_request(to_httpx(request))
        return from_httpx(response)


class BridgedStream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body of httpx as one of httpx2."""

    def __init__(self, within: Any) -> None:
        self._within = within

    def __iter__(self) -> Iterator[bytes]:
        with translated():
            yield from self._within

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with translated():
            async for chunk in self._within:
                yield chunk

    def close(self) -> None:
        self._within.close()

    async def aclose(self) -> None:
        await self._within.aclose()


@contextmanager
def translated() -> Iterator[None]:
    """Raise the exceptions of httpx as those of httpx2."""
    try:
        yield
    except httpx.RequestError as error:
        raise getattr(httpx2, type(error).__name__)(str(error)) from error


def bridged(within: Any, bridge: Callable[[Any], Any]) -> Any:
    """A transport through the bridge for its kind; anything else as it is, to be refused."""
    kind = httpx.BaseTransport if bridge is Bridge else httpx.AsyncBaseTransport
    return bridge(within) if isinstance(within, kind) else within


def to_httpx(request: httpx2.Request) -> httpx.Request:
    return httpx.Request(
        request.method,
        str(request.url),
        headers=request.headers.raw,
        content=b"".join(cast("Iterator[bytes]", request.stream)) or None,
        extensions=request.extensions,
    )


def from_httpx(response: httpx.Response) -> httpx2.Response:
    return httpx2.Response(
        response.status_code, headers=response.headers.raw, stream=BridgedStream(response.stream)
    )


class Desk:
    """A Client, or an AsyncClient whose verbs are run to their end."""

    def __init__(self, kit: Kit, client: Any, watched: Watched | AsyncWatched | None) -> None:
        self._kit = kit
        self._watched = watched
        self.client = client

    @property
    def requests(self) -> list[httpx.Request]:
        assert self._watched is not None
        return self._watched.requests

    @property
    def sent(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]

    def generate(self, request: Any, **options: Any) -> Generation:
        return self._kit.wait(self.client.generate(request, **options))  # type: ignore[no-any-return]

    def submit(self, request: Any, **options: Any) -> Job:
        return self._kit.wait(self.client.submit(request, **options))  # type: ignore[no-any-return]

    def result(self, job: Any, **options: Any) -> Generation:
        return self._kit.wait(self.client.result(job, **options))  # type: ignore[no-any-return]

    def fetch(self, generation: Any, **options: Any) -> Generation:
        return self._kit.wait(self.client.fetch(generation, **options))  # type: ignore[no-any-return]

    def save(self, generation: Any, directory: Any, **options: Any) -> list[Path]:
        return self._kit.wait(self.client.save(generation, directory, **options))  # type: ignore[no-any-return]

    def fetched(self, image: GeneratedImage, **options: Any) -> Generation:
        """Fetch one picture that some provider named."""
        request = ImageRequest("a fox")
        whole = Generation(images=(image,), provider="minimax", model="image-01", request=request)
        return self.fetch(whole, **options)

    def close(self) -> None:
        self._kit.wait(self.client.close())


class Runner:
    """A Driver or an AsyncDriver, whose flows are run to their end."""

    def __init__(self, kit: Kit, driver: Driver | AsyncDriver) -> None:
        self._kit = kit
        self._driver: Any = driver
        self.told: list[Any] = []

    def run(self, flow: Flow[Any], deadline: float = 60.0) -> Any:
        return self._kit.wait(self._driver.run(flow, deadline, self.told.append))

    def call(self, call: Call, deadline: float = 60.0) -> Reply:
        """Make one call and return its reply."""

        def flow() -> Flow[Reply]:
            answer: Reply = yield call
            return answer

        return self.run(flow(), deadline)  # type: ignore[no-any-return]


class Kit:
    """Makes everything in one flavour, sync or async, and closes it in the end."""

    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self._runner = asyncio.Runner() if flavour == "async" else None
        self._made: list[Any] = []

    def wait(self, value: Any) -> Any:
        return self._runner.run(value) if self._runner else value

    def desk(
        self,
        backends: Sequence[Backend] | None = None,
        *,
        watched: Watched | AsyncWatched | None = None,
        **options: Any,
    ) -> Desk:
        maker: Any = AsyncClient if self._runner else Client
        if watched is not None:
            options["transport"] = watched
        return self._kept(Desk(self, maker(backends, **options), watched))  # type: ignore[no-any-return]

    def on(
        self,
        sandbox: Sandbox,
        *,
        clock: FakeClock | None = None,
        wavespeed: Mapping[str, Any] | None = None,
        retries: Retries | None = None,
        **options: Any,
    ) -> Desk:
        """Make a client of both backends on *sandbox*, in process, every request remembered.

        It repeats no submission unless it is told to.
        """
        quick = {"first_poll": 0.01, "slowest_poll": 0.05} if clock is None else {}
        timing: dict[str, Any] = quick | dict(wavespeed or {})
        backends = [
            MiniMax(api_key="sandbox", base_url=sandbox.origin),
            WaveSpeed(api_key="sandbox", base_url=sandbox.origin, **timing),
        ]
        watched = self.watched(sandbox, clock)
        return self.desk(backends, watched=watched, clock=clock, retries=retries, **options)

    def watched(
        self, within: Sandbox | httpx.MockTransport, clock: FakeClock | None = None
    ) -> Watched | AsyncWatched:
        if self._runner:
            if isinstance(within, httpx.MockTransport):
                return AsyncWatched(within)
            pause = {"sleep": clock.asleep} if clock else {}
            return AsyncWatched(within.async_transport(**pause))
        if isinstance(within, httpx.MockTransport):
            return Watched(within)
        return Watched(within.transport(clock.sleep) if clock else within.transport())

    def driver(
        self, accounts: Mapping[str, Account], clock: Clock, transport: Any = None
    ) -> Runner:
        maker: Any = AsyncDriver if self._runner else Driver
        driver = maker(accounts, clock, transport)
        self._made.append(driver)
        return Runner(self, driver)

    def _kept(self, made: Any) -> Any:
        self._made.append(made.client)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for made in self._made:
            self.wait(made.close())
        if self._runner:
            self._runner.close()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads a key, host or setting of this machine, nor writes its ledger."""
    for variable in (*VARIABLES, "IMAGEGEN_CONFIG", "IMAGEGEN_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "nowhere" / variable))
    monkeypatch.setenv("IMAGEGEN_LEDGER", "off")
    monkeypatch.delenv("IMAGEGEN_HIDE_PROMPTS", raising=False)


@pytest.fixture(autouse=True)
def types_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With IMAGEGEN_HTTP=httpx2, httpx's transports are met through that library's types."""
    if net.engine().name == "httpx2":
        given, async_given = net.Given, net.AsyncGiven
        monkeypatch.setattr(net, "Given", lambda within: given(bridged(within, Bridge)))
        monkeypatch.setattr(
            net, "AsyncGiven", lambda within: async_given(bridged(within, AsyncBridge))
        )


@pytest.fixture(params=["sync", "async"])
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    with Kit(request.param) as kit:
        yield kit


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def provider_sandbox(time: FakeClock) -> Sandbox:
    """A sandbox on the test's own clock; a generation takes ten seconds of it."""
    return Sandbox(latency=10.0, clock=time.epoch)


@pytest.fixture(params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> str:
    return MODELS[request.param]
