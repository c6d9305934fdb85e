"""Which file, which profile and which variable counts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imagegen import ConfigurationError, Limits
from imagegen.config import load, places
from imagegen.ledger import Budget
from imagegen.redaction import Secret

PRICE = """[[{where}]]
model = "minimax:image-01"
amount = "{amount}"
currency = "USD"
per = "image"
as_of = 2026-11-01
source = "contract"
"""


def test_the_working_directorys_file_lies_over_the_users_own(desk: Any) -> None:
    desk.write(
        own="[defaults]\nfit = 'nearest'\ntimeout = 10\n", here="[defaults]\nfit = 'strict'\n"
    )
    settings = desk.load()
    assert (settings.defaults.fit, settings.timeout) == ("strict", 10.0)
    assert settings.files == (desk.here, desk.own)


@pytest.mark.parametrize("named_by", ["argument", "text", "variable"])
def test_a_file_that_is_named_is_read_alone_and_trusted(desk: Any, named_by: str) -> None:
    desk.write(own="[defaults]\ntimeout = 10\n", here="[defaults]\ntimeout = 20\n")
    named = desk.folder / "mine.toml"
    named.write_text("[providers.minimax]\nhost = 'https://mine.test'\n")
    given: dict[str, Any] = {
        "argument": {"path": named},
        "text": {"path": str(named)},
        "variable": {"environ": {"IMAGEGEN_CONFIG": str(named)}},
    }[named_by]
    settings = desk.load(**given)
    assert (settings.files, settings.timeout) == ((named,), None)
    assert settings.backends["minimax"].host == "https://mine.test"


def test_the_argument_goes_before_the_variable(desk: Any) -> None:
    desk.write(here="[defaults]\ntimeout = 20\n")
    settings = desk.load(desk.here, environ={"IMAGEGEN_CONFIG": "missing.toml"})
    assert settings.timeout == 20.0


def test_a_blank_variable_names_nothing(desk: Any) -> None:
    desk.write(own="[defaults]\ntimeout = 10\n")
    settings = desk.load(environ={"IMAGEGEN_CONFIG": " ", "IMAGEGEN_PROFILE": ""})
    assert settings.files == (desk.own,)


def test_the_folder_is_the_working_directory_unless_named(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write(here="[defaults]\ntimeout = 900\n")
    monkeypatch.chdir(desk.folder)
    assert load(environ={}).timeout == 900.0


def test_no_parent_of_the_working_directory_is_looked_at(desk: Any) -> None:
    desk.write(here="[defaults]\ntimeout = 20\n")
    below = desk.folder / "below"
    below.mkdir()
    assert load(environ={}, folder=below).files == ()


def test_a_path_from_home_is_expanded(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(desk.folder))
    desk.write(here="[ledger]\npath = '~/books.db'\n")
    assert desk.load("~/imagegen.toml").ledger == desk.folder / "books.db"


def test_the_environment_fills_in_what_no_file_says(desk: Any) -> None:
    desk.write(own="[providers.minimax]\nhost = 'https://mine.test'\nlimits = { in_flight = 1 }\n")
    environ = {
        "MINIMAX_API_KEY": "sk-environment",
        "MINIMAX_API_HOST": "https://ignored.test",
        "MINIMAX_LIMITS": "default",
        "WAVESPEED_LIMITS": "gold",
    }
    made = desk.load(environ=environ).backends
    assert made["minimax"].api_key == Secret("sk-environment")
    assert made["minimax"].host == "https://mine.test"
    assert made["minimax"].limits == Limits(in_flight=1)
    assert made["wavespeed"].limits == "gold"


def test_what_is_wrong_with_a_variable_is_kept_in_the_backends_place(desk: Any) -> None:
    made = desk.load(environ={"MINIMAX_API_HOST": "ftp://h"}).backends
    assert isinstance(made["minimax"], ConfigurationError)
    assert made["minimax"].provider == "minimax"


@pytest.mark.parametrize("chosen_by", ["argument", "variable"])
def test_a_profile_lies_over_the_rest(desk: Any, chosen_by: str) -> None:
    text = """
    defaults = { fit = "nearest", timeout = 10 }
    routes.cheap = { models = ["minimax:image-01"], max_cost = "0.01" }
    [providers.wavespeed]
    sync_mode = true
    first_poll = 3
    [profiles.work]
    defaults = { timeout = 20 }
    providers.wavespeed.first_poll = 4
    routes.cheap = { models = ["wavespeed:minimax/image-01"] }
    """
    desk.write(own=text)
    given: Any = (
        {"profile": "work"}
        if chosen_by == "argument"
        else {"environ": {"IMAGEGEN_PROFILE": "work"}}
    )
    settings = desk.load(**given)
    assert settings.profile == "work"
    assert (settings.defaults.fit, settings.timeout) == ("nearest", 20.0)
    assert settings.backends["wavespeed"].sync_mode
    assert settings.backends["wavespeed"].first_poll == 4
    route = settings.routes["cheap"]
    assert (route.models, route.max_cost) == (("wavespeed:minimax/image-01",), None)
    assert desk.load().timeout == 10.0


def test_the_users_profile_goes_before_what_the_working_directory_says_always(desk: Any) -> None:
    own = '[profiles.work.defaults]\nmodel = "minimax:image-01-live"\n'
    desk.write(own=own, here='[defaults]\nmodel = "minimax:image-01"\n')
    assert desk.load(profile="work").defaults.model == "minimax:image-01-live"
    assert desk.load().defaults.model == "minimax:image-01"


def test_a_profile_that_no_file_has_is_an_error_that_names_those_there_are(desk: Any) -> None:
    desk.write(own="[profiles.work]\n[profiles.home]\n", here="[profiles.play]\n")
    with pytest.raises(ConfigurationError, match="no file has a profile 'wrok'") as caught:
        desk.load(profile="wrok")
    assert caught.value.advice == 'Did you mean "work"? Known are home, play, work'
    with pytest.raises(ConfigurationError, match="no file has a profile 'x'"):
        load(profile="x", environ={}, folder=desk.folder / "empty")


def test_a_file_that_cannot_be_read_is_not_blamed_for_a_missing_profile(desk: Any) -> None:
    desk.write(own="[profiles.work")
    with pytest.raises(ConfigurationError, match="not TOML") as caught:
        desk.load(profile="work")
    assert "more" not in str(caught.value)


def test_prices_of_a_profile_come_before_the_others(desk: Any) -> None:
    desk.write(
        own=PRICE.format(where="prices", amount="0.003")
        + PRICE.format(where="profiles.work.prices", amount="0.002")
    )
    amounts = [
        desk.load(profile=profile).backends["minimax"].prices["image-01"].amount
        for profile in (None, "work")
    ]
    assert amounts == [Decimal("0.003"), Decimal("0.002")]


def test_the_users_profiles_budget_replaces_the_users_budget(desk: Any) -> None:
    desk.write(
        own="budget = { amount = '1.00' }\nprofiles.work.budget = { amount = 9, per = 'day' }"
    )
    assert desk.load(profile="work").budget == Budget(amount=Decimal(9), per="day")


def test_the_ledger_of_a_file_goes_before_the_variable(desk: Any) -> None:
    environ = {"IMAGEGEN_LEDGER": "/tmp/other.db"}  # noqa: S108 - it is not opened
    assert desk.load(environ=environ).ledger == Path("/tmp/other.db")  # noqa: S108 - same
    desk.write(own="[ledger]\npath = 'books/ledger.db'\nprompts = false\n")
    settings = desk.load(environ=environ)
    assert settings.ledger == desk.own.parent / "books" / "ledger.db"
    assert settings.prompts is False


def test_the_ledger_can_be_switched_off(desk: Any) -> None:
    assert desk.load(environ={"IMAGEGEN_LEDGER": "off"}).ledger == "off"
    desk.write(own="[ledger]\npath = 'off'\n")
    assert desk.load().ledger == "off"


def test_a_budget_is_counted_on_the_usual_ledger(desk: Any) -> None:
    desk.write(own="[budget]\namount = '5.00'\n")
    assert desk.load().ledger == places.usual_ledger()


def test_no_budget_means_no_database_library_is_needed(desk: Any) -> None:
    desk.write(own="[defaults]\ntimeout = 10\n")
    assert (desk.load().budget, desk.load().ledger) == (None, None)


def test_a_working_directory_that_is_gone_has_no_file(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write(own="[defaults]\ntimeout = 10\n")
    monkeypatch.chdir(desk.folder)
    desk.folder.rmdir()
    assert load(environ={}).files == (desk.own,)
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load("mine.toml", environ={})


@pytest.mark.parametrize("path", [1, b"imagegen.toml", ["a"]])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ConfigurationError, match="path must be a path"):
        load(path)


def test_what_is_no_name_of_a_profile_is_refused(desk: Any) -> None:
    with pytest.raises(ConfigurationError, match="profile must be a string, not 1"):
        desk.load(profile=1)


def test_the_users_own_places_are_in_the_users_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    made = [places.user_config(), places.refreshed_prices(), places.usual_ledger()]
    assert [path.name for path in made] == ["imagegen.toml", "prices.toml", "ledger.db"]
    assert all(path.is_absolute() and "imagegen" in path.parent.name for path in made)


def test_a_backend_whose_library_is_missing_is_an_error_in_its_place(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.backends.names", lambda: ("ghost", "minimax"))
    desk.write(own="[providers.ghost]\nanything = 1\n")
    made = desk.load().backends
    assert isinstance(made["ghost"], ConfigurationError)
    assert made["ghost"].provider == "ghost"
