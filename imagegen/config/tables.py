"""What may stand in each table, and reading its values strictly: nothing is coerced."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, NewType, get_args, get_origin

from cattrs import Converter

from imagegen.backends.base import Fit, Unsupported
from imagegen.defaults import LONGEST_TIMEOUT
from imagegen.errors import ConfigurationError
from imagegen.purchase.buying import OnUnknown
from imagegen.purchase.routing import Strategy

LARGEST_NUMBER = 1e300
Currency = NewType("Currency", str)
"""An ISO 4217 code."""

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "model": str,
        "timeout": float,
        "max_cost": Decimal,
        "fit": Fit,
        "unsupported": Unsupported,
        "provenance": bool,
    }
)
ROUTE: Mapping[str, Any] = MappingProxyType(
    {
        "models": list[str],
        "strategy": Strategy,
        "fallback_on": list[str],
        "max_cost": Decimal,
        "on_unknown": OnUnknown,
        "weights": list[float],
    }
)
BUDGET: Mapping[str, Any] = MappingProxyType(
    {"amount": Decimal, "currency": Currency, "per": Literal["day", "total"]}
)
LEDGER: Mapping[str, Any] = MappingProxyType({"path": str, "prompts": bool})
LIMITS: Mapping[str, Any] = MappingProxyType({"per_minute": int, "in_flight": int})
PRICE: Mapping[str, Any] = MappingProxyType(
    {
        "model": str,
        "amount": Decimal,
        "currency": Currency,
        "per": Literal["image", "call"],
        "as_of": date,
        "source": str,
    }
)

_WORDS: Mapping[type, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
    datetime: "a date with a time",
    date: "a date such as 2026-11-01, without quotes",
    Decimal: 'an amount in quotes, such as "0.05"',
}


def value(given: object, kind: Any) -> Any:
    """Read *given* as *kind*.

    Raises:
        ConfigurationError: it is something else. The message does not quote it.
    """
    try:
        return _converter.structure(given, kind)
    except ConfigurationError:
        raise
    except Exception:  # noqa: BLE001 - the types of other people's backends can raise anything
        words = f"it cannot be {word_for(type(given))}"
    raise ConfigurationError(words, advice="See the documentation of that setting")


def word_for(kind: type) -> str:
    """What a TOML value of *kind* is called."""
    return _WORDS.get(kind, "a time" if kind.__name__ == "time" else kind.__name__)


def wrong_kind(given: object, kind: type) -> ConfigurationError:
    """The error for a value of another kind, which it does not quote: it may be a key."""
    fix = f"Write {_WORDS[kind]}"
    return ConfigurationError(f"it is {word_for(type(given))}, not {_WORDS[kind]}", advice=fix)


def seconds(given: float) -> float:
    """Check a timeout.

    Raises:
        ConfigurationError: it is not above 0, or longer than a client may wait.
    """
    if not 0 < given <= LONGEST_TIMEOUT:
        raise ConfigurationError(
            f"a timeout is above 0 and at most {LONGEST_TIMEOUT} seconds",
            advice="Write seconds, such as 300",
        )
    return float(given)


def _exactly(kind: type, *also: type) -> Callable[[object, Any], Any]:
    def check(given: object, _: Any) -> Any:
        if type(given) in (kind, *also):
            return given
        raise wrong_kind(given, kind)

    return check


def _amount(given: object, _: Any) -> Decimal:
    if not isinstance(given, (str, int)) or isinstance(given, bool):
        raise wrong_kind(given, Decimal)
    match = re.fullmatch(r"(-?)\d{1,12}(\.\d{1,12})?", str(given), re.ASCII)
    if match is None:
        fix = 'Write digits and a point, such as "0.05"'
        raise ConfigurationError("it is no amount of money", advice=fix)
    if match[1]:
        fix = 'Write 0 or more, such as "0.05"'
        raise ConfigurationError("it must not be negative", advice=fix)
    return Decimal(given)


def _number(given: object, _: Any) -> float:
    if not isinstance(given, (int, float)) or isinstance(given, bool):
        raise wrong_kind(given, float)
    if not -LARGEST_NUMBER < given < LARGEST_NUMBER:  # false for nan too
        raise ConfigurationError("no number may be that large", advice="Write a smaller one")
    return given


def _currency(given: object, _: Any) -> str:
    if not isinstance(given, str):
        raise wrong_kind(given, str)
    if not re.fullmatch(r"[A-Z]{3}", given):
        raise ConfigurationError("it is no currency", advice='Write a code such as "USD"')
    return given


def _is_list(kind: Any) -> bool:
    return get_origin(kind) in (list, tuple)


def _list(kind: Any, converter: Converter) -> Callable[[object, Any], Any]:
    item, collect = get_args(kind)[0], get_origin(kind)

    def read(given: object, _: Any) -> Any:
        if not isinstance(given, list):
            raise wrong_kind(given, list)
        return collect(converter.structure(each, item) for each in given)

    return read


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _choice(kind: Any, _: Converter) -> Callable[[object, Any], Any]:
    allowed = get_args(kind)
    *first, last = (json.dumps(each) for each in allowed)
    fix = f"Write {', '.join(first)} or {last}" if first else f"Write {last}"
    kinds = {type(each) for each in allowed}

    def read(given: object, _: Any) -> Any:
        if type(given) not in kinds:
            words = wrong_kind(given, type(allowed[0])).message
            raise ConfigurationError(words, advice=fix)
        if given not in allowed:
            raise ConfigurationError("there is no such choice", advice=fix)
        return given

    return read


def _strict() -> Converter:
    converter = Converter(detailed_validation=False)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook_func(lambda kind: kind is date, _exactly(date))
    converter.register_structure_hook_func(lambda kind: kind is dict, _exactly(dict))
    converter.register_structure_hook_func(lambda kind: kind is Currency, _currency)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Decimal, _amount)
    converter.register_structure_hook_factory(_is_list)(_list)
    converter.register_structure_hook_factory(_is_choice)(_choice)
    return converter


_converter = _strict()
