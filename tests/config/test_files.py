"""Right files are read, and wrong ones say what is wrong, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from imagegen import (
    ConfigurationError,
    Limits,
    MiniMax,
    ProviderUnavailableError,
    RateLimitError,
    backends,
)
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.config import load
from imagegen.defaults import Defaults
from imagegen.ledger import Budget
from imagegen.pricing import Price
from imagegen.purchase.routing import Route
from imagegen.redaction import Secret

ROOT = Path(__file__).parents[2]
RIGHT = sorted((ROOT / "fixtures" / "config" / "right").glob("*.toml"))
WRONG = sorted((ROOT / "fixtures" / "config" / "wrong").glob("*.toml"))
PAGE = (ROOT / "docs" / "guides" / "configuration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ENVIRON = {"MINIMAX_API_KEY": "sk-canary-environment"}


def expected(text: str) -> list[dict[str, str]]:
    """The faults that the comments at the head of a file announce."""
    lines = re.findall(r"^# (key|line|says|fix|trusted):(.*)$", text, re.MULTILINE)
    starts = [place for place, (name, _) in enumerate(lines) if name == "key"]
    parts = [lines[start:end] for start, end in pairwise([*starts, len(lines)])]
    return [{name: words.strip() for name, words in part} for part in parts]


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_wrong_file_is_told_with_key_line_reason_and_fix(path: Path, desk: Any) -> None:
    text = path.read_text(encoding="utf-8")
    announced = expected(text)
    trusted = all("trusted" not in fault for fault in announced)
    desk.write(**{"own" if trusted else "here": text})
    found = desk.examined().faults
    assert [fault.key for fault in found] == [fault["key"] for fault in announced]
    for fault, said in zip(found, announced, strict=True):
        words = str(fault)
        assert words.startswith(str(desk.own if trusted else desk.here))
        assert str(fault.line or "") == said["line"]
        assert said["says"] in fault.problem
        assert said["fix"] in fault.fix
        assert "sk-canary" not in words


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_the_first_fault_is_raised_and_the_others_are_counted(path: Path, desk: Any) -> None:
    text = path.read_text(encoding="utf-8")
    announced = expected(text)
    trusted = all("trusted" not in fault for fault in announced)
    desk.write(**{"own" if trusted else "here": text})
    with pytest.raises(ConfigurationError) as caught:
        desk.load()
    words = str(caught.value)
    assert announced[0]["says"] in words
    assert announced[0]["fix"] in words
    assert ("more: `imagegen config check`" in words) == (len(announced) > 1)


def test_there_are_many_wrong_files_and_each_announces_a_fault() -> None:
    assert len(WRONG) >= 35
    assert all(expected(path.read_text(encoding="utf-8")) for path in WRONG)


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_a_right_file_is_read(path: Path) -> None:
    assert load(path, environ=ENVIRON).files == (path,)


@pytest.mark.parametrize("text", BLOCKS)
def test_a_block_of_the_page_is_right(text: str, desk: Any) -> None:
    desk.write(own=text)
    assert desk.load(environ=ENVIRON).warnings == ()


def test_the_pages_whole_example_is_the_fixture() -> None:
    assert (ROOT / "fixtures/config/right/whole.toml").read_text(encoding="utf-8") in BLOCKS


def test_every_setting_becomes_what_a_client_takes() -> None:
    path = ROOT / "fixtures" / "config" / "right" / "whole.toml"
    settings = load(path, environ=ENVIRON)
    assert settings.defaults == Defaults(model="cheap", max_cost=Decimal("0.05"))
    assert settings.routes == {
        "cheap": Route(
            models=["minimax:image-01", "wavespeed:minimax/image-01"],
            strategy="weighted",
            fallback_on=[RateLimitError, ProviderUnavailableError],
            max_cost=Decimal("0.02"),
            weights=[1, 2.5],
        )
    }
    assert (settings.timeout, settings.prompts, settings.profile) == (300.0, True, None)
    assert settings.budget == Budget(amount="5.00", currency="USD", per="day")
    assert settings.ledger == path.parent / "ledger.db"
    key = Secret(ENVIRON["MINIMAX_API_KEY"])
    host = "https://api.minimax.io"
    others = {name: backends.load(name)() for name in backends.names()}
    assert settings.backends == others | {
        "minimax": MiniMax(api_key=key, base_url=host, limits="default"),
        "wavespeed": WaveSpeed(
            limits=Limits(per_minute=10, in_flight=5),
            first_poll=3,
            slowest_poll=10.5,
            prices={
                "minimax/image-01/text-to-image": Price(
                    amount=Decimal("0.003"),
                    currency="USD",
                    per="image",
                    as_of=date(2026, 11, 1),
                    source="our contract",
                )
            },
        ),
    }


def values_of(settings: Any) -> Mapping[str, Any]:
    return {"defaults": settings.defaults, "routes": settings.routes, "budget": settings.budget}


def test_without_any_file_the_environment_counts(desk: Any) -> None:
    settings = desk.load(environ=ENVIRON)
    assert settings.files == ()
    assert settings.backends["minimax"].api_key == Secret(ENVIRON["MINIMAX_API_KEY"])
    assert values_of(settings) == {"defaults": Defaults(), "routes": {}, "budget": None}
    assert (settings.timeout, settings.ledger, settings.warnings) == (None, None, ())


def test_a_long_list_of_names_is_cut_short(desk: Any) -> None:
    names: Sequence[str] = [f"route-{n}" for n in range(100)]
    routes = "".join(f"[routes.{name}]\nmodels = ['minimax:image-01']\n" for name in names)
    desk.write(own=f"[defaults]\nmodel = 'x'\n{routes}")
    (fault,) = desk.examined().faults
    assert "…" in fault.fix
    assert len(fault.fix) < 500
