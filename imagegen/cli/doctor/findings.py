"""What the doctor finds: one line each, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import frozen

from imagegen.cli import exit_codes
from imagegen.errors import ImageGenError
from imagegen.redaction import printable

Status = Literal["ok", "warn", "fail", "skip"]


@frozen
class Finding:
    """One fact.

    Attributes:
        status: ``"ok"``; ``"warn"``: works, and is not well; ``"fail"``: does not work; ``"skip"``:
            could not be found out, or does not matter here.
        what: what it is about, in a word or two.
        words: what was found.
        fix: the next step; empty where nothing is to be done.
        configuration: whether a failure is the configuration's.
    """

    status: Status
    what: str
    words: str
    fix: str = ""
    configuration: bool = False


def of_error(
    status: Status, what: str, error: ImageGenError, *, configuration: bool = False
) -> Finding:
    """Say that *error* is what was found; its advice is the next step."""
    return Finding(status, what, error.message, error.advice, configuration=configuration)


def exit_status(findings: Iterable[Finding]) -> int:
    """The command's exit status: warnings are no failures."""
    failed = [finding for finding in findings if finding.status == "fail"]
    if any(finding.configuration for finding in failed):
        return exit_codes.WRONG
    return exit_codes.FAILED if failed else exit_codes.OK


def as_lines(findings: Iterable[Finding]) -> list[str]:
    """The lines that a person reads."""
    several = list(findings)
    width = max((len(finding.what) for finding in several), default=0)
    lines = list[str]()
    for finding in several:
        lines.append(f"{finding.status:4}  {finding.what:{width}}  {finding.words}")
        if finding.fix:
            lines.append(f"{'':{width + 8}}-> {finding.fix}")
    return [printable(line).rstrip() for line in lines]
