"""What a backend would send, looked at without sending it, and written so that it compares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from attrs import asdict, evolve, has

from imagegen.backends.base import Backend, Terms
from imagegen.events import Event
from imagegen.flow import Call, Pause, advance
from imagegen.request import ImageRequest


def first_call(backend: Backend, request: ImageRequest, model: str, terms: Terms) -> Call | None:
    """What a submission begins with; None where that is no call."""
    with closing(backend.submit(request, model, terms)) as flow:
        step = advance(flow)
        while isinstance(step, (Pause, Event)):
            step = advance(flow)
    return evolve(step, timeout=None) if isinstance(step, Call) else None


def written(value: Any) -> str:
    """*value* as text, whole: no repr hides a part of it."""
    return json.dumps(plain(value), sort_keys=True)


def plain(value: Any) -> Any:
    """*value* as JSON can hold it."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if has(type(value)):
        return plain(asdict(value, recurse=False))
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
