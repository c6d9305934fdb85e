"""Finding the files, reading them, and making settings of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from imagegen.config import places
from imagegen.config.document import Document, read
from imagegen.config.faults import Fault, one_of
from imagegen.config.layers import laid, unnamed_routes
from imagegen.config.prices import read_prices
from imagegen.config.reader import Reader
from imagegen.config.reading import Layer, Setting, Unit, layers_of
from imagegen.config.settings import (
    Settings,
    forgetful_budget,
    key_warnings,
    ledger,
    made_backends,
    named,
    values,
)
from imagegen.defaults import Defaults
from imagegen.errors import ConfigurationError
from imagegen.pricing import Price
from imagegen.redaction import brief

CONFIG_VARIABLE = "IMAGEGEN_CONFIG"
PROFILE_VARIABLE = "IMAGEGEN_PROFILE"


@frozen
class Examination:
    """All that was found: settings, even where something is wrong, and every fault.

    Attributes:
        settings: what could be read; not to be used if there are faults.
        faults: what is wrong, file by file.
        effective: the settings that count, each with where it is said.
    """

    settings: Settings
    faults: tuple[Fault, ...]
    effective: Mapping[Unit, Setting] = field(repr=False)


def examined(
    path: str | Path | None,
    *,
    profile: str | None,
    environ: Mapping[str, str],
    folder: Path | None = None,
) -> Examination:
    """Read what counts here; the arguments are those of `imagegen.config.load`.

    Raises:
        ConfigurationError: an argument is none of these. What is wrong with a file is a fault.
    """
    found = _read(path, environ, folder)
    documents = [each for each in found if isinstance(each, Document)]
    faults = [each for each in found if isinstance(each, Fault)]
    layers: list[Layer] = []
    for document in documents:
        reader = Reader(document)
        layers += layers_of(reader)
        faults += reader.faults
    chosen = _name(profile, "profile") or environ.get(PROFILE_VARIABLE, "").strip() or None
    if not any(isinstance(each, Fault) for each in found):
        faults += _unknown_profile(chosen, layers, documents)
    effective, clashes = laid(layers, chosen)
    faults += [*unnamed_routes(layers), *clashes, *forgetful_budget(effective, environ)]
    settings = _settings(effective, documents, chosen, environ)
    return Examination(settings, tuple(faults), effective)


def _name(given: object, what: str) -> str | None:
    if given is None or isinstance(given, str):
        return given
    raise ConfigurationError(f"{what} must be a string, not {brief(given)}", field=what)


def _read(
    path: str | Path | None, environ: Mapping[str, str], folder: Path | None
) -> list[Document | Fault | None]:
    """The files that count, the strongest first, or what is wrong with them."""
    variable = environ.get(CONFIG_VARIABLE, "").strip()
    if path is not None or variable:
        return [_named(variable if path is None else path)]
    return [read(file, trusted=trusted) for file, trusted in _discovered(folder)]


def _named(name: str | Path) -> Document | Fault:
    if not isinstance(name, (str, Path)):
        raise ConfigurationError(f"path must be a path, not {brief(name)}", field="path")
    try:
        file = Path(name).expanduser().absolute()
    except (OSError, RuntimeError):
        file = Path(name)
    fix = f"Check the path, or make it with imagegen config init --config {brief(str(file))}"
    missing = Fault(file, None, "", "there is no such file", fix)
    return read(file, trusted=True) or missing


def _discovered(folder: Path | None) -> list[tuple[Path, bool]]:
    """Where settings may be, with whether they are trusted."""
    own = places.user_config()
    try:
        here = folder or Path.cwd()
        same = own.parent.is_dir() and here.samefile(own.parent)
    except OSError:  # the working directory is gone
        return [(own, True)]
    return [(own, True)] if same else [(here / places.NAME, False), (own, True)]


def _unknown_profile(
    chosen: str | None, layers: Sequence[Layer], documents: Sequence[Document]
) -> list[Fault]:
    known = {layer.profile for layer in layers if layer.profile is not None}
    if chosen is None or chosen in known:
        return []
    file = documents[0].file if documents else places.user_config()
    words = f"no file has a profile {brief(chosen)}"
    return [Fault(file, None, "profiles", words, one_of(known, chosen))]


def _settings(
    effective: Mapping[Unit, Setting],
    documents: Sequence[Document],
    profile: str | None,
    environ: Mapping[str, str],
) -> Settings:
    defaults = values(named(effective, "defaults"))
    timeout = defaults.pop("timeout", None)
    prices, warnings = _refreshed()
    warnings += key_warnings(effective, [d.file for d in documents if not d.private])
    budget = effective.get(("budget",))
    return Settings(
        files=tuple(document.file for document in documents),
        profile=profile,
        backends=made_backends(effective, prices, environ),
        defaults=Defaults(**defaults),
        routes=values(named(effective, "routes")),
        timeout=timeout,
        budget=budget.value if budget else None,
        ledger=ledger(effective, environ)[0],
        prompts=values(named(effective, "ledger")).get("prompts", True),
        warnings=tuple(warnings),
    )


def _refreshed() -> tuple[dict[str, Price], list[str]]:
    """Refreshed prices; a file that is broken stops nobody's work."""
    try:
        return read_prices(places.refreshed_prices()), []
    except ConfigurationError as error:
        words = f"{error.message}. The file is ignored: imagegen prices --refresh writes it again"
        return {}, [words]
