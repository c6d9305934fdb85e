"""What happens while a call is under way, told to the `on_event` function of a client.

Events are plain values. They come from whichever thread or task does the work. An exception
that `on_event` raises is logged, and changes nothing: paid work goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from imagegen.errors import ImageGenError
from imagegen.redaction import shown
from imagegen.result import Generation, Job


@frozen
class Submitting:
    """A paid submission for *n* pictures is about to leave."""

    provider: str
    model: str
    n: int


@frozen
class Submitted:
    """The provider accepted a submission: from here on it may be billed.

    The job of a provider that answers at once is already settled.
    """

    job: Job


@frozen
class Polled:
    """The provider told the state of a job, in its own word, such as ``"processing"``."""

    job: Job
    status: str


@frozen
class Retried:
    """A submission was provably not accepted, and is made again after *wait* seconds."""

    provider: str
    model: str
    error: ImageGenError
    wait: float


@frozen
class FellBack:
    """A route turns from one model to the next, because of *error*."""

    model: str
    to: str
    error: ImageGenError


@frozen
class Failed:
    """A submission, or the job that came of it, ended in an error that is not retried."""

    provider: str
    model: str
    error: ImageGenError


@frozen
class Settled:
    """One submission has its outcome."""

    generation: Generation


Event = Submitting | Submitted | Polled | Retried | FellBack | Failed | Settled

logger = logging.getLogger("imagegen")
logger.addHandler(logging.NullHandler())  # unless the application wants to see it


_LEVELS: Mapping[type, int] = {
    Submitting: logging.DEBUG,
    Submitted: logging.INFO,
    Polled: logging.DEBUG,
    Retried: logging.WARNING,
    FellBack: logging.WARNING,
    Failed: logging.INFO,
    Settled: logging.INFO,
}


def log(event: Event) -> None:
    """Log *event* under ``imagegen``: who, what and which job, but no prompt, URL or picture."""
    kinds = type(event).__mro__  # a backend of somebody else's may have its own
    level = next((_LEVELS[kind] for kind in kinds if kind in _LEVELS), None)
    if level is not None and logger.isEnabledFor(level):
        logger.log(level, *_words(event))


def _words(event: Event) -> tuple[Any, ...]:  # noqa: PLR0911 - one for each event
    match event:
        case Submitting(provider, model, n):
            return "%s:%s: submitting a request for %d pictures", provider, model, n
        case Submitted(job):
            named = shown(job.id, 200)
            return "%s:%s: accepted as job %s", job.provider, job.model, named
        case Polled(job, status):
            named = shown(job.id, 200)
            return "%s:%s: job %s is %s", job.provider, job.model, named, shown(status, 40)
        case Retried(provider, model, error, wait):
            words = "%s:%s: not accepted (%s); submitted again after %.1f s"
            return words, provider, model, type(error).__name__, wait
        case FellBack(model, to, error):
            why = type(error).__name__
            return "%s did not make it (%s); turning to %s", model, why, to
        case Failed(provider, model, error):
            words = "%s:%s: failed with %s, charged: %s"
            return words, provider, model, type(error).__name__, error.charged
        case Settled(generation):
            came, words = len(generation.images), "%s:%s: settled with %d pictures"
            return words, generation.provider, generation.model, came
