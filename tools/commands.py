"""Write what `--help` says, of every command, into docs/reference/commands.md.

Usage: python tools/commands.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import click

from imagegen.cli.commands import imagegen

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"
HEAD = """# Command reference

<!-- written by tools/commands.py -->

Every command and its options, in the words of `--help`. What they are for, their JSON and their
exit status are explained in [the command](../guides/command.md).
"""


def main(page: Path = PAGE) -> None:
    """Rewrite *page*."""
    page.write_text(text(), encoding="utf-8")


def text() -> str:
    """The page, in Markdown."""
    root = click.Context(imagegen, info_name="imagegen")
    return "\n".join([HEAD, *(_section(context) for context in _contexts(root))])


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """*context* and those of its subcommands, in the order in which `--help` shows them."""
    yield context
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command:
                yield from _contexts(click.Context(command, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## `{context.command_path}`", *_paragraphs(command.help), _fenced([usage])]
    if rows := list(_rows(context)):
        parts.append("\n".join(["| option | what |", "|---|---|", *rows]))
    return "\n\n".join([*parts, *_paragraphs(command.epilog)]) + "\n"


def _rows(context: click.Context) -> Iterator[str]:
    """One for each option but `--help`, which all have; the usage line names the arguments."""
    for param in context.command.params:
        told = param.get_help_record(context) if isinstance(param, click.Option) else None
        if told:
            names, words = (cell.replace("|", r"\|") for cell in told)
            yield f"| `{names}` | {_words(words)} |"


def _paragraphs(help_text: str | None) -> Iterator[str]:
    """What click would wrap as prose; what it would leave as it is, as code."""
    for paragraph in re.split(r"\n\s*\n", (help_text or "").strip()):
        first, *lines = dedent(paragraph).splitlines() or [""]
        if first.strip() == "\b":
            yield _fenced(dedent("\n".join(lines)).splitlines())
        elif paragraph:
            yield _words(paragraph)


def _fenced(lines: Sequence[str]) -> str:
    return "\n".join(["```text", *lines, "```"])


def _words(text: str) -> str:
    """*text* on one line; what looks like an option is code, unless it is within code."""
    code, option = r"`[^`]*`", r"(?<![\w-])--[a-z][a-z-]*"
    line = " ".join(text.split())
    return re.sub(rf"{code}|{option}", lambda found: f"`{found[0].strip('`')}`", line)


if __name__ == "__main__":
    main()
