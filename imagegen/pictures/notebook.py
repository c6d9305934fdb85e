"""Pictures and Generations as notebooks show them: inert HTML that asks nothing of the network.

Jupyter reads the dictionary of `_repr_mimebundle_` (IPython 9 documentation, "Integrating your
objects", read on 2026-11-21): texts by media type, a picture's as base64.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Iterator, Sequence

from imagegen.redaction import prompts_hidden, shown, shown_prompt, without_prompt
from imagegen.result import GeneratedImage, Generation
from imagegen.wording import (
    Room,
    caption,
    counted,
    data_url,
    in_base64,
    media_type,
    money_with_basis,
    why_not,
)

SHOWN = 24
"""Pictures, and lines of what is missing or to be noticed, that are shown of a Generation."""

INLINED = 32_000_000
"""Bytes of all the pictures that are shown of a Generation."""

_JUPYTER = ("image/png", "image/jpeg")
_LONGEST = 80
_COLUMN = "margin:0;max-width:20em;overflow-wrap:anywhere"
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
    missing = _with_advice(why_not(image, "", _LONGEST), image)
    kind = media_type(image)
    yield "text/plain", f"{image!r}\n{missing}" if missing else repr(image)
    if kind in _JUPYTER:
        yield kind, in_base64(image)
    else:
        yield "text/html", f"<p>{_text(missing)}</p>" if missing else _inline(image, "picture")


def page(generation: Generation) -> str:
    """Return *generation* as HTML: pictures with seed and size, money, and what is missing."""
    images = generation.images[:SHOWN]
    figures = "".join(_figures(images, generation.request.prompt))
    more = _more(len(generation.images) - SHOWN, "picture")
    return (
        f'<div><div style="{_GRID}">{figures}</div>{more}'
        f"<p>{_text(_made(generation))}</p><p><q>{_prompt(generation)}</q></p>"
        f"{_listed(tuple(_lines(generation)))}</div>"
    )


def _figures(images: Iterable[GeneratedImage], prompt: str) -> Iterator[str]:
    room = Room(INLINED)
    for number, image in enumerate(images):
        why = _with_advice(room.why_not(image, prompt, _LONGEST), image)
        body = f"<p>{_text(why)}</p>" if why else _inline(image, f"picture {number}")
        yield (
            f'<figure style="{_COLUMN}">{body}'
            f"<figcaption>{_text(caption(image))}</figcaption></figure>"
        )


def _with_advice(why: str, image: GeneratedImage) -> str:
    """Why *image* is not shown, and what to do about it."""
    if not why or (image.data is None and image.url is None):
        return why
    verb = "fetch(generation) brings" if image.data is None else "save(generation, folder) writes"
    return f"{why} (client.{verb} it)"


def _inline(image: GeneratedImage, name: str) -> str:
    return f'<img alt="{name}" style="max-width:100%" src="{data_url(image)}">'


def _made(generation: Generation) -> str:
    seconds = max((a.seconds for a in generation.attempts if a.seconds is not None), default=None)
    time = "" if seconds is None else f" · {seconds:.1f} s"
    count = f"{len(generation.images)} of {generation.request.n} pictures"
    who = f"{generation.provider} {generation.model}"
    return f"{count} by {who} · {money_with_basis(generation.cost)}{time}"


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
    return f"<p>{counted(count, f'more {what}')}, not shown here</p>" if count > 0 else ""


def _text(text: str) -> str:
    """Text from outside, in one line, as HTML."""
    return html.escape(shown(text))
