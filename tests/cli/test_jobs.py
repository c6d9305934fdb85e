"""`imagegen jobs`, and what `imagegen generate` leaves for it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagegen import (
    Attempt,
    Client,
    Cost,
    GeneratedImage,
    Generation,
    ImageRequest,
    Job,
    MiniMax,
    WaveSpeed,
)
from imagegen.cli.commands import imagegen
from imagegen.errors import ConfigurationError, SubmissionUnknownError
from imagegen.ledger import Entry, Ledger
from imagegen.ledger.owner import _start, this_process
from imagegen.sandbox import Fault, Sandbox

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
LOST = Fault("drop", accepted=True)
SLOW = Fault("slow", seconds=2.0)
NEVER_THERE = Fault("http", status=504, shape="html")
PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "command.md").read_text(encoding="utf-8")
Run = Callable[..., Result]
Leave = Callable[..., None]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    with sandbox.running():
        yield sandbox


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in a temporary folder, both providers being the sandbox, without waiting."""
    environment = {
        "MINIMAX_API_KEY": "made-up",
        "WAVESPEED_API_KEY": "made-up",
        "MINIMAX_API_HOST": sandbox.origin,
        "WAVESPEED_BASE_URL": sandbox.origin,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "IMAGEGEN_LEDGER": "",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    monkeypatch.setattr("imagegen.purchase.recovery.SETTLING", 0.0)
    return lambda *arguments: CliRunner().invoke(imagegen, arguments)


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    return tmp_path / "state" / "imagegen" / "ledger.db"


@pytest.fixture
def leave_open(usual: Path) -> Leave:
    """Have so many pictures accepted, and forget about them."""

    def leave(n: int = 1) -> None:
        with Ledger(usual) as ledger, Client([WaveSpeed()], ledger=ledger) as client:
            client.submit(ImageRequest("a fox", n=n))

    return leave


def pictures(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.glob("*.jpg"))
    for name in names:
        with Image.open(folder / name) as image:
            image.load()
    return names


def entries(run: Run, *options: str) -> list[dict[str, Any]]:
    return json.loads(run("jobs", "list", "--json", *options).stdout)["entries"]  # type: ignore[no-any-return]


def documented(key: str) -> Any:
    """The object in docs/guides/command.md that has this key."""
    blocks = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in map(json.loads, blocks) if key in block]
    return found


def shape(value: Any) -> Any:
    """The names in it; of a list, those of its first item."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


# The ledger of the command


def test_the_usual_ledger_is_a_private_file_in_the_folder_for_state(run: Run, usual: Path) -> None:
    assert run("generate", "a fox", "--model", MINIMAX).exit_code == 0
    assert usual.stat().st_mode & 0o777 == 0o600
    with Ledger(usual) as ledger:
        (entry,) = ledger.entries().result()
    assert (entry.state, entry.collected, entry.images) == ("settled", True, 1)


@pytest.mark.parametrize("by", ["variable", "option"])
def test_switched_off_nothing_is_written(
    run: Run, usual: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    options = ("--ledger", "off") if by == "option" else ()
    monkeypatch.setenv("IMAGEGEN_LEDGER", "off" if by == "variable" else "")
    assert run("generate", "a fox", "--model", MINIMAX, *options).exit_code == 0
    assert not usual.exists()


def test_an_option_goes_before_the_variable(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEGEN_LEDGER", str(tmp_path / "variable.db"))
    run("generate", "a fox", "--model", MINIMAX, "--ledger", "option.db")
    assert [path.name for path in tmp_path.glob("*.db")] == ["option.db"]
    run("generate", "a fox", "--model", MINIMAX)
    assert (tmp_path / "variable.db").exists()


def test_the_sandbox_has_no_ledger_unless_one_is_named(
    run: Run, usual: Path, tmp_path: Path
) -> None:
    assert run("generate", "a fox", "--model", MINIMAX, "--sandbox").exit_code == 0
    assert not usual.exists()
    run("generate", "a fox", "--model", MINIMAX, "--sandbox", "--ledger", "named.db")
    assert (tmp_path / "named.db").exists()


@pytest.mark.parametrize("place", ["folder", "text", "file/in/the/way"])
def test_without_a_ledger_that_opens_nothing_is_sent(
    run: Run, sandbox: Sandbox, tmp_path: Path, place: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("this is no ledger, but a text of some length\n" * 30)
    (tmp_path / "file").write_text("in the way")
    result = run("generate", "a fox", "--model", MINIMAX, "--ledger", place)
    assert result.exit_code == 2
    assert result.stderr.startswith("imagegen: the ledger ")
    assert sandbox.submissions == []


@pytest.mark.parametrize("command", [("jobs", "list"), ("jobs", "resume"), ("spend",)])
def test_a_ledger_that_is_not_there_is_an_error_not_an_empty_one(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = run(*command, "--ledger", "leger.db")
    assert result.exit_code == 2
    assert "there is no ledger 'leger.db'. Check the path" in result.stderr
    assert not (tmp_path / "leger.db").exists()
    printed = json.loads(run(*command, "--ledger", "leger.db", "--json").stdout)
    assert printed["error"]["field"] == "ledger"


@pytest.mark.parametrize("command", [("jobs", "list"), ("jobs", "reconcile"), ("spend",)])
def test_without_a_ledger_there_is_nothing_to_show(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("IMAGEGEN_LEDGER", "off")
    result = run(*command)
    assert result.exit_code == 2
    assert "the ledger is switched off. Name it with --ledger" in result.stderr


# What generate tells


def test_out_of_time_it_says_how_to_get_the_pictures(run: Run, sandbox: Sandbox) -> None:
    sandbox.inject(SLOW)
    result = run("generate", "a fox", "--model", WAVESPEED, "--timeout", "0.5")
    assert result.exit_code == 7
    assert sandbox.submissions[0].id in result.stderr
    assert result.stderr.endswith("The job may go on; run imagegen jobs resume\n")


def test_the_advice_names_the_ledger_that_was_named(run: Run, sandbox: Sandbox) -> None:
    sandbox.inject(SLOW, SLOW)
    options = ("--timeout", "0.5", "--ledger", "my ledger.db")
    told = run("generate", "a fox", "--model", WAVESPEED, *options).stderr
    assert told.endswith("run imagegen jobs resume --ledger 'my ledger.db'\n")
    printed = json.loads(run("generate", "a", "--model", WAVESPEED, *options, "--json").stdout)
    assert printed["error"]["message"].endswith("resume --ledger 'my ledger.db'")


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (MINIMAX, "look at the usage of your account before you send it again\n"),
        (WAVESPEED, "of recent generations, or run imagegen jobs reconcile\n"),
    ],
)
def test_an_unknown_outcome_says_how_to_look_it_up(
    run: Run, sandbox: Sandbox, model: str, advice: str
) -> None:
    sandbox.inject(LOST)
    result = run("generate", "a fox", "--model", model)
    assert result.exit_code == 8
    assert advice in result.stderr


def test_without_a_ledger_no_command_is_advised(run: Run, sandbox: Sandbox) -> None:
    sandbox.inject(SLOW)
    out_of_time = ("generate", "a fox", "--model", WAVESPEED, "--timeout", "0.5")
    told = run(*out_of_time, "--ledger", "off").stderr
    assert told.endswith("ask again with client.result(error.job) in Python\n")
    sandbox.inject(LOST)
    told = run("generate", "a fox", "--model", WAVESPEED, "--ledger", "off").stderr
    assert told.endswith("look at the provider's own list of recent generations\n")


def test_a_part_that_takes_longer_is_finished_later(
    run: Run, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.inject(Fault("slow", seconds=60.0))
    options = ("--model", MINIMAX, "-n", "10", "--timeout", "3")
    result = run("generate", "a fox", *options)
    assert result.exit_code == 10
    assert "charged: unknown" in result.stdout
    assert "to get what is missing, run imagegen jobs reconcile" in result.stderr
    run("jobs", "reconcile")
    assert len(pictures(tmp_path)) in (1, 9)


def test_pictures_that_are_not_saved_are_fetched_again_by_jobs(
    run: Run, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.inject(Fault("expired"))
    result = run("generate", "a fox", "--model", MINIMAX)
    assert result.exit_code == 10
    assert result.stderr == "imagegen: to get what is missing, run imagegen jobs resume\n"
    assert "not saved" in run("jobs", "list").stdout
    assert run("jobs", "resume").exit_code == 0
    assert len(pictures(tmp_path)) == 1


def interrupted(*options: str) -> tuple[int, str, str]:
    """Press Ctrl-C once the job is accepted."""
    command = [sys.executable, "-m", "imagegen.cli", "generate", "a fox", "--model", WAVESPEED]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        listing = ["jobs", "list", "--json"]
        patience = time.monotonic() + 30
        while time.monotonic() < patience:
            listed = CliRunner().invoke(imagegen, listing).stdout
            if '"submitted"' in listed:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        printed, told = process.communicate(timeout=30)
    return process.returncode, printed, told


@pytest.mark.usefixtures("run")
def test_interrupted_it_says_how_to_get_the_pictures(run: Run, tmp_path: Path) -> None:
    status, _, told = interrupted()
    assert status == 130
    assert re.search(r"job [0-9a-f]{32} was accepted and may go on; imagegen jobs resume", told)
    assert "imagegen jobs reconcile also looks up the rest" in told
    assert run("jobs", "resume").exit_code == 0
    assert len(pictures(tmp_path)) == 1


@pytest.mark.usefixtures("run")
def test_interrupted_it_says_so_in_json_too() -> None:
    status, printed, _ = interrupted("--json")
    notes = json.loads(printed)["error"]["notes"]
    assert status == 130
    assert any("imagegen jobs resume" in note for note in notes)
    assert not any("client." in note for note in notes)


# Routes


def test_several_models_are_a_route(run: Run, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("rate_limit", provider="minimax", times=None))
    result = run("generate", "a fox", "--model", MINIMAX, "--model", WAVESPEED, "--json")
    printed = json.loads(result.stdout)
    assert (result.exit_code, printed["provider"]) == (0, "wavespeed")
    assert [attempt["error"] for attempt in printed["attempts"]] == ["RateLimitError", None]


@pytest.mark.parametrize(
    ("strategy", "first"),
    [("order", "wavespeed"), ("cheapest", "minimax"), ("fastest", "wavespeed")],
)
def test_a_route_has_a_strategy(run: Run, strategy: str, first: str) -> None:
    models = ("--model", "wavespeed:bytedance/seedream-v4", "--model", MINIMAX)
    result = run("generate", "a fox", *models, "--strategy", strategy, "--json")
    assert result.exit_code == 0, result.stdout
    assert json.loads(result.stdout)["provider"] == first


def test_the_unknown_is_not_replaced_unless_told_so(run: Run, sandbox: Sandbox) -> None:
    models = ("--model", MINIMAX, "--model", WAVESPEED)
    sandbox.inject(LOST, LOST)
    assert run("generate", "a fox", *models).exit_code == 8
    assert len(sandbox.submissions) == 1
    assert run("generate", "a fox", *models, "--on-unknown", "spend").exit_code == 0
    assert [each.provider for each in sandbox.submissions] == ["minimax", "minimax", "wavespeed"]


def test_a_route_that_failed_says_how_to_look_the_unknown_up(run: Run, sandbox: Sandbox) -> None:
    sandbox.inject(LOST, LOST)
    models = ("--model", MINIMAX, "--model", WAVESPEED)
    result = run("generate", "a fox", *models, "--on-unknown", "spend")
    assert result.exit_code == 8
    assert result.stderr.endswith(". To look up what is unknown, run imagegen jobs reconcile\n")


def test_the_unknown_is_looked_up_first_if_told_so(
    run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.purchase.buying.SETTLING", 0.0)
    sandbox.inject(LOST)
    result = run("generate", "a fox", "--model", WAVESPEED, "--on-unknown", "reconcile")
    assert result.exit_code == 0
    assert len(sandbox.submissions) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--on-unknown", "spend"), "none is named. Name them with --model"),
        (("--strategy", "cheapest"), "--strategy is about the models of a route"),
        (
            ("--model", MINIMAX, "--on-unknown", "reconcile", "--ledger", "off"),
            "--on-unknown reconcile needs a ledger. Name one with --ledger",
        ),
        (("--model", MINIMAX, "--model", MINIMAX), "--model must be different model strings"),
    ],
)
def test_a_wrong_route_is_explained_in_options(
    run: Run, options: tuple[str, ...], words: str
) -> None:
    result = run("generate", "a fox", *options)
    assert result.exit_code == 2
    assert words in result.stderr


# Listing


def test_an_empty_ledger_has_nothing_open(run: Run) -> None:
    for command in (("list",), ("list", "--all"), ("resume",), ("reconcile",)):
        result = run("jobs", *command)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "nothing is open\n", "")
    assert entries(run) == []


def test_what_is_open_is_listed_with_what_to_do(
    run: Run, leave_open: Leave, sandbox: Sandbox
) -> None:
    run("generate", "a fox", "--model", MINIMAX)
    leave_open()
    sandbox.inject(LOST)
    run("generate", "a fox", "--model", MINIMAX)
    result = run("jobs", "list")
    heads, accepted, unknown = result.stdout.splitlines()
    assert heads.split("  ")[0] == "state"
    assert re.match(r"accepted  2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d  wavespeed:minimax/", accepted)
    assert accepted.endswith(f"0.0035 USD  {sandbox.submissions[1].id}  a fox")
    assert re.search(r"^unknown .* minimax:image-01 +1 +0.0035 USD  [0-9a-f]{32}  a fox$", unknown)
    resume, reconcile, close = result.stderr.splitlines()
    assert close.endswith("run imagegen jobs close ENTRY --paid or --not-paid")
    assert resume.endswith("run imagegen jobs resume")
    assert reconcile.endswith("run imagegen jobs reconcile")
    assert run("jobs", "list", "--all").stdout.splitlines()[1].startswith("done ")


def test_the_list_is_json_as_documented(run: Run, leave_open: Leave) -> None:
    leave_open()
    result = run("jobs", "list", "--json")
    printed = json.loads(result.stdout)
    assert shape(printed) == shape(documented("entries"))
    assert result.stderr == ""
    (entry,) = printed["entries"]
    assert entry["reserved"]["amount"] == "0.0035"
    assert (entry["state"], entry["collected"]) == ("submitted", False)


def test_a_terminal_shows_the_same_table(run: Run) -> None:
    run("generate", "a fox", "--model", MINIMAX)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "imagegen.cli", "jobs", "list", "--all"]
    subprocess.run(command, stdin=theirs, stdout=theirs, stderr=theirs, check=True)
    os.close(theirs)
    written = os.read(ours, 10_000).decode().replace("\r\n", "\n")
    os.close(ours)
    assert written == run("jobs", "list", "--all").stdout


def intent(owner: str, **changes: Any) -> Entry:
    now = datetime.now(UTC)
    price = Cost(amount=Decimal("0.0035"), currency="USD", basis="list-price")
    values: dict[str, Any] = {
        "provider": "minimax",
        "model": "image-01",
        "n": 2,
        "request": ImageRequest("a fox", n=2),
        "reserved": price,
        "started_at": now,
        "until": now + timedelta(minutes=5),
        "owner": owner,
    }
    return Entry(**(values | changes))


def other_process(pid: int, start: int) -> str:
    host, _, _ = this_process().rsplit(":", 2)
    return f"{host}:{pid}:{start}"


def test_what_a_dead_process_was_sending_is_unknown(run: Run, usual: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    with Ledger(usual) as ledger:
        ledger.intend(intent(other_process(process.pid, 1))).result()
    assert [entry["state"] for entry in entries(run)] == ["unknown"]


@pytest.mark.parametrize("accepted", [False, True])
def test_what_another_process_is_at_work_on_is_left_to_it(
    run: Run, usual: Path, *, accepted: bool
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        entry = intent(other_process(process.pid, _start(process.pid)))
        with Ledger(usual) as ledger:
            ledger.intend(entry).result()
            if accepted:
                job = Job(provider="minimax", model="image-01", id="job-1", request=entry.request)
                ledger.submitted(entry.id, job).result()
        listed = run("jobs", "list").stdout
        result = run("jobs", "resume")
        printed = json.loads(run("jobs", "resume", "--json").stdout)
        process.communicate()
    assert listed.splitlines()[1].startswith("accepted" if accepted else "being sent")
    assert result.exit_code == 10
    assert result.stdout.startswith("another process is at work on it: minimax:image-01, 2 pict")
    assert [each["id"] for each in printed["running"]] == [entry.id]


# Finishing


def test_what_is_open_is_saved_once(
    run: Run, leave_open: Leave, sandbox: Sandbox, tmp_path: Path
) -> None:
    leave_open(2)
    result = run("jobs", "resume", "--out", "out")
    (submission,) = sandbox.submissions
    assert result.exit_code == 0, result.stderr
    assert pictures(tmp_path / "out") == [f"wavespeed-{submission.id}-{k}.jpg" for k in (0, 1)]
    assert "2 of 2 pictures by wavespeed" in result.stdout
    assert run("jobs", "resume", "--out", "out").stdout == "nothing is open\n"
    assert len(sandbox.submissions) == 1


def test_what_was_finished_is_json_as_documented(run: Run, leave_open: Leave) -> None:
    leave_open()
    printed = json.loads(run("jobs", "resume", "--json").stdout)
    assert printed.keys() == documented("generations").keys()
    (made,) = printed["generations"]
    assert made.keys() == documented("images").keys() - {"sandbox"}
    assert Path(made["images"][0]["path"]).exists()
    assert made["cost"]["amount"] == "0.0035"


def test_what_is_unknown_is_found_where_the_provider_has_a_list(
    run: Run, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.inject(LOST, LOST, NEVER_THERE)
    for prompt, model in (("fox", WAVESPEED), ("wolf", MINIMAX), ("bear", WAVESPEED)):
        assert run("generate", f"a {prompt}", "--model", model).exit_code == 8
    result = run("jobs", "resume")
    assert (result.exit_code, result.stdout.count("unknown, may be billed")) == (10, 3)
    assert "run imagegen jobs reconcile" in result.stderr
    result = run("jobs", "reconcile")
    found, lost = sandbox.submissions
    assert result.exit_code == 10
    assert pictures(tmp_path) == [f"wavespeed-{found.id}-0.jpg"]
    assert re.search(
        rf"found at the provider: wavespeed:.*1 picture,.*job {found.id}", result.stdout
    )
    assert "never accepted, nothing was paid: wavespeed:" in result.stdout
    assert "unknown, may be billed: minimax:" in result.stdout
    assert result.stderr == ""
    assert lost.provider == "minimax"
    assert [entry["provider"] for entry in entries(run)] == ["minimax"]


def test_a_job_that_failed_is_told_of_once(run: Run, leave_open: Leave, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("prediction_status", provider="wavespeed"))
    leave_open()
    result = run("jobs", "resume")
    assert result.exit_code == 10
    assert result.stdout.startswith("no result: wavespeed: the prediction ended as failed")
    assert run("jobs", "resume").stdout == "nothing is open\n"
    assert run("jobs", "list", "--all").stdout.splitlines()[1].startswith("failed ")


def test_a_job_that_brought_no_usable_picture_is_told_of_once(
    run: Run, leave_open: Leave, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("outputs", provider="wavespeed"))
    leave_open()
    result = run("jobs", "resume")
    assert result.exit_code == 10
    assert "completed without a usable picture" in result.stdout
    assert run("jobs", "resume").stdout == "nothing is open\n"


class Nameless(httpx.BaseTransport):
    """MiniMax, that gives no id of what it made."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._within = sandbox.transport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._within.handle_request(request)
        if request.method != "POST":
            return response
        body = json.loads(response.read())
        return httpx.Response(200, json={**body, "id": ""}, request=request)


def test_a_result_without_an_id_is_saved_once(
    run: Run, sandbox: Sandbox, usual: Path, tmp_path: Path
) -> None:
    with (
        Ledger(usual, collect="saved") as ledger,
        Client([MiniMax()], ledger=ledger, transport=Nameless(sandbox)) as client,
    ):
        client.generate("a fox")
    assert run("jobs", "resume").exit_code == 0
    assert run("jobs", "resume").stdout == "nothing is open\n"
    assert len(pictures(tmp_path)) == 1


def test_out_of_time_again_it_says_to_come_again(
    run: Run, leave_open: Leave, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("slow", seconds=60.0))
    leave_open()
    options = ("--timeout", "0.5", "--ledger", "state/imagegen/ledger.db")
    again = "run imagegen jobs resume --ledger state/imagegen/ledger.db"
    result = run("jobs", "resume", *options)
    assert result.exit_code == 10
    assert result.stdout.endswith(f"The job may go on; {again}\n")
    (error,) = json.loads(run("jobs", "resume", *options, "--json").stdout)["errors"]
    assert error["message"].endswith(again)
    assert error["job"] == sandbox.submissions[0].id


def test_a_provider_without_its_key_is_told_of_and_left_open(
    run: Run, leave_open: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_open()
    monkeypatch.delenv("WAVESPEED_API_KEY")
    result = run("jobs", "resume")
    assert result.exit_code == 10
    assert "wavespeed is not configured here" in result.stdout
    assert len(entries(run)) == 1


@pytest.mark.parametrize("problem", [ConfigurationError("no space left"), KeyboardInterrupt()])
def test_what_cannot_be_saved_stays_open(
    run: Run,
    leave_open: Leave,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: BaseException,
) -> None:
    for _ in range(2):
        leave_open()

    def failing(*_: object, **__: object) -> None:
        raise problem

    with monkeypatch.context() as patched:
        patched.setattr("imagegen.cli.delivery.write_images", failing)
        result = run("jobs", "resume", "--json")
    assert result.exit_code == (130 if isinstance(problem, KeyboardInterrupt) else 10)
    printed = json.loads(result.stdout[: result.stdout.rindex("}") + 1])
    assert [made["images"][0]["path"] for made in printed["generations"]] == [None, None]
    assert f"not everything was saved: {str(problem) or 'interrupted'}" in result.stderr
    assert run("jobs", "resume").exit_code == 0
    assert len(pictures(tmp_path)) == 2


def test_an_interruption_while_waiting_loses_nothing(
    run: Run, leave_open: Leave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_open()

    def interrupting(*_: object, **__: object) -> None:
        error = KeyboardInterrupt()
        error.add_note("wavespeed: job 1 was accepted; client.result(job) can still ask for it")
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Client, "reconcile", interrupting)
        result = run("jobs", "resume")
    assert result.exit_code == 130
    assert "imagegen jobs resume waits for it" in result.stderr
    assert run("jobs", "resume").exit_code == 0
    assert len(pictures(tmp_path)) == 1


def test_pictures_that_have_expired_are_told_of_once(
    run: Run, sandbox: Sandbox, usual: Path
) -> None:
    entry = intent("")
    long_ago = datetime.now(UTC) - timedelta(days=1)
    url = f"{sandbox.origin}/gone.jpg"
    made = Generation(
        images=(GeneratedImage(url=url, request_id="job-1", expires_at=long_ago),),
        attempts=(Attempt(provider="minimax", model="image-01", n=2, request_id="job-1"),),
        provider="minimax",
        model="image-01",
        request=entry.request,
    )
    job = Job(provider="minimax", model="image-01", id="job-1", request=entry.request)
    with Ledger(usual) as ledger:
        ledger.intend(entry).result()
        ledger.submitted(entry.id, job).result()
        ledger.settled(entry.id, made).result()
    assert len(entries(run)) == 1
    result = run("jobs", "resume")
    assert result.exit_code == 10
    assert f"{url}  not fetched" in result.stdout
    assert run("jobs", "resume").stdout == "nothing is open\n"


def test_a_folder_that_cannot_be_written_is_refused_first(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run("jobs", "resume", "--out", "file/out")
    assert result.exit_code == 2
    assert "nothing can be written" in result.stderr


@pytest.mark.parametrize(
    ("word", "spent", "held"), [("--paid", "0.0035", 0), ("--not-paid", "0", 0)]
)
def test_an_unknown_submission_is_closed_by_hand(
    tmp_path: Path, word: str, spent: str, held: int
) -> None:
    path = tmp_path / "ledger.db"
    sandbox = Sandbox(faults=[Fault("drop", accepted=True)])
    with (
        Ledger(path) as ledger,
        sandbox.client(ledger=ledger) as client,
        pytest.raises(SubmissionUnknownError),
    ):
        client.generate("a fox", model="minimax:image-01")
    with Ledger(path) as ledger:
        (entry,) = ledger.entries("unknown").result()
    result = CliRunner().invoke(imagegen, ["jobs", "close", entry.id, word, "--ledger", str(path)])
    assert (result.exit_code, result.stderr) == (0, "")
    again = CliRunner().invoke(imagegen, ["jobs", "close", entry.id, word, "--ledger", str(path)])
    assert again.exit_code == 2
    assert "only what is unknown can be closed" in again.stderr
    with Ledger(path) as ledger:
        account = ledger.spend().result()
        assert not ledger.entries("unknown").result()
    assert sum(line.spent for line in account) == Decimal(spent)
    assert sum(line.open for line in account) == held


def test_closing_needs_a_word_on_the_payment(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    result = CliRunner().invoke(imagegen, ["jobs", "close", "0" * 32, "--ledger", str(path)])
    assert result.exit_code == 2
    missing = ["jobs", "close", "0" * 32, "--paid", "--ledger", str(path)]
    assert "is not on the ledger" in CliRunner().invoke(imagegen, missing).stderr
