"""Rules about a translation as a whole: pure, within its terms, and the caller's fields last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, TypeAlias

from attrs import evolve

from imagegen.backends.base import Terms, Translation
from imagegen.errors import ImageGenError, UnsupportedFeatureError
from imagegen.redaction import brief
from imagegen.request import ImageRequest, Size
from imagegen.testing.conformance.fields import by_bytes, by_url
from imagegen.testing.conformance.subject import EVERY_TERMS, LAX, Subject, require, require_none
from imagegen.testing.conformance.wire import first_call, plain, written

Path: TypeAlias = tuple[str | int, ...]

ADJUSTABLE: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "seed": ({"seed": 7},),
    "enhance_prompt": ({"enhance_prompt": True}, {"enhance_prompt": False}),
    "size": (
        {"size": Size(1000, 700), "aspect_ratio": None},
        {"size": Size(16384, 16), "aspect_ratio": None},
    ),
    "aspect_ratio": (
        {"aspect_ratio": "16:9", "size": None},
        {"aspect_ratio": "7:3", "size": None},
    ),
    "references": (
        {"references": (by_url("a", "source"), by_url("b", "character"))},
        {"references": tuple(by_url(k, "character") for k in range(20))},
    ),
}
"""What `Terms` can leave out or replace, so that it need not be refused."""


OPTION = "x-of-the-kit"


class TranslationRules(Subject):
    """What `translate` promises beyond each single field."""

    def test_every_model_can_be_asked_for_something(self) -> None:
        """Each model takes the least request, with no more than a notice."""
        wrong = [
            f"{model}: {said}"
            for model in self.asked_models
            if isinstance(said := self.said(model, self.request_for(model), LAX), ImageGenError)
        ]
        require_none(wrong, "Override request_for(model) with the least that such a model needs:")

    def test_a_translation_is_pure(self) -> None:
        """The same request is the same translation, and neither changes the other."""
        for model, terms in product(self.asked_models, EVERY_TERMS):
            request = self._rich(model)
            before = written(request)
            said = self.said(model, request, terms)
            if not isinstance(said, Translation):
                continue
            first = written(said)
            require(
                written(request) == before,
                f"{model}: translate() changes the request; copy what you take from it",
            )
            _spoil(said.body)
            again = self.said(model, request, terms)
            require(
                written(again) == first and written(request) == before,
                f"{model}: translate() says something else the second time, or after a caller "
                "changed what it returned: keep no state, and share no list or dict",
            )

    def test_what_is_sent_is_json(self) -> None:
        """The body can be written as JSON, and read back the same."""
        wrong = []
        for model in self.asked_models:
            request = self.request_for(model)
            if isinstance(self.said(model, request, LAX), ImageGenError):
                continue
            call = first_call(self.backend, request, model, LAX)
            body = call.json if call else None
            try:
                same = body is None or json.loads(json.dumps(body, allow_nan=False)) == body
            except (TypeError, ValueError) as error:
                wrong.append(f"{model}: {error}")
                continue
            if not same:
                wrong.append(f"{model}: {brief(plain(body))} reads back differently")
        require_none(wrong, "Put only JSON values into a body:")

    def test_more_pictures_than_one_call_makes_are_refused(self) -> None:
        """`images_per_call` is 1 or more; that many are taken, and one more is refused by `n`."""
        wrong = []
        for model in self.asked_models:
            base = self.request_for(model)
            most = self.backend.images_per_call(model, base)
            if type(most) is not int or most < 1:
                wrong.append(f"{model}: images_per_call() is {brief(most)}, not 1 or more")
                continue
            taken = self.said(model, evolve(base, n=most), LAX)
            more = self.said(model, evolve(base, n=most + 1), LAX)
            if isinstance(taken, ImageGenError):
                wrong.append(f"{model}: it makes {most} a call, but refuses n={most}: {taken}")
            if not isinstance(more, ImageGenError) or more.field != "n":
                wrong.append(f"{model}: n={most + 1} is not refused with field='n'")
        require_none(
            wrong, "A client splits by images_per_call(); Draft.check_count refuses what is more:"
        )

    def test_adjusting_refuses_nothing_that_can_be_left_out(self) -> None:
        """With fit="nearest" and unsupported="adjust", what can be left out is not refused."""
        wrong = []
        for model, (name, changes) in product(self.asked_models, ADJUSTABLE.items()):
            base = self.request_for(model)
            for change in changes:
                said = self.said(model, evolve(base, **_more(base, change)), LAX)
                if isinstance(said, UnsupportedFeatureError) and said.field == name:
                    wrong.append(f"{model}: {name}: {said}")
        require_none(
            wrong,
            "Draft.unsupported and Draft.unfit refuse only where the terms are strict; raise "
            "nothing yourself for what can be left out:",
        )

    def test_strict_terms_leave_nothing_out(self) -> None:
        """With unsupported="error" nothing is ignored, with fit="strict" no shape is replaced."""
        wrong = []
        for model, (name, changes) in product(self.asked_models, ADJUSTABLE.items()):
            for change in changes:
                request = evolve(self.request_for(model), **change)
                said = self.said(model, request, Terms())
                if isinstance(said, Translation):
                    wrong += [
                        f"{model}: {change}: {notice.message}"
                        for notice in said.notices
                        if notice.field == name and _departs(notice.kind, name)
                    ]
        require_none(wrong, "Strict terms refuse; a notice is not enough:")

    def test_bytes_can_be_asked_for_wherever_urls_can(self) -> None:
        """A model that takes output="url" takes output="bytes": the client fetches if need be."""
        wrong = []
        for model in self.asked_models:
            base = self.request_for(model)
            urls, data = (
                self.said(model, evolve(base, output=output), LAX) for output in ("url", "bytes")
            )
            if isinstance(urls, Translation) and isinstance(data, ImageGenError):
                wrong.append(f"{model}: {data}")
        require_none(wrong, 'Do not refuse output="bytes"; deliver URLs, and they are fetched:')

    def test_the_callers_own_fields_come_last(self) -> None:
        """provider_options replace what the translation wrote, or are refused by name."""
        wrong = []
        for model in self.asked_models:
            request = self._rich(model)
            base = self.said(model, request, LAX)
            if isinstance(base, ImageGenError):
                continue
            for name in _names(base.body):
                said = self._with_option(model, request, name)
                if isinstance(said, ImageGenError):
                    if said.field != "provider_options":
                        wrong.append(f"{model}: {name} is refused with field={said.field!r}")
                elif OPTION not in _found(said.body, name):
                    wrong.append(f"{model}: {name} is sent as {brief(_found(said.body, name))}")
        require_none(wrong, "Draft.add_options comes last; the caller's fields replace yours:")

    def test_what_prices_and_results_rest_on_cannot_be_replaced(self) -> None:
        """provider_options may not set what carries the prompt, n, the seed or the model."""
        wrong = []
        for model in self.asked_models:
            request = evolve(self.request_for(model), seed=7)
            said = self.said(model, request, LAX)
            if isinstance(said, ImageGenError):
                continue
            for path in self._reserved(model, request):
                before = _at(plain(said.body), path)
                for name in {step for step in path if isinstance(step, str)}:
                    other = self._with_option(model, request, name)
                    if isinstance(other, Translation) and _at(plain(other.body), path) != before:
                        wrong.append(f"{model}: provider_options may set {name!r}")
        require_none(
            sorted(set(wrong)),
            "Give these names to Draft.add_options as reserved: they would belie the result:",
        )

    def _reserved(self, model: str, request: ImageRequest) -> set[Path]:
        """Places in the body that follow the prompt, n or the seed, or name the model."""
        paths, pairs = set[Path](), (("prompt", "a", "b"), ("n", 1, 2), ("seed", 7, 8))
        full = self.backend.model_id(model, request)
        for name, *values in pairs:
            changes: list[dict[str, Any]] = [{name: value} for value in values]
            both = [self.said(model, evolve(request, **change), LAX) for change in changes]
            bodies = [plain(said.body) for said in both if isinstance(said, Translation)]
            if len(bodies) == 2:
                leaves = list(_leaves(bodies[0]))
                paths |= {path for path, value in leaves if _at(bodies[1], path) != value}
                paths |= {path for path, value in leaves if value == full}
        return paths

    def _with_option(
        self, model: str, request: ImageRequest, name: str
    ) -> Translation | ImageGenError:
        return self.said(model, self._adding(request, {name: OPTION}), LAX)

    def _adding(self, request: ImageRequest, options: Mapping[str, Any]) -> ImageRequest:
        """The request with more of the caller's own fields for this provider."""
        own = self.backend.name
        merged = {**request.provider_options.get(own, {}), **options}
        return evolve(request, provider_options={**request.provider_options, own: merged})

    def _rich(self, model: str) -> ImageRequest:
        """A request with something in every field."""
        base = self.request_for(model)
        shaped = base.size or base.aspect_ratio
        request = evolve(
            base,
            seed=7,
            enhance_prompt=True,
            references=base.references or (by_bytes("a", "character"),),
            size=base.size if shaped else Size(1024, 1024),
        )
        return self._adding(request, {"x_of_the_kit": {"list": [1, {"a": 2}]}})


def _more(base: ImageRequest, change: Mapping[str, Any]) -> Mapping[str, Any]:
    """The *change*; what it refers to comes after the references that the model needs."""
    if "references" not in change:
        return change
    return {"references": (*base.references, *change["references"])}


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What *value* holds at its ends, by the way to it."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _at(value: Any, path: Path) -> Any:
    """What *value* holds at *path*; None where there is no such place."""
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return value


def _names(body: Mapping[str, Any]) -> list[str]:
    """Names of the fields of *body* that hold a value, and of those around them."""
    return sorted({step for path, _ in _leaves(dict(body)) for step in path if type(step) is str})


def _found(value: Any, name: str) -> list[Any]:
    """All that *value* holds under *name*, however deep."""
    inner: list[Any] = []
    if isinstance(value, Mapping):
        inner = [value[name]] if name in value else []
    children = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, (Mapping, list)):
        inner += [found for child in children for found in _found(child, name)]
    return inner


def _departs(kind: str, name: str) -> bool:
    return kind == "ignored" or (kind == "adjusted" and name in ("size", "aspect_ratio"))


def _spoil(value: Any) -> None:
    """Change whatever can be changed in *value*, as a careless caller might."""
    if isinstance(value, dict):
        for item in value.values():
            _spoil(item)
        value["spoilt"] = True
    elif isinstance(value, list):
        for item in value:
            _spoil(item)
        value.append("spoilt")
