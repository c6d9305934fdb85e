"""The layers of the package, and what its files, functions and pages have in common."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import frozen

import imagegen

ROOT = Path(__file__).parents[1]
PACKAGE = Path(imagegen.__file__).parent
FILES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(text) for name, text in FILES.items()}


@frozen
class Layer:
    """Packages that may import each other, and what else they may import.

    `outside` is what they may import of `OUTSIDE`, `named` what only type checkers may see of it.
    """

    members: str
    beneath: str = ""
    outside: str = ""
    named: str = ""


LAYERS = {
    "words": Layer("redaction addresses media distribution", outside="os"),
    "values": Layer(
        "errors request result events flow codec limits pricing wording", beneath="words"
    ),
    "backends": Layer("backends", beneath="words values"),
    "ledger": Layer("ledger", beneath="words values", outside="os sqlite3 threading time"),
    "pictures": Layer("pictures", beneath="words values"),
    "report": Layer("report", beneath="words values"),
    "network": Layer(
        "net",
        beneath="words values",
        outside="asyncio os select socket ssl threading time urllib.request",
    ),
    "drivers": Layer(
        "drivers telemetry",
        beneath="words values network",
        outside="asyncio os ssl threading time",
        named="httpx",
    ),
    "purchase": Layer(
        "purchase account capabilities",
        beneath="words values backends ledger pictures",
        outside="random",
    ),
    "settings": Layer(
        "config defaults",
        beneath="words values backends ledger pictures purchase",
        outside="os sqlite3",
    ),
    "clients": Layer(
        "client",
        beneath="words values backends ledger pictures network drivers purchase settings",
        outside="asyncio",
        named="httpx",
    ),
    "tools": Layer(
        "sandbox testing",
        beneath="words values backends drivers clients",
        outside="asyncio httpx os random secrets socket threading time",
    ),
    "command": Layer(
        "cli",
        beneath="words values backends ledger pictures report purchase settings clients tools",
        outside="os sqlite3 time",
    ),
}
"""Who may import whom, from the bottom up. `net` loads its HTTP library by name, when it is due."""

LATER = {
    "errors": "result",
    "result": "codec pictures",
    "purchase": "drivers report",
    "report": "purchase",
}
"""What may be named for type checkers, or imported within a function, beyond that."""

OUTSIDE = {
    "aiohttp", "asyncio", "http.client", "httpcore", "httpx", "httpx2", "os", "random", "requests",
    "secrets", "select", "selectors", "socket", "sqlite3", "ssl", "subprocess", "threading",
    "time", "urllib.request", "urllib3",
}  # fmt: skip
"""Ways to the network, the disk, the clock and chance; and to concurrency."""

LOCKS = {"threading.Lock", "threading.RLock"}
"""What flows share, threads share too."""

When = Literal["import", "later", "types"]


@frozen
class Import:
    """One imported module, or a name of one, and when it is imported."""

    module: str
    when: When

    @property
    def package(self) -> str | None:
        """The module directly under `imagegen`; None for another package's, and for its own."""
        parts = self.module.split(".")
        return parts[1] if parts[0] == "imagegen" and len(parts) > 1 else None


def module_of(name: str) -> str:
    return f"imagegen/{name}".removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(name): name for name in FILES}


def found(node: ast.AST, when: When = "import") -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, when) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        whole = (f"{node.module}.{alias.name}" for alias in node.names)
        yield from (Import(name if known(name) else node.module or "", when) for name in whole)
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        for part in node.body:
            yield from found(part, "types")
        for part in node.orelse:
            yield from found(part, when)
    else:
        deferred = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from found(child, "later" if deferred and when == "import" else when)


def known(name: str) -> bool:
    return name in MODULES or name in LOCKS or name in OUTSIDE


IMPORTS = {name: set(found(tree)) for name, tree in TREES.items()}


def package_of(name: str) -> str:
    """The module directly under `imagegen` that a file is, or belongs to."""
    return name.split("/", maxsplit=1)[0].removesuffix(".py")


PACKAGES = {package_of(name) for name in FILES} - {"__init__"}
LAYER_OF = {package: layer for layer in LAYERS.values() for package in layer.members.split()}
INSIDE = sorted(FILES.keys() - {"__init__.py"})


def allowed(package: str) -> set[str]:
    """The packages that *package* may import whenever it likes."""
    layer = LAYER_OF[package]
    beneath = [LAYERS[name] for name in layer.beneath.split()]
    return {member for each in (layer, *beneath) for member in each.members.split()}


def outside(name: str, when: set[When]) -> set[str]:
    """The ways out that a file imports."""
    modules = {each.module for each in IMPORTS[name] if each.when in when} - LOCKS
    return {way for way in OUTSIDE for module in modules if f"{module}.".startswith(f"{way}.")}


# Layers


def test_every_package_is_in_one_layer() -> None:
    members = " ".join(layer.members for layer in LAYERS.values()).split()
    assert sorted(members) == sorted(PACKAGES)


def test_a_layer_rests_on_those_above_it_in_the_table_only() -> None:
    names = list(LAYERS)
    for at, layer in enumerate(LAYERS.values()):
        assert set(layer.beneath.split()) <= set(names[:at])


@pytest.mark.parametrize("name", INSIDE)
def test_a_file_imports_only_what_is_beneath_it(name: str) -> None:
    package = package_of(name)
    now = {each.package for each in IMPORTS[name] if each.when == "import"} - {None}
    ever = {each.package for each in IMPORTS[name]} - {None}
    assert now <= allowed(package)
    assert ever <= allowed(package) | set(LATER.get(package, "").split())


@pytest.mark.parametrize("name", INSIDE)
def test_a_file_takes_only_the_ways_out_of_its_layer(name: str) -> None:
    layer = LAYER_OF[package_of(name)]
    ways = set(layer.outside.split())
    assert outside(name, {"import", "later"}) <= ways
    assert outside(name, {"types"}) <= ways | set(layer.named.split())


@pytest.mark.parametrize("package", sorted(LATER))
def test_an_exception_is_needed(package: str) -> None:
    files = [name for name in INSIDE if package_of(name) == package]
    used = {each.package for name in files for each in IMPORTS[name] if each.when != "import"}
    assert set(LATER[package].split()) <= used


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    assert {each.package for each in IMPORTS["__init__.py"] if each.when != "types"} == {None}


def test_no_module_needs_itself_to_be_imported() -> None:
    graph = {
        module_of(name): {each.module for each in every if each.when == "import"} & MODULES.keys()
        for name, every in IMPORTS.items()
    }
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(FILES)


def test_only_the_drivers_stand_on_the_network() -> None:
    files = {
        name
        for name, every in IMPORTS.items()
        for each in every
        if each.package == "net" and each.module != "imagegen.net.engine"
    }
    others = {package_of(name) for name in files} - {"net"}
    assert others == {"drivers"}


# Files and functions


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_at_most_400_lines(name: str) -> None:
    assert len(FILES[name].splitlines()) <= 400


@pytest.mark.parametrize("name", FILES)
def test_a_function_has_at_most_40_lines(name: str) -> None:
    functions = [
        node
        for node in ast.walk(TREES[name])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {each: length for each, length in lengths.items() if length > 40} == {}


@pytest.mark.parametrize("name", FILES)
def test_a_module_says_what_it_is(name: str) -> None:
    first, *_ = (ast.get_docstring(TREES[name]) or "").split("\n")
    assert first.endswith((".", ":"))


@pytest.mark.parametrize("name", [name for name, text in FILES.items() if "__all__" in text])
def test_what_a_module_offers_exists(name: str) -> None:
    module = import_module(module_of(name))
    assert [each for each in module.__all__ if not hasattr(module, each)] == []


# The table of the documentation

TABLE = re.findall(
    r"^\| (`.+`) \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE
)
LISTED = [name.rstrip("/") for row in TABLE for name in re.findall(r"`([a-z_/0-9]+)`", row)]


def test_the_documentation_lists_the_modules_that_exist_and_no_other() -> None:
    assert sorted(name for name in LISTED if "/" not in name) == sorted(PACKAGES)


def test_where_the_documentation_lists_parts_of_a_package_it_lists_all() -> None:
    parts = sorted(name for name in LISTED if "/" in name)
    packages = {name.split("/")[0] for name in parts}
    inner = (name.removesuffix(".py") for name in INSIDE if "/" in name)
    exist = {"/".join(name.split("/")[:2]) for name in inner if name.split("/")[0] in packages}
    assert parts == sorted(name for name in exist if not name.endswith("/__init__"))


# Backends: a module, its tests, its recorded exchanges and its page, all under one name

OFFERED: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]["entry-points"]["imagegen.backends"]
BACKENDS: dict[str, Any] = {name: where.split(":") for name, where in OFFERED.items()}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_lives_under_its_name(name: str) -> None:
    module, cls = BACKENDS[name]
    assert module == f"imagegen.backends.{name}"
    assert module in MODULES
    assert getattr(import_module(module), cls).name == name


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_has_tests_fixtures_and_a_page(name: str) -> None:
    assert (ROOT / "tests" / "backends" / f"test_{name}.py").is_file()
    assert any((ROOT / "fixtures" / name).glob("*/request.json"))
    assert (ROOT / "docs" / "backends" / f"{name}.md").is_file()


def test_no_fixtures_or_page_are_of_a_backend_that_is_gone() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "backends").glob("*.md")} - {"index"}
    recorded = {path.parents[1].name for path in (ROOT / "fixtures").glob("*/*/request.json")}
    assert pages == recorded == set(BACKENDS)


@pytest.mark.parametrize("name", BACKENDS)
def test_no_backend_knows_another(name: str) -> None:
    own = f"imagegen.backends.{name}"
    others = {module for module, _ in BACKENDS.values()} - {own}
    files = [each for each in FILES if f"{module_of(each)}.".startswith(f"{own}.")]
    known_to = {each.module for file in files for each in IMPORTS[file]}
    assert {module for module in known_to if module in others} == set()
