"""The ledger, as flows use it.

Before a submission leaves, its intent must be written, or it does not leave. After that, a ledger
that cannot be written must not cost a picture that is paid for: that is logged, and work goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from imagegen.backends.carrying import carried
from imagegen.errors import ConfigurationError, DeadlineExceededError, ImageGenError
from imagegen.flow import Flow, awaited
from imagegen.purchase.outcomes import ending
from imagegen.result import Generation, Job, Notice

if TYPE_CHECKING:
    from imagegen.backends.base import Backend
    from imagegen.ledger import Budget, Entry, Ledger

logger = logging.getLogger("imagegen")


class Books:
    """A client's ledger and budget; without a ledger, nothing is written."""

    def __init__(self, ledger: Ledger | None, budget: Budget | None) -> None:
        self._ledger = ledger
        self._budget = budget
        self._recalled = set[tuple[str, str]]()

    def intended(self, entry: Entry | None) -> Flow[None]:
        """Write that *entry* is about to be bought.

        Raises:
            BudgetExceededError: the budget does not allow it.
            ConfigurationError: the ledger cannot be written.
        """
        if self._ledger is None or entry is None:
            return
        try:
            yield from awaited(self._ledger.intend(entry, self._budget))
        except BaseException:
            self.withdrawn(entry)  # the writing may have been too late only for us
            raise

    def withdrawn(self, entry: Entry | None) -> None:
        """Write, without waiting, that nothing was sent after all."""
        if self._ledger and entry:
            self._ledger.refused(entry.id, ConfigurationError("nothing was sent"))

    def accepted(self, entry: Entry | None, job: Job) -> Flow[tuple[Notice, ...]]:
        """Write down the job, and, if it came settled, what it brought; tell if that failed."""
        if self._ledger is None or entry is None:
            return ()
        written = self._ledger.submitted(entry.id, job)
        if job.settled:
            written = self._ledger.settled(entry.id, job.settled)
        return (yield from _written(written))

    def failed(self, entry: Entry | None, error: ImageGenError) -> Flow[None]:
        """Write how a submission that brought no job to wait for ended."""
        if self._ledger is None or entry is None:
            return
        if error.job:
            self._ledger.submitted(entry.id, error.job)
        match ending(error):
            case "ambiguous":
                written = self._ledger.unknown(entry.id, error)
            case "accepted":
                return
            case _ if error.charged == "no" and error.job is None:
                written = self._ledger.refused(entry.id, error)
            case _:
                written = self._ledger.settled(entry.id, error)
        yield from _written(written)

    def interrupted(self, entry: Entry | None, interruption: BaseException) -> None:
        """Write, without waiting, the job that was accepted, or that nobody knows of one."""
        if self._ledger is None or entry is None:
            return
        if job := carried(interruption):
            self._ledger.submitted(entry.id, job)
        else:
            self._ledger.unknown(entry.id, interruption)

    def recalled(self, backend: Backend, model: str) -> Flow[None]:
        """Tell *backend*, once, how long jobs of *model* took before; no failure ends a call."""
        key = (backend.name, model)
        if self._ledger is None or key in self._recalled:
            return
        self._recalled.add(key)
        try:
            durations = yield from awaited(self._ledger.durations(*key))
        except ImageGenError as error:
            logger.debug("how long %s took is not to be had: %s", model, error)
            return
        with _spared(backend):
            backend.recall(model, durations)

    def learned(self, backend: Backend, model: str) -> None:
        """Write, without waiting, how long jobs of *model* were found to take; the same holds."""
        with _spared(backend):
            if self._ledger and (durations := backend.learned(model)):
                self._ledger.took(backend.name, model, durations)

    def settled(
        self, job: Job, outcome: Generation | ImageGenError, entry: Entry | None = None
    ) -> Flow[tuple[Notice, ...]]:
        """Write what came of *job*, unless it goes on; tell if that failed.

        Where the *entry* is known, its row is found even if the job could not be written then.
        """
        if self._ledger is None or (
            isinstance(outcome, ImageGenError) and ending(outcome) != "definite"
        ):
            return ()
        return (yield from _written(self._ledger.settled(entry.id if entry else job, outcome)))


@contextmanager
def _spared(backend: Backend) -> Generator[None]:
    """Let no fault in what *backend* remembers, which only saves polls, end a call."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it may be anybody's, and the picture is paid for
        logger.warning("%s: its memory fails: %s", backend.name, type(error).__name__)


def _written(future: Future[Any]) -> Flow[tuple[Notice, ...]]:
    try:
        yield from awaited(future)
    except DeadlineExceededError:
        logger.warning("time is up before the ledger was written; the writing goes on")
    except ImageGenError as error:
        logger.error("the ledger could not be written: %s", error)  # noqa: TRY400 - no traceback wanted
        words = f"what came of it is not written down, and it stays open there: {error.message}"
        return (Notice("unverified", "ledger", words),)
    return ()
