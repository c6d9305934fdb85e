from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any, ClassVar, cast

import httpx
import pytest
import respx
from attrs import evolve

from imagegen import net
from imagegen.backends.base import attached, submit_once
from imagegen.drivers import Account, AsyncDriver, Clock, Driver
from imagegen.errors import (
    ConfigurationError,
    DeadlineExceededError,
    ImageGenError,
    SubmissionUnknownError,
    TransportError,
)
from imagegen.events import Polled
from imagegen.flow import Call, Flow, Part, Pause, Reply, awaited
from imagegen.redaction import Secret
from imagegen.request import ImageRequest
from imagegen.result import Job
from imagegen.testing import FakeClock

HOST = "https://api.example.com"
KEY = "sk-canary-0123456789"
ACCOUNTS = {"shop": Account(HOST, Secret(KEY)), "keyless": Account(HOST, None)}
POST = Call("POST", f"{HOST}/v1/make", json={"prompt": "ein Füchslein 🦊"}, account="shop")
GET = Call("GET", f"{HOST}/v1/job", account="shop")
JOB = Job(provider="shop", model="m", id="job-7", request=ImageRequest("a fox"))


CORE = net.engine().core

MOCKER = respx.mocks.DEFAULT_MOCKER

if CORE.__name__ != "httpcore":
    MOCKER = f"{CORE.__name__} of imagegen"

    class OtherCoreMocker(respx.mocks.HTTPCoreMocker):
        """Does to the engine's library of connections what respx does to httpcore."""

        name = MOCKER
        targets: ClassVar = [
            target.replace("httpcore", CORE.__name__, 1)
            for target in respx.mocks.HTTPCoreMocker.targets
        ]

        @classmethod
        def from_sync_httpx_response(cls, httpx_response: Any, *_: Any, **__: Any) -> Any:
            return CORE.Response(
                status=httpx_response.status_code,
                headers=httpx_response.headers.raw,
                content=httpx_response.stream,
                extensions=httpx_response.extensions,
            )


@pytest.fixture
def web() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=True, assert_all_mocked=True, using=MOCKER) as router:
        yield router


@pytest.fixture
def silent() -> Iterator[respx.MockRouter]:
    """A web that nobody may ask anything."""
    with respx.mock(assert_all_mocked=True, using=MOCKER) as router:
        yield router
    assert not router.calls


@pytest.fixture
def driver(kit: Any, time: FakeClock) -> Any:
    return kit.driver(ACCOUNTS, time)


def _ignore(_: object) -> None:
    pass


def paid(call: Call = POST) -> Flow[Reply]:
    return (yield from submit_once(call, provider="shop", model="m"))


def polling(call: Call = GET, *, wait: float = 0.0) -> Flow[Reply]:
    with attached(JOB):
        if wait:
            yield Pause(wait)
        return cast("Reply", (yield call))


class Dripping(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body of which each byte takes *pause* seconds of *clock*."""

    def __init__(self, clock: Clock, pause: float, length: int) -> None:
        self.clock = clock
        self.pause = pause
        self.length = length
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.length):
            self.clock.sleep(self.pause)
            yield b"x"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.length):
            await self.clock.asleep(self.pause)
            yield b"x"

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


# What is sent


def test_a_post_carries_json_in_utf_8_and_its_headers(driver: Any, web: respx.MockRouter) -> None:
    route = web.post(f"{HOST}/v1/make").respond(200, content=b"{}")
    driver.call(POST)
    request = route.calls.last.request
    assert json.loads(request.content) == {"prompt": "ein Füchslein 🦊"}
    assert "🦊".encode() in request.content
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(request.content))
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"] == "imagegen"
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_post_carries_a_form_and_its_headers(driver: Any, web: respx.MockRouter) -> None:
    route = web.post(f"{HOST}/v1/make").respond(200, content=b"{}")
    file = Part("image", b"\x89PNG\r\n", filename="1.png", media_type="image/png")
    form = Part("prompt", "ein Füchslein 🦊"), file
    driver.call(Call("POST", f"{HOST}/v1/make", form=form, account="shop"))
    request = route.calls.last.request
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    assert request.content.count(f"--{boundary}".encode()) == 3
    assert b'name="prompt"\r\n\r\n' + "ein Füchslein 🦊".encode() in request.content
    assert b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\r\n--" in request.content
    assert request.headers["content-length"] == str(len(request.content))
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_get_has_neither_body_nor_content_type(driver: Any, web: respx.MockRouter) -> None:
    route = web.get(f"{HOST}/v1/job").respond(200)
    driver.call(GET)
    request = route.calls.last.request
    assert request.content == b""
    assert "content-type" not in request.headers


def test_a_reply_has_status_lower_case_headers_body_and_the_clock_s_moment(
    driver: Any, web: respx.MockRouter, time: FakeClock
) -> None:
    time.sleep(5.0)
    web.get(f"{HOST}/v1/job").respond(418, headers={"X-Trace": "t"}, content=b"short and stout")
    reply = driver.call(GET)
    assert (reply.status, reply.body, reply.received_at) == (418, b"short and stout", time.now())
    assert reply.headers["x-trace"] == "t"


def test_a_cookie_is_not_sent_back(driver: Any, web: respx.MockRouter) -> None:
    route = web.get(f"{HOST}/v1/job").respond(200, headers={"Set-Cookie": "sid=1; Path=/"})
    driver.call(GET)
    driver.call(GET)
    assert "cookie" not in route.calls.last.request.headers


def test_an_event_is_told_before_the_next_call_is_made(
    driver: Any, silent: respx.MockRouter
) -> None:
    news = Polled(JOB, "created")

    def flow() -> Flow[Reply]:
        yield news
        return cast("Reply", (yield GET))

    with pytest.raises(DeadlineExceededError):
        driver.run(flow(), 0.0)
    assert driver.told == [news]
    assert not silent.calls


# Whom the key goes to


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.org/v1/make",
        "https://example.com/v1/make",
        "https://api.example.com.evil.net/v1/make",
        "https://api.example.com:8443/v1/make",
        "http://api.example.com/v1/make",
        "http://api.example.com:443/v1/make",
        "https://api.example.com@evil.net/v1/make",
        "https://evil.net/https://api.example.com/v1/make",
        "https://evil.net#@api.example.com/",
    ],
)
def test_the_key_never_leaves_for_another_origin(
    driver: Any, silent: respx.MockRouter, url: str
) -> None:
    with pytest.raises(ImageGenError) as caught:
        driver.call(evolve(POST, url=url))
    assert KEY not in str(caught.value)
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.provider == "shop"
    assert not silent.calls


@pytest.mark.parametrize("url", [f"{HOST}:443/v1/job", "https://API.example.com/v1/job"])
def test_another_spelling_of_the_own_origin_gets_the_key(
    driver: Any, web: respx.MockRouter, url: str
) -> None:
    route = web.get(f"{HOST}/v1/job").respond(200)
    driver.call(evolve(GET, url=url))
    assert route.calls.last.request.headers["authorization"] == f"Bearer {KEY}"


def test_the_key_goes_in_the_header_that_the_account_names(
    kit: Any, time: FakeClock, web: respx.MockRouter
) -> None:
    account = Account(HOST, Secret(KEY), "X-Key: Key {key}")
    route = web.get(f"{HOST}/v1/job").respond(200)
    kit.driver({"shop": account}, time).call(GET)
    sent = route.calls.last.request.headers
    assert (sent["x-key"], "authorization" in sent) == (f"Key {KEY}", False)


def test_a_call_without_account_carries_no_key_even_to_the_own_origin(
    driver: Any, web: respx.MockRouter
) -> None:
    route = web.get(f"{HOST}/v1/job").respond(200)
    driver.call(evolve(GET, account=None))
    assert "authorization" not in route.calls.last.request.headers


def test_an_account_without_a_key_is_a_configuration_error(
    driver: Any, silent: respx.MockRouter
) -> None:
    with pytest.raises(ConfigurationError, match="no API key"):
        driver.call(evolve(POST, account="keyless"))
    assert not silent.calls


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["https://evil.net/", f"{HOST}/elsewhere", "/elsewhere"])
def test_a_redirect_is_a_reply_and_is_not_followed(
    driver: Any, web: respx.MockRouter, status: int, target: str
) -> None:
    route = web.post(f"{HOST}/v1/make").respond(status, headers={"Location": target})
    assert driver.call(POST).status == status
    assert route.call_count == 1


def test_a_key_that_the_provider_echoes_does_not_show_in_the_reply(
    driver: Any, web: respx.MockRouter
) -> None:
    body = f'{{"error": "bad key {KEY}", "again": "{KEY}"}}'
    web.get(f"{HOST}/v1/job").respond(401, text=body)
    assert driver.call(GET).body == b'{"error": "bad key ***", "again": "***"}'


def test_a_key_that_the_provider_echoes_in_a_header_does_not_show_in_the_reply(
    driver: Any, web: respx.MockRouter
) -> None:
    web.get(f"{HOST}/v1/job").respond(401, headers={"Trace-Id": f"for {KEY}"})
    assert KEY not in str(dict(driver.call(GET).headers))


def test_a_short_key_may_be_a_word_of_the_reply(
    kit: Any, time: FakeClock, web: respx.MockRouter
) -> None:
    web.get(f"{HOST}/v1/job").respond(200, text="status: sandbox")
    driver = kit.driver({"shop": Account(HOST, Secret("sandbox"))}, time)
    assert driver.call(GET).body == b"status: sandbox"


# What goes wrong


@pytest.mark.parametrize("raised", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_an_exchange_that_failed_before_sending_is_known_not_to_be_sent(
    driver: Any, web: respx.MockRouter, raised: type[httpx.TransportError]
) -> None:
    web.post(f"{HOST}/v1/make").mock(side_effect=raised("no luck"))
    with pytest.raises(TransportError, match=f"{raised.__name__} no luck") as caught:
        driver.run(paid())
    assert caught.value.sent is False
    assert caught.value.charged == "no"


@pytest.mark.parametrize(
    "raised",
    [
        httpx.ReadError,
        httpx.ReadTimeout,
        httpx.WriteError,
        httpx.WriteTimeout,
        httpx.RemoteProtocolError,
        httpx.DecodingError,
    ],
)
def test_an_exchange_that_failed_later_may_have_been_sent(
    driver: Any, web: respx.MockRouter, raised: type[httpx.RequestError]
) -> None:
    route = web.post(f"{HOST}/v1/make").mock(side_effect=raised("no luck"))
    with pytest.raises(TransportError, match=f"POST {HOST}/v1/make failed") as caught:
        driver.call(POST)
    assert caught.value.sent is True
    with pytest.raises(SubmissionUnknownError) as unknown:
        driver.run(paid())
    assert unknown.value.charged == "unknown"
    assert route.call_count == 2


class _LateConnectError(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Begins to write the request, then raises what usually means that nothing was written."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["trace"]("http11.send_request_headers.started", {})
        raise httpx.ConnectError("half way", request=request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        raise httpx.ConnectError("half way", request=request)


def test_what_was_written_counts_and_not_the_exception_s_class(kit: Any, time: FakeClock) -> None:
    driver = kit.driver(ACCOUNTS, time, _LateConnectError())
    with pytest.raises(TransportError) as caught:
        driver.call(POST)
    assert caught.value.sent is True


def test_certificates_that_cannot_be_read_are_a_call_that_was_not_sent(
    kit: Any, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> None:
        raise FileNotFoundError("no such file: certificates.pem")

    monkeypatch.setattr(net.Engine, "tls", missing)
    with pytest.raises(TransportError, match=r"certificates\.pem") as caught:
        kit.driver(ACCOUNTS, time).run(paid())
    assert caught.value.sent is False


def test_a_transport_error_shows_no_query(driver: Any, web: respx.MockRouter) -> None:
    web.get(f"{HOST}/v1/job", params={"Signature": "s3cr3t"}).mock(
        side_effect=httpx.ReadError("gone")
    )
    with pytest.raises(TransportError) as caught:
        driver.call(evolve(GET, url=f"{HOST}/v1/job?Signature=s3cr3t"))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://exa\x01mple.com/", id="control"),
        pytest.param(f"{HOST}/{'a' * 70_000}", id="long"),
        pytest.param("https://evil.net\\@api.example.com/", id="backslash"),
    ],
)
def test_a_url_that_httpx_cannot_read_is_a_typed_error(
    driver: Any, silent: respx.MockRouter, url: str
) -> None:
    with pytest.raises(ImageGenError):
        driver.call(Call("GET", url))
    assert not silent.calls


@pytest.mark.parametrize(("length", "fits"), [(10, True), (11, False)])
def test_a_body_is_read_up_to_its_limit(
    driver: Any,
    web: respx.MockRouter,
    length: int,
    fits: bool,  # noqa: FBT001 - a column
) -> None:
    web.get(f"{HOST}/v1/job").respond(200, content=b"x" * length)
    call = evolve(GET, limit=10)
    if fits:
        assert driver.call(call).body == b"x" * length
        return
    with pytest.raises(TransportError, match="larger than any reply should be") as caught:
        driver.call(call)
    assert caught.value.sent is True


def test_a_body_too_large_is_not_read_to_its_end(
    driver: Any, web: respx.MockRouter, time: FakeClock
) -> None:
    stream = Dripping(time, 1.0, 1000)
    web.get(f"{HOST}/v1/job").mock(return_value=httpx.Response(200, stream=stream))
    with pytest.raises(TransportError, match="larger"):
        driver.call(evolve(GET, limit=3))
    assert stream.closed


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "identity, gzip"])
def test_a_reply_in_another_compression_is_refused(
    driver: Any, web: respx.MockRouter, encoding: str
) -> None:
    web.get(f"{HOST}/v1/job").respond(200, headers={"Content-Encoding": encoding}, content=b"x")
    with pytest.raises(TransportError, match="the body came as") as caught:
        driver.call(GET)
    assert caught.value.sent is True


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_an_uncompressed_reply_may_say_so(
    driver: Any, web: respx.MockRouter, encoding: str
) -> None:
    web.get(f"{HOST}/v1/job").respond(200, headers={"Content-Encoding": encoding}, content=b"x")
    assert driver.call(GET).body == b"x"


# Time


def test_a_pause_is_slept_before_the_call(
    driver: Any, web: respx.MockRouter, time: FakeClock
) -> None:
    web.get(f"{HOST}/v1/job").respond(200)
    driver.run(polling(wait=2.5))
    assert time.monotonic() == 2.5


def test_a_pause_beyond_the_deadline_ends_at_it_with_the_job(
    driver: Any, silent: respx.MockRouter, time: FakeClock
) -> None:
    with pytest.raises(DeadlineExceededError) as caught:
        driver.run(polling(wait=1000.0), deadline=7.0)
    assert time.monotonic() == 7.0
    assert caught.value.job == JOB
    assert caught.value.charged == "yes"
    assert caught.value.sent is False
    assert not silent.calls


def test_nothing_is_sent_once_the_time_is_up(
    driver: Any, silent: respx.MockRouter, time: FakeClock
) -> None:
    time.sleep(8.0)
    with pytest.raises(DeadlineExceededError) as caught:
        driver.run(paid(), deadline=7.0)
    assert caught.value.sent is False
    assert caught.value.charged == "no"
    assert not silent.calls


@pytest.mark.parametrize(
    ("own", "deadline", "connect", "read"),
    [(None, 60.0, 10.0, 60.0), (5.0, 60.0, 5.0, 5.0), (90.0, 60.0, 10.0, 60.0), (None, 3, 3, 3)],
)
def test_an_exchange_gets_the_lesser_of_its_own_timeout_and_what_is_left(  # noqa: PLR0917 - columns
    driver: Any,
    web: respx.MockRouter,
    own: float | None,
    deadline: float,
    connect: float,
    read: float,
) -> None:
    route = web.get(f"{HOST}/v1/job").respond(200)
    driver.call(evolve(GET, timeout=own), deadline)
    timeout = route.calls.last.request.extensions["timeout"]
    assert (timeout["connect"], timeout["read"]) == (connect, read)


def test_a_timeout_at_the_deadline_is_the_deadline(
    kit: Any, time: FakeClock, web: respx.MockRouter
) -> None:
    def slow(_: httpx.Request) -> httpx.Response:
        time.sleep(60.0)
        raise httpx.ReadTimeout("slow")

    web.get(f"{HOST}/v1/job").mock(side_effect=slow)
    with pytest.raises(DeadlineExceededError, match="the time is up during GET") as caught:
        kit.driver(ACCOUNTS, time).run(polling())
    assert caught.value.sent is True
    assert caught.value.job == JOB


def test_a_body_that_passes_the_deadline_ends_there(kit: Any, web: respx.MockRouter) -> None:
    clock = Clock()
    stream = Dripping(clock, 0.02, 50)
    web.post(f"{HOST}/v1/make").mock(return_value=httpx.Response(200, stream=stream))
    with pytest.raises(DeadlineExceededError) as caught:
        kit.driver(ACCOUNTS, clock).call(POST, clock.monotonic() + 0.2)
    assert caught.value.sent is True
    assert stream.closed


def test_a_paid_reply_that_passes_the_deadline_is_of_unknown_outcome(
    kit: Any, web: respx.MockRouter
) -> None:
    clock = Clock()
    stream = Dripping(clock, 0.02, 50)
    web.post(f"{HOST}/v1/make").mock(return_value=httpx.Response(200, stream=stream))
    with pytest.raises(SubmissionUnknownError) as caught:
        kit.driver(ACCOUNTS, clock).run(paid(), clock.monotonic() + 0.2)
    assert caught.value.charged == "unknown"


def test_a_paid_reply_that_is_complete_is_kept_although_the_time_is_up(
    kit: Any, web: respx.MockRouter, time: FakeClock
) -> None:
    stream = Dripping(time, 1.0, 5)
    web.post(f"{HOST}/v1/make").mock(return_value=httpx.Response(200, stream=stream))
    assert kit.driver(ACCOUNTS, time).run(paid(), 5.0).body == b"xxxxx"


def test_the_real_clock_tells_time_and_sleeps(kit: Any, web: respx.MockRouter) -> None:
    web.get(f"{HOST}/v1/job").respond(200)
    clock = Clock()
    started = clock.monotonic()
    reply = kit.driver(ACCOUNTS, clock).run(polling(wait=0.05), started + 30)
    assert clock.monotonic() - started >= 0.049
    assert reply.received_at.utcoffset() is not None


def test_a_pause_answers_with_the_moment_at_its_end(kit: Any, time: FakeClock) -> None:
    def flow() -> Flow[float]:
        return cast("float", (yield Pause(2.5)))

    time.sleep(10.0)
    assert kit.driver(ACCOUNTS, time).run(flow(), 15.0) == 12.5


def test_a_firm_pause_that_the_deadline_would_cut_short_is_not_begun(
    kit: Any, time: FakeClock
) -> None:
    def flow() -> Flow[None]:
        yield Pause(10.0, firm=True)
        yield Pause(10.0, firm=True)

    with pytest.raises(DeadlineExceededError, match="no time to wait") as caught:
        kit.driver(ACCOUNTS, time).run(flow(), 15.0)
    assert time.monotonic() == 10.0
    assert not caught.value.sent


# Waiting for futures


def test_the_result_of_a_future_is_handed_back(kit: Any, time: FakeClock) -> None:
    future: Future[int] = Future()
    threading.Timer(0.02, future.set_result, [7]).start()
    assert kit.driver(ACCOUNTS, time).run(awaited(future)) == 7


def test_the_exception_of_a_future_is_thrown_into_the_flow(kit: Any, time: FakeClock) -> None:
    future: Future[int] = Future()
    future.set_exception(ConfigurationError("mine"))
    with pytest.raises(ConfigurationError, match="mine"):
        kit.driver(ACCOUNTS, time).run(awaited(future))


def test_a_future_that_is_late_is_not_cancelled(kit: Any) -> None:
    clock, future = Clock(), Future[int]()
    with pytest.raises(DeadlineExceededError) as caught:
        kit.driver(ACCOUNTS, clock).run(awaited(future), clock.monotonic() + 0.02)
    assert not caught.value.sent
    assert future.set_running_or_notify_cancel()
    future.set_exception(ConfigurationError("nobody looks"))


# What interrupts


@pytest.mark.parametrize("where", ["pause", "exchange"])
def test_ctrl_c_gets_a_note_with_the_job(
    monkeypatch: pytest.MonkeyPatch, time: FakeClock, where: str
) -> None:
    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    if where == "pause":
        monkeypatch.setattr(time, "sleep", interrupt)
    driver = Driver(ACCOUNTS, time, httpx.MockTransport(interrupt))
    with pytest.raises(KeyboardInterrupt) as caught:
        driver.run(polling(wait=1.0), 60.0, _ignore)
    assert any("job job-7 was accepted" in note for note in caught.value.__notes__)
    driver.close()


def test_ctrl_c_during_a_paid_call_gets_a_note_that_it_may_be_billed(time: FakeClock) -> None:
    def interrupt(_: object) -> Any:
        raise KeyboardInterrupt

    driver = Driver(ACCOUNTS, time, httpx.MockTransport(interrupt))
    with pytest.raises(KeyboardInterrupt) as caught:
        driver.run(paid(), 60.0, _ignore)
    assert any("it may be billed" in note for note in caught.value.__notes__)
    driver.close()


@pytest.mark.parametrize("where", ["pause", "exchange"])
def test_cancellation_gets_a_note_with_the_job(where: str) -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> asyncio.CancelledError:
        driver = AsyncDriver(ACCOUNTS, Clock(), httpx.MockTransport(never))
        flow = polling(wait=0.0 if where == "exchange" else 60.0)
        deadline = Clock().monotonic() + 60
        task = asyncio.ensure_future(driver.run(flow, deadline, _ignore))
        await asyncio.sleep(0.01)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return error
        finally:
            await driver.close()
        raise AssertionError

    assert any("job job-7 was accepted" in note for note in asyncio.run(main()).__notes__)


def test_an_exception_of_the_listener_is_thrown_into_the_flow(
    kit: Any, time: FakeClock, silent: respx.MockRouter
) -> None:
    def listen(_: object) -> None:
        raise LookupError("mine")

    def flow() -> Flow[Reply]:
        with attached(JOB):
            yield Polled(JOB, "created")
            return cast("Reply", (yield GET))

    driver = kit.driver(ACCOUNTS, time)
    driver.told = type("Told", (), {"append": staticmethod(listen)})()
    with pytest.raises(LookupError, match="mine") as caught:
        driver.run(flow())
    assert any("job-7" in note for note in caught.value.__notes__)
    assert not silent.calls


def test_a_flow_may_catch_what_ended_an_exchange_and_go_on(
    driver: Any, web: respx.MockRouter
) -> None:
    web.get(f"{HOST}/v1/job").mock(side_effect=[httpx.ReadError("x"), httpx.Response(200)])

    def stubborn() -> Flow[int]:
        try:
            reply: Reply = yield GET
        except TransportError:
            reply = yield GET
        return reply.status

    assert driver.run(stubborn()) == 200


def test_a_flow_that_makes_no_call_just_returns(driver: Any, silent: respx.MockRouter) -> None:
    def flow() -> Flow[str]:
        yield from ()
        return "done"

    assert driver.run(flow()) == "done"
    assert not silent.calls
