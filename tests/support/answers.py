"""Whatever a provider might answer, drawn by hypothesis."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st

from imagegen.errors import ImageGenError
from imagegen.flow import Call, Done, Flow, Pause, Reply, advance
from imagegen.testing import reply

MANY = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
ID = "6488c2754f6f4dfea924382fa14d11bd"
FIXTURES = Path(__file__).parents[2] / "fixtures"

WORDS = st.sampled_from(
    [
        *("completed", "failed", "processing", "", "0", "200", "Insufficient credits", "flagged"),
        *("https://pictures.example/1.jpg", "https://", "/9j/wAARCAIABAADAw==", "!", "💥", "\x00"),
        *("9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z"),
        *("https://pictures.example/1.jpg?Expires=99999999999", "data:image/png;base64,é", ID),
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 200, 400, 404, 429, 500, 1000, 1008, 1200, 2013, 5004, 10**39])
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS | st.integers() | st.text(max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.integers(-(10**9), 10**9).map(lambda whole: whole / 1000),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "code", "data", "status", "message"]) | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
STATUSES = st.sampled_from(
    [
        *(200, 200, 200, 200, 201, 204, 302, 400, 401, 402, 403, 404, 408, 413, 429),
        *(451, 499, 500, 502, 503, 504, 599, 100, 999),
    ]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": st.text(max_size=40)
        | st.sampled_from(["5", "1e9", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
        | st.sampled_from(["Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359"]),
        "Trace-Id": st.text(max_size=10),
    },
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, the value itself first."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    return [path, *(found for key, item in pairs for found in places(item, (*path, key)))]


def mutated(data: st.DataObject, answer: Any) -> Any:
    """Replace or remove something in *answer* one to three times."""
    whole = [copy.deepcopy(answer)]
    for _ in range(data.draw(st.integers(1, 3))):
        path = (0, *data.draw(st.sampled_from(places(whole[0]))))
        holder: Any = whole
        for key in path[:-1]:
            holder = holder[key]
        if len(path) > 1 and data.draw(st.booleans()):
            del holder[path[-1]]
        else:
            holder[path[-1]] = data.draw(VALUES)
    return whole[0]


def any_reply(data: st.DataObject, real: list[Any]) -> Reply:
    """Draw a reply: garbage, any JSON, or a real one that was changed or cut short."""
    kind = data.draw(st.sampled_from(["bytes", "json", "mutated", "mutated", "cut"]))
    status, headers = data.draw(STATUSES), data.draw(HEADERS)
    if kind == "bytes":
        return reply(status=status, headers=headers, body=data.draw(st.binary(max_size=200)))
    if kind == "json":
        return reply(data.draw(VALUES), status=status, headers=headers)
    changed = mutated(data, data.draw(st.sampled_from(real)))
    body = json.dumps(changed).encode()
    if kind == "cut":
        body = body[: data.draw(st.integers(0, len(body)))]
    return reply(status=status, headers=headers, body=body)


def calling(flow: Flow[Any], answer: Reply | None = None) -> Call | Done[Any]:
    """Advance past events to the next Call or the end."""
    step = advance(flow, answer)
    while not isinstance(step, (Call, Done)):
        step = advance(flow, 0.0 if isinstance(step, Pause) else None)
    return step


def outcome(flow: Flow[Any], answer: Reply) -> Any:
    """What the flow makes of its first reply: a value, the next Call, or an ImageGenError."""
    assert isinstance(calling(flow), Call)
    try:
        step = calling(flow, answer)
    except ImageGenError as error:
        return error
    if isinstance(step, Done):
        return step.value
    flow.close()
    return step
