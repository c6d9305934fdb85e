"""Rules about the fields of a request: each is sent, refused or noticed, and never dropped.

How a provider writes a field is its own affair, so the rules compare: two values of a field that
are both taken without a word must become two different calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

from attrs import evolve

from imagegen.backends.base import Terms, Translation
from imagegen.errors import ImageGenError
from imagegen.request import ImageRequest, ReferenceImage, Size
from imagegen.testing.conformance.subject import (
    EVERY_TERMS,
    LAX,
    Subject,
    require_none,
)
from imagegen.testing.conformance.wire import first_call, written
from imagegen.testing.drawing import png

Change: TypeAlias = Mapping[str, Any]

SHAPE = ("size", "aspect_ratio")
PROMPTS = ("a red fox", "a blue hen", "un renard émigré 💥", "x" * 1500, "x" * 1499 + "y")
SEEDS = (None, 0, 7, 8, -7, 2**63 - 100, 7 + 2**16, 7 + 2**31, 7 + 2**32)
SIZES = (
    *(Size(1024, 1024), Size(512, 512), Size(1280, 720), Size(1000, 700)),
    *(Size(720, 1280), Size(16384, 16), Size(1025, 1024), Size(1032, 1024)),
)
RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "7:3")
MANY = 20


def by_url(name: object, role: Any) -> ReferenceImage:
    """A reference that a provider would fetch."""
    return ReferenceImage(f"https://pictures.example/{name}.png", role)


def by_bytes(words: str, role: Any) -> ReferenceImage:
    """A reference that is sent along."""
    return ReferenceImage(png(words, Size(64, 64)), role)


def _references(role: Any) -> list[tuple[ReferenceImage, ...]]:
    other = "source" if role == "character" else "character"
    first, second = by_url("a", role), by_url("b", role)
    many = tuple(by_url(k, role) for k in range(MANY))
    return [
        *((), (first,), (second,), (by_bytes("a", role),), (by_bytes("b", role),)),
        *((first, second), (first, by_url("c", role)), many, (*many[:-1], by_url("z", role))),
        *((first, by_url("x", other)), (first, by_url("y", other))),
    ]


VALUES: Sequence[tuple[str, Sequence[Change]]] = (
    ("prompt", [{"prompt": prompt} for prompt in PROMPTS[:2]]),
    ("n", [{"n": n} for n in (1, 2)]),
    ("seed", [{"seed": seed} for seed in (7, 8)]),
    ("size", [{"size": size, "aspect_ratio": None} for size in SIZES[:3]]),
    ("aspect_ratio", [{"aspect_ratio": ratio, "size": None} for ratio in RATIOS[:3]]),
    ("enhance_prompt", [{"enhance_prompt": on} for on in (True, False)]),
    ("references", [{"references": (by_url(name, "source"),)} for name in "ab"]),
    ("references", [{"references": (by_url(name, "character"),)} for name in "ab"]),
)
"""Some values of each field, for a request that has other fields as well."""
COMPANY: Sequence[Change] = (
    {"n": 2},
    {"output": "bytes"},
    *(changes[0] for name, changes in VALUES if name not in ("prompt", "n")),
)
"""What else a request has while a field is looked at."""


class FieldRules(Subject):
    """One rule for each field of ImageRequest, under all four terms, for every model."""

    def test_the_prompt_is_never_dropped(self) -> None:
        """Two prompts are two calls, to their last character."""
        self._never_dropped("prompt", [{"prompt": prompt} for prompt in PROMPTS])

    def test_n_is_never_dropped(self) -> None:
        """Two numbers of pictures are two calls, as far as one submission can ask for them."""
        self._never_dropped("n", [{"n": n} for n in (1, 2, 3, 4)])

    def test_the_seed_is_never_dropped(self) -> None:
        """Two seeds are two calls, 0 and none among them."""
        self._never_dropped("seed", [{"seed": seed} for seed in SEEDS])
        wrong = []
        for model in self.asked_models:
            calls = {call for seed in (7, 8) if (call := self._ignored({"seed": seed}, model))}
            if len(calls) > 1:
                wrong.append(f"{model}: seeds 7 and 8 are both noticed as ignored")
        require_none(wrong, "What is noticed as ignored is not sent; these become two calls:")

    def _ignored(self, change: Change, model: str) -> str:
        """What is sent where all of *change* is noticed as ignored; else nothing."""
        request = self._changed(model, change)
        said = self.said(model, request, LAX)
        notices = said.notices if isinstance(said, Translation) else ()
        told = {notice.field for notice in notices if notice.kind == "ignored"}
        return self._call(said, model, request, LAX) if change.keys() <= told else ""

    def test_the_size_is_never_dropped(self) -> None:
        """Two sizes are two calls."""
        self._never_dropped("size", [{"size": size, "aspect_ratio": None} for size in SIZES])

    def test_the_aspect_ratio_is_never_dropped(self) -> None:
        """Two ratios are two calls."""
        ratios = [{"aspect_ratio": ratio, "size": None} for ratio in RATIOS]
        self._never_dropped("aspect_ratio", ratios)

    def test_enhance_prompt_is_never_dropped(self) -> None:
        """True and False are two calls; None may be either."""
        self._never_dropped("enhance_prompt", [{"enhance_prompt": on} for on in (True, False)])

    def test_references_are_never_dropped(self) -> None:
        """References of either role, one or many, as URLs or bytes, are each a call of their own.

        Two roles may mean the same to a model that knows only one.
        """
        for role in ("source", "character"):
            changes = [{"references": references} for references in _references(role)]
            self._never_dropped("references", changes)

    def test_provider_options_are_never_dropped(self) -> None:
        """The caller's own fields for this provider are sent; those for another are not."""
        name = self.backend.name
        own = [{"provider_options": {name: {"x_of_the_kit": k}}} for k in (1, 2)]
        self._never_dropped("provider_options", own)
        wrong = []
        for model in self.asked_models:
            base = self.request_for(model)
            others = {**base.provider_options, "another_provider": {"x_of_the_kit": 1}}
            changed = evolve(base, provider_options=others)
            calls = [
                self._call(self.said(model, request, Terms()), model, request, Terms())
                for request in (base, changed)
            ]
            if calls[0] != calls[1]:
                wrong.append(f"{model}: options for another provider change the call")
        require_none(wrong, "provider_options are by provider; take only your own:")

    def test_no_field_is_dropped_beside_another(self) -> None:
        """A field that is sent where it is alone is not lost where another is asked for too."""
        wrong = list[str]()
        for model, (name, changes) in product(self.asked_models, VALUES):
            if any(self._alike(name, changes, model, LAX)):
                continue  # that is for the rule about the field itself
            for company in (each for each in COMPANY if not _meet(name, each)):
                together = [{**company, **change} for change in changes]
                wrong += self._alike(name, together, model, LAX)
        require_none(
            wrong,
            "Beside another field it must be sent, refused or noticed as well; these become the "
            "same call in silence:",
        )

    def _never_dropped(self, name: str, changes: Sequence[Change]) -> None:
        wrong = list[str]()
        for model, terms in product(self.asked_models, EVERY_TERMS):
            wrong += self._alike(name, changes, model, terms)
            for change in changes:
                said = self.said(model, self._changed(model, change), terms)
                if isinstance(said, ImageGenError):
                    wrong += self._misnamed(name, said, model, change)
        require_none(
            wrong,
            f"{name} must be sent, or refused by name (Draft.unsupported, Draft.unfit), or noticed "
            f"(Notice.field); two values of it become the same call in silence, or it is refused "
            "wrongly:",
        )

    def _alike(
        self, name: str, changes: Sequence[Change], model: str, terms: Terms
    ) -> Iterator[str]:
        """Which *changes* become the same call without a word about the field *name*."""
        told = dict[str, Change]()
        for change in changes:
            request = self._changed(model, change)
            said = self.said(model, request, terms)
            if isinstance(said, ImageGenError) or any(n.field == name for n in said.notices):
                continue
            call = self._call(said, model, request, terms)
            if call in told:
                yield f"{model}, {terms}: {told[call]} and {change}"
            told.setdefault(call, change)

    def _changed(self, model: str, change: Change) -> ImageRequest:
        base = self.request_for(model)
        if "provider_options" not in change:
            return evolve(base, **change)
        own, name = change["provider_options"], self.backend.name
        merged = {**base.provider_options.get(name, {}), **own[name]}
        return evolve(base, provider_options={**base.provider_options, name: merged})

    def _misnamed(self, name: str, refusal: ImageGenError, model: str, change: Change) -> list[str]:
        allowed = SHAPE if name in SHAPE else (name,)
        if refusal.field not in allowed:
            base = self.said(model, self.request_for(model), Terms())
            if isinstance(base, ImageGenError) and base.field == refusal.field:
                return []
            return [f"{model}: {change} is refused with field={refusal.field!r}: {refusal}"]
        if refusal.charged != "no":
            return [f"{model}: {change} is refused with charged={refusal.charged!r}, not 'no'"]
        return []

    def _call(
        self, said: Translation | ImageGenError, model: str, request: ImageRequest, terms: Terms
    ) -> str:
        """What is sent, as text; the translation, for a backend that makes no call."""
        if isinstance(said, ImageGenError):
            return ""
        call = first_call(self.backend, request, model, terms)
        return written((said.model, said.body) if call is None else call)


def _meet(name: str, company: Change) -> bool:
    """Whether the field *name*, or what decides the same, is in *company*."""
    return bool({name, *(SHAPE if name in SHAPE else ())} & company.keys())
