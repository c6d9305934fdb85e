"""Every example in README and docs runs, against the sandbox on a port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from imagegen import backends
from imagegen.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil.example import Example

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "adding-a-backend.md"  # test_adding_a_backend.py runs it
EMULATED = {"minimax", "wavespeed"}
"""What the sandbox can stand for; the page of another backend is run by that one's own tests."""
PAGES = sorted(
    page
    for page in {ROOT / "README.md", *ROOT.glob("docs/**/*.md")} - {TUTORIAL}
    if page.parent.name != "backends" or page.stem in EMULATED
)
BY_CI = "python3 -m venv"


class ShellParser(CodeBlockParser):
    """`sh` blocks run; `console` blocks only show."""

    language = "sh"

    def evaluate(self, example: Example) -> None:
        if str(example.parsed).startswith(BY_CI):
            return
        command = ["bash", "-euo", "pipefail", "-c", str(example.parsed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


class FileParser(CodeBlockParser):
    """A `toml` block that begins with the name of a file becomes that file."""

    language = "toml"

    def evaluate(self, example: Example) -> None:
        name = re.match(r"# (\w+\.toml)\n", str(example.parsed))
        if name:
            Path(name[1]).write_text(str(example.parsed), encoding="utf-8")


EXAMPLES = Sybil(parsers=[PythonCodeBlockParser(), ShellParser(), FileParser()])


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every host is a sandbox of both providers, and files land in a temporary folder."""
    with Sandbox(latency=0.1).running() as origin:
        for installed in map(backends.load, backends.names()):
            monkeypatch.setenv(installed.host_variable, origin)
        for name in EMULATED:
            monkeypatch.setenv(backends.load(name).key_variable, "made-up")
        monkeypatch.delenv("IMAGEGEN_LEDGER")
        scripts = str(Path(sys.executable).parent)
        monkeypatch.setenv("PATH", scripts + os.pathsep + os.environ["PATH"])
        monkeypatch.chdir(tmp_path)
        yield


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_the_page_run(page: Path) -> None:
    for example in EXAMPLES.parse(page).examples():
        example.evaluate()


def test_the_readme_has_examples() -> None:
    examples = list(EXAMPLES.parse(ROOT / "README.md").examples())
    assert len(examples) >= 8
