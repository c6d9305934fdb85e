"""Forms as multipart/form-data, in httpx's own writing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import cast

Field = tuple[str, str | bytes, str | None, str | None]

_MEDIA_TYPE = re.compile(r"[!-~]+/[!-~]+(?:; ?[!-~]+)*")


def multipart(fields: Iterable[Field]) -> tuple[bytes, bytes]:
    """Write *fields*: each its name, its content, and a file's name and media type or None.

    Returns the media type, with a random boundary of 128 bits, and the body.

    Raises:
        ValueError: there is no field, or a media type that no header can carry.
        TypeError: a content is neither text nor bytes.
    """
    files = [(name, (filename, content, kind)) for name, content, filename, kind in fields]
    _check(files)
    request = import_module("httpx").Request("POST", "https://form.example", files=files)
    return request.headers["content-type"].encode(), cast("bytes", request.read())


def _check(files: Sequence[tuple[str, tuple[str | None, object, str | None]]]) -> None:
    """Refuse what httpx takes: it writes media types as they are, and without fields no form."""
    if not files:
        raise ValueError("a form without a field")
    for name, (_, content, kind) in files:
        if not isinstance(content, (str, bytes)):
            raise TypeError(f"the field {name!r} of a form is neither text nor bytes")
        if kind is not None and not _MEDIA_TYPE.fullmatch(kind):
            raise ValueError(f"the field {name!r} of a form has no media type that can be sent")
