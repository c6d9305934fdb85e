"""The scripts of this repository, which are in no package, without its folder on the path.

With the folder, its `imagegen` would be the one that is tested, and not the installed one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmarks", "tools")


def findable() -> None:
    """Let `from benchmarks import …` find those of this repository, from anywhere."""
    for name in FOLDERS:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(ROOT / name)]
        sys.modules[name] = module_from_spec(spec)


def loaded(name: str) -> Any:
    """Import a script, such as ``"benchmarks.deadline"``."""
    return import_module(name)
