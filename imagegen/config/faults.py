"""What is wrong with a file, where, and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from difflib import get_close_matches
from heapq import nlargest
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

from attrs import field, frozen

from imagegen.errors import ConfigurationError
from imagegen.redaction import printable, shown

MANY = 20
"""Names that one message lists."""
LIKELY = 10
"""Names that are compared letter by letter; a hostile file can make that slow."""
LONGEST = 60
"""Letters of a name that is looked for."""
PATIENCE = 50
"""Names that are looked for in one examination; a hostile file has thousands that are wrong."""

patience: ContextVar[int] = ContextVar("patience", default=PATIENCE)
"""How many are left."""
Key: TypeAlias = tuple[str | int, ...]
"""Where a value stands: names of tables and keys, and places in arrays of tables."""


def dotted(key: Key) -> str:
    """Write *key* as TOML does, fit to be shown."""
    words = ""
    for part in key:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            words += ("." if words else "") + _quoted(part)
    return words


def _quoted(part: str) -> str:
    return part if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", part) else f'"{shown(part, 60)}"'


def _clause(words: str) -> str:
    return shown(words, 500)


def _sentences(where: str, problem: str, fix: str) -> str:
    return f"{where}: {problem.rstrip('.')}. {fix}"


@frozen
class Fault:
    """One thing that is wrong with a file.

    Attributes:
        file: the file.
        line: the line at which the statement begins, from 1; None where it is not known.
        key: the dotted key; empty if it is about the file.
        problem: what is wrong, in one clause.
        fix: what to do.
    """

    file: Path
    line: int | None
    key: str
    problem: str = field(converter=_clause)
    fix: str = field(converter=printable)

    def __str__(self) -> str:
        return _sentences(self.where, self.problem, self.fix)

    @property
    def where(self) -> str:
        """``file:line: key``, as far as they are known."""
        place = printable(str(self.file)) + (f":{self.line}" if self.line else "")
        return f"{place}: {self.key}" if self.key else place

    def error(self, more: int = 0) -> ConfigurationError:
        """The error to raise for it, which says that there are *more* faults."""
        words = f"; and {more} more: `imagegen config check` lists them" if more else ""
        return ConfigurationError(
            f"{self.where}: {self.problem}", advice=self.fix + words, field=self.key or None
        )


@frozen
class Doubt:
    """What is not wrong, and not well either.

    Attributes:
        where: ``file:line: key``, as far as they are known, or whom it is about.
        problem: what is the matter, in one clause.
        fix: what to do.
    """

    where: str = field(converter=printable)
    problem: str = field(converter=_clause)
    fix: str = field(converter=printable)

    def __str__(self) -> str:
        return _sentences(self.where, self.problem, self.fix)


@frozen
class Place:
    """Where a setting is said."""

    file: Path
    line: int | None
    key: str

    def __str__(self) -> str:
        return printable(str(self.file)) + (f":{self.line}" if self.line else "")

    def fault(self, problem: str, fix: str) -> Fault:
        """Say what is wrong there."""
        return Fault(self.file, self.line, self.key, problem, fix)

    def doubt(self, problem: str, fix: str) -> Doubt:
        """Say what is not well there."""
        return Doubt(self.fault(problem, fix).where, problem, fix)


def one_of(known: Iterable[str], meant: str = "") -> str:
    """Advise to choose among *known*, the nearest to *meant* first."""
    if patience.get() <= 0:
        return "See docs/guides/configuration.md"
    names = sorted(known)
    if not names:
        return "There are none here; leave it out"
    listed = ", ".join(shown(name, 60) for name in names[:MANY])
    words = f"Known are {listed}" + (", …" if len(names) > MANY else "")
    return f"{nearest(meant, names)} {words}".lstrip()


def _shared(one: str, other: str) -> int:
    """Letters that two names share at their beginnings and ends."""
    pairs = zip(one, other, strict=False), zip(one[::-1], other[::-1], strict=False)
    return sum(1 for pair in pairs for _ in takewhile(lambda both: both[0] == both[1], pair))


def nearest(meant: str, known: Iterable[str], prefix: str = "") -> str:
    """Ask whether what is meant is the nearest of *known*, with *prefix*; empty if none is near."""
    left = patience.get()
    if left <= 0:
        return ""
    patience.set(left - 1)
    likely = nlargest(LIKELY, known, key=lambda name: _shared(meant, name))
    found = get_close_matches(meant, likely, n=1) if len(meant) <= LONGEST else []
    return f'Did you mean "{prefix}{shown(found[0], 60)}"?' if found else ""
