"""Comfort in a shell: prompts from elsewhere, completion, misspelt words, no colour."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagegen.cli import main
from imagegen.cli.commands import COMMANDS, Commands, imagegen

PLAN = ("plan", "--model", "minimax:image-01", "--json")


def run(*arguments: str, typed: str | bytes | None = None) -> Result:
    return CliRunner().invoke(imagegen, arguments, input=typed)


def prompt_of(result: Result) -> str:
    assert result.exit_code == 0, result.output
    (plan,) = json.loads(result.stdout)["plans"]
    return str(plan["body"]["prompt"])


@pytest.mark.parametrize("typed", ["a fox\n", "a fox\r\n", "a fox", "\ufeffa fox\n"])
def test_a_dash_reads_the_prompt_from_standard_input(typed: str) -> None:
    assert prompt_of(run(*PLAN, "-", typed=typed)) == "a fox"


def test_a_prompt_of_several_lines_keeps_them() -> None:
    assert prompt_of(run(*PLAN, "-", typed="a fox\n\nin the snow\n")) == "a fox\n\nin the snow"


def test_a_prompt_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("ein Fuchs, 狐\n", encoding="utf-8")
    assert prompt_of(run(*PLAN, "--prompt-file", str(file))) == "ein Fuchs, 狐"


@pytest.mark.parametrize(
    ("arguments", "typed", "words"),
    [
        ((), None, "a prompt is needed"),
        (("a fox", "--prompt-file", "{file}"), None, "one prompt is needed"),
        (("-",), b"\xff\xfe", "not UTF-8"),
        (("-",), "x" * 100_001, "longer than 100000 bytes"),
        (("-",), "", "prompt"),
    ],
)
def test_a_prompt_that_cannot_be_had_is_explained(
    tmp_path: Path, arguments: tuple[str, ...], typed: str | bytes | None, words: str
) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("a fox")
    result = run(*PLAN[:-1], *(word.format(file=file) for word in arguments), typed=typed)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_misspelt_command_names_the_nearest() -> None:
    result = run("compair")
    assert result.exit_code == 2
    assert "Did you mean 'compare'?" in result.stderr


def test_another_word_is_no_command() -> None:
    assert "No such command 'xyzzy'" in run("xyzzy").stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    assert isinstance(imagegen, Commands)
    command = imagegen.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert (command.help or "").partition("\n")[0] == COMMANDS[name]
    assert run(name, "--help").exit_code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_completes(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_IMAGEGEN_COMPLETE" in result.stdout


BASH = """
source "$1"; shift
[[ $1 == unbroken ]] && COMP_WORDBREAKS=${COMP_WORDBREAKS//:}; shift
COMP_LINE=$1 COMP_POINT=$2; shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
breaks=$COMP_WORDBREAKS
_imagegen_completion
[[ $breaks == "$COMP_WORDBREAKS" ]] && printf '%s\\n' "${COMPREPLY[@]}"
"""
BOTH = ["image-01", "image-01-live"]
IN_FULL = [f"minimax:{model}" for model in BOTH]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "imagegen.bash"
    path.write_text(run("completion", "bash").stdout, encoding="utf-8")
    return path


def in_bash(script: Path, line: str, words: str, breaks: str = "broken") -> list[str]:
    """What bash offers for *line*, the cursor at "|"; *words*, parted by "·", are as it breaks it.

    The last of them is the one at the cursor, with what is behind the cursor.
    """
    before, _, behind = line.partition("|")
    given = [str(script), breaks, before + behind, str(len(before)), *words.split("·")]
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", *given],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "words", "offered"),
    [
        ("imagegen plan --model minimax:|", "imagegen·plan·--model·minimax·:·", BOTH),
        ("imagegen plan --model minimax:|", "imagegen·plan·--model·minimax·:", BOTH),
        ("imagegen plan --model=minimax:i|", "imagegen·plan·--model·=·minimax·:·i", BOTH),
        ("imagegen  plan 'a: b' --model min|xx y", "imagegen·plan·'a: b'·--model·minxx", IN_FULL),
    ],
)
def test_bash_completes_what_is_behind_the_last_colon(
    script: Path, line: str, words: str, offered: list[str]
) -> None:
    assert in_bash(script, line, words) == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_whole_words_where_it_does_not_break_at_colons(script: Path) -> None:
    words = "imagegen·plan·--model·minimax:ima"
    line = "imagegen plan --model minimax:ima|"
    assert in_bash(script, line, words, "unbroken") == IN_FULL


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_routes_are_completed_and_a_wrong_configuration_has_none(
    script: Path, tmp_path: Path
) -> None:
    file = tmp_path / "imagegen.toml"
    file.write_text('[routes.minicheap]\nmodels = ["minimax:image-01"]\n', encoding="utf-8")
    line = f"imagegen plan --config {file} --model mini|"
    words = f"imagegen·plan·--config·{file}·--model·mini"
    assert in_bash(script, line, words) == [*IN_FULL, "minicheap"]
    file.write_text("[route]", encoding="utf-8")
    assert in_bash(script, line, words) == IN_FULL


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_folders_that_the_help_names_are_made_first(tmp_path: Path) -> None:
    text = run("completion", "--help").stdout
    lines = [line.strip().removeprefix("bash ").strip() for line in text.splitlines()]
    (first,) = [k for k, line in enumerate(lines) if "bash-completion" in line and "mkdir" in line]
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines[first : first + 2])],
        env={"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert (tmp_path / ".local/share/bash-completion/completions/imagegen").stat().st_size


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("imagegen com", {"compare", "completion"}),
        ("imagegen plan --model minimax:", {"minimax:image-01", "minimax:image-01-live"}),
        ("imagegen generate --stra", {"--strategy"}),
    ],
)
def test_words_are_completed(typed: str, offered: set[str]) -> None:
    variables = {
        "_IMAGEGEN_COMPLETE": "zsh_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = subprocess.run(
        [str(Path(sys.executable).parent / "imagegen")],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(done.stdout.splitlines()[1::3]) == offered


WRONG = [
    ("generate", "a fox", "--no-such-option"),
    ("generate", "a fox", "-n", "many"),
    ("generate", "a fox", "--fit", "loose", "--sandbox"),
    ("jobs", "close", "--paid"),
    ("jobs", "clsoe"),
    ("compair",),
]


def status(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit status of the command, run as a shell runs it."""
    monkeypatch.setattr("sys.argv", ["imagegen", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_usage_is_an_object_like_any_failure_if_json_is_asked_for(
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert status(monkeypatch, *arguments, "--json") == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert printed.err == ""
    assert document["sandbox"] is ("--sandbox" in arguments)
    assert document["error"]["type"] == "UsageError"
    assert document["error"]["charged"] == "no"
    assert document["error"]["message"] in " ".join(told.err.split())


def test_the_object_has_the_fields_of_any_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, "generate", "a fox", "--model", "nobody:", "--json") == 2
    failure = json.loads(capsys.readouterr().out)["error"]
    assert status(monkeypatch, "generate", "a fox", "--seed", "x", "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"].keys() == failure.keys()


def test_behind_two_dashes_json_is_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, "plan", "-n", "x", "--", "--json") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "Invalid value for '-n'" in told.err


def test_the_version_is_told() -> None:
    assert run("--version").stdout.startswith("imagegen, version ")


@pytest.mark.parametrize("command", [("models",), ("prices",), ("config", "show"), PLAN[:3]])
def test_nothing_is_coloured(command: tuple[str, ...]) -> None:
    words = ("a fox",) if command[0] == "plan" else ()
    assert "\x1b" not in run(*command, *words).output
