"""Which process made a row, and whether it is certain that it is gone."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_OWNER = re.compile(r"(?P<host>.*):(?P<pid>[1-9][0-9]{0,8}):(?P<start>[0-9]{1,20})", re.DOTALL)


def this_process() -> str:
    """Return ``"host:pid:start"``."""
    return f"{platform.node()}:{os.getpid()}:{_start(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Tell whether the process is provably gone: of this host, and not or no longer running.

    A process whose number was given to another one since has another start; where starts are not
    known, the number alone decides. Signal 0 would end a process on Windows, so nothing is
    provable there.
    """
    match = _OWNER.fullmatch(owner)
    if match is None or os.name != "posix" or match["host"] != platform.node():
        return False
    pid, start = int(match["pid"]), int(match["start"])
    if not _runs(pid):
        return True
    now = _start(pid)
    return 0 not in (start, now) and start != now


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start(pid: int) -> int:
    """When the process started, in ticks since Linux booted; 0 where that cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The command's name stands in parentheses and may hold any character; field 22 is the start.
    fields = text.rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0
