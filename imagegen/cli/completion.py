"""`imagegen completion`: the script that completes the command in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_HOW = """Put its output where your shell reads it, such as

\b
  bash   imagegen completion bash > ~/.local/share/bash-completion/completions/imagegen
  zsh    imagegen completion zsh > "${fpath[1]}/_imagegen"
  fish   imagegen completion fish > ~/.config/fish/completions/imagegen.fish
"""


@click.command(epilog=_HOW)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that completes this command in your shell."""
    kind = get_completion_class(shell)
    if kind is None:
        context.fail(f"there is no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "imagegen", "_IMAGEGEN_COMPLETE").source())
