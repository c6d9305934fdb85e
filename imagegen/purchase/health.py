"""How well each model does: how fast, how often it fails, and when to leave it alone.

A circuit breaker for each model (``"provider:model-id"``). Failures that are the model's open
it: for a while it is left alone. Then one call of a user, never an extra one, is let through to
try it (half-open): its success closes the circuit, its failure opens it again for longer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, inf
from threading import RLock
from typing import Literal

from attrs import define, frozen

from imagegen.errors import (
    AuthenticationError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
)

State = Literal["closed", "open", "half-open"]


@frozen
class Rule:
    """Open after so many failures in a row, for `seconds`; each failed try doubles them.

    A wait that the provider itself names is taken as it is. None exceeds `longest`.
    """

    failures: int
    seconds: float
    longest: float


_OUTAGE = Rule(failures=3, seconds=30.0, longest=600.0)
_ACCOUNT = Rule(failures=1, seconds=300.0, longest=300.0)

RULES: Mapping[type[ImageGenError], Rule] = {
    RateLimitError: Rule(failures=1, seconds=5.0, longest=300.0),
    AuthenticationError: _ACCOUNT,
    InsufficientBalanceError: _ACCOUNT,
    ProviderUnavailableError: _OUTAGE,
    TransportError: _OUTAGE,
    MalformedReplyError: _OUTAGE,
    SubmissionUnknownError: _OUTAGE,
    DeadlineExceededError: _OUTAGE,
    JobFailedError: _OUTAGE,
}
"""What counts against a model, by class; an error of any other class is the caller's own."""

WEIGHT = 0.1
"""Share of the newest call in the smoothed figures: about the last twenty calls count."""

LONGEST_PROBE = 600.0
"""Seconds after which a call that was let through to try a model, and never told how it went,
is forgotten."""


@frozen(kw_only=True)
class ModelHealth:
    """How one model does at this moment.

    Attributes:
        state: ``"closed"`` (in use), ``"open"`` (left alone) or ``"half-open"`` (to be tried).
        seconds: smoothed duration of its successes; None if there was none.
        failure_rate: smoothed share of failures among recent calls, 0–1.
        failures_in_a_row: since the last success.
        retry_in: seconds until it is tried again; 0.0 unless open.
        last_error: class name of the last failure since the last success.
    """

    state: State
    seconds: float | None
    failure_rate: float
    failures_in_a_row: int
    retry_in: float
    last_error: str | None


@define
class _Record:
    """What is remembered of one model; `until`, when it may be tried, is -inf while closed."""

    seconds: float | None = None
    failure_rate: float = 0.0
    failures: int = 0
    last_error: str | None = None
    until: float = -inf
    probed_at: float = -inf
    failed_probes: int = 0

    def state(self, now: float) -> State:
        if self.until == -inf:
            return "closed"
        return "open" if now < self.until else "half-open"

    def retry_in(self, now: float) -> float:
        return max(self.until - now, 0.0)

    def is_being_tried(self, now: float) -> bool:
        return now - self.probed_at < LONGEST_PROBE

    def fail(self, error: ImageGenError, rule: Rule, now: float) -> None:
        self.failure_rate += WEIGHT * (1 - self.failure_rate)
        self.failures += 1
        self.last_error = type(error).__name__
        probe, self.probed_at = self.is_being_tried(now), -inf
        self.failed_probes += probe
        if probe or self.failures >= rule.failures:
            self.until = max(self.until, now + _wait(error, rule, self.failed_probes))


class Health:
    """Health of every model that was used. Safe to share between threads.

    Args:
        monotonic: seconds that only ever grow.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        # Reentrant: the garbage collector may close a flow, and so call `released`, at any line.
        self._lock = RLock()
        self._records: dict[str, _Record] = {}

    def admit(self, model: str) -> str | None:
        """Ask whether *model* may be tried now: None if so, else why not, in words.

        Every admitted try ends with one of `succeeded`, `failed` and `released`: a half-open
        model admits one at a time.
        """
        with self._lock:
            now, record = self._monotonic(), self._records.get(model, _Record())
            state = record.state(now)
            if state == "open":
                wait = ceil(record.retry_in(now))
                return f"left alone for {wait} s more after {record.last_error}"
            if state == "half-open":
                if record.is_being_tried(now):
                    return f"left alone while one call tries it after {record.last_error}"
                record.probed_at = now
            return None

    def succeeded(self, model: str, seconds: float) -> None:
        """Note a success that took *seconds*: it closes the circuit."""
        with self._lock:
            old = self._records.get(model, _Record())
            known = seconds if old.seconds is None else old.seconds
            self._records[model] = _Record(
                seconds=known + WEIGHT * (seconds - known),
                failure_rate=old.failure_rate * (1 - WEIGHT),
            )

    def failed(self, model: str, error: ImageGenError) -> None:
        """Note a failure; one that `RULES` does not list says nothing about *model*.

        How long it took does not matter: only successes are timed.
        """
        rule = _rule(error)
        if rule is None:
            self.released(model)
            return
        with self._lock:
            record = self._records.setdefault(model, _Record())
            record.fail(error, rule, self._monotonic())

    def released(self, model: str) -> None:
        """End an admitted try that said nothing about *model*: cancelled, or the caller's fault."""
        with self._lock:
            if model in self._records:
                self._records[model].probed_at = -inf

    def expected_seconds(self, model: str) -> float | None:
        """Seconds until a success, failures counted in.

        None if *model* was never measured, infinity if it has only failed so far.
        """
        with self._lock:
            record = self._records.get(model, _Record())
            if record.seconds is None:
                return inf if record.failure_rate else None
            return record.seconds / (1 - record.failure_rate)

    def snapshot(self) -> dict[str, ModelHealth]:
        """The health of every model with a success or failure so far."""
        with self._lock:
            now = self._monotonic()
            return {model: _shown(record, now) for model, record in self._records.items()}


def _rule(error: ImageGenError) -> Rule | None:
    return next((RULES[kind] for kind in type(error).__mro__ if kind in RULES), None)


def _wait(error: ImageGenError, rule: Rule, failed_probes: int) -> float:
    asked: float | None = getattr(error, "retry_after", None)
    if isinstance(error, RateLimitError) and asked:
        return min(rule.longest, asked)
    return min(rule.longest, rule.seconds * 2.0 ** min(failed_probes, 30))


def _shown(record: _Record, now: float) -> ModelHealth:
    return ModelHealth(
        state=record.state(now),
        seconds=record.seconds,
        failure_rate=record.failure_rate,
        failures_in_a_row=record.failures,
        retry_in=record.retry_in(now),
        last_error=record.last_error,
    )
