"""What a flow must not call is seen, however it was imported; what is pure is not."""

from __future__ import annotations

import gc
import logging
import os
import random
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from imagegen.testing.conformance.watch import Watch, builtin_misdeed, function_misdeed


def seen(act: Callable[[], object]) -> str:
    with Watch() as watch:
        act()
    return "\n".join(watch.seen)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: datetime.now(UTC), "datetime.now() reads the clock"),
        (date.today, "date.today() reads the clock"),
        (time.time, "time.time() reads the clock"),
        (time.monotonic, "time.monotonic() reads the clock"),
        (lambda: time.sleep(0), "time.sleep() reads the clock, or waits"),
        (random.random, "random() is called"),
        (lambda: random.shuffle([1, 2]), "random.shuffle() is called"),
        (uuid.uuid4, "os.urandom() asks the system"),
        (lambda: Path(__file__).read_bytes(), "open() touches a file"),
        (lambda: list(Path().iterdir()), "os.listdir() asks the system"),
        (lambda: os.environ.get("PATH"), "the environment is read"),
        (lambda: os.getenv("PATH"), "the environment is read"),
        (lambda: socket.getaddrinfo("127.0.0.1", 80), "socket"),
        (lambda: threading.Thread(target=int).start(), "a thread is started"),
    ],
)  # fmt: skip
def test_input_output_clocks_and_chance_are_seen(act: Callable[[], object], words: str) -> None:
    assert words in seen(act)


@pytest.mark.parametrize(
    "act",
    [
        lambda: datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        lambda: datetime.fromtimestamp(0, UTC),
        lambda: parsedate_to_datetime("Wed, 21 Oct 2026 07:28:00 GMT"),
        lambda: time.gmtime(0),
        lambda: os.fspath("a"),
        lambda: logging.getLogger("imagegen").info("a record has its time"),
        lambda: threading.Lock().acquire(),
    ],
)
def test_what_is_pure_is_not(act: Callable[[], object]) -> None:
    assert seen(act) == ""


def test_a_line_says_where() -> None:
    assert f"{__file__}:" in seen(lambda: datetime.now(UTC))


def test_nothing_stays_behind() -> None:
    before = sys.getprofile()
    with Watch():
        assert sys.getprofile() is not before
        assert not gc.isenabled()
    assert sys.getprofile() is before
    assert gc.isenabled()


def test_what_is_forbidden_is_told_by_the_function_itself() -> None:
    calls = (time.time, time.gmtime, datetime.now, datetime.fromtimestamp, open, len, os.urandom)
    assert [builtin_misdeed(call).partition("(")[0] for call in calls] == [
        *("time.time", "", "datetime.now", "", "open", "", "os.urandom")
    ]
    assert function_misdeed(sys._getframe()) == ""


def test_only_calls_are_looked_at() -> None:
    watch = Watch()
    for event in ("return", "c_return", "call", "c_call"):
        watch._look(sys._getframe(), event, time.time)
    assert [words.partition(",")[0] for words in watch.seen] == ["time.time() reads the clock"]
