"""`imagegen spend`: what was spent, by day, model and currency."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from attrs import asdict

from imagegen.cli import exit_codes
from imagegen.cli.columns import columns, money
from imagegen.cli.ledgers import required
from imagegen.cli.report import Speaker, dumps, echo
from imagegen.errors import ImageGenError
from imagegen.ledger import Spend

_HEADS = ("day (UTC)", "model", "calls", "pictures", "spent", "open", "unknown", "unpriced")


def run(*, ledger: str | None, since: date | None, as_json: bool) -> int:
    """Print the account, and return the exit status."""
    say = Speaker(as_json=as_json)
    try:
        with required(ledger) as book:
            account = book.spend(since).result()
    except ImageGenError as error:
        say.failed(error)
        return exit_codes.exit_code(error)
    if as_json:
        echo(dumps({"spend": [asdict(line) for line in account], "totals": _totals(account)}))
    else:
        echo(_table(account) if account else "nothing was spent")
    return exit_codes.OK


def _table(account: Sequence[Spend]) -> str:
    rows = [_row(line.day, f"{line.provider}:{line.model}", asdict(line)) for line in account]
    return columns(_HEADS, [*rows, *(_row("total", "", total) for total in _totals(account))])


def _row(day: object, model: str, sums: dict[str, Any]) -> tuple[object, ...]:
    amounts = (money(sums[name], sums["currency"]) for name in ("spent", "open"))
    counts = (sums[name] for name in ("submissions", "images"))
    return (day, model, *counts, *amounts, sums["unknown"], sums["unpriced"])


def _totals(account: Sequence[Spend]) -> list[dict[str, Any]]:
    """One sum for each currency: different ones are not added up."""
    currencies = dict.fromkeys(line.currency for line in account)
    return [
        _total(currency, [line for line in account if line.currency == currency])
        for currency in currencies
    ]


def _total(currency: str | None, lines: Sequence[Spend]) -> dict[str, Any]:
    return {
        "currency": currency,
        "submissions": sum(line.submissions for line in lines),
        "images": sum(line.images for line in lines),
        "spent": sum((line.spent for line in lines), Decimal(0)).normalize(),
        "open": sum((line.open for line in lines), Decimal(0)).normalize(),
        "unknown": sum(line.unknown for line in lines),
        "unpriced": sum(line.unpriced for line in lines),
    }
