"""`imagegen doctor`: whether everything is there and works, for nothing.

`findings` is what it says, `here` looks at this machine, `providers` asks them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from imagegen.cli.doctor import here, providers
from imagegen.cli.doctor.findings import Finding, as_lines, exit_status
from imagegen.cli.options import config_options, json_option, sandbox_option
from imagegen.cli.report import dumps, echo
from imagegen.config.loading import Examination, examined


@click.command(
    epilog="Exit status: 0 nothing failed; 1 something did; 2 the configuration is wrong."
)
@json_option
@config_options
@sandbox_option
def command(**options: Any) -> None:
    """Check versions, configuration, keys, hosts, clocks, prices and the ledger.

    Providers are asked what is free to ask, for at most ten seconds, side by side. Nothing is
    bought and nothing is changed.
    """
    raise SystemExit(run(**options))


def run(*, as_json: bool, config: Path | None, profile: str | None, sandbox: bool) -> int:
    """Print what is found, and return the exit status."""
    findings = list(_findings(config, profile, sandbox=sandbox))
    if as_json:
        echo(dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        echo("\n".join(as_lines(findings)))
    return exit_status(findings)


def _findings(config: Path | None, profile: str | None, *, sandbox: bool) -> Iterator[Finding]:
    yield from here.versions()
    found = examined(config, profile=profile, environ=os.environ)
    yield from here.configuration(found)
    if found.faults:
        yield Finding("skip", "everything else", "the configuration is wrong")
        return
    yield from _settled(found, sandbox=sandbox)


def _settled(found: Examination, *, sandbox: bool) -> Iterator[Finding]:
    settings = found.settings
    yield from here.model(settings)
    yield from here.prices(settings)
    yield from providers.in_sandbox() if sandbox else providers.configured(found)
    yield from here.ledger(settings)
