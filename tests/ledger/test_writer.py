"""The thread behind the ledger: group commit, order, failures, closing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagegen import BudgetExceededError, ConfigurationError, ImageGenError
from imagegen.ledger import Budget, Ledger, place
from imagegen.ledger.place import opened
from imagegen.ledger.writer import Writer

if TYPE_CHECKING:
    from tests.ledger.conftest import Maker

LOST = OSError("no reply came")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep everybody else from writing to the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


@contextmanager
def paused(writer: Writer) -> Iterator[None]:
    """Let what is put wait, so that it is one batch."""
    begun, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        begun.set()
        go_on.wait(10)

    writer.put(pause)
    assert begun.wait(10)
    try:
        yield
    finally:
        go_on.set()


def in_threads(count: int, work: Callable[[int], None]) -> None:
    start = threading.Barrier(count)

    def one(index: int) -> None:
        start.wait()
        work(index)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_waits_together_is_committed_together(ledger: Ledger, make: Maker) -> None:
    with paused(ledger._writer):
        futures = [ledger.intend(make.entry()) for _ in range(200)]
    for future in futures:
        future.result()
    assert ledger._writer.commits == 2


def test_two_hundred_threads_share_commits(ledger: Ledger, make: Maker) -> None:
    in_threads(200, lambda _: ledger.intend(make.entry()).result())
    assert ledger._writer.commits < 100
    assert len(ledger.entries().result()) == 200


def test_a_budget_holds_among_threads_and_ledgers(
    open_ledger: Callable[..., Ledger], make: Maker
) -> None:
    ledgers = [open_ledger() for _ in range(2)]
    budget, over = Budget(amount="0.035"), list[BudgetExceededError]()

    def intend(index: int) -> None:
        try:
            ledgers[index % 2].intend(make.entry(), budget).result()
        except BudgetExceededError as error:
            over.append(error)

    in_threads(40, intend)
    assert len(over) == 30
    assert len(ledgers[0].entries().result()) == 10


def test_a_failing_operation_takes_no_other_with_it(ledger: Ledger, make: Maker) -> None:
    budget = Budget(amount="0.0035")
    with paused(ledger._writer):
        good = ledger.intend(make.entry(id="1"), budget)
        over = ledger.intend(make.entry(id="2"), budget)
        twice = ledger.intend(make.entry(id="1"))
        last = ledger.intend(make.entry(id="3"))
    assert good.result() is None
    assert isinstance(over.exception(), BudgetExceededError)
    assert isinstance(twice.exception(), ConfigurationError)
    assert last.result() is None
    assert [entry.id for entry in ledger.entries().result()] == ["1", "3"]


def test_whatever_goes_wrong_is_an_error_of_ours(ledger: Ledger, make: Maker, path: Path) -> None:
    error = ledger.intend(make.entry(n=2**70)).exception()
    assert isinstance(error, ConfigurationError)
    assert isinstance(error.__cause__, OverflowError)
    assert str(path) in str(error)


def test_operations_are_done_in_order(ledger: Ledger, make: Maker) -> None:
    for number in range(100):
        entry = make.entry(n=number)
        intended = ledger.intend(entry)
        unknown = ledger.unknown(entry.id, LOST)
        read = ledger.entry(entry.id)
        found = read.result()
        assert intended.done()
        assert unknown.result()
        assert found is not None
        assert found.state == "unknown"


def test_a_cancelled_intent_that_had_not_begun_is_not_done(ledger: Ledger, make: Maker) -> None:
    with paused(ledger._writer):
        intent = ledger.intend(make.entry())
        assert intent.cancel()
    assert ledger.entries().result() == []
    assert intent.cancelled()


def test_a_fact_is_written_though_nobody_waits(ledger: Ledger, make: Maker) -> None:
    entries = {str(number): make.entry(id=str(number)) for number in range(6)}
    for entry in entries.values():
        ledger.intend(entry).result()
    ledger.unknown("4", LOST).result()
    jobs = [make.job(f"job-{number}") for number in range(2)]
    with paused(ledger._writer):
        futures: list[Future[Any]] = [
            ledger.submitted("0", jobs[0]),
            ledger.settled("1", make.generation(jobs[1])),
            ledger.collected(make.generation(jobs[1])),
            ledger.unknown("2", LOST),
            ledger.refused("3", BudgetExceededError("no")),
            ledger.identify("4", []),
        ]
        cancelled = [future.cancel() for future in futures]
        last = ledger.entries()
    assert all(cancelled)
    found = {entry.id: (entry.state, entry.collected) for entry in last.result()}
    assert found == {
        "0": ("submitted", False),
        "1": ("settled", True),
        "2": ("unknown", False),
        "3": ("refused", False),
        "4": ("refused", False),
        "5": ("intent", False),
    }
    assert all(future.cancelled() for future in futures)


def test_a_cancelled_task_leaves_the_ledger_usable(ledger: Ledger, make: Maker, path: Path) -> None:
    async def give_up() -> None:
        with held(path):
            task = asyncio.ensure_future(asyncio.wrap_future(ledger.intend(make.entry())))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.wrap_future(ledger.intend(make.entry(id="kept")))

    asyncio.run(give_up())
    assert ledger.entry("kept").result() is not None


def test_what_ends_the_transaction_fails_all_of_it(path: Path) -> None:
    connection = opened(path)
    writer = Writer(connection, "here")
    insert = "INSERT OR ROLLBACK INTO totals VALUES ('', ?, 'p', 'm', 0, 0, 0, 0, 0, 0)"

    def day(name: str) -> Future[int]:
        return writer.put(lambda: connection.execute(insert, (name,)).rowcount)

    with paused(writer):
        batch = [day("1"), day("2"), day("1"), day("3")]
    errors = [future.exception() for future in batch]
    assert all("UNIQUE constraint failed" in str(error) for error in errors)
    assert len(set(map(id, errors))) == 4, "each waiter has an error of its own"
    assert day("1").result() == 1
    writer.close()


def test_a_failing_commit_fails_all_of_it(path: Path) -> None:
    connection = opened(path)
    writer = Writer(connection, "here")
    parent = "CREATE TABLE parent (id INTEGER PRIMARY KEY)"
    child = "CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
    connection.execute("PRAGMA foreign_keys = ON")
    for table in (parent, child):
        writer.put(partial(connection.execute, table)).result()
    with paused(writer):
        batch = [writer.put(partial(connection.execute, "INSERT INTO parent VALUES (1)"))]
        batch += [writer.put(partial(connection.execute, "INSERT INTO child VALUES (7)"))]
    assert all("FOREIGN KEY" in str(future.exception()) for future in batch)
    count = writer.put(lambda: connection.execute("SELECT * FROM parent").fetchall())
    assert count.result() == []
    writer.close()


def test_a_file_that_stays_busy_is_an_error_for_everyone(
    path: Path, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "BUSY_SECONDS", 0.05)
    with Ledger(path) as ledger:
        with held(path):
            futures = [ledger.intend(make.entry()) for _ in range(3)]
            errors = [future.exception() for future in futures]
        assert all(isinstance(error, ConfigurationError) for error in errors)
        assert "Another process holds it; try again" in str(errors[0])
        ledger.intend(make.entry()).result()


def test_a_closed_ledger_says_so(ledger: Ledger, make: Maker) -> None:
    pending = ledger.intend(make.entry())
    ledger.close()
    assert pending.result() is None
    ledger.close()
    for future in (ledger.intend(make.entry()), ledger.entries(), ledger.spend()):
        with pytest.raises(ConfigurationError, match="is closed"):
            future.result()


def test_a_ledger_may_be_closed_by_a_callback(ledger: Ledger, make: Maker) -> None:
    closed = threading.Event()

    def close(_: object) -> None:
        ledger.close()
        closed.set()

    ledger.intend(make.entry()).add_done_callback(close)
    assert closed.wait(10)
    ledger.close()


def test_closing_leaves_one_file(path: Path, make: Maker) -> None:
    with Ledger(path) as ledger:
        ledger.intend(make.entry()).result()
        assert len(list(path.parent.iterdir())) == 3
    assert list(path.parent.iterdir()) == [path]


def test_a_ledger_in_memory_is_its_own(make: Maker) -> None:
    with Ledger() as ledger, Ledger() as other:
        ledger.intend(make.entry()).result()
        assert len(ledger.entries().result()) == 1
        assert other.entries().result() == []
        assert ledger.collect == "returned"


def test_collect_is_kept_for_the_client() -> None:
    with Ledger(collect="saved") as ledger:
        assert ledger.collect == "saved"
        with pytest.raises(AttributeError):
            ledger.collect = "returned"  # type: ignore[misc]
    with pytest.raises(ConfigurationError, match="collect"):
        Ledger(collect="never")  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_told_to_open_its_own(ledger: Ledger, make: Maker, path: Path) -> None:
    ledger.intend(make.entry()).result()
    child = os.fork()
    if child == 0:
        os._exit(0 if _refuses(ledger, make, path) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(ledger.entries().result()) == 2


def _refuses(ledger: Ledger, make: Maker, path: Path) -> bool:
    error = ledger.intend(make.entry()).exception(timeout=10)
    ledger.close()
    with Ledger(path) as own:
        own.intend(make.entry()).result(timeout=10)
    return isinstance(error, ImageGenError) and "Open it in this process" in str(error)
