"""Several processes, and processes that end in the middle of it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from imagegen.ledger import Ledger

PRELUDE = """
import os, sys, threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from imagegen import BudgetExceededError, Cost, ImageRequest, Job
from imagegen.ledger import Budget, Entry, Ledger

def entry():
    now = datetime.now(UTC)
    price = Cost(amount=Decimal("0.01"), currency="USD", basis="list-price")
    return Entry(provider="p", model="m", n=1, request=ImageRequest("a fox"), reserved=price,
                 started_at=now, until=now + timedelta(minutes=5))

def job(entry):
    return Job(provider="p", model="m", id=f"job-{entry.id}", request=entry.request)
"""
BUYER = """
print("ready", flush=True)
sys.stdin.readline()
succeeded = 0
with Ledger(sys.argv[1]) as ledger:
    for future in [ledger.intend(entry(), Budget(amount="0.60")) for _ in range(50)]:
        try:
            future.result()
            succeeded += 1
        except BudgetExceededError:
            pass
print(succeeded)
"""
OPENER = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(8):
    Ledger(f"{sys.argv[1]}-{number}").close()
"""
VICTIM = """
ledger = Ledger(sys.argv[1])
def work():
    while True:
        one = entry()
        ledger.intend(one).result()
        os.write(1, f"intent {one.id}\\n".encode())
        ledger.submitted(one.id, job(one)).result()
        os.write(1, f"submitted {one.id}\\n".encode())
for _ in range(8):
    threading.Thread(target=work).start()
"""
FORGETFUL = """
ledger = Ledger(sys.argv[1])
for _ in range(300):
    ledger.intend(entry())
"""
FORKING = """
ledger = Ledger(sys.argv[1])
for _ in range(8):
    futures = [ledger.intend(entry()) for _ in range(20)]
    child = os.fork()
    if child == 0:
        sys.exit(0)
    os.waitpid(child, 0)
    for future in futures:
        future.result()
"""


def start(script: str, path: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        PRELUDE + script,
        str(path),
    ]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def require_whole(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def at_once(script: str, path: Path, count: int) -> list[str]:
    """Start so many processes, let all go on once all are ready, and return what they print."""
    processes = [start(script, path) for _ in range(count)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return printed


def test_many_processes_may_make_the_file_at_once(path: Path) -> None:
    at_once(OPENER, path, 4)
    for number in range(8):
        require_whole(Path(f"{path}-{number}"))


def test_a_budget_holds_among_processes(path: Path) -> None:
    succeeded = [int(printed) for printed in at_once(BUYER, path, 4)]
    assert sum(succeeded) == 60
    with Ledger(path) as ledger:
        (line,) = ledger.spend().result()
    assert (line.submissions, str(line.open)) == (60, "0.6")
    require_whole(path)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing kills so here")
def test_what_was_acknowledged_survives_a_kill(path: Path) -> None:
    with start(VICTIM, path) as victim:
        assert victim.stdout is not None
        told = [victim.stdout.readline() for _ in range(400)]
        victim.kill()
        told += victim.stdout.readlines()
    whole = [line.split() for line in told if line.endswith("\n")]
    require_whole(path)
    with Ledger(path) as ledger:
        states = {entry.id: entry.state for entry in ledger.entries().result()}
        jobs = {entry.job.id for entry in ledger.entries("submitted").result() if entry.job}
        gone = ledger.abandoned().result()
        assert {entry.id for entry in gone} == {k for k, v in states.items() if v == "intent"}
    assert {entry_id for _, entry_id in whole} <= states.keys()
    assert {f"job-{entry_id}" for what, entry_id in whole if what == "submitted"} <= jobs


def test_the_end_of_the_interpreter_writes_what_is_left(path: Path) -> None:
    with start(FORGETFUL, path) as process:
        assert process.wait(timeout=60) == 0
    assert list(path.parent.iterdir()) == [path]
    with Ledger(path) as ledger:
        assert len(ledger.entries().result()) == 300


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork here")
def test_forked_children_do_not_disturb_the_file(path: Path) -> None:
    with start(FORKING, path) as process:
        assert process.wait(timeout=60) == 0
    require_whole(path)
    with Ledger(path) as ledger:
        assert len(ledger.entries().result()) == 160


def test_importing_imagegen_does_not_import_the_ledger() -> None:
    names = "{'sqlite3', 'imagegen.ledger', 'imagegen.codec'}"  # coverage may have loaded SQLite
    command = "import sys; before = {*sys.modules}; import imagegen; "
    command += f"sys.exit(bool({names} & ({{*sys.modules}} - before)))"
    subprocess.run([sys.executable, "-c", command], check=True)
