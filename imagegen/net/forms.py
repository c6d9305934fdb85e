"""Forms as multipart/form-data, in httpx's own writing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import cast

Field = tuple[str, str | bytes, str | None, str | None]


def multipart(fields: Iterable[Field]) -> tuple[bytes, bytes]:
    """Write *fields*: each its name, its content, and a file's name and media type or None.

    Returns the media type, with a random boundary of 128 bits, and the body.
    """
    files = [(name, (filename, content, kind)) for name, content, filename, kind in fields]
    request = import_module("httpx").Request("POST", "https://form.example", files=files)
    return request.headers["content-type"].encode(), cast("bytes", request.read())
