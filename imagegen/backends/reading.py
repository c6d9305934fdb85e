"""Untrusted JSON, read by hand: what is missing or of another type counts as nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from imagegen.errors import InvalidRequestError
from imagegen.redaction import brief
from imagegen.result import Cost, Job

LONGEST_ID = 1000
MOST = 10**15
_MONEY = re.compile(r"[0-9]{1,16}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_LEAST_DIGIT = -30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def member(value: object, name: str) -> Any:
    """Return a field of an object; None where *value* is none or has none of that name."""
    return value.get(name) if isinstance(value, dict) else None


def text(value: object, name: str) -> str:
    """Return a field that holds a string; the empty one where there is no such."""
    found = member(value, name)
    return found if isinstance(found, str) else ""


def number(value: object, name: str) -> float | None:
    """Return a field that holds a number from 0; None where there is no such."""
    found = member(value, name)
    if isinstance(found, bool) or not isinstance(found, (int, Decimal)):
        return None
    return float(found) if 0 <= found <= MOST else None


def moment(value: object, name: str) -> datetime | None:
    """Return a field that holds Unix seconds, as an aware datetime; None where there is no such."""
    seconds = number(value, name)
    try:
        return None if seconds is None else _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None


def money(value: object, name: str, currency: str) -> Cost | None:
    """Return a field that says what was billed, in *currency* (ISO 4217), as a number or string.

    None where there is no such, and for anything but a finite amount from 0.
    """
    found = member(value, name)
    if isinstance(found, str) and _MONEY.fullmatch(found):
        found = Decimal(found)
    if isinstance(found, bool) or not isinstance(found, (int, Decimal)):
        return None
    amount = Decimal(found)
    if not amount.is_finite() or not 0 <= amount <= MOST or not re.fullmatch("[A-Z]{3}", currency):
        return None
    if amount and amount.adjusted() < _LEAST_DIGIT:
        return None
    return Cost(amount=amount or Decimal(0), currency=currency, basis="billed")


def integer(value: object) -> int | None:
    """Read an integer that a service may send as a string; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def fits_a_path(job_id: str) -> bool:
    """Tell whether a part of a URL's path can hold the id: ``..`` would lead elsewhere."""
    return bool(job_id.strip(".")) and len(job_id) <= LONGEST_ID


def segment(job: Job) -> str:
    """The job's id as one part of a URL's path.

    Raises:
        InvalidRequestError: no path can hold it.
    """
    if not fits_a_path(job.id):
        raise InvalidRequestError(f"{brief(job.id)} is no id that a URL can hold", job=job)
    return quote(job.id, safe="")
