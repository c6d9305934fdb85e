"""What the parts of an order brought, joined to one Generation, one Job or one error. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar, cast

from attrs import evolve

from imagegen import errors
from imagegen.errors import BackendError, ImageGenError, JobFailedError
from imagegen.pictures.download import is_about_fetching, not_fetched
from imagegen.pictures.fidelity import compared
from imagegen.purchase.outcomes import ending
from imagegen.purchase.plans import Outcome
from imagegen.request import ImageRequest
from imagegen.result import (
    Cost,
    GeneratedImage,
    Generation,
    ImageFailure,
    Job,
    Notice,
    was_sent,
)

T = TypeVar("T")


def joined(parts: Sequence[Generation], request: ImageRequest) -> Generation:
    """One Generation from those of the parts, in order."""
    if len(parts) == 1:
        whole = parts[0]
        return whole if whole.request is request else evolve(whole, request=request)
    starts = [sum(part.request.n for part in parts[:k]) for k in range(len(parts))]
    jobs = [part.job for part in parts if part.job]
    return evolve(
        parts[0],
        images=_chained(part.images for part in parts),
        failures=_chained(map(_placed, parts, starts)),
        cost=Cost.total(part.cost for part in parts),
        request=request,
        attempts=_chained(part.attempts for part in parts),
        notices=split_notices(
            [part.notices for part in parts], [part.request for part in parts], request
        ),
        job=composite(jobs, request) if jobs else None,
        raw=_chained(part.raw for part in parts),
    )


def fetched(generation: Generation, outcomes: Sequence[Outcome[GeneratedImage]]) -> Generation:
    """Put the bytes that came into *generation*; a picture without keeps its URL, with a notice."""
    pairs = list(zip(generation.images, outcomes, strict=True))
    missing = [not_fetched(i, o.error) for i, (_, o) in enumerate(pairs) if o.error]
    others = (notice for notice in generation.notices if not is_about_fetching(notice))
    complete = evolve(
        generation,
        images=tuple(outcome.value or image for image, outcome in pairs),
        notices=(*others, *missing),
    )
    return compared(complete)


def composite(jobs: Sequence[Job], request: ImageRequest) -> Job:
    """One job that stands for several."""
    if len(jobs) == 1:
        return jobs[0]
    ids = ",".join(job.id for job in jobs if job.id)
    return evolve(jobs[0], id=ids, request=request, settled=None, parts=tuple(jobs))


def _chained(tuples: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(chain.from_iterable(tuples))


def _placed(part: Generation, start: int) -> tuple[ImageFailure, ...]:
    """The part's failures, counted from the beginning of the whole request."""
    return tuple(
        evolve(f, index=None if f.index is None else f.index + start) for f in part.failures
    )


def split_notices(
    told: Iterable[tuple[Notice, ...]], parts: Sequence[ImageRequest], request: ImageRequest
) -> tuple[Notice, ...]:
    """Each notice of the parts once, and how seeds were counted on."""
    own = dict.fromkeys(_chained(told))
    if len(parts) > 1 and request.seed is not None and was_sent("seed", own):
        seeds = ", ".join(str(part.seed) for part in parts)
        own[Notice("adjusted", "seed", f"split into {len(parts)} calls with seeds {seeds}")] = None
    return tuple(own)


def failure_of(error: ImageGenError, index: int) -> ImageFailure:
    """Say of one picture that *error* is why it is missing."""
    return ImageFailure(
        error=type(error).__name__,
        message=error.message,
        index=index,
        charged=error.charged,
        code=error.code,
        request_id=error.request_id,
        job=error.job,
    )


def gravest_of(outcomes: Sequence[Outcome[Any]]) -> ImageGenError:
    """The error to raise when nothing came: one about spent money first, with every job."""
    several = errors_in(outcomes)

    def gravity(error: ImageGenError) -> tuple[int, bool]:
        return {"ambiguous": 2, "accepted": 1}.get(ending(error), 0), error.charged != "no"

    gravest = max(several, key=gravity)
    jobs = [e.job for e in several if e.job]
    if jobs:
        whole = evolve(jobs[0].request, n=sum(job.request.n for job in jobs))
        gravest.job = composite(jobs, whole)
    gravest.attempts = _chained(error.attempts for error in several)
    for other in several:
        if other is not gravest:
            gravest.add_note(f"another part failed too: {other}")
    return gravest


def brought(outcome: Outcome[Any]) -> bool:
    """Tell whether a part has a job, or pictures, to show."""
    value = outcome.value
    return bool(value.images) if isinstance(value, Generation) else value is not None


def errors_in(outcomes: Sequence[Outcome[Any]]) -> list[ImageGenError]:
    """Why each part brought no picture, if none did."""
    return [o.error or _error_in(cast("Generation", o.value)) for o in outcomes]


def _error_in(settled: Generation) -> ImageGenError:
    """The error that a part was settled with, when its job was submitted."""
    if not settled.failures:
        return JobFailedError("nothing came of it", provider=settled.provider, model=settled.model)
    failure = settled.failures[0]
    kind = getattr(errors, failure.error, None)
    if not (isinstance(kind, type) and issubclass(kind, BackendError)):
        kind = BackendError
    error: ImageGenError = kind(
        failure.message,
        provider=settled.provider,
        model=settled.model,
        job=failure.job,
        charged=failure.charged,
        request_id=failure.request_id,
        code=failure.code,
    )
    error.attempts = settled.attempts
    return error
