"""What an account allows is kept by every call of a client, whatever becomes of each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import pytest

from imagegen import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    ImageRequest,
    MiniMax,
    Retries,
    WaveSpeed,
)
from imagegen.drivers import Clock
from imagegen.events import Event, Failed, Settled, Submitting
from imagegen.limits import Limits
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import EPOCH, FakeClock
from virtual import VirtualClock

T = TypeVar("T")
HOST: dict[str, Any] = {"api_key": "sandbox", "base_url": "http://127.0.0.1:8399"}
TEN_A_MINUTE = Limits(per_minute=10)


@pytest.fixture
def virtual() -> VirtualClock:
    return VirtualClock()


class Log(httpx.AsyncBaseTransport):
    """When each submission left, accepted or not."""

    def __init__(self, sandbox: Sandbox, clock: VirtualClock) -> None:
        self._within = sandbox.async_transport()
        self._clock = clock
        self.left: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.left.append(round(self._clock.seconds, 6))
        return await self._within.handle_async_request(request)


def client(backend: Any, log: Log, clock: Clock, **options: Any) -> AsyncClient:
    return AsyncClient([backend], transport=log, clock=clock, timeout=3600, **options)


def prompts(sandbox: Sandbox) -> list[str]:
    return [str(submission.body["prompt"]) for submission in sandbox.submissions]


def require_at_most(many: int, left: Sequence[float]) -> None:
    """No window of a minute has more."""
    for early, late in zip(left, left[many:], strict=False):
        assert late - early >= 60.0


# So many a minute


def test_a_hundred_calls_at_once_leave_in_their_order_ten_a_minute(virtual: VirtualClock) -> None:
    sandbox = Sandbox(clock=virtual.epoch, latency=5.0)
    log = Log(sandbox, virtual)

    async def all_of_them() -> None:
        async with client(MiniMax(**HOST, limits=TEN_A_MINUTE), log, virtual) as minimax:
            await asyncio.gather(*(minimax.generate(f"fox {k}") for k in range(100)))

    virtual.run(all_of_them())
    assert log.left == [60.0 * (k // 10) for k in range(100)]
    assert prompts(sandbox) == [f"fox {k}" for k in range(100)]


def test_repetitions_leave_from_the_same_queue(virtual: VirtualClock) -> None:
    refusals = Fault("rate_limit", times=15, retry_after=3)
    sandbox = Sandbox(clock=virtual.epoch, faults=[refusals])
    log = Log(sandbox, virtual)

    async def all_of_them() -> None:
        backend = MiniMax(**HOST, limits=TEN_A_MINUTE)
        async with client(backend, log, virtual, retries=Retries()) as minimax:
            await asyncio.gather(*(minimax.generate(f"fox {k}") for k in range(30)))

    virtual.run(all_of_them())
    assert len(log.left) == 30 + 15
    require_at_most(10, log.left)
    assert log.left[-1] == 240.0
    assert sorted(prompts(sandbox)) == sorted(f"fox {k}" for k in range(30))


def test_the_parts_of_one_request_leave_from_the_same_queue(virtual: VirtualClock) -> None:
    sandbox = Sandbox(clock=virtual.epoch)
    log = Log(sandbox, virtual)

    async def one() -> int:
        backend = MiniMax(**HOST, limits=Limits(per_minute=2))
        async with client(backend, log, virtual) as minimax:
            return len((await minimax.generate(ImageRequest("fox", n=45))).images)

    assert virtual.run(one()) == 45
    assert log.left == [0.0, 0.0, 60.0, 60.0, 120.0]


def test_calls_one_after_the_other_keep_to_the_limits_too(kit: Any, time: FakeClock) -> None:
    sandbox = Sandbox(clock=time.epoch, latency=1.0)
    backend = MiniMax(**HOST, limits=TEN_A_MINUTE)
    desk = kit.desk([backend], watched=kit.watched(sandbox, time), clock=time)
    for _ in range(25):
        desk.generate("fox")
    left = [submission.at - EPOCH.timestamp() for submission in sandbox.submissions]
    assert left == [60.0 * (k // 10) + k % 10 for k in range(25)]


# So many in flight


@pytest.mark.parametrize("fault", [None, Fault("prediction_status", times=4)], ids=["", "failing"])
def test_no_more_are_in_flight_than_allowed_until_they_are_settled(
    virtual: VirtualClock, fault: Fault | None
) -> None:
    sandbox = Sandbox(clock=virtual.epoch, latency=20.0, faults=[fault] if fault else [])
    log, flying = Log(sandbox, virtual), [0]

    def count(event: Event) -> None:
        step = {Submitting: 1, Settled: -1, Failed: -1}.get(type(event), 0)
        flying.append(flying[-1] + step)

    async def all_of_them() -> None:
        backend = WaveSpeed(**HOST, limits=Limits(in_flight=3))
        async with client(backend, log, virtual, on_event=count) as wavespeed:
            foxes = (wavespeed.generate(f"fox {k}") for k in range(12))
            await asyncio.gather(*foxes, return_exceptions=True)

    virtual.run(all_of_them())
    assert (max(flying), flying[-1]) == (3, 0)
    assert len(sandbox.submissions) == 12
    assert prompts(sandbox) == [f"fox {k}" for k in range(12)]
    for early, late in zip(log.left, log.left[3:], strict=False):
        assert late - early >= 20.0


class Crowd(httpx.BaseTransport):
    """How many submissions are under way at most."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._within = sandbox.transport()
        self._lock = threading.Lock()
        self._here = 0
        self.most = 0

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
        yield
        with self._lock:
            self._here -= 1

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._counted():
            return self._within.handle_request(request)


def test_threads_keep_the_cap_too() -> None:
    sandbox = Sandbox(latency=0.01)
    crowd = Crowd(sandbox)
    backend = MiniMax(**HOST, limits=Limits(in_flight=3))
    with Client([backend], transport=crowd) as client, ThreadPoolExecutor(40) as pool:
        made = list(pool.map(lambda k: client.generate(f"fox {k}"), range(40)))
    assert (len(made), crowd.most) == (40, 3)


# Giving up


@pytest.mark.parametrize("limits", [Limits(per_minute=1), Limits(in_flight=1)])
def test_a_cancelled_call_passes_its_place_on(virtual: VirtualClock, limits: Limits) -> None:
    sandbox = Sandbox(clock=virtual.epoch, latency=60.0)
    log = Log(sandbox, virtual)

    async def three() -> Any:
        async with client(MiniMax(**HOST, limits=limits), log, virtual) as minimax:
            foxes = [asyncio.create_task(minimax.generate(f"fox {k}")) for k in range(3)]
            await asyncio.sleep(30)
            foxes[1].cancel()
            return await asyncio.gather(*foxes, return_exceptions=True)

    first, second, third = virtual.run(three())
    assert isinstance(second, asyncio.CancelledError)
    assert (len(first.images), len(third.images)) == (1, 1)
    assert prompts(sandbox) == ["fox 0", "fox 2"]
    assert log.left == [0.0, 60.0]


def test_a_call_that_is_cancelled_in_flight_makes_room(virtual: VirtualClock) -> None:
    sandbox = Sandbox(clock=virtual.epoch, latency=60.0)
    log = Log(sandbox, virtual)

    async def two() -> None:
        backend = MiniMax(**HOST, limits=Limits(in_flight=1))
        async with client(backend, log, virtual) as minimax:
            foxes = [asyncio.create_task(minimax.generate(f"fox {k}")) for k in range(2)]
            await asyncio.sleep(30)
            foxes[0].cancel()
            await asyncio.gather(*foxes, return_exceptions=True)

    virtual.run(two())
    assert log.left == [0.0, 30.0]


@pytest.mark.parametrize(
    ("limits", "gives_up_at"), [(Limits(per_minute=1), 0.0), (Limits(in_flight=1), 30.0)]
)
def test_a_call_without_time_for_the_queue_sends_nothing(
    virtual: VirtualClock, limits: Limits, gives_up_at: float
) -> None:
    sandbox = Sandbox(clock=virtual.epoch, latency=45.0)
    log = Log(sandbox, virtual)

    async def two() -> float:
        async with client(MiniMax(**HOST, limits=limits), log, virtual) as minimax:
            first = asyncio.create_task(minimax.generate("fox"))
            await asyncio.sleep(0)
            with pytest.raises(DeadlineExceededError, match="leave no room in time") as caught:
                await minimax.generate("wolf", timeout=30)
            gave_up = virtual.seconds
            assert (caught.value.charged, caught.value.job) == ("no", None)
            assert caught.value.sent is False
            await first
            return gave_up

    assert virtual.run(two()) == gives_up_at
    assert prompts(sandbox) == ["fox"]
    assert log.left == [0.0]


def test_whoever_gives_up_leaves_no_trace_in_the_minute(virtual: VirtualClock) -> None:
    sandbox = Sandbox(clock=virtual.epoch)
    log = Log(sandbox, virtual)

    async def several() -> None:
        backend = MiniMax(**HOST, limits=Limits(per_minute=1))
        async with client(backend, log, virtual) as minimax:
            hasty = [minimax.generate("wolf", timeout=t) for t in (1, 20, 59)]
            patient = [minimax.generate(f"fox {k}") for k in range(2)]
            await asyncio.gather(patient[0], *hasty, patient[1], return_exceptions=True)

    virtual.run(several())
    assert prompts(sandbox) == ["fox 0", "fox 1"]
    assert log.left == [0.0, 60.0]
