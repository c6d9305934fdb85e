"""What a client uses where a call names nothing, and what a configuration makes of it."""

from __future__ import annotations

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import imagegen
from imagegen import (
    BudgetExceededError,
    Client,
    ConfigurationError,
    Defaults,
    ImageGenError,
    ImageRequest,
    Ledger,
    Route,
    UnsupportedFeatureError,
)
from imagegen.sandbox import Sandbox

MINIMAX, WAVESPEED = MODELS = ("minimax:image-01", "wavespeed:minimax/image-01")


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


def provider_of(kit: Any, sandbox: Sandbox, model: Any = None, **options: Any) -> str:
    made = kit.on(sandbox, **options).generate("a fox", model=model)
    return str(made.provider)


# The client's defaults


@pytest.mark.parametrize("default", [WAVESPEED, "named", Route(models=[WAVESPEED])])
def test_without_a_model_the_default_is_used(kit: Any, sandbox: Sandbox, default: Any) -> None:
    routes = {"named": Route(models=[WAVESPEED, MINIMAX])}
    options = {"defaults": Defaults(model=default), "routes": routes}
    assert provider_of(kit, sandbox, **options) == "wavespeed"


def test_a_model_that_is_named_goes_before_the_default(kit: Any, sandbox: Sandbox) -> None:
    assert provider_of(kit, sandbox, MINIMAX, defaults=Defaults(model=WAVESPEED)) == "minimax"


def test_a_route_is_used_by_its_name(kit: Any, sandbox: Sandbox) -> None:
    routes = {"cheap": Route(models=[MINIMAX], strategy="cheapest")}
    assert provider_of(kit, sandbox, "cheap", routes=routes) == "minimax"


def test_a_submission_uses_them_too(kit: Any, sandbox: Sandbox) -> None:
    desk = kit.on(sandbox, defaults=Defaults(model="r"), routes={"r": Route(models=[WAVESPEED])})
    assert desk.submit("a fox").provider == "wavespeed"


@pytest.mark.parametrize("named", ["chaep", "minimax", ""])
def test_a_name_that_is_no_route_lists_what_there_is(
    kit: Any, sandbox: Sandbox, named: str
) -> None:
    desk = kit.on(sandbox, routes={"cheap": Route(models=MODELS)})
    with pytest.raises(ConfigurationError) as caught:
        desk.generate("a fox", model=named)
    assert caught.value.field == "model"
    assert "routes are cheap" in caught.value.advice
    assert sandbox.submissions == []


@pytest.mark.parametrize(("named", "sent"), [(None, 0), ("0.0034", 0), ("0.01", 1)])
def test_the_default_maximum_holds_unless_the_call_names_one(
    kit: Any, sandbox: Sandbox, named: str | None, sent: int
) -> None:
    desk = kit.on(sandbox, defaults=Defaults(max_cost=Decimal("0.003")))
    if sent:
        desk.generate("a fox", model=MINIMAX, max_cost=named)
    else:
        with pytest.raises(BudgetExceededError):
            desk.generate("a fox", model=MINIMAX, max_cost=named)
    assert len(sandbox.submissions) == sent


def test_the_default_maximum_holds_for_a_route_too(kit: Any, sandbox: Sandbox) -> None:
    desk = kit.on(sandbox, defaults=Defaults(max_cost=Decimal("0.003")))
    with pytest.raises(ImageGenError, match=r"max_cost=0\.003"):
        desk.generate("a fox", model=Route(models=MODELS))
    assert sandbox.submissions == []


def test_the_default_terms_hold_unless_the_call_names_others(kit: Any, sandbox: Sandbox) -> None:
    desk = kit.on(sandbox, defaults=Defaults(fit="nearest", unsupported="adjust"))
    request = ImageRequest("a fox", size="1000x700")
    assert desk.generate(request, model=MINIMAX).notices
    with pytest.raises(UnsupportedFeatureError):
        desk.generate(request, model=MINIMAX, fit="strict")


@pytest.mark.parametrize("provenance", [True, False])
def test_saved_files_say_how_they_were_made_unless_the_default_says_no(
    kit: Any, sandbox: Sandbox, tmp_path: Path, *, provenance: bool
) -> None:
    desk = kit.on(sandbox, defaults=Defaults(provenance=provenance))
    made = desk.generate("a red fox", model=MINIMAX)
    (path,) = desk.save(made, tmp_path)
    assert (b"a red fox" in path.read_bytes()) == provenance
    (path,) = desk.save(made, tmp_path, provenance=not provenance)
    assert (b"a red fox" in path.read_bytes()) != provenance


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", 5),
        ("max_cost", "cheap"),
        ("max_cost", Decimal(-1)),
        ("fit", "exact"),
        ("unsupported", "drop"),
        ("provenance", "yes"),
    ],
)
def test_a_wrong_default_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ImageGenError) as caught:
        Defaults(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("routes", [{"a:b": Route(models=[MINIMAX])}, {"a": MINIMAX}, {5: None}])
def test_wrong_routes_are_refused(routes: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(routes=routes)
    assert caught.value.field == "routes"


# From a configuration


@pytest.fixture
def folder(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The working directory, both providers on a port."""
    monkeypatch.chdir(tmp_path)
    with sandbox.running():
        for variable in ("MINIMAX_API_HOST", "WAVESPEED_BASE_URL"):
            monkeypatch.setenv(variable, sandbox.origin)
        for variable in ("MINIMAX_API_KEY", "WAVESPEED_API_KEY"):
            monkeypatch.setenv(variable, "made-up")
        yield tmp_path


def test_the_one_liner_makes_what_the_configuration_says(folder: Path) -> None:
    (folder / "imagegen.toml").write_text(f'[defaults]\nmodel = "{MINIMAX}"\n')
    assert imagegen.generate("a fox").provider == "minimax"
    assert imagegen.generate("a fox", model=WAVESPEED).provider == "wavespeed"


def test_both_clients_are_made_from_a_configuration(kit: Any, folder: Path) -> None:
    maker = imagegen.AsyncClient if kit.flavour == "async" else imagegen.Client
    (folder / "imagegen.toml").write_text(
        f'[defaults]\nmodel = "r"\nmax_cost = "0.0001"\n[routes.r]\nmodels = ["{WAVESPEED}"]\n'
    )
    client = maker.from_config()
    with pytest.raises(ImageGenError, match=r"0\.0001"):
        kit.wait(client.generate("a fox"))
    assert kit.wait(client.generate("a fox", max_cost="1")).provider == "wavespeed"
    kit.wait(client.close())


def test_options_go_before_what_the_file_says(folder: Path) -> None:
    (folder / "own.toml").write_text(f'[defaults]\nmodel = "{MINIMAX}"\n[ledger]\npath = "l.db"\n')
    with Ledger() as ledger:
        defaults = Defaults(model=WAVESPEED)
        with Client.from_config("own.toml", ledger=ledger, defaults=defaults) as client:
            assert client.generate("a fox").provider == "wavespeed"
        assert len(ledger.entries().result()) == 1
    assert not (folder / "l.db").exists()


def test_a_ledger_of_the_configuration_is_closed_with_the_client(folder: Path) -> None:
    (folder / "own.toml").write_text(f'[defaults]\nmodel = "{MINIMAX}"\n[ledger]\npath = "l.db"\n')
    with Client.from_config("own.toml") as client:
        client.generate("a fox")
        ledger = client.ledger
    assert ledger is not None
    with pytest.raises(ConfigurationError, match="closed"):
        ledger.entries().result()
    with Ledger(folder / "l.db") as again:
        assert [entry.state for entry in again.entries().result()] == ["settled"]


def test_a_budget_counts_what_earlier_clients_spent(folder: Path) -> None:
    (folder / "own.toml").write_text(
        f'[defaults]\nmodel = "{MINIMAX}"\n[budget]\namount = "0.005"\n[ledger]\npath = "l.db"\n'
    )
    with Client.from_config("own.toml") as client:
        client.generate("a fox")
    with (
        Client.from_config("own.toml") as client,
        pytest.raises(BudgetExceededError, match=r"0\.005"),
    ):
        client.generate("a fox")


def test_a_budget_of_the_configuration_is_not_counted_on_nothing(folder: Path) -> None:
    (folder / "own.toml").write_text('[budget]\namount = "0.005"\n[ledger]\npath = "l.db"\n')
    with pytest.raises(ConfigurationError, match="needs a ledger") as caught:
        Client.from_config("own.toml", ledger=None)
    assert caught.value.field == "ledger"


def test_a_ledger_is_closed_if_the_client_cannot_be_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own.toml").write_text('[ledger]\npath = "l.db"\n')
    closed: list[bool] = []
    monkeypatch.setattr(Ledger, "close", lambda _: closed.append(True))
    with pytest.raises(ConfigurationError):
        Client.from_config("own.toml", retries="many")
    assert closed == [True]


def test_what_is_not_well_is_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "own.toml").write_text('[providers.minimax]\nkey = "a-literal-key-of-mine"\n')
    with caplog.at_level(logging.WARNING, "imagegen"):
        Client.from_config("own.toml").close()
    assert "own.toml" in caplog.text
    assert "a-literal-key-of-mine" not in caplog.text
