"""Backends from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import attrs

from imagegen import backends
from imagegen.backends.base import Backend


def from_environment(environ: Mapping[str, str] = os.environ) -> list[Backend]:
    """Every installed backend, with the key and host that *environ* names."""
    return [completed(backends.load(name)(), environ) for name in backends.names()]


def completed(backend: Backend, environ: Mapping[str, str] = os.environ) -> Backend:
    """Fill in the key and host that *backend* was not given, from the variables it names."""
    missing = {
        name: environ[variable]
        for name, variable in (
            ("api_key", backend.key_variable),
            ("base_url", backend.host_variable),
        )
        if getattr(backend, name) is None and variable in environ
    }
    return attrs.evolve(backend, **missing)


def all_completed(given: Sequence[Backend] | None) -> list[Backend]:
    """The backends that a client is to use: those *given*, or else every installed one."""
    return from_environment() if given is None else [completed(backend) for backend in given]
