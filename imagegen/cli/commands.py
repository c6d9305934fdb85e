"""Arguments and help of the command; the work is imported only when it is done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from imagegen import __version__

EPILOG = """Exit status: 0 pictures made; 1 provider or network failure; 2 wrong usage,
configuration or request; 3 key not accepted; 4 no balance; 5 content refused; 6 rate limit;
7 out of time; 8 submission sent but its outcome unknown; 9 over --max-cost; 10 only some pictures
came; 130 interrupted. After 7, 8, 10 and 130, see `imagegen jobs --help`."""
JOBS_EPILOG = """Nothing is bought. Exit status: 0 nothing is open any more; 10 something still is;
otherwise as of `imagegen generate`."""


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
    "models",
    metavar="PROVIDER:MODEL",
    multiple=True,
    help="Such as minimax:image-01. Several are a route: the next is tried if one fails.",
)
@click.option(
    "--strategy",
    type=click.Choice(["order", "cheapest", "fastest"]),
    default="order",
    show_default=True,
    help="Which of several models is tried first.",
)
@click.option(
    "--on-unknown",
    type=click.Choice(["raise", "reconcile", "spend"]),
    default="raise",
    show_default=True,
    help="If nobody knows whether a submission was accepted: stop, look it up, or pay again.",
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
    "--ledger",
    metavar="FILE",
    help="Where purchases are written down; else IMAGEGEN_LEDGER, else a file in your folder for "
    "state. off: nowhere.",
)
@click.option(
    "--sandbox", is_flag=True, help="Use the embedded sandbox: no key, no network, no cost."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def generate(**options: Any) -> None:
    """Make pictures from PROMPT and save them."""
    from imagegen.cli.generate import run  # noqa: PLC0415 - `--help` imports no backend

    raise SystemExit(run(**options))


_LEDGER = click.option(
    "--ledger",
    metavar="FILE",
    help="The ledger; else IMAGEGEN_LEDGER, else a file in your folder for state.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@imagegen.group()
def jobs() -> None:
    """Show and finish what was paid for and is still open on the ledger."""


@jobs.command("list")
@_LEDGER
@click.option("--all", "everything", is_flag=True, help="Show what is finished too.")
@_JSON
def list_jobs(**options: Any) -> None:
    """List what is open: under way, unknown or not saved."""
    from imagegen.cli.jobs import show  # noqa: PLC0415 - `--help` opens no ledger

    raise SystemExit(show(**options))


def _finishing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `jobs resume` and `jobs reconcile` share."""
    out = click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(),
        help="Folder for the pictures; this one by default.",
    )
    seconds = click.option(
        "--timeout",
        type=float,
        metavar="S",
        default=300.0,
        show_default=True,
        help="Seconds for everything.",
    )
    return _LEDGER(out(seconds(_JSON(command))))


@jobs.command(epilog=JOBS_EPILOG)
@_finishing
def resume(**options: Any) -> None:
    """Wait for what is open, save it, list what is unknown."""
    from imagegen.cli.jobs import finish  # noqa: PLC0415 - `--help` opens no ledger

    raise SystemExit(finish(look_up=False, **options))


@jobs.command(epilog=JOBS_EPILOG)
@_finishing
def reconcile(**options: Any) -> None:
    """Look up what is unknown, then resume.

    WaveSpeedAI has a list of what it accepted; MiniMax has none. Ten seconds are allowed for the
    list to show what is new.
    """
    from imagegen.cli.jobs import finish  # noqa: PLC0415 - `--help` opens no ledger

    raise SystemExit(finish(look_up=True, **options))


@jobs.command("close")
@click.argument("entry")
@_LEDGER
@click.option(
    "--paid/--not-paid", required=True, default=None, help="What you found out at the provider."
)
@_JSON
def close_entry(**options: Any) -> None:
    """Write down what became of ENTRY, which is unknown.

    For what no list can tell: look at your account at the provider first. What was not paid is no
    longer held against a budget.
    """
    from imagegen.cli.jobs import close  # noqa: PLC0415 - `--help` opens no ledger

    raise SystemExit(close(**options))


@imagegen.command()
@_LEDGER
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="First day, of UTC."
)
@_JSON
def spend(since: datetime | None, **options: Any) -> None:
    """Add up what was spent, by day, model and currency."""
    from imagegen.cli.spend import run  # noqa: PLC0415 - `--help` opens no ledger

    raise SystemExit(run(since=since.date() if since else None, **options))


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
