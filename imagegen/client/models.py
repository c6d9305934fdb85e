"""Which backend and which model a name stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import TypeAlias

from imagegen.backends.base import Backend
from imagegen.config.environment import Backends
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.purchase.routing import Route
from imagegen.redaction import brief
from imagegen.request import ImageRequest

Model: TypeAlias = str | Route


class Models:
    """The models that a client can be asked for.

    Args:
        backends: by name, or what is wrong with one.
        routes: by a name without a colon.
        default: what is meant where nothing is named.

    Raises:
        ConfigurationError: *routes* are no such mapping.
    """

    def __init__(
        self,
        backends: Backends,
        routes: Mapping[str, Route],
        default: Model | None,
    ) -> None:
        self._backends = backends
        self._routes = _named(routes)
        self._default = default

    def chosen(self, model: Model | None) -> Model:
        """The model string or Route that *model*, or the client's default, stands for.

        Raises:
            ConfigurationError: it is none, and no name of a route.
        """
        chosen = self._default if model is None else model
        if chosen is None:
            if len(self._backends) != 1:
                raise self._wrong("no model was named")
            (name,) = self._backends
            return f"{name}:"
        if isinstance(chosen, Route) or ":" in str(chosen):
            return chosen
        if str(chosen) in self._routes:
            return self._routes[chosen]
        raise self._wrong(f"{brief(chosen)} names neither a provider nor a route")

    def found(self, model: str) -> tuple[Backend, str]:
        """The backend and the provider's model id that ``"provider:model-id"`` stands for.

        Raises:
            ConfigurationError: there is no such backend, or something is wrong with it.
        """
        name, _, model_id = str(model).partition(":")
        backend = self.backend(name)
        return backend, model_id or backend.default_model

    def listed(self, models: Sequence[Model] | None) -> tuple[str, ...]:
        """The model strings that *models* stand for, each once; a route stands for all of its.

        None stands for the default, and without one for the default model of every backend that
        has a key; of every one, if none has.

        Raises:
            ConfigurationError: *models* are no list of such.
        """
        if models is None and self._default is None:
            usable = [b for b in self._backends.values() if isinstance(b, Backend)]
            ready = [backend for backend in usable if backend.has_key] or usable
            return tuple(f"{backend.name}:{backend.default_model}" for backend in ready)
        several = [self.chosen(model) for model in _several(models)]
        names = [model.models if isinstance(model, Route) else (model,) for model in several]
        return tuple(dict.fromkeys(chain.from_iterable(names)))

    def distinct(self, names: Sequence[str], request: ImageRequest) -> tuple[str, ...]:
        """*names* written in full, without those that stand for the same model with *request*."""
        known: dict[str, str] = {}
        for name in names:
            try:
                backend, model = self.found(name)
                full = f"{backend.name}:{backend.model_id(model, request)}"
            except ImageGenError:  # told where it is used
                known.setdefault(name, name)
            else:
                known.setdefault(full, f"{backend.name}:{model}")
        return tuple(known.values())

    def limits(self, models: Sequence[Model]) -> list[Decimal]:
        """The `max_cost` of each route among *models* that has one."""
        routes = [each for each in map(self.chosen, models) if isinstance(each, Route)]
        return [route.max_cost for route in routes if route.max_cost is not None]

    def backend(self, name: str) -> Backend:
        """Look the backend *name* up.

        Raises:
            ConfigurationError: there is none, or something is wrong with it.
        """
        backend = self._backends.get(name)
        if backend is None:
            raise self._wrong(f"this client has no backend {name!r}")
        if isinstance(backend, ConfigurationError):
            raise backend
        return backend

    def _wrong(self, words: str) -> ConfigurationError:
        known = " or ".join(
            f'"{name}:{backend.default_model}"'
            for name, backend in self._backends.items()
            if isinstance(backend, Backend)
        )
        routes = f"; routes are {', '.join(self._routes)}" if self._routes else ""
        advice = f'Give model="provider:model", such as {known}{routes}'
        return ConfigurationError(words, advice=advice, field="model")


def _several(models: Sequence[Model] | None) -> Sequence[Model | None]:
    """Check a list of models; None stands for the client's default."""
    if models is None:
        return (None,)
    if isinstance(models, str) or not isinstance(models, Sequence) or not models:
        raise ConfigurationError(
            f"models must be a list of model strings or routes, not {brief(models)}", field="model"
        )
    return models


def _named(routes: Mapping[str, Route]) -> Mapping[str, Route]:
    """Check routes by name.

    Raises:
        ConfigurationError: a name could be taken for a model string, or a value is no Route.
    """
    for name, route in routes.items():
        if not isinstance(name, str) or ":" in name or not isinstance(route, Route):
            raise ConfigurationError(
                f"routes must be Routes by name, without a colon in it, not {brief(name)}",
                field="routes",
            )
    return dict(routes)
