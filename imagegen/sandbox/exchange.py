"""What crosses the wire, as values: the request that came in and the answer that goes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn, cast
from urllib.parse import parse_qsl

from attrs import field, frozen

Provider = Literal["minimax", "wavespeed"]
Step = Literal["submit", "poll", "download"]
Content = bytes | Callable[[], bytes]


def _upper(method: str) -> str:
    return method.upper()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


def parse(body: bytes) -> Any:
    """JSON as the providers read it: NaN and Infinity are not numbers.

    Raises ValueError, also for text that is not UTF-8 or is nested absurdly deep.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as deep:
        raise ValueError("nested too deep") from deep


def dump(payload: object) -> bytes:
    """Compact UTF-8 JSON."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


@frozen
class Request:
    """An HTTP request: decoded `path`, raw `query`, header names in lower case, whole `body`."""

    method: str = field(converter=_upper)
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(factory=dict[str, str], converter=_lower)
    body: bytes = field(default=b"", repr=False)

    @property
    def params(self) -> dict[str, str]:
        """The query string's pairs; the last of a repeated name wins."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def bearer(self) -> str:
        """The key of `Authorization: Bearer <key>`; "" without one or in another scheme."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""

    def json_object(self) -> dict[str, Any] | None:
        """The body when it is a JSON object, else None."""
        try:
            payload = parse(self.body)
        except ValueError:
            return None
        return cast("dict[str, Any]", payload) if isinstance(payload, dict) else None


@frozen
class Answer:
    """What the server does: wait `delay` seconds, then answer, or drop the connection.

    `content` may be a function, so that pictures are drawn by whoever sends the answer and
    never under the sandbox's lock; read `body` for the bytes. `drop="before"`: the connection
    breaks before the request is taken. `drop="after"`: it breaks instead of the answer.
    """

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict[str, str])
    content: Content = field(default=b"", repr=False)
    delay: float = 0.0
    drop: Literal["before", "after"] | None = None

    @property
    def lazy(self) -> bool:
        """Whether reading `body` may take milliseconds (pictures to draw)."""
        return callable(self.content)

    @property
    def body(self) -> bytes:
        """The body's bytes, drawn now if they were not yet."""
        return self.content() if callable(self.content) else self.content

    def json(self) -> Any:
        """The body read as JSON; raises ValueError if it is not."""
        return parse(self.body)


def json_answer(
    payload: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    delay: float = 0.0,
) -> Answer:
    """Answer `payload` as JSON; a function is called, and encoded, when the body is read."""
    made = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    make = cast("Callable[[], object]", payload) if callable(payload) else None
    content: Content = dump(payload) if make is None else lambda: dump(make())
    return Answer(status, made, content, delay)


def text_answer(text: str, *, status: int = 200, kind: str = "text/plain") -> Answer:
    """Answer `text` as `kind`, a media type."""
    return Answer(status, {"Content-Type": f"{kind}; charset=utf-8"}, text.encode())
