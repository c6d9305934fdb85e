"""The providers. One file (or package) each, found through the entry points `imagegen.backends`."""

from __future__ import annotations

from importlib.metadata import entry_points

from imagegen.backends.base import Backend
from imagegen.errors import ConfigurationError

GROUP = "imagegen.backends"


def names() -> tuple[str, ...]:
    """Names of every installed backend, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load(name: str) -> type[Backend]:
    """Import the backend called *name*.

    Raises:
        ConfigurationError: there is none, or it cannot be imported.
    """
    for point in entry_points(group=GROUP, name=name):
        try:
            backend: type[Backend] = point.load()
        except ImportError as error:
            raise ConfigurationError(
                f"the backend {name!r} ({point.value}) cannot be imported: {error}",
                advice="Install the package or extra that it names",
            ) from error
        return backend
    raise ConfigurationError(
        f"there is no backend {name!r}", advice=f"Installed are {', '.join(names())}"
    )
