"""Say when a change touches the package, but not the list of changes.

    python tools/changelog.py origin/main

It compares what is committed with the commit from which the branch came.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

PACKAGE = "imagegen/"
PAGE = "CHANGELOG.md"
ADVICE = f"""{PACKAGE} was changed, and {PAGE} was not.
Tell what users notice, under "Unreleased". If they notice nothing, say so to CI: give the pull
request the label "no changelog"."""


def touched(base: str) -> list[str]:
    """The files that were changed since the branch left *base*."""
    command = ["git", "diff", "--name-only", "-z", f"{base}...HEAD"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name]


def is_silent(files: Iterable[str]) -> bool:
    """Whether the package was changed without a word."""
    names = set(files)
    return PAGE not in names and any(name.startswith(PACKAGE) for name in names)


def main(base: str) -> int:
    """Print what is missing, and return 1 for that."""
    silent = is_silent(touched(base))
    if silent:
        print(ADVICE)
    return int(silent)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
