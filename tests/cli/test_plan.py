"""`imagegen plan`, as a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagegen.cli.commands import imagegen

MINIMAX, WAVESPEED = MODELS = ("minimax:image-01", "wavespeed:minimax/image-01")
BOTH = ("--model", MINIMAX, "--model", WAVESPEED)


def plan(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(imagegen, ["plan", *arguments], env=environment)


def planned(*arguments: str, **environment: str) -> list[dict[str, Any]]:
    result = plan(*arguments, "--json", **environment)
    plans: list[dict[str, Any]] = json.loads(result.stdout)["plans"]
    return plans


def test_the_table_tells_calls_price_and_key() -> None:
    result = plan("a fox", *BOTH, "-n", "12", WAVESPEED_API_KEY="k")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["model", "sent", "as", "calls", "price", "together", "key"]
    assert lines[1].split()[-8:] == [
        "2",
        "0.0035",
        "USD",
        "per",
        "image",
        "0.0420",
        "USD",
        "missing",
    ]
    assert lines[2].split()[1] == "minimax/image-01/text-to-image"
    assert lines[2].endswith("set")
    assert lines[3] == "one of them: 0.0420 USD; all: 0.0840 USD"
    assert "  missing: its key; set MINIMAX_API_KEY" in lines
    assert result.exit_code == 0


def test_the_exact_body_is_shown_and_in_json() -> None:
    result = plan("a fox", "--model", MINIMAX, "--seed", "7", "--aspect-ratio", "16:9")
    body = {"model": "image-01", "prompt": "a fox", "n": 1, "aspect_ratio": "16:9", "seed": 7}
    start = result.stdout.index("{")
    assert json.loads(result.stdout[start:]) == body
    (told,) = planned("a fox", "--model", MINIMAX, "--seed", "7", "--aspect-ratio", "16:9")
    assert told["body"] == body
    assert told["url"] == "https://api.minimax.io/v1/image_generation"


def test_json_has_the_documented_fields() -> None:
    (told,) = planned("a fox", "--model", WAVESPEED)
    page = (Path(__file__).parents[2] / "docs" / "guides" / "command.md").read_text(
        encoding="utf-8"
    )
    documented = page.split("`plan` prints", 1)[1].split("```json\n", 1)[1].split("```", 1)[0]
    (example,) = json.loads(documented)["plans"]
    assert told.keys() == example.keys()
    assert told["price"].keys() == example["price"].keys()
    assert told["cost"] == example["cost"]


def test_a_long_value_is_shortened_for_people_only(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + bytes(3_000))
    arguments = ("a fox", "--model", MINIMAX, "--reference", str(picture))
    assert '"image_file": "<4,' in plan(*arguments).stdout
    (told,) = planned(*arguments)
    assert len(told["body"]["subject_reference"][0]["image_file"]) > 4_000


@pytest.mark.parametrize(
    ("models", "status"),
    [((MINIMAX,), 2), ((MINIMAX, WAVESPEED), 10), ((WAVESPEED,), 0)],
)
def test_the_status_says_whether_all_some_or_none_can(models: Any, status: int) -> None:
    named = [word for model in models for word in ("--model", model)]
    result = plan("a crown", "--source", "https://example.com/a.jpg", *named)
    assert result.exit_code == status
    assert ("cannot: minimax: references: MiniMax has no source" in result.stdout) == (status > 0)


def test_two_currencies_have_no_sum() -> None:
    result = plan("a fox", *BOTH, MINIMAX_API_HOST="https://api.minimax.cn")
    assert "one of them or all: unknown" in result.stdout


def test_an_unknown_price_is_unknown_and_not_zero() -> None:
    result = plan("a fox", "--model", "minimax:image-01-live")
    assert result.stdout.splitlines()[1].split()[-3:] == ["unknown", "unknown", "missing"]
    assert planned("a fox", "--model", "minimax:image-01-live")[0]["cost"]["amount"] is None


@pytest.mark.parametrize("as_json", [False, True])
def test_a_wrong_request_is_explained(*, as_json: bool) -> None:
    result = plan("", "--model", MINIMAX, *(["--json"] if as_json else []))
    assert result.exit_code == 2
    assert "prompt" in (result.stdout if as_json else result.stderr)


def test_a_name_that_is_no_model_is_explained() -> None:
    result = plan("a fox", "--model", "dalle")
    assert result.exit_code == 2
    assert "'dalle' names neither a provider nor a route" in result.stderr


def test_no_word_of_a_provider_or_user_moves_the_cursor() -> None:
    result = plan("a \x1b[31mfox", "--model", MINIMAX)
    assert "\x1b" not in result.stdout


def test_the_sandbox_is_planned_too() -> None:
    (told,) = planned("a fox", "--model", MINIMAX, "--sandbox")
    assert told["missing_key"] is None
    assert told["url"].startswith("http://127.0.0.1")


def test_a_plan_needs_no_ledger_and_makes_none(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[budget]\namount = "0.001"\n[ledger]\npath = "ledger.db"\n')
    assert plan("a fox", "--model", MINIMAX, "--config", str(file)).exit_code == 0
    assert not (tmp_path / "ledger.db").exists()


def test_of_many_warnings_a_few_are_told(tmp_path: Path) -> None:
    models = ", ".join(f'"minimax:model-{k}"' for k in range(8))
    file = tmp_path / "own.toml"
    file.write_text(f"[routes.a]\nmodels = [{models}]\n")
    told = plan("a fox", "--model", MINIMAX, "--config", str(file)).stderr.splitlines()
    assert len(told) == 6
    assert told[-1] == "imagegen: 3 more warnings: run imagegen config check"
