"""What a caller writes, and what mypy and pyright are to see in it.

The nox session `types` shows it to both, beside the installed package and without this tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, assert_type

import imagegen
from imagegen import (
    AllRoutesFailedError,
    AsyncClient,
    Attempt,
    Budget,
    Client,
    Comparison,
    Contender,
    Cost,
    DeadlineExceededError,
    GeneratedImage,
    Generation,
    ImageFailure,
    ImageGenError,
    ImageRequest,
    Job,
    Ledger,
    Limits,
    MiniMax,
    ModelPlan,
    Notice,
    Price,
    ReferenceImage,
    Retries,
    Route,
    Size,
    SubmissionUnknownError,
    WaveSpeed,
)

MODEL = "minimax:image-01"
PLACE = Path("out")


def requests() -> list[ImageRequest]:
    reference = ReferenceImage("https://example.com/fox.jpg", role="source")
    return [
        ImageRequest("a fox"),
        ImageRequest("a fox", n=2, size="1280x720", seed=7, output="bytes"),
        ImageRequest("a fox", size=(1280, 720), enhance_prompt=True),
        ImageRequest("a fox", size=Size(1280, 720)),
        ImageRequest("a fox", aspect_ratio="16:9", references=[reference]),
        ImageRequest("a fox", references=[b"bytes", PLACE, "https://example.com/fox.png"]),
        ImageRequest("a fox", provider_options={"minimax": {"style": {"style_type": "x"}}}),
    ]


def fields_of_a_request(request: ImageRequest) -> None:
    assert_type(request.prompt, str)
    assert_type(request.n, int)
    assert_type(request.size, Size | None)
    assert_type(request.aspect_ratio, str | None)
    assert_type(request.seed, int | None)
    assert_type(request.references, tuple[ReferenceImage, ...])
    assert_type(request.provider_options, Mapping[str, Mapping[str, Any]])


def verbs(client: Client, request: ImageRequest, route: Route) -> None:
    with client as same:
        assert_type(same, Client)
    made = client.generate(request, model=MODEL, timeout=60, max_cost="0.01", fit="nearest")
    assert_type(made, Generation)
    assert_type(client.generate("a fox", model=route, max_cost=Decimal(1)), Generation)
    job = client.submit("a fox", unsupported="adjust")
    assert_type(job, Job)
    assert_type(client.result(job, timeout=1.5), Generation)
    assert_type(client.plan(request, [MODEL, route]), tuple[ModelPlan, ...])
    assert_type(client.compare(request, [MODEL], fetch=False), Comparison)
    assert_type(client.fetch(made), Generation)
    assert_type(client.save(made, "out"), list[Path])
    assert_type(client.save(made, PLACE, provenance=False), list[Path])
    assert_type(client.current_prices(), dict[str, Price])
    assert_type(client.reconcile().generations, tuple[Generation, ...])
    assert_type(imagegen.generate("a fox", size="512x512", n=2), Generation)


async def verbs_to_await(client: AsyncClient, request: ImageRequest) -> None:
    async with client as same:
        assert_type(same, AsyncClient)
    made = await client.generate(request, model=MODEL, timeout=60)
    assert_type(made, Generation)
    job = await client.submit("a fox")
    assert_type(job, Job)
    assert_type(await client.result(job), Generation)
    assert_type(client.plan(request), tuple[ModelPlan, ...])
    assert_type(await client.compare(request, [MODEL]), Comparison)
    assert_type(await client.fetch(made), Generation)
    assert_type(await client.save(made, PLACE), list[Path])


def makings(ledger: Ledger) -> None:
    backends = [MiniMax(api_key="…", limits=Limits(per_minute=10)), WaveSpeed()]
    route = Route(models=[MODEL], strategy="cheapest", max_cost="0.02")
    budget = Budget(amount="5.00", per="day")
    client = Client(
        backends, ledger=ledger, budget=budget, retries=Retries(), routes={"usual": route}
    )
    assert_type(client, Client)
    assert_type(Client.from_config(), Client)
    assert_type(AsyncClient.from_config(), AsyncClient)


def what_came(made: Generation) -> None:
    assert_type(made.images, tuple[GeneratedImage, ...])
    assert_type(made.failures, tuple[ImageFailure, ...])
    assert_type(made.cost, Cost)
    assert_type(made.cost.amount, Decimal | None)
    assert_type(made.cost.basis, Literal["billed", "list-price", "unknown"])
    assert_type(made.provider, str)
    assert_type(made.model, str)
    assert_type(made.request, ImageRequest)
    assert_type(made.attempts, tuple[Attempt, ...])
    assert_type(made.notices, tuple[Notice, ...])
    assert_type(made.job, Job | None)
    assert_type(made.to_json(), str)
    assert_type(Generation.from_json("{}"), Generation)
    assert_type(Job.from_json("{}"), Job)
    for image in made.images:
        assert_type(image.url, str | None)
        assert_type(image.data, bytes | None)
        assert_type(image.width, int | None)
        assert_type(image.expires_at, datetime | None)


def what_was_compared(comparison: Comparison, plan: ModelPlan) -> None:
    assert_type(comparison.contenders, tuple[Contender, ...])
    assert_type(comparison.cost, Cost)
    assert_type(comparison.to_html(), str)
    assert_type(plan.price, Price | None)
    assert_type(plan.body(), Mapping[str, Any] | None)


def what_went_wrong(client: Client) -> Generation | None:
    try:
        return client.generate("a fox")
    except (DeadlineExceededError, SubmissionUnknownError) as error:
        assert_type(error.job, Job | None)
        assert_type(error.charged, Literal["no", "yes", "unknown"])
        return client.result(error.job) if error.job else None
    except AllRoutesFailedError as error:
        assert_type(error.exceptions, tuple[ImageGenError | ExceptionGroup[ImageGenError], ...])
        raise
    except ImageGenError as error:
        assert_type(error.message, str)
        assert_type(error.advice, str)
        assert_type(error.provider, str | None)
        assert_type(error.status, int | None)
        assert_type(error.code, str | int | None)
        assert_type(error.field, str | None)
        assert_type(error.request_id, str | None)
        assert_type(error.attempts, tuple[Attempt, ...])
        raise
