"""What a model can do, found out by asking its backend's translation.

No provider's rules are written down here: a small request for each feature is translated, which
is pure and free, and what is not refused is a capability. So this cannot disagree with what is
sent. Of what exists only in a list (ratios, sizes), the usual ones are tried.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Any

from attrs import evolve, frozen

from imagegen.backends.base import Backend, Terms, Translation
from imagegen.errors import ImageGenError
from imagegen.pricing import Price
from imagegen.request import LONGEST_SIDE, ImageRequest, ReferenceImage, Size

RATIOS = (
    *("1:1", "16:9", "4:3", "3:2", "2:3", "3:4", "9:16", "21:9", "9:21", "4:5", "5:4"),
    *("2:1", "1:2", "3:1", "1:3", "4:1", "1:4", "8:1", "1:8", "20:9", "9:20"),
)
"""The ratios that are tried."""

SIZES = tuple(
    Size.parse(text)
    for text in (
        *("1024x1024", "1536x1536", "1280x720", "720x1280", "1152x864", "864x1152"),
        *("1248x832", "832x1248", "1024x1536", "1536x1024", "1024x1792", "1792x1024"),
        *("1344x768", "768x1344", "1440x720", "720x1440", "1696x960", "960x1696"),
        *("1632x1088", "1088x1632", "1536x1152", "1152x1536", "2048x1152", "1152x2048"),
        *("2048x1536", "1536x2048", "2016x1344", "1344x2016", "512x512", "2048x2048"),
    )
)
"""The sizes that are tried where pixels are not free."""

MOST_REFERENCES = 32
"""More are not tried."""

_ODD_SIDES = (*((side, 8) for side in (1000, 2000, 600, 4000)), (576, 64), (1088, 64), (1984, 64))
"""Sides that are in nobody's list, and how much longer the other is."""
_STEPS = (1, 2, 4, 8, 16, 32, 64)
_NEEDED = re.compile(r"needs '([A-Za-z_]{1,60})'")
_TERMS = Terms(unsupported="adjust")
_URL = "https://example.com/picture.jpg"
_SOURCE = ReferenceImage(_URL, role="source")
_CHARACTER = ReferenceImage(_URL, role="character")


@frozen(kw_only=True)
class FreeSizes:
    """Any width and height, in pixels, from `shortest` to `longest`, divisible by `step`."""

    shortest: int
    longest: int
    step: int

    def __str__(self) -> str:
        if (self.shortest, self.longest, self.step) == (1, LONGEST_SIDE, 1):
            return "any"
        bounds = f"{self.shortest}–{self.longest}"
        return bounds if self.step == 1 else f"{bounds} by {self.step}"


@frozen(kw_only=True)
class Capabilities:
    """What one model can be asked for, and its price.

    Attributes:
        provider: the backend's name.
        model: the provider's model id.
        most_images: pictures that one submission can ask for; a client splits what is more.
        fewest_images: the least that it can ask for.
        prompt: whether it reads the prompt.
        free_sizes: the pixels that can be asked for freely; None where they cannot.
        sizes: of the usual sizes those that can be asked for, where they are not free.
        ratios: of the usual aspect ratios those that can be asked for.
        seed: whether a seed can be given.
        enhance_prompt: whether the provider rewrites prompts if it is asked to.
        character: whether a reference can be a character.
        source: whether a reference can be a picture to change.
        most_references: pictures of one kind that can be given, up to `MOST_REFERENCES`.
        needs_reference: whether nothing is made without one.
        inline: whether the answer itself can hold the bytes.
        needs: inputs of its own that `provider_options` must hold.
        known: False if the provider may drop what it is sent, because the model is not listed.
        price: of one image or call, at the fewest images; None where unknown.
    """

    provider: str
    model: str
    most_images: int
    fewest_images: int
    prompt: bool
    free_sizes: FreeSizes | None
    sizes: tuple[Size, ...]
    ratios: tuple[str, ...]
    seed: bool
    enhance_prompt: bool
    character: bool
    source: bool
    most_references: int
    needs_reference: bool
    inline: bool
    needs: tuple[str, ...]
    known: bool
    price: Price | None = None


def capabilities(backend: Backend, model: str) -> Capabilities:
    """What *model* of *backend* can do.

    Raises:
        ImageGenError: the backend refuses the model's id, or every request that is tried.
    """
    # The key and prices change nothing about a translation, so they are no part of the memory's.
    bare = evolve(backend, api_key=None, prices={})
    key = (type(backend), repr(bare), model)
    if key not in _known:
        _known[key] = _Probe(bare, model).capabilities()
    found, request = _known[key]
    return evolve(found, price=backend.price(model, request))


_known = dict[tuple[type[Backend], str, str], tuple[Capabilities, ImageRequest]]()


class _Probe:
    """Small requests to one model, all like the plainest that it takes."""

    def __init__(self, backend: Backend, model: str) -> None:
        self._backend = backend
        self._model = model
        self._base = ImageRequest("a fox")
        self._begin()

    def _begin(self) -> None:
        """Find the plainest request: with more of what its refusals ask for, until there is none.

        Raises:
            ImageGenError: no request that we know to make is accepted.
        """
        most = self._backend.images_per_call(self._model, self._base)
        untried = {**_CHANGES, "n": [{"n": n} for n in range(2, most + 1)]}
        while refusal := self._refusal(self._base):
            changes = self._with_option(refusal) or untried.pop(refusal.field, [])
            requests = (evolve(self._base, **change) for change in changes)
            better = (request for request in requests if self._gets_further(request, refusal))
            found = next(better, None)
            if found is None:
                raise refusal
            self._base = found

    def _with_option(self, refusal: ImageGenError) -> list[dict[str, Any]]:
        """The change that gives an input of the provider's own that a refusal names."""
        name = _NEEDED.search(refusal.message) if refusal.field == "provider_options" else None
        if name is None:
            return []
        given = self._base.provider_options.get(self._backend.name, {})
        return [{"provider_options": {self._backend.name: {**given, name[1]: "?"}}}]

    def _gets_further(self, request: ImageRequest, refusal: ImageGenError) -> bool:
        """Tell whether that field is no longer at fault; of options, the next one may be."""
        again = self._refusal(request)
        if again is None or again.field != refusal.field:
            return True
        return again.field == "provider_options" and again.message != refusal.message

    def _refusal(self, request: ImageRequest) -> ImageGenError | None:
        try:
            self._translation(request)
        except ImageGenError as error:
            return error
        return None

    def _translation(self, request: ImageRequest) -> Translation:
        return self._backend.translate(request, self._model, _TERMS)

    def takes(self, **change: Any) -> bool:
        """Tell whether a request with *change* is translated just as it is asked for."""
        try:
            notices = self._translation(evolve(self._base, **change)).notices
        except ImageGenError:
            return False
        return not any(n.field in change and n.kind in ("ignored", "adjusted") for n in notices)

    def capabilities(self) -> tuple[Capabilities, ImageRequest]:
        """What the model can do, and the plainest request."""
        free = self._free_sizes()
        kinds = [kind for kind in (_SOURCE, _CHARACTER) if self.takes(references=(kind,))]
        found = Capabilities(
            provider=self._backend.name,
            model=self._model,
            most_images=self._backend.images_per_call(self._model, self._base),
            fewest_images=self._base.n,
            prompt=self.takes(prompt="a fox"),
            free_sizes=free,
            sizes=() if free else tuple(size for size in SIZES if self._takes_size(size)),
            ratios=tuple(ratio for ratio in RATIOS if self.takes(aspect_ratio=ratio, size=None)),
            seed=self.takes(seed=7),
            enhance_prompt=self.takes(enhance_prompt=True),
            character=_CHARACTER in kinds,
            source=_SOURCE in kinds,
            most_references=self._most_references(kinds[0]) if kinds else 0,
            needs_reference=bool(self._base.references),
            inline=self._is_inline(),
            needs=tuple(self._base.provider_options.get(self._backend.name, ())),
            known=self._is_known(),
        )
        return found, self._base

    def _takes_size(self, size: Size) -> bool:
        return self.takes(size=size, aspect_ratio=None)

    def _free_sizes(self) -> FreeSizes | None:
        """Find the bounds by halving; None where the sides are not free of each other."""
        tried = (side for side, more in _ODD_SIDES if self._takes_size(Size(side, side + more)))
        inside = next(tried, None)
        if inside is None:
            return None
        step = next(step for step in _STEPS if self._takes_size(Size(inside + step, inside)))

        def outside(times: int) -> bool:
            return not self._takes_size(Size(times * step, times * step))

        below, above = range(inside // step, 0, -1), range(inside // step, LONGEST_SIDE // step + 1)
        shortest = step * below[bisect_left(below, x=True, key=outside) - 1]
        longest = step * above[bisect_left(above, x=True, key=outside) - 1]
        if not self._takes_size(Size(longest, shortest)):
            return None
        return FreeSizes(shortest=shortest, longest=longest, step=step)

    def _most_references(self, kind: ReferenceImage) -> int:
        counts = range(1, MOST_REFERENCES + 1)
        return bisect_left(counts, x=True, key=lambda n: not self.takes(references=(kind,) * n))

    def _is_inline(self) -> bool:
        """Tell whether the answer holds bytes if they are asked for; else they would be fetched.

        Asking for them changes what is sent, or not asking for them is departed from.
        """
        inline = evolve(self._base, output="bytes")
        if self._refusal(inline):
            return False
        told = self._translation(self._base)
        anyway = any(notice.field == "output" for notice in told.notices)
        return anyway or self._translation(inline).body != told.body

    def _is_known(self) -> bool:
        notices = self._translation(self._base).notices
        return not any(n.kind == "unverified" and n.field == "model" for n in notices)


_CHANGES: dict[str | None, list[dict[str, Any]]] = {
    "references": [{"references": (_SOURCE,)}, {"references": (_CHARACTER,)}],
    "aspect_ratio": [{"aspect_ratio": ratio} for ratio in RATIOS],
    "size": [{"size": size} for size in SIZES],
}
"""What may make a request acceptable that is refused for a field."""
