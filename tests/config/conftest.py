"""A user's own folders, a working directory, and files in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from imagegen.config import load, places
from imagegen.config.loading import Examination, examined
from imagegen.config.settings import Settings

WHOLE = Path(__file__).parents[2] / "fixtures" / "config" / "right" / "whole.toml"


@frozen
class Desk:
    """Where the files are: the user's own, and the working directory."""

    own: Path
    folder: Path

    @property
    def here(self) -> Path:
        """The file of the working directory."""
        return self.folder / "imagegen.toml"

    def write(self, *, own: str | None = None, here: str | None = None) -> None:
        """Write the user's own file, the working directory's, or both."""
        for path, text in ((self.own, own), (self.here, here)):
            if text is not None:
                path.write_text(text, encoding="utf-8")
                path.chmod(0o600)

    def load(
        self, path: Any = None, environ: Mapping[str, str] | None = None, **options: Any
    ) -> Settings:
        return load(path, environ=environ or {}, folder=self.folder, **options)

    def examined(self, path: Any = None, environ: Mapping[str, str] | None = None) -> Examination:
        return examined(path, profile=None, environ=environ or {}, folder=self.folder)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    own, folder = tmp_path / "own", tmp_path / "work"
    own.mkdir()
    folder.mkdir()
    monkeypatch.setattr(places, "user_config", lambda: own / "imagegen.toml")
    monkeypatch.setattr(places, "refreshed_prices", lambda: own / "prices.toml")
    monkeypatch.setattr(places, "usual_ledger", lambda: own / "ledger.db")
    return Desk(own / "imagegen.toml", folder)
