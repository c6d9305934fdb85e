"""Every setting that counts, in words, with where it comes from; never a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from attrs import fields, frozen

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.config import places
from imagegen.config.environment import limits_variable
from imagegen.config.faults import dotted
from imagegen.config.layers import Setting
from imagegen.config.loading import Examination
from imagegen.config.providers import COMMON, option_kinds
from imagegen.config.settings import ledger, named
from imagegen.config.tables import DEFAULTS
from imagegen.defaults import Defaults
from imagegen.errors import ConfigurationError
from imagegen.limits import Limits
from imagegen.pricing import Price
from imagegen.purchase.routing import Route

DEFAULT = "default"


@frozen
class Row:
    """One setting: its dotted key, its value, and where it comes from.

    `value` is what JSON says of it: amounts of money, paths and whatever has parts are text.
    `source` is ``file:line``, the name of a variable, or begins with ``default``.
    """

    key: str
    value: str | float | bool | list[str] | None
    source: str

    @property
    def words(self) -> str:
        """The value as people read it."""
        match self.value:
            case None:
                return "-"
            case bool():
                return "true" if self.value else "false"
            case list():
                return ", ".join(self.value)
            case _:
                return str(self.value)


def rows(found: Examination, environ: Mapping[str, str], timeout: float) -> tuple[Row, ...]:
    """What counts; *timeout* is a client's own where no file names one."""
    return (
        *_defaults(found, timeout),
        *(row for name in backends.names() for row in _provider(name, found, environ)),
        *_routes(found),
        *_tables(found, "budget"),
        *_ledger(found, environ),
        *_tables(found, "prices"),
    )


def _defaults(found: Examination, timeout: float) -> Iterator[Row]:
    said = named(found.effective, "defaults")
    usual = Defaults()
    for name in DEFAULTS:
        value = timeout if name == "timeout" else getattr(usual, name)
        yield _row(("defaults", name), said.get(name), value, DEFAULT)


def _provider(name: str, found: Examination, environ: Mapping[str, str]) -> Iterator[Row]:
    key = ("providers", name)
    try:
        cls = backends.load(name)
    except ConfigurationError as error:
        yield Row(dotted(key), error.message, "its package")
        return
    said = named(found.effective, *key)
    yield key_row(name, found, environ)
    yield _usual((*key, "host"), said, cls.default_host, environ, cls.host_variable)
    yield _usual((*key, "limits"), said, None, environ, limits_variable(name))
    usual = {each.alias or each.name: each.default for each in fields(cls)}
    for option in option_kinds(cls):
        if option not in COMMON:
            yield _row((*key, option), said.get(option), usual[option], DEFAULT)


def key_row(name: str, found: Examination, environ: Mapping[str, str]) -> Row:
    """Whether the backend called *name* has a key, and where from."""
    key = dotted(("providers", name, "key"))
    said = named(found.effective, "providers", name).get("key")
    made = found.settings.backends[name]
    there = isinstance(made, Backend) and made.api_key is not None
    if said is not None:
        words = f"set (from {said.value})" if there else f"not set ({said.value})"
        return Row(key, words, str(said.place))
    variable = backends.load(name).key_variable
    if environ.get(variable, "").strip():
        return Row(key, f"set (from {variable})", variable)
    return Row(key, "not set", DEFAULT)


def _usual(
    key: tuple[str, ...],
    said: Mapping[str, Setting],
    value: object,
    environ: Mapping[str, str],
    variable: str,
) -> Row:
    """What a file says, else the variable, else *value*."""
    told = environ.get(variable, "").strip()
    return _row(key, said.get(key[-1]), told or value, variable if told else DEFAULT)


def _routes(found: Examination) -> Iterator[Row]:
    """What each route says that is not usual."""
    for name, said in sorted(named(found.effective, "routes").items()):
        for attribute in fields(Route):
            value = getattr(said.value, attribute.name)
            if value != attribute.default:
                key = dotted(("routes", name, attribute.name))
                yield Row(key, _plain(value), str(said.place))


def _tables(found: Examination, table: str) -> Iterator[Row]:
    for unit, setting in sorted(found.effective.items(), key=lambda item: item[0]):
        if unit[0] == table:
            yield _row(unit, setting, None, DEFAULT)


def _ledger(found: Examination, environ: Mapping[str, str]) -> Iterator[Row]:
    place, source = ledger(found.effective, environ)
    if place is None:
        place, source = places.usual_ledger(), f"{DEFAULT} (for the command)"
    yield Row("ledger.path", str(place), source)
    prompts = found.effective.get(("ledger", "prompts"))
    yield _row(("ledger", "prompts"), prompts, True, DEFAULT)  # noqa: FBT003 - the usual value


def _row(key: tuple[str, ...], said: Setting | None, value: object, source: str) -> Row:
    if said is not None:
        return Row(dotted(key), _plain(said.value), str(said.place))
    return Row(dotted(key), _plain(value), source)


def _plain(value: Any) -> str | float | bool | list[str] | None:
    match value:
        case None | bool() | int() | float():
            return value
        case tuple() | list():
            return [getattr(each, "__name__", str(each)) for each in cast("list[object]", value)]
        case Limits():
            return f"{value.per_minute or '-'} a minute, {value.in_flight or '-'} in flight"
        case Price():
            words = f"{value.amount:f} {value.currency} per {value.per}"
            return f"{words} ({value.source}, {value.as_of})"
        case _:
            return str(value).removeprefix("the ")
