"""Untrusted JSON, read by hand: what is missing or of another type counts as nothing."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from imagegen.errors import InvalidRequestError
from imagegen.redaction import brief
from imagegen.result import Job

LONGEST_ID = 1000
MOST = 10**15


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
