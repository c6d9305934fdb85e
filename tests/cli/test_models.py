"""`imagegen models`: what there is and what it can do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagegen import ImageRequest, WaveSpeed, backends
from imagegen.capabilities import capabilities
from imagegen.cli.commands import imagegen
from imagegen.cli.models import remarks

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "models.md").read_text(encoding="utf-8")


def models(*arguments: str) -> Result:
    return CliRunner().invoke(imagegen, ["models", *arguments])


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(models(*arguments, "--json").stdout)["models"]
    return found


def names(result: Result) -> list[str]:
    return [line.split()[0] for line in result.stdout.splitlines()[1:]]


def test_the_image_01_models_of_each_provider_are_shown_first() -> None:
    result = models()
    assert result.exit_code == 0
    image_01 = [name for name in names(result) if "image-01" in name]
    assert {name.partition(":")[0] for name in names(result)} == set(backends.names())
    assert len(names(result)) == len(image_01) + len(backends.names()) - 2
    assert image_01 == [
        "minimax:image-01",
        "minimax:image-01-live",
        "wavespeed:minimax/image-01",
        "wavespeed:minimax/image-01/image-to-image",
        "wavespeed:minimax/image-01/text-to-image",
    ]
    assert re.fullmatch(r"imagegen: [0-9]{3} more with --all\n", result.stderr)
    line = result.stdout.splitlines()[1].split("  ")
    cells = [cell.strip() for cell in line if cell.strip()]
    assert cells == [
        "minimax:image-01",
        "512–2048 by 8",
        "1:1 16:9 4:3 3:2 2:3 3:4 9:16 21:9",
        "1–9",
        "yes",
        "character",
        "0.0035 USD per image",
    ]


def test_a_search_finds_every_model_with_it_in_its_id() -> None:
    result = models("SeeDream-v4/")
    assert names(result) == [
        "wavespeed:bytedance/seedream-v4/edit",
        "wavespeed:bytedance/seedream-v4/edit-sequential",
        "wavespeed:bytedance/seedream-v4/sequential",
    ]
    assert "source ×10, needed" in result.stdout
    assert result.stderr == ""


def test_all_shows_every_model_that_is_known() -> None:
    result = models("--all")
    everything = [backends.load(name)().models() for name in backends.names()]
    assert len(names(result)) == sum(map(len, everything))
    assert result.stderr == ""
    assert "any" in result.stdout
    assert "7 sizes" in result.stdout


def test_one_provider_can_be_asked_for() -> None:
    assert names(models("--provider", "minimax")) == ["minimax:image-01", "minimax:image-01-live"]
    wrong = models("--provider", "nobody")
    assert wrong.exit_code == 2
    assert f"Installed are {', '.join(backends.names())}" in wrong.stderr


def test_nothing_found_is_said_and_moves_no_cursor() -> None:
    result = models("no\x1b[2Jsuch")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "see imagegen models --all" in result.stderr
    assert "\x1b" not in result.stderr
    assert listed("no-such") == []


def test_an_unknown_price_is_unknown_and_never_0() -> None:
    (live,) = [each for each in listed() if each["model"] == "image-01-live"]
    assert live["price"] is None
    assert "unknown" in models("image-01-live").stdout
    assert all(
        each["price"] is None or float(each["price"]["amount"]) > 0 for each in listed("--all")
    )


def test_a_model_that_takes_no_prompt_or_needs_more_is_marked() -> None:
    (line,) = models("bria/embed-product").stdout.splitlines()[1:]
    assert line.endswith("no prompt, needs products")
    assert remarks(capabilities(WaveSpeed(), "minimax/image-01")) == ""


CONFIGURED = """
[[prices]]
model = "minimax:image-01"
amount = "0.002"
currency = "USD"
per = "image"
as_of = 2026-11-01
source = "our contract"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "settings.toml"
    path.write_text(CONFIGURED, encoding="utf-8")
    return str(path)


def test_a_price_of_the_configuration_counts(file: str) -> None:
    assert "0.002 USD per image" in models("--config", file).stdout
    assert listed("--config", file)[0]["price"]["source"] == "our contract"


def test_a_provider_whose_settings_are_wrong_is_shown_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINIMAX_LIMITS", "enormous")
    assert listed("--provider", "minimax")[0]["price"]["amount"] == "0.0035"


def test_a_wrong_configuration_is_wrong_usage(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[default]", encoding="utf-8")
    assert models("--config", str(path)).exit_code == 2


def test_the_models_are_json_as_documented() -> None:
    blocks = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    (documented,) = next(block["models"] for block in blocks if "models" in block)
    ours = listed()[0]
    assert {key: type(value) for key, value in ours.items()} == {
        key: type(value) for key, value in documented.items()
    }
    for name in ("price", "free_sizes"):
        assert ours[name].keys() == documented[name].keys()


@pytest.mark.parametrize("model", ["minimax/image-01", "bytedance/seedream-v4"])
def test_what_is_shown_is_the_price_that_a_purchase_reserves(model: str) -> None:
    (shown,) = [each for each in listed(model) if each["model"] == model]
    price = WaveSpeed().price(model, ImageRequest("a fox"))
    assert price is not None
    assert shown["price"]["amount"] == str(price.amount)
