"""At which line each key of a TOML document stands, which `tomllib` does not tell."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from imagegen.config.faults import Key

MOST = 1_500_000
"""Characters that are parsed for one document; a file that is all one array would need many more
than it is worth."""
DEPTH = 8
"""Tables within tables that are told apart; real files have four."""


def lines_of(text: str) -> dict[Key, int]:
    """Where the statement of each key begins, from 1; *text* is a document that can be parsed.

    Each statement is the shortest run of lines that can be parsed by itself.
    """
    found: dict[Key, int] = {}
    entries: Counter[Key] = Counter()
    table: Key = ()
    for number, statement, parsed in _statements(text):
        if statement.startswith("["):
            table = _header(parsed, entries, several=statement.startswith("[["))
            keys: list[Key] = [()]
        else:
            keys = _keys(parsed)
        for key in (table + key for key in keys):
            for end in range(1, len(key) + 1):
                found.setdefault(key[:end], number)
    return found


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The line, the text and the content of each statement; comments have no content."""
    start, run, left = 1, "", MOST
    for number, line in enumerate(text.split("\n"), 1):
        run += f"{line}\n"
        left -= len(run)
        if left < 0:
            return
        parsed = _parsed(run)
        if parsed is not None:
            yield start, run.lstrip(), parsed
            start, run = number + 1, ""


def _parsed(run: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(run)
    except ValueError:
        return None


def _header(parsed: dict[str, Any], entries: Counter[Key], *, several: bool) -> Key:
    """The key of a table's header; entries of an array of tables are counted from 0."""
    key: Key = ()
    value: Any = parsed
    while isinstance(value, dict) and value and len(key) < DEPTH:
        (name, value), *_ = value.items()
        key += (name,)
        if several and isinstance(value, list):
            entries[key] += 1
        if entries[key]:
            key += (entries[key] - 1,)
    return key


def _keys(parsed: dict[str, Any]) -> list[Key]:
    """Every key within *parsed*, the outer ones first."""
    level: list[tuple[Key, Any]] = [((), parsed)]
    found: list[Key] = []
    for _ in range(DEPTH):
        level = [
            ((*key, name), child)
            for key, value in level
            if isinstance(value, dict)
            for name, child in value.items()
        ]
        found += [key for key, _ in level]
    return found
