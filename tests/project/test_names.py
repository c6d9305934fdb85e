"""Nobody is told to install `imagegen`: on the package index, that is another project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from imagegen.distribution import DISTRIBUTION

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).name
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEXTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("imagegen/**/*.py"),
        *ROOT.glob("tests/**/*.py"),
    ]
)
EXTRAS = "|".join(PROJECT["optional-dependencies"])
OTHERS = re.compile(rf"(?<![\w-])imagegen\\?\[(?:{EXTRAS})\b|pip install '?imagegen(?![\w-])")


def test_the_name_is_that_of_the_project() -> None:
    assert PROJECT["name"] == DISTRIBUTION


def test_the_extra_for_everything_has_every_other() -> None:
    extras = dict(PROJECT["optional-dependencies"])
    assert extras.pop("all") == [f"{DISTRIBUTION}[{','.join(extras)}]"]


@pytest.mark.parametrize(
    "words", ["pip install imagegen", "pip install 'imagegen[cli]'", r"imagegen\[otel\]"]
)
def test_another_project_is_recognised(words: str) -> None:
    assert OTHERS.search(words)
    assert not OTHERS.search(words.replace("imagegen", DISTRIBUTION))


def test_no_text_names_another_project() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in TEXTS if path.name != HERE}
    assert [str(path) for path, text in texts.items() if OTHERS.search(text)] == []
