"""The providers. One file (or package) each, found through the entry points `imagegen.backends`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from imagegen.backends.base import Backend
from imagegen.backends.options import lacking
from imagegen.distribution import DISTRIBUTION
from imagegen.errors import ConfigurationError
from imagegen.redaction import brief

GROUP = "imagegen.backends"
_EXTRA = re.compile(r"extra\s*==\s*['\"]([A-Za-z0-9._-]+)['\"]")
_PROJECT = re.compile(r"[A-Za-z0-9._-]+")


def names() -> tuple[str, ...]:
    """Names of every installed backend, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load(name: str) -> type[Backend]:
    """Import the backend called *name*.

    Raises:
        ConfigurationError: there is none, or more than one; it cannot be imported, or is none.
    """
    points = tuple(entry_points(group=GROUP, name=name))
    if not points:
        raise ConfigurationError(f"there is no backend {brief(name)}", advice=_known(name))
    if len({(_distribution(point), point.value) for point in points}) > 1:
        raise _ambiguous(name, points)
    return _loaded(points[0])


def _known(name: str) -> str:
    close = get_close_matches(str(name).lower(), names(), n=1)
    near = f"Did you mean {close[0]!r}? " if close else ""
    return f"{near}Installed are {', '.join(names())}"


def _loaded(point: EntryPoint) -> type[Backend]:
    who = f"the backend {point.name!r} ({point.value}, of {_distribution(point)})"
    try:
        found: object = point.load()
    except ImportError as error:
        words = f"{who} cannot be imported: {error}"
        raise ConfigurationError(words, advice=_installing(point, error)) from error
    except AttributeError as error:
        words = f"{who} is not where its entry point says: {error}"
        raise ConfigurationError(words, advice=_reporting(point)) from error
    except (Exception, SystemExit) as error:
        words = f"{who} fails when it is imported: {type(error).__name__}: {error}"
        raise ConfigurationError(words, advice=_reporting(point)) from error
    if not isinstance(found, type) or not issubclass(found, Backend):
        words = f"{who} is {brief(found)}, which is no subclass of imagegen's Backend"
        raise ConfigurationError(words, advice=_reporting(point))
    lacks = ", ".join(filter(None, (*sorted(found.__abstractmethods__), lacking(found))))
    if lacks:
        words = f"{who} is not finished: it lacks {lacks}"
        raise ConfigurationError(words, advice=_reporting(point))
    if found.name != point.name:
        who = f"the entry point {point.name!r} of {_distribution(point)}"
        words = f"{who} gives a backend named {brief(found.name)}: name the entry point so"
        raise ConfigurationError(words, advice=_reporting(point))
    return found


def _distribution(point: EntryPoint) -> str:
    dist = getattr(point, "dist", None)
    return str(dist.name) if dist else "an unknown package"


def _ambiguous(name: str, points: tuple[EntryPoint, ...]) -> ConfigurationError:
    owners = sorted({_distribution(point) for point in points})
    others = [owner for owner in owners if owner != DISTRIBUTION] or owners
    words = f"{' and '.join(owners)} both offer a backend {name!r}"
    if DISTRIBUTION in owners:
        words, advice = f"{words}, which imagegen has itself", f"Uninstall {', '.join(others)}"
    else:
        advice = f"Keep one of {', '.join(others)}"
    return ConfigurationError(words, advice=advice)


def _reporting(point: EntryPoint) -> str:
    return f"Tell those who make {_distribution(point)}, or install another version of it"


def _installing(point: EntryPoint, error: ImportError) -> str:
    """What to install so that the module that is missing is there."""
    owner, module = _distribution(point), (error.name or "").partition(".")[0]
    if module and module == point.module.partition(".")[0]:
        return f"{owner} is not wholly installed: install it again"
    extras = _extras(point, module)
    if extras:
        commands = " or ".join(f"pip install '{owner}[{extra}]'" for extra in extras)
        return f"Install what it needs: {commands}"
    return f"Install {module or 'what it needs'}, which {owner} does not bring"


def _extras(point: EntryPoint, module: str) -> list[str]:
    """The extras that bring *module*: by their requirements, else those the entry point names."""
    brought = {extra for project, extra in _optional(point) if project == _plain(module)}
    return sorted(brought) or sorted(point.extras)


def _optional(point: EntryPoint) -> Iterator[tuple[str, str]]:
    """Each requirement of an extra, and the extra."""
    dist = getattr(point, "dist", None)
    for requirement in (dist.requires if dist else None) or ():
        project, extra = _PROJECT.match(requirement), _EXTRA.search(requirement)
        if project and extra:
            yield _plain(project[0]), extra[1]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
