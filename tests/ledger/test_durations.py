"""What polling has learned outlives the process, and never stands in the way of a call."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagegen import ImageRequest, Job, WaveSpeed
from imagegen.buying import Buyer
from imagegen.ledger import Ledger
from imagegen.ledger.durations import KEPT
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
