"""Results as a page and as tables of text. They are plain JSON here, as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from benchmarks.measure import Part
from benchmarks.suite import PARTS

Results: TypeAlias = Mapping[str, Any]

HEAD = """# Performance

{machine}, {date}; with {versions}.

```console
$ pip install nox && nox -s benchmark
```

measures all of this again in about {minutes} minutes, against a server on the same machine, and
writes this page, the plots, and the figures: `benchmarks/results/{file}`.
`nox -s benchmark -- --only overhead` runs one part, `--quick` shortens it; both only print. The
code is in [benchmarks](../benchmarks/__main__.py).

How to read it:

- Competitors take turns within a run, each in a process of its own, so that what else happens on
  the machine meets all of them. Ratios are taken round by round.
- A figure is the median; in brackets are the quartiles.
- Ratios carry over to other machines, times do not. Both ends run on one machine without TLS, so
  what a network would add to all alike is missing; over a network every ratio of times is nearer
  to 1.
"""


def shown(cell: Any) -> str:
    """A cell as text, with about three significant digits."""
    if isinstance(cell, Mapping):
        median, low, high = (shown(cell[name]) for name in ("median", "low", "high"))
        return median if low == high else f"{median} ({low}–{high})"
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else str(cell)
    size = abs(cell)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or not size else 3
    return f"{cell:,.{digits}f}"


def _columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    columns = _columns(rows)
    return [columns, *([shown(row.get(name, "")) for name in columns] for row in rows)]


def text_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """For a terminal."""
    cells = _cells(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = (map(str.ljust, line, widths) for line in cells)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """For the page."""
    head, *body = _cells(rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *body])


def verdict_rows(results: Results) -> list[dict[str, Any]]:
    """Every target, in the order of the parts."""
    signs = {"at most": "≤", "at least": "≥"}
    return [
        {
            "figure": verdict["what"],
            "measured": f"{shown(verdict['value'])} {verdict['unit']}".strip(),
            "target": f"{signs[verdict['sense']]} {verdict['target']:g} {verdict['unit']}".strip(),
            "met": "yes" if verdict["met"] else "no",
        }
        for part in PARTS
        for verdict in results["figures"].get(part.id, {}).get("verdicts", ())
    ]


def page(results: Results, file: str) -> str:
    """docs/performance.md for *results*, which are stored in `benchmarks/results/` as *file*."""
    machine = results["machine"]
    head = HEAD.format(
        machine="{cores} cores of {cpu}, {system}, Python {python}".format(**machine),
        date=results["date"],
        versions=", ".join(f"{name} {it}" for name, it in results["versions"].items()),
        minutes=round(sum(each["seconds"] for each in results["figures"].values()) / 60),
        file=file,
    )
    targets = f"## Targets\n\n{markdown_table(verdict_rows(results))}\n\n{_unmet(results)}\n"
    parts = [_section(part, results["figures"][part.id]) for part in PARTS]
    return "\n".join([head, targets, *parts])


def _unmet(results: Results) -> str:
    rows = verdict_rows(results)
    missed = [row["figure"] for row in rows if row["met"] == "no"]
    if not missed:
        return f"All {len(rows)} are met."
    listed = "\n".join(f"- {what}" for what in missed)
    return f"{len(missed)} of {len(rows)} are **not met**:\n\n{listed}"


def _section(part: Part, figure: Mapping[str, Any]) -> str:
    pieces = [f"## {part.title}", part.meaning]
    if figure["note"]:
        pieces.append(figure["note"])
    if figure["rows"] and part.plot:
        pieces.append(f"![{part.title}](images/performance/{part.plot})")
    if figure["rows"]:
        pieces.append(markdown_table(figure["rows"]))
    return "\n\n".join(pieces) + "\n"
