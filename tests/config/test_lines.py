"""At which line each key stands."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings, strategies as st

from imagegen.config.lines import MOST, lines_of

TEXT = '''# a comment
top = 1
dotted.inner = 2   # another

[table]
text = """
[not.a.table]
key = 1
"""
list = [
    1,  # ]
    2,
]
inline = { a = { b = 1 }, c = 2 }
  [ table . below ]
"quoted key" = 1
[[entry]]
name = "a"
[[entry]]

name = "b"
[entry.part]
x = 1
[[entry.several]]
y = 1
[[entry.several]]
y = 2
'''


def test_each_statement_is_found_where_it_begins() -> None:
    lines = lines_of(TEXT)
    assert {
        ("top",): 2,
        ("dotted",): 3,
        ("dotted", "inner"): 3,
        ("table",): 5,
        ("table", "text"): 6,
        ("table", "list"): 10,
        ("table", "inline"): 14,
        ("table", "inline", "a", "b"): 14,
        ("table", "inline", "c"): 14,
        ("table", "below"): 15,
        ("table", "below", "quoted key"): 16,
        ("entry",): 17,
        ("entry", 0): 17,
        ("entry", 0, "name"): 18,
        ("entry", 1): 19,
        ("entry", 1, "name"): 21,
        ("entry", 1, "part", "x"): 23,
        ("entry", 1, "several", 1, "y"): 27,
    }.items() <= lines.items()
    assert ("not",) not in lines


def test_a_statement_that_would_take_too_long_to_find_has_no_line() -> None:
    lines = lines_of("first = 1\nlong = [\n" + "1,\n" * (MOST // 500) + "]\nlast = 1\n")
    assert lines == {("first",): 1}


NAMES = st.sampled_from(["a", "b", "c-d", "long name", "é"])
VALUES = st.sampled_from(["1", "'text'", "[\n1,\n2]", "'''\na = 1\n'''", "{ x = 1 }", "2026-11-01"])


@given(st.lists(st.tuples(NAMES, st.lists(st.tuples(NAMES, VALUES), max_size=4)), max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_key_of_a_document_has_a_line_that_names_it(
    tables: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    text = "".join(
        f'["{table}"]\n' + "".join(f'"{name}" = {value}\n' for name, value in dict(keys).items())
        for table, keys in dict(tables).items()
    )
    lines, rows = lines_of(text), text.split("\n")
    for table, keys in tomllib.loads(text).items():
        assert rows[lines[table,] - 1] == f'["{table}"]'
        for name in keys:
            assert rows[lines[table, name] - 1].startswith(f'"{name}" = ')
