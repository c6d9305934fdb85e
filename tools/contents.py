"""See that the distributions hold what they must, and nothing else.

    python tools/contents.py dist/*.tar.gz dist/*.whl

The sdist is all of the repository that git does not ignore, so that its tests run. The wheel is
the package of it, with the metadata.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
KINDS = {".css", ".html", ".js", ".json", ".py", ".sql", ".toml", ".typed"}
"""What files of a package are for; one of another kind must be meant, and named here."""


def tracked(root: Path) -> set[str]:
    """The files of the repository that git tracks, or would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (root / name).exists()}


def in_sdist(path: Path) -> set[str]:
    """The files of an sdist, as they are named under its one folder."""
    with tarfile.open(path) as archive:
        names = [member.name for member in archive if member.isfile()]
    return {name.partition("/")[2] for name in names}


def in_wheel(path: Path) -> set[str]:
    """The files of a wheel, those of its metadata without their folder's name."""
    folder = f"{'-'.join(path.stem.split('-')[:2])}.dist-info/"
    with zipfile.ZipFile(path) as archive:
        return {name.removeprefix(folder) for name in archive.namelist()}


def faults(files: set[str], sdist: set[str], wheel: set[str]) -> Iterator[str]:
    """What is wrong with the distributions of a repository that has these *files*."""
    package = {name for name in files if name.startswith("imagegen/")}
    yield from told("the sdist", files | {"PKG-INFO"}, sdist)
    yield from told("the wheel", package | METADATA, wheel)
    strange = sorted(name for name in package if Path(name).suffix not in KINDS)
    yield from (f"the package has {name}, and nobody said what for" for name in strange)
    if "imagegen/py.typed" not in wheel:
        yield "the wheel has no py.typed, so its types are not seen"


def told(what: str, wanted: Iterable[str], found: Iterable[str]) -> Iterator[str]:
    """What is missing, and what is too much."""
    yield from (f"{what} lacks {name}" for name in sorted(set(wanted) - set(found)))
    yield from (f"{what} has {name}" for name in sorted(set(found) - set(wanted)))


def main(sdist: str, wheel: str) -> int:
    """Print the faults, and return how many there are."""
    root = Path(__file__).resolve().parents[1]
    found = list(faults(tracked(root), in_sdist(Path(sdist)), in_wheel(Path(wheel))))
    print("\n".join(found) or "the sdist and the wheel hold what they must, and nothing else")
    return len(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
