"""`imagegen doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagegen import Cost, ImageGenError, ImageRequest, UnsupportedFeatureError
from imagegen.account import Checked, Standing
from imagegen.cli.commands import imagegen
from imagegen.cli.doctor import here, providers
from imagegen.cli.doctor.findings import Finding, as_lines, exit_status
from imagegen.config.places import refreshed_prices
from imagegen.config.prices import write_prices
from imagegen.ledger import Entry, Ledger
from imagegen.pricing import Price
from imagegen.sandbox import Sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "doctor.md").read_text(encoding="utf-8")
KEY = "made-up-key-of-the-doctor"
WRONG = "another-made-up-key-of-the-doctor"
PROVIDERS = {"minimax": ("MINIMAX_API_HOST", "MINIMAX_API_KEY")} | {
    "wavespeed": ("WAVESPEED_BASE_URL", "WAVESPEED_API_KEY")
}


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the sandbox has is installed: anybody else would be asked over the network."""
    monkeypatch.setattr("imagegen.backends.names", lambda: tuple(PROVIDERS))


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with Sandbox(keys=[KEY]).running() as origin:
        yield origin


@pytest.fixture
def closed() -> Iterator[str]:
    """An origin that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def provider(origin: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Both providers are the sandbox, and accept the key."""
    at(monkeypatch, origin, KEY)
    return monkeypatch


def at(monkeypatch: pytest.MonkeyPatch, origin: str, key: str = "") -> None:
    for host_variable, key_variable in PROVIDERS.values():
        monkeypatch.setenv(host_variable, origin)
        monkeypatch.setenv(key_variable, key)


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(imagegen, ["doctor", *arguments])


def findings(*arguments: str) -> dict[str, dict[str, Any]]:
    printed: list[dict[str, Any]] = json.loads(doctor(*arguments, "--json").stdout)["findings"]
    return {each["what"]: each for each in printed}


def stati(*arguments: str) -> dict[str, str]:
    return {what: each["status"] for what, each in findings(*arguments).items()}


def configured(tmp_path: Path, text: str) -> tuple[str, str]:
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return "--config", str(file)


@pytest.mark.usefixtures("provider")
def test_all_is_well() -> None:
    result = doctor()
    assert result.exit_code == 0
    assert "fail" not in result.stdout
    told = findings()
    for name in PROVIDERS:
        parts = [f"{name} {what}" for what in ("key", "host", "account", "balance", "clock")]
        assert {told[part]["status"] for part in parts} == {"ok"}
    assert told["wavespeed key"]["words"] == "from WAVESPEED_API_KEY"
    assert told["wavespeed balance"]["words"] == "100 USD left"
    assert told["minimax balance"]["words"] == "100 (currency not told) left"
    assert re.search(r"answers in [0-9]+ ms", told["minimax host"]["words"])
    assert KEY not in result.output


def test_a_key_that_is_refused_fails_and_is_never_shown(provider: pytest.MonkeyPatch) -> None:
    provider.setenv("WAVESPEED_API_KEY", WRONG)
    result = doctor()
    assert result.exit_code == 1
    assert WRONG not in result.output
    told = findings()
    assert told["wavespeed account"]["status"] == "fail"
    assert "Check the API key" in told["wavespeed account"]["fix"]
    assert (told["wavespeed host"]["status"], told["minimax account"]["status"]) == ("ok", "ok")


def test_a_host_that_is_down_fails(closed: str, provider: pytest.MonkeyPatch) -> None:
    provider.setenv("MINIMAX_API_HOST", closed)
    result = doctor()
    assert result.exit_code == 1
    told = findings()
    assert told["minimax host"]["status"] == "fail"
    assert closed in told["minimax host"]["words"]
    assert "minimax account" not in told
    assert told["wavespeed account"]["status"] == "ok"


def test_a_host_that_is_silent_fails_in_time(provider: pytest.MonkeyPatch) -> None:
    provider.setattr(providers, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        provider.setenv("MINIMAX_API_HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")
        told = findings()
    assert told["minimax host"]["status"] == "fail"
    assert "the time is up" in told["minimax host"]["words"]
    assert told["minimax host"]["fix"].startswith("Check the network")
    assert told["wavespeed account"]["status"] == "ok"


def test_a_host_that_answers_nonsense_answers(provider: pytest.MonkeyPatch) -> None:
    with answering({"base_resp": "nonsense"}) as origin:
        provider.setenv("MINIMAX_API_HOST", origin)
        told = findings()
    assert (told["minimax host"]["status"], told["minimax account"]["status"]) == ("ok", "warn")


def test_without_any_key_the_hosts_are_asked_all_the_same(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, origin)
    result = doctor()
    assert result.exit_code == 1
    told = findings()
    assert {told[f"{name} host"]["status"] for name in PROVIDERS} == {"ok"}
    assert {told[f"{name} key"]["status"] for name in PROVIDERS} == {"skip"}
    assert told["keys"]["status"] == "fail"
    assert "export MINIMAX_API_KEY=… or WAVESPEED_API_KEY=…" in told["keys"]["fix"]


def test_what_is_to_be_tried_without_a_key_works(
    origin: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at(monkeypatch, origin)
    fix = findings()["keys"]["fix"]
    program, *words = shlex.split(fix[fix.index("imagegen generate") :])
    monkeypatch.setattr("imagegen.cli.setup.SANDBOX_LATENCY", 0.0)
    monkeypatch.chdir(tmp_path)
    assert program == "imagegen"
    assert CliRunner().invoke(imagegen, words).exit_code == 0
    assert list(tmp_path.glob("*.jpg"))


def test_a_key_that_cannot_be_one_is_named_and_never_shown(
    provider: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    provider.setenv("WAVESPEED_API_KEY", "a key of spaces")
    result = doctor()
    assert result.exit_code == 2
    assert "of spaces" not in result.output
    told = findings()
    assert told["wavespeed key"]["status"] == "fail"
    assert told["wavespeed key"]["words"].startswith("from WAVESPEED_API_KEY: ")
    assert told["wavespeed key"]["fix"] == "Set WAVESPEED_API_KEY again"
    assert "wavespeed" not in told
    provider.setenv("WAVESPEED_API_KEY", KEY)
    file = configured(tmp_path, '[providers.wavespeed]\nkey = { env = "STUDIO_KEY" }\n')
    told = findings(*file)
    assert told["wavespeed key"]["words"].startswith("from STUDIO_KEY: ")
    assert told["wavespeed key"]["fix"] == "Set it: export STUDIO_KEY=…"


def test_a_host_that_nobody_has_a_key_for_may_be_down(
    closed: str, provider: pytest.MonkeyPatch
) -> None:
    provider.delenv("MINIMAX_API_KEY")
    provider.setenv("MINIMAX_API_HOST", closed)
    assert doctor().exit_code == 0
    assert stati()["minimax host"] == "warn"


def test_the_sandbox_can_be_asked_instead() -> None:
    result = doctor("--sandbox")
    assert result.exit_code == 0
    told = findings("--sandbox")
    assert told["wavespeed account"]["status"] == "ok"
    assert told["wavespeed clock"]["status"] == "skip"


class Canned(BaseHTTPRequestHandler):
    """Answers every request with one body, at a time of its own."""

    status = 200
    body = b"{}"
    clock = datetime.now(UTC)

    def do_GET(self) -> None:
        self.send_response_only(self.status)
        self.send_header("Date", format_datetime(self.clock, usegmt=True))
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        pass


@contextmanager
def answering(body: Mapping[str, Any], **fields: Any) -> Iterator[str]:
    handler = type("Handler", (Canned,), {"body": json.dumps(body).encode(), **fields})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("minutes", "words"), [(5, "behind"), (-5, "ahead of")])
def test_a_clock_that_is_wrong_is_a_warning(
    minutes: int, words: str, provider: pytest.MonkeyPatch
) -> None:
    wrong = datetime.now(UTC) + timedelta(minutes=minutes)
    with answering({"code": 200, "data": {"balance": 0}}, clock=wrong) as origin:
        provider.setenv("WAVESPEED_BASE_URL", origin)
        assert doctor().exit_code == 0
        told = findings()
    assert told["wavespeed clock"]["status"] == "warn"
    assert f"s {words} the provider's" in told["wavespeed clock"]["words"]
    assert (told["wavespeed balance"]["status"], told["wavespeed balance"]["fix"]) == (
        "warn",
        "Top up the account",
    )


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, {"code": 503, "message": "busy"}, "warn"),
        (400, {"code": 1407, "message": "no credit"}, "warn"),
        (404, {"code": 404, "message": "not here"}, "fail"),
    ],
)
def test_what_else_a_provider_may_say(
    status: int, body: dict[str, Any], expected: str, provider: pytest.MonkeyPatch
) -> None:
    with answering(body, status=status) as origin:
        provider.setenv("WAVESPEED_BASE_URL", origin)
        result = doctor()
        assert stati()["wavespeed account"] == expected
    assert result.exit_code == (2 if expected == "fail" else 0)


def test_a_quota_is_told_as_it_came(provider: pytest.MonkeyPatch) -> None:
    quota = {
        "model_name": "image-01",
        "end_time": 1_795_305_600_000,
        "current_interval_total_count": 100,
        "current_interval_usage_count": 37,
    }
    body = {"model_remains": [quota], "base_resp": {"status_code": 0}}
    with answering(body) as origin:
        provider.setenv("MINIMAX_API_HOST", origin)
        words = findings()["minimax quota"]["words"]
    assert words == (
        "image-01, this interval: 37 of 100, used or left: its pages do not settle which, "
        "until 2026-11-22 00:00 UTC"
    )


@pytest.mark.usefixtures("provider")
def test_a_wrong_configuration_is_told_with_its_line_and_stops_the_rest(tmp_path: Path) -> None:
    wrong = configured(tmp_path, '[default]\nmodel = "cheap"\n')
    result = doctor(*wrong)
    assert result.exit_code == 2
    assert "settings.toml:1" in result.stdout
    told = findings(*wrong)
    assert told["configuration"]["status"] == "fail"
    assert told["configuration"]["configuration"] is True
    assert told["everything else"]["status"] == "skip"
    assert "wavespeed host" not in told


@pytest.mark.usefixtures("provider")
def test_a_missing_file_is_a_wrong_configuration(tmp_path: Path) -> None:
    assert doctor("--config", str(tmp_path / "missing.toml")).exit_code == 2
    assert doctor("--profile", "missing").exit_code == 2


def test_what_is_wrong_with_one_backend_is_told(provider: pytest.MonkeyPatch) -> None:
    provider.setenv("MINIMAX_LIMITS", "enormous")
    result = doctor()
    assert result.exit_code == 2
    told = findings()
    assert "enormous" in told["minimax"]["words"]
    assert told["wavespeed account"]["status"] == "ok"


@pytest.mark.usefixtures("provider")
def test_a_warning_of_the_configuration_is_one(tmp_path: Path) -> None:
    text = f'[providers.minimax]\nkey = "{KEY}"\n[defaults]\nmodel = "minimax:image-01"\n'
    file = configured(tmp_path, text)
    result = doctor(*file)
    assert result.exit_code == 0
    assert KEY not in result.output
    assert "the key itself is in the file" in result.stdout
    told = findings(*file)
    assert told["configuration"]["fix"].startswith(("Write {", "Run chmod 600"))
    assert told["minimax key"]["words"] == "from the file itself"
    assert told["default model"] == {
        "status": "ok",
        "what": "default model",
        "words": "minimax:image-01",
        "fix": "",
        "configuration": False,
    }


@pytest.mark.usefixtures("provider")
def test_a_warning_about_a_file_with_stops_in_its_path_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "St. Ives. Etc"
    folder.mkdir()
    told = findings(*configured(folder, f'[providers.minimax]\nkey = "{KEY}"\n'))
    words = told["configuration"]["words"]
    assert str(folder / "settings.toml") in words
    assert words.endswith(("the key itself is in the file", "others can read the file"))


@pytest.mark.usefixtures("provider")
def test_a_default_model_that_is_in_no_listing_is_a_warning(tmp_path: Path) -> None:
    file = configured(tmp_path, '[defaults]\nmodel = "wavespeed:nosuch/model"\n')
    assert doctor(*file).exit_code == 0
    told = findings(*file)["default model"]
    assert told["status"] == "warn"
    assert "wavespeed:nosuch/model" in told["words"]
    assert "imagegen models" in told["fix"]


@pytest.mark.usefixtures("provider")
def test_a_default_model_that_is_none_fails(tmp_path: Path) -> None:
    wrong = configured(tmp_path, '[defaults]\nmodel = "minimax:image-99"\n')
    assert doctor(*wrong).exit_code == 2
    assert stati(*wrong)["default model"] == "fail"
    wrong = configured(tmp_path, '[defaults]\nmodel = "wavespeed:no-vendor"\n')
    told = stati(*wrong)
    assert (told["default model"], told["prices"]) == ("fail", "fail")


@pytest.mark.usefixtures("provider")
def test_old_and_unknown_prices_are_warnings(tmp_path: Path) -> None:
    entry = (
        '[[prices]]\nmodel = "minimax:image-01"\namount = "1"\ncurrency = "USD"\nper = "image"\n'
        'as_of = 2020-01-01\nsource = "a contract of old"\n'
        '[defaults]\nmodel = "minimax:image-01-live"\n'
    )
    result = doctor(*configured(tmp_path, entry))
    assert result.exit_code == 0
    old = r"warn +prices +your own, older than 180 days: minimax:image-01\n +-> State today's"
    assert re.search(old, result.stdout)
    assert re.search(r"warn +prices +unknown: minimax:image-01-live", result.stdout)


@pytest.mark.usefixtures("provider")
def test_a_refreshed_price_that_is_old_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.pricing.OLD_AFTER", timedelta(days=-1))
    price = Price(
        amount=Decimal("0.0035"),
        currency="USD",
        per="image",
        as_of=datetime.now(UTC).date(),
        source="somebody said so",
    )
    model = "wavespeed:minimax/image-01/image-to-image"
    write_prices(refreshed_prices(), {model: price})
    stdout = doctor().stdout
    old = rf"warn +prices +refreshed, but older than 180 days: {model}\n +-> imagegen prices --ref"
    assert re.search(old, stdout)


def test_a_list_price_that_is_old_is_no_warning(provider: pytest.MonkeyPatch) -> None:
    provider.setattr("imagegen.pricing.OLD_AFTER", timedelta(days=-1))
    told = findings()["prices"]
    assert told["status"] == "ok"
    assert "minimax:image-01," in told["words"]
    assert "imagegen prices --refresh" in told["fix"]


@pytest.mark.usefixtures("provider")
def test_prices_of_today_are_well() -> None:
    today = Price(
        amount=Decimal("0.0035"),
        currency="USD",
        per="image",
        as_of=datetime.now(UTC).date(),
        source="somebody said so",
    )
    models = ("image-01/text-to-image", "image-01/image-to-image")
    told = {f"wavespeed:minimax/{model}": today for model in models}
    write_prices(refreshed_prices(), {**told, "minimax:image-01": today})
    assert findings()["prices"]["words"] == "known for 3 models"


@pytest.fixture
def ledger(tmp_path: Path, provider: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ledger.db"
    provider.setenv("IMAGEGEN_LEDGER", str(path))
    return path


def submission(book: Ledger, ago: timedelta = timedelta(0)) -> Entry:
    now = datetime.now(UTC) - ago
    entry = Entry(
        provider="minimax",
        model="image-01",
        n=1,
        request=ImageRequest("a fox"),
        reserved=Cost(amount=Decimal("0.0035"), currency="USD", basis="list-price"),
        started_at=now,
        until=now + timedelta(minutes=5),
    )
    book.intend(entry).result()
    return entry


def test_a_ledger_that_is_not_there_is_not_made(ledger: Path) -> None:
    told = findings()
    assert told["ledger"]["status"] == "skip"
    assert str(ledger) in told["ledger"]["words"]
    assert told["disk"]["status"] == "ok"
    assert told["disk"]["words"].endswith(f" free in {ledger.parent}")
    assert not ledger.exists()


def test_a_file_that_is_empty_is_no_ledger_yet_and_stays_empty(ledger: Path) -> None:
    ledger.touch()
    assert "none yet" in findings()["ledger"]["words"]
    assert ledger.read_bytes() == b""
    assert [each.name for each in ledger.parent.glob(f"{ledger.name}*")] == [ledger.name]


def test_a_ledger_is_read_and_left_as_it_is(ledger: Path) -> None:
    with Ledger(ledger) as book:
        submission(book)
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA user_version = 1")  # of an earlier imagegen
    ledger.chmod(0o640)
    before = ledger.read_bytes(), ledger.stat()
    assert "1 submission under way" in findings()["open"]["words"]
    after = ledger.read_bytes(), ledger.stat()
    assert after[0] == before[0]
    assert (after[1].st_mode, after[1].st_mtime_ns) == (before[1].st_mode, before[1].st_mtime_ns)
    assert [each.name for each in ledger.parent.glob(f"{ledger.name}*")] == [ledger.name]


def test_a_ledger_of_a_later_version_fails(ledger: Path) -> None:
    Ledger(ledger).close()
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA user_version = 1000")
    told = findings()["ledger"]
    assert told["status"] == "fail"
    assert "Upgrade imagegen" in told["fix"]


def test_a_database_without_tables_is_no_ledger_yet(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("VACUUM")
    assert ledger.stat().st_size
    assert "none yet" in findings()["ledger"]["words"]


def test_a_ledger_that_is_in_use_is_not_called_damaged(
    ledger: Path, provider: pytest.MonkeyPatch
) -> None:
    Ledger(ledger).close()
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY

    def locked(_: Path) -> sqlite3.Connection:
        raise busy

    provider.setattr(here, "opened_to_read", locked)
    told = findings()["ledger"]
    assert told["status"] == "fail"
    assert told["fix"] == "Another process holds it; try again"


def test_the_folder_of_a_ledger_is_named_and_not_the_ledger(ledger: Path) -> None:
    with Ledger(ledger) as book:
        submission(book)
    assert findings()["disk"]["words"].endswith(f" free in {ledger.parent}")


def test_what_is_open_on_the_ledger_is_a_warning(ledger: Path) -> None:
    with Ledger(ledger) as book:
        assert stati()["open"] == "ok"
        entry = submission(book)
        assert "1 submission under way" in findings()["open"]["words"]
        book.unknown(entry.id, ImageGenError("lost")).result()
        told = findings()
    assert doctor().exit_code == 0
    assert told["ledger"]["words"] == f"{ledger} is whole"
    assert told["open"]["status"] == "warn"
    assert "imagegen jobs list" in told["open"]["fix"]


@pytest.mark.parametrize(("per", "left"), [("day", "4.9965"), ("total", "4.993")])
def test_what_a_budget_leaves_is_told(ledger: Path, tmp_path: Path, per: str, left: str) -> None:
    with Ledger(ledger) as book:
        submission(book)
        submission(book, ago=timedelta(days=2))
    file = configured(tmp_path, f'[budget]\namount = "5.00"\nper = "{per}"\n')
    told = findings(*file)["budget"]
    assert told["status"] == "ok"
    assert re.match(rf"{left}0* USD left of the (daily|total) budget", told["words"])
    spent = configured(tmp_path, f'[budget]\namount = "0.001"\nper = "{per}"\n')
    assert doctor(*spent).exit_code == 0
    assert stati(*spent)["budget"] == "warn"


@pytest.mark.parametrize("damage", [b"no database at all, by no means", b"SQLite format 3\x00junk"])
def test_a_ledger_that_is_damaged_fails_and_is_left_as_it_is(ledger: Path, damage: bytes) -> None:
    ledger.write_bytes(damage * 50)
    result = doctor()
    assert result.exit_code == 1
    assert stati()["ledger"] == "fail"
    assert "Move it away" in result.stdout
    assert ledger.read_bytes() == damage * 50


def test_a_page_of_the_ledger_that_is_overwritten_is_found(ledger: Path) -> None:
    with Ledger(ledger) as book:
        for _ in range(20):
            submission(book)
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    assert doctor().exit_code == 1
    assert stati()["ledger"] == "fail"


def test_what_is_no_ledger_fails(ledger: Path, provider: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(ledger)) as another:
        another.execute("CREATE TABLE songs (title)")
    assert doctor().exit_code == 1
    before = ledger.read_bytes(), ledger.stat()
    assert "another application's" in findings()["ledger"]["words"]
    assert (ledger.read_bytes(), ledger.stat().st_mode) == (before[0], before[1].st_mode)
    for place in ("/", str(ledger.parent), str(ledger.with_name("x" * 300))):
        provider.setenv("IMAGEGEN_LEDGER", place)
        assert doctor().exit_code == 1
        assert stati()["ledger"] == "fail"


@pytest.mark.usefixtures("ledger")
def test_little_room_on_the_disk_is_a_warning(provider: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=2**20)
    provider.setattr("shutil.disk_usage", lambda _: usage)
    assert stati()["disk"] == "warn"


@pytest.mark.usefixtures("provider")
def test_a_ledger_that_is_switched_off_is_skipped() -> None:
    assert stati()["ledger"] == "skip"


@pytest.mark.usefixtures("provider")
def test_versions_and_extras_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = findings()
    assert re.search(r"Python 3\.\d+.*, imagegen \d.*, httpx 0\.\d+", told["versions"]["words"])
    assert "sandbox" in told["extras"]["words"]
    needed = ['ghost-library>=1; extra == "ghost"', "httpx", 'imagegen-client[cli]; extra == "all"']
    monkeypatch.setattr(here, "requires", lambda _: needed)
    assert findings()["extras"]["words"] == "installed: none; not, or not whole: ghost"


def test_a_provider_without_a_free_call_is_skipped() -> None:
    error = UnsupportedFeatureError("there is no free call to check a key")
    checked = Checked(provider="plain", host="https://plain.example", error=error)
    told = list(providers._provider(checked, "from PLAIN_KEY"))
    assert [(each.status, each.what) for each in told] == [
        ("ok", "plain key"),
        ("skip", "plain host"),
    ]


def test_a_provider_that_needs_no_key_has_an_account_all_the_same() -> None:
    standing = Standing(received_at=datetime.now(UTC))
    checked = Checked(provider="plain", host="https://plain.example", standing=standing)
    told = [each.what for each in providers._provider(checked, None)]
    assert told == ["plain key", "plain host", "plain clock"]


def test_a_failure_decides_the_exit_status_and_the_configuration_above_all() -> None:
    wrong = Finding("fail", "a", "b", configuration=True)
    assert exit_status([]) == exit_status([Finding("warn", "a", "b")]) == 0
    assert exit_status([Finding("fail", "a", "b")]) == 1
    assert exit_status([Finding("fail", "a", "b"), wrong]) == 2


def test_a_line_moves_no_cursor() -> None:
    lines = as_lines([Finding("fail", "a", "x\x1b[2Jy\nz", "do\r it")])
    assert lines == ["fail  a  x�[2Jy�z", "         -> do� it"]


@pytest.mark.usefixtures("provider")
def test_the_findings_are_json_as_documented() -> None:
    blocks = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    (documented,) = next(block["findings"] for block in blocks)
    for ours in findings().values():
        assert {name: type(value) for name, value in ours.items()} == {
            name: type(value) for name, value in documented.items()
        }
