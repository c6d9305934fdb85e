"""One flow, run to its end on prepared outcomes, whatever it does."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from attrs import define, field
from attrs.exceptions import FrozenInstanceError

from imagegen.errors import DeadlineExceededError
from imagegen.events import Event
from imagegen.flow import Call, Done, Flow, Pause, Reply, advance
from imagegen.result import Job
from imagegen.testing.playing import answered, awaited

MOST_STEPS = 5000
STEPS_AFTER_DEADLINE = 50


class BrokenRuleError(AssertionError):
    """A rule is broken; this is no error of the backend's own."""


class Interruption(BaseException):
    """Stands for Ctrl-C and for a cancelled task."""


@define
class Trial:
    """What a flow did.

    Attributes:
        value: what it returned; None if it raised.
        error: what it raised; None if it returned.
        calls: what it asked for.
        events: what it told.
        job: what the submission returned; None if it raised.
        calls_of_submission: how many calls were the submission's.
        paused: seconds that it waited between its calls.
        left: how many of the outcomes it did not ask for.
        out_of_time: whether it asked for more than there were, and so met its deadline.
        endless: whether it went on regardless.
    """

    value: Any = None
    error: BaseException | None = None
    calls: list[Call] = field(factory=list[Call])
    events: list[Event] = field(factory=list[Event])
    job: Job | None = None
    calls_of_submission: int = 0
    paused: float = 0.0
    left: int = 0
    out_of_time: bool = False
    endless: bool = False

    @property
    def paid(self) -> list[Call]:
        """The paid calls."""
        return [call for call in self.calls if call.paid]

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.error is None:
            return f"returned {self.value!r}"
        return told(self.error)

    @property
    def ending_early(self) -> str:
        """The same of a success, all of whose replies were there."""
        if self.out_of_time:
            return (
                f"makes more than {len(self.calls) - 1} calls, one a reply: is the last answer "
                "taken for an end (is_over), or is a call made twice?"
            )
        return self.ending


def told(error: BaseException) -> str:
    """That it was raised, and what a common slip is mended with."""
    words = f"raised {type(error).__name__}: {error}"
    if isinstance(error, FrozenInstanceError):
        return f"{words} (a backend keeps nothing: use a local variable)"
    if isinstance(error, AttributeError) and "'generator' object" in str(error):
        return f"{words} (a flow gives its result to `yield from` only)"
    return words


def tried(
    flow: Flow[Any],
    outcomes: Iterable[Reply | BaseException],
    *,
    trial: Trial | None = None,
    watch: AbstractContextManager[Any] | None = None,
) -> Trial:
    """Run *flow* on *outcomes*, one a call; after the last its time is up.

    *watch* is entered around each step of the flow.
    """
    trial = Trial() if trial is None else trial
    left, watch = list(outcomes), nullcontext() if watch is None else watch
    late, answer = 0, None
    for _ in range(MOST_STEPS):
        try:
            with watch:
                step = advance(flow, answer)
        except BrokenRuleError:
            raise
        except (Exception, Interruption) as error:  # noqa: BLE001 - what it raises is looked at
            trial.error, trial.left = error, len(left)
            return trial
        if isinstance(step, Done):
            trial.value, trial.left = step.value, len(left)
            return trial
        trial.paused += step.seconds if isinstance(step, Pause) else 0.0
        late += trial.out_of_time
        if late > STEPS_AFTER_DEADLINE:
            break
        answer = _answer(step, left, trial)
    flow.close()
    trial.endless = True
    return trial


def _answer(step: Any, left: list[Reply | BaseException], trial: Trial) -> Any:
    if isinstance(step, Future):
        return awaited(step)
    if isinstance(step, Pause):
        return _too_late() if trial.out_of_time and step.firm else trial.paused
    if not isinstance(step, Call):
        trial.events.append(step)
        return None
    trial.calls.append(step)
    if left:
        return answered(step, left.pop(0))
    trial.out_of_time = True
    return _too_late()


def _too_late() -> DeadlineExceededError:
    return DeadlineExceededError("the time is up", sent=False)
