"""What is tested is the installed package, where the session says so, and never this folder's."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import imagegen
from imagegen.distribution import DISTRIBUTION, install

ROOT = Path(__file__).resolve().parents[2]
WHERE = "import imagegen; print(imagegen.__file__)"

required = pytest.mark.skipif(
    os.environ.get("IMAGEGEN_INSTALLED") != "required", reason="it may be this folder's"
)


def printed(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@required
def test_the_package_under_test_is_an_installed_one() -> None:
    assert "site-packages" in Path(imagegen.__file__).parts


@required
def test_a_process_that_starts_in_this_folder_takes_the_same_one() -> None:
    assert printed("-c", WHERE) == imagegen.__file__


@required
def test_a_script_of_this_folder_takes_the_same_one(tmp_path: Path) -> None:
    script = tmp_path / "where.py"
    script.write_text(WHERE, encoding="utf-8")
    assert printed(str(script)) == imagegen.__file__


@required
def test_a_module_that_is_run_is_the_same_ones() -> None:
    assert printed("-m", "imagegen.cli", "--version").endswith(version(DISTRIBUTION))


def test_what_is_advised_installs_this_project() -> None:
    assert install("cli") == "pip install 'imagegen-client[cli]'"
