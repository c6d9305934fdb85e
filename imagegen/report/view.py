"""What the page shows, as text that is fit to be shown; the template only lays it out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from imagegen.errors import ImageGenError
from imagegen.media import sniff
from imagegen.report.charts import Chart, charts
from imagegen.report.summary import Finding, findings
from imagegen.report.words import (
    Voice,
    attempts,
    cost_of,
    cost_of_megapixel,
    latency,
    rate,
)
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import GeneratedImage, Generation, ImageFailure, Notice
from imagegen.wording import Room, basis, caption, counted, data_url, moment, money

if TYPE_CHECKING:
    from imagegen.purchase.comparison import Comparison, Contender

_LONGEST = 1000
_CHARGED = {"no": "not charged", "yes": "charged", "unknown": "perhaps charged"}


@frozen
class Fact:
    """A name and its value, and what the value rests on."""

    name: str
    value: str
    note: str = ""


@frozen
class Picture:
    """One picture; where it cannot be shown, `missing` says why."""

    label: str
    alt: str
    facts: str
    missing: str
    width: int | None
    height: int | None
    image: GeneratedImage

    @property
    def source(self) -> str:
        """A data URL, made when it is written: all of them together are as large as the page."""
        return data_url(self.image)


@frozen
class Problem:
    """What did not come, why, and what to do about it."""

    title: str
    message: str
    advice: str = ""


@frozen(kw_only=True)
class Card:
    """All about one model; `best` are the findings that name it."""

    name: str
    status: str
    best: tuple[str, ...]
    error: Problem | None
    pictures: tuple[Picture, ...]
    facts: tuple[Fact, ...]
    failures: tuple[Problem, ...]
    notices: tuple[str, ...]


@frozen(kw_only=True)
class View:
    """The whole page; `rows` are the figures of each model under `heads`.

    `single` tells that one picture was asked for: then it may fill its column.
    """

    title: str
    note: str
    heading: str
    started_at: str
    prompt: str
    request: tuple[Fact, ...]
    references: tuple[str, ...]
    findings: tuple[Finding, ...]
    single: bool
    cards: tuple[Card, ...]
    charts: tuple[Chart, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def view(comparison: Comparison, note: str, room: Room) -> View:
    """Put *comparison* into words, under *note*, with the pictures that *room* is enough for."""
    voice = Voice(comparison.request)
    names = [voice.says(contender.model, 160) for contender in comparison.contenders]
    found = findings(comparison, names)
    heading = f"{counted(len(names), 'model')} compared"
    return View(
        title=f"{heading}: {voice.title(60)}",
        note=voice.says(note),
        heading=heading,
        started_at=moment(comparison.started_at),
        prompt=voice.prompt(),
        request=_request(comparison.request, voice),
        references=tuple(_reference(each, voice) for each in comparison.request.references),
        findings=found,
        single=comparison.request.n == 1,
        cards=tuple(
            _card(contender, names[place], voice, _best(place, found), room)
            for place, contender in enumerate(comparison.contenders)
        ),
        charts=charts(comparison.contenders, names),
        heads=("Model", "Pictures", "Cost", "List price", "Latency", "Megapixels", "Cost per MP"),
        rows=tuple(map(_row, comparison.contenders, names)),
    )


def _best(place: int, found: tuple[Finding, ...]) -> tuple[str, ...]:
    return tuple(finding.name for finding in found if place in finding.places)


def _request(request: ImageRequest, voice: Voice) -> tuple[Fact, ...]:
    size = f"{request.size.width} × {request.size.height} pixels" if request.size else None
    seed = "the provider's choice" if request.seed is None else str(request.seed)
    facts = [
        Fact("Pictures", f"{request.n:,}"),
        Fact("Size", size or request.aspect_ratio or "the provider's choice"),
        Fact("Seed", seed),
    ]
    if request.enhance_prompt is not None:
        facts.append(Fact("Prompt rewriting", "on" if request.enhance_prompt else "off"))
    for provider, options in request.provider_options.items():
        if options:
            facts.append(Fact(f"Options for {voice.says(provider, 60)}", _options(options, voice)))
    return tuple(facts)


def _options(options: Mapping[str, object], voice: Voice) -> str:
    """Names of options; their values may be long, or nobody's business."""
    return ", ".join(voice.says(str(name), 60) for name in options)


def _reference(reference: ReferenceImage, voice: Voice) -> str:
    if reference.url is not None:
        return f"{reference.role}: {voice.says(reference.url)}"
    return f"{reference.role}: {reference.media_type}, SHA-256 {(reference.sha256 or '')[:16]}…"


def _card(contender: Contender, name: str, voice: Voice, best: tuple[str, ...], room: Room) -> Card:
    made = contender.generation
    return Card(
        name=name,
        status=_status(contender, voice.request.n),
        best=best,
        error=_error(contender.error, voice) if contender.error else None,
        pictures=_pictures(made, name, voice, room) if made else (),
        facts=_facts(contender, voice.request.n),
        failures=tuple(_failure(each, voice) for each in made.failures) if made else (),
        notices=tuple(_notice(each.kind, each.message, voice) for each in made.notices)
        if made
        else (),
    )


def _status(contender: Contender, wanted: int) -> str:
    came = len(contender.images)
    if came == 0:
        return "Failed: no pictures"
    if came < wanted:
        return f"Incomplete: {came:,} of {counted(wanted, 'picture')}"
    return f"Complete: {counted(came, 'picture')}"


def _error(error: ImageGenError, voice: Voice) -> Problem:
    who = f"{type(error).__name__}, {_CHARGED[error.charged]}"
    message = voice.says(error.message) or "No reason was given"
    return Problem(who, message, voice.says(error.advice).rstrip("."))


def _failure(failure: ImageFailure, voice: Voice) -> Problem:
    which = "A picture" if failure.index is None else f"Picture {failure.index + 1} of the request"
    words = f"{failure.message} ({failure.error}, {_CHARGED[failure.charged]})"
    return Problem(which, voice.says(words))


def _notice(kind: str, message: str, voice: Voice) -> str:
    return f"{kind.capitalize()}: {voice.says(message)}"


def _facts(contender: Contender, wanted: int) -> tuple[Fact, ...]:
    cost, price = cost_of(contender), contender.price
    rests_on = basis(price) if basis(price) != basis(cost) else ""
    return (
        Fact("Cost", money(cost), basis(cost)),
        Fact("Price per picture", rate(price, wanted), rests_on),
        Fact("Latency", latency(contender)),
        Fact("Megapixels", _pixels(contender)),
        Fact("Cost per megapixel", _cost_of_pixels(contender)),
        Fact("Submissions", f"{len(attempts(contender)):,}"),
    )


def _row(contender: Contender, name: str) -> tuple[str, ...]:
    return (
        name,
        f"{len(contender.images):,}",
        money(cost_of(contender)),
        money(contender.price),
        latency(contender),
        _pixels(contender),
        _cost_of_pixels(contender),
    )


def _pixels(contender: Contender) -> str:
    if not contender.images:
        return "none"
    return "unknown" if contender.megapixels is None else f"{contender.megapixels:.2f}"


def _cost_of_pixels(contender: Contender) -> str:
    return rate(cost_of_megapixel(contender)) if contender.images else "none"


def _pictures(made: Generation, name: str, voice: Voice, room: Room) -> tuple[Picture, ...]:
    named = _named(made.notices)
    title = f"{voice.title(80)} – {name}"
    return tuple(
        _picture(
            image,
            label=f"Picture {index + 1}" + (f" (image {index})" if index in named else ""),
            alt=f"{title}, picture {index + 1}",
            missing=room.why_not(image, voice.request.prompt, _LONGEST),
        )
        for index, image in enumerate(made.images)
    )


def _named(notices: Sequence[Notice]) -> set[int]:
    """The images that *notices* name; they count from 0, as code does, and the page from 1."""
    told = "\n".join(notice.message for notice in notices)
    return set(map(int, re.findall(r"\bimage ([0-9]{1,9})\b", told)))


def _picture(image: GeneratedImage, *, label: str, alt: str, missing: str) -> Picture:
    media = sniff(image.data) if image.data is not None else None
    return Picture(
        label=label,
        alt=alt,
        facts=caption(image),
        missing=missing,
        width=media.width if media else None,
        height=media.height if media else None,
        image=image,
    )
