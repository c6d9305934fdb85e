"""A JSON body as a form, for providers that take files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagegen.flow import Part


def fields(body: Mapping[str, Any]) -> Iterator[Part]:
    """The parts that stand for *body*; what is null or empty has none.

    What is nested is named with brackets, ``mask[file_id]`` and ``tags[]``; true is ``"true"``.
    """
    for name, value in body.items():
        yield from _named(name, value)


def _named(name: str, value: Any) -> Iterator[Part]:
    match value:
        case Mapping():
            for key, item in value.items():
                yield from _named(f"{name}[{key}]", item)
        case list():
            for item in value:
                yield from _named(f"{name}[]", item)
        case bool():
            yield Part(name, "true" if value else "false")
        case None | "":
            return
        case _:
            yield Part(name, str(value))
