"""One TOML file, read within bounds: whatever stands in its place, there is a fault or a document.

A file in the working directory may be anybody's, so a pipe, a device or a link of its name is
never opened.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import field, frozen

from imagegen.config.faults import Fault, Key, Place, dotted
from imagegen.config.lines import lines_of

LARGEST = 64 * 1024
"""Bytes of a file of settings; real ones have two thousand."""
DOTS = 64
"""Dots in a line, before a comment: `tomllib` takes the square of a key's parts."""

_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)  # not on Windows
_NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)  # same
_SHOWN = re.compile(r"\(.*\)|'[^']{3,}'|\"[^\"]{3,}\"")
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@frozen(eq=False)
class Document:
    """A file that could be read; what stands in it is never shown, as it may hold a key.

    Attributes:
        file: where it was read.
        trusted: whether the user named it, or keeps it in their own folder.
        private: whether nobody else on this machine may read it, as far as its mode tells.
    """

    file: Path
    trusted: bool
    private: bool
    tables: Mapping[str, Any] = field(repr=False)
    _text: str = field(repr=False)

    def place(self, key: Key) -> Place:
        """Where *key* stands, or the table that it would stand in."""
        return Place(self.file, self.line(key), dotted(key))

    def has(self, key: Key) -> bool:
        """Whether anything stands at *key*."""
        inner: Any = self.tables
        for part in key:
            try:
                inner = inner[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def line(self, key: Key) -> int | None:
        """The line of *key*, or else of what is around it; None where that is not known."""
        within = (key[:end] for end in range(len(key), 0, -1))
        return next((self._lines[part] for part in within if part in self._lines), None)

    @cached_property
    def _lines(self) -> Mapping[Key, int]:
        return lines_of(self._text)


def read(file: Path, *, trusted: bool, largest: int = LARGEST) -> Document | Fault | None:
    """Read *file*; None if there is none.

    What is not *trusted* must not be a link: it would be read as what it is not.
    """
    try:
        status = file.stat() if trusted else file.lstat()
        if not stat.S_ISREG(status.st_mode):
            return _unread(file, _kind(status.st_mode))
        data, status = _contents(file, largest, 0 if trusted else _NO_LINK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return _unread(file, getattr(error, "strerror", None) or "its name is none for a file")
    if not stat.S_ISREG(status.st_mode):
        return _unread(file, _kind(status.st_mode))
    private = os.name != "posix" or not status.st_mode & 0o077
    return parsed(file, data, trusted=trusted, private=private, largest=largest)


def _contents(file: Path, largest: int, flags: int) -> tuple[bytes, os.stat_result]:
    """Never waits: what has taken the file's place since it was looked at may be a pipe."""
    descriptor = os.open(file, os.O_RDONLY | _NO_WAIT | flags)
    with open(descriptor, "rb") as opened:  # noqa: PTH123 - a descriptor, not a path
        status = os.fstat(descriptor)
        return (opened.read(largest + 1) if stat.S_ISREG(status.st_mode) else b""), status


def _kind(mode: int) -> str:
    return "it is a link" if stat.S_ISLNK(mode) else "it is no file"


def _unread(file: Path, why: str) -> Fault:
    return Fault(
        file, None, "", f"it cannot be read: {why}", "Put a file of settings there, or name another"
    )


def parsed(
    file: Path, data: bytes, *, trusted: bool, private: bool, largest: int = LARGEST
) -> Document | Fault:
    """Make a document of the *data* that *file* holds, or is to hold."""
    if len(data) > largest:
        return _unread(file, f"it is larger than {largest:,} bytes")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = data.count(b"\n", 0, error.start)
        return Fault(file, before + 1, "", "it is not UTF-8", "Save it as UTF-8")
    for number, line in enumerate(text.split("\n"), 1):
        if line.partition("#")[0].count(".") > DOTS:
            return Fault(file, number, "", f"more than {DOTS} dots in a line", "Break the line")
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return _no_toml(file, text, error)
    return Document(file, trusted, private, tables, text)


def _no_toml(file: Path, text: str, error: Exception) -> Fault:
    """In the words of `tomllib`, without what it quotes: that may be a key."""
    if isinstance(error, RecursionError):
        return Fault(file, None, "", "it is nested too deeply", "Write it flat")
    if not isinstance(error, tomllib.TOMLDecodeError):
        return Fault(file, None, "", "a number in it has too many digits", "Shorten the number")
    at = _AT.search(str(error))
    number = int(at[1]) if at and at[1] else text.rstrip("\n").count("\n") + 1
    words = _SHOWN.sub("…", _AT.sub("", str(error)))
    return Fault(
        file, number, "", f"it is not TOML: {words}", 'Write key = value; text in "quotes"'
    )
