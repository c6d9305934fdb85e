"""Everybody's way to the same pictures, each as a function that makes one call.

A maker takes the server's origin and returns that function; the makers of asynchronous ones are
coroutines. Modules are imported late, in the process that measures.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeAlias

import httpx

KEY = "benchmark"
PROMPT = "a red fox in the snow"
MODEL = "minimax/image-01/text-to-image"
BODY = {"model": "image-01", "prompt": PROMPT, "n": 1}
HEADERS = {"authorization": f"Bearer {KEY}"}
LAST = {**HEADERS, "connection": "close"}
PATH = "/v1/image_generation"
UNLIMITED = {"max_connections": None, "max_keepalive_connections": None, "keepalive_expiry": None}
LONG = 60.0

Call: TypeAlias = Callable[[], object]
AsyncCall: TypeAlias = Callable[[], Awaitable[object]]


def httpx_kept(origin: str) -> Call:
    """Plain httpx on a kept connection: the least that a Python program does."""
    client, url = httpx.Client(headers=HEADERS), origin + PATH
    return lambda: client.post(url, json=BODY).json()


def httpx_fresh(origin: str) -> Call:
    """Plain httpx, each request on a connection of its own."""
    client, url = httpx.Client(headers=LAST), origin + PATH
    return lambda: client.post(url, json=BODY).json()


def imagegen_blocking(origin: str) -> Call:
    """`Client.generate` at MiniMax."""
    imagegen: Any = import_module("imagegen")
    client = imagegen.Client([imagegen.MiniMax(api_key=KEY, base_url=origin)])
    return lambda: client.generate(PROMPT)


def openai_images(origin: str) -> Call:
    """The OpenAI SDK at a server of its own shape."""
    openai = import_module("openai")
    client = openai.OpenAI(api_key=KEY, base_url=f"{origin}/v1", max_retries=0)
    return lambda: client.images.generate(model="dall-e-3", prompt=PROMPT, n=1)


def litellm_images(origin: str) -> Call:
    """LiteLLM at a server of OpenAI's shape."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches its prices
    litellm: Any = import_module("litellm")
    litellm.telemetry = False
    options = {"model": "openai/dall-e-3", "api_key": KEY, "api_base": f"{origin}/v1"}
    return lambda: litellm.image_generation(prompt=PROMPT, n=1, **options)


def httpx_twice(origin: str) -> Call:
    """Plain httpx on a kept connection: a submission to WaveSpeedAI, and one poll."""
    client, body = httpx.Client(headers=HEADERS), {"prompt": PROMPT, "num_images": 1}

    def call() -> object:
        made = client.post(f"{origin}/api/v3/{MODEL}", json=body).json()["data"]["id"]
        return client.get(f"{origin}/api/v3/predictions/{made}/result").json()

    return call


def imagegen_polling(origin: str) -> Call:
    """`Client.generate` at WaveSpeedAI, polling at once."""
    imagegen: Any = import_module("imagegen")

    class Sleepless(import_module("imagegen.drivers").Clock):  # type: ignore[misc]
        """Waits for nothing: after a sleep, the processor is slow for a while."""

        def sleep(self, seconds: float) -> None:
            """Go on."""

    backend = imagegen.WaveSpeed(api_key=KEY, base_url=origin)
    client = imagegen.Client([backend], clock=Sleepless())
    return lambda: client.generate(PROMPT)


def wavespeed_sdk(origin: str) -> Call:
    """WaveSpeedAI's own SDK, polling at once."""
    client = import_module("wavespeed").Client(api_key=KEY, base_url=origin)
    body = {"prompt": PROMPT, "num_images": 1}
    return lambda: client.run(MODEL, body, poll_interval=0.0)


def hugging_face(origin: str) -> Call:
    """huggingface_hub's provider for WaveSpeedAI, polling at once; it fetches the picture too."""
    hub = import_module("huggingface_hub")
    providers = import_module("huggingface_hub.inference._providers")
    common = import_module("huggingface_hub.inference._providers._common")
    hub_api = import_module("huggingface_hub.hf_api")
    wavespeed: Any = import_module("huggingface_hub.inference._providers.wavespeed")
    wavespeed._POLLING_INTERVAL = 0.0  # noqa: SLF001 - it has no public option
    providers.PROVIDERS["wavespeed"]["text-to-image"].base_url = origin
    known = hub_api.InferenceProviderMapping(
        provider="wavespeed",
        hf_model_id=MODEL,
        providerId=MODEL,
        status="live",
        task="text-to-image",
    )
    common.HARDCODED_MODEL_INFERENCE_MAPPING["wavespeed"][MODEL] = known
    client = hub.InferenceClient(provider="wavespeed", api_key=KEY)
    return lambda: client.text_to_image(PROMPT, model=MODEL)


async def imagegen_async(origin: str, http: str = "httpx") -> AsyncCall:
    """`AsyncClient.generate` at MiniMax."""
    imagegen: Any = import_module("imagegen")
    client = imagegen.AsyncClient([imagegen.MiniMax(api_key=KEY, base_url=origin)], http=http)
    return lambda: client.generate(PROMPT)


async def httpx_async(origin: str) -> AsyncCall:
    """Plain httpx with as many kept connections as wanted."""
    return _posting(httpx.AsyncClient(limits=httpx.Limits(**UNLIMITED), timeout=LONG), origin)


async def httpx_over_aiohttp(origin: str) -> AsyncCall:
    """The API of httpx with aiohttp's connections beneath."""
    limits = httpx.Limits(max_connections=0, keepalive_expiry=LONG)  # 0 is no limit to aiohttp
    made = import_module("httpx_aiohttp").AiohttpTransport(limits=limits)
    return _posting(httpx.AsyncClient(transport=made, timeout=LONG), origin)


async def httpx2_async(origin: str) -> AsyncCall:
    """Plain httpx2 with as many kept connections as wanted."""
    httpx2 = import_module("httpx2")
    client = httpx2.AsyncClient(limits=httpx2.Limits(**UNLIMITED), timeout=LONG)
    return _posting(client, origin)


async def aiohttp_kept(origin: str) -> AsyncCall:
    """Bare aiohttp with as many kept connections as wanted."""
    return _with_aiohttp(origin, limit=0)


async def aiohttp_fresh(origin: str) -> AsyncCall:
    """Bare aiohttp, each request on a connection of its own."""
    return _with_aiohttp(origin, limit=0, force_close=True)


def _posting(client: Any, origin: str) -> AsyncCall:
    url = origin + PATH

    async def call() -> object:
        return (await client.post(url, json=BODY, headers=HEADERS)).json()

    return call


def _with_aiohttp(origin: str, **options: Any) -> AsyncCall:
    aiohttp = import_module("aiohttp")
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(**options), headers=HEADERS)
    url = origin + PATH

    async def call() -> object:
        async with session.post(url, json=BODY) as response:
            return await response.json()

    return call
