"""Options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import click

Command: TypeAlias = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
ledger_option = click.option(
    "--ledger",
    metavar="FILE",
    help="Where purchases are written down; else what the configuration or IMAGEGEN_LEDGER names, "
    "else a file in your folder for state. off: nowhere.",
)
sandbox_option = click.option(
    "--sandbox", is_flag=True, help="Use the embedded sandbox: no key, no network, no cost."
)
timeout_option = click.option(
    "--timeout",
    type=float,
    metavar="S",
    help="Seconds for everything; else what the configuration says, else 300.",
)
out_option = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for the pictures; this one by default.",
)
provenance_option = click.option(
    "--provenance/--no-provenance",
    default=None,
    help="Write into the files how they were made, or not; written unless switched off.",
)
max_cost_option = click.option(
    "--max-cost", metavar="AMOUNT", help="Send nothing if the list price is higher or unknown."
)


def config_options(command: Command) -> Command:
    """Add ``--config`` and ``--profile``."""
    file = click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration to read and trust, in place of imagegen.toml here and in your folder.",
    )
    profile = click.option(
        "--profile", metavar="NAME", help="Profile of the configuration; else IMAGEGEN_PROFILE."
    )
    return file(profile(command))


def purchase_options(command: Command) -> Command:
    """Add what every command that buys takes, ``--json`` last."""
    several = (
        *(max_cost_option, timeout_option, out_option, provenance_option),
        *(ledger_option, config_options, sandbox_option, json_option),
    )
    for option in reversed(several):
        command = option(command)
    return command


def models_option(words: str) -> Callable[[Command], Command]:
    """Add ``--model``, which may be given several times and is completed; *words* are its help."""
    return click.option(
        "--model",
        "models",
        metavar="PROVIDER:MODEL",
        multiple=True,
        help=words,
        shell_complete=_known_models,
    )


def _known_models(context: click.Context, _: click.Parameter, typed: str) -> list[str]:
    from imagegen import backends  # noqa: PLC0415 - only a shell that completes needs these
    from imagegen.config import load  # noqa: PLC0415 - same
    from imagegen.errors import ConfigurationError  # noqa: PLC0415 - same

    several = list[str]()
    for name in backends.names():
        with suppress(ConfigurationError):
            several += [f"{name}:{model}" for model in backends.load(name)().models()]
    with suppress(ConfigurationError):
        given = context.params
        several += load(given.get("config"), profile=given.get("profile")).routes
    return [model for model in several if model.startswith(typed)]


def request_options(command: Command) -> Command:
    """Add PROMPT and what else makes up a request; see `imagegen.cli.wanted`."""
    for option in reversed(_REQUEST):
        command = option(command)
    return command


_REQUEST = (
    click.argument("prompt", required=False),
    click.option(
        "--prompt-file",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
        help="Read the prompt from this file; - is standard input, as it is for PROMPT.",
    ),
    click.option("-n", "n", type=int, default=1, show_default=True, help="How many pictures."),
    click.option("--size", metavar="WxH", help="Pixels, such as 1280x720."),
    click.option("--aspect-ratio", metavar="W:H", help="Such as 16:9; instead of --size."),
    click.option("--seed", type=int, help="Same seed and request, same pictures."),
    click.option(
        "--reference",
        "characters",
        metavar="FILE|URL",
        multiple=True,
        help="Keep this character (JPEG or PNG, under 10 MB).",
    ),
    click.option(
        "--source", "sources", metavar="FILE|URL", multiple=True, help="Change this picture."
    ),
    click.option(
        "--enhance-prompt/--no-enhance-prompt",
        default=None,
        help="Let the provider rewrite the prompt.",
    ),
    click.option(
        "--fit",
        type=click.Choice(["strict", "nearest"]),
        help="Refuse a size the model does not make, or take the nearest; strict, unless the "
        "configuration says otherwise.",
    ),
    click.option(
        "--unsupported",
        type=click.Choice(["error", "adjust"]),
        help="Refuse what the model cannot express, or leave it out; error, unless the "
        "configuration says otherwise.",
    ),
)
