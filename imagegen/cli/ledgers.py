"""Which ledger the command uses: its own, unless an option or the environment says otherwise."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import platformdirs

from imagegen.errors import ConfigurationError
from imagegen.ledger import Ledger
from imagegen.redaction import prompts_hidden

VARIABLE = "IMAGEGEN_LEDGER"
OFF = "off"


def ledger(option: str | None, *, sandbox: bool = False) -> Ledger | None:
    """Open the ledger that *option*, else the environment, names; None if it is ``"off"``.

    The sandbox spends nothing, so it has one only if an option names it. Results count as
    collected once they are saved.

    Raises:
        ConfigurationError: it cannot be opened.
    """
    place = _place(option, sandbox=sandbox)
    return None if place == OFF else Ledger(place, collect="saved", prompts=not prompts_hidden())


def required(option: str | None) -> Ledger:
    """Open the ledger, which is what the command is about.

    Raises:
        ConfigurationError: it is switched off, cannot be opened, or *option* names none.
    """
    if option and option != OFF and not Path(option).exists():
        raise ConfigurationError(
            f"there is no ledger {option!r}", advice="Check the path", field="ledger"
        )
    opened = ledger(option)
    if opened is None:
        raise ConfigurationError(
            "the ledger is switched off",
            advice=f"Name it with --ledger, or unset {VARIABLE}",
            field="ledger",
        )
    return opened


def options(option: str | None, *, sandbox: bool = False) -> str | None:
    """What to add to ``imagegen jobs`` to finish later what was bought with *option*.

    None where nothing can be: without a ledger, and in a sandbox that ends with the process.
    """
    if sandbox or _place(option) == OFF:
        return None
    return f" --ledger {shlex.quote(option)}" if option else ""


def _place(option: str | None, *, sandbox: bool = False) -> str:
    usual = OFF if sandbox else os.environ.get(VARIABLE) or str(usual_place())
    return option or usual


def usual_place() -> Path:
    """The file in the user's own folder for state."""
    return platformdirs.user_state_path("imagegen") / "ledger.db"
