"""Arguments and help of the command; the work is imported only when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imagegen import __version__

EPILOG = """Exit status: 0 pictures made; 1 provider or network failure; 2 wrong usage,
configuration or request; 3 key not accepted; 4 no balance; 5 content refused; 6 rate limit;
7 out of time; 8 submission sent but its outcome unknown; 9 over --max-cost; 10 only some pictures
came; 130 interrupted."""


def run() -> int:
    """Run the command on the arguments of the process; return its exit status."""
    try:
        return int(imagegen.main(prog_name="imagegen", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def imagegen() -> None:
    """Make pictures with any image-generation provider through one interface."""


@imagegen.command(epilog=EPILOG)
@click.argument("prompt")
@click.option(
    "--model",
    metavar="PROVIDER:MODEL",
    help="Such as minimax:image-01 or wavespeed:minimax/image-01.",
)
@click.option("-n", "n", type=int, default=1, show_default=True, help="How many pictures.")
@click.option("--size", metavar="WxH", help="Pixels, such as 1280x720.")
@click.option("--aspect-ratio", metavar="W:H", help="Such as 16:9; instead of --size.")
@click.option("--seed", type=int, help="Same seed and request, same pictures.")
@click.option(
    "--reference",
    "characters",
    metavar="FILE|URL",
    multiple=True,
    help="Keep this character (JPEG or PNG, under 10 MB).",
)
@click.option("--source", "sources", metavar="FILE|URL", multiple=True, help="Change this picture.")
@click.option(
    "--enhance-prompt/--no-enhance-prompt",
    default=None,
    help="Let the provider rewrite the prompt.",
)
@click.option(
    "--fit",
    type=click.Choice(["strict", "nearest"]),
    default="strict",
    show_default=True,
    help="Refuse a size the model does not make, or take the nearest.",
)
@click.option(
    "--unsupported",
    type=click.Choice(["error", "adjust"]),
    default="error",
    show_default=True,
    help="Refuse what the model cannot express, or leave it out.",
)
@click.option(
    "--max-cost", metavar="AMOUNT", help="Send nothing if the list price is higher or unknown."
)
@click.option(
    "--timeout",
    type=float,
    metavar="S",
    default=300.0,
    show_default=True,
    help="Seconds for everything.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for the pictures; this one by default.",
)
@click.option(
    "--sandbox", is_flag=True, help="Use the embedded sandbox: no key, no network, no cost."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def generate(**options: Any) -> None:
    """Make pictures from PROMPT and save them."""
    from imagegen.cli.generate import run  # noqa: PLC0415 - `--help` imports no backend

    raise SystemExit(run(**options))


@imagegen.command()
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
    help='Something that goes wrong, such as \'{"kind": "rate_limit"}\'.',
)
def sandbox(**options: Any) -> None:
    """Serve both providers' APIs, emulated, on a port of this machine."""
    from imagegen.cli.sandbox import run  # noqa: PLC0415 - `--help` imports no server

    raise SystemExit(run(**options))
