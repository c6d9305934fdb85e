"""What is shown of untrusted and secret text."""

from __future__ import annotations

import base64
import pickle
import time
import traceback
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from imagegen.redaction import Secret, printable, shown, without_query

KEY = "sk-canary-1234567890"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://h/a.png?X-Signature=SECRET&b=1", "https://h/a.png"),
        ("http://h:8080/a#SECRET", "http://h:8080/a"),
        ("https://h?SECRET", "https://h"),
        ("https://h/?a=1#SECRET", "https://h/"),
        ("https://me:SECRET@h/a", "https://h/a"),
        ("https://SECRET@h/a", "https://h/a"),
        ("https://h/a.png", "https://h/a.png"),
        ("https://h/@me", "https://h/@me"),
        ("HTTPS://h/a.png?sig=SECRET", "HTTPS://h/a.png"),
        ("https://h/it's.png?sig=SECRET", "https://h/it's.png"),
        ("https://h/a.png?x=it's&sig=SECRET", "https://h/a.png"),
        ('https://h/a.png?x="a"&sig=SECRET', "https://h/a.png"),
        ("https://h/a.png?x=<a>&sig=SECRET", "https://h/a.png"),
        ("ftp://me:SECRET@h/a", "ftp://h/a"),
        ("s3://bucket/a.png?sig=SECRET", "s3://bucket/a.png"),
        ("//h/a.png?sig=SECRET", "//h/a.png"),
        ("", ""),
        ("https://h/a b.png?sig=SECRET", "https://h/a b.png"),
        ("https://me:at@SECRET@h/a", "https://h/a"),
    ],
)
def test_a_url_is_shown_without_user_query_and_fragment(url: str, safe: str) -> None:
    assert without_query(url) == safe


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["https", "http", "HTTPS"]),
    st.text("abc/'\" .<>()%~", max_size=8),
    st.text("abc=&'\"<>?#@ ", max_size=8),
    st.sampled_from("?#"),
)
def test_no_part_of_a_query_is_left_whatever_stands_around_it(
    scheme: str, path: str, query: str, mark: str
) -> None:
    assert "SECRET" not in without_query(f"{scheme}://host/{path}{mark}{query}SECRET")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words", "plain words"),
        ("  two\r\nlines\tand\x00nul  ", "two lines and nul"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("right\u202eleft\u2066iso", "right left iso"),
        ("line\u2028para\u2029end", "line para end"),
        ("lone\ud800surrogate", "lone surrogate"),
        ("狐 é 🦊", "狐 é 🦊"),
        ("see https://h/a?sig=SECRET for more", "see https://h/a for more"),
        ('{"url": "https://h/a?sig=SECRET", "b": 1}', '{"url": "https://h/a", "b": 1}'),
        ("(https://h/a#SECRET) <https://h/b?SECRET>", "(https://h/a) <https://h/b>"),
        ("https://me:SECRET@h/a says", "https://h/a says"),
        ("image " + "iVBORw0K" * 50 + "== end", "image … end"),
        ("sha256 " + "a1" * 32, "sha256 " + "a1" * 32),
        ("see HTTPS://h/a?sig=SECRET for more", "see HTTPS://h/a for more"),
        ("", ""),
    ],
)
def test_words_are_shown_on_one_line_without_signatures_and_blobs(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\\n"])
def test_base64_in_lines_of_76_is_a_blob_too(separator: str) -> None:
    lines = base64.encodebytes(bytes(range(256)) * 2).decode().splitlines()
    assert lines[1] not in shown(f"got {separator.join(lines)}", 1000)


def test_a_url_with_escaped_slashes_is_shown_without_its_query() -> None:
    assert "SECRET" not in shown(r'{"url":"https:\/\/h\/a.png?sig=SECRET"}')


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=2000) | st.text("x ", max_size=2000), st.integers(1, 400))
def test_shown_text_is_printable_in_utf8_and_within_its_limit(text: str, limit: int) -> None:
    line = shown(text, limit)
    assert len(line) <= limit
    assert line.encode() is not None
    assert len(line.splitlines()) <= 1
    assert shown(line, limit) == line


def test_a_cut_is_marked() -> None:
    assert shown("word " * 100, 20) == "word word word word…"


@pytest.mark.parametrize(
    "piece", ["word ", "A", "https://", "https://a", "https://a?", "https://a@", "a://", "\x00"]
)
def test_ten_megabytes_of_any_words_are_shown_in_no_time(piece: str) -> None:
    text = piece * (10_000_000 // len(piece))
    started = time.process_time()
    assert len(shown(text, 1000)) <= 1000
    assert time.process_time() - started < 0.25


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("狐 é 🦊 https://h/a?b=1", "狐 é 🦊 https://h/a?b=1"),
        ("\x1b[2J\r\nx", "�[2J�x"),
        ("a\u202eb\u2066c\ud800", "a\ufffdb\ufffdc\ufffd"),
        ("", ""),
    ],
)
def test_printable_text_keeps_all_that_a_terminal_may_show(text: str, safe: str) -> None:
    assert printable(text) == safe


@pytest.mark.parametrize(
    "show",
    [repr, str, "{}".format, "{!r:>40}".format, lambda s: f"{s}", lambda s: f"{[s]}", "%s".__mod__],
)
def test_a_secret_shows_itself_nowhere(show: Any) -> None:
    assert KEY not in show(Secret(KEY))


def test_a_secret_is_not_in_a_traceback_with_locals() -> None:
    secret = Secret(KEY)
    try:
        secret.missing  # type: ignore[attr-defined] # noqa: B018
    except AttributeError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        text = "".join(report.format())
        assert "Secret('***')" in text
        assert KEY not in text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled") as caught:
        pickle.dumps({"key": Secret(KEY)}, protocol)
    assert KEY not in str(caught.value)


def test_a_secret_has_no_attributes_to_list() -> None:
    with pytest.raises(TypeError):
        vars(Secret(KEY))


@pytest.mark.parametrize("text", [KEY, f" {KEY}\n", f"{KEY}\r\n"])
def test_a_secret_reveals_the_key_without_the_space_around_it(text: str) -> None:
    assert Secret(text).reveal() == KEY


def test_secrets_compare_by_their_key() -> None:
    assert Secret(KEY) == Secret(f"{KEY} ")
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY)}) == 1
