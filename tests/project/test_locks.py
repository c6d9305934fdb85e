"""`requirements/` is what pyproject.toml asks for: all of it, new enough, and with hashes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS: dict[str, list[Any]] = PROJECT["dependency-groups"]
RENEW = "nox --session lock"
WANTED = {
    "dev": ("dev",),
    "runtime": (),
    "tests": ("test",),
    "types": ("test", "types", "browser"),
    "site": ("site",),
    "browser": ("browser",),
}
"""Which groups are in a lock, beside what the project needs itself."""
ALONE = {"lint": "lint", "dist": "dist", "audit": "audit", "nox": "nox", "uv": "uv"}
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
ENTRY = re.compile(
    r"^(?P<requirement>\w.*?)(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n", re.MULTILINE
)


def entries(lock: str) -> list[Requirement]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return [Requirement(found["requirement"]) for found in ENTRY.finditer(text)]


def of_group(name: str) -> Iterator[Requirement]:
    for each in GROUPS[name]:
        if isinstance(each, str):
            yield Requirement(each)
        else:
            yield from of_group(each["include-group"])


def of_project() -> Iterator[Requirement]:
    project = PROJECT["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    for each in (*project["dependencies"], *extras):
        if Requirement(each).name != project["name"]:
            yield Requirement(each)


def unmet(lock: str, wanted: Iterator[Requirement]) -> list[str]:
    pinned = {canonicalize_name(each.name): each for each in entries(lock)}
    return [str(each) for each in wanted if not is_met(each, pinned)]


def is_met(wanted: Requirement, pinned: dict[Any, Requirement]) -> bool:
    entry = pinned.get(canonicalize_name(wanted.name))
    versions = [pin.version for pin in entry.specifier] if entry else []
    return len(versions) == 1 and wanted.specifier.contains(versions[0])


@pytest.mark.parametrize("lock", WANTED)
def test_a_lock_has_all_that_its_session_needs(lock: str) -> None:
    assert unmet(lock, of_project()) == [], RENEW
    for group in WANTED[lock]:
        assert unmet(lock, of_group(group)) == [], RENEW


@pytest.mark.parametrize("lock", ALONE)
def test_a_lock_of_tools_has_them(lock: str) -> None:
    assert unmet(lock, of_group(ALONE[lock])) == [], RENEW


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_is_nothing_but_versions_and_hashes(path: Path) -> None:
    assert path.stem in WANTED | ALONE
    text = path.read_text(encoding="utf-8")
    assert ENTRY.sub("", text) == ""
    assert all("==" in str(entry) and not entry.url for entry in entries(path.stem))


def test_every_lock_has_the_versions_of_the_whole_environment() -> None:
    whole = {str(each) for each in entries("dev")}
    others = {str(each) for path in LOCKS for each in entries(path.stem)}
    assert {each.partition(";")[0] for each in others} <= {each.partition(";")[0] for each in whole}


@pytest.mark.parametrize("wanted", ["httpx>=99", "ghost"])
def test_what_a_lock_lacks_is_noticed(wanted: str) -> None:
    assert unmet("runtime", iter([Requirement(wanted)])) == [wanted]
