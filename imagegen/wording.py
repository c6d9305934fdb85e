"""How a picture and a cost are put into words, for people: the same in notebooks and reports."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from decimal import Decimal

from attrs import define, field

from imagegen.media import EXTENSIONS, sniff
from imagegen.redaction import shown, without_prompt
from imagegen.result import Cost, GeneratedImage

DISPLAYED = frozenset(EXTENSIONS) - {"image/tiff"}
"""Media types that every browser shows."""

_MOST = Decimal(10) ** 12
_LEAST_DIGIT = -30
_BASES = {"billed": "billed", "list-price": "list price", "unknown": ""}
_FLAGS = {True: "flagged as not safe for work", False: "flagged as safe for work", None: None}


@define
class Room:
    """How many bytes of pictures one page takes; what it has shown takes its part of them."""

    size: int
    _left: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.size

    def why_not(self, image: GeneratedImage, prompt: str, longest: int) -> str:
        """Say why *image* is not to be shown; empty if it is, and then its bytes are counted.

        A URL is cut at *longest* characters, and without *prompt* where prompts are hidden.
        """
        size = len(image.data or b"")
        if why := why_not(image, prompt, longest):
            return why
        if size > self._left:
            return f"Not shown: a page has room for {self.size // 1_000_000:,} MB of pictures"
        self._left -= size
        return ""


def why_not(image: GeneratedImage, prompt: str, longest: int) -> str:
    """Say why a browser cannot show *image*, by its bytes; empty if it can."""
    kind = media_type(image)
    if kind in DISPLAYED:
        return ""
    if kind:
        return f"The picture is {kind}, which browsers do not show"
    if image.data is not None:
        return "What came is no picture that we know"
    if image.url is None:
        return "Not fetched: the provider gave neither bytes nor a URL"
    until = f" until {moment(image.expires_at)}" if image.expires_at else ""
    return f"Not fetched: it is kept{until} at {shown(without_prompt(image.url, prompt), longest)}"


def media_type(image: GeneratedImage) -> str:
    """Tell it by the bytes, empty if they are no picture: the field may have come from a file."""
    media = sniff(image.data) if image.data is not None else None
    return media.type if media else ""


def in_base64(image: GeneratedImage) -> str:
    """Return the picture's bytes as base64."""
    return base64.b64encode(image.data or b"").decode("ascii")


def data_url(image: GeneratedImage) -> str:
    """Return the picture as a URL that holds it."""
    return f"data:{media_type(image)};base64,{in_base64(image)}"


def caption(image: GeneratedImage) -> str:
    """Return such as ``"1024 × 768 px, seed 7"``, and the provider's flag where it gives one."""
    size = f"{image.width} × {image.height} px" if image.width and image.height else "size unknown"
    seed = None if image.seed is None else f"seed {image.seed}"
    return ", ".join(filter(None, [size, seed, _FLAGS[image.nsfw]]))


def moment(when: datetime) -> str:
    """Return such as ``"2026-11-21 09:30 UTC"``."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def known(cost: Cost) -> Cost:
    """Return *cost*, or an unknown one if its amount is no sum of money, such as NaN."""
    amount = cost.amount
    if amount is None or not amount.is_finite() or not 0 <= amount < _MOST:
        return Cost()
    return cost if amount.adjusted() >= _LEAST_DIGIT else Cost()


def money(cost: Cost) -> str:
    """Return such as ``"0.0070 USD"``, every digit of it; ``"unknown"`` where it is."""
    amount = known(cost).amount
    return "unknown" if amount is None else f"{amount:f} {unit(cost)}".rstrip()


def money_with_basis(cost: Cost) -> str:
    """Return such as ``"0.0070 USD (list price)"``, or ``"cost unknown"``."""
    if known(cost).amount is None:
        return "cost unknown"
    words = _BASES[cost.basis]
    return f"{money(cost)} ({words})" if words else money(cost)


def unit(cost: Cost) -> str:
    """Return the currency; empty where there is none."""
    return shown(cost.currency or "", 12)


def basis(cost: Cost) -> str:
    """Tell what a cost rests on, and its source; empty where it is nothing or unknown."""
    parts = [_BASES[cost.basis], shown(cost.source or "")] if known(cost).amount else []
    return ", ".join(filter(None, parts))


def counted(number: int, noun: str) -> str:
    """Return such as ``"1 picture"`` or ``"2 pictures"``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
