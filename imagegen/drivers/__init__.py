"""Running flows for real.

`Driver` and `AsyncDriver` differ in nothing but `await`. Whatever ends an exchange, even Ctrl-C,
is thrown into the flow, which may add what it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

from imagegen import net
from imagegen.drivers.exchanges import (
    Account,
    Clock,
    Exchanges,
    Wire,
    body_of,
    too_late,
)
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.events import Event
from imagegen.flow import Call, Done, Flow, Pause, Reply, Step, advance
from imagegen.net.engine import Http

if TYPE_CHECKING:
    import httpx

__all__ = ["Account", "AsyncDriver", "Clock", "Driver", "Tell"]

T = TypeVar("T")
Tell = Callable[[Event], None]


class Driver(Exchanges):
    """Runs flows with blocking connections."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
        http: Http | None = None,
    ) -> None:
        super().__init__(accounts, clock)
        engine = net.engine(http)
        self._transport = net.Given(transport) if transport else net.Transport(engine)

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
        wire, came = Wire(), None
        try:
            request = self._ready(call, deadline, wire.trace)
            with net.within(request.limit):
                response = self._transport.send(request)
                try:
                    body = body_of(call, response)
                    came = response, body
                    for chunk in response.chunks:
                        body.add(chunk, late=self._left(deadline) <= 0)
                finally:
                    response.close()
            return self._reply(call, response, body, body.joined())
        except ImageGenError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, the exchange failed
            # Returned, not raised from it: the cause would carry the request, and so the key.
            return self._broken(call, came, self._failed(call, wire, error, deadline))

    def close(self) -> None:
        """Close the connections, for good."""
        self._closed = True
        self._transport.close()


class AsyncDriver(Exchanges):
    """Runs flows with asyncio."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
        http: Http | None = None,
    ) -> None:
        super().__init__(accounts, clock)
        engine = net.engine(http)
        self._transport = net.AsyncGiven(transport) if transport else net.AsyncTransport(engine)
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
        wire, came = Wire(), None
        try:
            self._stay_in_loop()
            request = self._ready(call, deadline, wire.atrace)
            async with asyncio.timeout(request.limit):
                response = await self._transport.send(request)
                try:
                    body = body_of(call, response)
                    came = response, body
                    async for chunk in response.chunks:
                        body.add(chunk, late=self._left(deadline) <= 0)
                finally:
                    await response.close()
            return self._reply(call, response, body, body.joined())
        except ImageGenError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, the exchange failed
            # Returned, not raised from it: the cause would carry the request, and so the key.
            return self._broken(call, came, self._failed(call, wire, error, deadline))

    async def close(self) -> None:
        """Close the connections, for good."""
        self._closed = True
        await self._transport.close()


def _seen(future: asyncio.Future[Any]) -> None:
    """Look at the outcome, so that asyncio does not complain that nobody did."""
    if not future.cancelled():
        future.exception()


def _result_of(future: Future[T] | asyncio.Future[T]) -> T:
    """The result; what is not there by now comes too late."""
    if not future.done():
        raise too_late("the time is up")
    return future.result()
