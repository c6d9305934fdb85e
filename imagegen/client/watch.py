"""What a client sees of a call under way: events to pass on, and jobs to name if it is cut off."""

from __future__ import annotations

import logging

from imagegen.drivers import Tell
from imagegen.events import Event, Settled, Submitted, log
from imagegen.result import Job

logger = logging.getLogger("imagegen")


class Watch:
    """Passes events on, and remembers what was accepted, for the case of an interruption."""

    def __init__(self, on_event: Tell | None) -> None:
        self._on_event = on_event
        self.submissions = 0
        """How many flows that buy are or were under way."""
        self._jobs: list[Job] = []
        self._settled: set[str | None] = set()
        self._stopped = False

    def tell(self, event: Event) -> None:
        """Pass *event* on; a failing listener changes nothing."""
        if self._stopped:
            raise KeyboardInterrupt
        if isinstance(event, Submitted):
            self._jobs.append(event.job)
        if isinstance(event, Settled):
            self._settled |= {attempt.request_id for attempt in event.generation.attempts}
        log(event)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            logger.exception("on_event failed; the call goes on")

    def note_on(self, interruption: BaseException) -> None:
        """Stop the threads at their next event, and note which jobs go on without us."""
        self._stopped = True
        if self.submissions < 2 and not self._settled:
            return  # the only flow has said it all
        for job in self._jobs:
            settled = job.settled or job.id in self._settled
            state = "was settled, and is paid for" if settled else "was accepted and may go on"
            interruption.add_note(f"{job.provider}: job {job.id} {state}")
        if self.submissions > len(self._jobs):
            interruption.add_note("other parts of the request were under way and may be billed")
