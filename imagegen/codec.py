"""JSON in and out, strictly: nothing is coerced, everything is bounded.

`decode` reads a provider's bytes into plain JSON values; `structure` turns those into attrs
values; `dumps` and `loads` write and read our own. A field that is not known is ignored: a
provider may add one, and so may a later version of imagegen to a stored job.
"""

from __future__ import annotations

import base64
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

from attrs import asdict, frozen, has
from cattrs import BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.v import format_exception

from imagegen.errors import InvalidRequestError, MalformedReplyError
from imagegen.request import ReferenceImage, Role, Size
from imagegen.result import Generation

T = TypeVar("T")

DEPTH = 32
"""Nested arrays and objects that a reply may have; real ones have fewer than ten."""
VALUES = 200_000
"""Values in one reply; a listing of every model has some tens of thousands."""
DIGITS = 40
"""Characters of one number; 64-bit integers have twenty."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _decimal(digits: str) -> Decimal:
    _require_short(digits)
    return Decimal(digits)


def decode(
    body: bytes,
    real: Callable[[str], Any] = _decimal,
    *,
    pictures: Mapping[str, bytes] | None = None,
) -> Any:
    """Read *body* as JSON; *real* reads decimals, exactly unless told otherwise.

    The bytes in *pictures* (see `imagegen.flow.Reply`) take the place of their names.

    Raises:
        MalformedReplyError: not UTF-8 JSON, NaN or Infinity, too deep, too many values, too many
            digits, or a lone surrogate.
    """
    try:
        plain = _check_marks(body)
        value = _decoder(real).decode(str(body.removeprefix(BOM_UTF8), "utf-8"))
        if plain:
            _check_depth(value)
        else:
            _check_bounds(value)
    except (ValueError, RecursionError, ArithmeticError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise MalformedReplyError(f"the reply is not usable JSON: {reason}") from None
    return _filled(value, pictures) if pictures else value


@lru_cache(maxsize=8)
def _decoder(real: Callable[[str], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(parse_int=_integer, parse_float=real, parse_constant=_refused)


def _filled(value: Any, pictures: Mapping[str, bytes]) -> Any:
    """Put bytes in the place of their names; a field's name is never a picture."""
    if isinstance(value, str):
        return pictures.get(value, value)
    if isinstance(value, list):
        return [_filled(item, pictures) for item in value]
    if isinstance(value, dict):
        return {_worded(name, pictures): _filled(value[name], pictures) for name in value}
    return value


def _worded(name: str, pictures: Mapping[str, bytes]) -> str:
    return base64.b64encode(pictures[name]).decode("ascii") if name in pictures else name


def _require_short(digits: str) -> None:
    if len(digits) > DIGITS:
        raise ValueError(f"a number of {len(digits)} characters")


def _integer(digits: str) -> int:
    _require_short(digits)
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError("a number of extreme size")
    return number


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


def _check_marks(body: bytes) -> bool:
    """Count what begins a value, before any takes memory: an empty array, three bytes, takes 64.

    True: by these counts, the value is within all other bounds too, but perhaps for its depth.
    """
    opening = body.count(b"[") + body.count(b"{")
    marks = opening + body.count(b",")
    if marks > VALUES:
        raise ValueError("too many values")
    return 2 * marks < VALUES and not _ESCAPED_SURROGATE.search(body)


def _check_depth(value: Any) -> None:
    """Walk what holds values; most values hold none."""
    level: list[Any] = [[value]]
    for _ in range(DEPTH + 1):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list)) and child
        ]
        if not level:
            return
    raise ValueError("nested too deeply")


def _check_bounds(value: Any) -> None:
    """Walk the whole value without recursion."""
    level, left = [value], VALUES
    for _ in range(DEPTH + 1):
        left -= len(level)
        if left < 0:
            raise ValueError("too many values")
        level = [child for item in level for child in _children(item)]
    if level:
        raise ValueError("nested too deeply")


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, str) and not item.isascii() and _SURROGATE.search(item):
        raise ValueError("a lone surrogate")
    return item if isinstance(item, list) else []


def structure(value: Any, cls: type[T]) -> T:
    """Turn a decoded reply into *cls*; unknown fields are ignored, wrong types are errors.

    Raises:
        MalformedReplyError: a field that is used is missing or of another type.
    """
    try:
        return _replies.structure(value, cls)
    except (BaseValidationError, ValueError, TypeError) as error:
        raise MalformedReplyError(f"the reply has {_faults(error)}") from None


def dumps(value: Any) -> str:
    """Write one of our own values as JSON."""
    return json.dumps(_ours.unstructure(value), ensure_ascii=False)


def loads(text: str, cls: type[T]) -> T:
    """Read one of our own values from JSON.

    Raises:
        InvalidRequestError: *text* was not written by `dumps`.
    """
    if not isinstance(text, str):
        raise InvalidRequestError(f"{cls.__name__} is read from a string of JSON")
    try:
        return _ours.structure(decode(text.encode("utf-8", "surrogatepass"), _float), cls)
    except MalformedReplyError as error:
        raise InvalidRequestError(f"this is no {cls.__name__} in JSON: {error.message}") from None
    except (BaseValidationError, ValueError, TypeError) as error:
        raise InvalidRequestError(f"this is no {cls.__name__} in JSON: {_faults(error)}") from None


def _faults(error: Exception) -> str:
    if not isinstance(error, BaseValidationError):
        return str(error)
    return "; ".join(transform_error(error, path="$", format_exception=_fault)[:3])


def _fault(error: BaseException, kind: type | None) -> str:
    if isinstance(error, InvalidRequestError):
        return error.message
    return format_exception(error, kind)


def _exactly(*kinds: type) -> Any:
    def check(value: Any, _: Any) -> Any:
        if type(value) in kinds:
            return value
        raise TypeError(f"expected {kinds[0].__name__}, not {type(value).__name__}")

    return check


def _is_array(kind: Any) -> bool:
    return get_origin(kind) in {list, tuple}


def _array(kind: Any, converter: Converter) -> Any:
    item, collect = get_args(kind)[0], get_origin(kind)
    read = converter.get_structure_hook(item)

    def read_all(value: Any, _: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(f"expected an array, not {type(value).__name__}")
        return collect(read(element, item) for element in value)

    return read_all


def _object(cls: type, converter: Converter) -> Any:
    read: Callable[[Any, Any], Any] = make_dict_structure_fn(cls, converter)

    def read_object(value: Any, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, not {type(value).__name__}")
        return read(value, kind)

    return read_object


def _strict() -> Converter:
    converter = Converter(omit_if_default=True)
    for kind in (str, int, bool, float, Decimal):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook_factory(has)(_object)
    converter.register_structure_hook_factory(_is_array)(_array)
    return converter


def _text(read: Callable[[str], T]) -> Callable[[Any, Any], T]:
    def read_text(value: Any, _: Any) -> T:
        if not isinstance(value, str):
            raise TypeError(f"expected a string, not {type(value).__name__}")
        return read(value)

    return read_text


def _finite(text: str) -> Decimal:
    number = Decimal(text) if re.fullmatch(r"[0-9.E+-]{1,40}", text) else None
    if number is None:
        raise ValueError(f"{text!r} is no amount")
    return number


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _reference_out(reference: ReferenceImage) -> dict[str, Any]:
    kept = ("url", "media_type", "sha256", "role")
    return {name: getattr(reference, name) for name in kept}


_CODE = int | str | None
"""A provider's own error code."""


@frozen
class _Reference:
    url: str | None
    media_type: str | None
    sha256: str | None
    role: Role


def _own() -> Converter:
    converter = _strict()
    converter.register_structure_hook(float, _exactly(float, int))
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, _text(_finite))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, _text(datetime.fromisoformat))
    converter.register_unstructure_hook(bytes, lambda data: base64.b64encode(data).decode("ascii"))
    converter.register_structure_hook(bytes, _text(_unbase64))
    converter.register_structure_hook(_CODE, _exactly(int, str, NoneType))
    converter.register_unstructure_hook(Size, str)
    converter.register_structure_hook(Size, _text(Size.parse))
    converter.register_unstructure_hook(ReferenceImage, _reference_out)
    converter.register_structure_hook(
        ReferenceImage,
        lambda value, _: ReferenceImage.remembered(
            **asdict(converter.structure(value, _Reference))
        ),
    )
    options = Mapping[str, Mapping[str, Any]]
    converter.register_structure_hook_func(lambda t: t == options, lambda value, _: value)
    converter.register_unstructure_hook_func(lambda t: t == options, lambda value: value)
    converter.register_unstructure_hook(
        Generation,
        make_dict_unstructure_fn(
            Generation, converter, _cattrs_omit_if_default=True, raw=override(omit=True)
        ),
    )
    return converter


_replies = _strict()
_ours = _own()
