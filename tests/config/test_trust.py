"""A file of the working directory may come with somebody else's repository."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imagegen import ConfigurationError
from imagegen.config.document import DOTS, LARGEST
from imagegen.config.faults import LIKELY
from imagegen.ledger import Budget

BUDGET = "[budget]\namount = '{}'\ncurrency = '{}'\nper = '{}'\n"
ROUTE = "[routes.cheap]\nmodels = ['{}']\n"
CHEAP = ROUTE.format("minimax:image-01")
OTHER = ROUTE.format("wavespeed:minimax/image-01")


@pytest.mark.parametrize(("own", "here"), [("0.01", "9"), ("9", "0.01")])
def test_it_can_lower_max_cost_and_not_raise_it(desk: Any, own: str, here: str) -> None:
    desk.write(own=f"defaults.max_cost = '{own}'", here=f"defaults.max_cost = '{here}'")
    assert desk.load().defaults.max_cost == Decimal("0.01")


@pytest.mark.parametrize(("own", "here"), [("1.00", "9.00"), ("9.00", "1.00")])
def test_it_can_lower_the_budget_and_not_raise_it(desk: Any, own: str, here: str) -> None:
    texts = {"own": BUDGET.format(own, "USD", "day"), "here": BUDGET.format(here, "USD", "day")}
    desk.write(**texts)
    assert desk.load().budget == Budget(amount=Decimal("1.00"), per="day")


def test_it_can_not_raise_them_with_a_profile_either(desk: Any) -> None:
    desk.write(
        own="defaults.max_cost = '0.01'\nbudget = { amount = '1.00' }",
        here="[profiles.work]\ndefaults.max_cost = '9'\nbudget = { amount = '9.00' }",
    )
    settings = desk.load(profile="work")
    assert settings.defaults.max_cost == Decimal("0.01")
    assert settings.budget == Budget(amount=Decimal("1.00"))


def test_it_lowers_what_the_users_profile_says_too(desk: Any) -> None:
    desk.write(own="[profiles.work]\ndefaults.max_cost = '9'\n", here="defaults.max_cost = '0.01'")
    assert desk.load(profile="work").defaults.max_cost == Decimal("0.01")


@pytest.mark.parametrize(("currency", "per"), [("CNY", "day"), ("USD", "total")])
def test_its_budget_is_of_the_kind_of_the_users_own(desk: Any, currency: str, per: str) -> None:
    desk.write(own=BUDGET.format("5", "USD", "day"), here=BUDGET.format("1", currency, per))
    with pytest.raises(ConfigurationError, match="may only lower your budget") as caught:
        desk.load()
    assert str(caught.value).startswith(f"{desk.here}:1: budget")
    assert 'currency = "USD" and per = "day"' in caught.value.advice


def test_it_may_set_a_budget_where_the_user_has_none(desk: Any) -> None:
    desk.write(here=BUDGET.format("1.00", "USD", "day"))
    assert desk.load().budget == Budget(amount=Decimal("1.00"), per="day")


@pytest.mark.parametrize(
    ("own", "here", "counts"),
    [
        ("0.02", "9", "0.02"),
        ("0.02", "0.01", "0.01"),
        ("0.02", None, "0.02"),
        (None, "0.01", "0.01"),
    ],
)
def test_its_route_replaces_the_users_but_keeps_the_lower_max_cost(
    desk: Any, own: str | None, here: str | None, counts: str
) -> None:
    desk.write(
        own=CHEAP + (f"max_cost = '{own}'" if own else ""),
        here=OTHER + (f"max_cost = '{here}'" if here else ""),
    )
    route = desk.load().routes["cheap"]
    assert route.models == ("wavespeed:minimax/image-01",)
    assert route.max_cost == Decimal(counts)


@pytest.mark.parametrize(
    ("own", "here", "counts", "doubts"),
    [
        (None, 900, 900.0, 0),
        (None, 2, None, 1),
        (60, 2, 60.0, 1),
        (60, 90, 90.0, 0),
        (900, 600, 900.0, 1),
    ],
)
def test_it_cannot_cut_off_what_is_paid_for(
    desk: Any, own: int | None, here: int, counts: float | None, doubts: int
) -> None:
    desk.write(own=f"defaults.timeout = {own}" if own else "", here=f"defaults.timeout = {here}")
    settings = desk.load()
    assert settings.timeout == counts
    assert len(settings.warnings) == doubts


@pytest.mark.parametrize(
    ("name", "careful", "careless"),
    [
        ("fit", "'strict'", "'nearest'"),
        ("unsupported", "'error'", "'adjust'"),
        ("provenance", "false", "true"),
    ],
)
def test_it_cannot_take_back_the_users_care(
    desk: Any, name: str, careful: str, careless: str
) -> None:
    desk.write(own=f"defaults.{name} = {careful}", here=f"defaults.{name} = {careless}")
    assert str(getattr(desk.load().defaults, name)).lower() == careful.strip("'")
    desk.write(own="")
    assert str(getattr(desk.load().defaults, name)).lower() == careless.strip("'")
    desk.write(own=f"defaults.{name} = {careless}", here=f"defaults.{name} = {careful}")
    assert str(getattr(desk.load().defaults, name)).lower() == careful.strip("'")


def test_the_variable_names_a_file_only_with_its_whole_path(desk: Any) -> None:
    desk.write(here="[providers.minimax]\nhost = 'https://elsewhere.example'\n")
    with pytest.raises(ConfigurationError, match="another file in each folder") as caught:
        desk.load(environ={"IMAGEGEN_CONFIG": "imagegen.toml"})
    assert "whole path" in caught.value.advice
    whole = {"IMAGEGEN_CONFIG": str(desk.here)}
    assert desk.load(environ=whole).backends["minimax"].host == "https://elsewhere.example"


@pytest.mark.parametrize("off", ["off", "OFF", " off "])
def test_no_spelling_of_off_makes_a_file_of_that_name(desk: Any, off: str) -> None:
    assert desk.load(environ={"IMAGEGEN_LEDGER": off}).ledger == "off"


@pytest.mark.parametrize("off", ["off", "OFF", " Off "])
def test_no_spelling_of_off_in_a_file_names_a_ledger(desk: Any, off: str) -> None:
    desk.write(own=f"ledger.path = '{off}'")
    assert desk.load().ledger == "off"


def test_the_ledger_of_the_variable_may_be_in_the_home(desk: Any) -> None:
    assert desk.load(environ={"IMAGEGEN_LEDGER": "~/l.db"}).ledger == Path.home() / "l.db"


def test_a_budget_is_not_counted_on_another_ledger_in_each_folder(desk: Any) -> None:
    desk.write(own="budget = { amount = '1.00' }")
    with pytest.raises(ConfigurationError, match="names another one in each folder"):
        desk.load(environ={"IMAGEGEN_LEDGER": "ledger.db"})


def test_of_thousands_of_names_few_are_compared_letter_by_letter(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def counted(_: str, names: list[str], **__: Any) -> list[str]:
        compared.append(len(names))
        return []

    monkeypatch.setattr("imagegen.config.faults.get_close_matches", counted)
    desk.write(here="defaults.model = 'r'\n" + "".join(f"routes.r{k} = 1\n" for k in range(2000)))
    assert len(desk.examined().faults) > 2000
    assert max(compared) == LIKELY


def test_a_route_of_both_without_a_limit_has_none(desk: Any) -> None:
    desk.write(own=CHEAP, here=OTHER)
    assert desk.load().routes["cheap"].max_cost is None


def test_the_file_it_refuses_is_read_when_it_is_named(desk: Any) -> None:
    desk.write(here=f"{CHEAP}on_unknown = 'spend'\n[providers.minimax]\nhost = 'https://h.test'\n")
    with pytest.raises(ConfigurationError, match="pay twice"):
        desk.load()
    settings = desk.load(desk.here)
    assert settings.routes["cheap"].on_unknown == "spend"
    assert settings.backends["minimax"].host == "https://h.test"


def test_the_fix_names_the_users_own_file(desk: Any) -> None:
    desk.write(here="[ledger]\nprompts = true\n")
    with pytest.raises(ConfigurationError) as caught:
        desk.load()
    assert f"Move it to {desk.own}" in caught.value.advice


def test_in_the_users_own_folder_the_file_is_read_once_and_trusted(desk: Any) -> None:
    desk.write(own="[providers.minimax]\nhost = 'https://h.test'\n")
    linked = desk.folder / "linked"
    linked.symlink_to(desk.own.parent)
    for folder in (desk.own.parent, linked):
        settings = type(desk)(desk.own, folder).load()
        assert settings.files == (desk.own,)
        assert settings.backends["minimax"].host == "https://h.test"


@pytest.mark.parametrize("environ", [{"IMAGEGEN_LEDGER": "off"}])
def test_a_budget_beside_a_ledger_that_is_switched_off_is_refused(
    desk: Any, environ: dict[str, str]
) -> None:
    desk.write(own=BUDGET.format("5", "USD", "day"))
    with pytest.raises(ConfigurationError, match="which IMAGEGEN_LEDGER switches off") as caught:
        desk.load(environ=environ)
    assert "Let IMAGEGEN_LEDGER name a file" in caught.value.advice


def refused(desk: Any, words: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError, match=words) as caught:
        desk.load()
    assert str(desk.here) in str(caught.value)
    return caught.value


def test_a_link_in_its_place_is_not_followed(desk: Any) -> None:
    elsewhere = desk.folder / "elsewhere.toml"
    elsewhere.write_text("secret-of-another-file = 1\n")
    desk.here.symlink_to(elsewhere)
    assert "secret-of" not in str(refused(desk, "it is a link"))
    assert desk.examined(desk.here).faults[0].key == "secret-of-another-file"


def test_a_link_that_leads_nowhere_is_refused_too(desk: Any) -> None:
    desk.here.symlink_to(desk.folder / "nowhere")
    refused(desk, "it is a link")


def test_a_pipe_in_its_place_is_not_waited_for(desk: Any) -> None:
    os.mkfifo(desk.here)
    refused(desk, "it is no file")


def test_a_pipe_that_takes_its_place_just_then_is_not_waited_for(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write(here="")
    regular = desk.here.lstat()
    desk.here.unlink()
    os.mkfifo(desk.here)
    monkeypatch.setattr(Path, "lstat", lambda _: regular)
    refused(desk, "it is no file")


def test_a_link_that_takes_its_place_just_then_is_not_followed(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write(own="", here="")
    regular = desk.here.lstat()
    desk.here.unlink()
    desk.here.symlink_to(desk.own)
    monkeypatch.setattr(Path, "lstat", lambda _: regular)
    refused(desk, "it cannot be read")


def test_a_device_is_not_opened(desk: Any) -> None:
    (fault,) = desk.examined("/dev/zero").faults
    assert "it is no file" in fault.problem


def test_a_folder_in_its_place_is_refused(desk: Any) -> None:
    desk.here.mkdir()
    refused(desk, "it is no file")


def test_a_huge_file_is_not_read(desk: Any) -> None:
    desk.write(here="#" * LARGEST)
    assert desk.load().files == (desk.here,)
    desk.write(here="#" * (LARGEST + 1))
    refused(desk, "larger than 65,536 bytes")


def test_bytes_that_are_no_text_are_refused_with_their_line(desk: Any) -> None:
    desk.here.write_bytes(b"[defaults]\nmodel = '\xff'\n")
    assert f"{desk.here}:2: it is not UTF-8" in str(refused(desk, "not UTF-8"))


def test_a_file_that_may_not_be_read_is_an_error(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    desk.write(here="")
    monkeypatch.setattr(os, "open", denied)
    refused(desk, "it cannot be read: Permission denied")


def test_a_name_that_no_file_can_have_is_an_error(desk: Any) -> None:
    (fault,) = desk.examined("a\0b").faults
    assert "its name is none for a file" in fault.problem
    (fault,) = desk.examined("~nobody-of-this-name/imagegen.toml").faults
    assert "there is no such file" in fault.problem


def test_a_named_file_that_is_missing_is_an_error(desk: Any) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file") as caught:
        desk.load(desk.folder / "missing.toml")
    assert "imagegen config init --config" in caught.value.advice


def test_no_escape_of_the_file_reaches_the_terminal(desk: Any) -> None:
    desk.write(
        here='"\\u001b]0;a\\u0007" = 1\n[defaults]\nmodel = "\\u001b[2J"\n'
        '[routes."\\u009b2J"]\nmodels = ["\\u001b[1m:x"]\n[profiles."\\u202e"]\nx = 1\n'
    )
    faults = desk.examined().faults
    assert len(faults) == 4
    for fault in faults:
        assert not set("\x1b\x07\x9b\u202e") & set(f"{fault}{fault.error()}")


def test_long_keys_and_values_are_cut_short(desk: Any) -> None:
    desk.write(here=f"{'k' * 20_000} = 1\n[defaults]\nmodel = '{'v' * 20_000}'\n")
    assert all(len(str(fault)) < 900 for fault in desk.examined().faults)


@pytest.mark.parametrize(
    "text",
    [
        "a." * 30_000 + "a = 1",
        "\n".join(f"{'a.' * (DOTS - 2)}a{n} = 1" for n in range(480)),
        "a = [\n" + "1,\n" * 20_000 + "]\n",
        "[[routes]]\n" * 5_500,
        "a = " + "[" * 30_000,
        "a = '''\n" + "x\n" * 30_000 + "'''\n",
        "\n".join(f"[t{n}]" for n in range(7_500)),
    ],
    ids=["dots", "dotted lines", "one array", "tables", "deep", "one string", "many tables"],
)
def test_a_hostile_file_is_refused(desk: Any, text: str) -> None:
    desk.write(here=text)
    assert desk.examined().faults


def test_a_file_is_not_trusted_for_lying_in_the_users_home(desk: Any) -> None:
    nested = desk.own.parent / "clone"
    nested.mkdir()
    (nested / "imagegen.toml").write_text("[providers.minimax]\nhost = 'https://h.test'\n")
    with pytest.raises(ConfigurationError, match="to whom your keys are sent"):
        type(desk)(desk.own, nested).load()
