"""Running tests against mutants, each in a fork of a process that has collected them already.

What changes the body of a function is put into that function where it lives. What shows at import
(a table, a default, a decorator) gets a fork from before the package was imported.
"""

from __future__ import annotations

import functools
import gc
import importlib.machinery
import os
import resource
import signal
import sys
import types
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import hypothesis
import pytest
from attrs import frozen

from tools.mutation.mutants import Mutant

Outcome = Literal["killed", "survived", "timeout", "untested"]

OFF = ("cacheprovider", "cov", "terminal", "xdist")
OPTIONS = ("-x", "--assert=plain", *(f"-pno:{name}" for name in OFF))
MEMORY = 4 * 2**30
PATIENCE = 20.0


@frozen
class Reach:
    """Which tests run which lines of a file, and how long each took alone.

    `tests` is by line; at line 0 are all, those that reach the file first. `early` are the lines
    that run at import.
    """

    tests: dict[int, list[str]]
    seconds: dict[str, float]
    early: frozenset[int]


class Quiet:
    """A plugin that fixes what chance decides, and notices failures."""

    def __init__(self) -> None:
        self.failed = False

    def pytest_configure(self) -> None:
        """Let Hypothesis try the same examples each time, and report the first that fails."""
        tries = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutation", derandomize=True, database=None, deadline=None, phases=tries
        )
        hypothesis.settings.load_profile("mutation")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a failure."""
        self.failed |= report.failed


def run(item: pytest.Item, following: pytest.Item | None, seconds: float) -> None:
    """Run one test; the process ends if it takes much longer than it should."""
    signal.setitimer(signal.ITIMER_REAL, PATIENCE + 10 * seconds)
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def forked(work: Callable[[], int], *, quiet: bool = True) -> int:
    """Do *work* in a fork; return its exit code, negative for a signal."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:
        if quiet:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        code = work()
    finally:
        os._exit(code)


def outcome(code: int) -> Outcome:
    """Read what a fork's exit code says of its mutant."""
    if code == -signal.SIGALRM:
        return "timeout"
    return "survived" if code == 0 else "killed"


def clear_caches(caches: Sequence[Any]) -> None:
    """Forget what the package has remembered, so that every test runs what it needs."""
    for cache in caches:
        cache.cache_clear()


def caches_of_the_package() -> list[Any]:
    """Find every `functools.cache` of the package."""
    kind = type(functools.cache(lambda: None))
    found = [thing for thing in gc.get_objects() if isinstance(thing, kind)]
    return [thing for thing in found if str(thing.__module__).startswith("imagegen")]


Functions = Mapping[tuple[str, str], list[types.FunctionType]]


def functions_of_the_package() -> Functions:
    """Find every function of the package, by file and qualified name."""
    found = defaultdict(list)
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType) and str(thing.__module__).startswith("imagegen"):
            found[thing.__code__.co_filename, thing.__code__.co_qualname].append(thing)
    return found


class Replaced:
    """A mutant's function body in place of the original's."""

    def __init__(self, root: Path, mutant: Mutant, functions: Functions) -> None:
        path = str(root / mutant.file)
        self._functions = functions.get((path, mutant.within or ""), [])
        self._codes = _codes(compile(mutant.source, path, "exec"), mutant.within)

    def fits(self) -> bool:
        """Tell whether the one can stand for the other."""
        old = {function.__code__ for function in self._functions}
        if len(old) != 1 or len(self._codes) != 1:
            return False
        return old.pop().co_freevars == self._codes[0].co_freevars

    def apply(self) -> None:
        """Put it in, for good."""
        for function in self._functions:
            function.__code__ = self._codes[0]


def _codes(code: types.CodeType, name: str | None) -> list[types.CodeType]:
    return [found for found in _all_codes(code) if found.co_qualname == name]


def _all_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _all_codes(constant)


def import_changed(path: str, source: str) -> None:
    """Let the file at *path* be imported as *source*."""
    loader = importlib.machinery.SourceFileLoader
    usual = loader.get_code

    def get_code(self: Any, name: str) -> Any:
        if self.path == path:
            return compile(source, path, "exec", dont_inherit=True)
        return usual(self, name)

    loader.get_code = get_code  # type: ignore[method-assign,assignment]
