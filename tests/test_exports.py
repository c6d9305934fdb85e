"""What `import imagegen` offers, and what it costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import imagegen

HEAVY = {"httpx", "httpcore", "attr", "attrs", "cattrs", "click", "rich", "PIL", "uvicorn"}


def loaded_after(code: str) -> set[str]:
    program = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def names_for_type_checkers() -> dict[str, str]:
    """The names that the package imports for type checkers, with the module they come from."""
    tree = ast.parse(Path(imagegen.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("name", imagegen.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(imagegen, name) is not None
    assert getattr(imagegen, name) is getattr(imagegen, name)


def test_the_public_names_are_sorted_and_each_there_once() -> None:
    assert imagegen.__all__ == sorted(set(imagegen.__all__))


def test_a_star_import_brings_the_public_names_and_no_other() -> None:
    namespace: dict[str, Any] = {}
    exec("from imagegen import *", namespace)  # noqa: S102
    assert sorted(namespace.keys() - {"__builtins__"}) == imagegen.__all__


def test_dir_lists_the_public_names() -> None:
    assert dir(imagegen) == imagegen.__all__


def test_type_checkers_see_the_same_names() -> None:
    assert sorted([*names_for_type_checkers(), "__version__"]) == imagegen.__all__


def test_names_are_loaded_from_where_type_checkers_see_them() -> None:
    loaded = {name: f"imagegen.{home}" for name, home in imagegen._HOME.items()}
    assert loaded == names_for_type_checkers()
    assert sum(map(len, imagegen._HOMES.values())) == len(loaded)


@pytest.mark.parametrize(("name", "module"), names_for_type_checkers().items())
def test_type_checkers_see_the_same_object(name: str, module: str) -> None:
    assert getattr(import_module(module), name) is getattr(imagegen, name)


@pytest.mark.parametrize("module", ["errors", "request", "result", "client"])
def test_a_public_class_says_where_it_lives(module: str) -> None:
    home = import_module(f"imagegen.{module}")
    own = [name for name in imagegen.__all__ if name in vars(home)]
    assert own
    homes = {getattr(imagegen, name).__module__ for name in own}
    values = {"imagegen.request", "imagegen.result", "imagegen.errors"}
    assert all(name.startswith(home.__name__) for name in homes - values)


@pytest.mark.parametrize("name", ["Nothing", "_HOME_", "httpx", "imagerequest", "__wrapped__"])
def test_another_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'imagegen' has no attribute '{name}'"):
        getattr(imagegen, name)


def test_the_version_is_that_of_the_package() -> None:
    assert imagegen.__version__ == version("imagegen-client")


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = loaded_after("import imagegen")
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("imagegen")} == {"imagegen"}


def test_an_error_can_be_had_without_any_library() -> None:
    assert not loaded_after("from imagegen import RateLimitError, AllRoutesFailedError") & HEAVY


@pytest.mark.parametrize(
    "code",
    [
        "from imagegen import ImageRequest, Generation, Job",
        "from imagegen import MiniMax, WaveSpeed",
        "import imagegen.purchase.orders, imagegen.pictures.download",
    ],
)
def test_values_and_backends_need_no_http_library(code: str) -> None:
    assert not loaded_after(code) & {"httpx", "httpcore", "asyncio", "ssl"}
