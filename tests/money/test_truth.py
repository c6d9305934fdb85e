"""What the fault matrix found, each alone: what is said of money and jobs when things go wrong."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imagegen import (
    Generation,
    ImageGenError,
    ImageRequest,
    Retries,
    Route,
    SubmissionUnknownError,
    TransportError,
)
from imagegen.ledger import Ledger
from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Request
from imagegen.testing import FakeClock

M, W = "minimax:image-01", "wavespeed:minimax/image-01"
SPEND = Route(models=[W, M], on_unknown="spend")


def on(kit: Any, sandbox: Sandbox, time: FakeClock, *, ledger: Ledger | None = None) -> Any:
    return kit.on(sandbox, clock=time, retries=Retries(), ledger=ledger)


def accepted(sandbox: Sandbox, provider: str) -> list[str]:
    return [one.id for one in sandbox.submissions if one.provider == provider]


@pytest.mark.parametrize("status", [500, 520, 522, 524, 599])
def test_an_internal_error_in_the_providers_own_words_is_not_taken_for_a_refusal(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock, status: int
) -> None:
    provider_sandbox.inject(Fault("http", status=status, accepted=True, times=None))
    with pytest.raises(SubmissionUnknownError):
        on(kit, provider_sandbox, time).generate("a fox", model=W)
    assert len(provider_sandbox.submissions) == 1


@pytest.mark.parametrize("code", [5000, 5999])
def test_an_unclear_application_code_is_not_taken_for_a_refusal(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock, code: int
) -> None:
    provider_sandbox.inject(Fault("http", status=200, code=code, accepted=True, times=None))
    with pytest.raises(SubmissionUnknownError):
        on(kit, provider_sandbox, time).generate("a fox", model=W)
    assert len(provider_sandbox.submissions) == 1


def test_a_client_closed_request_is_not_taken_for_a_refusal(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock
) -> None:
    provider_sandbox.inject(Fault("http", status=499, accepted=True))
    with pytest.raises(ImageGenError) as caught:
        on(kit, provider_sandbox, time).generate("a fox", model=W)
    assert caught.value.charged == "unknown"


def test_what_could_not_be_saved_is_paid_for_and_can_be_asked_for_again(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock, tmp_path: Path
) -> None:
    provider_sandbox.inject(Fault("drop", step="download", times=None))
    desk = on(kit, provider_sandbox, time)
    generation = desk.generate("a fox", model=W)
    with pytest.raises(TransportError) as caught:
        desk.save(generation, tmp_path)
    assert caught.value.charged == "yes"
    assert caught.value.job == generation.job


def test_a_generation_names_the_job_that_a_route_left_behind(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock
) -> None:
    provider_sandbox.inject(Fault("http", step="poll", status=401))
    generation = on(kit, provider_sandbox, time).generate("a fox", model=SPEND)
    (left,) = accepted(provider_sandbox, "wavespeed")
    assert left in [attempt.request_id for attempt in generation.attempts]


def test_a_job_that_a_route_left_behind_is_not_taken_for_collected(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock
) -> None:
    provider_sandbox.inject(Fault("http", step="poll", status=401))
    with Ledger(now=time.now) as ledger:
        desk = on(kit, provider_sandbox, time, ledger=ledger)
        desk.generate("a fox", model=SPEND)
        report = kit.wait(desk.client.reconcile())
    names = [one.job.id for one in report.generations if one.job]
    assert names == accepted(provider_sandbox, "wavespeed")


def test_only_what_brought_pictures_counts_as_collected(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock
) -> None:
    provider_sandbox.inject(Fault("rate_limit"))
    with Ledger(now=time.now) as ledger:
        on(kit, provider_sandbox, time, ledger=ledger).generate("a fox", model=M)
        rows = ledger.entries().result()
    assert [(row.state, row.collected) for row in rows] == [("refused", False), ("settled", True)]


def test_a_later_error_of_a_route_does_not_hide_what_an_earlier_model_is_paid_for(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock
) -> None:
    provider_sandbox.inject(Fault("slow", seconds=400.0))
    with pytest.raises(ImageGenError) as caught:
        on(kit, provider_sandbox, time).generate("a fox", model=SPEND)
    errors = getattr(caught.value, "exceptions", [caught.value])
    assert caught.value.charged == "yes"
    assert [one.job.id for one in errors if one.job] == accepted(provider_sandbox, "wavespeed")


def test_a_rejected_generation_is_kept_when_the_next_model_ends_the_route(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock
) -> None:
    provider_sandbox.inject(Fault("moderated", provider="minimax"))
    route = Route(models=[W, M], fallback_on=lambda outcome: isinstance(outcome, Generation))
    with pytest.raises(ImageGenError) as caught:
        on(kit, provider_sandbox, time).generate("a fox", model=route)
    (rejected,) = getattr(caught.value, "rejected", [None])
    assert rejected is not None
    assert caught.value.charged == "unknown"


@pytest.mark.parametrize("times", [1, None])
def test_a_refused_poll_does_not_end_its_job_on_the_ledger(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock, times: int | None
) -> None:
    provider_sandbox.inject(Fault("http", step="poll", status=451, times=times))
    with Ledger(now=time.now) as ledger:
        desk = on(kit, provider_sandbox, time, ledger=ledger)
        with suppress(ImageGenError):
            desk.generate("a fox", model=W)
        provider_sandbox.handle(Request("DELETE", "/sandbox/faults"))
        kit.wait(desk.client.reconcile())
        (row,) = ledger.entries().result()
    assert (row.images, row.collected) == (1, True)


def test_reconciling_gives_what_came_although_another_job_outlasts_it(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock
) -> None:
    provider_sandbox.inject(Fault("slow", provider="wavespeed", seconds=4000.0))
    with Ledger(now=time.now, collect="saved") as ledger:
        desk = on(kit, provider_sandbox, time, ledger=ledger)
        desk.submit("a fox", model=W)
        desk.submit("an owl", model=M)
        report = kit.wait(desk.client.reconcile(timeout=100.0))
    assert [one.request.prompt for one in report.generations] == ["an owl"]
    assert len(report.errors) == 1


def test_a_picture_that_may_be_billed_is_in_the_cost(
    kit: Any, provider_sandbox: Sandbox, time: FakeClock
) -> None:
    provider_sandbox.inject(Fault("missing", image=0))
    generation = on(kit, provider_sandbox, time).generate(ImageRequest("a fox", n=2), model=M)
    (failure,) = generation.failures
    assert failure.charged == "unknown"
    known = generation.cost.amount
    assert known is None or known >= Decimal("0.0070")
