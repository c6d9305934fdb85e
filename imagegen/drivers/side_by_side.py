"""Work side by side, in threads or in tasks, with results in order.

A ThreadPoolExecutor would make Ctrl-C wait, and the interpreter's end too, until every paid
exchange has run out of time; these threads are daemons and can be left alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def threads_side_by_side(work: Callable[[S], T], items: Sequence[S], most: int) -> list[T]:
    """Return the work's results in the order of *items*, *most* at a time.

    Each thread works in a copy of the caller's context: a tracing span that is open here is the
    parent of what happens there. The first exception that *work* raises is raised here at once,
    and no further item is begun.
    """
    if len(items) < 2:
        return [work(item) for item in items]
    waiting: SimpleQueue[tuple[int, S]] = SimpleQueue()
    done: SimpleQueue[tuple[int, T] | BaseException] = SimpleQueue()
    for numbered in enumerate(items):
        waiting.put(numbered)

    def worker() -> None:
        try:
            while (numbered := _next(waiting)) is not None:
                index, item = numbered
                done.put((index, work(item)))
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            done.put(error)

    results: dict[int, T] = {}
    try:
        for _ in range(min(most, len(items))):
            run = copy_context().run
            threading.Thread(target=run, args=(worker,), name="imagegen", daemon=True).start()
        while len(results) < len(items):
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            index, value = outcome
            results[index] = value
    finally:
        while _next(waiting):
            pass
    return [results[index] for index in range(len(items))]


def _next(waiting: SimpleQueue[tuple[int, S]]) -> tuple[int, S] | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None


async def tasks_side_by_side(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Await everything; when one raises, or the caller is cancelled, so are the others."""
    if len(work) == 1:
        return [await work[0]]
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
