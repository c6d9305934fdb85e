"""`imagegen prices`: what is known, what was asked anew, and what nobody knows."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagegen import backends
from imagegen.backends.minimax import MiniMax
from imagegen.cli import prices as subcommand
from imagegen.cli.commands import imagegen
from imagegen.config.places import refreshed_prices
from imagegen.config.prices import read_prices, write_prices
from imagegen.pricing import Price
from imagegen.sandbox import Sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "models.md").read_text(encoding="utf-8")
TODAY = datetime.now(UTC).date()
TEXT_TO_IMAGE = "wavespeed:minimax/image-01/text-to-image"
IMAGE_TO_IMAGE = "wavespeed:minimax/image-01/image-to-image"
FLUX = "wavespeed:wavespeed-ai/flux-dev"
OWN = """
[[prices]]
model = "wavespeed:minimax/image-01/text-to-image"
amount = "0.003"
currency = "USD"
per = "image"
as_of = 2026-11-01
source = "our contract"

[routes.cheap]
models = ["minimax:image-01-live", "wavespeed:wavespeed-ai/flux-dev"]

[defaults]
model = "cheap"
"""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with Sandbox(keys=["made-up-key"]).running() as origin:
        yield origin


@pytest.fixture
def provider(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAVESPEED_BASE_URL", origin)
    monkeypatch.setenv("WAVESPEED_API_KEY", "made-up-key")


@pytest.fixture
def trusted(provider: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - for its effect
    """The provider counts as one that is not on this machine."""
    monkeypatch.setattr(subcommand, "_kept", lambda _: True)


class Nothing(BaseHTTPRequestHandler):
    """Answers every request with an empty list."""

    def do_GET(self) -> None:
        body = b'{"code": 200, "data": []}'
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - its own name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        pass


@pytest.fixture
def silent(trusted: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 - for its effect
    """The provider answers, and tells nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("WAVESPEED_BASE_URL", f"http://127.0.0.1:{server.server_address[1]}")
        yield
        server.shutdown()
        thread.join()


def prices(*arguments: str) -> Result:
    return CliRunner().invoke(imagegen, ["prices", *arguments])


def told(*arguments: str) -> dict[str, Any]:
    result = prices(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def known(*arguments: str) -> dict[str, dict[str, Any]]:
    return {each["model"]: each for each in told(*arguments)["prices"]}


def others() -> set[str]:
    """The default models of what else is installed; none of these tells prices."""
    classes = [backends.load(name) for name in backends.names()]
    return {
        f"{cls.name}:{cls.default_model}"
        for cls in classes
        if cls.name not in ("minimax", "wavespeed")
    }


def price(amount: str = "0.5", as_of: date = TODAY) -> Price:
    return Price(
        amount=Decimal(amount), currency="USD", per="image", as_of=as_of, source="somebody said so"
    )


def test_the_default_models_are_shown_with_day_and_source() -> None:
    shown = known()
    assert set(shown) == {"minimax:image-01", TEXT_TO_IMAGE, IMAGE_TO_IMAGE} | others()
    del shown["minimax:image-01"]["old"]  # it will be, one day
    assert shown["minimax:image-01"] == {
        "model": "minimax:image-01",
        "amount": "0.0035",
        "currency": "USD",
        "per": "image",
        "as_of": "2026-11-20",
        "source": "MiniMax pay-as-you-go price page (api.minimax.io)",
        "origin": "list",
    }


def test_an_old_price_is_flagged_and_what_to_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.pricing.OLD_AFTER", timedelta(days=-1))
    today = datetime.now(UTC).date()
    write_prices(refreshed_prices(), {FLUX: price(as_of=today)})
    result = prices("--model", FLUX)
    assert f"0.5 USD per image  {today} (old)  refreshed  somebody said so" in result.stdout
    assert "imagegen prices --refresh" in result.stderr
    assert known("--model", FLUX)[FLUX]["old"] is True


def test_an_unknown_price_is_unknown_and_never_0() -> None:
    result = prices("--model", "minimax:image-01-live", "--model", "wavespeed:somebody/new")
    assert result.stdout.count("unknown") == 2
    assert result.stderr == ""
    shown = known("--model", "minimax:image-01-live")["minimax:image-01-live"]
    assert (shown["amount"], shown["origin"], shown["old"]) == (None, None, False)


def test_the_callers_own_price_is_marked_and_routes_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "imagegen.toml"
    file.write_text(OWN, encoding="utf-8")
    shown = known("--config", str(file))
    assert set(shown) == {
        *("minimax:image-01-live", FLUX),
        *("minimax:image-01", TEXT_TO_IMAGE, IMAGE_TO_IMAGE),
        *others(),
    }
    assert (shown[TEXT_TO_IMAGE]["amount"], shown[TEXT_TO_IMAGE]["origin"]) == ("0.003", "own")
    assert shown[IMAGE_TO_IMAGE]["origin"] == "list"


@pytest.mark.parametrize("model", ["nobody:x", "image-01", "wavespeed:no-vendor"])
def test_what_is_no_model_is_wrong_usage(model: str) -> None:
    result = prices("--model", model)
    assert result.exit_code == 2
    assert result.stderr.startswith("imagegen: ")


def test_a_wrong_configuration_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "imagegen.toml"
    file.write_text("[default]", encoding="utf-8")
    assert prices("--config", str(file)).exit_code == 2


@pytest.mark.usefixtures("trusted")
def test_a_refresh_writes_what_the_provider_tells_and_says_what_changed() -> None:
    gone = "wavespeed:somebody/gone"
    write_prices(refreshed_prices(), {FLUX: price("0.9"), gone: price(), "other:model": price()})
    printed = told("--refresh")
    shown = {each["model"]: each for each in printed["prices"]}
    assert shown[TEXT_TO_IMAGE]["origin"] == "refreshed"
    assert shown[TEXT_TO_IMAGE]["as_of"] == str(TODAY)
    assert "POST http://127.0.0.1:" in shown[TEXT_TO_IMAGE]["source"]
    refreshed = printed["refreshed"]
    assert refreshed["path"] == str(refreshed_prices())
    without = sorted({"minimax"} | {name.partition(":")[0] for name in others()})
    assert (refreshed["without_price_list"], refreshed["not_kept"]) == (without, [])
    lost, change = refreshed["changes"]
    assert (lost["model"], lost["before"]["amount"], lost["after"]) == (gone, "0.5", None)
    assert change["model"] == FLUX
    assert (change["before"]["amount"], change["after"]["amount"]) == ("0.9", "0.012")
    written = read_prices(refreshed_prices())
    assert len(written) == refreshed["same"] + 3
    assert written["other:model"] == price()
    assert written[gone] == price()
    assert written[FLUX].amount == Decimal("0.012")
    assert not any(each.amount == 0 for each in written.values())


@pytest.mark.usefixtures("trusted")
def test_a_refresh_of_one_model_changes_no_other() -> None:
    before = {FLUX: price("0.9"), TEXT_TO_IMAGE: price("0.8")}
    write_prices(refreshed_prices(), before)
    result = prices("--refresh", "--model", FLUX)
    first, second = result.stdout.splitlines()[:2]
    assert first == f"{FLUX}: 0.9 USD per image -> 0.012 USD per image"
    assert second.startswith("0 prices did not change; written to ")
    written = read_prices(refreshed_prices())
    assert written.keys() == before.keys()
    assert written[TEXT_TO_IMAGE] == before[TEXT_TO_IMAGE]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("only", [(), ("--model", "wavespeed:openai/dall-e-3")])
def test_a_price_that_is_no_longer_told_keeps_its_value_and_its_day(only: tuple[str, ...]) -> None:
    varying, long_ago = "wavespeed:openai/dall-e-3", price(as_of=date(2020, 1, 1))
    write_prices(refreshed_prices(), {varying: long_ago})
    result = prices("--refresh", *only)
    line = f"{varying}: 0.5 USD per image -> unknown, the old price is kept"
    assert line in result.stdout.splitlines()
    assert read_prices(refreshed_prices())[varying] == long_ago
    assert known("--model", varying)[varying]["old"] is True


@pytest.mark.usefixtures("silent")
def test_an_answer_that_tells_nothing_changes_nothing() -> None:
    write_prices(refreshed_prices(), {TEXT_TO_IMAGE: price()})
    before = refreshed_prices().read_bytes(), refreshed_prices().stat().st_mtime_ns
    result = prices("--refresh")
    assert result.exit_code == 0
    assert "nothing was written" in result.stdout
    assert f"{TEXT_TO_IMAGE}: 0.5 USD per image -> unknown" in result.stdout
    assert (refreshed_prices().read_bytes(), refreshed_prices().stat().st_mtime_ns) == before


@pytest.mark.usefixtures("silent")
def test_an_answer_that_tells_nothing_makes_no_file() -> None:
    refreshed = told("--refresh")["refreshed"]
    assert (refreshed["path"], refreshed["same"]) == (None, 0)
    assert not refreshed_prices().exists()


@pytest.mark.usefixtures("provider")
def test_what_a_host_on_this_machine_tells_is_shown_and_not_kept() -> None:
    before = {FLUX: price("0.9")}
    write_prices(refreshed_prices(), before)
    result = prices("--refresh", "--model", FLUX)
    assert f"{FLUX}: 0.9 USD per image -> 0.012 USD per image" in result.stdout
    assert "wavespeed is on this machine: its prices are not kept" in result.stdout
    assert read_prices(refreshed_prices()) == before
    refreshed = told("--refresh")["refreshed"]
    assert (refreshed["path"], refreshed["not_kept"]) == (None, ["wavespeed"])


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("https://api.minimax.io", True),
        ("https://127.example.com", True),
        ("http://127.0.0.1:8399", False),
        ("http://localhost:8399/v1", False),
        ("http://[::1]:8399", False),
    ],
)
def test_only_a_host_elsewhere_is_believed(host: str, *, kept: bool) -> None:
    assert subcommand._kept(MiniMax(base_url=host)) is kept


@pytest.mark.usefixtures("trusted")
def test_a_warning_of_the_configuration_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "imagegen.toml"
    file.write_text('[providers.minimax]\nkey = "made-up-key"\n', encoding="utf-8")
    file.chmod(0o600)
    result = prices("--refresh", "--config", str(file))
    assert result.exit_code == 0
    assert result.stderr.count("imagegen: warning: ") == 1


@pytest.mark.usefixtures("provider")
def test_who_cannot_be_asked_is_named() -> None:
    assert "minimax has no price list to ask for" in prices("--refresh").stdout
    result = prices("--refresh", "--model", "minimax:image-01")
    assert result.exit_code == 2
    assert "there is nobody to ask" in result.stderr


@pytest.mark.usefixtures("trusted")
def test_a_broken_file_of_prices_is_written_again() -> None:
    path = refreshed_prices()
    path.parent.mkdir(parents=True)
    path.write_text("[[prices]", encoding="utf-8")
    assert prices("--refresh").exit_code == 0
    assert TEXT_TO_IMAGE in read_prices(path)
    assert refreshed_prices().with_name("prices.broken.toml").exists()


def test_without_a_key_nobody_is_asked() -> None:
    result = prices("--refresh")
    assert result.exit_code == 2
    assert "Set WAVESPEED_API_KEY" in result.stderr
    assert not refreshed_prices().exists()


@pytest.mark.usefixtures("provider")
def test_a_key_that_is_refused_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAVESPEED_API_KEY", "another-made-up-key")
    result = prices("--refresh")
    assert result.exit_code == 3
    assert "another-made-up-key" not in result.output
    assert not refreshed_prices().exists()


@pytest.mark.usefixtures("trusted")
def test_the_prices_are_json_as_documented() -> None:
    write_prices(refreshed_prices(), {FLUX: price()})
    printed = told("--refresh")
    blocks = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    documented = next(block for block in blocks if "prices" in block)
    assert printed.keys() == documented.keys()
    assert _shape(printed["prices"][0]) == _shape(documented["prices"][0])
    assert _shape(printed["refreshed"]) == _shape(documented["refreshed"])
    assert _shape(printed["refreshed"]["changes"][0]) == _shape(
        documented["refreshed"]["changes"][0]
    )


def _shape(value: dict[str, Any]) -> dict[str, type]:
    return {name: type(field) for name, field in value.items()}
