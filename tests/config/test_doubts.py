"""What is not wrong, and not well either, is told with its place and what to do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import frozen

from imagegen import ImageRequest, backends
from imagegen.backends.base import Backend
from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.config.faults import Doubt

FAMILY = "minimax/image-01"
FOX = ImageRequest("a fox")
PRICE = """
[[prices]]
model = "{model}"
amount = "{amount}"
currency = "USD"
per = "image"
as_of = 2026-11-01
source = "contract"
"""
BUDGET = "[budget]\namount = '{}'\n"
MAX_COST = "[defaults]\nmax_cost = '{}'\n"


def told(desk: Any, path: Any = None, **options: Any) -> list[str]:
    return [str(doubt) for doubt in desk.load(path, **options).warnings]


def test_a_doubt_reads_as_one_line() -> None:
    doubt = Doubt("here", "it is\nodd.", "Look")
    assert "\n" not in str(doubt)
    assert str(doubt).endswith("odd. Look")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[defaults]\nmodel = 'minimax:image-1'\n", "2: defaults.model"),
        ("[routes.x]\nmodels = ['minimax:image-01', 'minimax:image-1']\n", "2: routes.x.models"),
        (PRICE.format(model="minimax:image-1", amount=1), "3: prices[0].model"),
    ],
)
def test_a_model_that_is_not_known_is_doubted_with_the_nearest(
    desk: Any, text: str, where: str
) -> None:
    desk.write(own=text)
    (doubt,) = told(desk)
    assert doubt.startswith(f"{desk.own}:{where}: 'minimax:image-1' is no model that is known. ")
    assert doubt.endswith('. Did you mean "minimax:image-01"?')


def test_a_model_unlike_any_other_is_doubted_with_the_way_to_the_list(desk: Any) -> None:
    desk.write(own="defaults.model = 'wavespeed:zzz'")
    (doubt,) = told(desk)
    assert doubt.endswith("no model that is known. `imagegen models --all` lists those that are")


def test_a_provider_whose_library_is_missing_has_models_of_any_name(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "names", lambda: ("ghost",))
    desk.write(own="defaults.model = 'ghost:x'")
    assert told(desk) == []
    desk.write(own="defaults.model = 'ghost'")
    (fault,) = desk.examined().faults
    assert fault.fix == 'Write "ghost:model-id"'


@pytest.mark.parametrize("model", [f"wavespeed:{FAMILY}", f"wavespeed:{FAMILY}/text-to-image"])
def test_a_family_and_its_members_are_known(desk: Any, model: str) -> None:
    desk.write(own=f"defaults.model = '{model}'")
    assert told(desk) == []


def test_a_profiles_model_is_doubted_where_the_profile_counts(desk: Any) -> None:
    desk.write(own="[profiles.work]\ndefaults.model = 'minimax:image-1'\n")
    assert told(desk) == []
    assert len(told(desk, profile="work")) == 1


@frozen(kw_only=True)
class Silent(MiniMax):
    models = Backend.models


@frozen(kw_only=True)
class Broken(MiniMax):
    def models(self) -> tuple[str, ...]:
        raise ZeroDivisionError


@pytest.mark.parametrize("cls", [Silent, Broken])
def test_a_backend_that_lists_nothing_raises_no_doubt(
    desk: Any, monkeypatch: pytest.MonkeyPatch, cls: type
) -> None:
    monkeypatch.setattr(backends, "names", lambda: ("minimax",))
    monkeypatch.setattr(backends, "load", lambda _: cls)
    desk.write(own="defaults.model = 'minimax:image-1'")
    assert told(desk) == []


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        (BUDGET, "1: budget", "it"),
        (MAX_COST, "2: defaults.max_cost", "it"),
        (
            "[routes.x]\nmodels = ['minimax:image-01']\nmax_cost = '{}'\n",
            "1: routes.x",
            "its max_cost",
        ),
    ],
)
def test_what_is_higher_than_the_users_is_told_with_both_places(
    desk: Any, text: str, key: str, what: str
) -> None:
    desk.write(own=f"# mine\n{text.format(1)}", here=text.format(2))
    line = 1 + int(key[0])
    words = f"{what} is higher than yours ({desk.own}:{line}), which counts"
    assert told(desk) == [f"{desk.here}:{key}: {words}. Lower it, or leave it out"]
    desk.write(here=text.format(1))
    assert told(desk) == []


@pytest.mark.parametrize(("text", "name"), [(BUDGET, "budget"), (MAX_COST, "max_cost")])
def test_a_named_file_without_the_users_bounds_is_told(desk: Any, text: str, name: str) -> None:
    desk.write(own=text.format(1), here="")
    assert told(desk) == []
    (doubt,) = told(desk, desk.here)
    assert f"your own file {desk.own} has a {name}, which does not count here" in doubt
    assert told(desk, environ={"IMAGEGEN_CONFIG": str(desk.here)}) == [doubt]
    assert told(desk, desk.own) == []
    desk.write(here=text.format(9))
    assert told(desk, desk.here) == []


@pytest.mark.parametrize("own", ["", "not toml", "budget = 1\n[defaults"])
def test_a_users_own_file_without_bounds_is_not_told_of(desk: Any, own: str) -> None:
    desk.write(own=own, here="")
    assert told(desk, desk.here) == []


def amount(backend: Any, model: str = FAMILY) -> Decimal:
    price = backend.price(model, FOX)
    assert price
    return Decimal(price.amount)


def test_a_price_of_a_family_is_that_of_its_members(desk: Any) -> None:
    desk.write(own=PRICE.format(model=f"wavespeed:{FAMILY}", amount="0.001"))
    backend = desk.load().backends["wavespeed"]
    assert amount(backend) == amount(backend, f"{FAMILY}/text-to-image") == Decimal("0.001")
    assert backend.own_price(f"{FAMILY}/image-to-image") == backend.prices[FAMILY]
    assert backend.own_price("other/model") is None


def test_a_price_of_the_full_id_goes_before_that_of_its_family(desk: Any) -> None:
    desk.write(
        own=PRICE.format(model=f"wavespeed:{FAMILY}", amount="0.001")
        + PRICE.format(model=f"wavespeed:{FAMILY}/text-to-image", amount="0.002")
    )
    backend = desk.load().backends["wavespeed"]
    assert amount(backend) == Decimal("0.002")
    assert amount(backend, f"{FAMILY}/image-to-image") == Decimal("0.001")


def test_a_price_of_a_family_goes_before_refreshed_ones_of_its_members(desk: Any) -> None:
    refreshed = PRICE.format(model=f"wavespeed:{FAMILY}/text-to-image", amount="0.002")
    (desk.own.parent / "prices.toml").write_text(refreshed)
    assert amount(desk.load().backends["wavespeed"]) == Decimal("0.002")
    desk.write(own=PRICE.format(model=f"wavespeed:{FAMILY}", amount="0.001"))
    assert amount(desk.load().backends["wavespeed"]) == Decimal("0.001")


def test_a_family_names_its_members() -> None:
    assert WaveSpeed().members(FAMILY) == (f"{FAMILY}/image-to-image", f"{FAMILY}/text-to-image")
    assert WaveSpeed().members("other/model") == ("other/model",)
    assert MiniMax().members("image-01") == ("image-01",)
