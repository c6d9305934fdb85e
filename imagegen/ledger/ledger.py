"""Ledger: what flows and clients use. Every method gives a Future and returns at once."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Literal, Self, TypeAlias

from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.ledger.book import Book
from imagegen.ledger.budget import Budget
from imagegen.ledger.durations import Durations
from imagegen.ledger.owner import is_gone, this_process
from imagegen.ledger.place import opened
from imagegen.ledger.privacy import Privacy
from imagegen.ledger.values import Entry, Spend, State, utc_now
from imagegen.ledger.writer import Writer
from imagegen.redaction import brief
from imagegen.result import Generation, Job

Collect: TypeAlias = Literal["returned", "saved"]


class Ledger:
    """One row for each paid submission, in a file that threads and processes may share.

    A Future is resolved once what it stands for is on disk, in the order of the calls; it raises
    an ImageGenError if it could not be done, a ConfigurationError where the file is at fault. A
    call that reports a fact is carried out even if its Future is cancelled; an `intend` is not,
    unless it is under way. Close the ledger or use `with`; the end of the interpreter closes it
    too.

    Args:
        path: the file, made if it is missing and readable by its owner only; on a local disk.
            None keeps everything in memory, for this process only.
        collect: when the caller counts as having its pictures: once they are ``"returned"``, or
            ``"saved"`` to files. Kept for the client; the ledger does nothing with it.
        prompts: False stores a digest in place of each prompt from now on, and leaves out the
            provider's own options; the provider's URLs stay as they are.
        now: the moment, aware; for tests.

    Raises:
        ConfigurationError: the file cannot be opened, is no ledger, or is on a network.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        collect: Collect = "returned",
        prompts: bool = True,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if collect not in ("returned", "saved"):
            raise ConfigurationError(
                f'collect must be "returned" or "saved", not {brief(collect)}', field="collect"
            )
        self._collect: Collect = collect
        self._now = now
        connection = opened(path)
        self._durations = Durations(connection)
        self._book = Book(connection, Privacy(prompts), now)
        self._writer = Writer(connection, "in memory" if path is None else repr(str(path)))
        atexit.register(self.close)

    @property
    def collect(self) -> Collect:
        """When the caller counts as having its pictures."""
        return self._collect

    def intend(self, entry: Entry, budget: Budget | None = None) -> Future[None]:
        """Insert *entry* as an intent, before it is sent, if it fits into *budget*.

        The budget holds for whatever is spent or reserved in its currency, by whom ever. Of
        *entry*, what only an outcome can tell is not taken.

        Raises (the Future):
            BudgetExceededError: it does not fit, or its price in that currency is unknown.
            InvalidRequestError: the reserved amount is negative, infinite or above a million.
        """
        return self._writer.put(partial(self._book.intend, entry, budget))

    def submitted(self, entry_id: str, job: Job) -> Future[bool]:
        """Note that it was accepted, as *job*.

        A job that comes late is never dropped: if the entry has another one by then, or is
        settled without, the job gets a row of its own. False: the job was known.

        Raises (the Future):
            ConfigurationError: there is no such entry.
        """
        return self._writer.put(partial(self._book.submitted, entry_id, job), always=True)

    def refused(self, entry_id: str, error: ImageGenError) -> Future[bool]:
        """Note that it was provably not accepted; nothing is held for it any more."""
        return self._writer.put(partial(self._book.refused, entry_id, error), always=True)

    def unknown(self, entry_id: str, error: BaseException) -> Future[bool]:
        """Note that it may have been accepted; its price stays reserved."""
        return self._writer.put(partial(self._book.unknown, entry_id, error), always=True)

    def settled(self, key: str | Job, outcome: Generation | ImageGenError) -> Future[bool]:
        """Note how it ended, for good; *key* is the entry's id or the job.

        An error costs what its `charged` says: nothing, the reserved price, or an unknown amount,
        for which the reserved price stays held. An outcome that names its job is noted for that
        job, as by `submitted`.
        """
        return self._writer.put(partial(self._book.settled, key, outcome), always=True)

    def collected(self, generation: Generation) -> Future[int]:
        """Note that the caller has the pictures; give the number of rows newly marked.

        Rows are found by the provider and request id of those `generation.attempts` that have no
        error: a job that a route turned from is still to be had.
        """
        return self._writer.put(partial(self._book.collected, generation), always=True)

    def identify(self, entry_id: str, found: Sequence[Job]) -> Future[Entry]:
        """Decide what became of an unknown entry; *found* are all jobs that may be its own.

        Jobs that have a row already do not count. If none is left, the entry is refused; if one is
        left and no other open entry of the same model and prompt could have made it at that time,
        that is its job; otherwise it stays unknown, and its message says why. Gives the entry as
        it is afterwards.

        Raises (the Future):
            ConfigurationError: there is no such entry.
        """
        return self._writer.put(partial(self._book.identify, entry_id, tuple(found)), always=True)

    def abandoned(self) -> Future[list[Entry]]:
        """Turn intents whose process is provably gone into unknown ones, and give those.

        So are intents whose deadline passed more than 60 seconds ago.
        """
        return self._writer.put(self._book.abandoned, always=True)

    def entries(self, *states: State, collected: bool | None = None) -> Future[list[Entry]]:
        """Give the entries in these states (none: all), oldest first."""
        return self._writer.put(partial(self._book.entries, states, collected=collected))

    def in_use(self, entry: Entry) -> bool:
        """Tell whether another process is at work on *entry*: it runs, and its time is not up."""
        others = entry.owner not in ("", this_process())
        return others and not is_gone(entry.owner) and self._now() < entry.until

    def entry(self, key: str) -> Future[Entry | None]:
        """Give the entry with this id, or else of the job with this id."""
        return self._writer.put(partial(self._book.entry, key))

    def spend(self, since: date | None = None) -> Future[list[Spend]]:
        """Give the account from that day of UTC on, by day, model and currency."""
        return self._writer.put(partial(self._book.spend, since))

    def took(
        self, provider: str, model: str, durations: Sequence[tuple[float, float]]
    ) -> Future[None]:
        """Note how long jobs of a model took; the last 40 of each model are kept.

        Each is two ages in seconds: the job went on at the first and had ended at the second.
        """
        work = partial(self._durations.add, provider, model, tuple(durations))
        return self._writer.put(work, always=True)

    def durations(self, provider: str, model: str) -> Future[list[tuple[float, float]]]:
        """Give what `took` noted of a model, oldest first."""
        return self._writer.put(partial(self._durations.of, provider, model))

    def close(self) -> None:
        """Commit what was called for, then close the file. Later calls fail; it may be repeated."""
        self._writer.close()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
