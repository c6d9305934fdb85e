"""A rule about each place of the replies that were given: anything may stand there, or nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import evolve

from imagegen.flow import Reply
from imagegen.testing.conformance.anything import AnythingRules
from imagegen.testing.conformance.replies import places, read
from imagegen.testing.conformance.subject import require

STRANGERS: tuple[Any, ...] = (None, 5, "x", [], {}, True, -1, 10**30)
"""What may stand in any place of a reply; besides, it may be missing."""


class PlaceRules(AnythingRules):
    """Each value of each reply is replaced, one at a time; the cases are the same in every run."""

    def test_no_place_of_a_reply_is_trusted(self) -> None:
        """Any value of a given reply may be missing, null or of another type."""
        known = set[tuple[int, bytes]]()
        for given, model, n in self._plays():
            base = self.request_for(model)
            request = base if n is None else evolve(base, n=n)
            for index, answer in enumerate(given):
                if (index, answer.body) in known:
                    continue
                known.add((index, answer.body))
                for words, other in _altered(answer):
                    replies = [*given[:index], other, *given[index + 1 :]]
                    trial = self.submitted(replies, n=n, model=model)
                    case = f"With {words} in reply {index + 1}, {answer.body[:120]!r}"
                    self._check(trial, request, case)
                    require(len(trial.paid) == 1, f"{case}: it makes {len(trial.paid)} paid calls")

    def _plays(self) -> Iterator[tuple[list[Reply], str, int | None]]:
        """The replies that were given, the model that they are of, and how many pictures."""
        if self.success:
            yield list(self.success), self.model, None
        most = self.backend.images_per_call
        several = (m for m in self.asked_models if most(m, self.request_for(m)) > 1)
        pair = next(several, None) if self.partial else None
        if pair is not None:
            yield list(self.partial or ()), pair, 2
        for given, _ in self.refusals:
            yield ([given] if isinstance(given, Reply) else list(given)), self.model, None


def _altered(answer: Reply) -> Iterator[tuple[str, Reply]]:
    """The *answer* with one value replaced or removed, in words and as it is."""
    value = read(answer)
    for path in places(value) if value is not None else ():
        where = "".join(f"[{step!r}]" for step in path) or "the whole"
        for stranger in STRANGERS:
            yield f"{stranger!r} for {where}", evolve(answer, body=_put(value, path, [stranger]))
        if path:
            yield f"{where} missing", evolve(answer, body=_put(value, path, []))


def _put(value: Any, path: Sequence[Any], new: list[Any]) -> bytes:
    """JSON of *value* with the one of *new* at *path*; without that place if there is none."""
    whole = [copy.deepcopy(value)]
    holder: Any = whole
    *way, last = (0, *path)
    for step in way:
        holder = holder[step]
    if new:
        holder[last] = new[0]
    else:
        del holder[last]
    return json.dumps(whole[0]).encode()
