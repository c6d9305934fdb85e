"""Reading MiniMax's answers: their codes, and fields whose form varies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from imagegen.backends.reading import integer, member
from imagegen.errors import (
    AuthenticationError,
    Charged,
    ContentPolicyError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    RateLimitError,
    SubmissionUnknownError,
)

CODES: Mapping[int, tuple[type[ImageGenError], Charged]] = {
    1000: (SubmissionUnknownError, "unknown"),
    1001: (SubmissionUnknownError, "unknown"),
    1002: (RateLimitError, "no"),
    1004: (AuthenticationError, "no"),
    1008: (InsufficientBalanceError, "no"),
    1013: (SubmissionUnknownError, "unknown"),
    1024: (SubmissionUnknownError, "unknown"),
    1026: (ContentPolicyError, "no"),
    1027: (ContentPolicyError, "unknown"),
    1028: (InsufficientBalanceError, "no"),
    1030: (InsufficientBalanceError, "no"),
    1033: (SubmissionUnknownError, "unknown"),
    1039: (RateLimitError, "no"),
    1041: (RateLimitError, "no"),
    1042: (InvalidRequestError, "no"),
    1043: (InvalidRequestError, "no"),
    1044: (InvalidRequestError, "no"),
    2013: (InvalidRequestError, "no"),
    2037: (InvalidRequestError, "no"),
    2038: (AuthenticationError, "no"),
    2039: (InvalidRequestError, "no"),
    2042: (AuthenticationError, "no"),
    2045: (RateLimitError, "no"),
    2048: (InvalidRequestError, "no"),
    2049: (AuthenticationError, "no"),
    2054: (InvalidRequestError, "no"),
    2056: (InsufficientBalanceError, "no"),
    2061: (AuthenticationError, "no"),
    20132: (InvalidRequestError, "no"),
}
"""`base_resp.status_code` to the error raised and whether it was charged.

From the error code page and the codes seen live. "unknown" stands where the provider had begun
to work and does not say what it bills; so is a code that is not listed.
"""


@frozen
class ImageReply:
    """The reply. The form of its fields varies, so they are read by hand.

    One odd field must not cost the pictures beside it: they are paid for.
    """

    base_resp: Any = None
    id: Any = None
    data: Any = None
    metadata: Any = None

    @property
    def code(self) -> int | None:
        """`base_resp.status_code`: 0 is success; None where there is none to read."""
        return integer(member(self.base_resp, "status_code"))

    @property
    def words(self) -> str:
        """`base_resp.status_msg`."""
        words = member(self.base_resp, "status_msg")
        return words if isinstance(words, str) and words else "no reason given"

    def pictures(self, *, inline: bool) -> list[Any]:
        """URLs or base64, as asked; the other, if that is what came."""
        names = ("image_base64", "image_urls") if inline else ("image_urls", "image_base64")
        arrays = (member(self.data, name) for name in names)
        return next((array for array in arrays if isinstance(array, list) and array), [])
