"""The writer: one thread that owns the connection and commits whatever has queued up at once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from attrs import frozen

from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.ledger.place import unusable

T = TypeVar("T")


@frozen
class _Operation(Generic[T]):
    work: Callable[[], T]
    future: Future[T]
    always: bool

    def begins(self) -> bool:
        """Tell whether to do it: not if its waiter has gone, unless it is to be done always."""
        return self.future.set_running_or_notify_cancel() or self.always


@frozen
class _Failure:
    error: BaseException


class Writer:
    """Carries operations out, in the order in which they were put, durably.

    Attributes:
        commits: transactions so far.
    """

    def __init__(self, connection: sqlite3.Connection, place: str) -> None:
        self.commits = 0
        self._place = place
        self._process = os.getpid()
        self._closed = False
        # Reentrant: the garbage collector may close a flow, and so report to us, at any line.
        self._putting = threading.RLock()
        self._queue: SimpleQueue[_Operation[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(connection,), name="imagegen-ledger", daemon=True
        )
        self._thread.start()

    def put(self, work: Callable[[], T], *, always: bool = False) -> Future[T]:
        """Have *work* done in a transaction; the Future is resolved once that is on disk.

        *always* does it even if the Future is cancelled.
        """
        future: Future[T] = Future()
        if self._process != os.getpid():
            advice = "Open it in this process"
            future.set_exception(self._refusal("was opened in another process", advice))
            return future
        with self._putting:
            if not self._closed:
                self._queue.put(_Operation(work, future, always))
                return future
        future.set_exception(self._refusal("is closed", "Open it again"))
        return future

    def close(self) -> None:
        """Finish what was put, and close the connection; harmless when repeated."""
        if self._process != os.getpid():
            return  # the thread, and the connection that it owns, did not come along
        with self._putting:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _refusal(self, what: str, advice: str) -> ConfigurationError:
        return ConfigurationError(f"the ledger {self._place} {what}", advice=advice)

    def _run(self, connection: sqlite3.Connection) -> None:
        # The frame of a thread that a fork leaves behind keeps its values for ever. So a child
        # never closes the connection, which would disturb the parent's.
        with contextlib.closing(connection):
            while self._carry_out(connection, self._queued()):
                pass

    def _queued(self) -> list[_Operation[Any] | None]:
        first = self._queue.get()
        return [first, *(self._queue.get() for _ in range(self._queue.qsize()))]

    def _carry_out(
        self, connection: sqlite3.Connection, queued: list[_Operation[Any] | None]
    ) -> bool:
        """Tell whether more is to come: nothing is put after the None."""
        operations = [operation for operation in queued if operation and operation.begins()]
        if operations:
            outcomes = self._committed(connection, operations)
            for operation, outcome in zip(operations, outcomes, strict=True):
                self._resolve(operation.future, outcome)
        return queued[-1] is not None

    def _committed(
        self, connection: sqlite3.Connection, operations: list[_Operation[Any]]
    ) -> list[Any]:
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [_done(connection, operation) for operation in operations]
            connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - every waiter is told
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            return [_Failure(error)] * len(operations)
        self.commits += 1
        return outcomes

    def _resolve(self, future: Future[Any], outcome: Any) -> None:
        if future.cancelled():
            return
        if isinstance(outcome, _Failure):
            future.set_exception(self._told(outcome.error))
        else:
            future.set_result(outcome)

    def _told(self, error: BaseException) -> ImageGenError:
        if isinstance(error, ImageGenError):
            return error
        told = unusable(self._place, error)
        told.__cause__ = error
        return told


def _done(connection: sqlite3.Connection, operation: _Operation[Any]) -> Any:
    connection.execute("SAVEPOINT operation")
    try:
        outcome = operation.work()
    except BaseException as error:
        if not connection.in_transaction:
            raise  # SQLite has given up the whole transaction
        connection.execute("ROLLBACK TO operation")
        outcome = _Failure(error)
    connection.execute("RELEASE operation")
    return outcome
