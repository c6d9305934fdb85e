"""`[providers]`: the options of each backend, checked by its own class."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_type_hints

from attrs import fields

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.config.faults import Key, one_of
from imagegen.config.keys import KeySource, key_source
from imagegen.config.reader import Reader
from imagegen.config.tables import LIMITS, value
from imagegen.errors import ConfigurationError
from imagegen.limits import Limits

_NAMES = {"key": "api_key", "host": "base_url"}
"""What an option is called in a file, where that is not what the class calls it."""


COMMON = ("host", "key", "limits")
"""The options of every backend."""


def argument(option: str) -> str:
    """What the class of a backend calls *option*."""
    return _NAMES.get(option, option)


def provider_of(model: str, known: Collection[str]) -> str:
    """The provider of a ``"provider:model-id"``.

    Raises:
        ConfigurationError: it names none, or one that is not *known*.
    """
    name, colon, _ = model.partition(":")
    if colon and name in known:
        return name
    words = f"no provider is called {name!r}" if colon else "it names no provider"
    nearest = one_of(known, name)
    raise ConfigurationError(words, advice=f'Write "provider:model-id". {nearest}')


def options(reader: Reader, key: Key, given: object) -> Iterator[tuple[str, str, Key, Any]]:
    """Read `[providers]` at *key*: each provider, its option, where that stands, its value."""
    known = reader.providers
    for name, table in reader.table(key, given).items():
        place = (*key, name)
        if name not in known:
            reader.fault(place, "no such provider is installed", one_of(known, name))
            continue
        for option, read in _options(reader, place, table, name):
            yield name, option, (*place, option), read


def _options(reader: Reader, key: Key, given: object, name: str) -> Iterator[tuple[str, Any]]:
    try:
        cls = backends.load(name)
    except ConfigurationError:
        return  # it is an error in the backend's place
    kinds = option_kinds(cls)
    for option, said in reader.table(key, given).items():
        place = (*key, option)
        if reader.known(place, kinds):
            read = _option(reader, place, said, cls, kinds)
            if read is not None:
                yield option, read


def option_kinds(cls: type[Backend]) -> dict[str, Any]:
    """What a file can say of a backend of this class, with the type of each."""
    ours = {"api_key", "base_url", "limits", "prices"}
    try:
        hints = get_type_hints(cls)
    except NameError:  # a name that only type checkers see
        hints = {}
    theirs = {
        attribute.alias or attribute.name: hints[attribute.name]
        for attribute in fields(cls)
        if attribute.init and attribute.name not in ours and attribute.name in hints
    }
    return {**dict(zip(COMMON, (str, KeySource, Limits), strict=True)), **theirs}


def _option(
    reader: Reader, key: Key, said: object, cls: type[Backend], kinds: Mapping[str, Any]
) -> Any:
    option = str(key[-1])
    if option == "key":
        return reader.built(key, key_source, said)
    if option == "limits" and isinstance(said, Mapping):
        figures = reader.fields(key, said, LIMITS)
        return None if figures is None else reader.built(key, Limits, **figures)
    kind = str if option == "limits" else kinds[option]
    return reader.built(key, _tried, cls, option, said, kind)


def _tried(cls: type[Backend], option: str, said: object, kind: Any) -> Any:
    """The value of *option*, if a backend can be made with it."""
    read = value(said, kind)
    if isinstance(read, str) and not read.strip():
        raise ConfigurationError("it is empty", advice="Write it, or leave it out")
    arguments: dict[str, Any] = {argument(option): read}
    try:
        cls(**arguments)
    except ConfigurationError as error:
        words = error.message.replace("base_url", "host")
        raise ConfigurationError(words, advice=error.advice) from None
    return read
