"""Backends from the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any, TypeAlias

import attrs

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.errors import ConfigurationError

Backends: TypeAlias = Mapping[str, Backend | ConfigurationError]
"""By name; what is wrong with one stands in its place."""


def configured(
    given: Sequence[Backend] | Backends | None,
) -> dict[str, Backend | ConfigurationError]:
    """The backends a client is to use by name: those *given*, or else every installed one.

    A mapping is taken as it is; what is wrong with a backend may stand in its place.

    Raises:
        ConfigurationError: *given* is not backends, or has two of one name.
    """
    if given is None:
        return from_environment()
    if isinstance(given, Mapping):
        return {name: _checked(name, backend) for name, backend in given.items()}
    if not isinstance(given, Iterable):
        raise ConfigurationError(
            f"backends must be several, not one {type(given).__name__}",
            advice="Give a list, such as [MiniMax()]",
            field="backends",
        )
    by_name: dict[str, Backend | ConfigurationError] = {}
    for backend in given:
        if not isinstance(backend, Backend):
            raise ConfigurationError(
                f"{type(backend).__name__} is no backend",
                advice="Give instances, such as [MiniMax()]",
                field="backends",
            )
        if backend.name in by_name:
            raise ConfigurationError(f"there are two backends of the name {backend.name!r}")
        by_name[backend.name] = completed(backend)
    return by_name


def _checked(name: str, given: object) -> Backend | ConfigurationError:
    if isinstance(given, ConfigurationError):
        return given
    if isinstance(given, Backend) and given.name == name:
        _require_current(type(given))
        return given
    raise ConfigurationError(f"{type(given).__name__} is no backend of the name {name!r}")


@cache
def _require_current(kind: type[Backend]) -> None:
    """Refuse a class of other people's that would fail only after something was bought."""
    try:
        signature(kind.settle).bind("self", "job", 0.0)
    except TypeError:
        raise ConfigurationError(
            f"{kind.__name__}.settle takes no (job, age): it was made for an earlier imagegen",
            advice="Upgrade the package that it comes from",
        ) from None


def from_environment(
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Backend | ConfigurationError]:
    """Every installed backend by name, with the key and host that *environ* names.

    What is wrong with one is kept in its place, to be raised when that one is used.
    """
    return {name: made(name, {}, environ) for name in backends.names()}


def limits_variable(name: str) -> str:
    """The variable that names the preset of limits for the backend called *name*."""
    return f"{name.upper()}_LIMITS"


def made(
    name: str, options: Mapping[str, Any], environ: Mapping[str, str]
) -> Backend | ConfigurationError:
    """The backend called *name* with *options*, and what they leave out from *environ*.

    What is wrong with it is returned in its place.
    """
    try:
        given: dict[str, Any] = {"limits": environ.get(limits_variable(name)) or None, **options}
        return completed(backends.load(name)(**given), environ)
    except ConfigurationError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - other people's backends can raise anything
        words = f"it fails when it is made: {type(error).__name__}"
        failure = ConfigurationError(words, advice="Tell those who make it")
    failure.provider = name
    return failure.with_traceback(None)  # its frames' locals hold the environment


def completed(backend: Backend, environ: Mapping[str, str] = os.environ) -> Backend:
    """Fill in the key and host that *backend* was not given, from the variables it names.

    Raises:
        ConfigurationError: they are none, or its class is of an earlier interface.
    """
    _require_current(type(backend))
    variables = {"api_key": backend.key_variable, "base_url": backend.host_variable}
    missing: dict[str, Any] = {
        name: environ[variable]
        for name, variable in variables.items()
        if getattr(backend, name) is None and variable in environ
    }
    try:
        return attrs.evolve(backend, **missing) if missing else backend
    except ConfigurationError as error:
        del environ, missing  # a traceback may show locals
        raise error.with_traceback(None) from None
