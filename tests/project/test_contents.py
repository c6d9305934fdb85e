"""The look at the distributions sees what is missing, and what is too much."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from tools import contents

FILES = {"README.md", "imagegen/__init__.py", "imagegen/py.typed", "imagegen/limits.toml"}
SDIST = FILES | {"PKG-INFO"}
WHEEL = {name for name in FILES if name.startswith("imagegen/")} | contents.METADATA


def test_what_is_right_has_no_fault() -> None:
    assert list(contents.faults(FILES, SDIST, WHEEL)) == []


@pytest.mark.parametrize(
    ("sdist", "wheel", "told"),
    [
        (SDIST - {"README.md"}, WHEEL, "the sdist lacks README.md"),
        (SDIST | {"notes.txt"}, WHEEL, "the sdist has notes.txt"),
        (SDIST, WHEEL - {"imagegen/limits.toml"}, "the wheel lacks imagegen/limits.toml"),
        (SDIST, WHEEL | {"tests/test_flow.py"}, "the wheel has tests/test_flow.py"),
        (SDIST, WHEEL - {"licenses/LICENSE"}, "the wheel lacks licenses/LICENSE"),
    ],
)
def test_a_file_too_few_or_too_many_is_told(sdist: set[str], wheel: set[str], told: str) -> None:
    assert list(contents.faults(FILES, sdist, wheel)) == [told]


def test_a_package_without_types_is_told() -> None:
    typed = {"imagegen/py.typed"}
    told = list(contents.faults(FILES - typed, SDIST - typed, WHEEL - typed))
    assert told == ["the wheel has no py.typed, so its types are not seen"]


def test_a_file_of_an_unknown_kind_is_told() -> None:
    fox = {"imagegen/fox.png"}
    told = list(contents.faults(FILES | fox, SDIST | fox, WHEEL | fox))
    assert told == ["the package has imagegen/fox.png, and nobody said what for"]


def test_distributions_are_read_by_the_names_within(tmp_path: Path) -> None:
    inside = tmp_path / "flow.py"
    inside.touch()
    with tarfile.open(tmp_path / "imagegen_client-1.tar.gz", "w:gz") as sdist:
        sdist.add(inside, "imagegen_client-1/imagegen/flow.py")
    with zipfile.ZipFile(tmp_path / "imagegen_client-1-py3-none-any.whl", "w") as wheel:
        wheel.write(inside, "imagegen/flow.py")
        wheel.write(inside, "imagegen_client-1.dist-info/RECORD")
    assert contents.in_sdist(tmp_path / "imagegen_client-1.tar.gz") == {"imagegen/flow.py"}
    found = contents.in_wheel(tmp_path / "imagegen_client-1-py3-none-any.whl")
    assert found == {"imagegen/flow.py", "RECORD"}
