"""Text in columns, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from imagegen.redaction import printable


def columns(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay *rows* out under *heads*; None shows as a dash."""
    lines = [list(heads), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(heads))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def money(amount: Decimal | None, currency: str | None) -> str:
    """Write an amount without needless zeros; a dash if it is not known."""
    if amount is None or currency is None:
        return "-"
    return f"{amount.normalize():f} {currency}"


def _cell(value: object) -> str:
    return "-" if value is None else printable(str(value))
