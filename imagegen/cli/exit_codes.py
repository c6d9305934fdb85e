"""What the command's exit status says; an interface, documented in docs/cli.md."""

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
PARTIAL = 10
INTERRUPTED = 130

_CODES: dict[type[ImageGenError], int] = {
    ConfigurationError: 2,
    InvalidRequestError: 2,
    UnsupportedFeatureError: 2,
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

    For a route, it is that of the gravest: the unknown, else of the model that was tried last.
    """
    if isinstance(error, AllRoutesFailedError):
        several = cast("Sequence[ImageGenError]", error.exceptions)
        unknown = [each for each in several if each.charged == "unknown"]
        return exit_code((unknown or several)[-1])
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)
