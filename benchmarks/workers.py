"""Contenders in processes of their own: none pays for the modules, heap or threads of another."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.server import raise_limits


class Worker:
    """A process in which *make* makes an object, whose methods are called from here."""

    def __init__(self, make: Callable[[], object]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, there = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(there, make), daemon=True)
        self._process.start()
        there.close()

    def do(self, method: str, *args: Any, patience: float | None = None) -> Any:
        """Call a method of the object, and wait for what it returns.

        Raises:
            RuntimeError: it raised, with its traceback.
            TimeoutError: it did not return within so many seconds; only `close` is left to do.
        """
        self._pipe.send((method, args))
        if not self._pipe.poll(patience):
            raise TimeoutError
        succeeded, value = self._pipe.recv()
        if not succeeded:
            raise RuntimeError(value)
        return value

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _work(pipe: Connection, make: Callable[[], object]) -> None:
    raise_limits()
    made: object = None
    while True:
        try:
            method, args = pipe.recv()
        except EOFError:
            return
        try:
            made = made or make()
            pipe.send((True, getattr(made, method)(*args)))
        except Exception:  # noqa: BLE001 - told to the process that asked
            pipe.send((False, traceback.format_exc()))


@contextmanager
def staffed(makers: Mapping[str, Callable[[], object]]) -> Generator[dict[str, Worker]]:
    """Have a worker for each of *makers*, by name."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(closing(Worker(make))) for name, make in makers.items()}
