"""What both clients promise, over both providers, in process and on a port."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time as real_time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

import imagegen
from imagegen import (
    Client,
    GeneratedImage,
    Generation,
    ImageFailure,
    ImageRequest,
    Job,
    MiniMax,
    WaveSpeed,
)
from imagegen.errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    DeadlineExceededError,
    ImageGenError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    UnsupportedFeatureError,
)
from imagegen.events import Event, Polled, Settled, Submitted, Submitting
from imagegen.media import sniff
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import FakeClock

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
KEY = "sk-canary-0123456789"
UNKNOWN = ("SubmissionUnknownError", "unknown")


class Patient(FakeClock):
    """Stands still until *ready*, so that no part's waiting takes the time of another."""

    def __init__(self) -> None:
        super().__init__()
        self.ready: Callable[[], bool] = lambda: True

    def sleep(self, seconds: float) -> None:
        end = real_time.monotonic() + 5
        while not self.ready() and real_time.monotonic() < end:
            real_time.sleep(0.001)
        real_time.sleep(0.001)  # the other parts' threads want their turn before time is gone
        super().sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        while not self.ready():  # noqa: ASYNC110 - the sandbox tells nobody
            await asyncio.sleep(0)
        FakeClock.sleep(self, seconds)
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Patient:
    return Patient()


@pytest.fixture
def sandbox(provider_sandbox: Sandbox) -> Sandbox:
    return provider_sandbox


@pytest.fixture
def desk(kit: Any, sandbox: Sandbox, time: FakeClock) -> Any:
    return kit.on(sandbox, clock=time)


def posts(desk: Any) -> int:
    return sum(line.startswith("POST") for line in desk.sent)


def polls(desk: Any) -> int:
    return sum("/predictions/" in line for line in desk.sent)


# The whole way


@pytest.mark.parametrize("output", ["url", "bytes"])
def test_a_generation_has_pictures_cost_and_account(desk: Any, model: str, output: Any) -> None:
    request = ImageRequest("a fox", n=3, size="1280x720", seed=7, output=output)
    generation = desk.generate(request, model=model)
    assert len(generation.images) == 3
    assert generation.failures == ()
    assert (generation.cost.amount, generation.cost.currency) == (Decimal("0.0105"), "USD")
    assert generation.provider == model.partition(":")[0]
    assert generation.request == request
    (attempt,) = generation.attempts
    assert (attempt.n, attempt.images, attempt.charged) == (3, 3, "yes")
    assert attempt.seconds >= 10.0
    for image in generation.images:
        assert image.seed == 7
        assert (image.data is None) == (output == "url")
        assert (image.url is None) == (output == "bytes")
        assert (image.width, image.height) == ((1280, 720) if output == "bytes" else (None, None))
    assert posts(desk) == 1


def test_the_way_from_submit_to_saved_files(desk: Any, model: str, tmp_path: Path) -> None:
    job = desk.submit(ImageRequest("a fox", n=2), model=model)
    generation = desk.result(job)
    assert all(image.data is None for image in generation.images)
    filled = desk.fetch(generation)
    assert all(image.media_type == "image/jpeg" for image in filled.images)
    assert desk.fetch(filled) == filled
    paths = desk.save(generation, tmp_path / "new" / "folder", provenance=False)
    assert [path.suffix for path in paths] == [".jpg", ".jpg"]
    assert [path.read_bytes() for path in paths] == [image.data for image in filled.images]
    assert posts(desk) == 1


@pytest.mark.parametrize("output", ["url", "bytes"])
def test_the_whole_way_on_a_real_port(kit: Any, model: str, output: Any, tmp_path: Path) -> None:
    sandbox = Sandbox(keys=[KEY])
    with sandbox.running() as origin:
        backends = [
            MiniMax(api_key=KEY, base_url=origin),
            WaveSpeed(api_key=KEY, base_url=origin, first_poll=0.01),
        ]
        desk = kit.desk(backends, timeout=30)
        generation = desk.generate(ImageRequest("a fox", n=20, seed=5, output=output), model=model)
        paths = desk.save(generation, tmp_path)
        desk.close()
    assert len(generation.images) == len(set(paths)) == 20
    assert generation.cost.amount == Decimal("0.0700")
    assert [len(submission.body) > 1 for submission in sandbox.submissions] == [True] * 3
    assert all(sniff(path.read_bytes()) for path in paths)


def test_the_sandbox_s_own_clients_work_out_of_the_box(time: FakeClock, model: str) -> None:
    sandbox = Sandbox(clock=time.epoch, latency=3.0)
    with sandbox.client(clock=time) as client:
        assert len(client.generate("a fox", model=model).images) == 1


def test_a_prompt_alone_is_a_request(desk: Any, model: str) -> None:
    assert desk.generate("a fox", model=model).request == ImageRequest("a fox")


# Many pictures


@pytest.mark.parametrize("output", ["url", "bytes"])
def test_twenty_pictures_are_three_submissions_joined_in_order(
    desk: Any, sandbox: Sandbox, model: str, output: Any
) -> None:
    generation = desk.generate(ImageRequest("a fox", n=20, seed=100, output=output), model=model)
    assert [image.seed for image in generation.images] == [100] * 9 + [109] * 9 + [118] * 2
    assert generation.cost.amount == Decimal("0.0700")
    assert sum(s.price for s in sandbox.submissions) == Decimal("0.0700")
    assert sorted(s.body["seed"] for s in sandbox.submissions) == [100, 109, 118]
    (notice,) = [n for n in generation.notices if n.field == "seed"]
    assert notice.message == "split into 3 calls with seeds 100, 109, 118"
    assert [attempt.n for attempt in generation.attempts] == [9, 9, 2]
    assert posts(desk) == 3
    if model == WAVESPEED:
        assert [image.request_id for image in generation.images] == [
            job.id for job in generation.job.parts for _ in range(job.request.n)
        ]


def test_many_parts_are_all_submitted_once(desk: Any, sandbox: Sandbox) -> None:
    """More parts than threads work side by side."""
    sandbox.latency = 0.0
    generation = desk.generate(ImageRequest("a fox", n=9 * 40, seed=0), model=MINIMAX, timeout=3000)
    assert [image.seed for image in generation.images[::9]] == list(range(0, 360, 9))
    assert len(sandbox.submissions) == 40


@pytest.mark.parametrize(
    ("fault", "charge"),
    [
        (Fault("rate_limit", after=1), ("RateLimitError", "no")),
        (
            Fault("drop", step="submit", after=1, accepted=True),
            ("SubmissionUnknownError", "unknown"),
        ),
        (Fault("http", status=502, shape="html", after=1), ("SubmissionUnknownError", "unknown")),
        (Fault("garbage", shape="text", after=1), ("SubmissionUnknownError", "unknown")),
        (Fault("drop", step="submit", after=1), ("TransportError", "no")),
    ],
)
def test_paid_siblings_of_a_failed_part_are_kept(
    provider_sandbox: Sandbox, desk: Any, model: str, fault: Fault, charge: tuple[str, str]
) -> None:
    error, charged = charge
    provider_sandbox.inject(fault)
    generation = desk.generate(ImageRequest("a fox", n=18, seed=0), model=model)
    assert len(generation.images) == len(generation.failures) == 9
    assert {(f.error, f.charged) for f in generation.failures} == {(error, charged)}
    came = set(range(18)) - {f.index for f in generation.failures}
    assert {0 if image.seed == 0 else 9 for image in generation.images} == {min(came)}
    assert [a.error for a in generation.attempts].count(error) == 1
    expected = Decimal("0.0315") if charged == "no" else None
    assert generation.cost.amount == expected
    assert posts(desk) == 2


def test_a_part_that_does_not_end_in_time_leaves_its_job_with_its_failures(
    desk: Any, sandbox: Sandbox, time: Patient
) -> None:
    time.ready = lambda: len(sandbox.submissions) == 2
    sandbox.inject(Fault("slow", seconds=1000.0, after=1, step="submit"))
    generation = desk.generate(ImageRequest("a fox", n=18), model=WAVESPEED, timeout=200)
    assert len(generation.images) == 9
    (late,) = {f.job.id: f.job for f in generation.failures if f.job}.values()
    assert {(f.error, f.charged) for f in generation.failures} == {("DeadlineExceededError", "yes")}
    assert len(desk.result(late, timeout=2000).images) == 9
    assert posts(desk) == 2


def test_if_all_parts_fail_the_gravest_error_carries_every_job(
    desk: Any, sandbox: Sandbox, time: Patient
) -> None:
    sandbox.latency = 1000.0
    time.ready = lambda: len(sandbox.submissions) == 3
    with pytest.raises(DeadlineExceededError) as caught:
        desk.generate(ImageRequest("a fox", n=20), model=WAVESPEED, timeout=60)
    job = caught.value.job
    assert job is not None
    assert {part.id for part in job.parts} == {s.id for s in sandbox.submissions}
    assert caught.value.charged == "yes"
    generation = desk.result(job, timeout=5000)
    assert len(generation.images) == 20
    assert posts(desk) == 3


def test_if_all_parts_fail_the_only_job_is_not_lost(
    desk: Any, sandbox: Sandbox, time: Patient
) -> None:
    sandbox.latency = 1000.0
    time.ready = lambda: len(sandbox.submissions) == 2
    sandbox.inject(Fault("garbage", shape="text", after=1))
    with pytest.raises(SubmissionUnknownError) as caught:
        desk.generate(ImageRequest("a fox", n=18), model=WAVESPEED, timeout=60)
    assert caught.value.job is not None
    assert len(desk.result(caught.value.job, timeout=5000).images) == 9


# Jobs


def test_a_job_may_be_finished_by_another_client(
    kit: Any, sandbox: Sandbox, time: FakeClock, model: str
) -> None:
    text = kit.on(sandbox, clock=time).submit(ImageRequest("a fox", seed=3), model=model).to_json()
    other = kit.on(sandbox, clock=time)
    generation = other.result(Job.from_json(text))
    assert [image.seed for image in generation.images] == [3]
    assert posts(other) == 0


@pytest.mark.parametrize("output", ["url", "bytes"])
def test_a_composite_job_may_be_finished_by_another_client(
    kit: Any, sandbox: Sandbox, time: FakeClock, model: str, output: Any
) -> None:
    request = ImageRequest("a fox", n=20, seed=3, output=output)
    text = kit.on(sandbox, clock=time).submit(request, model=model).to_json()
    other = kit.on(sandbox, clock=time)
    generation = other.result(Job.from_json(text))
    assert [image.seed for image in generation.images] == [3] * 9 + [12] * 9 + [21] * 2
    assert generation.cost.amount == Decimal("0.0700")
    assert [image.data is None for image in generation.images] == [output == "url"] * 20
    assert generation.request == request
    assert posts(other) == 0


def test_a_settled_job_keeps_its_bytes_in_json(kit: Any, sandbox: Sandbox, time: FakeClock) -> None:
    desk = kit.on(sandbox, clock=time)
    job = desk.submit(ImageRequest("a fox", output="bytes"), model=MINIMAX)
    other = kit.on(sandbox, clock=time)
    (image,) = other.result(Job.from_json(job.to_json())).images
    assert sniff(image.data) is not None
    assert other.sent == []


def test_a_refused_part_of_a_submission_is_told_with_the_result(
    desk: Any, sandbox: Sandbox, model: str
) -> None:
    sandbox.inject(Fault("rate_limit", after=1))
    job = desk.submit(ImageRequest("a fox", n=18), model=model)
    generation = desk.result(Job.from_json(job.to_json()))
    assert len(generation.images) == 9
    assert {f.error for f in generation.failures} == {"RateLimitError"}
    assert generation.cost.amount == Decimal("0.0315")


def test_a_result_of_nothing_raises_although_a_part_was_refused_before(
    desk: Any, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("rate_limit", after=1), Fault("prediction_status"))
    job = desk.submit(ImageRequest("a fox", n=18), model=WAVESPEED)
    with pytest.raises(JobFailedError):
        desk.result(job)


def test_a_job_of_an_absent_backend_is_a_configuration_error(desk: Any) -> None:
    job = Job(provider="nobody", model="m", id="7", request=ImageRequest("a fox"))
    with pytest.raises(ConfigurationError, match="no backend 'nobody'"):
        desk.result(job)


def test_minimax_cannot_be_asked_for_an_earlier_job(desk: Any) -> None:
    job = Job(provider="minimax", model="image-01", id="7", request=ImageRequest("a fox"))
    with pytest.raises(UnsupportedFeatureError, match="earlier generation") as caught:
        desk.result(job)
    assert caught.value.job == job


def test_without_a_key_a_job_cannot_be_asked_for(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    job = kit.on(sandbox, clock=time).submit("a fox", model=WAVESPEED)
    backend = WaveSpeed(base_url=sandbox.origin)
    keyless = kit.desk([backend], watched=kit.watched(sandbox, time), clock=time)
    with pytest.raises(ConfigurationError, match="no API key") as caught:
        keyless.result(job)
    assert caught.value.job == job
    assert keyless.sent == []


# Waiting


def test_polls_that_fail_for_a_while_neither_lose_nor_repeat_the_job(
    desk: Any, sandbox: Sandbox
) -> None:
    sandbox.inject(
        Fault("http", status=503, step="poll", times=3),
        Fault("drop", step="poll", times=2),
        Fault("garbage", step="poll", shape="html", times=2),
    )
    generation = desk.generate("a fox", model=WAVESPEED)
    assert len(generation.images) == 1
    assert posts(desk) == len(sandbox.submissions) == 1
    assert len({line for line in desk.sent if line.startswith("GET")}) == 1


def test_polls_that_fail_for_ever_raise_with_the_job(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    desk = kit.on(sandbox, clock=time, wavespeed={"poll_failures": 8})
    sandbox.inject(Fault("http", status=503, step="poll", times=9))
    with pytest.raises(ProviderUnavailableError) as caught:
        desk.generate("a fox", model=WAVESPEED)
    assert caught.value.job is not None
    assert polls(desk) == 9
    assert len(desk.result(caught.value.job).images) == 1
    assert posts(desk) == 1


def test_a_poll_error_after_the_submission_never_claims_that_nothing_was_charged(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    desk = kit.on(sandbox, clock=time, wavespeed={"poll_failures": 3})
    sandbox.inject(Fault("http", status=503, step="poll", times=None))
    with pytest.raises(ProviderUnavailableError) as caught:
        desk.generate("a fox", model=WAVESPEED)
    assert caught.value.charged != "no"


@pytest.mark.parametrize("retry_after", [20, "Thu, 01 Jan 2026 00:00:30 GMT"])
def test_a_poll_waits_as_long_as_it_is_asked_to(
    desk: Any, sandbox: Sandbox, time: FakeClock, retry_after: Any
) -> None:
    sandbox.inject(Fault("rate_limit", step="poll", retry_after=retry_after))
    desk.generate("a fox", model=WAVESPEED)
    assert polls(desk) == 2
    assert time.monotonic() >= 22.0


def test_a_sync_timeout_keeps_polling_the_same_job(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.inject(Fault("sync_timeout"))
    desk = kit.on(sandbox, clock=time, wavespeed={"sync_mode": True})
    generation = desk.generate("a fox", model=WAVESPEED)
    assert len(generation.images) == 1
    (submission,) = sandbox.submissions
    assert generation.job.id == submission.id
    assert set(desk.sent[1:]) == {f"GET /api/v3/predictions/{submission.id}/result"}


def test_sync_mode_needs_no_poll(kit: Any, sandbox: Sandbox, time: FakeClock) -> None:
    desk = kit.on(sandbox, clock=time, wavespeed={"sync_mode": True})
    assert len(desk.generate("a fox", model=WAVESPEED).images) == 1
    assert polls(desk) == 0


def test_polls_begin_after_two_seconds_and_slow_down(
    desk: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.latency = 60.0
    moments: list[float] = []
    whole = sandbox.handle

    def handle(request: Any) -> Any:
        moments.append(time.monotonic())
        return whole(request)

    sandbox.handle = handle  # type: ignore[method-assign]
    desk.generate("a fox", model=WAVESPEED)
    gaps = [b - a for a, b in pairwise(moments)]
    assert gaps[:4] == pytest.approx([2.0, 2.5, 3.125, 3.90625])
    assert max(gaps) == pytest.approx(5.0)


def test_the_deadline_ends_the_waiting_with_the_job(
    desk: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.latency = 1000.0
    with pytest.raises(DeadlineExceededError) as caught:
        desk.generate("a fox", model=WAVESPEED, timeout=30)
    assert time.monotonic() == 30.0
    assert caught.value.job is not None
    assert caught.value.charged == "yes"
    assert (caught.value.provider, caught.value.model) == (
        "wavespeed",
        "minimax/image-01/text-to-image",
    )


def test_a_deadline_during_a_paid_exchange_is_of_unknown_outcome(
    desk: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.latency = 1000.0
    with pytest.raises(SubmissionUnknownError) as caught:
        desk.generate("a fox", model=MINIMAX, timeout=30)
    assert time.monotonic() == 30.0
    assert caught.value.charged == "unknown"
    assert len(sandbox.submissions) == 1


def test_the_client_s_timeout_holds_where_the_call_names_none(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    sandbox.latency = 1000.0
    with pytest.raises(DeadlineExceededError):
        kit.on(sandbox, clock=time, timeout=12).generate("a fox", model=WAVESPEED)
    assert time.monotonic() == 12.0


def test_a_failed_prediction_is_raised_with_its_job(desk: Any, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("prediction_status"))
    with pytest.raises(JobFailedError) as caught:
        desk.generate("a fox", model=WAVESPEED)
    assert caught.value.charged == "no"
    assert caught.value.job is not None


# Money


@pytest.mark.parametrize("verb", ["generate", "submit"])
def test_max_cost_refuses_before_anything_is_sent(
    desk: Any, sandbox: Sandbox, model: str, verb: str
) -> None:
    with pytest.raises(BudgetExceededError):
        getattr(desk, verb)(ImageRequest("a fox", n=2), model=model, max_cost="0.0069")
    assert sandbox.submissions == []
    assert desk.sent == []
    getattr(desk, verb)(ImageRequest("a fox", n=2), model=model, max_cost="0.007")
    assert len(sandbox.submissions) == 1


@pytest.mark.parametrize(
    "model_of_unknown_price", ["minimax:image-01-live", "wavespeed:somebody/something"]
)
def test_max_cost_refuses_an_unknown_price(
    desk: Any, sandbox: Sandbox, model_of_unknown_price: str
) -> None:
    with pytest.raises(BudgetExceededError, match="unknown"):
        desk.generate("a fox", model=model_of_unknown_price, max_cost="1000")
    assert sandbox.submissions == []
    assert desk.sent == []


def test_no_refusal_is_paid_for(desk: Any, sandbox: Sandbox, model: str) -> None:
    sandbox.inject(Fault("rate_limit"))
    with pytest.raises(RateLimitError) as caught:
        desk.generate("a fox", model=model)
    assert caught.value.charged == "no"
    assert sandbox.submissions == []
    assert posts(desk) == 1


# Models, keys and backends


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("minimax:image-01", "image-01"),
        ("minimax:", "image-01"),
        ("minimax:image-01-live", "image-01-live"),
        ("wavespeed:", "minimax/image-01/text-to-image"),
        ("wavespeed:minimax/image-01", "minimax/image-01/text-to-image"),
        ("wavespeed:minimax/image-01/text-to-image", "minimax/image-01/text-to-image"),
    ],
)
def test_a_model_string_names_provider_and_model(
    desk: Any, sandbox: Sandbox, name: str, sent: str
) -> None:
    assert desk.generate("a fox", model=name).model == sent
    assert [s.model for s in sandbox.submissions] == [sent]


def test_a_client_of_one_backend_needs_no_model(
    kit: Any, sandbox: Sandbox, time: FakeClock
) -> None:
    backend = MiniMax(api_key="sandbox", base_url=sandbox.origin)
    desk = kit.desk([backend], watched=kit.watched(sandbox, time), clock=time)
    assert desk.generate("a fox").model == "image-01"


def test_two_backends_of_one_name_are_refused(kit: Any) -> None:
    with pytest.raises(ConfigurationError, match="two backends"):
        kit.desk([MiniMax(api_key="a"), MiniMax(api_key="b")])


def test_a_missing_key_is_refused_before_anything_is_sent(
    kit: Any, sandbox: Sandbox, model: str
) -> None:
    backends = [MiniMax(base_url=sandbox.origin), WaveSpeed(api_key="  ", base_url=sandbox.origin)]
    desk = kit.desk(backends, watched=kit.watched(sandbox))
    with pytest.raises(ConfigurationError, match="_API_KEY") as caught:
        desk.generate("a fox", model=model)
    assert caught.value.provider == model.partition(":")[0]
    assert desk.sent == []


def test_a_wrong_key_is_an_authentication_error(kit: Any, time: FakeClock, model: str) -> None:
    sandbox = Sandbox(keys=["another key"], clock=time.epoch)
    with pytest.raises(AuthenticationError) as caught:
        kit.on(sandbox, clock=time).generate("a fox", model=model)
    assert caught.value.charged == "no"
    assert sandbox.submissions == []


def test_keys_and_hosts_come_from_the_environment(
    kit: Any, monkeypatch: pytest.MonkeyPatch, time: FakeClock, model: str
) -> None:
    sandbox = Sandbox(keys=[KEY], clock=time.epoch)
    for name in ("MINIMAX", "WAVESPEED"):
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
    monkeypatch.setenv("MINIMAX_API_HOST", sandbox.origin)
    monkeypatch.setenv("WAVESPEED_BASE_URL", sandbox.origin)
    desk = kit.desk(watched=kit.watched(sandbox, time), clock=time)
    assert len(desk.generate("a fox", model=model).images) == 1


def test_what_is_wrong_with_one_backend_of_the_environment_does_not_stop_the_other(
    kit: Any, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, time: FakeClock
) -> None:
    monkeypatch.setenv("MINIMAX_API_KEY", "two words")
    monkeypatch.setenv("WAVESPEED_API_KEY", KEY)
    monkeypatch.setenv("WAVESPEED_BASE_URL", sandbox.origin)
    desk = kit.desk(watched=kit.watched(sandbox, time), clock=time)
    assert len(desk.generate("a fox", model=WAVESPEED).images) == 1
    with pytest.raises(ConfigurationError) as caught:
        desk.generate("a fox", model=MINIMAX)
    assert (caught.value.provider, caught.value.field) == ("minimax", "api_key")


def test_the_one_liner_takes_everything_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox = Sandbox(keys=[KEY])
    with sandbox.running() as origin:
        monkeypatch.setenv("MINIMAX_API_KEY", KEY)
        monkeypatch.setenv("MINIMAX_API_HOST", origin)
        generation = imagegen.generate(
            "a fox", model=MINIMAX, timeout=30, max_cost="1", n=2, size="700x701", fit="nearest"
        )
    assert len(generation.images) == 2
    assert sandbox.submissions[0].body["width"] == 704


# Events


def test_events_are_told_in_order(kit: Any, sandbox: Sandbox, time: FakeClock) -> None:
    told: list[Event] = []
    desk = kit.on(sandbox, clock=time, on_event=told.append)
    sandbox.inject(Fault("http", status=503, step="poll"))
    generation = desk.generate("a fox", model=WAVESPEED)
    leaving, first, *middle, last = told
    assert leaving == Submitting("wavespeed", "minimax/image-01", 1)
    assert isinstance(first, Submitted)
    assert first.job.id == generation.job.id
    assert isinstance(last, Settled)
    assert last.generation.images == generation.images
    statuses = [event.status for event in middle if isinstance(event, Polled)]
    assert len(statuses) == len(middle)
    assert statuses[0] == "no answer"
    assert set(statuses[1:-1]) == {"processing"}
    assert statuses[-1] == "completed"


def test_each_part_is_told_submitted_then_settled(
    kit: Any, sandbox: Sandbox, time: FakeClock, model: str
) -> None:
    told: list[Event] = []
    kit.on(sandbox, clock=time, on_event=told.append).generate(
        ImageRequest("a fox", n=20), model=model
    )
    submitted = [event.job.id for event in told if isinstance(event, Submitted)]
    settled = [event.generation for event in told if isinstance(event, Settled)]
    assert sorted(generation.request.n for generation in settled) == [2, 9, 9]
    assert sorted(submitted) == sorted(str(g.attempts[0].request_id) for g in settled)
    assert set(submitted) == {submission.id for submission in sandbox.submissions}


def test_a_submission_is_told_too(kit: Any, sandbox: Sandbox, time: FakeClock, model: str) -> None:
    told: list[Event] = []
    job = kit.on(sandbox, clock=time, on_event=told.append).submit("a fox", model=model)
    assert [event for event in told if isinstance(event, Submitted)] == [Submitted(job)]


@pytest.mark.parametrize("n", [1, 20])
def test_an_exception_of_the_listener_is_logged_and_changes_nothing(
    provider_sandbox: Sandbox, kit: Any, model: str, n: int, caplog: pytest.LogCaptureFixture
) -> None:
    def listen(_: Event) -> None:
        raise LookupError("mine")

    provider_sandbox.latency = 0.0
    desk = kit.on(provider_sandbox, on_event=listen)
    assert len(desk.generate(ImageRequest("a fox", n=n), model=model).images) == n
    assert "LookupError: mine" in caplog.text


def test_ctrl_c_in_a_listener_ends_the_call_and_names_every_job_accepted(
    sandbox: Sandbox, time: FakeClock
) -> None:
    jobs: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Submitted):
            jobs.append(event.job.id)
        if len(jobs) == 3:
            raise KeyboardInterrupt

    with (
        sandbox.client(clock=time, on_event=listen) as client,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        client.generate(ImageRequest("a fox", n=20), model=WAVESPEED)
    notes = " ".join(caught.value.__notes__)
    assert all(job in notes for job in jobs)


@pytest.mark.parametrize("verb", ["generate", "submit"])
def test_ctrl_c_in_a_split_names_every_job_accepted(verb: str) -> None:
    """Of two parts, one is accepted, the other is not answered yet."""
    late = Fault("late", step="submit", seconds=1.0, after=1)
    sandbox = Sandbox(latency=0.6, faults=[late])
    main = threading.get_ident()
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    with sandbox.client(timeout=5) as client:
        timer.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            getattr(client, verb)(ImageRequest("a fox", n=18), model=WAVESPEED)
        timer.join()
    notes = " ".join(getattr(caught.value, "__notes__", ()))
    assert sandbox.submissions[0].id in notes
    assert "may be billed" in notes


def test_ctrl_c_begins_no_further_part() -> None:
    sandbox = Sandbox(latency=0.6)
    main = threading.get_ident()
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    with sandbox.client(timeout=5) as client:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            client.generate(ImageRequest("a fox", n=9 * 40), model=MINIMAX)
        timer.join()
        begun = len(sandbox.submissions)
        real_time.sleep(0.6)
    assert begun == len(sandbox.submissions) < 40


# Fetching and saving


def test_an_expired_url_fails_to_be_saved_and_the_others_are_saved(
    desk: Any, sandbox: Sandbox, model: str, tmp_path: Path
) -> None:
    generation = desk.generate(ImageRequest("a fox", n=3), model=model)
    sandbox.inject(Fault("expired", after=1))
    with pytest.raises(ProviderUnavailableError, match="403") as caught:
        desk.save(generation, tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 2
    (note,) = caught.value.__notes__
    assert all(name in note for name in written)
    assert caught.value.charged == "yes"


def test_after_its_time_no_picture_can_be_saved(
    desk: Any, time: FakeClock, model: str, tmp_path: Path
) -> None:
    generation = desk.generate("a fox", model=model)
    assert generation.images[0].expires_at is not None
    assert timedelta() < generation.images[0].expires_at - time.now() <= timedelta(hours=24)
    time.sleep(90_000)
    with pytest.raises(ProviderUnavailableError, match="expires") as caught:
        desk.save(generation, tmp_path)
    assert "nothing" in caught.value.__notes__[0]
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_fetched_keeps_its_url_with_a_notice(
    desk: Any, sandbox: Sandbox, model: str
) -> None:
    generation = desk.generate(ImageRequest("a fox", n=2), model=model)
    sandbox.inject(Fault("expired"))
    filled = desk.fetch(generation)
    assert sorted(image.data is None for image in filled.images) == [False, True]
    (notice,) = filled.notices
    assert "could not be fetched" in notice.message
    assert "Signature" not in notice.message
    assert len(desk.fetch(filled).images) == 2


def test_a_download_that_fails_in_passing_is_tried_again(
    desk: Any, sandbox: Sandbox, model: str, tmp_path: Path
) -> None:
    generation = desk.generate("a fox", model=model)
    sandbox.inject(Fault("http", step="download", status=503), Fault("drop", step="download"))
    assert len(desk.save(generation, tmp_path)) == 1


def test_bytes_that_could_not_be_fetched_in_time_keep_their_urls(
    desk: Any, sandbox: Sandbox
) -> None:
    """A model without base64 output: the pictures are fetched by their URLs."""
    sandbox.inject(Fault("slow", step="download", seconds=1000.0, times=None))
    request = ImageRequest("a fox", output="bytes")
    generation = desk.generate(request, model="wavespeed:vidu/text-to-image-q2")
    assert [image.data for image in generation.images] == [None]
    assert [image.url is None for image in generation.images] == [False]
    assert "could not be fetched" in generation.notices[-1].message
    assert posts(desk) == 1


def test_an_empty_generation_is_saved_as_no_files(desk: Any, tmp_path: Path) -> None:
    empty = Generation(provider="minimax", model="image-01", request=ImageRequest("a fox"))
    assert desk.save(empty, tmp_path) == []
    assert desk.fetch(empty) == empty


def test_an_image_with_neither_url_nor_bytes_cannot_be_saved(desk: Any, tmp_path: Path) -> None:
    generation = Generation(
        images=(GeneratedImage(),),
        provider="minimax",
        model="image-01",
        request=ImageRequest("a fox"),
    )
    with pytest.raises(MalformedReplyError, match="neither bytes nor a url"):
        desk.save(generation, tmp_path)


def test_a_generation_read_back_from_json_can_be_saved(
    desk: Any, model: str, tmp_path: Path
) -> None:
    text = desk.generate(ImageRequest("a fox", n=2), model=model).to_json()
    assert len(desk.save(Generation.from_json(text), tmp_path)) == 2


# Threads


def test_one_client_serves_many_threads() -> None:
    sandbox = Sandbox(latency=0.05)
    with sandbox.client(timeout=30) as client, ThreadPoolExecutor(16) as pool:
        results = list(
            pool.map(
                lambda seed: client.generate(ImageRequest("a fox", n=10, seed=seed), model=MINIMAX),
                range(0, 320, 10),
            )
        )
    for seed, generation in zip(range(0, 320, 10), results, strict=True):
        assert [image.seed for image in generation.images] == [seed] * 9 + [seed + 9]
    assert len(sandbox.submissions) == 64


def test_threads_share_the_connections_of_one_client_on_a_port() -> None:
    sandbox = Sandbox(latency=0.02)
    with sandbox.running() as origin:
        backends = [MiniMax(api_key="k", base_url=origin)]
        with Client(backends, timeout=30) as client, ThreadPoolExecutor(16) as pool:
            results = list(pool.map(lambda _: client.generate("a fox"), range(64)))
    assert all(len(generation.images) == 1 for generation in results)
    assert len(sandbox.submissions) == 64


def test_parts_do_not_wait_for_each_other() -> None:
    sandbox = Sandbox(latency=0.3)
    started = real_time.monotonic()
    with sandbox.client(timeout=30) as client:
        client.generate(ImageRequest("a fox", n=9 * 20), model=MINIMAX)
    assert real_time.monotonic() - started < 3.0


# Secrets


def _tell_all(error: BaseException) -> str:
    """Show an error, its causes and the local variables of our own frames."""
    parts: list[str] = []
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is None:
            continue
        parts += [f"{link!r} {link} {vars(link)}"]
        frames = [frame for frame, _ in traceback.walk_tb(link.__traceback__)]
        ours = [frame for frame in frames if "/imagegen/" in frame.f_code.co_filename]
        parts += [f"{frame.f_code.co_name} {frame.f_locals}" for frame in ours]
        chain += [link.__cause__, link.__context__]
    return "\n".join(parts)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("rate_limit"),
        Fault("drop", step="submit"),
        Fault("drop", step="submit", accepted=True),
        Fault("http", status=500, message=f"no user of {KEY}"),
        Fault("code", code=1004, message=f"key {KEY} is bad"),
        Fault("garbage", shape="text"),
    ],
)
def test_no_error_shows_the_key(
    kit: Any, time: FakeClock, model: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox = Sandbox(keys=[KEY], clock=time.epoch, faults=[fault])
    backends = [
        MiniMax(api_key=KEY, base_url=sandbox.origin),
        WaveSpeed(api_key=KEY, base_url=sandbox.origin),
    ]
    desk = kit.desk(backends, watched=kit.watched(sandbox, time), clock=time, retries=None)
    with pytest.raises(ImageGenError) as caught:
        desk.generate(ImageRequest("a fox", n=2), model=model)
    told = _tell_all(caught.value)
    assert "generate {'self'" in told
    assert KEY not in told
    assert KEY not in caplog.text


def test_no_repr_shows_the_key(kit: Any) -> None:
    backends = [MiniMax(api_key=KEY), WaveSpeed(api_key=KEY)]
    desk = kit.desk(backends)
    shown = [repr(backends), str(backends), repr(desk.client), repr(vars(desk.client))]
    assert not [text for text in shown if KEY in text]
    assert KEY not in repr(vars(vars(desk.client)["_driver"]))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("ключ-0123456789-abc", id="cyrillic"),
        pytest.param("sk-canary\u200b0123456789", id="zero-width"),
        pytest.param("sk-canary\n0123456789", id="line-break"),
        pytest.param("sk-canary\x000123456789", id="zero"),
    ],
)
def test_a_key_that_no_header_can_carry_is_a_configuration_error_that_does_not_show_it(
    kit: Any, time: FakeClock, key: str
) -> None:
    sandbox = Sandbox(clock=time.epoch)
    with pytest.raises(ConfigurationError) as caught:
        kit.desk(
            [MiniMax(api_key=key, base_url=sandbox.origin)],
            watched=kit.watched(sandbox, time),
            clock=time,
        ).generate("a fox")
    assert key not in f"{caught.value} {caught.value!r}"
    assert sandbox.submissions == []


def test_a_key_echoed_in_a_trace_id_is_not_shown(kit: Any, time: FakeClock) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        echoed = request.headers["authorization"]
        body = httpx.ByteStream(b"oops")
        return httpx.Response(500, headers={"Trace-Id": echoed}, stream=body)

    transport = httpx.MockTransport(answer)
    desk = kit.desk([MiniMax(api_key=KEY)], watched=kit.watched(transport), clock=time)
    with pytest.raises(ImageGenError) as caught:
        desk.generate("a fox")
    assert KEY not in _tell_all(caught.value)


# Lifetime


def test_a_client_closes_its_connections(kit: Any) -> None:
    """An unclosed socket would be a ResourceWarning, and so an error."""
    sandbox = Sandbox()
    with sandbox.running() as origin:
        desk = kit.desk([MiniMax(api_key="k", base_url=origin)], timeout=30)
        desk.generate("a fox")
        desk.close()
        desk.close()
        with pytest.raises(ConfigurationError, match="closed"):
            desk.generate("a fox")


def test_any_transport_of_httpx_may_stand_for_the_network(kit: Any, time: FakeClock) -> None:
    refusal = {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=refusal))
    desk = kit.desk([MiniMax(api_key=KEY)], watched=kit.watched(transport), clock=time)
    with pytest.raises(RateLimitError):
        desk.generate("a fox")


def test_a_settled_job_with_nothing_in_it_is_a_typed_error(desk: Any) -> None:
    """JSON that somebody else wrote may say so."""
    request = ImageRequest("a fox")
    empty = Generation(provider="minimax", model="image-01", request=request)
    job = Job(provider="minimax", model="image-01", id="7", request=request, settled=empty)
    with pytest.raises(ImageGenError):
        desk.result(Job.from_json(job.to_json()))


@pytest.mark.parametrize("name", ["Any", "no class", "AllRoutesFailedError", "Sequence"])
def test_a_settled_failure_of_an_unknown_name_is_a_typed_error(desk: Any, name: str) -> None:
    request = ImageRequest("a fox")
    failures = (ImageFailure(error=name, message="made up"),)
    empty = Generation(provider="minimax", model="m", request=request, failures=failures)
    job = Job(provider="minimax", model="m", id="7", request=request, settled=empty)
    with pytest.raises(ImageGenError, match="made up"):
        desk.result(Job.from_json(job.to_json()))


@pytest.mark.parametrize(
    ("options", "field"),
    [({"retries": 3}, "retries"), ({"ledger": "ledger.db"}, "ledger")],
)
def test_an_option_of_another_type_is_refused_at_once(
    kit: Any, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{field} must be a") as caught:
        kit.desk([MiniMax(api_key="k")], **options)
    assert caught.value.field == field
