"""What polling has learned outlives the process, and never stands in the way of a call."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagegen import ImageRequest, Job, WaveSpeed
from imagegen.ledger import Ledger
from imagegen.ledger.durations import KEPT
from imagegen.purchase.buying import Buyer
from imagegen.testing import FakeClock, play, reply

if TYPE_CHECKING:
    from tests.ledger.conftest import Maker

MODEL = "minimax/image-01/text-to-image"
JOB = Job(provider="wavespeed", model=MODEL, id="0123abcd", request=ImageRequest("x"))
FIRST, GROWN = 2.0, 5.0


def told(status: str) -> Any:
    data = {"id": JOB.id, "status": status, "outputs": ["https://h/1.jpg"]}
    return reply({"code": 200, "message": "success", "data": data})


def waits(ledger: Ledger | None, backend: WaveSpeed, times: int = 1) -> tuple[float, ...]:
    """Wait so often for a job that seven polls find going on; give the last time's pauses."""
    buyer = Buyer(FakeClock(), trusted=(), ledger=ledger)
    pauses: tuple[float, ...] = ()
    for _ in range(times):
        answers = [*[told("processing")] * 7, told("completed")]
        pauses = play(buyer.result(backend, JOB), *answers).pauses
    return pauses


def test_another_process_knows_what_this_one_learned(
    open_ledger: Callable[..., Ledger],
) -> None:
    waits(open_ledger(), WaveSpeed(), times=3)
    assert len(open_ledger().durations("wavespeed", MODEL).result()) == 3
    assert waits(open_ledger(), WaveSpeed())[0] > 10.0
    assert waits(None, WaveSpeed())[0] == FIRST


def test_a_backend_that_does_not_learn_is_not_taught(open_ledger: Callable[..., Ledger]) -> None:
    waits(open_ledger(), WaveSpeed(), times=3)
    assert waits(open_ledger(), WaveSpeed(learn_polls=False))[0] == FIRST


def test_what_a_backend_has_seen_itself_goes_before(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger()
    ledger.took("wavespeed", MODEL, [(300.0, 301.0)] * 20).result()
    backend = WaveSpeed()
    waits(None, backend, times=1)
    assert waits(ledger, backend)[0] == FIRST


def test_the_last_of_each_model_are_kept_in_order(ledger: Ledger) -> None:
    for step in range(KEPT + 5):
        ledger.took("wavespeed", "a", [(float(step), step + 1.0)])
    ledger.took("wavespeed", "b", [(1.0, 2.0), (3.0, 4.0)])
    ledger.took("other", "a", [(5.0, 6.0)])
    found = ledger.durations("wavespeed", "a").result()
    assert found == [(float(step), step + 1.0) for step in range(5, KEPT + 5)]
    assert ledger.durations("wavespeed", "b").result() == [(1.0, 2.0), (3.0, 4.0)]
    assert ledger.durations("other", "b").result() == []


def test_a_ledger_that_cannot_be_read_costs_no_picture(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger()
    ledger.close()
    assert waits(ledger, WaveSpeed())[0] == FIRST


def test_a_ledger_of_the_first_version_is_brought_up_to_date(path: Path, make: Maker) -> None:
    entry = make.entry()
    with Ledger(path) as ledger:
        ledger.intend(entry).result()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("DROP TABLE durations; PRAGMA user_version = 1")
    with Ledger(path) as first, Ledger(path) as second:
        first.took("wavespeed", MODEL, [(1.0, 2.0)]).result()
        assert second.durations("wavespeed", MODEL).result() == [(1.0, 2.0)]
        assert [row.id for row in second.entries().result()] == [entry.id]
        assert first.submitted(entry.id, make.job()).result()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


@pytest.mark.parametrize("value", [-1.0, float("inf"), 1e308, 10**18, "words", b"bytes", "NaN"])
def test_what_cannot_be_a_duration_is_never_recalled_as_one(path: Path, value: Any) -> None:
    with Ledger(path) as ledger:
        ledger.took("wavespeed", MODEL, [(1.0, 2.0)]).result()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            words = "INSERT INTO durations (provider, model, low, high) VALUES (?, ?, ?, ?)"
            rows = [("wavespeed", MODEL, *ages) for ages in ((value, 9.0), (1.0, value)) * 5]
            other.executemany(words, rows)
        found = ledger.durations("wavespeed", MODEL).result()
        assert all(type(age) is float for ages in found for age in ages)
        assert waits(ledger, WaveSpeed())[0] == FIRST


class Forgetful(WaveSpeed):
    """A backend of somebody else's, whose memory fails in every way."""

    def recall(self, model: str, durations: Sequence[tuple[float, float]]) -> None:
        raise LookupError("no memory")

    def learned(self, model: str) -> Sequence[tuple[float, float]]:
        raise LookupError("no memory")


class Confused(WaveSpeed):
    """One that has learned what no ledger can keep."""

    def learned(self, model: str) -> Any:
        return [(None, object()), "x", 7]


class Odd(WaveSpeed):
    """One that has learned no sequence at all."""

    def learned(self, model: str) -> Any:
        return 7


@pytest.mark.parametrize("kind", [Forgetful, Confused, Odd])
def test_a_backend_whose_memory_fails_costs_no_picture(
    open_ledger: Callable[..., Ledger], make: Maker, kind: type[WaveSpeed]
) -> None:
    ledger = open_ledger()
    entry = make.entry()
    ledger.intend(entry).result()
    ledger.submitted(entry.id, JOB).result()
    assert len(waits(ledger, kind())) == 8
    assert [row.state for row in ledger.entries().result()] == ["settled"]
    assert ledger.durations("wavespeed", MODEL).result() == []


def test_processes_that_bring_one_ledger_up_to_date_at_once_all_can(
    path: Path, make: Maker
) -> None:
    with Ledger(path) as ledger:
        ledger.intend(make.entry()).result()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("DROP TABLE durations; PRAGMA user_version = 1")
    code = (
        "import sys; from imagegen.ledger import Ledger; sys.stdin.read()\n"
        "with Ledger(sys.argv[1]) as ledger:\n"
        "    ledger.took('p', 'm', [(1.0, 2.0)]).result(30)\n"
        "    assert len(ledger.entries().result(30)) == 1\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    others = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    for other in others:
        assert other.stdin is not None
        other.stdin.close()
    assert [other.wait(60) for other in others] == [0] * 4
    with Ledger(path) as ledger:
        assert ledger.durations("p", "m").result() == [(1.0, 2.0)] * 4
