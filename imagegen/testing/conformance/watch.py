"""Watching a flow for what it must not do: read clocks, files, sockets or the environment.

A profile function sees every function that is called in this thread, however it was imported, and
leaves nothing behind: neither patches nor a hook that cannot be taken away.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Iterator
from datetime import date
from types import FrameType
from typing import Any, Self

_CLOCKS = frozenset({"now", "today", "utcnow"})
_PURE_OF_TIME = frozenset({"asctime", "gmtime", "strftime", "strptime"})
_PURE_OF_SYSTEM = frozenset({"fspath", "strerror"})
_FORBIDDEN = frozenset(
    {
        *("aiohttp", "anyio", "asyncio", "httpcore", "httpx", "httpx2", "random", "requests"),
        *("secrets", "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "trio"),
        *("urllib3", "_posixsubprocess", "_random", "_socket", "_sqlite3", "_ssl"),
    }
)
"""Modules of which nothing may be called."""
_TERMINAL = (print, input)
_PARTS = frozenset({"http.client", "urllib.request"})
_EXCUSED = frozenset({"importlib._bootstrap", "importlib._bootstrap_external", "logging"})
"""Whose own calls do not count: an import reads files, and a log record has a time."""


class Watch:
    """Notes what is called within its blocks; `seen` has it in words, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._before: Any = None
        self._collecting = False

    def __enter__(self) -> Self:
        self._before, self._collecting = sys.getprofile(), gc.isenabled()
        gc.disable()  # what others do when objects are collected is not the flow's doing
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)
        if self._collecting:
            gc.enable()

    def _look(self, frame: FrameType, event: str, called: Any) -> None:
        what = ""
        if event == "c_call":
            what = builtin_misdeed(called)
        elif event == "call":
            what = function_misdeed(frame)
        if what and not any(name in _EXCUSED for name in _modules(frame)):
            caller = frame if event == "c_call" else frame.f_back or frame
            self.seen.append(f"{what}, in {caller.f_code.co_filename}:{caller.f_lineno}")


def _modules(frame: FrameType | None) -> Iterator[str]:
    while frame:
        yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def builtin_misdeed(called: Any) -> str:
    """What is forbidden about a function written in C; empty if nothing is."""
    name = getattr(called, "__name__", "")
    module = getattr(called, "__module__", None) or ""
    owner = getattr(called, "__self__", None)
    home = getattr(type(owner), "__module__", "") if owner is not None else ""
    of_date = isinstance(owner, type) and issubclass(owner, date)
    forbidden = module if module in _FORBIDDEN else home
    told = {
        f"{getattr(owner, '__name__', '')}.{name}() reads the clock": of_date and name in _CLOCKS,
        f"time.{name}() reads the clock, or waits": module == "time" and name not in _PURE_OF_TIME,
        "open() touches a file": called is io.open,
        f"{name}() uses the terminal": called in _TERMINAL,
        f"os.{name}() asks the system": module in ("posix", "nt") and name not in _PURE_OF_SYSTEM,
        "a thread is started": module == "_thread" and name.startswith("start_"),
        f"{forbidden}.{name}() is called": forbidden in _FORBIDDEN,
    }
    return next((words for words, holds in told.items() if holds), "")


def function_misdeed(frame: FrameType) -> str:
    """What is forbidden about a function written in Python; empty if nothing is."""
    module, name = str(frame.f_globals.get("__name__", "")), frame.f_code.co_name
    if module == "os" and (name == "getenv" or frame.f_code.co_qualname == "_Environ.__getitem__"):
        return "the environment is read"
    if module.partition(".")[0] in _FORBIDDEN or module in _PARTS:
        return f"{module}.{name}() is called"
    return ""
