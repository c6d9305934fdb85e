"""Plans: what a client carries out, whichever of the two it is. Pure.

A plan yields batches of flows to run side by side, is sent what came of them, and returns.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import frozen

from imagegen.errors import ImageGenError
from imagegen.events import Event
from imagegen.flow import Flow
from imagegen.purchase.outcomes import unexpected

T = TypeVar("T")


@frozen
class Outcome(Generic[T]):
    """What came of one part: a value or an error, after so many seconds."""

    value: T | None
    error: ImageGenError | None
    seconds: float


@frozen
class Batch(Generic[T]):
    """Flows to run side by side; `paid` ones may buy something."""

    flows: Sequence[Flow[T]]
    paid: bool = False

    def failed(self, error: Exception, seconds: float) -> Outcome[T]:
        """What came of a flow that *error* ended.

        One that no flow should end in is raised again, but beside others that are paid for: it
        must not take them along.
        """
        if isinstance(error, ImageGenError):
            return Outcome(None, error, seconds)
        if not self.paid or len(self.flows) < 2:
            raise error
        return Outcome(None, unexpected(error), seconds)


Plan: TypeAlias = Generator[Batch[Any] | Event, Any, T]
"""What a client carries out: it runs each batch that the plan yields and sends the outcomes back,
and passes events on."""
