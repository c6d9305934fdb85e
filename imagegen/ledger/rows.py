"""Entries as rows of the file, and back."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime

from imagegen import codec
from imagegen.errors import ConfigurationError, InvalidRequestError
from imagegen.ledger.money import amount_of, billionths
from imagegen.ledger.privacy import digest
from imagegen.ledger.values import Entry, Spend
from imagegen.request import ImageRequest
from imagegen.result import Cost, Job

Row = dict[str, str | int | None]


def moment(when: datetime) -> str:
    """Write *when* so that later moments sort later."""
    return when.astimezone(UTC).isoformat(timespec="microseconds")


def new_row(entry: Entry, now: datetime) -> Row:
    """Return every column of *entry*."""
    return {
        "provider": entry.provider,
        "model": entry.model,
        "n": entry.n,
        "request": _json(entry.request),
        "prompt": digest(entry.request.prompt),
        "reserved": billionths(entry.reserved.amount),
        "reserved_currency": entry.reserved.currency,
        "reserved_basis": entry.reserved.basis,
        "started_at": moment(entry.started_at),
        "until": moment(entry.until),
        "collected": entry.collected,
        "owner": entry.owner,
        **changed_row(entry, now),
    }


def changed_row(entry: Entry, now: datetime) -> Row:
    """Return the columns of *entry* that its transitions change, and its id."""
    return {
        "id": entry.id,
        "state": entry.state,
        "cost": billionths(entry.cost.amount),
        "cost_currency": entry.cost.currency,
        "cost_basis": entry.cost.basis,
        "images": entry.images,
        "job_id": entry.job.id if entry.job else None,
        "job": _json(entry.job) if entry.job else None,
        "error": entry.error,
        "message": entry.message,
        "request_id": entry.request_id,
        "updated_at": moment(now),
    }


def _json(value: ImageRequest | Job) -> str:
    """Write *value*; raise InvalidRequestError if it could not be read again."""
    text = codec.dumps(value)
    codec.loads(text, type(value))
    return text


def entry_of(row: sqlite3.Row) -> Entry:
    """Read an entry.

    Raises:
        ConfigurationError: the row was not written by this version of imagegen, or is damaged.
    """
    try:
        return _entry(row)
    except (InvalidRequestError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"row {row['id']!r} of the ledger cannot be read: {error}",
            advice="Read it with the version of imagegen that wrote it",
        ) from error


def _entry(row: sqlite3.Row) -> Entry:
    same = ("id", "state", "provider", "model", "n", "images", "error", "message", "request_id")
    return Entry(
        **{name: row[name] for name in same},
        request=codec.loads(row["request"], ImageRequest),
        reserved=_cost(row, "reserved"),
        cost=_cost(row, "cost"),
        job=codec.loads(row["job"], Job) if row["job"] else None,
        started_at=datetime.fromisoformat(row["started_at"]),
        until=datetime.fromisoformat(row["until"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        collected=bool(row["collected"]),
        owner=row["owner"],
    )


def _cost(row: sqlite3.Row, name: str) -> Cost:
    amount = None if row[name] is None else amount_of(row[name])
    return Cost(amount=amount, currency=row[f"{name}_currency"], basis=row[f"{name}_basis"])


def spend_of(row: sqlite3.Row) -> Spend:
    """Read a line of the account."""
    same = ("provider", "model", "submissions", "images", "unknown", "unpriced")
    return Spend(
        **{name: row[name] for name in same},
        day=date.fromisoformat(row["day"]),
        currency=row["currency"] or None,
        spent=amount_of(row["spent"]),
        open=amount_of(row["open"]),
    )
