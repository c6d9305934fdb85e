"""`docs/mutation.md`: the figures of the last run, and why each survivor may survive."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ACCEPTED = Path(__file__).with_name("accepted.toml")
PAGE = Path("docs", "mutation.md")
UNEXPLAINED = "not explained"

_HEAD = """\
# Mutation testing

Would the tests notice if this line were wrong? Each *mutant* is the package with one small change.
A mutant that makes a test fail, or never end, is killed; one that no test notices survives.

```console
$ pip install nox && nox -s mutation
```

tries them all again and writes this page; it takes about half an hour on two idle cores.
`nox -s mutation -- pricing.py` tries one module, `nox -s mutation -- --again` only what
survived last time.

- The changes are those of [mutmut](https://mutmut.readthedocs.io): another operator, number, text,
  constant or branch, an argument less, `None` for a value. A text is changed in one way, not in its
  case too.
- They are made in the whole file: in tables, defaults and decorators as well as in functions.
  mutmut's own runner knows functions without decorators only. What only type checkers read is left
  alone.
- Each mutant meets the tests that reach its line, the quickest first, in a fork of a process that
  has collected them. Only the module's own tests count: those of errors for errors, those of the
  backends for a backend.
- Hypothesis tries the same examples each time.

## Score

| module | mutants | killed | survived | score |
| --- | --- | --- | --- | --- |
"""

_SURVIVORS = """
## Survivors

*Equivalent* ones behave like the original; no test can tell. *Accepted* ones differ in what nothing
promises. Line numbers are those of the run.
"""


def score(counts: Mapping[str, Any]) -> float:
    """The share of mutants that were killed, in percent."""
    return 100 * (1 - len(counts["survived"]) / counts["mutants"]) if counts["mutants"] else 100.0


def together(every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of several files as one."""
    return {
        "mutants": sum(counts["mutants"] for counts in every),
        "survived": [mutant for counts in every for mutant in counts["survived"]],
    }


def reasons() -> list[dict[str, str]]:
    """Read why survivors may survive."""
    found: list[dict[str, str]] = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))["accepted"]
    return found


def reason(file: str, mutant: Mapping[str, Any], accepted: Sequence[Mapping[str, str]]) -> str:
    """Say why *mutant* may survive: the first entry whose file and patterns fit it."""
    for entry in accepted:
        fits = file.endswith(entry.get("file", ""))
        texts = (("before", mutant["before"]), ("change", mutant["change"]))
        if fits and all(re.search(entry.get(name, ""), text) for name, text in texts):
            return entry["reason"]
    return UNEXPLAINED


def render(results: Mapping[str, Any]) -> str:
    """Make the page."""
    accepted = reasons()
    rows = [_row(f"`{file}`", counts) for file, counts in results.items()]
    total = _row("all", together(list(results.values())))
    parts = [_survivors(file, counts["survived"], accepted) for file, counts in results.items()]
    return "".join([_HEAD, *rows, total, _SURVIVORS, *parts])


def write(root: Path, results: Mapping[str, Any]) -> None:
    """Write the page."""
    (root / PAGE).write_text(render(results), encoding="utf-8")


def _row(name: str, counts: Mapping[str, Any]) -> str:
    mutants, survived = counts["mutants"], len(counts["survived"])
    return f"| {name} | {mutants} | {mutants - survived} | {survived} | {score(counts):.1f} % |\n"


def _survivors(
    file: str, survived: Sequence[Mapping[str, Any]], accepted: Sequence[Mapping[str, str]]
) -> str:
    if not survived:
        return ""
    lines = [
        f"- {mutant['line']}: `` {mutant['change']} ``: {reason(file, mutant, accepted)}\n"
        for mutant in survived
    ]
    return "".join([f"\n### `{file}`\n\n", *lines])
