"""docs/reference/commands.md is what the command says of itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from imagegen.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "commands.md"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("commands", ROOT / "tools" / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_command_says_of_itself(tool: ModuleType) -> None:
    assert PAGE.read_text(encoding="utf-8") == tool.text(), "run python tools/commands.py"


def test_the_page_has_every_command_and_those_below(tool: ModuleType) -> None:
    lines = tool.text().splitlines()
    for name in (*COMMANDS, "jobs reconcile", "config init"):
        assert f"## `imagegen {name}`" in lines


def test_an_option_with_choices_is_one_cell_of_its_table(tool: ModuleType) -> None:
    (row,) = {line for line in tool.text().splitlines() if line.startswith("| `--strategy")}
    assert r"[order\|cheapest\|fastest]" in row
    assert row.replace(r"\|", "").count("|") == 3


def test_what_is_not_to_be_wrapped_is_code(tool: ModuleType) -> None:
    (block,) = (b for b in tool.text().split("```text\n") if b.startswith("bash "))
    assert "imagegen completion fish >" in block.split("```")[0]


def test_an_option_within_code_stays_within_it(tool: ModuleType) -> None:
    (epilog,) = {line for line in tool.text().splitlines() if "After 7, 8, 10" in line}
    assert epilog.endswith("see `imagegen jobs --help`.")
    assert "9 over `--max-cost`;" in epilog


def test_the_tool_rewrites_a_page(tool: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "commands.md"
    page.write_text("old", encoding="utf-8")
    tool.main(page)
    assert page.read_text(encoding="utf-8") == tool.text()
