"""What is shown of untrusted and secret text."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings, strategies as st

from imagegen.errors import (
    AllRoutesFailedError,
    ImageGenError,
    InvalidRequestError,
    TransportError,
)
from imagegen.redaction import (
    Secret,
    hide_prompts,
    printable,
    prompts_hidden,
    shown,
    shown_prompt,
    without_prompt,
    without_query,
)
from imagegen.request import ImageRequest

KEY = "sk-canary-1234567890"
LONG = "a quiet harbour at dawn, painted in oil, with two red boats"
QUOTINGS = [str, repr, json.dumps, shown, str.upper, quote, quote_plus]
WORDS = st.text("abc xyz狐é.,\n\"'\\<>%ß", min_size=1, max_size=60)


@pytest.fixture
def hidden() -> Iterator[None]:
    before = prompts_hidden()
    hide_prompts()
    yield
    hide_prompts(hide=before)


def hiding_in_a_process_with(**environ: str) -> str:
    """What a request looks like where the environment is this."""
    source = "from imagegen import ImageRequest; print(ImageRequest('a fox').__repr__()[:29])"
    return subprocess.run(
        [sys.executable, "-c", source],
        env={**{k: v for k, v in os.environ.items() if k != "IMAGEGEN_HIDE_PROMPTS"}, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


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


def test_a_prompt_is_shown_unless_it_is_to_be_hidden() -> None:
    assert shown_prompt("a fox") == "'a fox'"
    assert "prompt='a fox'" in repr(ImageRequest("a fox"))
    assert without_prompt("no 'a fox' here", "a fox") == "no 'a fox' here"


@pytest.mark.usefixtures("hidden")
def test_a_hidden_prompt_is_shown_as_its_length() -> None:
    assert shown_prompt("x" * 1500) == "<1,500 characters>"
    assert "prompt=<5 characters>" in repr(ImageRequest("a fox"))
    assert "a fox" not in repr(ImageRequest("a fox"))
    assert ImageRequest("a fox").prompt == "a fox"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "ImageRequest(prompt='a fox', "),
        ({"IMAGEGEN_HIDE_PROMPTS": ""}, "ImageRequest(prompt='a fox', "),
        ({"IMAGEGEN_HIDE_PROMPTS": "0"}, "ImageRequest(prompt='a fox', "),
        ({"IMAGEGEN_HIDE_PROMPTS": "1"}, "ImageRequest(prompt=<5 charac"),
        ({"IMAGEGEN_HIDE_PROMPTS": "true"}, "ImageRequest(prompt=<5 charac"),
    ],
)
def test_the_environment_hides_prompts(environ: dict[str, str], expected: str) -> None:
    assert hiding_in_a_process_with(**environ).startswith(expected.strip())


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not prompts_hidden()
    monkeypatch.setenv("IMAGEGEN_HIDE_PROMPTS", "1")
    assert not prompts_hidden()


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    ("text", "prompt", "safe"),
    [
        ("the text 'a fox' is refused", "a fox", "the text '<prompt>' is refused"),
        ("A FOX is refused", "a fox", "<prompt> is refused"),
        ("a foxglove is not a fox", "a fox", "a foxglove is not <prompt>"),
        ("提示词狐狸被拒绝", "狐狸", "提示词<prompt>被拒绝"),
        ("see: a red fox.", "a  red\nfox", "see: <prompt>."),
        (r"see: a\nred\nfox.", "a\nred\nfox", "see: <prompt>."),
        (r'"a \"red\" fox"', 'a "red" fox', '"<prompt>"'),
        (r"\u72d0\u72f8!", "狐狸", "<prompt>!"),
        ("https://h/a%20fox.png", "a fox", "https://h/<prompt>.png"),
        ("https://h/%61%20FOX%2f1.png", "a fox", "https://h/<prompt>%2f1.png"),
        ("https://h/a+fox.png", "a fox", "https://h/<prompt>.png"),
        ("/x?u=https%3A%2F%2Fh%2Fa%2520fox.png", "a fox", "/x?u=https%3A%2F%2Fh%2F<prompt>.png"),
        ("h/%e7%8b%90%E7%8B%B8%0a%ff", "狐狸", "h/<prompt>%0a%ff"),
        (f"h/{quote(LONG[:30])}.png", LONG, "h/<prompt>.png"),
        ("50%25 milk, 50% milk", "50%25 milk", "<prompt>, 50% milk"),
        ("a%20foxglove.png", "a fox", "a%20foxglove.png"),
        ("a%2", "a fox", "a%2"),
        (f"it begins {LONG[:30]}…", LONG, "it begins <prompt>…"),
        (f"it ends {LONG[30:]}.", LONG, "it ends <prompt>."),
        ("QUIET-HARBOUR_AT_DAWN", LONG, "<prompt>"),
        (f"{LONG[:22]} … {LONG[32:50]}.", LONG, "<prompt> …  <prompt> ."),
        (f"{LONG} {LONG}", LONG, "<prompt> <prompt>"),
        ("nothing of it", LONG, "nothing of it"),
        ("all * (of) [it]?", "* (of) [it]?", "all <prompt>"),
        ("", "a fox", ""),
        ("some words", "   ", "some words"),
        ("some words", "", "some words"),
    ],
)
def test_words_that_quote_a_hidden_prompt_say_so_instead(text: str, prompt: str, safe: str) -> None:
    assert without_prompt(text, prompt) == safe


@pytest.mark.usefixtures("hidden")
def test_a_prompt_that_was_cut_with_its_message_is_recognised() -> None:
    prompt = " ".join(f"{word}{k}" for k, word in enumerate(["boat", "harbour", "dawn"] * 60))
    text = shown(f"refused: {prompt}", 300)
    assert without_prompt(text, prompt) == "refused: <prompt>…"


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS, WORDS, st.sampled_from(QUOTINGS))
def test_no_quotation_is_left_whatever_stands_around_it(
    before: str, prompt: str, after: str, quoted: Any
) -> None:
    assume(prompt.strip() and prompt.split() == prompt.strip().split(" "))
    hide_prompts()
    try:
        left = without_prompt(f"{before} {quoted(prompt)} {after}", prompt)
    finally:
        hide_prompts(hide=False)
    letters = [c for c in prompt if c.isalnum()]
    if len(letters) >= 12:
        rest = "".join(c for c in left.replace("<prompt>", "") if c.isalnum()).casefold()
        assume("".join(letters).casefold() not in (before + after).casefold())
        assert "".join(letters).casefold() not in rest


@settings(max_examples=100, deadline=None)
@given(WORDS, st.text("0123456789 ", min_size=1, max_size=60))
def test_words_that_share_nothing_with_the_prompt_stay(text: str, prompt: str) -> None:
    assume(prompt.strip())
    hide_prompts()
    try:
        assert without_prompt(text, prompt) == text
    finally:
        hide_prompts(hide=False)


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    "piece", ["a ", "ab", "\n", "\\n", "狐", "(", "+ ", "%20", "%25", "<prompt>"]
)
def test_long_words_are_cleaned_in_no_time(piece: str) -> None:
    started = time.process_time()
    without_prompt((piece * 5000)[:5000], (piece * 1500)[:1500])
    without_prompt((piece * 5000)[:5000], (piece * 1500)[:1499] + "x")
    assert time.process_time() - started < 1


@pytest.mark.usefixtures("hidden")
def test_an_error_tells_its_story_without_the_prompt() -> None:
    cause = TransportError("lost: a fox", sent=True)
    error = InvalidRequestError("'a fox' is not allowed", provider="minimax", status=400)
    error.__cause__ = cause
    error.add_note("before that: a fox")
    error.hide_prompt("a fox")
    told = "".join(traceback.format_exception(error)) + repr(error) + error.message
    assert "a fox" not in told
    assert str(error) == "minimax: '<prompt>' is not allowed (HTTP 400)"
    assert error.__notes__ == ["before that: <prompt>"]
    assert isinstance(pickle.loads(pickle.dumps(error)), InvalidRequestError)  # noqa: S301 - ours


@pytest.mark.usefixtures("hidden")
def test_a_failed_route_keeps_its_errors_when_the_prompt_is_hidden() -> None:
    error = AllRoutesFailedError(
        "no model made a fox", [ImageGenError("one"), ImageGenError("two")]
    )
    error.hide_prompt("a fox")
    assert error.args == ("no model made <prompt>", list(error.exceptions))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - ours
    assert [str(each) for each in again.exceptions] == ["one", "two"]


@pytest.mark.usefixtures("hidden")
def test_the_frames_that_read_the_prompt_are_forgotten() -> None:
    def read(reply: str) -> None:
        raise ImageGenError(f"refused: {reply}")

    def private() -> None:
        try:
            read("a fox is not allowed")
        except ImageGenError as error:
            error.hide_prompt("a fox")
            raise

    with pytest.raises(ImageGenError) as caught:
        private()
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "read" not in [frame.name for frame in report.stack]


def test_an_error_keeps_its_words_where_prompts_are_shown() -> None:
    error = ImageGenError("'a fox' is not allowed")
    error.hide_prompt("a fox")
    assert str(error) == "'a fox' is not allowed"
    assert not hasattr(error, "__notes__")
