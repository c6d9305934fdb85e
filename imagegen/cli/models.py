"""`imagegen models`: which models there are, what they can do and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
from attrs import asdict

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.capabilities import RATIOS, Capabilities, capabilities
from imagegen.cli.columns import columns
from imagegen.cli.options import config_options, json_option
from imagegen.cli.prices import priced
from imagegen.cli.report import Speaker, dumps, echo
from imagegen.cli.setup import Setup
from imagegen.config.environment import Backends
from imagegen.errors import ConfigurationError
from imagegen.redaction import printable

_HEADS = ("model", "sizes", "ratios", "n", "seed", "references", "price", "")
_USUAL = "image-01"


@click.command()
@click.argument("search", default="")
@click.option("--provider", metavar="NAME", help="Of this provider only.")
@click.option("--all", "everything", is_flag=True, help="Show every model that is known.")
@json_option
@config_options
def command(**options: Any) -> None:
    """Show models: what each can be asked for, and what it costs.

    Those whose id holds SEARCH; without it, the image-01 models and the default one of each
    provider. Sizes are in pixels, n is how many pictures one submission makes; more are split.
    Prices in the configuration go before the package's.
    """
    run(**options)


def run(
    *, search: str, provider: str | None, everything: bool, as_json: bool, **given: Any
) -> None:
    """Print the models."""
    say = Speaker(as_json=as_json)
    with say.explaining():
        configured = Setup(**given).settings.backends
        several = [_backend(provider, configured)] if provider else list(_sound(configured))
        known = [(backend, model) for backend in several for model in backend.models()]
        wanted = [
            (backend, model)
            for backend, model in known
            if _is_wanted(backend, model, search, everything=everything)
        ]
        found = [capabilities(backend, model) for backend, model in wanted]
    if as_json:
        echo(dumps({"models": [_as_dict(each) for each in found]}))
        return
    if found:
        echo(columns(_HEADS, [_row(each) for each in found]))
    _advise(search, len(known) - len(found), found)


def _sound(configured: Backends) -> Iterator[Backend]:
    """Every installed backend; of one that cannot be loaded, say so, and go on."""
    for name in backends.names():
        try:
            yield _backend(name, configured)
        except ConfigurationError as error:
            click.echo(f"imagegen: {printable(error.message)}", err=True)


def _backend(name: str, configured: Backends) -> Backend:
    """The backend with the prices that count; as it is without settings if those are wrong."""
    found = configured.get(name)
    return found if isinstance(found, Backend) else backends.load(name)()


def _is_wanted(backend: Backend, model: str, search: str, *, everything: bool) -> bool:
    if search:
        return search.lower() in f"{backend.name}:{model}".lower()
    return everything or _USUAL in model or model == backend.default_model


def _advise(search: str, others: int, found: Sequence[Capabilities]) -> None:
    """Say what else there is; not among the results, which may be piped."""
    if search and not found:
        words = f"no model has {search!r} in its id"
        click.echo(f"imagegen: {printable(words)}; see imagegen models --all", err=True)
    elif not search and others:
        click.echo(f"imagegen: {others} more with --all", err=True)


def _row(found: Capabilities) -> tuple[object, ...]:
    return (
        f"{found.provider}:{found.model}",
        sizes(found),
        ratios(found),
        pictures(found),
        "yes" if found.seed else None,
        references(found),
        priced(found.price),
        remarks(found),
    )


def sizes(found: Capabilities) -> str | None:
    """Say which pixels can be asked for; None for none."""
    if found.free_sizes:
        return str(found.free_sizes)
    if len(found.sizes) > 3:
        return f"{len(found.sizes)} sizes"
    return ", ".join(map(str, found.sizes)) or None


def ratios(found: Capabilities) -> str | None:
    """Say which aspect ratios can be asked for; None for none."""
    return "any" if found.ratios == RATIOS else " ".join(found.ratios) or None


def pictures(found: Capabilities) -> str:
    """Say how many pictures one submission makes."""
    if found.fewest_images == found.most_images:
        return str(found.most_images)
    return f"{found.fewest_images}–{found.most_images}"


def references(found: Capabilities) -> str | None:
    """Say which pictures can be given; None for none."""
    kinds = [kind for kind in ("character", "source") if getattr(found, kind)]
    if not kinds:
        return None
    many = f" ×{found.most_references}" if found.most_references > 1 else ""
    return f"{' or '.join(kinds)}{many}{', needed' if found.needs_reference else ''}"


def remarks(found: Capabilities) -> str:
    """Say what a request to it cannot have, or must have besides; empty for nothing."""
    needed = [f"needs {name}" for name in found.needs]
    return ", ".join(needed if found.prompt else ["no prompt", *needed])


def _as_dict(found: Capabilities) -> dict[str, Any]:
    """One model of the object that `--json` prints; an interface: docs/reference/models.md."""
    return {
        **asdict(found, recurse=False),
        "free_sizes": found.free_sizes and asdict(found.free_sizes),
        "sizes": [str(size) for size in found.sizes],
        "price": found.price and asdict(found.price),
    }
