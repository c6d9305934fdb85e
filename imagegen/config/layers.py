"""Layers laid over each other: which setting counts.

A profile goes before everything that is no profile, and the working directory's file before the
user's own; but what an untrusted layer says of money can only lower what a trusted one says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from imagegen.config.faults import Fault, one_of
from imagegen.config.reading import Layer, Setting, Unit
from imagegen.redaction import brief

_MAX_COST: Unit = ("defaults", "max_cost")
_BUDGET: Unit = ("budget",)


def laid(layers: Sequence[Layer], profile: str | None) -> tuple[dict[Unit, Setting], list[Fault]]:
    """The settings that count of *layers*, those of the strongest file first, and what clashes."""
    chosen = [layer for layer in layers if profile is not None and layer.profile == profile]
    order = [*chosen, *(layer for layer in layers if layer.profile is None)]
    settings = _over(order)
    trusted = _over(layer for layer in order if layer.trusted)
    untrusted = _over(layer for layer in order if not layer.trusted)
    faults: list[Fault] = []
    for unit in trusted.keys() & untrusted.keys():
        ours, theirs = trusted[unit], untrusted[unit]
        if unit == _MAX_COST:
            settings[unit] = min(ours, theirs, key=lambda setting: setting.value)
        elif unit == _BUDGET:
            faults += _other_kind(ours, theirs)
            settings[unit] = min(ours, theirs, key=lambda setting: setting.value.amount)
        elif unit[0] == "routes":
            settings[unit] = _capped(settings[unit], ours, theirs)
    return settings, faults


def _over(layers: Iterable[Layer]) -> dict[Unit, Setting]:
    settings: dict[Unit, Setting] = {}
    for layer in layers:
        settings = {**layer.settings, **settings}
    return settings


def _capped(counts: Setting, *both: Setting) -> Setting:
    """The route that counts, with the lower `max_cost` of the two of its name."""
    limits = [each.value.max_cost for each in both if each.value.max_cost is not None]
    return evolve(counts, value=evolve(counts.value, max_cost=min(limits, default=None)))


def _other_kind(ours: Setting, theirs: Setting) -> list[Fault]:
    currency, per = ours.value.currency, ours.value.per
    if (theirs.value.currency, theirs.value.per) == (currency, per):
        return []
    words = (
        "a file of the working directory may only lower your budget, not set one of another kind"
    )
    fix = f'Write currency = "{currency}" and per = "{per}", as {ours.place} does'
    return [theirs.place.fault(words, fix)]


def unnamed_routes(layers: Sequence[Layer]) -> list[Fault]:
    """Usual models that name a route which is not there when they count."""
    faults: list[Fault] = []
    for layer in layers:
        said = layer.settings.get(("defaults", "model"))
        if said is None or ":" in said.value:
            continue
        beside = [other.routes for other in layers if other.profile in (None, layer.profile)]
        names = frozenset().union(*beside)
        if said.value not in names:
            fix = f'{one_of(names, said.value)}. Or write "provider:model-id"'
            faults.append(said.place.fault(f"no route is called {brief(said.value)}", fix))
    return faults
