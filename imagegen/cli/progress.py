"""A live display on a terminal: status, pictures done, time. Nothing when output is piped."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import frozen

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
    from rich.progress import Progress, TaskID


_STATUS: Mapping[type[Event], str] = {
    Submitting: "sent",
    Submitted: "accepted",
    Failed: "failed",
    Settled: "settled",
}


@frozen
class Bar:
    """One line of the display: *n* pictures, and whose events it shows; None: everybody's."""

    label: str
    n: int
    models: frozenset[str] | None = None

    def shows(self, event: Event) -> bool:
        """Tell whether *event* is about this line's pictures."""
        return self.models is None or _model(event) in self.models


class Screen:
    """The display: lines may be added while it runs; `tell` is an `on_event` function."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._bars: list[tuple[Bar, TaskID]] = []

    def add(self, bar: Bar) -> None:
        """Show one line more."""
        if self._progress:
            task = self._progress.add_task(f"{bar.label}: sent", total=bar.n)
            self._bars.append((bar, task))

    def tell(self, event: Event) -> None:
        """Show what happened in the lines that it is about."""
        for bar, task in self._bars:
            if self._progress and bar.shows(event):
                status = f"{bar.label}: {_status(event)}"
                came = len(event.generation.images) if isinstance(event, Settled) else 0
                self._progress.update(task, description=status, advance=came)


@contextmanager
def display() -> Generator[Screen]:
    """Show lines on a terminal until the block ends."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield Screen(None)
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
        yield Screen(progress)


def _model(event: Event) -> str:
    """Whose event it is, as "provider:model-id"."""
    match event:
        case Submitted(job) | Polled(job):
            return f"{job.provider}:{job.model}"
        case Settled(generation):
            return f"{generation.provider}:{generation.model}"
        case FellBack(model):
            return model
        case _:
            return f"{event.provider}:{event.model}"


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
