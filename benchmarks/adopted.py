"""Figures that scripts beside this one measure: polling, and decoding of pictures in a reply."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import inline as replies, polling as schedules
from benchmarks.measure import Cell, Figure, Part, Spread, Verdict

LEARNED, FIXED = "learned", "fixed 1 s"
"""The policies of `benchmarks.polling` that the target is about."""


def polling(quick: bool) -> Figure:  # noqa: FBT001 - as `Part.measure`
    """Polls and lag of each policy, for each shape of latency."""
    rows: Sequence[Mapping[str, Any]] = schedules.rows(200) if quick else schedules.rows()
    table: list[dict[str, Cell]] = [
        {
            "shape": row["shape"],
            "policy": row["policy"],
            "polls": row["polls"],
            "mean lag, s": row["lag"],
            "95 % lag, s": row["p95"],
        }
        for row in rows
    ]
    return Figure(table, _judged(rows))


def _judged(rows: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """What learning saves, and what it costs, beside one poll a second; over all shapes."""
    polls, lag = (_mean(rows, LEARNED, of) for of in ("polls", "lag"))
    usual, late = (_mean(rows, FIXED, of) for of in ("polls", "lag"))
    return [
        Verdict.of("polls, learned ÷ one a second", polls / usual, 0.7),
        Verdict.of("mean lag, learned ÷ one a second", lag / late, 1.0),
    ]


def _mean(rows: Sequence[Mapping[str, Any]], policy: str, of: str) -> float:
    return statistics.fmean(float(row[of]) for row in rows if row["policy"] == policy)


def inline(quick: bool) -> Figure:  # noqa: ARG001, FBT001 - as `Part.measure`; it has one length
    """Time and memory for a reply with nine large pictures."""
    rows = replies.rows()
    table = [{"what": row["figure"], "value": _cell(row)} for row in rows]
    verdicts = [
        Verdict.of(row["figure"], row["value"], row["target"])
        for row in rows
        if isinstance(row.get("target"), (int, float))
    ]
    return Figure(table, verdicts)


def _cell(row: Mapping[str, Any]) -> Cell:
    value = float(row["value"])
    return Spread(value, row["low"], row["high"]) if "low" in row else value


POLLING = Part(
    "polling",
    "Polling",
    """A simulation with seeds, no network: how often one prediction is asked for under each policy,
and how late its end is known, for several shapes of latency with a mean of 33 s.""",
    polling,
    "polling.svg",
)
INLINE = Part(
    "decode",
    "Reading large replies",
    """Nine pictures of about 5.8 MB each as base64 in one reply. The decode time is compared with
`json.loads` and `base64.b64decode` of each, the memory with the size of the reply. Here the
brackets hold the least and the most.""",
    inline,
)
