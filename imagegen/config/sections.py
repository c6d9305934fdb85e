"""A document as layers of settings: one for its tables, one for each of its profiles.

Every value is made by the class that will use it, so that what is wrong is found where it stands.
What a file of the working directory may not say, `trust` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from imagegen import errors
from imagegen.config.faults import Key, dotted, one_of
from imagegen.config.layers import Layer, Setting, Unit
from imagegen.config.places import OFF
from imagegen.config.prices import prices
from imagegen.config.providers import COMMON, doubt_model, options, provider_of
from imagegen.config.reader import Reader
from imagegen.config.tables import BUDGET, DEFAULTS, LEDGER, PRICE, ROUTE, seconds, value
from imagegen.config.trust import allowed_on_unknown, allowed_table
from imagegen.defaults import Defaults
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.purchase.routing import Route
from imagegen.redaction import brief

Said: TypeAlias = Iterator[tuple[Unit, Key, Any]]

_AHEAD = timedelta(days=1)
"""By how much a day can be ahead of UTC's."""
_WEIGHTS = "Write weights = [1, 2], a number above 0 for each model"


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
    trusted, before = reader.document.trusted, len(reader.doubts)
    settings: dict[Unit, Setting] = {}
    for name, given in tables.items():
        key = (*prefix, name)
        if name not in _SECTIONS:
            _unknown(reader, prefix, name)
            continue
        if reader.built(key, allowed_table, name, trusted=trusted):
            for unit, place, read in _SECTIONS[name](reader, key, given):
                settings[unit] = Setting(read, reader.document.place(place))
    routes = frozenset(_names(tables.get("routes")))
    return Layer(trusted, profile, settings, routes, tuple(reader.doubts[before:]))


def _unknown(reader: Reader, prefix: Key, name: str) -> None:
    """Refuse *name*; a key that some table has is told where it belongs."""
    within = f"{dotted(prefix)}." if prefix else ""
    tables = [form.format(within) for form, kinds in _FORMS.items() if name in kinds]
    known = [*_SECTIONS, *([] if prefix else ["profiles"])]
    fix = f"It belongs under {' or '.join(tables)}" if tables else one_of(known, name)
    reader.fault((*prefix, name), "there is no such key", fix)


def _names(table: object) -> Iterable[str]:
    return cast("Mapping[str, Any]", table) if isinstance(table, Mapping) else ()


def _defaults(reader: Reader, key: Key, given: object) -> Said:
    for name, said in reader.table(key, given).items():
        place = (*key, name)
        if reader.known(place, DEFAULTS):
            read = reader.built(place, _default, name, said, reader.providers)
            if read is not None:
                if name == "model" and ":" in read:
                    doubt_model(reader, place, read)
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
    check = partial(_route_field, known=reader.providers, trusted=reader.document.trusted)
    for name, table in reader.table(key, given).items():
        place = (*key, name)
        fields = reader.fields(place, table, ROUTE, {"models": '["minimax:image-01"]'}, check)
        if fields is None:
            continue
        route = reader.built(place, _route, name, fields)
        if route:
            for model in route.models:
                doubt_model(reader, (*place, "models"), model)
            yield ("routes", name), place, route


def _route_field(name: str, read: Any, *, known: Collection[str], trusted: bool) -> Any:
    match name:
        case "models":
            _check_models(read, known)
        case "fallback_on":
            return [_error_class(each) for each in read]
        case "on_unknown":
            return allowed_on_unknown(read, trusted=trusted)
        case "weights" if not all(each > 0 for each in read):
            raise ConfigurationError("a weight is above 0", advice=_WEIGHTS)
        case _:
            pass
    return read


def _check_models(names: Sequence[str], known: Collection[str]) -> None:
    if not names:
        raise ConfigurationError("it is empty", advice='Write models = ["minimax:image-01"]')
    for number, name in enumerate(names):
        provider_of(name, known)
        if name in names[:number]:
            raise ConfigurationError(f"{brief(name)} is there twice", advice="Name each model once")


def _route(name: str, fields: Mapping[str, Any]) -> Route:
    if not name.strip() or ":" in name:
        raise ConfigurationError(
            "this cannot be a route's name", advice="Name it in words without a colon"
        )
    weights, weighted = fields.get("weights"), fields.get("strategy") == "weighted"
    if weighted and weights is None:
        raise ConfigurationError("it needs weights", advice=_WEIGHTS, field="strategy")
    if weights is not None and not weighted:
        words, fix = 'they need strategy = "weighted"', "Write that too, or leave them out"
        raise ConfigurationError(words, advice=fix, field="weights")
    if weights is not None and len(weights) != len(fields["models"]):
        words = f"there are {len(weights)} for {len(fields['models'])} models"
        raise ConfigurationError(words, advice=_WEIGHTS, field="weights")
    return Route(**fields)


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
    fields = reader.fields(key, given, BUDGET, {"amount": '"5.00"'})
    if fields is not None:
        from imagegen.ledger import Budget  # noqa: PLC0415 - SQLite is loaded only for a budget

        yield ("budget",), key, Budget(**fields)


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
    if isinstance(read, bool):
        return read
    if read.strip().lower() == OFF:
        return OFF
    try:
        path = folder / Path(read).expanduser()
    except RuntimeError:
        path = None
    if path is None or not read.strip() or "\0" in read:
        raise ConfigurationError("it is no path", advice='Write a path, or "off" for no ledger')
    return path


def _prices(reader: Reader, key: Key, given: object) -> Said:
    check = partial(_price_field, known=reader.providers)
    for model, place, price in prices(reader, key, given, check):
        doubt_model(reader, (*place, "model"), model)
        yield ("prices", model), place, price


def _price_field(name: str, read: Any, *, known: Collection[str]) -> Any:
    if name == "model":
        provider_of(read, known)
    if name == "as_of" and read > datetime.now(UTC).date() + _AHEAD:
        fix = "Write the day on which it was so"
        raise ConfigurationError("this day is yet to come", advice=fix)
    return read


_SECTIONS: Mapping[str, Callable[[Reader, Key, object], Said]] = {
    "defaults": _defaults,
    "providers": _providers,
    "routes": _routes,
    "budget": _budget,
    "ledger": _ledger,
    "prices": _prices,
}
_FORMS: Mapping[str, Collection[str]] = {
    "[{}defaults]": DEFAULTS,
    "[{}providers.NAME]": COMMON,
    "[{}routes.NAME]": ROUTE,
    "[{}budget]": BUDGET,
    "[{}ledger]": LEDGER,
    "[[{}prices]]": PRICE,
}
"""What the header of each kind of table looks like, and the keys that it can have."""
