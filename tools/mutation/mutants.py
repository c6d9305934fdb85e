"""The mutants of a file: every change that mutmut's operators make, wherever it can be run.

A text is changed in one way, not also in its case. mutmut's own runner leaves out decorated
functions, class bodies and constants. Tables of codes and validators of values are just that, so
here each change is made to the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import libcst
from attrs import field, frozen
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

FOR_TYPE_CHECKERS = {"Callable", "Flow", "Literal", "tuple"}
NEVER_WITHOUT = {"len", "isinstance", "TypeVar"}
"""Calls that no argument can be taken from without an error, or that only type checkers read."""


@frozen
class Mutant:
    """One change to one file.

    Attributes:
        file: relative to the root of the project.
        line: where the change begins, from 1.
        statement: where the statement around it begins.
        within: qualified name of the function whose body it is in; None: it shows at import.
        scope: the lines of that function.
        before: the line, without indentation.
        change: what stood there, and what stands there now.
        source: the whole file, changed.
    """

    file: str
    line: int
    statement: int
    within: str | None
    scope: range
    before: str
    change: str
    source: str = field(repr=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What stays the same while lines come and go above it."""
        return self.file, self.before, self.change


@frozen
class _Place:
    """A node, and the function whose body it is in."""

    node: libcst.CSTNode
    statement: libcst.CSTNode
    body: libcst.CSTNode | None = None
    within: str | None = None


def mutants(root: Path, file: str) -> list[Mutant]:
    """Make every mutant of *file*, in the order of its lines."""
    text = (root / file).read_text(encoding="utf-8")
    wrapper = MetadataWrapper(libcst.parse_module(text))
    positions = wrapper.resolve(PositionProvider)
    lines = text.splitlines()
    made: dict[str, Mutant] = {}
    for place in _places(_Place(wrapper.module, wrapper.module), ()):
        for changed in _changes(place.node):
            source = cast("libcst.Module", wrapper.module.deep_replace(place.node, changed)).code
            line = positions[place.node].start.line
            statement = positions[place.statement].start.line
            change = f"{_shown(place.node)} → {_shown(changed)}"
            before = lines[line - 1].strip()
            scope = _lines(positions[place.body]) if place.body else range(0)
            mutant = Mutant(file, line, statement, place.within, scope, before, change, source)
            if _compiles(source):
                made.setdefault(source, mutant)
    return sorted(made.values(), key=lambda mutant: mutant.line)


def _lines(position: Any) -> range:
    return range(position.start.line + 1, position.end.line + 1)


def _changes(node: libcst.CSTNode) -> Iterator[libcst.CSTNode]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            found = operator(node)
            yield from islice(found, 1) if operator is operator_string else found


def _places(place: _Place, names: tuple[str, ...]) -> Iterator[_Place]:
    node = place.node
    if _without_effect(node):
        return
    yield place
    if isinstance(node, (libcst.ClassDef, libcst.FunctionDef)):
        names = (*names, node.name.value)
    for child in node.children:
        body, within = place.body, place.within
        if isinstance(node, libcst.FunctionDef) and child is node.body and body is None:
            body, within = child, ".".join(names)
        begins = isinstance(child, (libcst.SimpleStatementLine, libcst.BaseCompoundStatement))
        statement = child if begins else place.statement
        yield from _places(_Place(child, statement, body, within), names)


def _without_effect(node: libcst.CSTNode) -> bool:
    if isinstance(node, libcst.Annotation):
        return True
    if isinstance(node, libcst.Assign):
        return _without_effect(node.value)
    if isinstance(node, libcst.AnnAssign):
        return _name(node.annotation.annotation) == "TypeAlias"
    if isinstance(node, libcst.Subscript):
        return _name(node.value) in FOR_TYPE_CHECKERS
    if isinstance(node, libcst.If):
        return _name(node.test) == "TYPE_CHECKING"
    return isinstance(node, libcst.Call) and _name(node.func) in NEVER_WITHOUT


def _name(node: libcst.CSTNode) -> str | None:
    return node.value if isinstance(node, libcst.Name) else None


def _shown(node: libcst.CSTNode) -> str:
    text = re.sub(r"\s+", " ", libcst.Module([]).code_for_node(node)).strip()
    return text if len(text) <= 120 else f"{text[:80]} … {text[-37:]}"


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True
