"""`imagegen generate`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from imagegen.cli import exit_codes
from imagegen.cli.progress import display
from imagegen.cli.report import Delivery, Speaker
from imagegen.client import Client, Fit, Unsupported
from imagegen.drivers import Tell
from imagegen.errors import ImageGenError
from imagegen.files import require_writable, write_images
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Generation

SANDBOX_LATENCY = 1.0


def run(
    *,
    prompt: str,
    model: str | None,
    n: int,
    size: str | None,
    aspect_ratio: str | None,
    seed: int | None,
    characters: Sequence[str],
    sources: Sequence[str],
    enhance_prompt: bool | None,
    fit: Fit,
    unsupported: Unsupported,
    max_cost: str | None,
    timeout: float,
    out: Path,
    sandbox: bool,
    as_json: bool,
) -> int:
    """Make the pictures, save them, say what came of it, and return the exit status."""
    started = time.monotonic()
    say = Speaker(sandbox=sandbox, as_json=as_json)
    try:
        request = ImageRequest(
            prompt,
            n=n,
            size=size,
            aspect_ratio=aspect_ratio,
            seed=seed,
            references=_references(characters, sources),
            enhance_prompt=enhance_prompt,
        )
        require_writable(out)
        with (
            display(n, model or "pictures") as tell,
            closing(_client(tell, sandbox=sandbox)) as client,
        ):
            generation = client.generate(
                request,
                model=model,
                timeout=timeout,
                max_cost=max_cost,
                fit=fit,
                unsupported=unsupported,
            )
            left = max(timeout - (time.monotonic() - started), 0.001)
            delivery = _deliver(client, generation, out, left)
    except ImageGenError as error:
        say.failed(error)
        return exit_codes.exit_code(error)
    except KeyboardInterrupt as interruption:
        say.interrupted(interruption)
        return exit_codes.INTERRUPTED
    say.made(delivery)
    return delivery.status


def _deliver(client: Client, generation: Generation, out: Path, seconds: float) -> Delivery:
    """Fetch and save what is paid for; whatever happens on the way, keep what there is."""
    paths: Sequence[Path | None] = [None] * len(generation.images)
    try:
        generation = client.fetch(generation, timeout=seconds)
        paths = write_images(generation, out)
    except (ImageGenError, KeyboardInterrupt) as problem:
        return Delivery(generation, paths, problem)
    return Delivery(generation, paths)


def _references(characters: Sequence[str], sources: Sequence[str]) -> list[ReferenceImage]:
    roles: tuple[tuple[Literal["source", "character"], Sequence[str]], ...] = (
        ("source", sources),
        ("character", characters),
    )
    return [ReferenceImage(given, role) for role, several in roles for given in several]


def _client(tell: Tell, *, sandbox: bool) -> Client:
    if not sandbox:
        return Client(on_event=tell)
    from imagegen.sandbox import Sandbox  # noqa: PLC0415 - needed for --sandbox only

    return Sandbox(latency=SANDBOX_LATENCY).client(on_event=tell)
