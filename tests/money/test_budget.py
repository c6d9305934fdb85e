"""A budget is kept to the last picture, whoever buys at the same time and however it ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from imagegen import (
    BudgetExceededError,
    Generation,
    ImageGenError,
    ImageRequest,
    Retries,
    SubmissionUnknownError,
)
from imagegen.ledger import Budget, Ledger
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import EPOCH, FakeClock

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
PRICE, ZERO = Decimal("0.0035"), Decimal(0)
CALLS = 200
LOST = Fault("http", status=504, shape="html")
"""A proxy's answer that tells nothing; the provider never saw the submission."""
FAULTS = {
    "refused": Fault("rate_limit"),
    "unreachable": Fault("drop"),
    "lost": LOST,
    "accepted and lost": Fault("drop", accepted=True),
    "failed": Fault("prediction_status"),
}
Outcome = Generation | ImageGenError
AllAtOnce = Callable[..., Sequence[Outcome]]


def of(pictures: int, **options: Any) -> Budget:
    return Budget(amount=pictures * PRICE, **options)


def in_threads(sandbox: Sandbox, calls: int, **options: Any) -> Sequence[Outcome]:
    with sandbox.client(**options) as client, ThreadPoolExecutor(calls) as pool:

        def call(number: int) -> Outcome:
            try:
                return client.generate(f"fox {number}", model=MINIMAX)
            except ImageGenError as error:
                return error

        return list(pool.map(call, range(calls)))


def in_tasks(sandbox: Sandbox, calls: int, **options: Any) -> Sequence[Outcome]:
    async def all_of_them() -> Sequence[Any]:
        async with sandbox.async_client(**options) as client:
            foxes = (client.generate(f"fox {k}", model=MINIMAX) for k in range(calls))
            return await asyncio.gather(*foxes, return_exceptions=True)

    return asyncio.run(all_of_them())


@pytest.fixture(params=[in_threads, in_tasks], ids=["threads", "tasks"])
def all_at_once(request: pytest.FixtureRequest) -> AllAtOnce:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def kinds(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


def account(ledger: Ledger) -> tuple[Decimal, Decimal]:
    """What is spent, and what is held."""
    lines = ledger.spend().result()
    return sum((x.spent for x in lines), ZERO), sum((x.open for x in lines), ZERO)


# At the same time


def test_of_200_calls_at_once_the_50_that_are_paid_for_are_sent(
    all_at_once: AllAtOnce, ledger: Ledger
) -> None:
    sandbox = Sandbox()
    outcomes = all_at_once(sandbox, CALLS, ledger=ledger, budget=of(50))
    assert kinds(outcomes) == {"Generation": 50, "BudgetExceededError": 150}
    assert len(sandbox.submissions) == 50
    assert account(ledger) == (50 * PRICE, ZERO)
    for error in (each for each in outcomes if isinstance(each, ImageGenError)):
        assert (error.charged, error.job, error.field) == ("no", None, "budget")


def test_a_budget_needs_no_ledger_of_the_callers(all_at_once: AllAtOnce) -> None:
    sandbox = Sandbox()
    outcomes = all_at_once(sandbox, CALLS, budget=50 * PRICE)
    assert kinds(outcomes) == {"Generation": 50, "BudgetExceededError": 150}
    assert len(sandbox.submissions) == 50


def test_what_is_refused_or_fails_unpaid_makes_room_for_others(
    all_at_once: AllAtOnce, ledger: Ledger
) -> None:
    refusals = Fault("code", provider="minimax", code=1026, times=30)
    sandbox = Sandbox(faults=[refusals])
    outcomes = all_at_once(sandbox, CALLS, ledger=ledger, budget=of(50))
    came = kinds(outcomes)
    assert came["ContentPolicyError"] == 30
    assert came["Generation"] == len(sandbox.submissions) <= 50
    assert came.total() == CALLS
    assert account(ledger) == (len(sandbox.submissions) * PRICE, ZERO)
    left = 50 - len(sandbox.submissions)
    assert kinds(all_at_once(sandbox, 60, ledger=ledger, budget=of(50)))["Generation"] == left
    assert account(ledger) == (50 * PRICE, ZERO)


def test_unknown_outcomes_hold_their_price_however_many_call(
    all_at_once: AllAtOnce, ledger: Ledger
) -> None:
    sandbox = Sandbox(faults=[Fault("drop", accepted=True, times=20)])
    came = kinds(all_at_once(sandbox, CALLS, ledger=ledger, budget=of(50)))
    assert came == {"Generation": 30, "SubmissionUnknownError": 20, "BudgetExceededError": 150}
    assert len(sandbox.submissions) == 50
    assert account(ledger) == (30 * PRICE, 20 * PRICE)


BUYER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from imagegen import Client, ImageGenError, MiniMax
from imagegen.ledger import Budget, Ledger

path, origin, amount = sys.argv[1:]
backend = MiniMax(api_key="sandbox", base_url=origin)
with Ledger(path) as ledger, Client([backend], ledger=ledger, budget=amount) as client:
    def call(number):
        try:
            return bool(client.generate(f"fox {number}").images)
        except ImageGenError as error:
            return type(error).__name__
    sys.stdin.readline()
    with ThreadPoolExecutor(30) as pool:
        outcomes = list(pool.map(call, range(60)))
print(outcomes.count(True), outcomes.count("BudgetExceededError"))
"""


def test_two_processes_keep_one_budget(tmp_path: Path) -> None:
    sandbox, path = Sandbox(), tmp_path / "ledger.db"
    with sandbox.running() as origin:
        command = [sys.executable, "-c", BUYER, str(path), origin, str(50 * PRICE)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        buyers = [subprocess.Popen(command, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]
        told = [
            list(map(int, buyer.communicate("go\n", timeout=60)[0].split())) for buyer in buyers
        ]
    assert [sum(counts) for counts in told] == [60, 60]
    assert [sum(column) for column in zip(*told, strict=True)] == [50, 70]
    assert len(sandbox.submissions) == 50


# One after the other


@pytest.fixture
def desk(kit: Any, time: FakeClock) -> Iterator[Callable[..., Any]]:
    """Make a client and the ledger that it writes, on a clock of the test."""
    with Ledger(now=time.now) as ledger:

        def make(sandbox: Sandbox, budget: Budget, **options: Any) -> Any:
            desk = kit.on(sandbox, clock=time, ledger=ledger, budget=budget, **options)
            desk.ledger = ledger
            return desk

        yield make


def test_a_daily_budget_is_whole_again_after_midnight_utc(
    desk: Callable[..., Any], time: FakeClock
) -> None:
    sandbox = Sandbox(clock=time.epoch)
    client = desk(sandbox, of(2, per="day"))
    time.sleep(86_400 - 1)
    client.generate("fox", model=MINIMAX)
    client.generate("fox", model=MINIMAX)
    with pytest.raises(BudgetExceededError, match="wait for the next day"):
        client.generate("fox", model=MINIMAX)
    time.sleep(1)
    assert time.now() == EPOCH + timedelta(days=1)
    client.generate("fox", model=MINIMAX)
    client.generate("fox", model=MINIMAX)
    with pytest.raises(BudgetExceededError):
        client.generate("fox", model=MINIMAX)
    assert len(sandbox.submissions) == 4
    days = client.ledger.spend().result()
    assert [(line.day.day, line.spent) for line in days] == [(1, 2 * PRICE), (2, 2 * PRICE)]


def test_a_total_budget_does_not_grow_with_the_days(
    desk: Callable[..., Any], time: FakeClock
) -> None:
    sandbox = Sandbox(clock=time.epoch)
    client = desk(sandbox, of(1))
    client.generate("fox", model=MINIMAX)
    time.sleep(40 * 86_400)
    with pytest.raises(BudgetExceededError):
        client.generate("fox", model=MINIMAX)
    assert len(sandbox.submissions) == 1


@pytest.mark.parametrize("fault", [Fault("drop", accepted=True), LOST], ids=["yes", "no"])
def test_an_unknown_outcome_stays_reserved(
    desk: Callable[..., Any], time: FakeClock, fault: Fault
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[fault])
    client = desk(sandbox, of(2))
    with pytest.raises(SubmissionUnknownError):
        client.generate("fox", model=MINIMAX)
    client.generate("fox", model=MINIMAX)
    with pytest.raises(BudgetExceededError, match="are spent or held"):
        client.generate("fox", model=MINIMAX)
    assert account(client.ledger) == (PRICE, PRICE)


def test_a_submission_that_the_provider_never_had_gives_its_price_back(
    desk: Callable[..., Any], time: FakeClock
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[LOST])
    client = desk(sandbox, of(1))
    with pytest.raises(SubmissionUnknownError):
        client.generate("fox", model=WAVESPEED)
    with pytest.raises(BudgetExceededError):
        client.generate("fox", model=WAVESPEED)
    client._kit.wait(client.client.reconcile())
    assert client.generate("fox", model=WAVESPEED).images
    assert account(client.ledger) == (PRICE, ZERO)


def test_a_prediction_that_fails_and_is_refunded_gives_its_price_back(
    desk: Callable[..., Any], time: FakeClock
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("prediction_status", provider="wavespeed")])
    client = desk(sandbox, of(1))
    with pytest.raises(ImageGenError, match="failed"):
        client.generate("fox", model=WAVESPEED)
    assert client.generate("fox", model=WAVESPEED).images


def test_a_repetition_is_reserved_once(desk: Callable[..., Any], time: FakeClock) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit", times=3)])
    client = desk(sandbox, of(1), retries=Retries())
    assert client.generate("fox", model=MINIMAX).images
    assert account(client.ledger) == (PRICE, ZERO)


@pytest.mark.parametrize(
    ("model", "budget", "words"),
    [
        (MINIMAX, Budget(amount=100, currency="CNY"), "its price is in USD"),
        ("wavespeed:google/nano-banana", Budget(amount=100), "its price is unknown"),
    ],
)
def test_a_price_that_cannot_be_compared_never_passes(
    desk: Callable[..., Any], time: FakeClock, model: str, budget: Budget, words: str
) -> None:
    sandbox = Sandbox(clock=time.epoch)
    client = desk(sandbox, budget)
    with pytest.raises(BudgetExceededError, match=words) as caught:
        client.generate("fox", model=model)
    assert (caught.value.charged, sandbox.submissions, client.requests) == ("no", [], [])


@pytest.mark.parametrize("pictures", [9, 10])
def test_parts_of_a_request_are_paid_from_the_same_budget(
    desk: Callable[..., Any], time: FakeClock, pictures: int
) -> None:
    sandbox = Sandbox(clock=time.epoch)
    made = desk(sandbox, of(pictures)).generate(ImageRequest("fox", n=18), model=MINIMAX)
    assert (len(made.images), len(sandbox.submissions)) == (9, 1)
    assert {failure.error for failure in made.failures} == {"BudgetExceededError"}
    assert {failure.charged for failure in made.failures} == {"no"}


@settings(max_examples=30, deadline=None)
@given(
    budget=st.integers(0, 6),
    fates=st.lists(st.sampled_from(["made", *FAULTS]), max_size=12),
)
def test_what_is_spent_and_held_never_exceeds_the_budget(budget: int, fates: list[str]) -> None:
    time = FakeClock()
    sandbox = Sandbox(clock=time.epoch)
    held = 0
    with Ledger(now=time.now) as ledger:
        options = {"ledger": ledger, "budget": of(budget), "retries": None, "clock": time}
        with sandbox.client(**options) as client:
            for fate in fates:
                room = held < budget
                if room and fate in FAULTS:
                    sandbox.inject(FAULTS[fate])
                try:
                    client.generate("fox", model=WAVESPEED)
                except BudgetExceededError:
                    assert not room
                except ImageGenError:
                    assert fate != "made"
                held += room and fate in ("made", "lost", "accepted and lost")
                assert sum(account(ledger)) == held * PRICE <= budget * PRICE
