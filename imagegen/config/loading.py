"""Finding the files, reading them, and making settings of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from imagegen.config import places
from imagegen.config.document import Document, read
from imagegen.config.faults import PATIENCE, Doubt, Fault, Place, dotted, one_of, patience
from imagegen.config.layers import Layer, Setting, Unit, counting, laid, unnamed_routes
from imagegen.config.prices import prices_or_fault
from imagegen.config.reader import Reader
from imagegen.config.sections import layers_of
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
    patience.set(PATIENCE)
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
    order = counting(layers, chosen)
    effective, clashes = laid(order)
    faults += [*unnamed_routes(layers), *(each for each in clashes if isinstance(each, Fault))]
    faults += forgetful_budget(effective, environ)
    doubts = [doubt for layer in order for doubt in layer.doubts]
    doubts += [each for each in clashes if isinstance(each, Doubt)]
    if _name_of(path, environ) is not None:
        doubts += _left_out(documents, effective)
    settings = _settings(effective, documents, chosen, environ, doubts)
    return Examination(settings, tuple(faults), effective)


def _name(given: object, what: str) -> str | None:
    if given is None or isinstance(given, str):
        return given
    raise ConfigurationError(f"{what} must be a string, not {brief(given)}", field=what)


def _read(
    path: str | Path | None, environ: Mapping[str, str], folder: Path | None
) -> list[Document | Fault | None]:
    """The files that count, the strongest first, or what is wrong with them."""
    named = _name_of(path, environ)
    if named is not None and path is None and not places.expanded(str(named)).is_absolute():
        fix = f"Write the whole path into {CONFIG_VARIABLE}"
        words = f"{CONFIG_VARIABLE} names another file in each folder, and so trusts them all"
        return [Fault(Path(named), None, "", words, fix)]
    if named is not None:
        return [_named(named)]
    return [read(file, trusted=trusted) for file, trusted in _discovered(folder)]


def _name_of(path: str | Path | None, environ: Mapping[str, str]) -> str | Path | None:
    return path if path is not None else environ.get(CONFIG_VARIABLE, "").strip() or None


def _left_out(documents: Sequence[Document], effective: Mapping[Unit, Setting]) -> Iterator[Doubt]:
    """What the user's own file bounds, and the named one of *documents*, read alone, does not."""
    file = places.user_config()
    own = read(file, trusted=True) if documents and documents[0].file != file else None
    if not isinstance(own, Document):
        return
    for unit in (("budget",), ("defaults", "max_cost")):
        if own.has(unit) and unit not in effective:
            words = f"your own file {file} has a {unit[-1]}, which does not count here"
            place = Place(documents[0].file, None, dotted(unit))
            yield place.doubt(words, "Write one here too, or name no file")


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
    doubts: Sequence[Doubt],
) -> Settings:
    defaults = values(named(effective, "defaults"))
    timeout = defaults.pop("timeout", None)
    prices, warnings = _refreshed()
    warnings += [*doubts, *key_warnings(effective, [d.file for d in documents if not d.private])]
    budget = effective.get(("budget",))
    return Settings(
        files=tuple(document.file for document in documents),
        discovered=_counting(documents, effective),
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


def _counting(documents: Sequence[Document], effective: Mapping[Unit, Setting]) -> Path | None:
    """The file that nobody named, if anything that it says counts."""
    said = {setting.place.file for setting in effective.values()}
    unnamed = (each.file for each in documents if not each.trusted and each.file in said)
    return next(unnamed, None)


def _refreshed() -> tuple[dict[str, Price], list[Doubt]]:
    """Refreshed prices; a file that is broken stops nobody's work."""
    found = prices_or_fault(places.refreshed_prices())
    if isinstance(found, Fault):
        fix = "The file is ignored: imagegen prices --refresh writes it again"
        return {}, [Doubt(found.where, found.problem, fix)]
    return found, []
