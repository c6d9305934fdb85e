"""The recipes do what they promise, as scripts of their own."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagegen.sandbox import Fault, Sandbox

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "recipes.md").read_text(
    encoding="utf-8"
)
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TOML = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SWITCH, COMPARE, _, FALL_BACK = PYTHON
SWITCHING, FALLING_BACK = TOML


@pytest.fixture
def served() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    with sandbox.running():
        yield sandbox


def run(script: str, folder: Path, sandbox: Sandbox) -> str:
    """Run *script* in *folder*, as its user would."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "IMAGEGEN_LEDGER"},
        "MINIMAX_API_HOST": sandbox.origin,
        "WAVESPEED_BASE_URL": sandbox.origin,
        "MINIMAX_API_KEY": "made-up",
        "WAVESPEED_API_KEY": "made-up",
        "XDG_STATE_HOME": str(folder / "state"),
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_line_of_the_configuration_switches_the_provider(
    served: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "imagegen.toml"
    file.write_text(SWITCHING)
    assert run(SWITCH, tmp_path, served).startswith("minimax pictures/minimax-")
    (one,) = (line for line in SWITCHING.splitlines() if line.startswith("model = "))
    file.write_text(SWITCHING.replace(one, 'model = "wavespeed:minimax/image-01"'))
    assert run(SWITCH, tmp_path, served).startswith("wavespeed pictures/wavespeed-")
    assert [submission.provider for submission in served.submissions] == ["minimax", "wavespeed"]


def test_the_comparison_tells_costs_for_every_prompt_and_model(
    served: Sandbox, tmp_path: Path
) -> None:
    served.inject(Fault("code", code=1026, provider="minimax", after=1))
    run(COMPARE, tmp_path, served)
    with (tmp_path / "costs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cost"] for row in rows] == ["0.0035", "0.0035", "0", "0.0035"]
    assert [row["pictures"] for row in rows] == ["1", "1", "0", "1"]
    assert [bool(row["error"]) for row in rows] == [False, False, True, False]
    assert rows[0]["per megapixel"] == "0.003338"


def test_the_fallback_turns_to_the_other_model(served: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "imagegen.toml").write_text(FALLING_BACK)
    served.inject(Fault("rate_limit", provider="minimax", times=1))
    told = run(FALL_BACK, tmp_path, served).splitlines()
    assert told == [
        "a red fox in the snow wavespeed 0.0035 2",
        "a lighthouse at night wavespeed 0.0035 2",  # the other one is left alone for a while
    ]
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_the_fallback_keeps_to_its_budget_over_several_runs(
    served: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "imagegen.toml").write_text(FALLING_BACK.replace('"1.00"', '"0.0105"'))
    first, second = (run(FALL_BACK, tmp_path, served) for _ in range(2))
    assert first.count("0.0035 1") == 2
    assert "of the daily budget of 0.0105 USD 0.0105 USD are spent or held" in second
    assert len(served.submissions) == 3


def test_the_fallback_does_not_buy_again_what_may_be_billed(
    served: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "imagegen.toml").write_text(FALLING_BACK)
    served.inject(Fault("drop", accepted=True, provider="minimax"))
    told = run(FALL_BACK, tmp_path, served)
    assert told.startswith("may be billed, so nothing else was bought instead: minimax: ")
    assert [submission.provider for submission in served.submissions] == ["minimax", "minimax"]
