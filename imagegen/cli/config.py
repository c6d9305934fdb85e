"""`imagegen config`: write a file of settings, show what counts, check the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from imagegen.cli import exit_codes
from imagegen.cli.columns import columns
from imagegen.cli.options import config_options, json_option
from imagegen.cli.report import Speaker, dumps, echo
from imagegen.config import places
from imagegen.config.faults import Doubt, Fault
from imagegen.config.loading import Examination, examined
from imagegen.config.settings import Settings
from imagegen.config.showing import Row, rows
from imagegen.config.template import template
from imagegen.defaults import TIMEOUT
from imagegen.errors import ConfigurationError
from imagegen.redaction import printable


@click.group()
def command() -> None:
    """Write, show or check the configuration."""


@command.command()
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; your own imagegen.toml by default.",
)
def init(config: Path | None) -> None:
    """Write a file with every setting switched off.

    Its path is printed. A file that is there is not overwritten.
    """
    with Speaker(as_json=False).explaining():
        _init(config or places.user_config())


@command.command()
@config_options
@json_option
def show(*, as_json: bool, config: Path | None, profile: str | None) -> None:
    """Show what counts here, and where from.

    Every setting is shown with its value and where it comes from; of a key, only the latter.
    """
    with Speaker(as_json=as_json).explaining():
        _show(_examined(config, profile), as_json=as_json)


@command.command()
@config_options
@json_option
def check(*, as_json: bool, config: Path | None, profile: str | None) -> None:
    """List every fault of the files that count.

    Warnings follow. Exit status: 0 without a fault, 2 with any.
    """
    with Speaker(as_json=as_json).explaining():
        found = _examined(config, profile)
        _check(found, as_json=as_json)
    raise SystemExit(exit_codes.WRONG if found.faults else exit_codes.OK)


def _init(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(template())
    except (OSError, ValueError) as error:
        if os.path.lexists(path):
            raise ConfigurationError(
                f"{str(path)!r} exists, and is not overwritten",
                advice="Edit it, or name another with --config",
            ) from None
        raise ConfigurationError(
            f"{str(path)!r} cannot be written: {error}", advice="Name another with --config"
        ) from error
    echo(printable(str(path)))


def _examined(config: Path | None, profile: str | None) -> Examination:
    return examined(config, profile=profile, environ=os.environ)


def _show(found: Examination, *, as_json: bool) -> None:
    if found.faults:
        raise found.faults[0].error(more=len(found.faults) - 1)
    lines, settings = rows(found, os.environ, TIMEOUT), found.settings
    if as_json:
        echo(dumps({**_about(settings), "settings": [asdict(row) for row in lines]}))
    else:
        echo(_table(settings, lines))


def _table(settings: Settings, lines: Sequence[Row]) -> str:
    files = [f"file: {printable(str(file))}" for file in settings.files] or ["no file"]
    profile = [f"profile: {printable(settings.profile)}"] if settings.profile else []
    cells = [(row.key, row.words, row.source) for row in lines]
    table = columns(("setting", "value", "from"), cells)
    return "\n".join([*files, *profile, "", table, *_warned(settings)])


def _check(found: Examination, *, as_json: bool) -> None:
    if as_json:
        echo(dumps({**_about(found.settings), "faults": [_fault(f) for f in found.faults]}))
    else:
        read = [f"{printable(str(file))}: read" for file in found.settings.files] or ["no file"]
        faults = [str(fault) for fault in found.faults]
        echo("\n".join([*(faults or read), *_warned(found.settings)]))


def _fault(fault: Fault) -> dict[str, Any]:
    return {**asdict(fault), "file": str(fault.file)}


def _about(settings: Settings) -> dict[str, Any]:
    return {
        "files": [str(file) for file in settings.files],
        "profile": settings.profile,
        "warnings": [asdict(doubt) for doubt in _warnings(settings)],
    }


def _warnings(settings: Settings) -> list[Doubt]:
    """Beside those of the files, what is wrong with a backend: it matters when that is used."""
    unusable = [
        Doubt(name, each.message, each.advice or "Mend it before you use this provider")
        for name, each in settings.backends.items()
        if isinstance(each, ConfigurationError)
    ]
    return [*settings.warnings, *unusable]


def _warned(settings: Settings) -> list[str]:
    return [f"warning: {doubt}" for doubt in _warnings(settings)]
