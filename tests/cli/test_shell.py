"""Comfort in a shell: prompts from elsewhere, completion, misspelt words, no colour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

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
        ((), None, "one prompt is needed"),
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


def test_the_version_is_told() -> None:
    assert run("--version").stdout.startswith("imagegen, version ")


@pytest.mark.parametrize("command", [("models",), ("prices",), ("config", "show"), PLAN[:3]])
def test_nothing_is_coloured(command: tuple[str, ...]) -> None:
    words = ("a fox",) if command[0] == "plan" else ()
    assert "\x1b" not in run(*command, *words).output
