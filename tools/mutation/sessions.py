"""pytest's sessions for mutants: one that measures the reach of tests, and those that try them."""

from __future__ import annotations

import gc
import json
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import coverage
import pytest

from tools.mutation.mutants import Mutant
from tools.mutation.trial import (
    OPTIONS,
    PATIENCE,
    Outcome,
    Quiet,
    Reach,
    Replaced,
    caches_of_the_package,
    clear_caches,
    forked,
    functions_of_the_package,
    import_changed,
    outcome,
    run,
)

Told = Callable[[Mutant, Outcome], None]
Planned = tuple[Mutant, Reach]
COLLECTING = 60.0
"""Seconds that importing and collecting may take."""


class Measuring(Quiet):
    """Runs every test once and notes which lines each reaches."""

    def __init__(self, measured: coverage.Coverage) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}
        self._measured = measured

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run them in pytest's place."""
        caches = caches_of_the_package()
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            clear_caches(caches)
            self._measured.switch_context(item.nodeid)
            begun = time.perf_counter()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.seconds[item.nodeid] = time.perf_counter() - begun
        return True


def measure(tests: Sequence[str], files: Sequence[Path], into: Path) -> int:
    """Write the reach of *tests* in *files*; to be called before the package is imported."""
    measured = coverage.Coverage(
        data_file=None, include=[str(file) for file in files], config_file=False
    )
    measured.start()
    plugin = Measuring(measured)
    code = int(pytest.main([*OPTIONS, *tests], plugins=[plugin]))
    measured.stop()
    data = measured.get_data()
    lines = {str(file): data.contexts_by_lineno(str(file)) for file in files}
    into.write_text(json.dumps({"lines": lines, "seconds": plugin.seconds}), encoding="utf-8")
    return code or int(plugin.failed)


def reach_of(measured: dict[str, Any], file: Path, suite: tuple[str, ...]) -> Reach:
    """Read what `measure` has written about *file* and the tests of *suite*."""
    lines = {int(line): names for line, names in measured["lines"][str(file)].items()}
    seconds: dict[str, float] = {
        name: took for name, took in measured["seconds"].items() if name.startswith(suite)
    }
    tests = {
        line: sorted(set(names) & seconds.keys(), key=seconds.__getitem__)
        for line, names in lines.items()
    }
    reaching = {name for names in tests.values() for name in names}
    tests[0] = sorted(seconds, key=lambda name: (name not in reaching, seconds[name]))
    early = frozenset(line for line, names in lines.items() if "" in names)
    return Reach(tests, seconds, early)


class Trying(Quiet):
    """Tries mutants of function bodies, each in a fork of the session that has collected."""

    def __init__(self, root: Path, planned: Sequence[Planned], told: Told) -> None:
        super().__init__()
        self._root = root
        self._planned = planned
        self._told = told
        self._caches: list[Any] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try them in place of running the tests."""
        items = {item.nodeid: item for item in session.items}
        self._caches = caches_of_the_package()
        functions = functions_of_the_package()
        gc.freeze()  # forks share what no collection touches
        for mutant, reach in self._planned:
            chosen = [(items[name], reach.seconds[name]) for name in tests_of(mutant, reach)]
            replaced = Replaced(self._root, mutant, functions)
            if replaced.fits() and not shows_at_import(mutant, reach):
                trial = partial(self._try, replaced, chosen)
                self._told(mutant, outcome(forked(trial)) if chosen else "untested")
        return True

    def _try(self, replaced: Replaced, chosen: Sequence[tuple[pytest.Item, float]]) -> int:
        replaced.apply()
        clear_caches(self._caches)
        following = [*(item for item, _ in chosen[1:]), None]
        for (item, seconds), next_one in zip(chosen, following, strict=True):
            run(item, next_one, seconds)
            if self.failed:
                return 1
        return 0


def tests_of(mutant: Mutant, reach: Reach) -> list[str]:
    """Choose the tests that reach the mutant, the quickest first."""
    lines = range(mutant.statement, mutant.line + 1)
    if shows_at_import(mutant, reach):
        return reach.tests[0]
    names = {name for line in lines for name in reach.tests.get(line, [])}
    return sorted(names, key=reach.seconds.__getitem__)


def shows_at_import(mutant: Mutant, reach: Reach) -> bool:
    """Tell whether the mutant, or the function around it, runs before any test does."""
    return mutant.within is None or not reach.early.isdisjoint(mutant.scope)


class Chosen(Quiet):
    """Runs some tests in an order, and ends with the first that fails."""

    def __init__(self, names: Sequence[str], reach: Reach) -> None:
        super().__init__()
        self._order = {name: at for at, name in enumerate(names)}
        self._reach = reach

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the chosen."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order),
            key=lambda item: self._order[item.nodeid],
        )

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Give each its time."""
        signal.setitimer(signal.ITIMER_REAL, PATIENCE + 10 * self._reach.seconds[item.nodeid])


def unharmed(reach: Reach) -> bool:
    """Tell whether a few tests pass without a mutant, the way that mutants are tried at import."""
    return forked(partial(_run_chosen, reach.tests[0][:20], reach)) == 0


def try_at_import(root: Path, mutant: Mutant, reach: Reach) -> Outcome:
    """Try a mutant that shows at import; to be called before the package is imported."""
    names = tests_of(mutant, reach)
    if not names:
        return "untested"

    def trial() -> int:
        import_changed(str(root / mutant.file), mutant.source)
        signal.setitimer(signal.ITIMER_REAL, COLLECTING)
        return _run_chosen(names, reach)

    return outcome(forked(trial))


def _run_chosen(names: Sequence[str], reach: Reach) -> int:
    files = sorted({name.split("::")[0] for name in names})
    return int(pytest.main([*OPTIONS, *files], plugins=[Chosen(names, reach)]))
