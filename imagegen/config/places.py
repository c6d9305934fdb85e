"""The user's own files: settings, refreshed prices, the usual ledger."""

from __future__ import annotations

from pathlib import Path

import platformdirs

NAME = "imagegen.toml"
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
