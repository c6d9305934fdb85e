"""Forms, read back by another reader than the one that wrote them."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import cast

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
