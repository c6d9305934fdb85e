"""Polling one prediction until it ends, by itself or together with others."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from imagegen.backends.pacing import Asking
from imagegen.backends.wavespeed.pages import News
from imagegen.backends.wavespeed.sweeps import Seat
from imagegen.errors import (
    BackendError,
    DeadlineExceededError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
)
from imagegen.events import Polled
from imagegen.flow import Call, Flow, Pause
from imagegen.redaction import shown
from imagegen.result import Generation, Job

NOT_FOUND = 3
"""Polls in a row that may find no such prediction: a new one may not be known everywhere yet."""

_PASSING = (
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
)
"""What a poll may meet while the prediction goes on."""


@define
class Polls:
    """The polls of one job.

    Attributes:
        call: one poll.
        asking: when the next is due.
        seat: its place among those that are waited for, which may share a request.
        most: how many in a row may fail.
    """

    _job: Job
    _call: Call
    _asking: Asking
    _seat: Seat
    _most: int
    _failures: int = 0
    _trouble: str = ""

    def until(self, read: Callable[[News], Generation | None]) -> Flow[Generation]:
        """Poll until *read* makes a generation of what is told, or raises how the job ended.

        Raises:
            ImageGenError: too many polls failed in a row; *read* raised it.
        """
        while True:
            try:
                moment = yield Pause(self._seat.wait(self._asking.wait()))
                self._asking.waited(moment)
                told = yield from self._seat.asked(self._call, moment)
            except DeadlineExceededError as error:
                if self._trouble:
                    error.add_note(f"the last poll failed: {self._trouble}")
                raise
            except _PASSING as error:
                self._failed(error)
                yield Polled(self._job, "no answer")
                continue
            self._failures, self._trouble = 0, ""
            prediction, _ = told
            yield Polled(self._job, shown(prediction.state, 40))
            if prediction.is_over:
                self._asking.ended(self._seat.old)
            else:
                self._asking.goes_on(self._seat.old)
            generation = read(told)
            if generation:
                return generation

    def _failed(self, error: BackendError) -> None:
        """Count *error*, and raise it if that is one too many."""
        self._failures, self._trouble = self._failures + 1, error.message
        if self._failures > (NOT_FOUND if error.status == 404 else self._most):
            raise error
        self._asking.failed(error.retry_after)
