"""For tests of applications and backends; everything here is loaded on first use.

`FakeBackend` and `FakeClock` stand in for a provider and for time in an application's tests.
`play` and `reply` play one flow by hand. `Conformance` is the suite that a backend must pass; it
needs the extra ``testing``. The fixtures are in `imagegen.testing.plugin`, which pytest finds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagegen.testing.clock import EPOCH as EPOCH, FakeClock as FakeClock
    from imagegen.testing.conformance import Conformance as Conformance
    from imagegen.testing.fake import FakeBackend as FakeBackend, Made as Made
    from imagegen.testing.playing import Played as Played, play as play, reply as reply

_HOME = {
    "EPOCH": "clock",
    "FakeClock": "clock",
    "Conformance": "conformance",
    "FakeBackend": "fake",
    "Made": "fake",
    "Played": "playing",
    "play": "playing",
    "reply": "playing",
}
_OF_THE_EXTRA = {"hypothesis", "pytest"}

__all__ = [
    "EPOCH",
    "Conformance",
    "FakeBackend",
    "FakeClock",
    "Made",
    "Played",
    "play",
    "reply",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'imagegen.testing' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"imagegen.testing.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in _OF_THE_EXTRA:
            raise
        raise _missing(name, error.name) from error
    globals()[name] = value
    return value


def _missing(name: str, library: str) -> Exception:
    from imagegen.distribution import install  # noqa: PLC0415 - a plugin must load fast
    from imagegen.errors import ConfigurationError  # noqa: PLC0415 - same

    return ConfigurationError(
        f"imagegen.testing.{name} needs {library}, which is not installed",
        advice=install("testing"),
    )


def __dir__() -> list[str]:
    return __all__
