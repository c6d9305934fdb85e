"""Mutate the modules that money and honesty rest on, and see which changes no test notices.

    python -m tools.mutation                       all, half an hour; then the page
    python -m tools.mutation pricing.py            one
    python -m tools.mutation --again               only what survived last time

`results.json` keeps the figures, `accepted.toml` says why a survivor may survive, and
`docs/mutation.md` is made of both.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cattrs  # noqa: F401  # forks inherit what is imported here
import httpx  # noqa: F401
import httpx2  # noqa: F401
import PIL.Image  # noqa: F401
import pytest

from tools.mutation import page
from tools.mutation.mutants import Mutant, mutants
from tools.mutation.sessions import Planned, Trying, measure, reach_of, try_at_import, unharmed
from tools.mutation.trial import OPTIONS, Outcome, Reach, forked

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".mutation"
RESULTS = Path(__file__).with_name("results.json")
BACKENDS = "tests/backends/test_"
SUITES: dict[str, tuple[str, ...]] = {
    "errors.py": ("tests/test_errors.py", "tests/test_redaction.py"),
    "pricing.py": ("tests/test_pricing.py",),
    "purchase/outcomes.py": ("tests/purchase/test_bugs.py", "tests/purchase/test_outcomes.py"),
    "purchase/policy.py": ("tests/purchase/test_policy.py",),
    "backends/refusals.py": (f"{BACKENDS}refusals.py",),
    "backends/minimax/__init__.py": (
        f"{BACKENDS}accounts.py",
        f"{BACKENDS}minimax.py",
        f"{BACKENDS}minimax_departures.py",
        f"{BACKENDS}minimax_replies.py",
        "tests/test_architecture.py",
    ),
    "backends/minimax/account.py": (f"{BACKENDS}accounts.py",),
    "backends/minimax/replies.py": (f"{BACKENDS}minimax_replies.py",),
    "backends/wavespeed/__init__.py": (
        f"{BACKENDS}accounts.py",
        f"{BACKENDS}current_prices.py",
        f"{BACKENDS}wavespeed.py",
        f"{BACKENDS}wavespeed_pace.py",
        f"{BACKENDS}wavespeed_predictions.py",
        f"{BACKENDS}wavespeed_sweeps.py",
        f"{BACKENDS}wavespeed_verbs.py",
    ),
    "backends/wavespeed/account.py": (f"{BACKENDS}accounts.py",),
    "backends/wavespeed/catalogue.py": (
        f"{BACKENDS}wavespeed.py",
        f"{BACKENDS}wavespeed_catalogue.py",
    ),
    "backends/wavespeed/lookup.py": (f"{BACKENDS}wavespeed_lookup.py",),
    "backends/wavespeed/pages.py": (
        f"{BACKENDS}wavespeed_pages.py",
        f"{BACKENDS}wavespeed_sweeps.py",
    ),
    "backends/wavespeed/predictions.py": (
        f"{BACKENDS}wavespeed_predictions.py",
        f"{BACKENDS}wavespeed_replies.py",
    ),
    "backends/wavespeed/prices.py": (f"{BACKENDS}current_prices.py",),
    "backends/wavespeed/seats.py": (
        f"{BACKENDS}wavespeed_seats.py",
        f"{BACKENDS}wavespeed_sweeps.py",
    ),
    "backends/wavespeed/sweeps.py": (f"{BACKENDS}wavespeed_sweeps.py",),
    "backends/wavespeed/translation.py": (
        f"{BACKENDS}wavespeed.py",
        f"{BACKENDS}wavespeed_departures.py",
    ),
}
"""What is mutated, and the tests that are to notice."""


class Trials:
    """The mutants of one file, and how they ended so far."""

    def __init__(self, made: Sequence[Mutant], record: Path) -> None:
        self.made = made
        self._record = record
        self._index = {id(mutant): at for at, mutant in enumerate(made)}
        record.write_text("", encoding="utf-8")

    def tell(self, mutant: Mutant, outcome: Outcome) -> None:
        """Keep an outcome; forks and the first process write to the same file."""
        with self._record.open("a", encoding="utf-8") as record:
            record.write(f"{self._index[id(mutant)]} {outcome}\n")
        if outcome in ("survived", "untested"):
            print(f"{outcome}: {mutant.file}:{mutant.line} {mutant.change}", flush=True)

    def outcomes(self) -> dict[int, str]:
        """Read them, by the mutant's place."""
        lines = self._record.read_text(encoding="utf-8").splitlines()
        return {int(at): outcome for at, outcome in map(str.split, lines)}

    def survived(self) -> list[dict[str, Any]]:
        """Describe those that no test noticed."""
        ended = self.outcomes()
        return [
            {"line": mutant.line, "before": mutant.before, "change": mutant.change}
            for at, mutant in enumerate(self.made)
            if ended[at] in ("survived", "untested")
        ]


def measured(*, anew: bool) -> dict[str, Any]:
    """Find out which tests reach which lines, or read what was found last time."""
    kept = WORK / "reach.json"
    WORK.mkdir(exist_ok=True)
    if anew or not kept.exists():
        files = [ROOT / "imagegen" / name for name in SUITES]
        tests = sorted({test for suite in SUITES.values() for test in suite})
        if forked(partial(measure, tests, files, kept), quiet=False):
            sys.exit("the tests fail without any mutant: run pytest")
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def try_file(file: str, tests: Sequence[str], reach: Reach, chosen: set[Any] | None) -> Trials:
    """Try the mutants of *file*, or those of them that were *chosen*."""
    made = [each for each in mutants(ROOT, file) if chosen is None or each.key in chosen]
    trials = Trials(made, WORK / "outcomes")
    planned: list[Planned] = [(mutant, reach) for mutant in made]
    if planned and not unharmed(reach):
        sys.exit(f"the tests of {file} fail without any mutant: run pytest")
    if planned and forked(partial(_try_in_functions, tests, planned, trials), quiet=False):
        sys.exit(f"the tests of {file} cannot be collected: run pytest")
    done = trials.outcomes()
    for at, mutant in enumerate(made):
        if at not in done:
            trials.tell(mutant, try_at_import(ROOT, mutant, reach))
    return trials


def _try_in_functions(tests: Sequence[str], planned: Sequence[Planned], trials: Trials) -> int:
    return int(pytest.main([*OPTIONS, *tests], plugins=[Trying(ROOT, planned, trials.tell)]))


def read_results() -> dict[str, Any]:
    """Read the figures of the last run."""
    found: dict[str, Any] = {}
    if RESULTS.exists():
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def survivors(counts: dict[str, Any], file: str) -> set[tuple[str, str, str]]:
    """The keys of what survived in *file*."""
    return {(file, mutant["before"], mutant["change"]) for mutant in counts["survived"]}


def run(name: str, found: dict[str, Any], *, again: bool) -> None:
    """Try the mutants of one module and keep the figures."""
    file = f"imagegen/{name}"
    reach = reach_of(found, ROOT / file, SUITES[name])
    results = read_results()
    before = results.get(file, {"survived": []})
    trials = try_file(file, SUITES[name], reach, survivors(before, file) if again else None)
    number = before["mutants"] if again else len(trials.made)
    results[file] = {"mutants": number, "survived": trials.survived()}
    text = json.dumps(dict(sorted(results.items())), indent=1, ensure_ascii=False)
    RESULTS.write_text(f"{text}\n", encoding="utf-8")
    print(f"{file}: {len(results[file]['survived'])} of {number} survived", flush=True)


def main() -> None:
    """Try what the command line names, keep the figures and write the page."""
    parser = argparse.ArgumentParser(description="Mutation testing")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="as in SUITES; default: all")
    parser.add_argument("--again", action="store_true", help="only try what survived last time")
    parser.add_argument("--same-reach", action="store_true", help="measure no tests anew")
    parser.add_argument("--page", action="store_true", help="only write the page")
    arguments = parser.parse_args()
    names = [] if arguments.page else arguments.modules or list(SUITES)
    found = measured(anew=not arguments.same_reach) if names else {}
    for name in names:
        run(name, found, again=arguments.again)
    page.write(ROOT, read_results())


if __name__ == "__main__":
    main()
