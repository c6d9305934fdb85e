"""`imagegen config`: write, show, check."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagegen.cli.config import command
from imagegen.config import load, places
from imagegen.config.template import template

ROOT = Path(__file__).parents[2]
WHOLE = ROOT / "fixtures" / "config" / "right" / "whole.toml"
CANARY = "sk-canary-0123456789"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory beside the user's own folder; the ledger is as usual."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(places, "user_config", lambda: tmp_path / "own" / "imagegen.toml")
    monkeypatch.setattr(places, "refreshed_prices", lambda: tmp_path / "prices.toml")
    monkeypatch.delenv("IMAGEGEN_LEDGER")
    return work


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def told(*arguments: str) -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return printed


def row(key: str, *arguments: str) -> tuple[Any, str]:
    """The value of one setting, and where it comes from."""
    (found,) = [each for each in told("show", *arguments)["settings"] if each["key"] == key]
    return found["value"], found["source"]


@pytest.mark.usefixtures("folder")
def test_init_writes_the_users_own_file_for_their_eyes_only() -> None:
    result, path = run("init"), places.user_config()
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path).files == (path,)


def test_init_writes_the_file_that_is_named(folder: Path) -> None:
    assert run("init", "--config", "mine.toml").exit_code == 0
    assert (folder / "mine.toml").read_text() == template()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_init_overwrites_nothing(folder: Path, kind: str) -> None:
    path = folder / "mine.toml"
    if kind == "file":
        path.write_text("kept")
    else:
        path.symlink_to(folder / "nowhere")
    result = run("init", "--config", str(path))
    assert result.exit_code == 2
    assert "is not overwritten" in result.stderr
    assert kind == "link" or path.read_text() == "kept"


def test_init_says_why_it_cannot_write(folder: Path) -> None:
    (folder / "file").write_text("")
    result = run("init", "--config", "file/mine.toml")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_every_setting_of_the_template_works_when_it_is_switched_on(folder: Path) -> None:
    path = folder / "mine.toml"
    text = re.sub(r"^# (?=\[|\w+ = )", "", template(), flags=re.MULTILINE)
    path.write_text(text)
    settings = load(path, profile="work", environ={"MINIMAX_API_KEY": CANARY})
    assert settings.budget
    assert settings.routes.keys() == {"cheap"}
    assert str(settings.defaults.max_cost) == "0.20"


@pytest.mark.usefixtures("folder")
def test_the_template_names_every_installed_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.backends.names", lambda: ("ghost", "minimax", "wavespeed"))
    assert "[providers.minimax]" in template()
    assert "sync_mode = false" in template()
    assert "ghost" not in template()


@pytest.mark.usefixtures("folder")
def test_show_says_where_each_setting_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMAX_API_KEY", CANARY)
    monkeypatch.setenv("WAVESPEED_API_KEY", CANARY)
    monkeypatch.setenv("WAVESPEED_BASE_URL", "https://h.test")
    file = ("--config", str(WHOLE))
    assert row("defaults.timeout", *file) == (300.0, f"{WHOLE}:3")
    assert row("providers.minimax.key", *file) == ("set (from MINIMAX_API_KEY)", f"{WHOLE}:11")
    assert row("providers.wavespeed.key", *file) == (
        "set (from WAVESPEED_API_KEY)",
        "WAVESPEED_API_KEY",
    )
    assert row("providers.wavespeed.host", *file) == ("https://h.test", "WAVESPEED_BASE_URL")
    assert row("providers.wavespeed.poll_failures", *file) == (60, "default")
    assert row("providers.wavespeed.limits", *file)[0] == "10 a minute, 5 in flight"
    assert row("routes.cheap.models", *file)[0] == [
        "minimax:image-01",
        "wavespeed:minimax/image-01",
    ]
    assert row("budget", *file) == ("daily budget of 5.00 USD", f"{WHOLE}:28")
    assert row("ledger.path", *file) == (str(WHOLE.parent / "ledger.db"), f"{WHOLE}:34")
    assert row("ledger.prompts", *file) == (True, f"{WHOLE}:35")
    assert row("defaults.model", *file, "--profile", "work")[1] == f"{WHOLE}:46"
    key = 'prices."wavespeed:minimax/image-01/text-to-image"'
    assert row(key, *file)[0] == "0.003 USD per image (our contract, 2026-11-01)"


@pytest.mark.usefixtures("folder")
def test_show_needs_no_file() -> None:
    assert row("defaults.fit") == ("strict", "default")
    assert row("defaults.timeout") == (300.0, "default")
    assert row("defaults.model") == (None, "default")
    assert row("providers.minimax.key") == ("not set", "default")
    assert row("ledger.path") == (str(places.usual_ledger()), "default (for the command)")
    assert run("show").stdout.startswith("no file\n")


def test_show_tells_why_a_ledger_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "imagegen.toml").write_text("[budget]\namount = 1\n")
    assert row("ledger.path") == (str(places.usual_ledger()), "default, as there is a budget")
    monkeypatch.setenv("IMAGEGEN_LEDGER", "/tmp/other.db")  # noqa: S108 - never opened
    assert row("ledger.path") == ("/tmp/other.db", "IMAGEGEN_LEDGER")  # noqa: S108 - same


@pytest.mark.usefixtures("folder")
def test_show_tells_of_a_backend_whose_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.backends.names", lambda: ("ghost",))
    assert row("providers.ghost") == ("there is no backend 'ghost'", "its package")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f'"{CANARY}"', "set (from the file itself)"),
        ('{ env = "OTHER_KEY" }', "not set (OTHER_KEY)"),
    ],
)
def test_no_command_shows_a_key(folder: Path, key: str, words: str) -> None:
    (folder / "mine.toml").write_text(f"[providers.minimax]\nkey = {key}\n")
    file = ("--config", "mine.toml")
    assert row("providers.minimax.key", *file)[0] == words
    for verb in ("show", "check"):
        for form in ((), ("--json",)):
            assert CANARY not in run(verb, *file, *form).output


def test_show_is_a_table_for_people(folder: Path) -> None:
    (folder / "imagegen.toml").write_text("[profiles.work]\ndefaults.fit = 'nearest'\n")
    lines = run("show", "--profile", "work").stdout.splitlines()
    assert lines[:2] == [f"file: {folder / 'imagegen.toml'}", "profile: work"]
    assert lines[3].split() == ["setting", "value", "from"]
    rows = [line.split()[:2] for line in lines]
    assert ["defaults.fit", "nearest"] in rows
    assert ["defaults.provenance", "true"] in rows
    assert ["defaults.max_cost", "-"] in rows
    table = run("show", "--config", str(WHOLE)).stdout
    assert re.search(r"cheap.models +minimax:image-01, wavespeed:minimax/image-01 ", table)


def test_show_stops_at_the_first_fault(folder: Path) -> None:
    (folder / "imagegen.toml").write_text("[defaults]\nfit = 1\ntimeout = 0\n")
    result = run("show")
    assert result.exit_code == 2
    assert "imagegen.toml:2: defaults.fit: it is a whole number" in result.stderr
    assert "and 1 more: `imagegen config check` lists them" in result.stderr


@pytest.mark.usefixtures("folder")
def test_check_finds_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMAX_API_KEY", CANARY)
    result = run("check", "--config", str(WHOLE))
    assert (result.exit_code, result.stdout) == (0, f"{WHOLE}: read\n")
    assert run("check").stdout == "no file\n"


def test_check_lists_every_fault_of_every_file(folder: Path) -> None:
    own, here = places.user_config(), folder / "imagegen.toml"
    own.parent.mkdir()
    own.write_text("[ledger]\nprompts = 1\n[defaults]\nfit = 'x'\n")
    here.write_text("[ledger]\n")
    result = run("check")
    assert result.exit_code == 2
    assert [line.split(": ")[:2] for line in result.stdout.splitlines()] == [
        [f"{here}:1", "ledger"],
        [f"{own}:2", "ledger.prompts"],
        [f"{own}:4", "defaults.fit"],
    ]
    faults = told("check")["faults"]
    assert [(fault["file"], fault["line"], fault["key"]) for fault in faults] == [
        (str(here), 1, "ledger"),
        (str(own), 2, "ledger.prompts"),
        (str(own), 4, "defaults.fit"),
    ]
    assert all(fault["problem"] and fault["fix"] for fault in faults)


def test_a_warning_is_no_fault(folder: Path) -> None:
    (folder / "mine.toml").write_text("[providers.minimax]\nkey = { env = 'OTHER_KEY' }\n")
    places.refreshed_prices().write_text("prices = 1")
    result = run("check", "--config", "mine.toml")
    assert result.exit_code == 0
    warnings = [line for line in result.stdout.splitlines() if line.startswith("warning: ")]
    assert "The file is ignored" in warnings[0]
    assert "the variable OTHER_KEY is not set" in warnings[1]
    first, second = told("check", "--config", "mine.toml")["warnings"]
    assert first["where"].startswith(f"{places.refreshed_prices()}:1")
    assert (second["where"], second["fix"]) == ("minimax", "Set it: export OTHER_KEY=…")


@pytest.mark.usefixtures("folder")
def test_the_help_of_the_group_says_whole_sentences() -> None:
    commands = run("--help").stdout.partition("Commands:")[2].strip().splitlines()
    assert len(commands) == 3
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)


@pytest.mark.usefixtures("folder")
def test_a_missing_file_is_a_fault() -> None:
    result = run("check", "--config", "missing.toml")
    assert result.exit_code == 2
    assert "there is no such file" in result.stdout
    assert "there is no such file" in run("show", "--config", "missing.toml").stderr
