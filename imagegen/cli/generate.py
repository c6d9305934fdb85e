"""`imagegen generate`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import click

from imagegen.cli import exit_codes, report
from imagegen.cli.progress import display
from imagegen.client import Client, Fit, Unsupported
from imagegen.drivers import Tell
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.files import write_images
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
            generation = client.fetch(generation)
        paths = write_images(generation, out)
    except ImageGenError as error:
        return _fail(error, sandbox=sandbox, as_json=as_json)
    except KeyboardInterrupt as interruption:
        return _interrupted(interruption)
    return _succeed(generation, paths, sandbox=sandbox, as_json=as_json)


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


def _succeed(
    generation: Generation, paths: Sequence[Path | None], *, sandbox: bool, as_json: bool
) -> int:
    if as_json:
        click.echo(report.as_json(generation, paths, sandbox=sandbox))
    else:
        click.echo("\n".join(report.as_lines(generation, paths, sandbox=sandbox)))
    whole = not generation.failures and None not in paths
    return exit_codes.OK if whole else exit_codes.PARTIAL


def _fail(error: ImageGenError, *, sandbox: bool, as_json: bool) -> int:
    if as_json:
        click.echo(report.error_as_json(error, sandbox=sandbox))
    else:
        click.echo(f"imagegen: {error}", err=True)
        if isinstance(error, ConfigurationError) and error.field == "api_key":
            click.echo("To try it without a key, add --sandbox.", err=True)
        for note in getattr(error, "__notes__", ()):
            click.echo(note, err=True)
    return exit_codes.exit_code(error)


def _interrupted(interruption: BaseException) -> int:
    click.echo("imagegen: interrupted", err=True)
    for note in getattr(interruption, "__notes__", ()):
        click.echo(note, err=True)
    return exit_codes.INTERRUPTED
