"""Figures and untrusted text, as the report says them."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from imagegen.redaction import printable, prompts_hidden, shown, without_prompt
from imagegen.request import ImageRequest
from imagegen.result import Attempt, Cost
from imagegen.wording import known, unit

if TYPE_CHECKING:
    from imagegen.purchase.comparison import Contender

HIDDEN = "<prompt hidden>"

_DERIVED = Context(prec=4)


@frozen
class Voice:
    """Shows what came from outside, for one request, whose prompt may have to be hidden."""

    request: ImageRequest

    def says(self, text: str, limit: int = 1000) -> str:
        """Return *text* as one line without signed queries, blobs or a hidden prompt."""
        return shown(without_prompt(text, self.request.prompt), limit)

    def prompt(self) -> str:
        """Return the whole prompt, in its lines."""
        if prompts_hidden():
            return HIDDEN
        return "\n".join(printable(line) for line in self.request.prompt.splitlines())

    def title(self, limit: int) -> str:
        """Return the prompt as one line of at most *limit* characters."""
        line = " ".join(self.prompt().split())
        return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def rate(cost: Cost, units: Decimal | int = 1) -> str:
    """Return *cost* for one of *units*, rounded to four digits."""
    amount = known(cost).amount
    if amount is None:
        return "unknown"
    each = _DERIVED.normalize(_DERIVED.divide(amount, units))
    return f"{each:f} {unit(cost)}".rstrip()


def cost_of(contender: Contender) -> Cost:
    """Return what the model cost; unknown if a part of it is no sum of money."""
    try:
        return known(contender.cost)
    except ArithmeticError:  # a signalling NaN, or two infinities
        return Cost()


def cost_of_megapixel(contender: Contender) -> Cost:
    """Return what a million pixels cost; unknown as in `cost_of`."""
    return Cost() if cost_of(contender).amount is None else contender.cost_per_megapixel


def latency(contender: Contender) -> str:
    """Return such as ``"2.31 s"``, or ``"41.7 s"`` from ten seconds on."""
    if not was_asked(contender):
        return "not asked"
    seconds = contender.seconds
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:,.1f} s"


def was_asked(contender: Contender) -> bool:
    """Tell whether anything was submitted to the model."""
    return bool(contender.seconds or contender.generation or attempts(contender))


def attempts(contender: Contender) -> tuple[Attempt, ...]:
    """Return the submissions, whatever came of them."""
    told = contender.generation or contender.error
    return told.attempts if told else ()


def listed(names: list[str]) -> str:
    """Return such as ``"a"``, ``"a and b"`` or ``"a, b and c"``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
