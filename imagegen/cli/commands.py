"""The command and its subcommands, each a module that is loaded when it is called."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from itertools import takewhile
from types import MappingProxyType

import click

from imagegen import __version__

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "generate": "Make pictures from PROMPT and save them.",
        "plan": "Say what each model would be sent and cost; nothing is sent.",
        "compare": "Make the same pictures with several models, side by side.",
        "models": "Show models: what each can be asked for, and what it costs.",
        "prices": "Show what models cost, since when and according to whom.",
        "jobs": "Show and finish what was paid for and is still open on the ledger.",
        "spend": "Add up what was spent, by day, model and currency.",
        "config": "Write, show or check the configuration.",
        "doctor": "Check versions, configuration, keys, hosts, clocks, prices and the ledger.",
        "sandbox": "Serve both providers' APIs, emulated, on a port of this machine.",
        "completion": "Print the script that completes this command in your shell.",
    }
)
"""Each subcommand is `command` of the module of its name in `imagegen.cli`."""


class Commands(click.Group):
    """Knows what each subcommand is for without loading it: `--help` imports no backend."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own
        """Name them, in the order in which they are shown."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own
        """Load one; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"imagegen.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the one that is called; of a misspelt one, name the nearest."""
        near = get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's own
        """Write what each is for."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def imagegen() -> None:
    """Make pictures with any image-generation provider through one interface."""


def run() -> int:
    """Run the command on the arguments of the process; return its exit status."""
    try:
        return int(imagegen.main(prog_name="imagegen", standalone_mode=False) or 0)
    except click.ClickException as error:
        _show(error, sys.argv[1:])
        return error.exit_code
    except click.Abort:
        return 130


def _show(error: click.ClickException, arguments: Sequence[str]) -> None:
    """Tell of wrong usage; in the same form as of any other failure, if JSON is asked for."""
    options = list(takewhile(lambda word: word != "--", arguments))
    if "--json" not in options:
        error.show()
        return
    from imagegen.cli.report import Speaker  # noqa: PLC0415 - `--help` imports no backend

    Speaker(as_json=True, sandbox="--sandbox" in options).misused(error.format_message())
