"""`python -m benchmarks`: measure everything, print it, and write docs/performance.md.

    __main__     this command
    suite        the parts, in order
      overhead, throughput, in_flight, status_requests, memory, money_layer, imports,
      adopted    a part or two each: what is measured, what it means, its targets
    measure      taking turns, medians, verdicts: the values of a figure
    workers      a process for each contender
    callers      what runs in it: one call after the other, or many at a time
    competitors  everybody's way to make one call
    server       the server that they call
    providers    what it answers
    machine      where it was measured
    report       tables and the page
    plots        the page's plots

Other scripts of this folder are run by themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict

from benchmarks import plots, report
from benchmarks.machine import machine, name_of, versions
from benchmarks.measure import Figure, Part, to_plain
from benchmarks.server import raise_limits
from benchmarks.suite import PARTS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
FAILED = "It failed."
IMAGES = ROOT / "docs" / "images" / "performance"


def options() -> argparse.Namespace:
    """What was asked for."""
    known = [part.id for part in PARTS]
    parser = argparse.ArgumentParser(description="Measure imagegen beside others.")
    parser.add_argument("--only", metavar="PARTS", help=f"some of {','.join(known)}")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the figures to that file")
    parser.add_argument("--redraw", type=Path, metavar="FILE", help="only draw these figures again")
    given = parser.parse_args()
    given.parts = given.only.split(",") if given.only else known
    if unknown := set(given.parts) - set(known):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return given


def plain(figure: Figure) -> dict[str, Any]:
    """A figure for JSON."""
    verdicts = [asdict(verdict) | {"met": verdict.met} for verdict in figure.verdicts]
    taken = {"rows": figure.rows, "verdicts": verdicts, "note": figure.note}
    return {name: to_plain(value) for name, value in taken.items()}


def figure_of(part: Part, *, quick: bool) -> Figure:
    """What *part* measures; where it fails, the others are still wanted."""
    try:
        return part.measure(quick)
    except Exception:  # noqa: BLE001 - told in its place
        traceback.print_exc()
        return Figure(note=FAILED)


def measured(parts: list[str], *, quick: bool) -> dict[str, Any]:
    """The results of *parts*; each is printed once it is there."""
    figures: dict[str, Any] = {}
    for part in PARTS:
        if part.id in parts:
            started = time.monotonic()
            figure = plain(figure_of(part, quick=quick))
            figures[part.id] = figure | {"seconds": round(time.monotonic() - started)}
            print(f"\n{part.title} ({figures[part.id]['seconds']} s)\n")
            table = report.text_table(figure["rows"]) if figure["rows"] else figure["note"]
            print(table, flush=True)
    about = {"machine": machine(), "versions": versions()}
    return {"date": datetime.now(UTC).date().isoformat(), **about, "figures": figures}


def added(results: dict[str, Any], path: Path) -> dict[str, Any]:
    """*results*, and the other figures in the file, if it is there."""
    if not path.exists():
        return results
    kept = json.loads(path.read_text(encoding="utf-8"))
    for name in ("date", "machine", "versions"):
        if kept[name] != results[name]:
            sys.exit(
                f"{path} was measured under other circumstances ({name}); it is left as it is."
            )
    return results | {"figures": kept["figures"] | results["figures"]}


def write(path: Path, results: dict[str, Any]) -> None:
    """Store *results*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, ensure_ascii=False, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")


def publish(results: dict[str, Any], file: str) -> None:
    """Write the page and its plots."""
    PAGE.write_text(report.page(results, file), encoding="utf-8")
    plots.draw(results["figures"], IMAGES)


def main() -> None:
    """Measure, print, write."""
    given = options()
    if given.redraw:
        publish(json.loads(given.redraw.read_text(encoding="utf-8")), given.redraw.name)
        return
    raise_limits()
    results = measured(given.parts, quick=given.quick)
    print("\nTargets\n")
    print(report.text_table(report.verdict_rows(results)))
    if given.json:
        write(given.json, added(results, given.json))
    if FAILED in (figure["note"] for figure in results["figures"].values()):
        sys.exit("A part failed; the page is left as it is.")
    if not given.only and not given.quick:
        path = RESULTS / f"{results['date']}-{name_of(results['machine'])}.json"
        write(path, results)
        publish(results, path.name)


if __name__ == "__main__":
    main()
