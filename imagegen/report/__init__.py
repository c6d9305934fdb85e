"""A comparison as one HTML file: pictures side by side, costs, latencies, and what went wrong.

The file holds everything that it shows. Its Content-Security-Policy lets it load nothing, and run
no script or style but its own, so that text of a provider stays text.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from imagegen.distribution import install
from imagegen.errors import ConfigurationError
from imagegen.report.view import view
from imagegen.wording import Room

if TYPE_CHECKING:
    from jinja2 import Environment

    from imagegen.purchase.comparison import Comparison


INLINED = 100_000_000
"""Bytes of all the pictures that are in one page."""


def page(comparison: Comparison, note: str = "") -> str:
    """Write *comparison* as one self-contained HTML file, in English.

    Pictures are in it as far as their bytes are in *comparison*, and up to `INLINED` bytes of them;
    for the others it says why not. A *note* is shown at the top, as text. Signed queries are left
    out, prompts too where they are hidden. Equal comparisons give equal files.

    It is ASCII, other characters are references: with one of them in it, Python would keep every
    character of a large page in two or four bytes.

    Raises:
        ConfigurationError: Jinja2 is not installed.
    """
    style, script = _resource("page.css"), _resource("page.js")
    pieces = (
        _environment()
        .get_template("page.html")
        .generate(
            page=view(comparison, note, Room(INLINED)),
            style=style,
            script=script,
            policy=_policy(style, script),
        )
    )
    return "".join(map(_in_ascii, pieces))


def require() -> None:
    """Check that a page can be written, before anything is paid for.

    Raises:
        ConfigurationError: Jinja2 is not installed.
    """
    _environment()


def _in_ascii(text: str) -> str:
    return text if text.isascii() else text.encode("ascii", "xmlcharrefreplace").decode("ascii")


@cache
def _resource(name: str) -> str:
    return resources.files("imagegen.report").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What a browser may load for the page: nothing but what is in it."""
    return (
        "default-src 'none'; img-src data:; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            "Jinja2, which writes the report, is not installed",
            advice=f"Run: {install('report')}",
        ) from error
    return Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
