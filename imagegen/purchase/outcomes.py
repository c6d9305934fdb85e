"""How a submission ended, as far as money goes: what repeats or replaces one asks here.

An error's class and `charged` decide; the backends derive both from what was written to the wire
and what the reply says. What the table does not list is ambiguous: neither repeated nor replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from imagegen.backends.carrying import carried, carry
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    BudgetExceededError,
    Charged,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.redaction import prompts_hidden

Ending = Literal["not accepted", "definite", "accepted", "ambiguous"]
"""``"not accepted"``: provably no purchase, and the same request may be accepted later.
``"definite"``: the provider, or we, said no; or a job ended without pictures.
``"accepted"``: a job goes on and is paid for. ``"ambiguous"``: nobody knows."""

ENDINGS: Mapping[tuple[type[ImageGenError], Charged], Ending] = {
    (DeadlineExceededError, "no"): "not accepted",
    (RateLimitError, "no"): "not accepted",
    (TransportError, "no"): "not accepted",
    (AuthenticationError, "no"): "definite",
    (BackendError, "no"): "definite",
    (BudgetExceededError, "no"): "definite",
    (ConfigurationError, "no"): "definite",
    (ContentPolicyError, "no"): "definite",
    (ContentPolicyError, "unknown"): "definite",
    (ContentPolicyError, "yes"): "definite",
    (InsufficientBalanceError, "no"): "definite",
    (InvalidRequestError, "no"): "definite",
    (JobFailedError, "no"): "definite",
    (JobFailedError, "unknown"): "definite",
    (MalformedReplyError, "yes"): "definite",
    (ProviderUnavailableError, "no"): "definite",
    (UnsupportedFeatureError, "no"): "definite",
}

REPEATABLE: frozenset[type[ImageGenError]] = frozenset(
    {ProviderUnavailableError, RateLimitError, TransportError}
)
"""What passes by itself; repeated only if it also ended without a purchase."""


def ending(error: ImageGenError) -> Ending:
    """Tell how the submission, or the job, that *error* is about ended."""
    if error.ongoing:
        return "accepted"
    known = ENDINGS.get((type(error), error.charged), "ambiguous")
    if error.job is None:
        return "ambiguous" if getattr(error, "sent", False) else known
    if known != "definite":  # a job refutes that nothing was accepted
        return "accepted" if error.charged == "yes" else "ambiguous"
    return known


def is_open(error: ImageGenError) -> bool:
    """Tell whether what *error* is about may still be made, and billed."""
    return ending(error) in ("ambiguous", "accepted")


def repeatable(error: ImageGenError) -> bool:
    """Tell whether the same submission may be made again: it was provably not accepted."""
    unspent = error.charged == "no" and error.job is None
    return type(error) in REPEATABLE and unspent and ending(error) in ("not accepted", "definite")


def unexpected(bug: Exception) -> BackendError:
    """Put an exception that a backend should not raise into the tree, with its notes and job.

    Where prompts are hidden, its words are too: they may quote anything.
    """
    words, job = "" if prompts_hidden() else f": {bug}", carried(bug)
    error = BackendError(f"{type(bug).__name__}{words}", charged="unknown")
    if job is not None:
        carry(job, error)
    error.__cause__ = None if prompts_hidden() else bug
    for note in getattr(bug, "__notes__", ()):
        error.add_note(note)
    return error
