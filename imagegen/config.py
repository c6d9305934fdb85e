"""Backends from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import attrs

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.errors import ConfigurationError


def configured(given: Sequence[Backend] | None) -> dict[str, Backend | ConfigurationError]:
    """The backends a client is to use by name: those *given*, or else every installed one.

    Raises:
        ConfigurationError: *given* is not backends, or has two of one name.
    """
    if given is None:
        return from_environment()
    by_name: dict[str, Backend | ConfigurationError] = {}
    for backend in given:
        if not isinstance(backend, Backend):
            raise ConfigurationError(f"{type(backend).__name__} is no backend")
        if backend.name in by_name:
            raise ConfigurationError(f"there are two backends of the name {backend.name!r}")
        by_name[backend.name] = completed(backend)
    return by_name


def from_environment(
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Backend | ConfigurationError]:
    """Every installed backend by name, with the key and host that *environ* names.

    What is wrong with one is kept in its place, to be raised when that one is used.
    """
    return {name: _from_environment(name, environ) for name in backends.names()}


def _from_environment(name: str, environ: Mapping[str, str]) -> Backend | ConfigurationError:
    try:
        limits = environ.get(f"{name.upper()}_LIMITS") or None
        return completed(backends.load(name)(limits=limits), environ)
    except ConfigurationError as error:
        error.provider = name
        return error.with_traceback(None)  # its frames' locals hold the environment


def completed(backend: Backend, environ: Mapping[str, str] = os.environ) -> Backend:
    """Fill in the key and host that *backend* was not given, from the variables it names."""
    variables = {"api_key": backend.key_variable, "base_url": backend.host_variable}
    missing = {
        name: environ[variable]
        for name, variable in variables.items()
        if getattr(backend, name) is None and variable in environ
    }
    try:
        return attrs.evolve(backend, **missing)
    except ConfigurationError as error:
        del environ, missing  # a traceback may show locals
        raise error.with_traceback(None) from None
