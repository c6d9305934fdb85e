"""`imagegen spend`: the account, for people and for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagegen import Cost, ImageGenError, ImageRequest, Job, JobFailedError
from imagegen.cli.columns import columns, money
from imagegen.cli.commands import imagegen
from imagegen.ledger import Entry, Ledger
from imagegen.wording import counted

DAY = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "command.md").read_text(encoding="utf-8")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("IMAGEGEN_LEDGER", str(path))
    with Ledger(path) as ledger:
        yield ledger


def spend(*arguments: str) -> Result:
    return CliRunner().invoke(imagegen, ["spend", *arguments])


def price(amount: str | None, currency: str = "USD") -> Cost:
    return Cost(amount=Decimal(amount), currency=currency, basis="list-price") if amount else Cost()


def intended(ledger: Ledger, reserved: Cost, **changes: Any) -> Entry:
    """Note a submission before it is sent."""
    values: dict[str, Any] = {
        "provider": "minimax",
        "model": "image-01",
        "n": 1,
        "request": ImageRequest("a fox"),
        "reserved": reserved,
        "started_at": DAY,
        "until": DAY + timedelta(minutes=5),
    }
    entry = Entry(**(values | changes))
    ledger.intend(entry).result()
    return entry


def bought(ledger: Ledger, reserved: Cost, **changes: Any) -> Entry:
    """Note a submission that was accepted."""
    entry = intended(ledger, reserved, **changes)
    job = Job(provider=entry.provider, model=entry.model, id=entry.id, request=entry.request)
    ledger.submitted(entry.id, job).result()
    return entry


@pytest.mark.usefixtures("ledger")
def test_nothing_was_spent() -> None:
    result = spend()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "nothing was spent\n", "")
    assert json.loads(spend("--json").stdout) == {"spend": [], "totals": []}


def test_what_is_spent_and_what_is_held_are_told_apart(ledger: Ledger) -> None:
    failed = bought(ledger, price("0.0035"))
    ledger.settled(failed.id, JobFailedError("lost", charged="yes")).result()
    bought(ledger, price("0.0035"), started_at=DAY + timedelta(minutes=1))
    assert [" ".join(line.split()) for line in spend().stdout.splitlines()] == [
        "day (UTC) model calls pictures spent open unknown unpriced",
        "2026-11-20 minimax:image-01 1 0 0.0035 USD 0 USD 0 0",
        "2026-11-21 minimax:image-01 1 0 0 USD 0.0035 USD 0 0",
        "total 2 0 0.0035 USD 0.0035 USD 0 0",
    ]


def test_currencies_are_not_added_up(ledger: Ledger) -> None:
    bought(ledger, price("0.0035"))
    bought(ledger, price("0.025", "CNY"))
    bought(ledger, price(None))
    printed = json.loads(spend("--json").stdout)
    totals = {total["currency"]: total for total in printed["totals"]}
    assert {currency: total["open"] for currency, total in totals.items()} == {
        "USD": "0.0035",
        "CNY": "0.025",
        None: "0",
    }
    assert totals[None]["unpriced"] == 1
    assert spend().stdout.splitlines()[-3].split()[:5] == ["total", "1", "0", "-", "-"]


def test_the_unknown_is_counted_and_held(ledger: Ledger) -> None:
    bought(ledger, price("0.0035"))
    lost = intended(ledger, price("0.0035"))
    ledger.unknown(lost.id, ImageGenError("lost")).result()
    (line,) = json.loads(spend("--json").stdout)["spend"]
    assert (line["submissions"], line["unknown"], line["open"]) == (2, 1, "0.007")


def test_what_was_refused_does_not_count(ledger: Ledger) -> None:
    entry = intended(ledger, price("0.0035"))
    ledger.refused(entry.id, ImageGenError("no")).result()
    assert spend().stdout == "nothing was spent\n"


def test_it_begins_on_the_day_that_is_named(ledger: Ledger) -> None:
    bought(ledger, price("0.01"))
    bought(ledger, price("0.02"), started_at=DAY + timedelta(minutes=1))
    (line,) = json.loads(spend("--since", "2026-11-21", "--json").stdout)["spend"]
    assert (line["day"], line["open"]) == ("2026-11-21", "0.02")
    assert spend("--since", "2026-11-22").stdout == "nothing was spent\n"
    assert spend("--since", "yesterday").exit_code == 2


def test_the_account_is_json_as_documented(ledger: Ledger) -> None:
    bought(ledger, price("0.0035"))
    printed = json.loads(spend("--json").stdout)
    blocks = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    (documented,) = [block for block in blocks if "spend" in block]
    assert printed.keys() == documented.keys()
    for name in documented:
        ours, theirs = printed[name][0], documented[name][0]
        assert {key: type(value) for key, value in ours.items()} == {
            key: type(value) for key, value in theirs.items()
        }


@pytest.mark.parametrize(
    ("amounts", "total"), [(("100", "200"), "300"), (("0.000000001",), "0.000000001")]
)
def test_amounts_are_strings_without_exponents(
    ledger: Ledger, amounts: tuple[str, ...], total: str
) -> None:
    for amount in amounts:
        bought(ledger, price(amount))
    printed = json.loads(spend("--json").stdout)
    assert printed["totals"][0]["open"] == printed["spend"][0]["open"] == total
    assert f"{total} USD" in spend().stdout


def test_a_cell_moves_no_cursor() -> None:
    assert columns(("a", "b"), [("x\x1b[2Jy", None)]) == "a       b\nx�[2Jy  -"


def test_money_and_counts_are_written_for_people() -> None:
    assert money(Decimal("0.0070"), "USD") == "0.007 USD"
    assert money(Decimal(100), "USD") == "100 USD"
    assert money(None, "USD") == money(Decimal(0), None) == "-"
    assert (counted(1, "picture"), counted(2, "picture")) == ("1 picture", "2 pictures")
