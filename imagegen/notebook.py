"""Pictures and Generations as notebooks show them: inert HTML that asks nothing of the network.

Jupyter reads the dictionary of `_repr_mimebundle_` (IPython 9 documentation, "Integrating your
objects", read on 2026-11-21): texts by media type, a picture's as base64.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Collection, Iterable, Iterator, Sequence

from imagegen.media import sniff
from imagegen.redaction import prompts_hidden, shown, shown_prompt, without_prompt, without_query
from imagegen.result import Cost, GeneratedImage, Generation

SHOWN = 24
"""Pictures, and lines of what is missing or to be noticed, that are shown of a Generation."""

INLINED = 32_000_000
"""Bytes of all the pictures that are shown of a Generation."""

_JUPYTER = ("image/png", "image/jpeg")
_BROWSERS = (*_JUPYTER, "image/webp", "image/gif")
_GRID = "display:flex;flex-wrap:wrap;gap:1em;align-items:flex-end"


def bundle(
    image: GeneratedImage,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
) -> dict[str, str]:
    """Return *image* by media type: of *include* if that names any, and none of *exclude*."""
    return {
        kind: text
        for kind, text in _forms(image)
        if (not include or kind in include) and kind not in (exclude or ())
    }


def _forms(image: GeneratedImage) -> Iterator[tuple[str, str]]:
    missing = _why_not(image)
    kind = _media_type(image)
    yield "text/plain", f"{image!r}\n{missing}" if missing else repr(image)
    if image.data is not None and kind in _JUPYTER:
        yield kind, _base64(image.data)
    else:
        yield "text/html", f"<p>{_text(missing)}</p>" if missing else _inline(image, "picture")


def page(generation: Generation) -> str:
    """Return *generation* as HTML: pictures with seed and size, money, and what is missing."""
    images = generation.images[:SHOWN]
    more = _more(len(generation.images) - SHOWN, "picture")
    return (
        f'<div><div style="{_GRID}">{"".join(_figures(images))}</div>{more}'
        f"<p>{_text(_made(generation))}</p><p><q>{_prompt(generation)}</q></p>"
        f"{_listed(tuple(_lines(generation)))}</div>"
    )


def _figures(images: Iterable[GeneratedImage]) -> Iterator[str]:
    room = INLINED
    for number, image in enumerate(images):
        size = len(image.data or b"")
        why = _why_not(image) or _if_too_large(size, room)
        body = f"<p>{_text(why)}</p>" if why else _inline(image, f"picture {number}")
        room -= 0 if why else size
        yield (
            f'<figure style="margin:0;max-width:20em">{body}'
            f"<figcaption>{_text(_caption(image))}</figcaption></figure>"
        )


def _why_not(image: GeneratedImage) -> str:
    """Why *image* cannot be shown, and what to do; empty if it can."""
    if image.data is None:
        source = f" from {without_query(image.url)}" if image.url else ""
        until = f", until {image.expires_at:%Y-%m-%d %H:%M %Z}" if image.expires_at else ""
        return f"Not fetched: client.fetch(generation) brings it{source}{until}"
    if _media_type(image) not in _BROWSERS:
        return "Browsers do not show this type of picture: client.save(generation, folder)"
    return ""


def _if_too_large(size: int, room: int) -> str:
    if size <= room:
        return ""
    return f"Not shown: all pictures together are over {INLINED // 1_000_000} MB"


def _media_type(image: GeneratedImage) -> str:
    """By the bytes: what the field says may have come from a file."""
    media = sniff(image.data) if image.data is not None else None
    return media.type if media else ""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _inline(image: GeneratedImage, name: str) -> str:
    source = f"data:{_media_type(image)};base64,{_base64(image.data or b'')}"
    return f'<img alt="{name}" style="max-width:100%" src="{source}">'


def _caption(image: GeneratedImage) -> str:
    size = f"{image.width} × {image.height} px" if image.width and image.height else "size unknown"
    seed = "" if image.seed is None else f" · seed {image.seed}"
    flag = " · flagged as not safe for work" if image.nsfw else ""
    return f"{size}{seed}{flag}"


def _made(generation: Generation) -> str:
    seconds = max((a.seconds for a in generation.attempts if a.seconds is not None), default=None)
    time = "" if seconds is None else f" · {seconds:.1f} s"
    count = f"{len(generation.images)} of {generation.request.n} pictures"
    who = f"{generation.provider} {generation.model}"
    return f"{count} by {who} · {_price(generation.cost)}{time}"


def _price(cost: Cost) -> str:
    if cost.amount is None:
        return "cost unknown"
    return " ".join((str(cost.amount), cost.currency or "", f"({cost.basis})"))


def _prompt(generation: Generation) -> str:
    prompt = generation.request.prompt
    return html.escape(shown_prompt(prompt)) if prompts_hidden() else _text(prompt)


def _lines(generation: Generation) -> Iterator[str]:
    """What is missing, then what is to be noticed."""
    prompt = generation.request.prompt
    for failure in generation.failures:
        which = "a picture" if failure.index is None else f"picture {failure.index}"
        message = without_prompt(failure.message, prompt)
        yield f"missing: {which}: {message} ({failure.error}, charged: {failure.charged})"
    for notice in generation.notices:
        yield f"note: {without_prompt(notice.message, prompt)} ({notice.field})"


def _listed(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{_text(line)}</li>" for line in lines[:SHOWN])
    more = _more(len(lines) - SHOWN, "line")
    return f"<ul>{items}</ul>{more}" if items else ""


def _more(count: int, what: str) -> str:
    plural = "" if count == 1 else "s"
    return f"<p>{count:,} more {what}{plural}, not shown here</p>" if count > 0 else ""


def _text(text: str) -> str:
    """Text from outside, in one line, as HTML."""
    return html.escape(shown(text))
