"""Web addresses, read as httpx reads them, and headers."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from imagegen import net
from imagegen.net.messages import LONGEST_TARGET, joined

HTTPX: Any = import_module(net.engine().name)

NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,10}[A-Za-z0-9])?(\.[A-Za-z0-9]{1,9}){0,3}")
HOSTS = st.one_of(
    NAMES.map(lambda name: name.strip()),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
PORTS = st.one_of(st.just(""), st.integers(0, 70_000).map(lambda port: f":{port}"))
TARGETS = st.text(st.characters(min_codepoint=32, max_codepoint=127), max_size=40)
URLS = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "https", "HTTPS"]),
    HOSTS,
    PORTS,
    st.sampled_from(["", "/", "?", "#", "/?"]),
    TARGETS,
)


def theirs(text: str) -> Any:
    """What httpx makes of *text*; None if it refuses."""
    try:
        return HTTPX.Request("GET", text)
    except (HTTPX.InvalidURL, ValueError, TypeError):
        return None


def ours(text: str) -> net.Url | None:
    try:
        return net.Url.parse(text)
    except ValueError:
        return None


def quoted(target: str) -> str:
    """Two differences: we quote in a query what we quote in a path, and %27 is as good as '."""
    target = re.sub(r"[\\^`{|}]", lambda match: f"%{ord(match[0]):02X}", target)
    return target.replace("%27", "'")


@given(URLS)
def test_an_address_is_read_as_httpx_reads_it(text: str) -> None:
    assume("/." not in text)  # a third: segments of dots go as they are
    assume(not re.search("%(?![0-9A-Fa-f]{2})", text))  # and so does a % that quotes nothing
    mine, request = ours(text), theirs(text)
    assume(mine is not None and request is not None)
    assert mine is not None
    usual = {"http": 80, "https": 443}[request.url.scheme]
    host = request.url.raw_host.decode()
    assert mine.scheme == request.url.scheme
    assert mine.address == host
    assert mine.port == (request.url.port or usual)
    assert mine.authority == request.headers["host"]
    assert quoted(mine.target) == quoted(request.url.raw_path.decode())


@given(URLS)
def test_what_was_read_is_read_again_as_the_same(text: str) -> None:
    url = ours(text)
    assume(url is not None)
    assert url is not None
    assert net.Url.parse(str(url)) == url
    assert re.fullmatch("[/][!-~]*", url.target)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("https://API.Example.com", ("https", "api.example.com", 443, "/")),
        ("HTTP://h", ("http", "h", 80, "/")),
        ("https://h:443/x", ("https", "h", 443, "/x")),
        ("https://h:80/x", ("https", "h", 80, "/x")),
        ("https://h:00080/x", ("https", "h", 80, "/x")),
        ("https://h/a/../b", ("https", "h", 443, "/a/../b")),
        ("https://h?q=1", ("https", "h", 443, "/?q=1")),
        ("https://h/Path?Q=%2f#fragment?x", ("https", "h", 443, "/Path?Q=%2f")),
        ("https://h#@evil.net/", ("https", "h", 443, "/")),
        ("https://h/@evil.net", ("https", "h", 443, "/@evil.net")),
        ('https://h/a|b{c}\\d^`"<>', ("https", "h", 443, "/a%7Cb%7Bc%7D%5Cd%5E%60%22%3C%3E")),
        ("https://[2606:2800::A]:8443/x", ("https", "[2606:2800::a]", 8443, "/x")),
    ],
)
def test_an_address_is_taken_apart(text: str, parts: tuple[str, str, int, str]) -> None:
    url = net.Url.parse(text)
    assert (url.scheme, url.host, url.port, url.target) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "//h/",
        "https:/h/",
        "https://",
        "https:///x",
        "https://:443/",
        "ftp://h/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        " https://h/",
        "https://h/ ",
        "https://h/\n",
        "https://h\n/",
        "https://h/a b",
        "https://h/\r\nHost: evil.net",
        "https://h/\x00",
        "https://h/\x7f",
        "https://h\t/",
        "https://me@h/",
        "https://me:secret@h/",
        "https://h:443@evil.net/",
        "https://evil.net\\@h/",
        "https://h\\.evil.net/",
        "https://h;evil.net/",
        "https://h:/",
        "https://h:0/",
        "https://h:65536/",
        "https://h:100000/",
        "https://h:-1/",
        "https://h:+80/",
        "https://h:8_0/",
        "https://h:٤٤٣/",
        "https://h:x/",
        "https://füchse.example/",
        "https://h/füchse",
        "https://xn--fchse.example。/",
        "https://%68/",
        "https://[::1/",
        "https://::1/",
        "https://[::1%25eth0]/",
        "https://[]/",
        "https://[host]/",
        "https://[::1]x/",
        f"https://{'h' * 256}/",
        f"https://h/{'x' * LONGEST_TARGET}",
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no web address|no port"):
        net.Url.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "http\N{LATIN SMALL LETTER LONG S}://h/",
        "https://\N{LATIN SMALL LETTER LONG S}h/",
        "https://\N{KELVIN SIGN}h/",
        "https://h/\N{KELVIN SIGN}",
    ],
)
def test_what_is_a_letter_only_in_lower_case_is_refused(text: str) -> None:
    """Python lets [a-z] stand for two letters beyond ASCII when case is to be ignored."""
    with pytest.raises(ValueError, match="no web address"):
        net.Url.parse(text)


def test_headers_are_joined_by_name_whatever_their_case() -> None:
    raw = [(b"X-A", b"1"), (b"x-b", b"\xfc"), (b"x-a", b"2"), (b"X-a", b"")]
    assert joined(raw) == {"x-a": "1, 2, ", "x-b": "ü"}
    assert joined([]) == {}


def test_a_request_and_a_response_do_not_show_what_is_private() -> None:
    url, headers = net.Url.parse("https://h/x?Signature=secret"), [(b"authorization", b"secret")]
    request = net.Request(
        "POST", url, headers, b"secret", 1.0, 1.0, print, fresh=False, public=False
    )
    response = net.Response(200, joined(headers), iter([b""]), lambda: None)
    assert "https" in repr(request)
    assert "secret" not in f"{request}{response}"
