"""What a person at a terminal sees."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "imagegen.cli", "generate", "a fox", "--sandbox"]
COMPARE = [sys.executable, "-m", "imagegen.cli", "compare", "a fox", "--sandbox"]


def at_terminal(*arguments: str, cwd: Path, command: list[str] = COMMAND) -> tuple[int, str]:
    """Run the command on a pseudo-terminal; return its status and all it wrote."""
    main, child = pty.openpty()
    process = subprocess.Popen(
        [*command, *arguments],
        stdin=child,
        stdout=child,
        stderr=child,
        cwd=cwd,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(child)
    written = b""
    try:
        while chunk := os.read(main, 4096):
            written += chunk
    except OSError:  # Linux says so when the other side has closed
        pass
    os.close(main)
    return process.wait(timeout=60), written.decode()


def test_a_terminal_shows_status_pictures_done_and_time(tmp_path: Path) -> None:
    status, written = at_terminal("--model", "wavespeed:minimax/image-01", "-n", "2", cwd=tmp_path)
    assert status == 0
    assert "wavespeed:minimax/image-01: accepted" in written
    assert "0/2" in written
    assert re.search(r"0:00:0[1-9]", written)
    assert "2 of 2 pictures by wavespeed" in written


def test_a_comparison_has_a_line_for_each_model(tmp_path: Path) -> None:
    models = ("--model", "minimax:image-01", "--model", "wavespeed:minimax/image-01")
    status, written = at_terminal(*models, "-n", "2", cwd=tmp_path, command=COMPARE)
    assert status == 0
    assert "wavespeed:minimax/image-01: accepted" in written
    assert "minimax:image-01: settled" in written
    assert written.count("2/2") >= 1
    assert "together: 0.0140 USD" in written


PLAN = [sys.executable, "-m", "imagegen.cli", "plan", "a fox", "--model", "minimax:image-01"]


@pytest.mark.parametrize(
    ("text", "is_told"), [('[defaults]\nfit = "nearest"\n', True), ("", False)]
)
def test_a_file_that_nobody_named_is_told_of_if_it_counts(
    tmp_path: Path, text: str, *, is_told: bool
) -> None:
    file = tmp_path / "imagegen.toml"
    file.write_text(text, encoding="utf-8")
    status, written = at_terminal(cwd=tmp_path, command=PLAN)
    assert status == 0
    assert (f"\x1b[2mimagegen: {file} counts here" in "".join(written.splitlines())) is is_told


def test_a_file_that_is_named_is_not_told_of(tmp_path: Path) -> None:
    file = tmp_path / "imagegen.toml"
    file.write_text('[defaults]\nfit = "nearest"\n', encoding="utf-8")
    _, written = at_terminal("--config", str(file), cwd=tmp_path, command=PLAN)
    assert "counts here" not in written


def test_without_a_terminal_no_file_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "imagegen.toml").write_text('[defaults]\nfit = "nearest"\n', encoding="utf-8")
    done = subprocess.run(PLAN, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def interrupted(tmp_path: Path, *more: str) -> tuple[int, str, str]:
    """Send Ctrl-C as soon as a job is accepted; return the status and what was written."""
    ledger = tmp_path / "ledger.db"
    process = subprocess.Popen(
        [*COMMAND, "--model", "wavespeed:minimax/image-01", "--ledger", str(ledger), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    while process.poll() is None and not accepted(ledger):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    return process.returncode, printed, errors


def accepted(ledger: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT count(*) FROM attempts WHERE state = 'submitted'")
            return bool(found.fetchone()[0])
    except sqlite3.OperationalError:  # not there yet
        return False


def test_ctrl_c_names_the_job_that_goes_on(tmp_path: Path) -> None:
    status, _, errors = interrupted(tmp_path)
    assert status == 130
    assert "interrupted" in errors
    assert re.search(r"wavespeed: job [0-9a-f]{32} was accepted", errors)


def test_ctrl_c_is_one_json_object_too(tmp_path: Path) -> None:
    status, printed, _ = interrupted(tmp_path, "--json")
    error = json.loads(printed)["error"]
    assert status == 130
    assert error["type"] == "KeyboardInterrupt"
    assert any("was accepted" in note for note in error["notes"])
