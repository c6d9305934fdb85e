"""When a submission that was not accepted is made again, and how long to wait first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Attribute, field, frozen

from imagegen.errors import (
    ConfigurationError,
    ImageGenError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
)
from imagegen.purchase.outcomes import repeatable
from imagegen.redaction import brief

FIRST_WAIT: Mapping[type[ImageGenError], float] = {
    RateLimitError: 2.0,
    ProviderUnavailableError: 1.0,
    TransportError: 0.5,
}
"""Seconds at most before the first repetition; each further one may take twice as long."""


def _at_least_zero(_: object, attribute: Attribute[Any], value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 86_400:
        raise ConfigurationError(
            f"Retries: {attribute.name} must be 0–86400, not {brief(value)}", field=attribute.name
        )


@frozen(kw_only=True)
class Retries:
    """How often a submission is made again after the provider provably did not accept it.

    Any other is never repeated. Waits grow exponentially with full jitter, unless the provider
    names one; where the time left is shorter, the error is raised at once.

    Attributes:
        rate_limited: repetitions after RateLimitError.
        unavailable: repetitions after the provider's own word that it cannot serve now.
        unreachable: repetitions after failures to connect.
        longest: seconds that no wait exceeds; a provider that asks for more is not asked again.
    """

    rate_limited: int = field(default=5, validator=_at_least_zero)
    unavailable: int = field(default=2, validator=_at_least_zero)
    unreachable: int = field(default=2, validator=_at_least_zero)
    longest: float = field(default=60.0, validator=_at_least_zero)

    def wait(self, error: ImageGenError, nth: int, chance: Callable[[], float]) -> float | None:
        """Return the seconds before the *nth* repetition; None if there is to be none.

        *chance* gives numbers from 0 to 1.
        """
        if not repeatable(error) or nth > self._budget(error):
            return None
        asked: float | None = getattr(error, "retry_after", None)
        if asked is not None:
            jittered = asked + chance() * FIRST_WAIT[type(error)]
            return min(jittered, self.longest) if asked <= self.longest else None
        return chance() * min(FIRST_WAIT[type(error)] * 2.0 ** min(nth - 1, 30), self.longest)

    def _budget(self, error: ImageGenError) -> int:
        budgets: Mapping[type[ImageGenError], int] = {
            RateLimitError: self.rate_limited,
            ProviderUnavailableError: self.unavailable,
            TransportError: self.unreachable,
        }
        return budgets[type(error)]


NEVER = Retries(rate_limited=0, unavailable=0, unreachable=0)
