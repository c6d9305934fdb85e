"""A document as layers of settings: one for its tables, one for each of its profiles.

Every value is made by the class that will use it, so that what is wrong is found where it stands.
What a file of the working directory may not say is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeAlias, TypeVar, cast

from attrs import frozen

from imagegen import errors
from imagegen.config import places
from imagegen.config.faults import Key, Place, one_of
from imagegen.config.prices import prices
from imagegen.config.providers import options, provider_of
from imagegen.config.reader import Reader
from imagegen.config.tables import BUDGET, DEFAULTS, LEDGER, ROUTE, seconds, value
from imagegen.defaults import Defaults
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.redaction import brief, printable
from imagegen.routing import Route

if TYPE_CHECKING:
    from imagegen.ledger import Budget

P = ParamSpec("P")
T = TypeVar("T")
Unit: TypeAlias = tuple[str, ...]
"""What one layer replaces as a whole in another: a table's name, and mostly a key or a name."""

OFF: Literal["off"] = "off"
_REFUSED = {
    "providers": "it says to whom your keys are sent",
    "ledger": "it says what a budget is counted on",
    "prices": "it says what a budget is charged",
}


@frozen
class Setting:
    """A value and where it is said."""

    value: Any
    place: Place


@frozen
class Layer:
    """The settings of one file, or of one of its profiles.

    `routes` has the names of those that are wrong too.
    """

    trusted: bool
    profile: str | None
    settings: Mapping[Unit, Setting]
    routes: frozenset[str]


Said: TypeAlias = Iterator[tuple[Unit, Key, Any]]


def layers_of(reader: Reader) -> list[Layer]:
    """The layers of the reader's document; *reader* keeps what is wrong with it."""
    tables = dict(reader.document.tables)
    profiles = reader.table(("profiles",), tables.pop("profiles", {}))
    base = _layer(reader, (), tables, None)
    return [base, *(_profile(reader, name, given) for name, given in profiles.items())]


def _profile(reader: Reader, name: str, given: object) -> Layer:
    key = ("profiles", name)
    return _layer(reader, key, reader.table(key, given), name)


def _layer(reader: Reader, prefix: Key, tables: Mapping[str, Any], profile: str | None) -> Layer:
    trusted = reader.document.trusted
    settings: dict[Unit, Setting] = {}
    known = _SECTIONS if profile is not None else {**_SECTIONS, "profiles": None}
    for name, given in tables.items():
        key = (*prefix, name)
        if not reader.known(key, known):
            continue
        if name in _REFUSED and not trusted:
            _refuse(reader, key, _REFUSED[name])
            continue
        for unit, place, read in _SECTIONS[name](reader, key, given):
            settings[unit] = Setting(read, reader.document.place(place))
    return Layer(trusted, profile, settings, frozenset(_names(tables.get("routes"))))


def _names(table: object) -> Iterable[str]:
    return cast("Mapping[str, Any]", table) if isinstance(table, Mapping) else ()


def _refuse(reader: Reader, key: Key, why: str) -> None:
    own = printable(str(places.user_config()))
    fix = f"Move it to {own}, or name this file with --config or IMAGEGEN_CONFIG"
    reader.fault(key, f"a file of the working directory may not set this: {why}", fix)


def _defaults(reader: Reader, key: Key, given: object) -> Said:
    for name, said in reader.table(key, given).items():
        place = (*key, name)
        if reader.known(place, DEFAULTS):
            read = reader.built(place, _default, name, said, reader.providers)
            if read is not None:
                yield ("defaults", name), place, read


def _default(name: str, said: object, known: Collection[str]) -> Any:
    read = value(said, DEFAULTS[name])
    if name == "timeout":
        return seconds(read)
    if name == "model" and ":" in read:
        provider_of(read, known)
    return getattr(Defaults(**{name: read}), name)


def _providers(reader: Reader, key: Key, given: object) -> Said:
    for name, option, place, read in options(reader, key, given):
        yield ("providers", name, option), place, read


def _routes(reader: Reader, key: Key, given: object) -> Said:
    for name, table in reader.table(key, given).items():
        place = (*key, name)
        fields = reader.fields(place, table, ROUTE, required=frozenset({"models"}))
        if fields is None:
            continue
        route = reader.built(place, _route, name, fields, reader.providers)
        if route and route.on_unknown == "spend" and not reader.document.trusted:
            _refuse(reader, (*place, "on_unknown"), "it would pay twice without asking you")
        elif route:
            yield ("routes", name), place, route


def _route(name: str, fields: Mapping[str, Any], known: Collection[str]) -> Route:
    if not name.strip() or ":" in name:
        raise ConfigurationError(
            "this cannot be a route's name", advice="Name it in words without a colon"
        )
    for model in fields["models"]:
        _blamed("models", provider_of, model, known)
    given = dict(fields)
    if "fallback_on" in given:
        names = given["fallback_on"]
        given["fallback_on"] = [_blamed("fallback_on", _error_class, each) for each in names]
    return Route(**given)


def _blamed(field: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What *read* makes of the rest; its error is about *field*."""
    try:
        return read(*args, **kwargs)
    except ImageGenError as error:
        error.field = field
        raise


def _error_class(name: str) -> type[ImageGenError]:
    known = {
        each: kind
        for each, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, ImageGenError)
    }
    if name not in known:
        raise ConfigurationError(f"no error is called {brief(name)}", advice=one_of(known, name))
    return known[name]


def _budget(reader: Reader, key: Key, given: object) -> Said:
    fields = reader.fields(key, given, BUDGET, required=frozenset({"amount"}))
    if fields is not None:
        budget = reader.built(key, _made_budget, fields)
        if budget is not None:
            yield ("budget",), key, budget


def _made_budget(fields: Mapping[str, Any]) -> Budget:
    from imagegen.ledger import Budget  # noqa: PLC0415 - SQLite is loaded only for a budget

    for name, read in fields.items():
        alone: dict[str, Any] = {"amount": 0, name: read}
        _blamed(name, Budget, **alone)
    return Budget(**fields)


def _ledger(reader: Reader, key: Key, given: object) -> Said:
    for name, said in reader.table(key, given).items():
        place = (*key, name)
        if reader.known(place, LEDGER):
            read = reader.built(place, _kept, said, LEDGER[name], reader.document.file.parent)
            if read is not None:
                yield ("ledger", name), place, read


def _kept(said: object, kind: type, folder: Path) -> bool | str | Path:
    """A setting of the ledger; a path is from the file's own folder."""
    read: bool | str = value(said, kind)
    if isinstance(read, bool) or read == OFF:
        return read
    try:
        path = folder / Path(read).expanduser()
    except RuntimeError:
        path = None
    if path is None or not read.strip() or "\0" in read:
        raise ConfigurationError("it is no path", advice='Write a path, or "off" for no ledger')
    return path


def _prices(reader: Reader, key: Key, given: object) -> Said:
    for model, place, price in prices(reader, key, given):
        if reader.built((*place, "model"), provider_of, model, reader.providers):
            yield ("prices", model), place, price


_SECTIONS: Mapping[str, Callable[[Reader, Key, object], Said]] = {
    "defaults": _defaults,
    "providers": _providers,
    "routes": _routes,
    "budget": _budget,
    "ledger": _ledger,
    "prices": _prices,
}
