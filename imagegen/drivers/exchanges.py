"""One exchange with a provider, sync or async: the request with the key, the reply without it."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import evolve, frozen

from imagegen import net
from imagegen.drivers.body import Body
from imagegen.errors import (
    ConfigurationError,
    DeadlineExceededError,
    ImageGenError,
    TransportError,
)
from imagegen.flow import BEARER, Call, Pause, Reply
from imagegen.net.engine import NOT_SENT
from imagegen.redaction import Secret, without_query

Trace = Callable[[str, Mapping[str, Any]], Any]

CONNECT_TIMEOUT = 10.0
SHORTEST_KEY = 16
"""Characters; what is shorter is a made-up key, and may well be an innocent word of a reply."""


class Clock:
    """Time, in one place so that tests can replace it."""

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()

    def now(self) -> datetime:
        """The moment, aware."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Let other tasks run."""
        await asyncio.sleep(seconds)


@frozen
class Account:
    """A backend's key, the only host that it may be sent to, and the header that carries it."""

    host: str
    key: Secret | None
    header: str = BEARER

    def credentials(self, key: Secret) -> tuple[bytes, bytes]:
        """The header with *key* in its place."""
        name, _, value = self.header.partition(": ")
        return name.lower().encode(), value.replace("{key}", key.reveal()).encode()


class Wire:
    """What httpcore's trace events tell of one exchange."""

    def __init__(self) -> None:
        self._traced = False
        self._started = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of one event."""
        self._traced = True
        if event.endswith("send_request_headers.started"):
            to_proxy = getattr(info.get("request"), "method", None) == b"CONNECT"
            self._started |= not to_proxy

    async def atrace(self, event: str, info: Mapping[str, Any]) -> None:
        """Do the same for an asynchronous transport."""
        self.trace(event, info)

    def sent(self, error: Exception) -> bool:
        """Tell whether a byte may have gone out: an exception's class alone does not.

        Where nothing was traced, because somebody else's transport does not, the class has to do.
        """
        return self._started or not (self._traced or type(error).__name__ in NOT_SENT)


class Exchanges:
    """What both drivers know about making one exchange."""

    def __init__(self, accounts: Mapping[str, Account], clock: Clock) -> None:
        self._accounts = accounts
        self._origins = {
            name: net.Url.parse(account.host).origin for name, account in accounts.items()
        }
        self._own = frozenset(self._origins.values())
        self._clock = clock
        self._closed = False

    def _left(self, deadline: float) -> float:
        return deadline - self._clock.monotonic()

    def _pause(self, pause: Pause, deadline: float) -> float:
        """The seconds to sleep.

        Raises:
            DeadlineExceededError: sleeping only a part of them would be of no use.
        """
        left = self._left(deadline)
        if pause.firm and pause.seconds > left:
            raise too_late(f"there is no time to wait for {pause.seconds:.1f} s")
        return max(min(pause.seconds, left), 0.0)

    def _ready(self, call: Call, deadline: float, trace: Trace) -> net.Request:
        """What is to be sent, with the seconds that the exchange may take.

        Raises:
            ImageGenError: there is no time, or this cannot be sent.
        """
        if self._closed:
            raise ConfigurationError("the client is closed", advice="Make a new one")
        self._require_time(deadline)
        try:
            url = net.Url.parse(call.url)
        except ValueError as error:
            raise (_unsendable(error) if call.account is None else _astray(call.account)) from None
        headers = self._headers(call, url)
        try:
            kind, content = _content(call)
        except (ValueError, TypeError, RecursionError) as error:
            raise _unsendable(error) from None
        if content is not None:
            headers += [
                (b"content-type", kind),
                (b"content-length", b"%d" % len(content)),
            ]
        left = self._require_time(deadline)  # again: writing a large body takes its time
        limit = left if call.timeout is None else min(left, call.timeout)
        return net.Request(
            method=call.method,
            url=url,
            headers=headers,
            content=content,
            limit=limit,
            connect=min(limit, CONNECT_TIMEOUT),
            trace=trace,
            fresh=call.paid,
            public=url.origin not in self._own,
        )

    def _require_time(self, deadline: float) -> float:
        left = self._left(deadline)
        if left <= 0:
            raise too_late("the time is up")
        return left

    def _headers(self, call: Call, url: net.Url) -> list[tuple[bytes, bytes]]:
        """Without content; with the key, for the configured origin of the call's account only."""
        headers = [
            (b"host", url.authority.encode()),
            (b"accept-encoding", b"identity"),
            (b"user-agent", b"imagegen"),
        ]
        if call.account is None:
            return headers
        if url.origin != self._origins[call.account]:
            raise _astray(call.account)
        account = self._accounts[call.account]
        if account.key is None:
            raise ConfigurationError("there is no API key", provider=call.account, field="api_key")
        return [*headers, account.credentials(account.key)]

    def _reply(self, call: Call, response: net.Response[Any], taken: Body, body: bytes) -> Reply:
        """The reply, without a key that the provider echoes: any message may quote it."""
        key = self._key_to_hide(call)
        return Reply(
            status=response.status,
            headers={
                name: value.replace(key, "***") if key else value
                for name, value in response.headers.items()
            },
            body=body.replace(key.encode(), b"***") if key and key.encode() in body else body,
            pictures=taken.pictures,
            received_at=self._clock.now(),
        )

    def _broken(
        self, call: Call, came: tuple[net.Response[Any], Body] | None, error: ImageGenError
    ) -> Reply | ImageGenError:
        """The beginning of a paid call's answer, which may name a job; without one, the error."""
        if came is None or not call.paid or not (text := came[1].so_far()):
            return error
        return evolve(self._reply(call, *came, text), broken=error.message)

    def _key_to_hide(self, call: Call) -> str:
        account = self._accounts.get(call.account or "")
        key = account.key.reveal() if account and account.key else ""
        return key if len(key) >= SHORTEST_KEY else ""

    def _failed(self, call: Call, wire: Wire, error: Exception, deadline: float) -> ImageGenError:
        what = f"{call.method} {without_query(call.url)}"
        sent = wire.sent(error)
        if call.paid and not sent and _is_distrust(error):
            return _distrusted(call, error)
        if self._left(deadline) <= 0.001:
            return DeadlineExceededError(f"the time is up during {what}", sent=sent)
        return TransportError(f"{what} failed: {type(error).__name__} {error}", sent=sent)


def _is_distrust(error: BaseException | None) -> bool:
    """Tell a certificate that is not believed from a network that fails: it does not pass."""
    while error and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _distrusted(call: Call, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the certificate of {without_query(call.url)} is not trusted: {error}",
        advice="Check base_url, this machine's clock and its certificates; nothing was sent",
        provider=call.account,
        field="base_url",
    )


def _content(call: Call) -> tuple[bytes, bytes | None]:
    """The media type of the body, and its bytes; None where there is none."""
    if call.form is not None:
        return net.multipart((p.name, p.content, p.filename, p.media_type) for p in call.form)
    return b"application/json", None if call.json is None else _written(call.json)


def _written(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


def _unsendable(error: Exception) -> TransportError:
    return TransportError(f"this cannot be sent: {error}", sent=False)


def _astray(account: str) -> ConfigurationError:
    return ConfigurationError(
        f"the key of {account} was about to leave for another host than its own", provider=account
    )


def body_of(call: Call, response: net.Response[Any]) -> Body:
    """Where the body of *response* is collected."""
    return Body(response.headers.get("content-encoding", ""), call.limit, pictures=call.pictures)


def too_late(words: str) -> DeadlineExceededError:
    """Say that the deadline came before anything was sent."""
    return DeadlineExceededError(words, sent=False)
