"""Forms, read back by another reader than the one that wrote them."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import cast

import pytest
from hypothesis import given, strategies as st

from imagegen import net

CONTENTS = st.binary(max_size=200) | st.sampled_from([b"", b"--", b"\r\n--", b"\r\n", b"\x00\xff"])


def read(kind: bytes, body: bytes) -> list[Message]:
    head = b"Content-Type: " + kind + b"\r\n\r\n"
    return cast("list[Message]", BytesParser(policy=HTTP).parsebytes(head + body).get_payload())


def test_texts_and_files_are_parts_with_their_names_and_types() -> None:
    kind, body = net.multipart(
        [
            ("prompt", "ein Füchslein 🦊", None, None),
            ("image[]", b"\x89P\r\nNG", "a.png", "image/png"),
        ]
    )
    prompt, image = read(kind, body)
    assert prompt["content-disposition"] == 'form-data; name="prompt"'
    assert "content-type" not in prompt
    assert cast("bytes", prompt.get_payload(decode=True)).decode() == "ein Füchslein 🦊"
    assert image["content-disposition"] == 'form-data; name="image[]"; filename="a.png"'
    assert image["content-type"] == "image/png"
    assert b"\r\n\r\n\x89P\r\nNG\r\n--" in body


def test_a_name_cannot_end_its_line() -> None:
    kind, body = net.multipart([('a"\r\nX-Forged: 1', "x", None, None)])
    (part,) = read(kind, body)
    assert part.keys() == ["Content-Disposition"]


@pytest.mark.parametrize("kind", ["a/b\r\nX-Forged: 1", "a/b\n", "ä/b", "a", "", "a/b;\tc"])
def test_a_media_type_that_no_header_can_carry_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"'f' .* media type"):
        net.multipart([("f", b"x", "f.png", kind)])


def test_a_media_type_may_have_parameters() -> None:
    _, body = net.multipart([("f", b"x", "f.txt", "text/plain; charset=utf-8")])
    assert b"Content-Type: text/plain; charset=utf-8\r\n" in body


def test_what_is_no_form_is_refused() -> None:
    with pytest.raises(ValueError, match="without a field"):
        net.multipart([])
    with pytest.raises(TypeError, match=r"'n' .* neither text nor bytes"):
        net.multipart([("n", cast("str", 5), None, None)])


@given(contents=st.lists(CONTENTS, min_size=1, max_size=4))
def test_no_content_ends_its_part(contents: list[bytes]) -> None:
    kind, body = net.multipart([(f"f{k}", each, "f", "a/b") for k, each in enumerate(contents)])
    boundary = b"--" + kind.partition(b"boundary=")[2]
    assert body.count(boundary) == len(contents) + 1
    parts = body.split(boundary)[1:-1]
    assert [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts] == contents


def test_each_form_has_its_own_boundary() -> None:
    kinds = {net.multipart([("a", "b", None, None)])[0] for _ in range(20)}
    assert len(kinds) == 20
