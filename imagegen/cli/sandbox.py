"""`imagegen sandbox`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from imagegen.sandbox import Fault, Sandbox


def run(*, host: str, port: int, latency: float, keys: Sequence[str], faults: Sequence[str]) -> int:
    """Serve until interrupted, and return the exit status."""
    try:
        sandbox = Sandbox(
            latency=latency,
            keys=keys or None,
            faults=[Fault.from_json(json.loads(text)) for text in faults],
        )
    except (ValueError, TypeError) as error:
        raise click.BadParameter(f"{error}", param_hint="--fault") from error
    try:
        from imagegen.sandbox.server import serve  # noqa: PLC0415 - uvicorn may be missing

        serve(sandbox, host, port, ready=_announce)
    except ImportError as error:
        click.echo(f"imagegen: {error}", err=True)
        return 1
    except OSError as error:
        words = f"{host}:{port} cannot be served: {error.strerror}. Name another with --port"
        click.echo(f"imagegen: {words}", err=True)
        return 1
    return 0


def _announce(origin: str) -> None:
    click.echo(f"Sandbox of both providers at {origin}, until Ctrl-C. Point imagegen at it with")
    click.echo(f"  export MINIMAX_API_HOST={origin} MINIMAX_API_KEY=sandbox")
    click.echo(f"  export WAVESPEED_BASE_URL={origin} WAVESPEED_API_KEY=sandbox")
