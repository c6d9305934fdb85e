"""A change of the package that the list of changes does not tell is noticed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools import changelog

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="it asks git")

GIT = ("git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.com")


def commit(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{path.exists() and path.read_text()}.")
    subprocess.run([*GIT, "add", "--all"], check=True)
    subprocess.run([*GIT, "commit", "--quiet", "--no-verify", "--message=Change"], check=True)


@pytest.fixture
def branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of its own, on a branch that left `main` one commit ago."""
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    subprocess.run([*GIT, "init", "--quiet", "--initial-branch=main"], check=True)
    commit("imagegen/flow.py", "CHANGELOG.md")
    subprocess.run([*GIT, "switch", "--quiet", "--create", "topic"], check=True)


@pytest.mark.usefixtures("branch")
@pytest.mark.parametrize(
    ("names", "status"),
    [
        (("imagegen/flow.py",), 1),
        (("imagegen/client/new.py", "tests/test_new.py"), 1),
        (("imagegen/flow.py", "CHANGELOG.md"), 0),
        (("tests/test_flow.py", "docs/imagegen.md"), 0),
    ],
)
def test_the_package_is_not_changed_without_a_word(
    names: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(*names)
    assert changelog.main("main") == status
    assert ("CHANGELOG.md was not" in capsys.readouterr().out) is bool(status)


@pytest.mark.usefixtures("branch")
def test_what_others_changed_meanwhile_is_not_asked_for() -> None:
    commit("docs/page.md")
    subprocess.run([*GIT, "switch", "--quiet", "main"], check=True)
    commit("imagegen/flow.py")
    subprocess.run([*GIT, "switch", "--quiet", "topic"], check=True)
    assert changelog.main("main") == 0
