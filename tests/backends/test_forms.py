"""A JSON body as the parts of a form."""

from __future__ import annotations

from typing import Any

import pytest

from imagegen.backends.forms import fields
from imagegen.flow import Part


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"prompt": "ein Füchslein 🦊", "n": 2}, [("prompt", "ein Füchslein 🦊"), ("n", "2")]),
        ({"flag": True, "other": False}, [("flag", "true"), ("other", "false")]),
        ({"none": None, "empty": "", "zero": 0, "blank": " "}, [("zero", "0"), ("blank", " ")]),
        ({"scale": 1.5}, [("scale", "1.5")]),
        ({"": {"model": "m"}, "[]": ["x"]}, [("[model]", "m"), ("[][]", "x")]),
        ({"tags": ["a", "b"], "nothing": []}, [("tags[]", "a"), ("tags[]", "b")]),
        (
            {"svg": {"model": "m", "reasoning": {"effort": "low"}}},
            [("svg[model]", "m"), ("svg[reasoning][effort]", "low")],
        ),
    ],
)
def test_a_body_becomes_named_texts(body: Any, parts: list[tuple[str, str]]) -> None:
    assert list(fields(body)) == [Part(*part) for part in parts]
