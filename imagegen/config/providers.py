"""`[providers]`: the options of each backend, checked by its own class."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any, get_type_hints

from attrs import fields

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.config.faults import Key, nearest, one_of
from imagegen.config.keys import KeySource, key_source
from imagegen.config.reader import Reader
from imagegen.config.tables import LIMITS, value
from imagegen.errors import ConfigurationError
from imagegen.limits import Limits
from imagegen.redaction import brief

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
    if name in known:
        words, fix = f"{name!r} is a provider, not a model", f'Write "{default_of(name)}"'
        raise ConfigurationError(words, advice=fix)
    words = f"no provider is called {brief(name)}" if colon else "it names no provider"
    raise ConfigurationError(words, advice=f'Write "provider:model-id". {one_of(known, name)}')


def default_of(name: str) -> str:
    """The default model of the provider *name*, in full; its form alone if that is not known."""
    try:
        return f"{name}:{backends.load(name).default_model}"
    except ConfigurationError:
        return f"{name}:model-id"


def doubt_model(reader: Reader, key: Key, model: str) -> None:
    """Note at *key* that *model* is not known; a provider may have newer ones."""
    provider, _, model_id = model.partition(":")
    if provider not in reader.models:
        reader.models[provider] = _models(provider)
    known = reader.models[provider]
    if model_id and known and model_id not in known:
        near = nearest(model_id, known, f"{provider}:")
        fix = near or "`imagegen models --all` lists those that are"
        reader.doubt(key, f"{brief(model)} is no model that is known", fix)


def _models(provider: str) -> frozenset[str]:
    """The models that a provider is known to have; none where its backend lists none."""
    try:
        backend = backends.load(provider)()
        if type(backend).models is Backend.models:
            return frozenset()
        listed = [(model, *backend.members(model)) for model in backend.models()]
    except Exception:  # noqa: BLE001 - other people's backends can raise anything
        return frozenset()
    return frozenset(chain.from_iterable(listed))


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
        figures = reader.fields(key, said, LIMITS, alone=_figure)
        return None if figures is None else reader.built(key, Limits, **figures)
    kind = str if option == "limits" else kinds[option]
    return reader.built(key, _tried, cls, option, said, kind)


def _figure(_: str, read: int) -> int:
    if read < 1:
        fix = "Write what the account allows, or leave it out for no limit"
        raise ConfigurationError("it must be 1 or more", advice=fix)
    return read


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
        raise ConfigurationError(words, advice=error.advice or _usual(cls, option)) from None
    return read


def _usual(cls: type[Backend], option: str) -> str:
    usual = {each.alias or each.name: each.default for each in fields(cls)}[argument(option)]
    return f"Change it, or leave it out for the usual {brief(usual)}"
