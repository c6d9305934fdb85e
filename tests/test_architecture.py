"""Which module may import which: the rules that keep backends free of I/O and HTTP in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

import imagegen

ROOT = Path(imagegen.__file__).parent
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.rglob("*.py"))
}
BACKENDS = [name for name in FILES if name.startswith("backends/")]
PURE = [
    "account",
    "capabilities",
    "codec",
    "purchase/comparison",
    "defaults",
    "pictures/download",
    "flow",
    "purchase/joining",
    "purchase/orders",
    "purchase/plans",
    "purchase/planning",
    "pricing",
    "pictures/provenance",
    "request",
    "result",
]
INPUT_OUTPUT = {"httpx", "asyncio", "time", "os", "random", "socket", "threading"}
LOCKS = {"threading.Lock", "threading.RLock"}  # what flows share, threads share too
BENEATH_BACKENDS = {
    "flow",
    "request",
    "result",
    "distribution",
    "errors",
    "events",
    "limits",
    "pricing",
    "redaction",
    "codec",
    "addresses",
    "media",
    "backends",
}
KNOW_HTTP = ("net/", "sandbox/")
BY_NAME = ("client/aio.py", "client/blocking.py", "drivers/__init__.py")
"""What takes an httpx transport, and so names its type."""
MAY_IMPORT_CLIENT = ("cli/", "sandbox/", "testing/")


@frozen
class Import:
    """One imported module, and whether only type checkers see it."""

    module: str
    for_types: bool

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    @property
    def ours(self) -> str | None:
        """The module directly under `imagegen`; None for another package's."""
        parts = self.module.split(".")
        return parts[1] if parts[0] == "imagegen" and len(parts) > 1 else None


def imports(name: str) -> list[Import]:
    return list(found(ast.parse(FILES[name]), for_types=False))


def found(node: ast.AST, *, for_types: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, for_types) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        module = node.module or ""
        names = (
            [f"{module}.{alias.name}" for alias in node.names]
            if module in {ROOT.name, "threading"}
            else []
        )
        yield from (Import(imported, for_types) for imported in names or [module])
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        for statement in node.body:
            yield from found(statement, for_types=True)
        for statement in node.orelse:
            yield from found(statement, for_types=for_types)
    else:
        for child in ast.iter_child_nodes(node):
            yield from found(child, for_types=for_types)


def importing(module: str) -> dict[str, list[Import]]:
    """Every file that imports *module* or a part of it, with how."""
    wanted = {name: [i for i in imports(name) if is_in(i.module, module)] for name in FILES}
    return {name: hits for name, hits in wanted.items() if hits}


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_the_rules_are_checked_on_the_real_files() -> None:
    assert {"backends/minimax/__init__.py", "backends/wavespeed/__init__.py"} <= set(BACKENDS)
    assert {f"{name}.py" for name in PURE} <= FILES.keys()
    assert "sandbox/transport.py" in importing("httpx")
    assert "testing/clock.py" in importing("imagegen.drivers")


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_rests_on_values_only(name: str) -> None:
    assert {i.ours for i in imports(name) if i.ours} <= BENEATH_BACKENDS


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_has_no_clock_socket_or_chance(name: str) -> None:
    assert not {i.top for i in imports(name) if i.module not in LOCKS} & INPUT_OUTPUT


@pytest.mark.parametrize("name", PURE)
def test_what_decides_does_no_input_or_output(name: str) -> None:
    assert not {i.top for i in imports(f"{name}.py")} & {"httpx", "asyncio", "time", "os"}


def test_only_the_network_and_the_sandbox_know_the_http_library() -> None:
    others = {
        name: hits for name, hits in importing("httpx").items() if not name.startswith(KNOW_HTTP)
    }
    assert sorted(others) == sorted(BY_NAME)
    assert all(hit.for_types for hits in others.values() for hit in hits)


@pytest.mark.parametrize(
    "library", ["httpcore", "requests", "urllib.request", "http.client", "socket"]
)
def test_no_other_way_to_the_network_leads_around_it(library: str) -> None:
    assert [name for name in importing(library) if not name.startswith(KNOW_HTTP)] == []


def test_only_the_drivers_stand_on_the_network() -> None:
    outside = {
        name
        for name, hits in importing("imagegen.net").items()
        if not name.startswith("net/") and any(hit.module != "imagegen.net.engine" for hit in hits)
    }
    assert outside == {"drivers/__init__.py", "drivers/exchanges.py"}


def test_the_client_is_on_top() -> None:
    others = {
        name: hits
        for name, hits in importing("imagegen.client").items()
        if not name.startswith((*MAY_IMPORT_CLIENT, "client/"))
    }
    assert list(others) == ["__init__.py"]
    assert all(hit.for_types for hit in others["__init__.py"])


@pytest.mark.parametrize("module", ["imagegen.cli", "imagegen.sandbox", "imagegen.testing"])
def test_the_library_does_not_rest_on_its_tools(module: str) -> None:
    tools = ("cli/", "sandbox/", "testing/")
    assert [name for name in importing(module) if not name.startswith(tools)] == []


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_at_most_400_lines(name: str) -> None:
    assert len(FILES[name].splitlines()) <= 400
