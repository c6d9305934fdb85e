"""The vocabulary of a conversation with a provider. It performs no I/O of its own.

A *flow* is a generator: it yields a `Call` whenever it wants one HTTP request made, is sent the
`Reply`, and returns its result. An exchange that brought no reply is thrown into the flow as a
TransportError or DeadlineExceededError; so is whatever else ends it (Ctrl-C, cancellation), so
that the flow can add what it knows. HTTP error statuses are replies: only the backend knows
what they mean. Between calls a flow may yield a `Pause`, an event, which is passed on, or a
`concurrent.futures.Future`, whose result `awaited` hands back. A submission reads::

    def submit(self, request):
        reply = yield Call("POST", url, json=body, account=self.name, paid=True)
        return read_job(reply)

Flows are sync generators, compose with `yield from`, and know neither clock nor socket nor key.
`imagegen.drivers` runs them.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeAlias, TypeVar, cast

from attrs import field, frozen

from imagegen.events import Event
from imagegen.redaction import without_query

S = TypeVar("S")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BEARER = "Authorization: Bearer {key}"
LONGEST_RETRY_AFTER = 86_400.0


def _shown_json(value: Any) -> str:
    return "None" if value is None else f"<{', '.join(value)}>"


def _shown_form(form: tuple[Part, ...] | None) -> str:
    return "None" if form is None else f"<{', '.join(part.name for part in form)}>"


def _shown_content(content: str | bytes) -> str:
    return f"<{len(content):,} {'characters' if isinstance(content, str) else 'bytes'}>"


@frozen
class Part:
    """One field of a form (multipart/form-data): text, or a file.

    Attributes:
        name: of the field; several parts may have the same.
        content: text, or the bytes of a file.
        filename: what the file is called; None for text.
        media_type: the file's, such as ``"image/png"``; None for text.
    """

    name: str
    content: str | bytes = field(repr=_shown_content)
    filename: str | None = None
    media_type: str | None = None

    @property
    def shown(self) -> str:
        """The text; of a file, its type and size."""
        if isinstance(self.content, str):
            return self.content
        return f"<{self.media_type or 'a file'}, {len(self.content):,} bytes>"


@frozen
class Call:
    """One HTTP request to make. Its body is JSON, or a form, or there is none.

    Attributes:
        method: ``"GET"`` or ``"POST"``.
        url: absolute.
        json: the body as JSON, or None.
        form: the body as a form, or None.
        account: the backend whose key goes along; the driver adds it, and only for the origin
            that is configured for that backend. None: no credentials.
        timeout: seconds that this exchange may take; None: all that the deadline leaves.
        limit: bytes of body to accept.
        paid: the provider bills it once accepted, so it is sent at most once.
        pictures: the reply may hold pictures as base64; they are decoded while it arrives.
    """

    method: str
    url: str = field(repr=without_query)
    json: Mapping[str, Any] | None = field(default=None, repr=_shown_json)
    form: tuple[Part, ...] | None = field(default=None, repr=_shown_form, kw_only=True)
    account: str | None = None
    timeout: float | None = None
    limit: int = 128 * 2**20
    paid: bool = False
    pictures: bool = False

    def __attrs_post_init__(self) -> None:
        if self.json is not None and self.form is not None:
            raise ValueError("a call has one body")

    @property
    def body(self) -> Mapping[str, Any] | None:
        """The body as JSON can show it: of a form, `Part.shown` by name. None where there is none.

        What comes more than once under a name is a list.
        """
        if self.form is None:
            return self.json
        fields: dict[str, list[str]] = {}
        for part in self.form:
            fields.setdefault(part.name, []).append(part.shown)
        return {name: found[0] if len(found) == 1 else found for name, found in fields.items()}


@frozen
class Reply:
    """One HTTP response, its body read whole; header names in lower case.

    The body of a paid call's reply may break off; `broken` then says why. In the body of a reply
    to a call for `pictures`, names stand for long strings of base64, and `pictures` has their bytes
    by name: `imagegen.codec.decode` puts them in.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=lambda body: f"<{len(body):,} bytes>")
    received_at: datetime
    broken: str = ""
    pictures: Mapping[str, bytes] = field(factory=dict[str, bytes], repr=False)

    @property
    def retry_after(self) -> float | None:
        """Seconds that the Retry-After header asks for, 0–86400; None where it says nothing."""
        text = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
            return min(float(text), LONGEST_RETRY_AFTER)
        try:
            wait: timedelta = parsedate_to_datetime(text[:64]) - self.received_at
        except (ValueError, TypeError, OverflowError):
            return None
        return min(max(wait.total_seconds(), 0.0), LONGEST_RETRY_AFTER)


@frozen
class Pause:
    """Wait so many seconds, or until the deadline; the answer is the moment, in seconds.

    Moments are those of the driver's monotonic clock: only their difference means something.

    A `firm` one is of no use if it is cut short: where too little time is left, it is not begun,
    and a DeadlineExceededError is thrown in at once.
    """

    seconds: float
    firm: bool = False


Step: TypeAlias = "Call | Pause | Future[Any] | Event"
Flow: TypeAlias = Generator[Step, Any, T]


def awaited(future: Future[T]) -> Flow[T]:
    """Wait for *future*, up to the deadline, and return its result."""
    return cast("T", (yield future))


@frozen
class Done(Generic[T_co]):
    """The value that a flow returned."""

    value: T_co


def advance(flow: Generator[S, Any, T], outcome: Any = None) -> S | Done[T]:
    """Resume *flow* with what came of its last step; the only place that drives a generator."""
    try:
        return flow.throw(outcome) if isinstance(outcome, BaseException) else flow.send(outcome)
    except StopIteration as stop:
        return Done(stop.value)
