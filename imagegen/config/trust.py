"""Whom the files trust: what a file of the working directory may not say, and what counts of it.

Such a file may have come with somebody else's repository. It may say what to make, and not where
keys and money go. This is the whole rule, but for how the file is opened, which is in `document`;
docs/decisions/0016-configuration.md has the reasons.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import evolve

from imagegen.config import places
from imagegen.config.faults import Doubt, Fault
from imagegen.defaults import TIMEOUT
from imagegen.errors import ConfigurationError
from imagegen.redaction import printable

if TYPE_CHECKING:
    from imagegen.config.layers import Setting, Unit

REFUSED = {
    "providers": "it says to whom your keys are sent",
    "ledger": "it says what a budget is counted on",
    "prices": "it says what a budget is charged",
}
"""Tables that it may not have, and why."""

CAREFUL = {"fit": "strict", "unsupported": "error", "provenance": False}
"""What a user says to be careful, and such a file cannot take back."""


def allowed_table(name: str, *, trusted: bool) -> str:
    """Give the *name* of a table back, if a file with this trust may have it.

    Raises:
        ConfigurationError: *name* is one of `REFUSED`.
    """
    if name in REFUSED and not trusted:
        raise _refusal(REFUSED[name])
    return name


def allowed_on_unknown(said: str, *, trusted: bool) -> str:
    """Give back what a route says of `on_unknown`, if a file with this trust may say it.

    Raises:
        ConfigurationError: *said* is ``"spend"``.
    """
    if said == "spend" and not trusted:
        raise _refusal("it would pay twice without asking you")
    return said


def _refusal(why: str) -> ConfigurationError:
    own = printable(str(places.user_config()))
    return ConfigurationError(
        f"a file of the working directory may not set this: {why}",
        advice=f"Move it to {own}, or name this file with --config or IMAGEGEN_CONFIG: then {own}, "
        "with its budget, is not read",
    )


def bounded(
    unit: Unit, counts: Setting, ours: Setting, theirs: Setting
) -> tuple[Setting, list[Fault | Doubt]]:
    """What counts of *unit*, which a trusted and an untrusted file both say, and what clashes.

    Of money the lower counts, of timeouts the longer, of the rest the more careful, or what
    *counts* without this rule.
    """
    match unit:
        case ("defaults", "max_cost"):
            return _lower(ours, theirs, ours.value, theirs.value)
        case ("budget",):
            kept, clashes = _lower(ours, theirs, ours.value.amount, theirs.value.amount)
            other = _other_kind(ours, theirs)
            return (kept, [other]) if other else (kept, clashes)
        case ("routes", _):
            return _capped(counts, ours, theirs)
        case ("defaults", "timeout"):
            return (theirs, []) if theirs.value >= ours.value else (ours, [_shorter(theirs)])
        case ("defaults", name) if ours.value == CAREFUL.get(name):
            return ours, []
        case _:
            return counts, []


def unbounded(unit: Unit, theirs: Setting) -> tuple[Setting | None, list[Fault | Doubt]]:
    """What counts of *unit*, which only an untrusted file says; None: what is usual."""
    if unit == ("defaults", "timeout") and theirs.value < TIMEOUT:
        return None, [_shorter(theirs)]
    return theirs, []


def _shorter(theirs: Setting) -> Doubt:
    words = "it is shorter than yours or the usual one, which counts: what is cut off is paid for"
    return theirs.place.doubt(words, "Lengthen it, or leave it out")


def _lower(
    ours: Setting, theirs: Setting, our_amount: Decimal, their_amount: Decimal
) -> tuple[Setting, list[Fault | Doubt]]:
    if their_amount <= our_amount:
        return theirs, []
    return ours, [_higher(ours, theirs, "it")]


def _higher(ours: Setting, theirs: Setting, what: str) -> Doubt:
    words = f"{what} is higher than yours ({ours.place}), which counts"
    return theirs.place.doubt(words, "Lower it, or leave it out")


def _capped(counts: Setting, ours: Setting, theirs: Setting) -> tuple[Setting, list[Fault | Doubt]]:
    """The route that counts, with the lower `max_cost` of the two of its name."""
    limits = [each.value.max_cost for each in (ours, theirs) if each.value.max_cost is not None]
    lowest = min(limits, default=None)
    kept = evolve(counts, value=evolve(counts.value, max_cost=lowest))
    higher = theirs.value.max_cost is not None and theirs.value.max_cost != lowest
    return kept, [_higher(ours, theirs, "its max_cost")] if higher else []


def _other_kind(ours: Setting, theirs: Setting) -> Fault | None:
    currency, per = ours.value.currency, ours.value.per
    if (theirs.value.currency, theirs.value.per) == (currency, per):
        return None
    words = (
        "a file of the working directory may only lower your budget, not set one of another kind"
    )
    fix = f'Write currency = "{currency}" and per = "{per}", as {ours.place} does'
    return theirs.place.fault(words, fix)
