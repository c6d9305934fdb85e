"""`imagegen compare`, as a shell sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagegen.cli.commands import imagegen
from imagegen.errors import ConfigurationError
from imagegen.ledger import Ledger
from imagegen.sandbox import Fault, Sandbox

MINIMAX, WAVESPEED = MODELS = ("minimax:image-01", "wavespeed:minimax/image-01")
BOTH = ("--model", MINIMAX, "--model", WAVESPEED)
Run = Callable[..., Result]


@pytest.fixture
def served() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    with sandbox.running():
        yield sandbox


@pytest.fixture
def run(served: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `imagegen compare` in a temporary folder, both providers on the sandbox."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imagegen.toml").write_text("[defaults]\ntimeout = 600\n")
    for provider, host in (("MINIMAX", "MINIMAX_API_HOST"), ("WAVESPEED", "WAVESPEED_BASE_URL")):
        monkeypatch.setenv(host, served.origin)
        monkeypatch.setenv(f"{provider}_API_KEY", "a-key-that-nobody-may-see")

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(imagegen, ["compare", *arguments])
        assert "a-key-that-nobody-may-see" not in result.output
        return result

    return invoke


def test_pictures_of_every_model_are_saved_and_counted(run: Run, tmp_path: Path) -> None:
    result = run("a fox", *BOTH, "--size", "512x512", "--out", "out")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["model", "pictures", "cost"]
    assert lines[1].split()[:4] == [MINIMAX, "1", "0.0035", "USD"]
    assert lines[2].split()[:4] == [WAVESPEED, "1", "0.0035", "USD"]
    assert lines[1].endswith("0.26        0.013351 USD")
    assert lines[3] == "together: 0.0070 USD"
    assert re.search(rf"^{WAVESPEED}: note: its price is of 2026-03-13, \d+ days ago", lines[4])
    saved = sorted((tmp_path / "out").iterdir())
    assert [path.name.partition("-")[0] for path in saved] == ["minimax", "wavespeed"]
    for path in saved:
        with Image.open(path) as image:
            assert image.size == (512, 512)


def test_the_report_has_the_pictures_of_both(run: Run, tmp_path: Path) -> None:
    result = run("a fox", *BOTH, "--size", "512x512", "--html", "new/report.html")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2
    assert all(model in page for model in MODELS)
    assert result.stdout.splitlines()[-1] == "report: new/report.html"


def test_json_has_the_documented_fields(run: Run) -> None:
    result = run("a fox", *BOTH, "--json")
    told = json.loads(result.stdout)
    page = (Path(__file__).parents[2] / "docs" / "guides" / "command.md").read_text(
        encoding="utf-8"
    )
    documented = page.split("`compare` prints", 1)[1].split("```json\n", 1)[1].split("```", 1)[0]
    example = json.loads(documented)
    assert told.keys() == example.keys()
    assert [each.keys() for each in told["models"]] == [example["models"][0].keys()] * 2
    assert told["cost"]["amount"] == "0.0070"
    assert [each["generation"]["cost"]["amount"] for each in told["models"]] == ["0.0035"] * 2


def test_a_model_that_fails_is_told_beside_the_other(run: Run, served: Sandbox) -> None:
    served.inject(Fault("code", code=1026, provider="minimax"))
    result = run("a fox", *BOTH)
    assert result.exit_code == 10
    assert "minimax:image-01: nothing came: minimax: " in result.stdout
    assert "together: 0.0035 USD" in result.stdout


def test_an_unknown_outcome_makes_the_cost_unknown(run: Run, served: Sandbox) -> None:
    served.inject(Fault("drop", accepted=True, provider="minimax"))
    result = run("a fox", *BOTH)
    assert result.exit_code == 10
    assert "together: unknown" in result.stdout


def test_if_all_fail_the_status_is_that_of_the_gravest(run: Run, served: Sandbox) -> None:
    served.inject(Fault("drop", accepted=True, provider="minimax"))
    served.inject(Fault("insufficient_balance", provider="wavespeed"))
    assert run("a fox", *BOTH, "--json").exit_code == 8


def test_the_maximum_cost_is_for_all_together(run: Run, served: Sandbox) -> None:
    result = run("a fox", *BOTH, "--max-cost", "0.0069")
    assert result.exit_code == 9
    assert "together they would cost 0.0070 USD" in result.stderr
    assert served.submissions == []


def test_a_budget_of_the_configuration_holds(run: Run, served: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[budget]\namount = "0.005"\nper = "day"\n[ledger]\npath = "ledger.db"\n'
    )
    result = run("a fox", *BOTH, "--config", "own.toml")
    assert result.exit_code == 10
    assert "the daily budget of 0.005 USD" in result.stdout
    assert len(served.submissions) == 1


def test_a_budget_of_the_configuration_needs_a_ledger(
    run: Run, served: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text('[budget]\namount = "0.005"\n[ledger]\npath = "l.db"\n')
    result = run("a fox", *BOTH, "--config", "own.toml", "--ledger", "off")
    assert result.exit_code == 2
    assert "the configuration's budget needs a ledger" in result.stderr
    assert served.submissions == []


def test_purchases_are_on_the_ledger_and_collected(run: Run, tmp_path: Path) -> None:
    run("a fox", *BOTH, "--ledger", "ledger.db")
    with Ledger(tmp_path / "ledger.db") as ledger:
        entries = ledger.entries().result()
    assert sorted((e.provider, e.collected) for e in entries) == [
        ("minimax", True),
        ("wavespeed", True),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a fox",), "no model is named"),
        (("a fox", "--model", "dalle:3"), "no backend 'dalle'"),
        ((), "a prompt is needed"),
        (("a fox", *BOTH, "--out", "imagegen.toml/x"), "nothing can be written"),
        (("a fox", *BOTH, "--html", "imagegen.toml/x.html"), "nothing can be written"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_paid(
    run: Run, served: Sandbox, arguments: tuple[str, ...], words: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert served.submissions == []


def test_without_the_extra_the_report_is_refused_before_anything_is_paid(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ConfigurationError("Jinja2 is not installed")

    monkeypatch.setattr("imagegen.report.require", missing)
    assert run("a fox", *BOTH, "--html", "report.html").exit_code == 2
    assert served.submissions == []


def test_pictures_that_cannot_be_saved_are_told_and_stay_open(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise ConfigurationError("no space left")

    monkeypatch.setattr("imagegen.cli.delivery.write_images", full)
    result = run("a fox", *BOTH, "--ledger", "ledger.db", "--html", "report.html")
    assert result.exit_code == 10
    assert result.stderr.count("not everything was saved: no space left") == 1
    assert result.stdout.count(": http://127.0.0.1") == 2
    assert (tmp_path / "report.html").exists()
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert [entry.collected for entry in ledger.entries().result()] == [False, False]


@pytest.mark.parametrize("name", ["", "out", "imagegen.toml/x.html", "x" * 300 + ".html"])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_paid(
    run: Run, served: Sandbox, name: str
) -> None:
    result = run("a fox", *BOTH, "--html", name, "--out", "out")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr or "nothing can be written" in result.stderr
    assert served.submissions == []


@pytest.mark.parametrize("problem", [OSError("disk full"), RuntimeError(), KeyboardInterrupt()])
def test_a_report_that_fails_does_not_hide_what_is_paid_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    def failing(*_: object) -> str:
        raise problem

    monkeypatch.setattr("imagegen.report.page", failing)
    result = run("a fox", *BOTH, "--html", "report.html", "--json")
    assert result.exit_code == 10
    told = json.loads(result.stdout)
    assert told["html"] is None
    assert all(each["generation"]["images"][0]["path"] for each in told["models"])
    assert "not everything was saved" in result.stderr


def test_the_report_of_the_sandbox_says_so(run: Run, tmp_path: Path) -> None:
    run("a fox", "--model", MINIMAX, "--sandbox", "--html", "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "sandbox: no provider was asked, nothing was charged" in page


@pytest.mark.parametrize("timeout", ["0", "-1", "nan"])
def test_no_time_is_no_time(run: Run, served: Sandbox, timeout: str) -> None:
    result = run("a fox", *BOTH, "--timeout", timeout)
    assert (result.exit_code, served.submissions) == (2, [])


def test_interrupting_says_what_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, served: Sandbox
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imagegen.client.Client.compare", interrupted)
    assert run("a fox", *BOTH).exit_code == 130
    assert served.submissions == []


def test_an_interruption_while_saving_leaves_the_rest_open_and_says_how_to_get_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []

    def interrupted(*_: object, **__: object) -> None:
        saved.append("tried")
        raise KeyboardInterrupt

    monkeypatch.setattr("imagegen.cli.delivery.write_images", interrupted)
    result = run("a fox", *BOTH, "--ledger", "ledger.db")
    assert (result.exit_code, saved) == (130, ["tried"])
    assert "together: 0.0070 USD" in result.stdout
    assert result.stderr.endswith("run imagegen jobs resume --ledger ledger.db\n")
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert [entry.collected for entry in ledger.entries().result()] == [False, False]


def test_origins_are_left_out_on_request(run: Run, tmp_path: Path) -> None:
    run("a red fox", "--model", MINIMAX, "--out", "with")
    run("a red fox", "--model", MINIMAX, "--out", "without", "--no-provenance")
    (marked,), (bare,) = ((tmp_path / name).iterdir() for name in ("with", "without"))
    assert b"a red fox" in marked.read_bytes()
    assert b"a red fox" not in bare.read_bytes()
