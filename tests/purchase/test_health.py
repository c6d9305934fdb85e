"""Health of models: what opens a circuit, for how long, and what closes it."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from imagegen import errors
from imagegen.errors import (
    AllRoutesFailedError,
    AuthenticationError,
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.purchase.health import Health, ModelHealth
from imagegen.testing import FakeClock

MODEL, OTHER = "minimax:image-01", "wavespeed:minimax/image-01"
AT_ONCE: dict[type[BackendError], float] = {
    RateLimitError: 5.0,
    AuthenticationError: 300.0,
    InsufficientBalanceError: 300.0,
}
AFTER_THREE: tuple[type[BackendError], ...] = (
    ProviderUnavailableError,
    TransportError,
    MalformedReplyError,
    SubmissionUnknownError,
    DeadlineExceededError,
    JobFailedError,
)
CALLERS_OWN: tuple[type[ImageGenError], ...] = (
    ImageGenError,
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    ContentPolicyError,
    InvalidRequestError,
    UnsupportedFeatureError,
)
BROKEN = ProviderUnavailableError("down")


class Bench:
    """A Health, its clock, and shorthands."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.health = Health(self.clock.monotonic)

    def fail(self, error: ImageGenError = BROKEN, times: int = 1) -> None:
        for _ in range(times):
            self.health.failed(MODEL, error)

    def now(self) -> ModelHealth:
        return self.health.snapshot()[MODEL]

    def admits(self) -> bool:
        return self.health.admit(MODEL) is None

    def probe(self) -> None:
        """Wait until the model may be tried, and be let through."""
        self.clock.sleep(self.now().retry_in)
        assert self.admits()


@pytest.fixture
def bench() -> Bench:
    return Bench()


# What opens a circuit


def test_every_error_is_either_the_models_or_the_callers() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    mine = {kind for kind in kinds if issubclass(kind, ImageGenError)}
    assert mine == {*AT_ONCE, *AFTER_THREE, *CALLERS_OWN, AllRoutesFailedError}


def test_an_unknown_model_is_admitted_and_not_listed(bench: Bench) -> None:
    assert bench.admits()
    bench.health.released(MODEL)
    assert bench.health.snapshot() == {}


@pytest.mark.parametrize("kind", AT_ONCE)
def test_some_errors_open_the_circuit_at_once(bench: Bench, kind: type[BackendError]) -> None:
    bench.fail(kind("no"))
    assert (bench.now().state, bench.now().retry_in) == ("open", AT_ONCE[kind])
    assert not bench.admits()


@pytest.mark.parametrize("kind", AFTER_THREE)
def test_others_open_it_after_three_in_a_row(bench: Bench, kind: type[BackendError]) -> None:
    bench.fail(kind("no"), times=2)
    assert (bench.now().state, bench.admits()) == ("closed", True)
    bench.fail(kind("no"))
    assert (bench.now().state, bench.now().retry_in) == ("open", 30.0)


def test_three_in_a_row_may_be_of_different_kinds(bench: Bench) -> None:
    for kind in AFTER_THREE[:3]:
        assert bench.admits()
        bench.fail(kind("no"))
    assert bench.now().state == "open"


@pytest.mark.parametrize("kind", CALLERS_OWN)
def test_the_callers_own_faults_never_count(bench: Bench, kind: type[ImageGenError]) -> None:
    bench.fail(kind("no"), times=100)
    assert bench.admits()
    assert bench.health.snapshot() == {}


def test_a_model_that_the_provider_does_not_know_is_the_callers_fault(bench: Bench) -> None:
    bench.fail(ConfigurationError("no such model", status=404), times=10)
    assert bench.admits()


def test_a_route_that_failed_says_nothing_about_one_model(bench: Bench) -> None:
    bench.fail(AllRoutesFailedError("all", [BROKEN]), times=10)
    assert bench.admits()


def test_a_backends_own_error_counts_as_its_parent(bench: Bench) -> None:
    class QuotaError(InsufficientBalanceError):
        pass

    bench.fail(QuotaError("no"))
    assert (bench.now().retry_in, bench.now().last_error) == (300.0, "QuotaError")


def test_a_success_between_failures_starts_the_count_again(bench: Bench) -> None:
    for _ in range(10):
        bench.fail(times=2)
        bench.health.succeeded(MODEL, 1.0)
    assert (bench.now().state, bench.now().failures_in_a_row) == ("closed", 0)


def test_one_models_failures_are_not_anothers(bench: Bench) -> None:
    bench.fail(times=3)
    assert bench.health.admit(OTHER) is None
    assert set(bench.health.snapshot()) == {MODEL}


# For how long


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, 5.0), (0.0, 5.0), (0.5, 0.5), (12.0, 12.0), (300.0, 300.0), (86_400.0, 300.0)],
)
def test_a_wait_that_the_provider_names_is_kept_up_to_300_s(
    bench: Bench, asked: float | None, seconds: float
) -> None:
    bench.fail(RateLimitError("slow down", retry_after=asked))
    assert bench.now().retry_in == seconds


def test_a_wait_that_is_no_number_does_not_close_a_model_for_ever(bench: Bench) -> None:
    bench.fail(RateLimitError("slow down", retry_after=float("nan")))
    assert bench.now().retry_in == 300.0


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (BROKEN, [30, 60, 120, 240, 480, 600, 600]),
        (RateLimitError("no"), [5, 10, 20, 40, 80, 160, 300, 300]),
        (RateLimitError("no", retry_after=12.0), [12, 12, 12]),
        (AuthenticationError("no"), [300, 300, 300]),
    ],
)
def test_each_failed_probe_doubles_the_wait_up_to_a_cap(
    bench: Bench, error: ImageGenError, waits: list[float]
) -> None:
    bench.fail(error, times=3 if error is BROKEN else 1)
    seen = [bench.now().retry_in]
    for _ in waits[1:]:
        bench.probe()
        bench.fail(error)
        seen.append(bench.now().retry_in)
    assert seen == waits


def test_an_outage_of_weeks_still_ends_in_waits_of_600_s(bench: Bench) -> None:
    bench.fail(times=3)
    for _ in range(5000):
        bench.probe()
        bench.fail()
    assert bench.now().retry_in == 600.0


def test_after_a_success_waits_begin_small_again(bench: Bench) -> None:
    bench.fail(times=3)
    bench.probe()
    bench.fail()
    bench.probe()
    bench.health.succeeded(MODEL, 1.0)
    bench.fail(times=3)
    assert bench.now().retry_in == 30.0


def test_a_failed_probe_opens_again_whatever_its_kind(bench: Bench) -> None:
    bench.fail(RateLimitError("slow down"))
    bench.probe()
    bench.fail(TransportError("cut"))
    assert (bench.now().state, bench.now().retry_in) == ("open", 60.0)


def test_calls_that_were_under_way_may_lengthen_a_wait_and_never_shorten_it(bench: Bench) -> None:
    bench.fail(times=3)
    bench.clock.sleep(10)
    bench.fail(RateLimitError("slow down"))
    assert bench.now().retry_in == 20.0
    bench.fail()
    assert bench.now().retry_in == 30.0
    bench.fail(AuthenticationError("no"))
    assert bench.now().retry_in == 300.0


# Half-open


def test_a_refusal_says_how_long_and_why(bench: Bench) -> None:
    bench.fail(RateLimitError("slow down", retry_after=11.2))
    assert bench.health.admit(MODEL) == "left alone for 12 s more after RateLimitError"
    bench.clock.sleep(11.1)
    assert bench.health.admit(MODEL) == "left alone for 1 s more after RateLimitError"


def test_one_call_at_a_time_tries_a_half_open_model(bench: Bench) -> None:
    bench.fail(times=3)
    bench.clock.sleep(29.9)
    assert not bench.admits()
    bench.clock.sleep(0.2)
    assert (bench.now().state, bench.now().retry_in) == ("half-open", 0.0)
    assert bench.admits()
    words = "left alone while one call tries it after ProviderUnavailableError"
    assert bench.health.admit(MODEL) == words


def test_a_success_of_the_probe_closes_the_circuit(bench: Bench) -> None:
    bench.fail(times=3)
    bench.probe()
    bench.health.succeeded(MODEL, 2.0)
    now = bench.now()
    assert (now.state, now.failures_in_a_row, now.last_error) == ("closed", 0, None)
    assert [bench.admits() for _ in range(3)] == [True] * 3


@pytest.mark.parametrize("kind", [None, *CALLERS_OWN])
def test_a_probe_that_says_nothing_leaves_the_next_to_try(
    bench: Bench, kind: type[ImageGenError] | None
) -> None:
    bench.fail(times=3)
    bench.probe()
    before = bench.now()
    if kind is None:
        bench.health.released(MODEL)
    else:
        bench.fail(kind("no"))
    assert bench.now() == before
    assert [bench.admits(), bench.admits()] == [True, False]


def test_a_probe_whose_caller_died_is_forgotten_after_600_s(bench: Bench) -> None:
    bench.fail(times=3)
    bench.probe()
    bench.clock.sleep(599)
    assert not bench.admits()
    bench.clock.sleep(1)
    assert [bench.admits(), bench.admits()] == [True, False]


def test_a_success_of_a_call_under_way_closes_the_circuit_too(bench: Bench) -> None:
    bench.fail(times=3)
    bench.health.succeeded(MODEL, 1.0)
    assert bench.admits()


def test_of_fifty_threads_one_is_let_through() -> None:
    bench = Bench()
    bench.fail(times=3)
    bench.clock.sleep(30)
    answers: list[str | None] = []
    start = threading.Barrier(50)

    def call() -> None:
        start.wait(10)
        answers.append(bench.health.admit(MODEL))

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(answers), answers.count(None)) == (50, 1)


def test_the_garbage_collector_may_close_a_flow_at_any_line() -> None:
    def collecting() -> float:
        gc.collect()  # inside Health, which asks for the time
        return 0.0

    health = Health(collecting)

    def abandoned() -> Iterator[object]:
        flow = running.pop()
        try:
            yield flow  # keeps itself alive: only the collector ends it
        finally:
            health.released(MODEL)
            closed.append(MODEL)

    running: list[object] = []
    closed: list[str] = []
    flow = abandoned()
    running.append(flow)
    next(flow)
    del flow
    working = threading.Thread(target=health.snapshot, daemon=True)
    working.start()
    working.join(10)
    assert (working.is_alive(), closed) == (False, [MODEL])


# What is measured


def test_a_model_that_never_succeeded_has_no_expected_time(bench: Bench) -> None:
    assert bench.health.expected_seconds(MODEL) is None
    bench.fail()
    assert bench.health.expected_seconds(MODEL) == math.inf
    assert bench.now().seconds is None


def test_the_first_success_is_the_measure(bench: Bench) -> None:
    bench.health.succeeded(MODEL, 8.0)
    assert bench.now().seconds == 8.0
    assert bench.health.expected_seconds(MODEL) == 8.0


def test_figures_follow_what_happens_lately(bench: Bench) -> None:
    for seconds in [10.0] * 50 + [2.0] * 50:
        bench.health.succeeded(MODEL, seconds)
    assert bench.now().seconds == pytest.approx(2.0, abs=0.1)
    for _ in range(50):
        bench.fail()
    assert bench.now().failure_rate == pytest.approx(1.0, abs=0.01)
    for _ in range(50):
        bench.health.succeeded(MODEL, 2.0)
    assert bench.now().failure_rate == pytest.approx(0.0, abs=0.01)


def test_failures_make_a_model_slower_to_expect_and_leave_its_latency(bench: Bench) -> None:
    for _ in range(500):
        bench.health.succeeded(MODEL, 4.0)
        bench.health.failed(MODEL, BROKEN)
    assert bench.now().seconds == pytest.approx(4.0)
    assert bench.now().failure_rate == pytest.approx(0.5, abs=0.05)
    rate = bench.now().failure_rate
    assert bench.health.expected_seconds(MODEL) == pytest.approx(4.0 / (1 - rate))


def test_a_model_that_only_fails_is_expected_in_ages(bench: Bench) -> None:
    bench.health.succeeded(MODEL, 4.0)
    bench.fail(times=10_000)
    assert bench.now().failure_rate < 1
    assert (bench.health.expected_seconds(MODEL) or 0.0) > 1e9


# An outage of an hour with one call a second


@pytest.mark.parametrize(("seconds", "reach"), [(0, 12), (20, 32), (60, 71)])
def test_an_outage_is_reached_by_few_calls(bench: Bench, seconds: int, reach: int) -> None:
    ends: list[int] = []
    reached = 0
    for second in range(3600):
        if bench.admits():
            reached += 1
            ends.append(second + seconds)
        while ends and ends[0] <= second:
            ends.pop(0)
            bench.fail()
        bench.clock.sleep(1)
    assert reached == reach


# Whatever happens

KINDS: list[type[ImageGenError]] = [*AT_ONCE, *AFTER_THREE, ContentPolicyError]


class AnyModel(RuleBasedStateMachine):
    """A Health beside a plain model of it, written with other means: one row of events."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.failures = 0
        self.probes_failed = 0
        self.open_until: float | None = None
        self.probe: float | None = None

    def time(self) -> float:
        return self.bench.clock.monotonic()

    def state(self) -> str:
        if self.open_until is None:
            return "closed"
        return "open" if self.time() < self.open_until else "half-open"

    def tried(self) -> bool:
        return self.probe is not None and self.time() - self.probe < 600

    @rule()
    def admit(self) -> None:
        state = self.state()
        expected = state == "closed" or (state == "half-open" and not self.tried())
        assert self.bench.admits() == expected
        if expected and state == "half-open":
            self.probe = self.time()

    @rule(seconds=st.floats(0, 1000))
    def succeed(self, seconds: float) -> None:
        self.bench.health.succeeded(MODEL, seconds)
        self.failures, self.probes_failed = 0, 0
        self.open_until = self.probe = None

    @rule(kind=st.sampled_from(KINDS), asked=st.none() | st.floats(0.1, 1000))
    def fail(self, kind: type[BackendError], asked: float | None) -> None:
        self.bench.fail(kind("no", retry_after=asked))
        probed, self.probe = self.tried(), None
        if kind is ContentPolicyError:
            return
        self.failures += 1
        self.probes_failed += probed
        doubled = 2.0**self.probes_failed
        if kind is RateLimitError:
            wait = min(300.0, asked or 5 * doubled)
        else:
            wait = 300.0 if kind in AT_ONCE else min(600.0, 30 * doubled)
        if probed or kind in AT_ONCE or self.failures >= 3:
            self.open_until = max(self.open_until or 0.0, self.time() + wait)

    @rule()
    def release(self) -> None:
        self.bench.health.released(MODEL)
        self.probe = None

    @rule(seconds=st.floats(0, 700) | st.sampled_from([5.0, 30.0, 60.0, 300.0, 600.0]))
    def advance(self, seconds: float) -> None:
        self.bench.clock.sleep(seconds)

    @invariant()
    def it_is_in_the_state_of_the_model(self) -> None:
        for now in self.bench.health.snapshot().values():
            assert (now.state, now.failures_in_a_row) == (self.state(), self.failures)
            left = (self.open_until or 0.0) - self.time()
            assert now.retry_in == (left if now.state == "open" else 0.0)
            assert (now.last_error is None) == (self.failures == 0)

    @invariant()
    def figures_stay_in_their_bounds(self) -> None:
        for now in self.bench.health.snapshot().values():
            assert 0 <= now.failure_rate <= 1
            assert now.retry_in <= 600
            expected = self.bench.health.expected_seconds(MODEL)
            assert expected is not None
            assert (expected == math.inf) == (now.seconds is None)
            assert expected >= (now.seconds or 0.0)


TestAnyModel = AnyModel.TestCase
TestAnyModel.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
