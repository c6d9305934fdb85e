"""One request and one response, in no library's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from imagegen.redaction import without_query

Stream = TypeVar("Stream")

LONGEST_TARGET = 65_536
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>[/?][!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r'["<>\\^`{|}]')


@frozen
class Url:
    """A web address, taken apart; `target` is what the request line names."""

    scheme: str
    host: str
    port: int
    target: str = field(repr=without_query)

    @classmethod
    def parse(cls, text: str) -> Url:
        """Read *text*.

        Raises:
            ValueError: it is no http or https address of plain ASCII, or it names a user.
        """
        match = _URL.fullmatch(text.partition("#")[0])
        if match is None or len(text) > LONGEST_TARGET:
            raise ValueError("this is no web address")
        scheme, target = match["scheme"].lower(), match["target"] or "/"
        port = int(match["port"]) if match["port"] else _PORTS[scheme]
        if not 0 < port < 65_536:
            raise ValueError(f"there is no port {port}")
        target = target if target.startswith("/") else f"/{target}"
        return cls(scheme, match["host"].lower(), port, _UNSAFE.sub(_quoted, target))

    @property
    def origin(self) -> tuple[str, str, int]:
        """What tells one server from another."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host, and port where it is not the usual one, as the Host header has it."""
        usual = self.port == _PORTS[self.scheme]
        return self.host if usual else f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """The host as one connects to it: an IPv6 address has no brackets there."""
        return self.host.strip("[]")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def _quoted(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


Headers = list[tuple[bytes, bytes]]


@frozen
class Request:
    """What is to be sent; without `content`, there is no body.

    Attributes:
        limit: seconds that any one operation may take.
        connect: seconds that making a connection may take.
        trace: called with httpcore's trace events, from which one tells what was sent; it is to
            be a coroutine function for an AsyncTransport.
        fresh: asks for a connection that nothing was sent on before. One that lay idle may be
            closing at the other end just as the request leaves; for a paid one that would be an
            outcome that nobody knows, although nothing was accepted.
        public: asks that the host resolve to public addresses only.
    """

    method: str
    url: Url
    headers: Headers = field(repr=False)
    content: bytes | None = field(repr=False)  # it holds the prompt
    limit: float
    connect: float
    trace: Callable[[str, Mapping[str, Any]], Any]
    fresh: bool
    public: bool

    @property
    def extensions(self) -> dict[str, Any]:
        """What httpcore and httpx are told beside the message itself."""
        timeout = dict.fromkeys(("read", "write", "pool"), self.limit)
        return {"timeout": timeout | {"connect": self.connect}, "trace": self.trace}


@frozen
class Response(Generic[Stream]):
    """What came: the head, and the body as a stream of chunks; `close` it in any case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    chunks: Stream
    close: Callable[[], Any]


def joined(headers: Headers) -> dict[str, str]:
    """Headers by their name in lower case, those that come twice joined."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
