"""JSON in and out: nothing is coerced, everything is bounded, every fault is typed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Literal

import pytest
from attrs import frozen
from hypothesis import given, settings, strategies as st

from imagegen import codec
from imagegen.errors import InvalidRequestError, MalformedReplyError
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Cost, Generation, ImageFailure, Job, Notice

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**38), 10**38)
    | st.text(max_size=10)
    | st.decimals("-1e9", "1e9", allow_nan=False).map(float),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@frozen
class Inner:
    name: str
    size: int = 0


@frozen
class Outer:
    text: str
    count: int
    flag: bool
    money: Decimal
    maybe: str | None = None
    word: Literal["on", "off"] = "on"
    several: list[str] = []  # noqa: RUF008 - attrs copies nothing, and nobody writes to it
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    anything: Any = None


WHOLE: dict[str, Any] = {"text": "a", "count": 1, "flag": True, "money": Decimal("0.10")}


def structured(**fields: Any) -> Outer:
    return codec.structure({**WHOLE, **fields}, Outer)


def check_line(text: str, start: str = "the reply ") -> None:
    assert text.startswith(start)
    assert len(text.splitlines()) == 1
    assert text.encode()


# decode


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"null", None),
        (b' {"a": [1, true, "x"]} ', {"a": [1, True, "x"]}),
        (b"\xef\xbb\xbf[]", []),
        (b'"\xe7\x8b\x90 \\u72d0 \\ud83e\\udd8a"', "狐 狐 🦊"),
        (b"0.1", Decimal("0.1")),
        (b"0.10", Decimal("0.10")),
        (b"1e3", Decimal("1e3")),
        (
            b"0.00350000000000000000000000000000000001",
            Decimal("0.00350000000000000000000000000000000001"),
        ),
        (b"18446744073709551616", 2**64),
        (b"9" * 40, int("9" * 40)),
        (b"0e40", Decimal(0)),
        (b"1e999", Decimal("1e999")),
        (b"1e-999", Decimal("1e-999")),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_json_is_read_as_it_is_and_decimals_exactly(body: bytes, value: Any) -> None:
    assert codec.decode(body) == value
    assert type(codec.decode(body)) is type(value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not usable JSON"),
        (b"<html>", "not usable JSON"),
        (b'{"a": 1', "not usable JSON"),
        (b"[1,]", "not usable JSON"),
        (b"{} {}", "not usable JSON"),
        (b"'a'", "not usable JSON"),
        (b"\xff\xfe{\x00}\x00", "not usable JSON"),
        (b'"\xe9"', "not usable JSON"),
        (b'"\xed\xa0\x80"', "not usable JSON"),
        (b'"a\nb"', "not usable JSON"),
        (b"NaN", "NaN is no JSON number"),
        (b'{"a": [Infinity]}', "Infinity is no JSON number"),
        (b"-Infinity", "-Infinity is no JSON number"),
        (b"1" * 41, "a number of 41 characters"),
        (b"-" + b"1" * 5000, "a number of 5001 characters"),
        (b"0." + b"1" * 5000, "a number of 5002 characters"),
        (b"1e99999999999999999999", "not usable JSON"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"a": ["\\udfff"]}', "lone surrogate"),
        (b'{"\\ud800": 1}', "lone surrogate"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" * 500 + b"]" * 500, "nested too deeply"),
        (b"[" + b"0," * 200_000 + b"0]", "too many values"),
    ],
)
def test_what_is_not_json_within_bounds_is_a_malformed_reply(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedReplyError, match=reason):
        codec.decode(body)


@pytest.mark.parametrize(("opened", "shut"), [("[", "]"), ('{"a":', "}")])
def test_as_many_arrays_and_objects_are_nested_as_is_said(opened: str, shut: str) -> None:
    def body(depth: int) -> bytes:
        return f"{opened * depth}1{shut * depth}".encode()

    assert codec.decode(body(codec.DEPTH))
    with pytest.raises(MalformedReplyError, match="nested too deeply"):
        codec.decode(body(codec.DEPTH + 1))


def test_one_deep_value_is_found_among_many_others() -> None:
    def body(depth: int) -> bytes:
        return json.dumps(
            [{"a": [{}]}] * 200 + [json.loads("[" * depth + "1" + "]" * depth)]
        ).encode()

    assert codec.decode(body(codec.DEPTH - 1))
    with pytest.raises(MalformedReplyError, match="nested too deeply"):
        codec.decode(body(codec.DEPTH))


@pytest.mark.parametrize("plain", [b"7", b'"x"', b"null", b"true", b"{}", b"[]"])
def test_a_value_that_holds_none_is_read(plain: bytes) -> None:
    assert codec.decode(plain) == json.loads(plain)


def test_as_many_values_are_read_as_is_said() -> None:
    body = b"[" + b"0," * (codec.VALUES - 2) + b"0]"
    assert len(codec.decode(body)) == codec.VALUES - 1


def test_the_names_of_members_count_as_values() -> None:
    members = ",".join(f'"{number}":0' for number in range(codec.VALUES // 2 - 1))
    assert codec.decode(b"{%s}" % members.encode())
    with pytest.raises(MalformedReplyError, match="too many values"):
        codec.decode(b'{%s,"more":0}' % members.encode())


def test_brackets_and_commas_within_a_string_are_no_values() -> None:
    text = "[{" * codec.DEPTH * 10 + "," * 60_000
    assert codec.decode(json.dumps([text]).encode()) == [text]


def test_bytes_of_pictures_take_the_place_of_their_names() -> None:
    pictures = {"<1>": b"fox", "<2>": b"hen"}
    body = b'{"<1>": ["<1>", {"a": "<2>"}, "<3>", "<1><1>", 7, null], "b": "<2>"}'
    assert codec.decode(body, pictures=pictures) == {
        "Zm94": [b"fox", {"a": b"hen"}, "<3>", "<1><1>", 7, None],
        "b": b"hen",
    }
    assert codec.decode(b'"<1>"', pictures=pictures) == b"fox"
    assert codec.decode(b'"<1>"') == "<1>"


def test_the_fault_is_told_without_the_cause_that_holds_the_body() -> None:
    with pytest.raises(MalformedReplyError) as caught:
        codec.decode(b'{"token": "SECRET", ')
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "SECRET" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_every_ordinary_value_is_decoded(value: Any) -> None:
    read = codec.decode(json.dumps(value).encode(), float)
    assert read == value


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text(st.characters(), max_size=30).map(lambda t: t.encode("utf-8", "surrogatepass"))
    | st.text('{}[],:"\\ud80e0123456789.-+truefalsnNI', max_size=40).map(str.encode)
    | JSON.map(lambda value: json.dumps(value).encode())
)
def test_arbitrary_bytes_raise_only_a_malformed_reply_error(body: bytes) -> None:
    try:
        value = codec.decode(body)
    except MalformedReplyError as error:
        check_line(str(error))
    else:
        json.dumps(value, default=str, ensure_ascii=False).encode()
        read_or_refused(value, Outer)


# structure


def read_or_refused(value: Any, cls: type) -> None:
    try:
        assert isinstance(codec.structure(value, cls), cls)
    except MalformedReplyError as error:
        check_line(str(error))


@settings(max_examples=150, deadline=None)
@given(JSON | st.dictionaries(st.sampled_from([a.name for a in Outer.__attrs_attrs__]), JSON))
def test_arbitrary_json_raises_only_a_malformed_reply_error(value: Any) -> None:
    read_or_refused(value, Outer)
    if isinstance(value, dict):
        read_or_refused({**WHOLE, **value}, Outer)


def test_a_reply_becomes_a_value() -> None:
    assert structured(
        maybe="b",
        word="off",
        several=["x"],
        inner={"name": "i"},
        inners=[{"name": "j", "size": 2}],
        anything={"z": [1]},
    ) == Outer(
        "a",
        1,
        flag=True,
        money=Decimal("0.10"),
        maybe="b",
        word="off",
        several=["x"],
        inner=Inner("i"),
        inners=(Inner("j", 2),),
        anything={"z": [1]},
    )


def test_fields_that_nobody_asked_for_are_ignored() -> None:
    assert structured(brand_new=1, inner={"name": "i", "more": [{}]}).inner == Inner("i")


@pytest.mark.parametrize("missing", ["text", "count", "flag", "money"])
def test_a_missing_field_is_named(missing: str) -> None:
    value = {name: item for name, item in WHOLE.items() if name != missing}
    with pytest.raises(MalformedReplyError, match=rf"required field missing @ \$\.{missing}"):
        codec.structure(value, Outer)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 1),
        ("text", ["x"]),
        ("text", None),
        ("text", b"x"),
        ("count", "1"),
        ("count", True),
        ("count", Decimal("1.0")),
        ("count", None),
        ("flag", 1),
        ("flag", "true"),
        ("flag", None),
        ("money", 1),
        ("money", "0.1"),
        ("money", 0.1),
        ("maybe", 1),
        ("maybe", []),
        ("word", "maybe"),
        ("word", None),
        ("word", []),
        ("several", "https://host/a"),
        ("several", {"a": 1}),
        ("several", None),
        ("several", [1]),
        ("several", ["a", None]),
        ("inner", []),
        ("inner", "i"),
        ("inner", {}),
        ("inner", {"name": 1}),
        ("inners", {}),
        ("inners", "ij"),
        ("inners", [None]),
        ("inners", [{"name": "i", "size": "2"}]),
    ],
)
def test_a_value_of_another_type_is_not_coerced(field: str, value: Any) -> None:
    with pytest.raises(MalformedReplyError, match=rf"the reply has .*@ \$\.{field}"):
        structured(**{field: value})


@pytest.mark.parametrize("value", [None, [], "x", 1, [["text", "a"]]])
def test_a_reply_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(MalformedReplyError, match="expected an object, not "):
        codec.structure(value, Outer)


def test_at_most_three_faults_are_told() -> None:
    with pytest.raises(MalformedReplyError) as caught:
        codec.structure({}, Outer)
    assert caught.value.message.count("@ $.") == 3


# dumps and loads


@pytest.mark.parametrize("cls", [Job, Generation, Cost, Notice, ImageRequest, ReferenceImage])
@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.characters(), max_size=40)
    | st.text('{}[],:"\\ud80e0123456789.-+truefalsnNI', max_size=40)
    | JSON.map(json.dumps)
    | st.dictionaries(
        st.sampled_from(["provider", "model", "id", "request", "prompt", "amount", "kind", "url"]),
        JSON | st.just({"prompt": "a"}),
    ).map(json.dumps)
)
def test_arbitrary_text_raises_only_an_invalid_request_error(cls: type, text: str) -> None:
    try:
        assert isinstance(codec.loads(text, cls), cls)
    except InvalidRequestError as error:
        check_line(str(error), f"this is no {cls.__name__} in JSON: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not usable JSON"),
        ("NaN", "NaN is no JSON number"),
        ("1e999", "a number of extreme size"),
        ("[" * 100_000, "nested too deeply"),
        ('"\ud800"', "not usable JSON"),
        ("null", "expected an object, not NoneType"),
        ("[]", "expected an object, not list"),
        ('{"amount": 1}', "amount"),
        ('{"amount": "NaN"}', "amount"),
        ('{"amount": "Infinity"}', "amount"),
        ('{"amount": "1_000"}', "amount"),
        ('{"amount": "٣"}', "amount"),
        ('{"amount": "--"}', "amount"),
        ('{"amount": "' + "1" * 41 + '"}', "amount"),
        ('{"basis": "guess"}', "basis"),
        ('{"currency": 1}', "currency"),
    ],
)
def test_text_that_dumps_did_not_write_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason):
        codec.loads(text, Cost)


@pytest.mark.parametrize("text", [b"{}", None, {}, 7])
def test_our_own_json_is_read_from_a_string_only(text: Any) -> None:
    with pytest.raises(InvalidRequestError, match="Cost is read from a string of JSON"):
        codec.loads(text, Cost)


def test_our_own_json_keeps_characters_as_they_are() -> None:
    notice = Notice("ignored", "seed", "狐 🦊 é")
    assert "狐 🦊 é" in codec.dumps(notice)
    assert codec.loads(codec.dumps(notice), Notice) == notice


@settings(max_examples=60, deadline=None)
@given(st.integers(-(10**28) + 1, 10**28 - 1), st.integers(-20, 0))
def test_amounts_keep_every_digit(digits: int, exponent: int) -> None:
    cost = Cost(amount=Decimal(digits).scaleb(exponent), currency="USD", basis="billed")
    again = codec.loads(codec.dumps(cost), Cost)
    assert str(again.amount) == str(cost.amount)


@pytest.mark.parametrize("code", [None, 0, 1026, "moderation_blocked", ""])
def test_a_provider_s_code_is_a_number_or_a_word(code: int | str | None) -> None:
    failure = ImageFailure(error="ContentPolicyError", message="no", code=code)
    assert codec.loads(codec.dumps(failure), ImageFailure) == failure


@pytest.mark.parametrize("code", [1.5, True, [], {}])
def test_a_code_is_nothing_else(code: Any) -> None:
    text = json.dumps({"error": "E", "message": "no", "code": code})
    with pytest.raises(InvalidRequestError, match=r"\$\.code"):
        codec.loads(text, ImageFailure)
