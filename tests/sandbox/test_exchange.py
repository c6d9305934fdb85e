from __future__ import annotations

import pytest

from imagegen.sandbox.exchange import Answer, Request, dump, json_answer, parse, text_answer


def test_header_names_and_methods_are_read_in_any_case() -> None:
    request = Request("post", "/", headers={"AUTHORIZATION": "bearer  k1 "})
    assert request.method == "POST"
    assert request.bearer == "k1"


@pytest.mark.parametrize("value", ["", "Basic abc", "k1", "Bearer", "Bearer "])
def test_other_authorizations_have_no_bearer_key(value: str) -> None:
    assert Request("GET", "/", headers={"Authorization": value}).bearer == ""


def test_blank_query_values_are_kept() -> None:
    assert Request("GET", "/", "a=1&b=").params == {"a": "1", "b": ""}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_not_a_json_object_is_none(body: bytes) -> None:
    assert Request("POST", "/", body=body).json_object() is None


def test_json_goes_out_compact_in_utf8_even_with_lone_surrogates() -> None:
    assert dump({"a": "漫", "b": "\ud800"}) == '{"a":"漫","b":"?"}'.encode()
    assert parse(dump(["漫画"])) == ["漫画"]


def test_a_payload_given_as_a_function_is_made_when_the_body_is_read() -> None:
    calls: list[int] = []

    def payload() -> object:
        calls.append(1)
        return {"made": len(calls)}

    answer = json_answer(payload)
    assert (answer.lazy, calls) == (True, [])
    assert answer.json() == {"made": 1}
    assert not json_answer({"made": 0}).lazy


def test_answers_name_their_media_type() -> None:
    assert text_answer("hi").headers["Content-Type"] == "text/plain; charset=utf-8"
    assert json_answer([], headers={"X": "1"}).headers["X"] == "1"
    assert Answer().body == b""
