"""A sandbox on a virtual clock, and a short way to ask it something."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from imagegen.sandbox import Sandbox
from imagegen.sandbox.exchange import Answer, Request

Ask = Callable[..., Answer]
START = 1_764_000_000.25


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    return Sandbox(latency=20.0, clock=clock)


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    def ask(
        method: str, path: str, body: object = None, *, key: str = "key", **headers: str
    ) -> Answer:
        path, _, query = path.partition("?")
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            named["Authorization"] = f"Bearer {key}"
        return sandbox.handle(Request(method, path, query, named, raw))

    return ask


@pytest.fixture
def generate(ask: Ask) -> Ask:
    """Submit to MiniMax: fields of the body as keywords."""

    def generate(**fields: Any) -> Answer:
        return ask(
            "POST", "/v1/image_generation", {"model": "image-01", "prompt": "a fox"} | fields
        )

    return generate


@pytest.fixture
def predict(ask: Ask) -> Ask:
    """Submit to WaveSpeed's image-01: fields of the body as keywords."""

    def predict(**fields: Any) -> Answer:
        path = "/api/v3/minimax/image-01/text-to-image"
        return ask("POST", path, {"prompt": "a fox"} | fields)

    return predict


@pytest.fixture
def poll(ask: Ask) -> Callable[[str], dict[str, Any]]:
    def poll(identity: str) -> dict[str, Any]:
        data: dict[str, Any] = ask("GET", f"/api/v3/predictions/{identity}/result").json()["data"]
        return data

    return poll
