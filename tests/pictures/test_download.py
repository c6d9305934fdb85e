from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from imagegen import GeneratedImage, Generation, ImageRequest, MiniMax
from imagegen.errors import (
    BackendError,
    DeadlineExceededError,
    ImageGenError,
    MalformedReplyError,
    ProviderUnavailableError,
    TransportError,
)
from imagegen.pictures.download import allowed_url, fetched_image, with_bytes
from imagegen.testing import FakeClock, play, reply

NOBODY: frozenset[str] = frozenset()
OWN = frozenset({"http://127.0.0.1:8399"})
JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x02\xd0\x05\x00 rest of the picture"
URL = "https://files.example.com/fox.jpg?Expires=9&Signature=s3cr3t"


def picture(url: str = URL) -> GeneratedImage:
    return GeneratedImage(url=url, seed=7)


def fetch(*outcomes: Any, url: str = URL, trusted: frozenset[str] = NOBODY) -> Any:
    return play(fetched_image(picture(url), trusted), *outcomes)


def moved(location: str, status: int = 302) -> Any:
    return reply(status=status, headers={"Location": location}, body=b"")


# Which addresses are followed


def test_a_public_https_address_is_taken_as_it_is() -> None:
    assert allowed_url(URL, NOBODY) == URL


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("http://files.example.com/a%2Fb.jpg?x=%41", "https://files.example.com/a%2Fb.jpg?x=%41"),
        ("http://files.example.com:80/a", "https://files.example.com/a"),
        ("http://93.184.216.34/a", "https://93.184.216.34/a"),
        ("http://[2606:2800:220:1::1]/a", "https://[2606:2800:220:1::1]/a"),
    ],
)
def test_a_public_http_address_is_upgraded(given: str, taken: str) -> None:
    assert allowed_url(given, NOBODY) == taken


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
    ],
)
def test_an_address_of_this_machine_or_network_is_refused(scheme: str, host: str) -> None:
    with pytest.raises(MalformedReplyError, match="not a public web address") as caught:
        allowed_url(f"{scheme}://{host}/a", NOBODY)
    assert caught.value.charged == "yes"


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "0",
        "2852039166",
        "169.254.43518",
        "localhost.",
        "a.localhost",
        "127.0.0.1.",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
        "１２７.０.０.１",
        "127。0。0。1",
    ],
)
def test_another_spelling_of_a_local_address_is_refused(host: str) -> None:
    with pytest.raises(MalformedReplyError, match="not a public web address"):
        allowed_url(f"https://{host}/a", NOBODY)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://files.example.com/a",
        "file:///etc/passwd",
        "gopher://files.example.com/",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "//files.example.com/a",
        "files.example.com/a",
        "https:///a",
        "https://",
        "",
        "https://user@files.example.com/a",
        "https://user:pass@files.example.com/a",
        "https://@127.0.0.1/a",
        "https://files.example.com:22/a",
        "https://files.example.com:8080/a",
        "https://files.example.com:99999/a",
        "https://files.example.com:x/a",
        "https://[::1/a",
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(MalformedReplyError):
        allowed_url(url, NOBODY)


def test_a_refused_address_is_quoted_without_its_query() -> None:
    with pytest.raises(MalformedReplyError) as caught:
        allowed_url("https://10.0.0.1/a?Signature=s3cr3t", NOBODY)
    assert "s3cr3t" not in str(caught.value)


def test_the_configured_origin_is_allowed_although_it_is_local() -> None:
    assert allowed_url("http://127.0.0.1:8399/f.jpg?x=1", OWN) == "http://127.0.0.1:8399/f.jpg?x=1"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8400/f.jpg",
        "https://127.0.0.1:8399/f.jpg",
        "http://127.0.0.1/f.jpg",
        "http://localhost:8399/f.jpg",
        "http://127.0.0.1:8399@10.0.0.1/f.jpg",
        "http://127.0.0.1:8399.evil.net/f.jpg",
        "http://127.0.0.1:8399\\@10.0.0.1/",
    ],
)
def test_only_that_very_origin_is_allowed(url: str) -> None:
    with pytest.raises(MalformedReplyError):
        allowed_url(url, OWN)


# Fetching


def test_a_picture_is_fetched_without_a_key_and_measured() -> None:
    played = fetch(reply(body=JPEG))
    (call,) = played.calls
    assert (call.method, call.account, call.json, call.paid) == ("GET", None, None, False)
    image = played.value
    assert (image.data, image.media_type, image.width, image.height) == (
        JPEG,
        "image/jpeg",
        1280,
        720,
    )
    assert (image.url, image.seed) == (URL, 7)


def test_a_picture_that_is_here_is_not_fetched_again() -> None:
    image = GeneratedImage(url=URL, data=JPEG)
    assert play(fetched_image(image, NOBODY)).value is image


def test_an_image_with_nothing_cannot_be_fetched() -> None:
    with pytest.raises(MalformedReplyError, match="neither bytes nor a url"):
        play(fetched_image(GeneratedImage(), NOBODY))


@pytest.mark.parametrize("body", [b"", b"<html>Sign in</html>", b"%PDF-1.7", b"BM000000"])
def test_a_body_that_is_no_picture_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedReplyError, match="holds no") as caught:
        fetch(reply(body=body))
    assert caught.value.charged == "yes"
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
def test_a_refusal_is_final_and_says_why(status: int) -> None:
    with pytest.raises(ProviderUnavailableError, match=f"answers HTTP {status}") as caught:
        fetch(reply(status=status, body=b"no"))
    assert (caught.value.status, caught.value.charged) == (status, "yes")
    assert "expires" in caught.value.advice
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 425, 429])
def test_a_passing_fault_is_tried_again(status: int) -> None:
    played = fetch(reply(status=status), reply(status=status), reply(body=JPEG))
    assert played.value.data == JPEG
    assert played.pauses == (0.5, 2.0)


def test_a_broken_exchange_is_tried_again() -> None:
    played = fetch(TransportError("reset"), reply(body=JPEG))
    assert played.value.data == JPEG


def test_a_fault_that_stays_is_raised_in_the_end() -> None:
    with pytest.raises(ProviderUnavailableError, match="503"):
        fetch(*[reply(status=503)] * 3)
    with pytest.raises(TransportError, match="third"):
        fetch(TransportError("first"), TransportError("second"), TransportError("third"))


def test_the_deadline_ends_the_trying() -> None:
    with pytest.raises(DeadlineExceededError):
        fetch(DeadlineExceededError("late"))


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(status: int) -> None:
    played = fetch(moved("https://cdn.example.net/f.jpg", status), reply(body=JPEG))
    assert played.calls[1].url == "https://cdn.example.net/f.jpg"
    assert played.calls[1].account is None


@pytest.mark.parametrize(
    ("location", "then"),
    [
        ("/g.jpg", "https://files.example.com/g.jpg"),
        ("g.jpg", "https://files.example.com/g.jpg"),
        ("//cdn.example.net/g.jpg", "https://cdn.example.net/g.jpg"),
        ("http://cdn.example.net/g.jpg", "https://cdn.example.net/g.jpg"),
    ],
)
def test_a_redirect_may_be_relative(location: str, then: str) -> None:
    assert fetch(moved(location), reply(body=JPEG)).calls[1].url == then


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/a",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/a",
        "file:///etc/passwd",
        "https://user@cdn.example.net/",
        "https://cdn.example.net:22/",
        "https://[::1",
        "https://cdn.example.net:port/",
        "http://[not-an-address]/",
    ],
)
def test_a_redirect_to_somewhere_else_is_refused_before_it_is_followed(location: str) -> None:
    with pytest.raises(MalformedReplyError, match="not a public web address"):
        fetch(moved(location))


def test_three_redirects_are_followed_and_no_more() -> None:
    hops = [moved(f"https://cdn.example.net/{k}") for k in range(4)]
    assert fetch(*hops[:3], reply(body=JPEG)).value.data == JPEG
    with pytest.raises(MalformedReplyError, match="redirects for ever") as caught:
        fetch(*hops)
    assert "s3cr3t" not in str(caught.value)


def test_a_redirect_without_a_target_is_a_refusal() -> None:
    with pytest.raises(ProviderUnavailableError, match="302"):
        fetch(reply(status=302))


# Several at once


def test_what_could_not_be_fetched_keeps_its_url_with_a_notice() -> None:
    images = (picture(), picture("https://10.0.0.1/x"), picture())
    generation = Generation(
        images=images, provider="minimax", model="m", request=ImageRequest("a fox", n=3)
    )
    outcomes = [reply(body=JPEG), reply(status=403)]
    result = play(with_bytes(generation, NOBODY), *outcomes).value
    assert [image.data for image in result.images] == [JPEG, None, None]
    assert [image.url for image in result.images] == [image.url for image in images]
    assert [n.message.split(" could")[0] for n in result.notices] == ["image 1", "image 2"]
    assert "s3cr3t" not in "".join(notice.message for notice in result.notices)


# Through the clients


def served(status: int, body: bytes = b"") -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(body))


def desk_for(kit: Any, time: FakeClock, answer: Callable[[httpx.Request], httpx.Response]) -> Any:
    backend = MiniMax(api_key="sk-canary-0123456789")
    watched = kit.watched(httpx.MockTransport(answer))
    return kit.desk([backend], watched=watched, clock=time)


def test_no_key_goes_to_the_host_of_a_picture_nor_to_the_own_host(
    kit: Any, time: FakeClock
) -> None:
    desk = desk_for(kit, time, lambda _: served(200, JPEG))
    for url in (URL, "https://api.minimax.io/f.jpg"):
        assert desk.fetched(picture(url)).images[0].data == JPEG
    assert len(desk.requests) == 2
    assert not [r for r in desk.requests if "canary" in str(r.headers.raw)]


def test_a_503_is_tried_again_after_half_a_second(kit: Any, time: FakeClock) -> None:
    answers = iter([served(503), served(200, JPEG)])
    desk = desk_for(kit, time, lambda _: next(answers))
    assert desk.fetched(picture()).images[0].data == JPEG
    assert time.monotonic() == 0.5


def test_a_picture_larger_than_the_limit_is_not_taken(
    kit: Any, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.pictures.download.LARGEST", len(JPEG))
    bodies = iter([JPEG, *[JPEG + b"x"] * 3])
    desk = desk_for(kit, time, lambda _: served(200, next(bodies)))
    assert desk.fetched(picture()).images[0].data == JPEG
    (notice,) = desk.fetched(picture()).notices
    assert "larger than any reply should be" in notice.message


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://exa\x01mple.com/f.jpg", id="control"),
        pytest.param("https://files.example.com/\n", id="line-break"),
        pytest.param(f"https://files.example.com/{'a' * 70_000}", id="long"),
        pytest.param("https://xn--\u2603.com/", id="idna"),
        pytest.param("https://files.example.com\\@10.0.0.1/", id="backslash"),
        pytest.param(f"https://{'a' * 300}.example.com/", id="long-label"),
        pytest.param("https://exa mple.com/", id="blank"),
    ],
)
def test_a_url_that_no_request_can_carry_keeps_its_picture_with_a_notice(
    kit: Any, time: FakeClock, url: str
) -> None:
    """Nothing that a provider names may lose the other pictures."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no such host", request=request)

    desk = desk_for(kit, time, answer)
    filled = desk.fetched(picture(url))
    assert filled.images[0].url == url
    assert len(filled.notices) == 1


@pytest.mark.parametrize("location", ["https://[x", "https://exa\x7fmple.com/", "https://☃/"])
def test_a_redirect_that_no_request_can_carry_keeps_the_picture_with_a_notice(
    kit: Any, time: FakeClock, location: str
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        headers = [(b"location", location.encode())]
        return httpx.Response(302, headers=headers, stream=httpx.ByteStream(b""))

    assert len(desk_for(kit, time, answer).fetched(picture()).notices) == 1


def test_every_error_of_a_download_is_of_the_backend_family() -> None:
    """`with_bytes` keeps the other pictures only after a BackendError."""
    for outcome in (reply(status=403), reply(body=b"no picture"), moved("http://10.0.0.1/")):
        with pytest.raises(ImageGenError) as caught:
            fetch(outcome)
        assert isinstance(caught.value, BackendError)
