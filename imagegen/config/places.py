"""The user's own files: settings, refreshed prices, the usual ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs

NAME = "imagegen.toml"
OFF: Literal["off"] = "off"
"""What stands in the place of a ledger's path where there is to be none."""
_APPLICATION = "imagegen"


def user_config() -> Path:
    """The user's own file of settings, whether or not it exists."""
    return platformdirs.user_config_path(_APPLICATION) / NAME


def usual_ledger() -> Path:
    """The ledger of whoever names none, in the user's folder for state."""
    return platformdirs.user_state_path(_APPLICATION) / "ledger.db"


def refreshed_prices() -> Path:
    """Prices that providers have told, as `imagegen prices --refresh` writes them."""
    return platformdirs.user_data_path(_APPLICATION) / "prices.toml"


def expanded(path: str) -> Path:
    """Take *path* with ``~`` for the user's home, where there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
