"""What the command's exit status says; an interface: docs/guides/command.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from imagegen.errors import (
    AllRoutesFailedError,
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    RateLimitError,
    SubmissionUnknownError,
    UnsupportedFeatureError,
)

OK = 0
FAILED = 1
WRONG = 2
PARTIAL = 10
INTERRUPTED = 130

_CODES: dict[type[ImageGenError], int] = {
    ConfigurationError: WRONG,
    InvalidRequestError: WRONG,
    UnsupportedFeatureError: WRONG,
    AuthenticationError: 3,
    InsufficientBalanceError: 4,
    ContentPolicyError: 5,
    RateLimitError: 6,
    DeadlineExceededError: 7,
    SubmissionUnknownError: 8,
    BudgetExceededError: 9,
}


def exit_code(error: ImageGenError) -> int:
    """Return the status for *error*; 1 where no other is documented.

    For a route, it is that of the gravest.
    """
    if isinstance(error, AllRoutesFailedError):
        return gravest(cast("Sequence[ImageGenError]", error.exceptions))
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)


def gravest(errors: Sequence[ImageGenError]) -> int:
    """Return the status for several: of the last that is unknown, else of the last."""
    unknown = [error for error in errors if error.charged == "unknown"]
    return exit_code((unknown or errors)[-1])
