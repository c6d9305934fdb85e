"""docs/performance.md says what was measured: it is rendered from the stored figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the benchmarks need a POSIX system")

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks" / "results"
(NAME,) = re.findall(r"`benchmarks/results/(.+?)`", PAGE)


def test_the_page_is_what_its_stored_figures_render_to() -> None:
    from benchmarks import report

    results = json.loads((RESULTS / NAME).read_text(encoding="utf-8"))
    assert report.page(results, NAME) == PAGE


def test_the_page_shows_the_latest_figures() -> None:
    days = [path.name[:10] for path in RESULTS.glob("*.json")]
    assert NAME[:10] == max(days)
