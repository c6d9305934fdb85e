"""Pages link to what exists, and the two commands of the README are what CI runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import imagegen

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("fixtures/*.md")])


def shell_blocks() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_local_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_the_reference_has_every_public_name() -> None:
    pages = (ROOT / "docs" / "reference" / "api").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    shown = set(re.findall(r"^\.\. auto(?:class|exception|function):: (\w+)$", text, re.MULTILINE))
    assert set(imagegen.__all__) - shown == {"__version__"}


def test_the_first_two_blocks_are_one_command_line_each() -> None:
    commands = shell_blocks()[:2]
    assert [len(command.splitlines()) for command in commands] == [1, 1]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert shell_blocks()[1] in script


def test_the_first_command_writes_pictures_of_the_size_asked_through_both_providers(
    tmp_path: Path,
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info"))
    shutil.rmtree(clone / "pictures", ignore_errors=True)
    done = subprocess.run(
        ["bash", "-c", shell_blocks()[0]],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pictures = sorted((clone / "pictures").iterdir())
    assert [picture.name.split("-")[0] for picture in pictures] == ["minimax", "wavespeed"]
    for picture in pictures:
        with Image.open(picture) as image:
            image.load()
            assert (image.format, image.size) == ("JPEG", (1280, 720))
