"""The pytest plugin: fixtures for applications, and a line for each backend's conformance.

pytest finds it by its entry point (`-p no:imagegen` leaves it out). It loads nothing of imagegen
until a fixture is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from imagegen.client import Client
    from imagegen.sandbox import Sandbox
    from imagegen.testing.clock import FakeClock

CONFORMANCE = "imagegen.testing.conformance"
_PROPERTY = "imagegen_backend"
_NOT_ASKED = "Skipped: "


@pytest.fixture
def imagegen_clock() -> FakeClock:
    """A clock that stands still; sleeping jumps ahead and takes no time."""
    from imagegen.testing.clock import FakeClock  # noqa: PLC0415 - loaded only where it is used

    return FakeClock()


@pytest.fixture
def imagegen_sandbox(imagegen_clock: FakeClock) -> Sandbox:
    """Both providers, emulated in this process, on `imagegen_clock`."""
    from imagegen.sandbox import Sandbox  # noqa: PLC0415 - loaded only where it is used

    return Sandbox(clock=imagegen_clock.epoch)


@pytest.fixture
def imagegen_client(imagegen_sandbox: Sandbox, imagegen_clock: FakeClock) -> Iterator[Client]:
    """A Client of both providers on `imagegen_sandbox` and `imagegen_clock`."""
    with imagegen_sandbox.client(clock=imagegen_clock) as client:
        yield client


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the reports of a rule say which backend it is about; they come from workers too."""
    cls = getattr(item, "cls", None)
    if cls is not None and any(base.__module__ == CONFORMANCE for base in cls.__mro__):
        backend = getattr(cls, "backend", None)
        label = f"{getattr(backend, 'name', '?')} ({cls.__name__})"
        item.user_properties.append((_PROPERTY, label))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of each backend how many rules it kept, and what to add to ask the others."""
    asked, kept = Counter[str](), Counter[str]()
    missing = dict[str, list[str]]()
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in terminalreporter.stats.get(outcome, ()):
            backend = dict(getattr(report, "user_properties", ())).get(_PROPERTY)
            if backend is None:
                continue
            asked[backend] += 1
            kept[backend] += outcome == "passed"
            if outcome == "skipped":
                missing.setdefault(backend, []).append(_reason(report))
    if asked:
        terminalreporter.section("imagegen conformance")
    for backend in sorted(asked):
        terminalreporter.line(_line(backend, kept[backend], asked[backend], missing.get(backend)))


def _line(backend: str, kept: int, asked: int, missing: list[str] | None) -> str:
    held = f"{backend}: {kept} of {asked} rules hold"
    if not missing:
        return held
    return f"{held}; {len(missing)} not asked: {'; '.join(dict.fromkeys(missing))}"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(words).removeprefix(_NOT_ASKED)
