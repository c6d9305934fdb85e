"""To delete this backend is to delete its file, tests, fixtures and page, and its line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ITS_OWN = (
    *("imagegen/backends/openai.py", "fixtures/openai", "docs/backends/openai.md"),
    *("tests/backends/test_openai*.py", "tests/support/openai_*.py"),
)
ITS_LINE = 'openai = "imagegen.backends.openai:OpenAI"\n'
MAY_NAME_IT = (
    *("CHANGELOG.md", "docs/decisions/", "docs/dependencies.md", "requirements/"),
    *("benchmarks/", "docs/performance.md", "docs/images/performance/"),
)
"""History, and what was measured beside imagegen: the company's SDK is one of its peers."""
NAME = re.compile(r"openai(?!/)", re.IGNORECASE)
"""With a slash it is the vendor of models that WaveSpeedAI sells."""
DEPENDENCY = re.compile(r'^ *"openai>=[0-9.]+",\n', re.MULTILINE)

WORKS = """
import pkgutil
from importlib import import_module
from tempfile import TemporaryDirectory

import imagegen
from imagegen import backends
from imagegen.sandbox import Sandbox

for module in pkgutil.walk_packages(imagegen.__path__, "imagegen."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
assert backends.names() == ("minimax", "wavespeed"), backends.names()
with Sandbox().client() as client, TemporaryDirectory() as folder:
    for name in backends.names():
        assert client.save(client.generate("a red fox", model=f"{name}:"), folder)
print(imagegen.__file__)
"""
STILL_PASS = (
    "tests/test_architecture.py",
    "tests/backends/test_fixtures.py",
    "tests/backends/test_conformance.py",
)


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository without the backend, installed as far as its catalogue goes."""
    copy = tmp_path_factory.mktemp("copy") / "imagegen"
    skipped = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, copy, ignore=skipped)
    for pattern in ITS_OWN:
        found = list(copy.glob(pattern))
        assert found, pattern
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    project = copy / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    assert text.count(ITS_LINE) == 1
    project.write_text(text.replace(ITS_LINE, ""), encoding="utf-8")
    install(copy, project)
    done = run(copy, "tools/matrix.py")
    assert done.returncode == 0, done.stderr
    return copy


def install(copy: Path, project: Path) -> None:
    """Write what an installer makes of the project's entry points."""
    catalogue = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["entry-points"]
    folder = copy / "imagegen_client-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: imagegen-client\nVersion: 0.1.0\n"
    )
    lines = [
        line
        for group, points in catalogue.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, on the copy; coverage is about the original."""
    measured = ("COV", "PYTEST")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(measured)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={**environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_no_other_file_names_it(without: Path) -> None:
    named = []
    for file in sorted(path for path in without.rglob("*") if path.is_file()):
        name = file.relative_to(without).as_posix()
        text = DEPENDENCY.sub("", file.read_bytes().decode("utf-8", "replace"))
        if not name.startswith(MAY_NAME_IT) and NAME.search(name + "\n" + text):
            named.append(name)
    assert named == []


def test_everything_imports_and_works_without_it(without: Path) -> None:
    done = run(without, "-c", WORKS)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == without / "imagegen" / "__init__.py"


def test_the_rules_of_all_backends_hold_without_it(without: Path) -> None:
    done = run(
        without, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *STILL_PASS
    )
    assert done.returncode == 0, done.stdout[-4000:]
