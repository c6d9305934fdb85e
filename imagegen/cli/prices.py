"""`imagegen prices`: what models cost, since when and according to whom; and asking anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click
from attrs import frozen

from imagegen.addresses import is_loopback
from imagegen.backends.base import Backend
from imagegen.cli.columns import columns, money
from imagegen.cli.options import config_options, json_option, models_option
from imagegen.cli.report import Speaker, dumps, echo
from imagegen.cli.setup import Setup
from imagegen.client import Client
from imagegen.client.models import Models
from imagegen.config import load
from imagegen.config.places import refreshed_prices
from imagegen.config.prices import add_prices, read_prices
from imagegen.errors import ConfigurationError
from imagegen.pricing import OLD_AFTER, Price
from imagegen.redaction import printable
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.wording import counted

if TYPE_CHECKING:
    from imagegen.config.settings import Settings

TIMEOUT = 60.0
_HEADS = ("model", "price", "as of", "from", "according to")
_STAYS = ", the old price is kept"
_Askable = Sequence[tuple[Backend, str]]
_PLAIN = ImageRequest("a fox")
_EDIT = ImageRequest(
    "a fox", references=[ReferenceImage("https://example.com/fox.jpg", role="source")]
)

Origin = Literal["list", "refreshed", "own"]


@click.command()
@click.option(
    "--refresh", is_flag=True, help="Ask the providers that can tell; free, but needs their key."
)
@models_option("Of this one; else of the default models and those of your routes.")
@json_option
@config_options
def command(**options: Any) -> None:
    """Show what models cost, since when and according to whom.

    A price in imagegen.toml goes before what a provider told on --refresh, and that before the
    list that came with the package. A price that nobody knows is unknown, never 0.
    """
    run(**options)


@frozen
class Known:
    """A model, what it costs as far as is known, and who says so."""

    model: str
    price: Price | None
    origin: Origin | None

    def is_old(self, today: date) -> bool:
        """Tell whether it may well have changed since."""
        return self.price is not None and self.price.is_old(today)


@frozen
class Refresh:
    """What asking the providers brought.

    `path` is the file that was written, None for none. `changes` are the prices before and after;
    after is None where a price is not told any more, and the one before is kept. `same` counts
    those that did not change. `silent` names providers with nothing to ask, `local` those on this
    machine, whose prices are shown and not kept.
    """

    path: Path | None
    changes: Mapping[str, tuple[Price | None, Price | None]]
    same: int
    silent: tuple[str, ...]
    local: tuple[str, ...]


def run(*, refresh: bool, models: Sequence[str], as_json: bool, **given: Any) -> None:
    """Print the prices, asked anew or not."""
    say = Speaker(as_json=as_json)
    with say.explaining():
        settings = Setup(**given).settings
        brought = _refreshed(settings, models) if refresh else None
        if brought and brought.path:
            settings = load(given["config"], profile=given["profile"])  # its warnings were told
        known = known_prices(settings, models)
    today = datetime.now(UTC).date()
    if as_json:
        echo(dumps(_as_dict(known, brought, today)))
    else:
        echo("\n".join([*(_told(brought) if brought else ()), _table(known, today)]))
        _advise(known, today)


def known_prices(settings: Settings, models: Sequence[str] = ()) -> list[Known]:
    """The price of each of *models*, or of the default ones and those of routes.

    Raises:
        ConfigurationError: one of *models* names no backend.
        UnsupportedFeatureError: or no model.
    """
    told = _told_before()
    return [_known(backend, model, told) for backend, model in _chosen(settings, models)]


def _chosen(settings: Settings, models: Sequence[str]) -> list[tuple[Backend, str]]:
    """Backends with full model ids, each once: what is meant is not asked for by its family."""
    lookup = Models(settings.backends, settings.routes, settings.defaults.model)
    usable = [b for b in settings.backends.values() if isinstance(b, Backend)]
    if not models:
        names = [f"{backend.name}:{backend.default_model}" for backend in usable]
        default = [settings.defaults.model] if settings.defaults.model else []
        models = lookup.listed([*default, *settings.routes.values(), *names])
        ours = {backend.name for backend in usable}
        models = [model for model in models if model.partition(":")[0] in ours]
    found = [lookup.found(model) for model in lookup.listed(models)]
    full = {
        f"{backend.name}:{backend.model_id(model, request)}": backend
        for backend, model in found
        for request in (_PLAIN, _EDIT)
    }
    return [(backend, model.partition(":")[2]) for model, backend in full.items()]


def _known(backend: Backend, model: str, told: Mapping[str, Price]) -> Known:
    name, own = f"{backend.name}:{model}", backend.own_price(model)
    if own:
        return Known(name, own, "refreshed" if told.get(name) == own else "own")
    listed = backend.list_price(model, _PLAIN)
    return Known(name, listed, "list" if listed else None)


def _told_before() -> dict[str, Price]:
    """What providers told before; a broken file says nothing."""
    try:
        return read_prices(refreshed_prices())
    except ConfigurationError:
        return {}


def _refreshed(settings: Settings, models: Sequence[str]) -> Refresh:
    """Ask, and write down what was told."""
    chosen = _chosen(settings, models)
    askable = [(b, m) for b, m in chosen if b.can_price and b.api_key]
    if not askable:
        raise _nobody_to_ask(chosen)
    told, before = _asked(settings, askable, everything=not models), _told_before()
    meant = {f"{backend.name}:{model}" for backend, model in askable}
    backends = {backend.name: backend for backend, _ in askable}
    if not models:
        meant |= {model for model in before if model.partition(":")[0] in backends}
    pairs = {m: (_before(settings, m, before), told.get(m)) for m in sorted(meant | told.keys())}
    changes = {m: pair for m, pair in pairs.items() if not _is_same(*pair)}
    local = sorted(name for name, backend in backends.items() if not _kept(backend))
    return Refresh(
        path=_written({m: p for m, p in told.items() if m.partition(":")[0] not in local}),
        changes=changes,
        same=len(told.keys() - changes.keys()),
        silent=tuple(sorted({backend.name for backend, _ in chosen if not backend.can_price})),
        local=tuple(local),
    )


def _asked(settings: Settings, askable: _Askable, *, everything: bool) -> dict[str, Price]:
    """What the providers tell of these models, and with *everything* what they list besides."""
    names = {f"{backend.name}:{model}" for backend, model in askable}
    with Client(settings.backends, timeout=TIMEOUT) as client:
        listed = client.current_prices() if everything else {}
        asked = client.current_prices(sorted(names))
    return {model: price for model, price in listed.items() if model not in names} | asked


def _kept(backend: Backend) -> bool:
    """Whether its word is to count from now on: a sandbox's on this machine is not."""
    return not is_loopback(urlsplit(backend.host).hostname)


def _written(told: Mapping[str, Price]) -> Path | None:
    """Write what was told over what was told before; where nothing was, change nothing."""
    if not told:
        return None
    path = refreshed_prices()
    add_prices(path, told)
    return path


def _nobody_to_ask(chosen: Iterable[tuple[Backend, str]]) -> ConfigurationError:
    backends = {backend.name: backend for backend, _ in chosen}.values()
    variables = [backend.key_variable for backend in backends if backend.can_price]
    return ConfigurationError(
        "there is nobody to ask: no provider of these models tells prices and has a key here",
        advice=f"Set {' or '.join(variables)}" if variables else "Name another --model",
        field="model",
    )


def _before(settings: Settings, model: str, told: Mapping[str, Price]) -> Price | None:
    """What was known without the caller's own word: told before, else listed."""
    if model in told:
        return told[model]
    name, _, model_id = model.partition(":")
    backend = settings.backends[name]
    return backend.list_price(model_id, _PLAIN) if isinstance(backend, Backend) else None


def _is_same(one: Price | None, other: Price | None) -> bool:
    return _terms(one) == _terms(other)


def _terms(price: Price | None) -> tuple[object, ...]:
    return (price.amount, price.currency, price.per) if price else ()


def priced(price: Price | None) -> str:
    """Write a price for a person."""
    return f"{money(price.amount, price.currency)} per {price.per}" if price else "unknown"


def _told(brought: Refresh) -> list[str]:
    lines = [
        f"{model}: {priced(before)} -> {priced(after)}" + ("" if after else _STAYS)
        for model, (before, after) in brought.changes.items()
    ]
    where = f"written to {brought.path}" if brought.path else "nothing was written"
    lines.append(f"{counted(brought.same, 'price')} did not change; {where}")
    lines += [f"{name} is on this machine: its prices are not kept" for name in brought.local]
    lines += [f"{name} has no price list to ask for" for name in brought.silent]
    return [*map(printable, lines), ""]


def _table(known: Sequence[Known], today: date) -> str:
    return columns(_HEADS, [_row(each, today) for each in known])


def _row(known: Known, today: date) -> tuple[object, ...]:
    price = known.price
    if price is None:
        return (known.model, "unknown", None, None, None)
    as_of = f"{price.as_of} (old)" if known.is_old(today) else price.as_of
    return (known.model, priced(price), as_of, known.origin, price.source)


def _advise(known: Sequence[Known], today: date) -> None:
    """Say what to do about old prices; not among the results, which may be piped."""
    if any(each.is_old(today) for each in known):
        words = f"prices older than {OLD_AFTER.days} days may have changed"
        click.echo(
            f"imagegen: {words}: run imagegen prices --refresh, or state yours in imagegen.toml",
            err=True,
        )


def _as_dict(known: Sequence[Known], brought: Refresh | None, today: date) -> dict[str, Any]:
    """The object that `--json` prints; an interface: docs/reference/models.md."""
    return {
        "prices": [
            {
                "model": each.model,
                **_price(each.price),
                "origin": each.origin,
                "old": each.is_old(today),
            }
            for each in known
        ],
        "refreshed": None if brought is None else _refresh_as_dict(brought),
    }


def _refresh_as_dict(brought: Refresh) -> dict[str, Any]:
    return {
        "path": brought.path,
        "changes": [
            {"model": model, "before": before and _price(before), "after": after and _price(after)}
            for model, (before, after) in brought.changes.items()
        ],
        "same": brought.same,
        "without_price_list": list(brought.silent),
        "not_kept": list(brought.local),
    }


def _price(price: Price | None) -> dict[str, Any]:
    names = ("amount", "currency", "per", "as_of", "source")
    return {name: getattr(price, name, None) for name in names}
