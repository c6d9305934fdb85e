"""Replies made up by hypothesis: garbage, any JSON, and real replies changed or cut short."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from imagegen.flow import Reply
from imagegen.testing.playing import reply

_WORDS = (
    *("completed", "failed", "processing", "succeeded", "error", "", "0", "200", "null"),
    *("https://pictures.example/1.jpg", "https://", "file:///etc/passwd", "!", "💥", "\x00"),
    *("9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z"),
    *("https://pictures.example/1.jpg?Expires=99999999999", "data:image/png;base64,é", "../.."),
    "a" * 3000,
)
_NUMBERS = (0, 1, -1, 2, 200, 400, 404, 429, 500, 2**31, 2**63, 10**39, 1e308, 0.5)
_HOSTILE = (
    *(b"", b"null", b"[]", b"{}", b'""', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"<html>502</html>"),
    *(b"[" * 50_000, b'{"a":' * 2_000, b'{"a":NaN}', b'{"a":1e999}', b'{"a":' + b"9" * 5000 + b"}"),
    *(b'{"a":"\\ud800"}', b'{"a":1,"a":2}', b"\x00" * 100),
)
_STATUSES = (
    *(200, 201, 202, 204, 302, 400, 401, 402, 403, 404, 408, 409, 413, 422),
    *(425, 429, 451, 499, 500, 502, 503, 504, 529, 599, 100, 999),
)
_WAITS = (
    *("5", "0", "1e9", "-1", "soon", "999999999999", "Wed, 21 Oct 2026 07:28:00 GMT"),
    *("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359"),
)


def replies(good: Sequence[Reply]) -> st.SearchStrategy[Reply]:
    """Any reply; those of a success, *good*, are changed in one to three places."""
    known = [value for value in map(read, good) if value is not None]
    values = _values(known)
    garbage = st.binary(max_size=100) | st.sampled_from(_HOSTILE)
    bodies = {"garbage": garbage, "any": values.map(_bytes)}
    kinds = ["garbage", "any"]
    if known:
        changed = _changed(known, values).map(_bytes)
        bodies["changed"] = changed
        bodies["cut"] = st.tuples(changed, st.floats(0, 1)).map(lambda both: _cut(*both))
        bodies["whole"] = st.sampled_from(known).map(_bytes)
        kinds += ["whole", "cut", *["changed"] * 6]
    body = st.sampled_from(kinds).flatmap(lambda kind: bodies[kind])
    statuses = st.just(200) | st.just(200) | st.sampled_from(_STATUSES)
    return st.builds(_reply, body, statuses, _headers())


def _reply(body: bytes, status: int, headers: dict[str, str]) -> Reply:
    return evolve(reply(body=body, status=status), headers=headers)


def _headers() -> st.SearchStrategy[dict[str, str]]:
    texts = st.text(max_size=10)
    optional: dict[str, st.SearchStrategy[str]] = {
        "retry-after": texts | st.sampled_from(_WAITS),
        "content-type": texts | st.sampled_from(["application/json", "text/html"]),
        "x-request-id": texts | st.just("x" * 5000),
        "date": texts,
        "location": st.just("https://elsewhere.example/"),
    }
    return st.fixed_dictionaries({}, optional=optional)


def read(answer: Reply) -> Any:
    """What *answer* says; None where it is no JSON."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _values(known: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Any JSON value; names of fields are often those of the *known* ones."""
    keys = _keys(known)
    scalars = (
        st.none()
        | st.booleans()
        | st.sampled_from(_NUMBERS)
        | st.sampled_from(_WORDS)
        | st.integers()
        | st.text(max_size=20)
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=8,
    )


def _keys(known: Sequence[Any]) -> st.SearchStrategy[str]:
    """Names of fields, those of the *known* values among them."""
    paths = (path for value in known for path in places(value))
    names = sorted({key for path in paths for key in path if isinstance(key, str)})
    return st.sampled_from(names) | st.text(max_size=5) if names else st.text(max_size=5)


@st.composite
def _changed(draw: st.DrawFn, known: Sequence[Any], values: st.SearchStrategy[Any]) -> Any:
    """One of *known*, with one to three values replaced, removed or added."""
    whole = [copy.deepcopy(draw(st.sampled_from(known)))]
    for _ in range(draw(st.integers(1, 3))):
        path = (0, *draw(st.sampled_from(places(whole[0]))))
        holder: Any = whole
        for key in path[:-1]:
            holder = holder[key]
        act = draw(st.sampled_from(["replace", "remove", "add"]))
        if act == "remove" and len(path) > 1:
            del holder[path[-1]]
        elif act == "add" and isinstance(holder[path[-1]], dict):
            holder[path[-1]][draw(_keys(known))] = draw(values)
        else:
            holder[path[-1]] = draw(values)
    return whole[0]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, the value itself first."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    return [path, *(found for key, item in pairs for found in places(item, (*path, key)))]


def _bytes(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _cut(body: bytes, share: float) -> bytes:
    return body[: int(len(body) * share)]
