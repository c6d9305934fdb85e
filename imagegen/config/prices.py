"""Prices of the caller's own: `[[prices]]` in a file, and the file of refreshed ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from imagegen.config.document import read
from imagegen.config.faults import Fault, Key
from imagegen.config.reader import Reader
from imagegen.config.tables import PRICE, wrong_kind
from imagegen.errors import ConfigurationError
from imagegen.pricing import Price

DEAREST = 1_000_000
"""Of any currency; the ledger reserves no more for one submission."""
LARGEST_FILE = 1024 * 1024
"""Bytes of a file of prices; one provider's list of every model has a tenth of it."""
_ENTRY = frozenset(PRICE)


def prices(reader: Reader, key: Key, given: object) -> Iterator[tuple[str, Key, Price]]:
    """Read `[[prices]]` at *key*: each model as ``"provider:model-id"``, where, and its price."""
    if not isinstance(given, list):
        error = wrong_kind(given, list)
        reader.fault(key, error.message, "Begin each entry with [[prices]]")
        return
    seen: set[str] = set()
    for number, entry in enumerate(cast("list[object]", given)):
        place = (*key, number)
        fields = reader.fields(place, entry, PRICE, required=_ENTRY)
        if fields is None:
            continue
        model, price = fields["model"], reader.built(place, _price, **fields)
        if model in seen:
            reader.fault((*place, "model"), "it has a price already", "Leave one of the two out")
        elif price is not None:
            seen.add(model)
            yield model, place, price


def _price(*, model: str, amount: Decimal, per: Any, source: str, **rest: Any) -> Price:
    """A price that can be reckoned with; 0 is none: it would defeat every budget."""
    if not re.fullmatch(r"[^:\s]+:\S+", model):
        raise _wrong("model", "it names no model", 'Write "provider:model-id"')
    if not 0 < amount <= DEAREST:
        fix = "Leave the entry out if you do not know the price"
        words = f"a price is above 0, which would defeat every budget, and at most {DEAREST:,}"
        raise _wrong("amount", words, fix)
    if per not in ("image", "call"):
        raise _wrong("per", "it is no unit", 'Write "image" or "call"')
    if not source.strip():
        raise _wrong("source", "it is empty", "Say where the price comes from")
    return Price(amount=amount, per=per, source=source, **rest)


def _wrong(name: str, problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError(problem, advice=fix, field=name)


def read_prices(path: Path) -> dict[str, Price]:
    """Read a file of nothing but `[[prices]]`; no file, no prices.

    Returns:
        Prices by ``"provider:model-id"``.

    Raises:
        ConfigurationError: it cannot be read, or something else stands in it.
    """
    document = read(path, trusted=True, largest=LARGEST_FILE)
    if document is None:
        return {}
    if isinstance(document, Fault):
        raise document.error()
    reader = Reader(document)
    for name in document.tables:
        reader.known((name,), {"prices": list})
    entries = prices(reader, ("prices",), document.tables.get("prices", []))
    found = {model: price for model, _, price in entries}
    if reader.faults:
        raise reader.faults[0].error()
    return found


def write_prices(path: Path, prices: Mapping[str, Price]) -> None:
    """Write *prices*, by ``"provider:model-id"``, for `read_prices`; whole or not at all.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    words = ["# Written by `imagegen prices --refresh`; imagegen.toml goes before it.\n"]
    words += [_written(model, prices[model]) for model in sorted(prices)]
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text("\n".join(words), encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the prices cannot be written to {str(path)!r}: {error}",
            advice="Make its folder writable",
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
