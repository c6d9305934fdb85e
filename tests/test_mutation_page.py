"""docs/mutation.md says how the last run of mutation testing ended, and explains what survived."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / "tools" / "mutation"
RESULTS: dict[str, Any] = json.loads((TOOL / "results.json").read_text(encoding="utf-8"))
NAMED = ("errors.py", "pricing.py", "purchase/policy.py", "backends/minimax", "backends/wavespeed")
SURVIVORS = [(file, mutant) for file, counts in RESULTS.items() for mutant in counts["survived"]]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT)
    from tools.mutation import page

    return page


def test_the_page_is_what_its_stored_figures_render_to(page: Any) -> None:
    assert page.render(RESULTS) == (ROOT / page.PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMED)
def test_the_tests_of_a_module_notice_nine_changes_of_ten(page: Any, name: str) -> None:
    files = [file for file in RESULTS if file.startswith(f"imagegen/{name}")]
    assert sum(RESULTS[file]["mutants"] for file in files) > 50
    assert page.score(page.together([RESULTS[file] for file in files])) >= 90


def test_every_file_of_the_modules_was_mutated() -> None:
    folder = ROOT / "imagegen"
    paths = [path for name in NAMED for path in [folder / name, *(folder / name).glob("*.py")]]
    files = {path.relative_to(ROOT).as_posix() for path in paths if path.is_file()}
    assert files <= RESULTS.keys()


@pytest.mark.parametrize("file", RESULTS)
def test_the_line_of_a_survivor_is_still_there(file: str) -> None:
    lines = {line.strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()}
    listed = {mutant["before"] for mutant in RESULTS[file]["survived"]}
    assert listed <= lines, "run nox -s mutation"


def test_every_survivor_is_explained(page: Any) -> None:
    accepted = page.reasons()
    told = [(file, page.reason(file, mutant, accepted), mutant) for file, mutant in SURVIVORS]
    assert [each for each in told if each[1] == page.UNEXPLAINED] == []


def test_every_explanation_is_needed(page: Any) -> None:
    accepted = page.reasons()
    used = {page.reason(file, mutant, accepted) for file, mutant in SURVIVORS}
    assert {entry["reason"] for entry in accepted} == used
