"""What a person at a terminal sees."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def test_ctrl_c_names_the_job_that_goes_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--model", "wavespeed:minimax/image-01"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert re.search(r"wavespeed: job [0-9a-f]{32} was accepted", errors)


def test_ctrl_c_is_one_json_object_too(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--model", "wavespeed:minimax/image-01", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    error = json.loads(printed)["error"]
    assert process.returncode == 130
    assert error["type"] == "KeyboardInterrupt"
    assert any("was accepted" in note for note in error["notes"])
