"""`imagegen spend`: what was spent, by day, model and currency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any

import click
from attrs import asdict

from imagegen.cli.columns import columns, money
from imagegen.cli.options import config_options, json_option, ledger_option
from imagegen.cli.report import Speaker, dumps, echo
from imagegen.cli.setup import Setup
from imagegen.ledger import Spend
from imagegen.result import EXACT

_HEADS = ("day (UTC)", "model", "calls", "pictures", "spent", "open", "unknown", "unpriced")


@click.command()
@ledger_option
@config_options
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="First day, of UTC."
)
@json_option
def command(*, since: datetime | None, as_json: bool, **options: Any) -> None:
    """Add up what was spent, by day, model and currency."""
    say = Speaker(as_json=as_json)
    with say.explaining(), Setup.taken_from(options).required_ledger() as book:
        account = book.spend(since.date() if since else None).result()
    if as_json:
        echo(dumps({"spend": [asdict(line) for line in account], "totals": _totals(account)}))
    else:
        echo(_table(account) if account else "nothing was spent")


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
        "spent": _sum(line.spent for line in lines),
        "open": _sum(line.open for line in lines),
        "unknown": sum(line.unknown for line in lines),
        "unpriced": sum(line.unpriced for line in lines),
    }


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, Decimal(0)).normalize(EXACT)
