"""A live display on a terminal: status, pictures done, time. Nothing when output is piped."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imagegen.events import (
    Event,
    Failed,
    FellBack,
    Polled,
    Retried,
    Settled,
    Submitted,
    Submitting,
)
from imagegen.redaction import shown

if TYPE_CHECKING:
    from imagegen.drivers import Tell


_STATUS: Mapping[type[Event], str] = {
    Submitting: "sent",
    Submitted: "accepted",
    Failed: "failed",
    Settled: "settled",
}


@contextmanager
def display(n: int, label: str) -> Generator[Tell]:
    """Yield an `on_event` function that keeps the display; it ends with the block."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield _ignore
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import (  # noqa: PLC0415 - same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("pictures"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{label}: sent", total=n)

        def tell(event: Event) -> None:
            progress.update(task, description=f"{label}: {_status(event)}")
            if isinstance(event, Settled):
                progress.advance(task, len(event.generation.images))

        yield tell


def _status(event: Event) -> str:
    match event:
        case Polled(status=status):
            return shown(status, 20)
        case Retried(wait=wait):
            return f"refused for now, again after {wait:.0f} s"
        case FellBack(to=to):
            return f"turning to {to}"
        case _:
            return _STATUS[type(event)]


def _ignore(_: Event) -> None:
    pass
