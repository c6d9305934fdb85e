"""The settings that count, as values that a client takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve, field, frozen

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.config import places
from imagegen.config.environment import Backends, made
from imagegen.config.faults import Doubt, Fault
from imagegen.config.keys import KeySource
from imagegen.config.layers import Setting, Unit
from imagegen.config.places import OFF
from imagegen.config.providers import argument
from imagegen.defaults import Defaults
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.pricing import Price
from imagegen.purchase.routing import Route
from imagegen.redaction import printable
from imagegen.request import ImageRequest

if TYPE_CHECKING:
    from imagegen.ledger import Budget

LEDGER_VARIABLE = "IMAGEGEN_LEDGER"
_ANY = ImageRequest("any")


@frozen(kw_only=True)
class Settings:
    """What files and variables say.

    Attributes:
        files: the files that were read, the strongest first.
        discovered: the one of the working directory, which nobody named, if anything in it counts.
        profile: the profile that was chosen.
        backends: every installed backend by name; what is wrong with one is in its place.
        defaults: what a client uses where a call names nothing.
        routes: routes by name.
        timeout: seconds for a call; None where no file says.
        budget: what may be spent.
        ledger: where purchases are written down; ``"off"``: nowhere; None: nothing names a place.
        prompts: whether the ledger keeps prompts.
        warnings: what is not wrong, and not well either.
    """

    files: tuple[Path, ...] = ()
    discovered: Path | None = None
    profile: str | None = None
    backends: Backends
    defaults: Defaults = field(factory=Defaults)
    routes: Mapping[str, Route] = field(factory=dict[str, Route])
    timeout: float | None = None
    budget: Budget | None = None
    ledger: Path | Literal["off"] | None = None
    prompts: bool = True
    warnings: tuple[Doubt, ...] = ()


def named(settings: Mapping[Unit, Setting], *table: str) -> dict[str, Setting]:
    """The settings of *table*, by the name that comes after it."""
    at = len(table)
    return {unit[at]: setting for unit, setting in settings.items() if unit[:at] == table}


def values(settings: Mapping[str, Setting]) -> dict[str, Any]:
    """What is said, without where."""
    return {name: setting.value for name, setting in settings.items()}


def made_backends(
    settings: Mapping[Unit, Setting], refreshed: Mapping[str, Price], environ: Mapping[str, str]
) -> dict[str, Backend | ConfigurationError]:
    """Every installed backend; *refreshed* prices count where no file names one."""
    own = values(named(settings, "prices"))
    made = {
        name: _backend(name, named(settings, "providers", name), _of(name, own), environ)
        for name in backends.names()
    }
    return {name: _priced(backend, _of(name, refreshed)) for name, backend in made.items()}


def _of(provider: str, prices: Mapping[str, Price]) -> dict[str, Price]:
    """The *prices* of one provider, by its own model ids."""
    parts = ((model.partition(":"), price) for model, price in prices.items())
    return {model: price for (name, _, model), price in parts if name == provider}


def _priced(
    backend: Backend | ConfigurationError, refreshed: Mapping[str, Price]
) -> Backend | ConfigurationError:
    if isinstance(backend, ConfigurationError):
        return backend
    told = {
        model: price
        for model, price in refreshed.items()
        if backend.own_price(model) is None and not _is_stale(backend, model, price)
    }
    return evolve(backend, prices={**told, **backend.prices})


def _backend(
    name: str,
    options: Mapping[str, Setting],
    prices: Mapping[str, Price],
    environ: Mapping[str, str],
) -> Backend | ConfigurationError:
    given = {argument(option): said.value for option, said in options.items()}
    given["prices"] = prices
    if "key" in options:
        try:
            given["api_key"] = options["key"].value.key(environ)
        except ImageGenError as error:
            unset = options["key"].place.fault(error.message, error.advice).error()
            unset.provider, unset.field = name, "api_key"
            return unset
    return made(name, given, environ)


def _is_stale(backend: Backend, model: str, told: Price) -> bool:
    """Tell whether the list of a later version of the package is newer than what was *told*."""
    try:
        listed = backend.list_price(model, _ANY)
    except ImageGenError:
        return False
    return listed is not None and listed.as_of > told.as_of


def ledger(
    settings: Mapping[Unit, Setting], environ: Mapping[str, str]
) -> tuple[Path | Literal["off"] | None, str]:
    """Which ledger is used, and what says so."""
    said = settings.get(("ledger", "path"))
    if said is not None:
        return said.value, str(said.place)
    variable = environ.get(LEDGER_VARIABLE, "").strip()
    if variable:
        off = variable.lower() == OFF
        return (OFF if off else places.expanded(variable)), LEDGER_VARIABLE
    if ("budget",) in settings:
        return places.usual_ledger(), "default, as there is a budget"
    return None, "default"


def forgetful_budget(
    settings: Mapping[Unit, Setting], environ: Mapping[str, str]
) -> Iterable[Fault]:
    """A budget without a ledger to count on: it would begin anew with every process."""
    place, source = ledger(settings, environ)
    if ("budget",) not in settings:
        return
    if place == OFF:
        fix = f"Let {source} name a file, or leave the budget out"
        words = f"a budget needs a ledger, which {source} switches off"
        yield settings["budget",].place.fault(words, fix)
    elif place is not None and not place.is_absolute():
        words = f"a budget needs one ledger, and {source} names another one in each folder"
        yield settings["budget",].place.fault(words, f"Let {source} name the whole path")


def key_warnings(settings: Mapping[Unit, Setting], readable: Iterable[Path]) -> list[Doubt]:
    """Keys that stand in a file themselves; *readable* are the files that others can read."""
    found: list[Doubt] = []
    for setting in settings.values():
        source, place = setting.value, setting.place
        if isinstance(source, KeySource) and source.kind == "file":
            fix = 'Write { env = "VARIABLE" } and keep it elsewhere'
            found.append(place.doubt("the key itself is in the file", fix))
            if place.file in readable:
                fix = f"Run chmod 600 {shlex.quote(printable(str(place.file)))}"
                found.append(place.doubt("others can read the file", fix))
    return found
