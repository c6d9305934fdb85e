"""Running flows for real: the only module that knows the keys and, with `net`, the network.

`Driver` and `AsyncDriver` differ in nothing but `await`. Whatever ends an exchange, even Ctrl-C,
is thrown into the flow, which may add what it knows.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import httpx
from attrs import evolve, frozen

from imagegen import net
from imagegen.body import Body
from imagegen.errors import (
    ConfigurationError,
    DeadlineExceededError,
    ImageGenError,
    TransportError,
)
from imagegen.events import Event
from imagegen.flow import Call, Done, Flow, Pause, Reply, Step, advance
from imagegen.redaction import Secret, without_query

T = TypeVar("T")
Tell = Callable[[Event], None]

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
    """A backend's key and the only host that it may be sent to."""

    host: str
    key: Secret | None


class _Wire:
    """What httpcore's trace events tell of one exchange."""

    def __init__(self) -> None:
        self._traced = False
        self._started = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        to_proxy = getattr(info.get("request"), "method", None) == b"CONNECT"
        self._started |= event.endswith("send_request_headers.started") and not to_proxy
        self._traced = True

    async def atrace(self, event: str, info: Mapping[str, Any]) -> None:
        self.trace(event, info)

    def sent(self, error: Exception) -> bool:
        """Tell whether a byte may have gone out: an exception's class alone does not.

        Where nothing was traced, because somebody else's transport does not, the class has to do.
        """
        return self._started or not (self._traced or isinstance(error, net.BEFORE_SENDING))


class _Exchanges:
    """What both drivers know about making one exchange."""

    def __init__(self, accounts: Mapping[str, Account], clock: Clock) -> None:
        self._accounts = accounts
        self._origins = frozenset(_origin(account.host) for account in accounts.values())
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
            raise _too_late(f"there is no time to wait for {pause.seconds:.1f} s")
        return max(min(pause.seconds, left), 0.0)

    def _ready(self, call: Call, deadline: float, trace: object) -> tuple[float, httpx.Request]:
        """The seconds that the exchange may take, and the request.

        Raises:
            ImageGenError: there is no time, or this cannot be sent.
        """
        if self._closed:
            raise ConfigurationError("the client is closed", advice="Make a new one")
        left = self._left(deadline)
        if left <= 0:
            raise _too_late("the time is up")
        limit = left if call.timeout is None else min(left, call.timeout)
        try:
            request = self._request(call, limit, trace)
        except (httpx.InvalidURL, ValueError, TypeError, RecursionError) as error:
            raise TransportError(f"this cannot be sent: {error}", sent=False) from None
        left = self._left(deadline)  # once more: writing a large body as JSON takes its time
        if left <= 0:
            raise _too_late("the time is up")
        return min(limit, left), request

    def _request(self, call: Call, limit: float, trace: object) -> httpx.Request:
        headers = {"accept-encoding": "identity", "user-agent": "imagegen"} | self._key(call)
        content = None
        if call.json is not None:
            headers["content-type"] = "application/json"
            text = json.dumps(call.json, ensure_ascii=False, allow_nan=False)
            content = text.encode("utf-8")
        timeout = httpx.Timeout(limit, connect=min(limit, CONNECT_TIMEOUT))
        extensions = {
            "timeout": timeout.as_dict(),
            "trace": trace,
            net.FRESH: call.paid,
            net.PUBLIC: _origin(call.url) not in self._origins,
        }
        return httpx.Request(
            call.method, call.url, headers=headers, content=content, extensions=extensions
        )

    def _key(self, call: Call) -> dict[str, str]:
        """The Authorization header, for the configured origin of the call's account only."""
        if call.account is None:
            return {}
        account = self._accounts[call.account]
        if _origin(call.url) != _origin(account.host):
            raise ConfigurationError(
                f"the key of {call.account} was about to leave for another host than its own",
                provider=call.account,
            )
        if account.key is None:
            raise ConfigurationError("there is no API key", provider=call.account, field="api_key")
        return {"authorization": f"Bearer {account.key.reveal()}"}

    def _reply(self, call: Call, response: httpx.Response, body: bytes) -> Reply:
        """The reply, without a key that the provider echoes: any message may quote it."""
        key = self._key_to_hide(call)
        return Reply(
            status=response.status_code,
            headers={
                name.lower(): value.replace(key, "***") if key else value
                for name, value in response.headers.items()
            },
            body=body.replace(key.encode(), b"***") if key and key.encode() in body else body,
            received_at=self._clock.now(),
        )

    def _broken(
        self, call: Call, came: tuple[httpx.Response, Body] | None, error: ImageGenError
    ) -> Reply | ImageGenError:
        """The beginning of a paid call's answer, which may name a job; without one, the error."""
        if came is None or not call.paid or not (text := came[1].so_far()):
            return error
        return evolve(self._reply(call, came[0], text), broken=error.message)

    def _key_to_hide(self, call: Call) -> str:
        account = self._accounts.get(call.account or "")
        key = account.key.reveal() if account and account.key else ""
        return key if len(key) >= SHORTEST_KEY else ""

    def _failed(self, call: Call, wire: _Wire, error: Exception, deadline: float) -> ImageGenError:
        what = f"{call.method} {without_query(call.url)}"
        sent = wire.sent(error)
        if call.paid and not sent and _is_distrust(error):
            return _distrusted(call, error)
        if self._left(deadline) <= 0.001:
            return DeadlineExceededError(f"the time is up during {what}", sent=sent)
        return TransportError(f"{what} failed: {type(error).__name__} {error}", sent=sent)


class Driver(_Exchanges):
    """Runs flows with blocking connections."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(accounts, clock)
        self._transport = transport or net.Transport()

    def run(self, flow: Flow[T], deadline: float, tell: Tell) -> T:
        """Drive *flow* to its end; *deadline* is a moment of the clock's `monotonic`."""
        step = advance(flow)
        while not isinstance(step, Done):
            step = advance(flow, self._outcome(step, deadline, tell))
        return step.value

    def _outcome(self, step: Step, deadline: float, tell: Tell) -> Any:
        try:
            match step:
                case Call():
                    return self._exchange(step, deadline)
                case Pause():
                    self._clock.sleep(self._pause(step, deadline))
                    return self._clock.monotonic()
                case Future():
                    return self._result(step, deadline)
                case _:
                    return tell(step)
        except BaseException as error:  # noqa: BLE001 - the flow re-raises it
            return error

    def _result(self, future: Future[T], deadline: float) -> T:
        wait([future], max(self._left(deadline), 0.0))
        return _result_of(future)

    def _exchange(self, call: Call, deadline: float) -> Reply | ImageGenError:
        wire, came = _Wire(), None
        try:
            limit, request = self._ready(call, deadline, wire.trace)
            with net.within(limit):
                response = self._transport.handle_request(request)
                try:
                    body = _body(call, response)
                    came = response, body
                    for chunk in cast("Iterable[bytes]", response.stream):
                        body.add(chunk, late=self._left(deadline) <= 0)
                finally:
                    response.close()
            return self._reply(call, response, body.joined())
        except ImageGenError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, the exchange failed
            # Returned, not raised from it: the cause would carry the request, and so the key.
            return self._broken(call, came, self._failed(call, wire, error, deadline))

    def close(self) -> None:
        """Close the connections, for good."""
        self._closed = True
        self._transport.close()


class AsyncDriver(_Exchanges):
    """Runs flows with asyncio."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(accounts, clock)
        self._transport = transport or net.AsyncTransport()
        self._given = transport is not None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, flow: Flow[T], deadline: float, tell: Tell) -> T:
        """Drive *flow* to its end; *deadline* is a moment of the clock's `monotonic`."""
        step = advance(flow)
        while not isinstance(step, Done):
            step = advance(flow, await self._outcome(step, deadline, tell))
        return step.value

    async def _outcome(self, step: Step, deadline: float, tell: Tell) -> Any:
        try:
            match step:
                case Call():
                    return await self._exchange(step, deadline)
                case Pause():
                    await self._clock.asleep(self._pause(step, deadline))
                    return self._clock.monotonic()
                case Future():
                    return await self._result(step, deadline)
                case _:
                    return tell(step)
        except BaseException as error:  # noqa: BLE001 - the flow re-raises it
            return error

    async def _result(self, future: Future[T], deadline: float) -> T:
        arrived = asyncio.wrap_future(future)
        arrived.add_done_callback(_seen)
        # Not cancelled when time is up: a record of what was paid for is still to be written.
        await asyncio.wait([arrived], timeout=max(self._left(deadline), 0.0))
        return _result_of(arrived)

    def _stay_in_loop(self) -> None:
        """Refuse to send on connections that belong to an event loop of the past."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop and not self._given:
            raise ConfigurationError(
                "this AsyncClient was used in another event loop",
                advice="Make a new one for each asyncio.run()",
            )

    async def _exchange(self, call: Call, deadline: float) -> Reply | ImageGenError:
        wire, came = _Wire(), None
        try:
            self._stay_in_loop()
            limit, request = self._ready(call, deadline, wire.atrace)
            async with asyncio.timeout(limit):
                response = await self._transport.handle_async_request(request)
                try:
                    body = _body(call, response)
                    came = response, body
                    async for chunk in cast("AsyncIterable[bytes]", response.stream):
                        body.add(chunk, late=self._left(deadline) <= 0)
                finally:
                    await response.aclose()
            return self._reply(call, response, body.joined())
        except ImageGenError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, the exchange failed
            # Returned, not raised from it: the cause would carry the request, and so the key.
            return self._broken(call, came, self._failed(call, wire, error, deadline))

    async def close(self) -> None:
        """Close the connections, for good."""
        self._closed = True
        await self._transport.aclose()


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


def _body(call: Call, response: httpx.Response) -> Body:
    return Body(response.headers.get("content-encoding", ""), call.limit)


def _too_late(words: str) -> DeadlineExceededError:
    return DeadlineExceededError(words, sent=False)


def _seen(future: asyncio.Future[Any]) -> None:
    """Look at the outcome, so that asyncio does not complain that nobody did."""
    if not future.cancelled():
        future.exception()


def _result_of(future: Future[T] | asyncio.Future[T]) -> T:
    """The result; what is not there by now comes too late."""
    if not future.done():
        raise _too_late("the time is up")
    return future.result()


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    port = parsed.port or {"https": 443, "http": 80}.get(parsed.scheme)
    return parsed.scheme, parsed.host, port
