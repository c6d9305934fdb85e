from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from imagegen.sandbox import Fault, Sandbox, server

ORDER = {"model": "image-01", "prompt": "a fox"}
AUTH = {"Authorization": "Bearer key"}
GENERATION = "/v1/image_generation"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, httpx.Client]]:
    sandbox = Sandbox()
    with (
        sandbox.running() as origin,
        httpx.Client(base_url=origin, headers=AUTH, trust_env=False) as client,
    ):
        yield sandbox, client


def test_both_providers_answer_on_one_port(served: tuple[Sandbox, httpx.Client]) -> None:
    _, client = served
    assert client.get("/").text.startswith("imagegen sandbox")
    assert client.post(GENERATION, json=ORDER).json()["base_resp"]["status_code"] == 0
    path = "/api/v3/minimax/image-01/text-to-image"
    assert client.post(path, json={"prompt": "a"}).json()["data"]["status"] == "created"


def test_pictures_come_from_the_port_with_their_length(
    served: tuple[Sandbox, httpx.Client],
) -> None:
    sandbox, client = served
    url = client.post(GENERATION, json=ORDER).json()["data"]["image_urls"][0]
    assert url.startswith(f"{sandbox.origin}/files/")
    picture = client.get(url)
    assert int(picture.headers["Content-Length"]) == len(picture.content)
    head = client.head(url)
    assert head.headers["Content-Length"] == picture.headers["Content-Length"]
    assert client.get(url.partition("?")[0]).status_code == 403


@pytest.mark.parametrize("accepted", [False, True])
def test_connections_are_really_dropped(
    served: tuple[Sandbox, httpx.Client], *, accepted: bool
) -> None:
    sandbox, client = served
    before = len(sandbox.submissions)
    sandbox.inject(Fault("drop", accepted=accepted))
    with pytest.raises(httpx.ReadError):
        client.post(GENERATION, json=ORDER)
    assert len(sandbox.submissions) - before == accepted
    assert client.post(GENERATION, json=ORDER).status_code == 200


def test_answers_are_delayed_without_holding_up_others(
    served: tuple[Sandbox, httpx.Client],
) -> None:
    sandbox, client = served
    sandbox.inject(Fault("late", seconds=0.4, times=20))
    started = time.perf_counter()
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: client.post(GENERATION, json=ORDER), range(20)))
    assert {reply.status_code for reply in replies} == {200}
    assert 0.4 <= time.perf_counter() - started < 4


def test_faults_are_scripted_over_http(served: tuple[Sandbox, httpx.Client]) -> None:
    _, client = served
    fault = {"kind": "http", "status": 504, "shape": "html"}
    assert client.post("/sandbox/faults", json=fault).status_code == 201
    assert client.post(GENERATION, json=ORDER).status_code == 504


def test_a_started_server_is_quick_quiet_and_gone_afterwards(
    capfd: pytest.CaptureFixture[str],
) -> None:
    sandbox = Sandbox()
    home = sandbox.origin
    started = time.perf_counter()
    with sandbox.running() as origin:
        assert time.perf_counter() - started < 1
        assert sandbox.origin == origin != home
        assert httpx.get(origin, trust_env=False).status_code == 200
    assert sandbox.origin == home
    with pytest.raises(httpx.ConnectError):
        httpx.get(origin, trust_env=False)
    assert capfd.readouterr() == ("", "")


def test_stopping_breaks_the_answers_still_waiting() -> None:
    sandbox = Sandbox(latency=600)
    ended: list[type[Exception]] = []

    def wait(origin: str) -> None:
        try:
            httpx.post(origin + GENERATION, json=ORDER, headers=AUTH, timeout=60, trust_env=False)
        except httpx.HTTPError as broken:
            ended.append(type(broken))

    with sandbox.running() as origin:
        thread = threading.Thread(target=wait, args=(origin,))
        thread.start()
        while not sandbox.submissions:
            time.sleep(0.01)
        stopped = time.perf_counter()
    thread.join(10)
    assert time.perf_counter() - stopped < 5
    assert ended == [httpx.ReadError]


def test_a_taken_port_raises() -> None:
    with Sandbox().running() as origin, pytest.raises(OSError, match="in use"):
        server.serve(Sandbox(), port=int(origin.rpartition(":")[2]))


def test_a_server_that_dies_at_start_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server._Server, "run", lambda *_: None)
    with pytest.raises(RuntimeError, match="did not start"), Sandbox().running():
        pass


def test_the_origin_of_a_wildcard_host_is_loopback() -> None:
    with Sandbox().running(host="0.0.0.0") as origin:
        assert origin.startswith("http://127.0.0.1:")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_origins_have_brackets() -> None:
    try:
        listener = server._bound("::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with listener:
        assert server._origin("::", listener).startswith("http://[::1]:")


def test_serve_says_where_and_stops_on_sigint() -> None:
    script = (
        "from imagegen.sandbox import Sandbox, server\n"
        "server.serve(Sandbox(), port=0, ready=lambda origin: print(origin, flush=True))\n"
        "print('stopped')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        origin = process.stdout.readline().strip()
        for _ in range(200):
            try:
                assert httpx.get(origin, trust_env=False).status_code == 200
                break
            except httpx.ConnectError:
                time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "stopped\n", "")


# The ASGI application under any server


def play(scope: dict[str, Any], *messages: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    incoming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def main() -> None:
        sandbox = Sandbox(faults=[Fault("drop", provider="minimax")])
        await server.App(sandbox)(scope, receive, send)

    asyncio.run(main())
    return sent


def http(method: str, path: str) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}


def test_lifespan_is_acknowledged() -> None:
    sent = play({"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert [m["type"] for m in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_bodies_arrive_in_pieces_and_stop_at_64_mebibytes() -> None:
    piece = {"type": "http.request", "body": b"x" * 2**25, "more_body": True}
    last = {"type": "http.request", "body": b"x"}
    sent = play(http("POST", "/nowhere"), piece, last)
    assert sent[0]["status"] == 404
    sent = play(http("POST", "/nowhere"), piece, piece, last)
    assert sent[0]["status"] == 413


def test_elsewhere_a_drop_fails_the_request() -> None:
    with pytest.raises(ConnectionAbortedError):
        play(http("POST", GENERATION), {"type": "http.request"})
