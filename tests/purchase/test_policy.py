"""Retries: how often, how long, and never beyond what the provider, the cap and the time allow."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from imagegen import (
    ConfigurationError,
    DeadlineExceededError,
    ImageRequest,
    MiniMax,
    ProviderUnavailableError,
    RateLimitError,
    Retries,
    Route,
    SubmissionUnknownError,
    TransportError,
    errors,
)
from imagegen.errors import ImageGenError
from imagegen.events import Event, Retried
from imagegen.purchase.policy import FIRST_WAIT, NEVER
from imagegen.redaction import brief
from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Request
from imagegen.testing import FakeClock

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
REFUSALS: dict[str, ImageGenError] = {
    "rate_limited": RateLimitError("busy"),
    "unavailable": ProviderUnavailableError("down"),
    "unreachable": TransportError("refused", sent=False),
}
refusals = st.sampled_from(sorted(REFUSALS.values(), key=str))
chances = st.floats(0, 1)


def most() -> float:
    return 1.0


# How often


@pytest.mark.parametrize(
    ("name", "usual"), [("rate_limited", 5), ("unavailable", 2), ("unreachable", 2)]
)
def test_each_class_has_a_number_of_repetitions(name: str, usual: int) -> None:
    error = REFUSALS[name]
    assert Retries().wait(error, usual, most) is not None
    assert Retries().wait(error, usual + 1, most) is None
    only = Retries(**{**dict.fromkeys(REFUSALS, 0), name: 1})
    assert only.wait(error, 1, most) is not None
    assert only.wait(error, 2, most) is None
    others = [other for kind, other in REFUSALS.items() if kind != name]
    assert [only.wait(other, 1, most) for other in others] == [None, None]


def test_never_is_never() -> None:
    assert [NEVER.wait(error, 1, most) for error in REFUSALS.values()] == [None] * 3


KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, ImageGenError)
    and kind not in (RateLimitError, ProviderUnavailableError, errors.AllRoutesFailedError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_any_other_error_is_not_repeated(kind: type[ImageGenError]) -> None:
    assert Retries(rate_limited=9, unavailable=9, unreachable=9).wait(kind("no"), 1, most) is None


@pytest.mark.parametrize(
    "error",
    [
        TransportError("cut", sent=True),
        ProviderUnavailableError("down", charged="unknown"),
        RateLimitError("busy", charged="yes"),
    ],
)
def test_what_may_have_cost_money_is_not_repeated(error: ImageGenError) -> None:
    assert Retries().wait(error, 1, most) is None


@pytest.mark.parametrize("name", ["rate_limited", "unavailable", "unreachable", "longest"])
@pytest.mark.parametrize(
    "value", [-1, -0.001, 86_401, math.nan, math.inf, -math.inf, "3", None, True, [], 10**400]
)
def test_a_figure_out_of_range_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Retries(**{name: value})
    assert str(caught.value) == f"Retries: {name} must be 0–86400, not {brief(value)}"
    assert caught.value.field == name


def test_figures_are_given_by_name_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        Retries(5)  # type: ignore[call-arg]


# How long


@pytest.mark.parametrize(
    ("name", "waits"),
    [
        ("rate_limited", [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]),
        ("unavailable", [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]),
        ("unreachable", [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]),
    ],
)
def test_the_longest_wait_doubles_from_its_first_up_to_a_minute(
    name: str, waits: list[float]
) -> None:
    policy = Retries(rate_limited=9, unavailable=9, unreachable=9)
    assert [policy.wait(REFUSALS[name], nth, most) for nth in range(1, 8)] == waits


@given(error=refusals, nth=st.integers(1, 86_400), chance=chances, longest=st.floats(0, 86_400))
def test_a_wait_has_full_jitter_below_an_exponential_bound(
    error: ImageGenError, nth: int, chance: float, longest: float
) -> None:
    policy = Retries(rate_limited=86_400, unavailable=86_400, unreachable=86_400, longest=longest)
    wait = policy.wait(error, nth, lambda: chance)
    bound = min(FIRST_WAIT[type(error)] * 2.0 ** min(nth - 1, 100), longest)
    assert wait == pytest.approx(chance * bound)
    assert wait is not None
    assert 0 <= wait <= bound


@given(
    kind=st.sampled_from([RateLimitError, ProviderUnavailableError, TransportError]),
    asked=st.floats(0, 86_400),
    chance=chances,
    longest=st.floats(0, 86_400),
)
def test_a_wait_that_the_provider_names_is_kept_up_to_the_longest(
    kind: type[errors.BackendError], asked: float, chance: float, longest: float
) -> None:
    told = {"sent": False} if kind is TransportError else {}
    error = kind("busy", retry_after=asked, **told)
    wait = Retries(longest=longest).wait(error, 1, lambda: chance)
    if asked > longest:
        assert wait is None
        return
    assert wait is not None
    assert asked <= wait <= min(asked + FIRST_WAIT[kind], longest)


# Through a client


def test_a_rate_limit_is_waited_for_and_the_picture_bought_once(
    kit: Any, time: FakeClock, model: str
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit", times=2)])
    told: list[Event] = []
    desk = kit.on(sandbox, clock=time, retries=Retries(), on_event=told.append)
    generation = desk.generate("a fox", model=model)
    assert len(sandbox.submissions) == 1
    assert [attempt.error for attempt in generation.attempts] == ["RateLimitError"] * 2 + [None]
    assert [attempt.cost.amount for attempt in generation.attempts[:2]] == [Decimal(0)] * 2
    assert generation.cost.amount == Decimal("0.0035")
    waits = [event.wait for event in told if isinstance(event, Retried)]
    assert [wait <= bound for wait, bound in zip(waits, (2.0, 4.0), strict=True)] == [True, True]


@pytest.mark.parametrize(
    ("fault", "kind", "submissions"),
    [
        (Fault("rate_limit", times=None), RateLimitError, 6),
        (Fault("http", status=503, times=None, provider="wavespeed"), ProviderUnavailableError, 3),
        (Fault("drop", times=None), TransportError, 3),
    ],
)
def test_after_the_last_repetition_the_error_tells_of_every_one(
    kit: Any, time: FakeClock, fault: Fault, kind: type[ImageGenError], submissions: int
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[fault])
    desk = kit.on(sandbox, clock=time, retries=Retries())
    with pytest.raises(kind) as caught:
        desk.generate("a fox", model=WAVESPEED)
    assert len(desk.requests) == submissions
    assert [a.error for a in caught.value.attempts] == [kind.__name__] * submissions
    assert {a.charged for a in caught.value.attempts} == {"no"}
    assert sandbox.submissions == []


def test_none_means_never(kit: Any, time: FakeClock, model: str) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit")])
    desk = kit.on(sandbox, clock=time, retries=None)
    with pytest.raises(RateLimitError):
        desk.generate("a fox", model=model)
    assert (len(desk.requests), time.monotonic()) == (1, 0.0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop", accepted=True),
        Fault("garbage", shape="html"),
        Fault("http", status=504, shape="html"),
        Fault("http", status=503, shape="empty"),
    ],
)
def test_a_lost_answer_is_never_followed_by_a_second_submission(
    kit: Any, time: FakeClock, model: str, fault: Fault
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[fault])
    desk = kit.on(sandbox, clock=time, retries=Retries(unavailable=99, unreachable=99))
    with pytest.raises(SubmissionUnknownError) as caught:
        desk.generate("a fox", model=model)
    assert (len(desk.requests), caught.value.charged) == (1, "unknown")


def test_whoever_does_not_believe_a_provider_that_says_it_is_down_buys_once(
    kit: Any, time: FakeClock
) -> None:
    down = Fault("http", provider="wavespeed", status=503, accepted=True, times=None)
    sandbox = Sandbox(clock=time.epoch, faults=[down])
    desk = kit.on(sandbox, clock=time, retries=Retries(unavailable=0))
    careful = Route(models=[WAVESPEED, MINIMAX], fallback_on=[RateLimitError])
    for model in (WAVESPEED, careful):
        with pytest.raises(ProviderUnavailableError):
            desk.generate("a fox", model=model)
    assert [bought.provider for bought in sandbox.submissions] == ["wavespeed"] * 2


@pytest.mark.parametrize("asked", [30, "Thu, 01 Jan 2026 00:00:30 GMT"])
def test_the_seconds_or_the_moment_that_a_provider_names_are_waited_for(
    kit: Any, time: FakeClock, model: str, asked: float | str
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit", retry_after=asked)])
    kit.on(sandbox, clock=time, retries=Retries()).submit("a fox", model=model)
    assert 30.0 <= time.monotonic() <= 32.0
    assert len(sandbox.submissions) == 1


def test_a_provider_that_asks_for_more_than_the_longest_is_not_asked_again(
    kit: Any, time: FakeClock, model: str
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit", retry_after=61)])
    desk = kit.on(sandbox, clock=time, retries=Retries(longest=60))
    with pytest.raises(RateLimitError) as caught:
        desk.generate("a fox", model=model)
    assert (caught.value.retry_after, time.monotonic()) == (61.0, 0.0)
    assert sandbox.submissions == []


def test_a_wait_that_the_time_left_does_not_hold_is_not_begun(
    kit: Any, time: FakeClock, model: str
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit", retry_after=5, times=None)])
    desk = kit.on(sandbox, clock=time, retries=Retries())
    with pytest.raises(RateLimitError) as caught:
        desk.generate("a fox", model=model, timeout=12)
    first, *_, last = caught.value.attempts
    assert len(caught.value.attempts) == len(desk.requests) == 2 + (time.monotonic() > 10)
    assert time.monotonic() <= 12
    assert (first.seconds, last.seconds) == (0.0, 0.0)
    assert not isinstance(caught.value, DeadlineExceededError)


def test_the_attempts_tell_how_long_each_took(kit: Any, time: FakeClock) -> None:
    slow = Fault("late", seconds=3.0, step="submit")
    sandbox = Sandbox(clock=time.epoch)
    sandbox.inject(Fault("http", status=503, seconds=2.0, provider="wavespeed"), slow)
    generation = kit.on(sandbox, clock=time, retries=Retries()).generate("a fox", model=WAVESPEED)
    refused, made = generation.attempts
    assert (refused.error, made.error) == ("ProviderUnavailableError", None)
    assert made.seconds is not None
    assert refused.seconds is not None
    assert refused.seconds <= made.seconds


def test_each_cause_has_its_own_count(kit: Any, time: FakeClock) -> None:
    faults = [Fault("rate_limit", times=3), Fault("drop", times=None)]
    sandbox = Sandbox(clock=time.epoch, faults=faults)
    desk = kit.on(sandbox, clock=time, retries=Retries())
    with pytest.raises(TransportError) as caught:
        desk.generate("a fox", model=WAVESPEED)
    causes = [attempt.error for attempt in caught.value.attempts]
    assert causes == ["RateLimitError"] * 3 + ["TransportError"] * 3


def test_each_part_of_a_split_repeats_on_its_own(kit: Any, time: FakeClock, model: str) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit", times=2)])
    desk = kit.on(sandbox, clock=time, retries=Retries())
    generation = desk.generate(ImageRequest("a fox", n=20), model=model)
    assert (len(generation.images), len(sandbox.submissions)) == (20, 3)
    assert len(generation.attempts) == 5


# A hostile Retry-After

HOSTILE = [
    "", " ", "\t7\t", "-1", "-0.5", "+5", "0", "00000007", "7.5", "1.", ".5", "1,5", "1_000",
    "0x10", "1e3", "1e309", "-1e309", "nan", "NaN", "inf", "-inf", "Infinity", "∞", "½", "٣٠",
    "９９", "86400", "86401", "999999999", "9999999999", "9" * 10_000, "1." + "1" * 10_000,
    "0" * 10_000, "-" * 10_000, "null", "true", "{}", "5 seconds", "5, 5", "5;5", "%35",
    "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 99999 23:59:59 GMT",
    "Thu, 01 Jan 0000 00:00:00 GMT", "Mon, 00 Foo 2026 99:99:99 GMT",
    "Thu, 01 Jan 2026 00:00:10", "Thu, 01 Jan 2026 00:00:10 +9999",
    "Thu, 01 Jan 2026 00:00:10 -2400", "2026-01-01T00:00:10Z", "Thu, " * 2000,
]  # fmt: skip


def limited(sandbox: Sandbox, retry_after: str) -> httpx.MockTransport:
    """Mount *sandbox*; each refusal carries the header as it is, whatever its bytes."""

    def handle(request: httpx.Request) -> httpx.Response:
        path, query = request.url.path, request.url.query.decode()
        sent = Request(request.method, path, query, dict(request.headers), request.content)
        answer = sandbox.handle(sent)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        headers += [(b"retry-after", retry_after.encode())]
        return httpx.Response(answer.status, headers=headers, content=answer.body)

    return httpx.MockTransport(handle)


@pytest.mark.parametrize("timeout", [300, 5])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:20]))
def test_a_hostile_retry_after_never_delays_beyond_the_cap_and_the_deadline(
    kit: Any, time: FakeClock, value: str, timeout: float
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit", times=None)])
    waits: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, Retried):
            waits.append(event.wait)

    desk = kit.desk(
        [MiniMax(api_key="sandbox", base_url=sandbox.origin)],
        watched=kit.watched(limited(sandbox, value)),
        clock=time,
        retries=Retries(rate_limited=3, longest=60),
        on_event=listen,
    )
    with pytest.raises(RateLimitError) as caught:
        desk.generate("a fox", model=MINIMAX, timeout=timeout)
    assert all(0 <= wait <= 60 for wait in waits)
    assert time.monotonic() <= min(3 * 60, timeout)
    assert len(caught.value.attempts) == len(desk.requests) <= 4
    assert caught.value.retry_after is None or 0 <= caught.value.retry_after <= 86_400
    assert sandbox.submissions == []
