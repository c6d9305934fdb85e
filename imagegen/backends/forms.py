"""A JSON body as a form, for providers that take files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagegen.flow import Part


def fields(value: Any, name: str = "") -> Iterator[Part]:
    """The parts that stand for *value*, an object; what is null or empty has none.

    What is nested is named with brackets, ``mask[file_id]`` and ``tags[]``; true is ``"true"``.
    """
    match value:
        case Mapping():
            for key, item in value.items():
                yield from fields(item, f"{name}[{key}]" if name else key)
        case list():
            for item in value:
                yield from fields(item, f"{name}[]")
        case bool():
            yield Part(name, "true" if value else "false")
        case None | "":
            return
        case _:
            yield Part(name, str(value))
