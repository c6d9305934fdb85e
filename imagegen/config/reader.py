"""Reading a document's tables, gathering every fault instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar, cast

from imagegen import backends
from imagegen.config.document import Document
from imagegen.config.faults import Doubt, Fault, Key, one_of
from imagegen.config.tables import value, wrong_kind
from imagegen.errors import ImageGenError

P = ParamSpec("P")
T = TypeVar("T")
NOTHING: Mapping[str, str] = MappingProxyType({})
OTHERWISE = "Change it, or leave it out"


def as_read(_: str, read: Any) -> Any:
    """Take a field as it was read."""
    return read


class Reader:
    """One document and what was found wrong or doubtful in it so far.

    `providers` are the names of those that are installed.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.providers = backends.names()
        self.models: dict[str, frozenset[str]] = {}
        self.faults: list[Fault] = []
        self.doubts: list[Doubt] = []

    def fault(self, key: Key, problem: str, fix: str) -> None:
        """Note what is wrong at *key*."""
        self.faults.append(self.document.place(key).fault(problem, fix))

    def doubt(self, key: Key, problem: str, fix: str) -> None:
        """Note what is not well at *key*."""
        self.doubts.append(self.document.place(key).doubt(problem, fix))

    def built(self, key: Key, build: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What *build* makes of the rest; None, and a fault, if it raises.

        The fault is at the field that the error names, if that stands in the table at *key*.
        """
        try:
            return build(*args, **kwargs)
        except ImageGenError as error:
            within = (*key, *([error.field] if error.field else []))
            there = within if self.document.has(within) else key
            self.fault(there, error.message, error.advice or OTHERWISE)
        except Exception as error:  # noqa: BLE001 - other people's backends can raise anything
            self.fault(key, f"it is refused ({type(error).__name__})", OTHERWISE)
        return None

    def table(self, key: Key, given: object) -> Mapping[str, Any]:
        """*given*, if it is a table; else nothing, and a fault."""
        if isinstance(given, Mapping):
            return cast("Mapping[str, Any]", given)
        error = wrong_kind(given, dict)
        self.fault(key, error.message, error.advice)
        return {}

    def fields(
        self,
        key: Key,
        given: object,
        kinds: Mapping[str, Any],
        required: Mapping[str, str] = NOTHING,
        alone: Callable[[str, Any], Any] = as_read,
    ) -> dict[str, Any] | None:
        """The values of the table at *key*, each of its kind; None if any of them is wrong.

        *required* has an example of each that may not be missing. *alone* makes of each name and
        value, by itself, what is kept, or raises an ImageGenError.
        """
        before = len(self.faults)
        table = self.table(key, given)
        read = {name: self._field((*key, name), table[name], kinds, alone) for name in table}
        for name in sorted(required.keys() - table.keys()):
            if isinstance(given, Mapping):
                self.fault((*key, name), "it is missing", f"Write {name} = {required[name]}")
        return read if len(self.faults) == before else None

    def known(self, key: Key, kinds: Mapping[str, Any]) -> bool:
        """Whether the last part of *key* is one of *kinds*; else a fault."""
        name = str(key[-1])
        if name not in kinds:
            self.fault(key, "there is no such key", one_of(kinds, name))
        return name in kinds

    def _field(
        self,
        key: Key,
        given: object,
        kinds: Mapping[str, Any],
        alone: Callable[[str, Any], Any],
    ) -> Any:
        name = str(key[-1])
        if not self.known(key, kinds):
            return None
        return self.built(key, lambda: alone(name, value(given, kinds[name])))
