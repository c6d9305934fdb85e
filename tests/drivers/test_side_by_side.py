"""Work side by side: results in order, the first failure at once, nothing begun after it."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar
from queue import Empty

import pytest

from imagegen.drivers.side_by_side import tasks_side_by_side, threads_side_by_side


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item * 2

    assert threads_side_by_side(slow_first, range(5), 5) == [0, 2, 4, 6, 8]


def test_no_more_than_allowed_go_on_at_a_time() -> None:
    here = threading.Lock()
    now: set[int] = set()
    most = 0

    def work(item: int) -> None:
        nonlocal most
        with here:
            now.add(item)
            most = max(most, len(now))
        time.sleep(0.01)
        with here:
            now.discard(item)

    threads_side_by_side(work, range(12), 3)
    assert most == 3


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), Empty()])
def test_a_failure_is_raised_at_once_and_nothing_more_is_begun(error: BaseException) -> None:
    begun: list[int] = []
    held = threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise error
        held.wait(5)

    try:
        with pytest.raises(type(error)):
            threads_side_by_side(work, range(50), 2)
        assert len(begun) <= 3
    finally:
        held.set()


def test_one_item_needs_no_thread() -> None:
    assert threads_side_by_side(lambda _: threading.current_thread(), [1], 9) == [
        threading.current_thread()
    ]


SPAN: ContextVar[str] = ContextVar("SPAN")


def test_every_thread_works_in_the_caller_s_context() -> None:
    SPAN.set("the caller's")
    assert threads_side_by_side(lambda _: SPAN.get(), range(5), 3) == ["the caller's"] * 5


def test_what_a_thread_sets_stays_in_it() -> None:
    SPAN.set("the caller's")
    everybody = threading.Barrier(3)

    def work(item: int) -> str:
        SPAN.set(f"that of {item}")
        everybody.wait(5)
        return SPAN.get()

    assert threads_side_by_side(work, range(3), 3) == ["that of 0", "that of 1", "that of 2"]
    assert SPAN.get() == "the caller's"


def test_tasks_keep_their_order_and_the_others_end_with_the_first_failure() -> None:
    cancelled: list[int] = []

    async def work(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        try:
            await asyncio.sleep(5 if item > 3 else 0)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return item

    async def main() -> list[int]:
        assert await tasks_side_by_side([work(item) for item in range(3)]) == [0, 1, 2]
        return await tasks_side_by_side([work(item) for item in range(6)])

    with pytest.raises(ValueError, match="three"):
        asyncio.run(main())
    assert cancelled == [4, 5]
