"""How long the last jobs of each model took: what polling has learned, beyond one process."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

KEPT = 40
"""Of each model."""

_ADD = "INSERT INTO durations (provider, model, low, high) VALUES (?, ?, ?, ?)"
_OF = """
SELECT low, high FROM durations WHERE provider = ? AND model = ?
AND typeof(low) = 'real' AND typeof(high) = 'real' ORDER BY number"""
_TRIM = """
DELETE FROM durations WHERE provider = :provider AND model = :model AND number NOT IN (
    SELECT number FROM durations WHERE provider = :provider AND model = :model
    ORDER BY number DESC LIMIT :kept
)"""


class Durations:
    """The table of them; each method is called by the writer within a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, provider: str, model: str, durations: Sequence[tuple[float, float]]) -> None:
        """Add *durations*, and drop the oldest that are too many."""
        rows = [(provider, model, low, high) for low, high in durations]
        self._connection.executemany(_ADD, rows)
        self._connection.execute(_TRIM, {"provider": provider, "model": model, "kept": KEPT})

    def of(self, provider: str, model: str) -> list[tuple[float, float]]:
        """Return those of a model, oldest first."""
        found = self._connection.execute(_OF, (provider, model))
        return [(row["low"], row["high"]) for row in found]
