"""What happens while a call is under way, told to the `on_event` function of a client.

Events are plain values. They come from whichever thread or task does the work; an exception
raised by `on_event` ends the call.
"""

from __future__ import annotations

from attrs import frozen

from imagegen.result import Generation, Job


@frozen
class Submitted:
    """The provider accepted a job: from here on it may be billed."""

    job: Job


@frozen
class Polled:
    """The provider told the state of a job, in its own word, such as ``"processing"``."""

    job: Job
    status: str


@frozen
class Settled:
    """One submission has its outcome."""

    generation: Generation


Event = Submitted | Polled | Settled
