"""Prices of the caller's own: `[[prices]]` in a file, and the file of refreshed ones."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

from imagegen.config.document import Document, parsed, read
from imagegen.config.faults import Fault, Key
from imagegen.config.reader import Reader, as_read
from imagegen.config.tables import PRICE, wrong_kind
from imagegen.errors import ConfigurationError
from imagegen.pictures.files import write_whole
from imagegen.pricing import Price

DEAREST = 1_000_000
"""Of any currency; the ledger reserves no more for one submission."""
LARGEST_FILE = 1024 * 1024
"""Bytes of a file of prices; one provider's list of every model has a tenth of it."""
BUSY_SECONDS = 10.0
"""Seconds that another process may take to write the file."""
_EXAMPLES = {
    "model": '"minimax:image-01"',
    "amount": '"0.003"',
    "currency": '"USD"',
    "per": '"image"',
    "as_of": "2026-11-01",
    "source": '"our contract"',
}


def prices(
    reader: Reader, key: Key, given: object, alone: Callable[[str, Any], Any] = as_read
) -> Iterator[tuple[str, Key, Price]]:
    """Read `[[prices]]` at *key*: each model as ``"provider:model-id"``, where, and its price.

    *alone* checks fields beyond what any price must be.
    """
    if not isinstance(given, list):
        error = wrong_kind(given, list)
        reader.fault(key, error.message, "Begin each entry with [[prices]]")
        return
    seen: set[str] = set()
    for number, entry in enumerate(cast("list[object]", given)):
        place = (*key, number)
        fields = reader.fields(
            place, entry, PRICE, _EXAMPLES, lambda name, read: _field(name, alone(name, read))
        )
        if fields is None:
            continue
        model = fields.pop("model")
        if model in seen:
            reader.fault((*place, "model"), "it has a price already", "Leave one of the two out")
        else:
            seen.add(model)
            yield model, place, Price(**fields)


def _field(name: str, read: Any) -> Any:
    """Check one field of a price that can be reckoned with; 0 is none: it defeats every budget."""
    problem = fix = ""
    match name:
        case "model" if not re.fullmatch(r"[^:\s]+:\S+", read):
            problem, fix = "it names no model", 'Write "provider:model-id"'
        case "amount" if not 0 < read <= DEAREST:
            problem = f"a price is above 0, which defeats budgets, and at most {DEAREST:,}"
            fix = "Leave the entry out if you do not know the price"
        case "source" if not read.strip():
            problem, fix = "it is empty", "Say where the price comes from"
        case _:
            return read
    raise ConfigurationError(problem, advice=fix)


def read_prices(path: Path) -> dict[str, Price]:
    """Read a file of nothing but `[[prices]]`; no file, no prices.

    Returns:
        Prices by ``"provider:model-id"``.

    Raises:
        ConfigurationError: it cannot be read, or something else stands in it.
    """
    found = prices_or_fault(path)
    if isinstance(found, Fault):
        raise found.error()
    return found


def prices_or_fault(path: Path) -> dict[str, Price] | Fault:
    """Read a file as `read_prices` does, or say what is wrong with it first."""
    return _prices_in(read(path, trusted=True, largest=LARGEST_FILE))


def _prices_in(document: Document | Fault | None) -> dict[str, Price] | Fault:
    if document is None:
        return {}
    if isinstance(document, Fault):
        return document
    reader = Reader(document)
    for name in document.tables:
        reader.known((name,), {"prices": list})
    entries = prices(reader, ("prices",), document.tables.get("prices", []))
    found = {model: price for model, _, price in entries}
    return reader.faults[0] if reader.faults else found


def write_prices(path: Path, prices: Mapping[str, Price]) -> None:
    """Write *prices*, by ``"provider:model-id"``, for `read_prices`; whole or not at all.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    words = ["# Written by `imagegen prices --refresh`; imagegen.toml goes before it.\n"]
    words += [_written(model, prices[model]) for model in sorted(prices)]
    with _explained(path):
        data = "\n".join(words).encode("utf-8")
        document = parsed(path, data, trusted=True, private=True, largest=LARGEST_FILE)
        found = _prices_in(document)
        if isinstance(found, Fault):  # what a provider told would lose what others did
            raise ValueError(found.problem)  # noqa: TRY004 - of what was told, not of a type
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)


def add_prices(path: Path, told: Mapping[str, Price]) -> None:
    """Write *told* into the file over what it has; what others add meanwhile stays too.

    A file that is broken is moved aside, as ``prices.broken.toml``.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            before = prices_or_fault(path)
            if isinstance(before, Fault):
                path.replace(path.with_name(f"{path.stem}.broken{path.suffix}"))
                before = {}
            write_prices(path, {**before, **told})


@contextmanager
def _alone(path: Path) -> Generator[None]:
    """Keep other processes and threads out of the block.

    SQLite's lock is there on every system, and is given up even by a process that is killed.
    """
    lock = path.with_name(f".{path.name}.lock")
    with closing(sqlite3.connect(lock, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except (OSError, ValueError, sqlite3.Error) as error:
        busy = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
        why = "another process holds it" if busy else error
        raise ConfigurationError(
            f"the prices cannot be written to {str(path)!r}: {why}",
            advice="Try again" if busy else "Make its folder writable",
        ) from error


def _written(model: str, price: Price) -> str:
    fields = {
        "model": _text(model),
        "amount": _text(f"{price.amount:f}"),
        "currency": _text(price.currency),
        "per": _text(price.per),
        "as_of": price.as_of.isoformat(),
        "source": _text(price.source),
    }
    return "[[prices]]\n" + "".join(f"{name} = {words}\n" for name, words in fields.items())


def _text(words: str) -> str:
    """A TOML string: JSON's is the same, but for one character."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")
