"""What is logged, whatever the level, to hold it against what must not be."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def heard() -> Generator[list[str]]:
    """Collect the messages of all log records that reach the root logger."""
    root, listener = logging.getLogger(), _Listener()
    level = root.level
    root.addHandler(listener)
    root.setLevel(1)
    try:
        yield listener.said
    finally:
        root.setLevel(level)
        root.removeHandler(listener)
