"""`imagegen sandbox`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
from attrs import fields_dict

from imagegen.cli import exit_codes
from imagegen.sandbox import Fault, Sandbox

_SUCH_AS = '{"kind": "rate_limit"}'


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8399, show_default=True)
@click.option(
    "--latency",
    type=float,
    metavar="S",
    default=1.0,
    show_default=True,
    help="Seconds that a generation takes.",
)
@click.option(
    "--key",
    "keys",
    metavar="KEY",
    multiple=True,
    help="A key that is accepted; any is, if none is named.",
)
@click.option(
    "--fault",
    "faults",
    metavar="JSON",
    multiple=True,
    help=f"Something that goes wrong, such as '{_SUCH_AS}'.",
)
def command(
    *, host: str, port: int, latency: float, keys: Sequence[str], faults: Sequence[str]
) -> None:
    """Serve both providers' APIs, emulated, on a port of this machine."""
    sandbox = Sandbox(latency=latency, keys=keys or None, faults=[_fault(text) for text in faults])
    try:
        from imagegen.sandbox.server import serve  # noqa: PLC0415 - uvicorn may be missing

        serve(sandbox, host, port, ready=_announce)
    except ImportError as error:
        click.echo(f"imagegen: {error}", err=True)
        raise SystemExit(exit_codes.FAILED) from None
    except OSError as error:
        words = f"{host}:{port} cannot be served: {error.strerror}. Name another with --port"
        click.echo(f"imagegen: {words}", err=True)
        raise SystemExit(exit_codes.FAILED) from None


def _fault(text: str) -> Fault:
    """Read what ``--fault`` says.

    Raises:
        BadParameter: it is no fault.
    """
    try:
        return Fault.from_json(json.loads(text))
    except json.JSONDecodeError:
        words = f"it is not JSON; write '{_SUCH_AS}'"
    except (ValueError, TypeError) as error:
        words = str(error)
        if words.startswith("unknown fields"):
            words += f"; known are {', '.join(fields_dict(Fault))}"
    raise click.BadParameter(words, param_hint="--fault")


def _announce(origin: str) -> None:
    click.echo(f"Sandbox of both providers at {origin}, until Ctrl-C. Point imagegen at it with")
    click.echo(f"  export MINIMAX_API_HOST={origin} MINIMAX_API_KEY=sandbox")
    click.echo(f"  export WAVESPEED_BASE_URL={origin} WAVESPEED_API_KEY=sandbox")
    click.echo("  export IMAGEGEN_LEDGER=sandbox-ledger.db  # apart from what is really spent")
