"""What happens while a call is under way, told to the `on_event` function of a client.

Events are plain values. They come from whichever thread or task does the work. An exception
that `on_event` raises is logged, and changes nothing: paid work goes on.
"""

from __future__ import annotations

from attrs import frozen

from imagegen.result import Generation, Job


@frozen
class Submitted:
    """The provider accepted a submission: from here on it may be billed.

    The job of a provider that answers at once is already settled.
    """

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
