"""`imagegen generate`, as a shell sees it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagegen.cli import exit_codes
from imagegen.cli.commands import imagegen
from imagegen.cli.generate import EPILOG
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.sandbox import Fault, Sandbox

MODELS = ("minimax:image-01", "wavespeed:minimax/image-01")
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `imagegen generate` in a temporary folder, without any key."""

    def invoke(*arguments: str, **environment: str) -> Result:
        names = ("MINIMAX_API_KEY", "WAVESPEED_API_KEY", "MINIMAX_API_HOST", "WAVESPEED_BASE_URL")
        env: dict[str, str | None] = {**dict.fromkeys(names), **environment}
        os.chdir(tmp_path)
        return CliRunner().invoke(imagegen, ["generate", *arguments], env=env)

    return invoke


@pytest.fixture
def served() -> Iterator[Sandbox]:
    """A sandbox on a port, whose keys are known."""
    sandbox = Sandbox(keys=("right-key",))
    with sandbox.running():
        yield sandbox


def pointed_at(sandbox: Sandbox, key: str = "right-key") -> dict[str, str]:
    return {
        "MINIMAX_API_KEY": key,
        "WAVESPEED_API_KEY": key,
        "MINIMAX_API_HOST": sandbox.origin,
        "WAVESPEED_BASE_URL": sandbox.origin,
    }


@pytest.mark.parametrize("model", MODELS)
def test_the_sandbox_writes_pictures_of_the_size_asked(
    run: Run, tmp_path: Path, model: str
) -> None:
    result = run("a fox", "--sandbox", "--model", model, "--size", "720x1280", "--out", "out")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("sandbox: no provider was asked, nothing was charged\n")
    (picture,) = (tmp_path / "out").iterdir()
    with Image.open(picture) as image:
        assert image.size == (720, 1280)


@pytest.mark.parametrize("model", MODELS)
def test_files_are_named_after_provider_request_id_and_index(run: Run, model: str) -> None:
    printed = json.loads(run("a fox", "--sandbox", "--model", model, "-n", "2", "--json").stdout)
    provider = model.split(":", maxsplit=1)[0]
    expected = [f"{provider}-{im['request_id']}-{k}.jpg" for k, im in enumerate(printed["images"])]
    assert [image["path"] for image in printed["images"]] == expected
    assert len(expected) == 2


@pytest.mark.parametrize("model", MODELS)
def test_json_is_one_object_with_the_documented_fields(run: Run, model: str) -> None:
    printed = json.loads(
        run("a fox", "--sandbox", "--model", model, "--json", "--seed", "5").stdout
    )
    assert printed["sandbox"] is True
    assert printed["provider"] == model.split(":", maxsplit=1)[0]
    assert printed["model"].startswith(model.split(":")[1])
    (image,) = printed["images"]
    assert {key: image[key] for key in ("width", "height", "media_type", "seed")} == {
        "width": 1024,
        "height": 1024,
        "media_type": "image/jpeg",
        "seed": 5,
    }
    assert Path(image["path"]).exists()
    assert image["url"].startswith("http")
    source = printed["cost"].pop("source")
    assert printed["cost"] == {"amount": "0.0035", "currency": "USD", "basis": "list-price"}
    assert re.search(r", 2026-\d\d-\d\d$", source)
    assert printed["failures"] == printed["notices"] == []
    (attempt,) = printed["attempts"]
    assert (attempt["n"], attempt["images"], attempt["error"]) == (1, 1, None)


@pytest.mark.parametrize(
    ("fault", "key", "status"),
    [
        (None, "wrong-key", 3),
        (Fault("insufficient_balance"), "right-key", 4),
        (Fault("moderated"), "right-key", 5),
        (Fault("rate_limit", times=None), "right-key", 6),
        (Fault("drop", accepted=True), "right-key", 8),
        (Fault("code", code=1024, provider="minimax"), "right-key", 8),
    ],
    ids=["authentication", "balance", "content", "rate limit", "unknown", "internal error"],
)
@pytest.mark.parametrize("model", MODELS)
def test_the_exit_status_says_why(  # noqa: PLR0917 - three parameters, two fixtures
    run: Run, served: Sandbox, model: str, fault: Fault | None, key: str, status: int
) -> None:
    if fault and fault.provider == "minimax" and model.startswith("wavespeed"):
        fault, status = Fault("code", code=503, status=503, times=None), 1
    if fault:
        served.inject(fault)
    result = run("a fox", "--model", model, "--timeout", "3", **pointed_at(served, key))
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("imagegen: ")
    assert key not in result.output


def test_the_exit_status_for_time_names_the_job(run: Run, served: Sandbox) -> None:
    served.inject(Fault("slow", seconds=30.0))
    result = run("a fox", "--model", MODELS[1], "--timeout", "0.3", **pointed_at(served))
    assert result.exit_code == 7
    assert served.submissions[0].id in result.stderr


@pytest.mark.parametrize("model", MODELS)
def test_over_the_maximum_cost_nothing_is_sent(run: Run, served: Sandbox, model: str) -> None:
    result = run("a fox", "--model", model, "--max-cost", "0.001", **pointed_at(served))
    assert result.exit_code == 9
    assert served.submissions == []


def test_a_partial_result_is_saved_and_has_its_own_status(run: Run, served: Sandbox) -> None:
    served.inject(Fault("moderated", image=1, provider="minimax"))
    result = run("a fox", "--model", MODELS[0], "-n", "3", **pointed_at(served))
    assert result.exit_code == 10
    assert result.stdout.count(".jpg") == 2
    assert "missing: a picture: blocked by MiniMax for its content" in result.stdout


def test_a_picture_that_cannot_be_fetched_keeps_its_url(run: Run, served: Sandbox) -> None:
    served.inject(Fault("expired", times=None))
    result = run("a fox", "--model", MODELS[0], "--json", **pointed_at(served))
    (image,) = json.loads(result.stdout)["images"]
    assert result.exit_code == 10
    assert image["path"] is None
    assert image["url"].startswith(served.origin)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("", "--model", MODELS[0]), "prompt must be 1–1500 characters"),
        (("a", "-n", "0", "--model", MODELS[0]), "n must be"),
        (("a", "--size", "big", "--model", MODELS[0]), "size must be"),
        (("a", "--size", "1000x1000", "--aspect-ratio", "1:1", "--model", MODELS[0]), "not both"),
        (("a", "--reference", "no-such.png", "--model", MODELS[0]), "cannot be read"),
        (("a", "--model", "dalle"), "'dalle' names neither a provider nor a route"),
        (("a",), "no model was named"),
        (("a", "--model", "minimax:image-02"), "image-01"),
        (("a", "--timeout", "-1", "--model", MODELS[0]), "timeout must be"),
        (("a", "--timeout", "0", "--model", MODELS[0]), "timeout must be"),
        (("a", "--max-cost", "cheap", "--model", MODELS[0]), "--max-cost must be"),
    ],
)
def test_wrong_usage_is_explained(run: Run, arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments, "--sandbox")
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("model", "variable"),
    [(MODELS[0], "MINIMAX_API_KEY"), (MODELS[1], "WAVESPEED_API_KEY")],
)
def test_a_missing_key_names_its_variable_and_the_sandbox(
    run: Run, model: str, variable: str
) -> None:
    result = run("a fox", "--model", model)
    assert result.exit_code == 2
    assert variable in result.stderr
    assert "--sandbox" in result.stderr


def test_errors_are_json_too(run: Run, served: Sandbox) -> None:
    served.inject(Fault("drop", accepted=True))
    result = run("a fox", "--model", MODELS[0], "--json", **pointed_at(served))
    error = json.loads(result.stdout)["error"]
    assert (error["type"], error["charged"]) == ("SubmissionUnknownError", "unknown")
    assert result.exit_code == 8


def test_references_are_sent_with_their_roles(run: Run, served: Sandbox, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "lady.png")
    options = ("--source", "lady.png", "--reference", "https://example.com/king.jpg")
    result = run("a crown", "--model", MODELS[1], *options, **pointed_at(served))
    assert result.exit_code == 0, result.output
    (submission,) = served.submissions
    assert submission.model.endswith("image-to-image")
    assert submission.body["image"].startswith("data:image/png;base64,")
    assert "may be dropped" in result.stdout or "drops undeclared inputs" in result.stdout


def test_adjustments_are_shown(run: Run) -> None:
    result = run("a", "--sandbox", "--model", MODELS[0], "--size", "777x601", "--fit", "nearest")
    (note,) = (line for line in result.stdout.splitlines() if line.startswith("note: "))
    assert note.startswith("note: 777x601 is not ")
    assert note.endswith("divisible by 8; 776x600 was sent (size)")


def test_no_progress_is_written_when_piped(run: Run) -> None:
    assert run("a fox", "--sandbox", "--model", MODELS[0]).stderr == ""


def test_every_documented_status_is_one_that_the_command_uses() -> None:
    used = {exit_codes.exit_code(kind("x")) for kind in _kinds(ImageGenError)}
    used |= {exit_codes.OK, exit_codes.PARTIAL, exit_codes.INTERRUPTED}
    page = (Path(__file__).parents[2] / "docs" / "guides" / "command.md").read_text(
        encoding="utf-8"
    )
    documented = {int(line.split("|")[1]) for line in page.splitlines() if line[2:3].isdigit()}
    assert documented == used
    assert all(f"{status} " in EPILOG for status in used)


def _kinds(kind: type[ImageGenError]) -> set[Any]:
    below = [k for k in kind.__subclasses__() if not issubclass(k, ExceptionGroup)]
    return {kind}.union(*map(_kinds, below))


def test_the_sandbox_without_pillow_is_refused_before_it_draws(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.cli.setup.find_spec", lambda _: None)
    result = run("a fox", "--model", MODELS[0], "--sandbox")
    assert result.exit_code == 2
    assert "pip install 'imagegen-client[sandbox]'" in result.stderr


def test_a_terminal_of_few_letters_does_not_hide_what_is_paid_for(
    served: Sandbox, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "imagegen.cli", "generate", "a fox", "--model", MODELS[0]]
    done = subprocess.run(
        [*command, "--out", "Füchse 狐"],
        cwd=tmp_path,
        env={**os.environ, **pointed_at(served), "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Füchse \\u72d0/minimax-".encode("latin-1"))


def test_what_a_route_tried_before_is_told(run: Run, served: Sandbox) -> None:
    served.inject(Fault("insufficient_balance", provider="minimax"))
    result = run("a fox", "--model", MODELS[0], "--model", MODELS[1], **pointed_at(served))
    assert result.exit_code == 0
    words = "tried before: minimax:image-01: insufficient balance (InsufficientBalanceError)"
    assert words in result.stdout.splitlines()


def test_help_imports_no_backend_and_no_http() -> None:
    script = (
        "import sys\nfrom imagegen.cli import main\n"
        "sys.argv = ['imagegen', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('imagegen.backends', 'httpx', 'attr')\n"
        "loaded = [module for module in sys.modules if module.startswith(heavy)]\n"
        "assert loaded == [], loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "compare" in done.stdout


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "imagegen.cli", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "imagegen, version" in done.stdout


def test_without_the_extra_it_says_what_to_install() -> None:
    script = "import sys\nsys.modules['click'] = None\nfrom imagegen.cli import main\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "pip install 'imagegen-client[cli]'" in done.stderr


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_paid(
    run: Run, served: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run("a fox", "--model", MODELS[0], "--out", "file/out", **pointed_at(served))
    assert result.exit_code == 2
    assert "nothing can be written" in result.stderr
    assert served.submissions == []


@pytest.mark.parametrize("as_json", [False, True])
def test_pictures_that_cannot_be_saved_are_paid_for_and_named(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch, *, as_json: bool
) -> None:
    def full(*_: object, **__: object) -> None:
        raise ConfigurationError("no space left")

    monkeypatch.setattr("imagegen.cli.delivery.write_images", full)
    options = ("--json",) if as_json else ()
    result = run("a fox", "--model", MODELS[0], *options, **pointed_at(served))
    assert result.exit_code == 10
    assert served.origin in result.stdout
    assert "not everything was saved: no space left" in result.stderr


def test_an_interrupted_download_names_the_pictures_that_are_paid_for(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imagegen.cli.delivery.write_images", interrupted)
    result = run("a fox", "--model", MODELS[0], **pointed_at(served))
    assert result.exit_code == 130
    assert served.origin in result.stdout


def test_the_time_allowed_counts_for_the_download_too(run: Run, served: Sandbox) -> None:
    served.inject(Fault("slow", step="download", seconds=30, times=None))
    result = run("a fox", "--model", MODELS[0], "--timeout", "1", **pointed_at(served))
    assert result.exit_code == 10
    assert served.origin in result.stdout


def test_messages_speak_in_options(run: Run) -> None:
    result = run("a fox", "--sandbox", "--model", MODELS[0], "--size", "777x777")
    assert "--fit nearest takes it" in result.stderr
    assert "fit=" not in result.stderr


def test_standard_output_that_is_full_does_not_lose_what_is_saved(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imagegen.cli", "generate", "a fox", "--sandbox"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, "--model", MODELS[0]],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
        )
    assert "standard output cannot be written" in done.stderr
    assert len(list(tmp_path.iterdir())) == 1
