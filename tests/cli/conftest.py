"""Commands do not wait two seconds for a sandbox that is ready at once."""

from __future__ import annotations

import pytest

from imagegen.backends.wavespeed import WaveSpeed


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll WaveSpeedAI sooner than by default, where nothing else is said."""
    defaults = WaveSpeed.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "first_poll", 0.05)
