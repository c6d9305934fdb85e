"""What a client's callers may give, checked."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from imagegen.defaults import LONGEST_TIMEOUT
from imagegen.errors import ConfigurationError, InvalidRequestError
from imagegen.redaction import brief, prompts_hidden
from imagegen.request import ImageRequest

if TYPE_CHECKING:
    from imagegen.ledger import Budget, Ledger
    from imagegen.ledger.ledger import Collect

T = TypeVar("T")

Money: TypeAlias = Decimal | str | float


def request_of(request: ImageRequest | str) -> ImageRequest:
    """Take a request, or a prompt for one."""
    wanted = ImageRequest(request) if isinstance(request, str) else request
    if not isinstance(wanted, ImageRequest):
        raise InvalidRequestError(
            f"a request is an ImageRequest or a prompt, not {type(request).__name__}"
        )
    return wanted


def budget_of(given: Budget | Money | None) -> Budget | None:
    """Take a budget, or its amount in USD."""
    if given is None:
        return None
    from imagegen.ledger import Budget  # noqa: PLC0415 - SQLite is loaded only for a ledger

    return given if isinstance(given, Budget) else Budget(amount=given)


def opened_ledger(place: str | Path, *, prompts: bool, collect: Collect = "returned") -> Ledger:
    """Open the ledger at *place*; it keeps *prompts* unless they are hidden everywhere."""
    from imagegen.ledger import Ledger  # noqa: PLC0415 - SQLite is loaded only for a ledger

    return Ledger(place, collect=collect, prompts=prompts and not prompts_hidden())


def ledger_for(ledger: Ledger | None, budget: Budget | Money | None) -> tuple[Ledger | None, bool]:
    """The ledger to use, and whether it is the client's own: a budget needs one to count on."""
    if ledger is None and budget is None:
        return None, False
    from imagegen.ledger import Ledger  # noqa: PLC0415 - SQLite is loaded only for a ledger

    given = checked(ledger, Ledger, "ledger")
    return (given, False) if given else (Ledger(), True)


def checked(value: T | None, kind: type[T], name: str) -> T | None:
    """Refuse what is neither a *kind* nor None."""
    if value is None or isinstance(value, kind):
        return value
    raise ConfigurationError(
        f"{name} must be a {kind.__name__} or None, not {brief(value)}", field=name
    )


def in_seconds(timeout: float) -> float:
    """Check a timeout."""
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not number or not 0 < timeout <= LONGEST_TIMEOUT:
        raise InvalidRequestError(
            f"timeout must be seconds, above 0 and at most {LONGEST_TIMEOUT}, not {brief(timeout)}",
            field="timeout",
        )
    return float(timeout)
