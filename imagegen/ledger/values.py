"""What the ledger takes and gives: its rows, the states they pass through, the account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import uuid4

from attrs import Attribute, field, frozen

from imagegen.errors import InvalidRequestError
from imagegen.redaction import brief
from imagegen.request import ImageRequest
from imagegen.result import Cost, Job

State = Literal["intent", "submitted", "settled", "unknown", "refused"]

TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    "submitted": ("intent", "unknown", "refused"),
    "settled": ("intent", "submitted", "unknown", "refused"),
    "refused": ("intent", "unknown"),
    "unknown": ("intent",),
}
"""From which states a row may come to each; nothing leaves "settled"."""


def _aware(_: object, attribute: Attribute[Any], value: datetime) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidRequestError(
            f"{attribute.name} of an entry must be an aware datetime, not {brief(value)}",
            field=attribute.name,
        )


@frozen(kw_only=True)
class Entry:
    """One row: a paid submission, from before it is sent until its outcome is known.

    Attributes:
        id: our own, hexadecimal.
        state: ``"intent"``: about to be sent; ``"submitted"``: accepted; ``"settled"``: ended,
            for good; ``"unknown"``: may have been accepted; ``"refused"``: was not accepted.
        provider: the backend's name.
        model: the provider's model id.
        n: pictures asked for.
        request: what was asked for.
        reserved: the price that is held until the cost is known.
        cost: what it cost; unknown until it is settled, and perhaps then.
        images: pictures that came.
        job: the accepted job, once settled with its outcome in `job.settled`; no picture's bytes.
        error: the name of the class in `imagegen.errors` that tells why nothing came.
        message: what happened, in one line.
        request_id: the provider's id of the exchange.
        started_at: aware, UTC; spending counts on this day.
        until: aware, UTC; when the call's deadline ends.
        updated_at: aware, UTC; when the row was last changed.
        collected: the caller has its pictures.
        owner: the process that sends it, as ``"host:pid:start"``; empty for the ledger's own.

    Raises:
        InvalidRequestError: a datetime is not aware.
    """

    id: str = field(factory=lambda: uuid4().hex)
    state: State = "intent"
    provider: str
    model: str
    n: int
    request: ImageRequest
    reserved: Cost
    cost: Cost = field(factory=Cost)
    images: int = 0
    job: Job | None = None
    error: str | None = None
    message: str | None = None
    request_id: str | None = None
    started_at: datetime = field(validator=_aware)
    until: datetime = field(validator=_aware)
    updated_at: datetime | None = None
    collected: bool = False
    owner: str = ""


@frozen(kw_only=True)
class Spend:
    """One line of the account: a day, a model, a currency. Refused submissions do not count.

    Attributes:
        day: of UTC.
        provider: the backend's name.
        model: the provider's model id.
        currency: ISO 4217; None where it is not known.
        submissions: that were or may have been accepted.
        images: pictures that came.
        spent: the known cost of what is settled.
        open: reserved for what is not settled, or is settled at an unknown cost.
        unknown: submissions of which nobody knows whether they were accepted.
        unpriced: submissions whose price is not known at all; they are in neither sum.
    """

    day: date
    provider: str
    model: str
    currency: str | None
    submissions: int
    images: int
    spent: Decimal
    open: Decimal
    unknown: int
    unpriced: int


def utc_now() -> datetime:
    """Return the moment, aware."""
    return datetime.now(UTC)
