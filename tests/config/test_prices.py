"""Prices of the caller's own, and the file of refreshed ones."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from imagegen import ConfigurationError
from imagegen.config import places
from imagegen.config.prices import DEAREST, add_prices, read_prices, write_prices
from imagegen.ledger import money
from imagegen.pricing import Price

PRICE = Price(
    amount=Decimal("0.0035"),
    currency="USD",
    per="image",
    as_of=date(2026, 11, 20),
    source='the "list", GET /models',
)
WORDS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30).filter(
    str.strip
)
MODELS = st.from_regex(r"[a-z]{1,8}:[^\s:]{1,20}", fullmatch=True)
PRICES = st.builds(
    Price,
    amount=st.decimals("0.000000001", DEAREST, places=9),
    currency=st.from_regex(r"[A-Z]{3}", fullmatch=True),
    per=st.sampled_from(["image", "call"]),
    as_of=st.dates(),
    source=WORDS,
)


@given(st.dictionaries(MODELS, PRICES, max_size=4))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_again(tmp_path_factory: Any, prices: dict[str, Price]) -> None:
    path = tmp_path_factory.getbasetemp() / "written" / "prices.toml"
    write_prices(path, prices)
    assert read_prices(path) == prices
    assert [each.name for each in path.parent.iterdir()] == ["prices.toml"]


def test_a_list_of_every_model_of_a_provider_can_be_read(tmp_path: Path) -> None:
    prices = {f"wavespeed:vendor/model-{n}/text-to-image": PRICE for n in range(2000)}
    write_prices(tmp_path / "prices.toml", prices)
    assert read_prices(tmp_path / "prices.toml") == prices


def test_no_file_means_no_prices(tmp_path: Path) -> None:
    assert read_prices(tmp_path / "prices.toml") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[prices]]\nmodel = 'minimax:image-01'\n", "prices[0].amount"),
        ("[defaults]\ntimeout = 1\n", "there is no such key"),
        ("prices = [", "not TOML"),
        ("prices = [1]", "not a table"),
        ("prices = 1", "not a list"),
    ],
)
def test_a_file_of_prices_that_is_wrong_is_told_with_its_name(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        read_prices(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="prices cannot be written"):
        write_prices(tmp_path / "file" / "prices.toml", {"minimax:image-01": PRICE})
    with pytest.raises(ConfigurationError, match="prices cannot be written"):
        write_prices(tmp_path / "prices.toml", {"minimax:\ud800": PRICE})
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_prices_are_added_to_those_of_the_file(tmp_path: Path) -> None:
    path, dearer = tmp_path / "prices.toml", evolve(PRICE, amount=Decimal(1))
    add_prices(path, {"minimax:a": PRICE, "minimax:b": PRICE})
    add_prices(path, {"minimax:b": dearer, "minimax:c": PRICE})
    assert read_prices(path) == {"minimax:a": PRICE, "minimax:b": dearer, "minimax:c": PRICE}


def test_what_several_add_at_the_same_time_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    models = [f"minimax:model-{n}" for n in range(24)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda model: add_prices(path, {model: PRICE}), models))
    assert sorted(read_prices(path)) == sorted(models)


def test_nothing_is_added_while_another_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prices.toml"
    code = (
        "import sys; from pathlib import Path; from imagegen.config import prices\n"
        "with prices._alone(Path(sys.argv[1])): print('alone', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(path)]
    monkeypatch.setattr("imagegen.config.prices.BUSY_SECONDS", 0.01)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == b"alone\n"
        with pytest.raises(ConfigurationError, match="another process holds it"):
            add_prices(path, {"minimax:image-01": PRICE})
        other.kill()
        other.wait()
        add_prices(path, {"minimax:image-01": PRICE})
    assert read_prices(path) == {"minimax:image-01": PRICE}


def test_a_broken_file_makes_room_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text("[[prices]")
    add_prices(path, {"minimax:image-01": PRICE})
    assert read_prices(path) == {"minimax:image-01": PRICE}
    assert path.with_name("prices.broken.toml").read_text() == "[[prices]"


def test_prices_that_cannot_be_added_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="prices cannot be written"):
        add_prices(tmp_path / "file" / "prices.toml", {"minimax:image-01": PRICE})


def amount(settings: Any) -> Decimal | None:
    price: Price | None = settings.backends["minimax"].prices.get("image-01")
    return price.amount if price else None


def test_refreshed_prices_count_where_no_file_names_one(desk: Any) -> None:
    write_prices(places.refreshed_prices(), {"minimax:image-01": PRICE, "gone:model": PRICE})
    assert amount(desk.load()) == Decimal("0.0035")
    assert amount(desk.load(named_file(desk))) == Decimal("0.0035")
    desk.write(
        own="[[prices]]\nmodel = 'minimax:image-01'\namount = '0.001'\ncurrency = 'USD'\n"
        "per = 'image'\nas_of = 2026-01-01\nsource = 'contract'\n"
    )
    assert amount(desk.load()) == Decimal("0.001")


def named_file(desk: Any) -> Path:
    path: Path = desk.folder / "named.toml"
    path.write_text("")
    return path


def test_a_broken_file_of_refreshed_prices_is_a_warning(desk: Any) -> None:
    places.refreshed_prices().write_text("[[prices]]\nmodel = 1\n")
    settings = desk.load()
    (warning,) = settings.warnings
    assert str(places.refreshed_prices()) in warning.where
    assert "imagegen prices --refresh" in warning.fix
    assert amount(settings) is None


def test_a_newer_list_goes_before_what_was_refreshed_earlier(desk: Any) -> None:
    earlier = evolve(PRICE, amount=Decimal("0.0001"), as_of=date(2026, 11, 19))
    write_prices(places.refreshed_prices(), {"minimax:image-01": earlier})
    assert amount(desk.load()) is None


def test_what_could_not_be_read_again_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    write_prices(path, {"minimax:image-01": PRICE})
    odd = "wavespeed:" + "a." * 70 + "a"
    with pytest.raises(ConfigurationError, match="more than 64 dots"):
        write_prices(path, {"minimax:image-01": PRICE, odd: PRICE})
    assert read_prices(path) == {"minimax:image-01": PRICE}
    assert [each.name for each in tmp_path.iterdir()] == ["prices.toml"]


def test_a_bound_is_that_of_the_one_who_keeps_to_it() -> None:
    assert DEAREST == money.LARGEST
