"""Layers laid over each other: which setting counts.

A profile goes before everything that is no profile, and the working directory's file before the
user's own; `trust` says what an untrusted layer cannot change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from imagegen import backends
from imagegen.config.faults import Doubt, Fault, Place, one_of
from imagegen.config.providers import default_of
from imagegen.config.trust import bounded, unbounded
from imagegen.redaction import brief

Unit: TypeAlias = tuple[str, ...]
"""What one layer replaces as a whole in another: a table's name, and mostly a key or a name."""


@frozen
class Setting:
    """A value and where it is said."""

    value: Any
    place: Place


@frozen
class Layer:
    """The settings of one file, or of one of its profiles.

    `routes` has the names of those that are wrong too; `doubts` matter where the layer counts.
    """

    trusted: bool
    profile: str | None
    settings: Mapping[Unit, Setting]
    routes: frozenset[str]
    doubts: tuple[Doubt, ...]


def counting(layers: Sequence[Layer], profile: str | None) -> list[Layer]:
    """The layers that count with *profile*, the strongest first; *layers* begin so too."""
    chosen = [layer for layer in layers if profile is not None and layer.profile == profile]
    return [*chosen, *(layer for layer in layers if layer.profile is None)]


def laid(order: Sequence[Layer]) -> tuple[dict[Unit, Setting], list[Fault | Doubt]]:
    """The settings that count of the layers that do, and what clashes; the strongest is first."""
    settings = _over(order)
    trusted = _over(layer for layer in order if layer.trusted)
    untrusted = _over(layer for layer in order if not layer.trusted)
    clashes: list[Fault | Doubt] = []
    for unit in sorted(untrusted):
        theirs, counts = untrusted[unit], settings.pop(unit)
        kept, found = (
            bounded(unit, counts, trusted[unit], theirs)
            if unit in trusted
            else unbounded(unit, theirs)
        )
        settings |= {} if kept is None else {unit: kept}
        clashes += found
    return settings, clashes


def _over(layers: Iterable[Layer]) -> dict[Unit, Setting]:
    settings: dict[Unit, Setting] = {}
    for layer in layers:
        settings = {**layer.settings, **settings}
    return settings


def unnamed_routes(layers: Sequence[Layer]) -> list[Fault]:
    """Usual models that name a route which is not there when they count."""
    faults: list[Fault] = []
    providers, routes = backends.names(), _routes_by_profile(layers)
    for layer in layers:
        said = layer.settings.get(("defaults", "model"))
        if said is None or ":" in said.value:
            continue
        beside = routes[None], routes[layer.profile]
        if not any(said.value in names for names in beside):
            faults.append(_no_route(said, beside[0] | beside[1], providers))
    return faults


def _routes_by_profile(layers: Iterable[Layer]) -> Mapping[str | None, set[str]]:
    routes: defaultdict[str | None, set[str]] = defaultdict(set)
    for layer in layers:
        routes[layer.profile] |= layer.routes
    return routes


def _no_route(said: Setting, names: Collection[str], providers: Collection[str]) -> Fault:
    if said.value in providers:
        words = f"{brief(said.value)} is a provider, not a model"
        return said.place.fault(words, f'Write "{default_of(said.value)}"')
    fix = f'{one_of(names, said.value)}. Or write "provider:model-id"'
    return said.place.fault(f"no route is called {brief(said.value)}", fix)
