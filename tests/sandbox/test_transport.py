from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from imagegen.sandbox import Fault, Sandbox

PATH = "https://api.minimax.io/v1/image_generation"
ORDER = {"model": "image-01", "prompt": "a fox"}
AUTH = {"Authorization": "Bearer key"}

Send = Callable[..., httpx.Response]


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest, sandbox: Sandbox, clock: Any) -> Send:
    """One request through a client of either kind, on the virtual clock."""

    def sync(method: str, url: str, **options: Any) -> httpx.Response:
        with httpx.Client(transport=sandbox.transport(clock.sleep), headers=AUTH) as client:
            return client.request(method, url, **options)

    async def once(method: str, url: str, **options: Any) -> httpx.Response:
        transport = sandbox.async_transport(clock.asleep)
        async with httpx.AsyncClient(transport=transport, headers=AUTH) as client:
            return await client.request(method, url, **options)

    def run(method: str, url: str, **options: Any) -> httpx.Response:
        return asyncio.run(once(method, url, **options))

    return sync if request.param == "sync" else run


def test_any_host_is_the_sandbox_and_time_passes(send: Send, clock: Any) -> None:
    before = clock.now
    reply = send("POST", PATH, json=ORDER, timeout=60)
    assert reply.json()["base_resp"]["status_code"] == 0
    assert clock.now - before == 20.0


def test_the_urls_handed_out_lead_back_to_it(send: Send) -> None:
    url = send("POST", PATH, json=ORDER, timeout=None).json()["data"]["image_urls"][0]
    picture = send("GET", url)
    assert picture.headers["Content-Type"] == "image/jpeg"
    assert int(picture.headers["Content-Length"]) == len(picture.content) > 10_000
    head = send("HEAD", url)
    assert head.headers["Content-Length"] == picture.headers["Content-Length"]
    assert head.content == b""


def test_a_read_timeout_ends_the_wait_and_the_submission_stays(
    send: Send, sandbox: Sandbox, clock: Any
) -> None:
    before = clock.now
    with pytest.raises(httpx.ReadTimeout):
        send("POST", PATH, json=ORDER, timeout=httpx.Timeout(1, read=7))
    assert clock.now - before == 7.0
    assert len(sandbox.submissions) == 1


def test_a_drop_before_is_a_connect_error(send: Send, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("drop"))
    with pytest.raises(httpx.ConnectError) as refused:
        send("POST", PATH, json=ORDER)
    assert refused.value.request.url == PATH
    assert sandbox.submissions == []


def test_a_drop_after_is_a_read_error(send: Send, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("drop", accepted=True))
    with pytest.raises(httpx.ReadError):
        send("POST", PATH, json=ORDER, timeout=60)
    assert len(sandbox.submissions) == 1


@pytest.mark.parametrize("accepted", [False, True])
def test_the_trace_extension_tells_whether_anything_was_sent(
    send: Send, sandbox: Sandbox, *, accepted: bool
) -> None:
    events: list[str] = []

    class Trace:
        def __call__(self, name: str, _info: object) -> Any:
            events.append(name)
            return asyncio.sleep(0) if asyncio_runs() else None

    sandbox.inject(Fault("drop", accepted=accepted))
    with pytest.raises(httpx.NetworkError):
        send("POST", PATH, json=ORDER, timeout=60, extensions={"trace": Trace()})
    assert ("http11.send_request_headers.started" in events) == accepted


def asyncio_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_real_time_passes_by_default() -> None:
    sandbox = Sandbox(latency=0.05)
    with httpx.Client(transport=sandbox.transport(), headers=AUTH) as client:
        assert client.post(PATH, json=ORDER).elapsed.total_seconds() >= 0.05

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=sandbox.async_transport(), headers=AUTH) as client:
            return await client.post(PATH, json=ORDER)

    assert asyncio.run(once()).elapsed.total_seconds() >= 0.05


def test_waits_of_many_threads_overlap() -> None:
    sandbox = Sandbox(latency=30.0)
    together = threading.Barrier(6, timeout=10)

    def meet(_seconds: float) -> None:
        together.wait()

    with httpx.Client(transport=sandbox.transport(meet), headers=AUTH, timeout=60) as client:
        threads = [
            threading.Thread(target=client.post, args=(PATH,), kwargs={"json": ORDER})
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # Had the lock been held while one sleeps, the barrier would have broken.
    assert not together.broken
    assert len(sandbox.submissions) == 6
