"""One span for each paid submission, whatever becomes of it and whoever works on it."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from imagegen import Client, ImageRequest, MiniMax, Retries, Route
from imagegen.errors import (
    AllRoutesFailedError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    JobFailedError,
    RateLimitError,
    SubmissionUnknownError,
)
from imagegen.events import Event, Failed, Polled, Settled, Submitted, Submitting
from imagegen.limits import Limits
from imagegen.sandbox import Fault, Sandbox
from imagegen.telemetry import OpenTelemetry
from imagegen.testing import FakeClock

if TYPE_CHECKING:
    from tests.conftest import Desk, Kit

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
FOX = ImageRequest("a fox")


class Recorder:
    """Spans as an exporter gets them."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The finished spans of submissions, in the order in which they ended."""
        finished = self.exporter.get_finished_spans()
        return tuple(span for span in finished if span.kind is SpanKind.CLIENT)

    def one(self) -> ReadableSpan:
        (span,) = self.spans
        return span


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.provider.shutdown()


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def desk(
    kit: Kit, recorder: Recorder, sandbox: Sandbox, then: Any = None, **options: Any
) -> tuple[Desk, OpenTelemetry]:
    spans = OpenTelemetry(recorder.provider, then)
    return kit.on(sandbox, on_event=spans, **options), spans


def interrupt() -> None:
    """Stop the thread as Ctrl-C does, or cancel the task."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        raise KeyboardInterrupt from None
    assert task is not None
    task.cancel()


class Interrupting:
    """Interrupts at the first event of a kind."""

    def __init__(self, kind: type[Event]) -> None:
        self._kind = kind
        self._done = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, self._kind) and not self._done:
            self._done = True
            interrupt()


def test_a_generation_is_a_span_by_the_conventions(kit: Kit, recorder: Recorder) -> None:
    client, _ = desk(kit, recorder, Sandbox())
    made = client.generate(ImageRequest("a fox", n=2), model=MINIMAX)
    span = recorder.one()
    assert (span.name, span.kind) == ("generate_content image-01", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert told(span) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.output.type": "image",
        "gen_ai.provider.name": "minimax",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.model": "image-01",
        "gen_ai.response.id": made.images[0].request_id,
        "gen_ai.response.model": "image-01",
        "imagegen.charged": "yes",
        "imagegen.cost.amount": 0.007,
        "imagegen.cost.basis": "list-price",
        "imagegen.cost.currency": "USD",
        "imagegen.images": 2,
    }
    scope = span.instrumentation_scope
    assert scope is not None
    assert scope.name == "imagegen"


def test_a_polled_generation_is_one_span_until_its_pictures_come(
    kit: Kit, recorder: Recorder
) -> None:
    client, _ = desk(kit, recorder, Sandbox(latency=0.1))
    made = client.generate(FOX, model=WAVESPEED)
    span = recorder.one()
    assert made.job is not None
    assert told(span)["gen_ai.response.id"] == made.job.id
    assert told(span)["gen_ai.request.model"] == "minimax/image-01"
    assert told(span)["gen_ai.response.model"] == "minimax/image-01/text-to-image"
    assert 0.1 <= seconds(span) < 5


def test_an_unknown_price_is_left_out(kit: Kit, recorder: Recorder) -> None:
    client, _ = desk(kit, recorder, Sandbox())
    model = "wavespeed:openai/gpt-image-1.5/text-to-image"
    made = client.generate(FOX, model=model)
    assert made.cost.amount is None
    assert not [name for name in told(recorder.one()) if name.startswith("imagegen.cost")]


def test_a_refusal_is_an_error_that_cost_nothing(kit: Kit, recorder: Recorder) -> None:
    client, _ = desk(kit, recorder, Sandbox(faults=[Fault("insufficient_balance")]))
    with pytest.raises(InsufficientBalanceError):
        client.generate(FOX, model=MINIMAX)
    span = recorder.one()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert told(span)["error.type"] == "InsufficientBalanceError"
    assert told(span)["imagegen.charged"] == "no"
    assert told(span)["imagegen.cost.amount"] == 0
    assert told(span)["imagegen.images"] == 0
    assert "gen_ai.response.id" not in told(span)


def test_a_lost_answer_is_a_span_of_unknown_charge(kit: Kit, recorder: Recorder) -> None:
    client, _ = desk(kit, recorder, Sandbox(faults=[Fault("drop", accepted=True)]))
    with pytest.raises(SubmissionUnknownError):
        client.generate(FOX, model=MINIMAX)
    span = recorder.one()
    assert told(span)["error.type"] == "SubmissionUnknownError"
    assert told(span)["imagegen.charged"] == "unknown"
    assert "imagegen.cost.amount" not in told(span)


@pytest.mark.parametrize("step", ["submit", "poll"])
def test_a_job_that_fails_ends_its_span_with_the_job(
    kit: Kit, recorder: Recorder, step: Any
) -> None:
    client, _ = desk(kit, recorder, Sandbox(faults=[Fault("prediction_status", step=step)]))
    with pytest.raises(JobFailedError) as caught:
        client.generate(FOX, model=WAVESPEED)
    assert caught.value.job is not None
    assert told(recorder.one())["gen_ai.response.id"] == caught.value.job.id
    assert told(recorder.one())["error.type"] == "JobFailedError"
    assert told(recorder.one())["imagegen.charged"] == "no"


def test_a_deadline_while_polling_is_charged_at_the_list_price(
    kit: Kit, recorder: Recorder
) -> None:
    clock = FakeClock()
    sandbox = Sandbox(latency=1000, clock=clock.epoch)
    client, _ = desk(kit, recorder, sandbox, clock=clock)
    with pytest.raises(DeadlineExceededError):
        client.generate(FOX, model=WAVESPEED, timeout=60)
    span = recorder.one()
    assert told(span)["error.type"] == "DeadlineExceededError"
    assert told(span)["imagegen.charged"] == "yes"
    assert told(span)["imagegen.cost.amount"] > 0


def test_each_repetition_has_a_span_that_does_not_count_the_wait(
    kit: Kit, recorder: Recorder
) -> None:
    sandbox = Sandbox(faults=[Fault("rate_limit", retry_after=0.3)])
    client, _ = desk(kit, recorder, sandbox, retries=Retries())
    client.generate(FOX, model=MINIMAX)
    refused, made = recorder.spans
    assert told(refused)["error.type"] == "RateLimitError"
    assert told(refused)["imagegen.charged"] == "no"
    (event,) = refused.events
    assert event.name == "imagegen.retry"
    assert (event.attributes or {})["imagegen.retry.wait"] >= 0.3  # type: ignore[operator]
    assert event.timestamp == refused.end_time
    assert refused.end_time is not None
    assert made.start_time is not None
    assert made.start_time - refused.end_time >= 0.3e9
    assert told(made)["imagegen.images"] == 1


def test_a_span_never_ends_before_it_began_whatever_the_clock_says(
    kit: Kit, recorder: Recorder
) -> None:
    clock = FakeClock()
    sandbox = Sandbox(clock=clock.epoch, faults=[Fault("rate_limit", retry_after=50)])
    client, _ = desk(kit, recorder, sandbox, clock=clock, retries=Retries())
    client.generate(FOX, model=MINIMAX)
    assert seconds(recorder.spans[0]) == 0


def test_each_model_of_a_route_has_a_span(kit: Kit, recorder: Recorder) -> None:
    sandbox = Sandbox(faults=[Fault("rate_limit", provider="minimax")])
    client, _ = desk(kit, recorder, sandbox)
    client.generate(FOX, model=Route(models=[MINIMAX, WAVESPEED]))
    providers = [told(span)["gen_ai.provider.name"] for span in recorder.spans]
    assert providers == ["minimax", "wavespeed"]


def test_a_route_of_failures_has_no_other_spans(kit: Kit, recorder: Recorder) -> None:
    client, _ = desk(kit, recorder, Sandbox(faults=[Fault("rate_limit", times=None)]))
    with pytest.raises(AllRoutesFailedError):
        client.generate(FOX, model=Route(models=[MINIMAX, WAVESPEED]))
    assert [told(span)["error.type"] for span in recorder.spans] == ["RateLimitError"] * 2


def test_the_callers_span_is_the_parent(kit: Kit, recorder: Recorder) -> None:
    client, _ = desk(kit, recorder, Sandbox())
    tracer = recorder.provider.get_tracer("application")
    with tracer.start_as_current_span("request") as around:
        client.generate(FOX, model=MINIMAX)
    assert parent(recorder.one()) == around.get_span_context().span_id


def test_the_callers_span_is_the_parent_of_every_part_of_a_split_request(
    kit: Kit, recorder: Recorder
) -> None:
    client, _ = desk(kit, recorder, Sandbox(latency=0.05))
    tracer = recorder.provider.get_tracer("application")
    with tracer.start_as_current_span("request") as around:
        made = client.generate(ImageRequest("a fox", n=20), model=WAVESPEED)
    spans = recorder.spans
    assert {parent(span) for span in spans} == {around.get_span_context().span_id}
    ids = {job.id for job in made.job.parts} if made.job else set()
    assert len(ids) > 1
    assert {told(span)["gen_ai.response.id"] for span in spans} == ids
    assert sum(told(span)["imagegen.images"] for span in spans) == 20


def test_calls_of_several_threads_do_not_mix(recorder: Recorder) -> None:
    tracer = recorder.provider.get_tracer("application")
    parents: dict[str, int] = {}
    with Sandbox(latency=0.05).client(on_event=OpenTelemetry(recorder.provider)) as client:

        def call(model: str) -> None:
            with tracer.start_as_current_span(model) as around:
                made = client.generate(FOX, model=model)
            assert made.attempts[0].request_id
            parents[made.attempts[0].request_id] = around.get_span_context().span_id

        threads = [threading.Thread(target=call, args=(MINIMAX,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(parents) == 8
    found = {told(span)["gen_ai.response.id"]: parent(span) for span in recorder.spans}
    assert found == parents


async def _gathered(recorder: Recorder) -> dict[str, int]:
    tracer = recorder.provider.get_tracer("application")
    parents: dict[str, int] = {}
    spans = OpenTelemetry(recorder.provider)
    async with Sandbox(latency=0.05).async_client(on_event=spans) as client:

        async def call() -> None:
            with tracer.start_as_current_span("request") as around:
                made = await client.generate(FOX, model=MINIMAX)
            assert made.attempts[0].request_id
            parents[made.attempts[0].request_id] = around.get_span_context().span_id

        await asyncio.gather(*(call() for _ in range(8)))
    return parents


def test_calls_of_several_tasks_do_not_mix(recorder: Recorder) -> None:
    parents = asyncio.run(_gathered(recorder))
    assert len(parents) == 8
    found = {told(span)["gen_ai.response.id"]: parent(span) for span in recorder.spans}
    assert found == parents


def test_waiting_for_a_stored_job_is_no_submission(kit: Kit, recorder: Recorder) -> None:
    sandbox = Sandbox()
    job = kit.on(sandbox).submit(FOX, model=WAVESPEED)
    client, spans = desk(kit, recorder, sandbox)
    client.result(job)
    spans.close()
    assert recorder.spans == ()


def test_what_the_limits_keep_back_is_no_submission(kit: Kit, recorder: Recorder) -> None:
    clock = FakeClock()
    sandbox = Sandbox(clock=clock.epoch)
    minimax = MiniMax(api_key="sandbox", base_url=sandbox.origin, limits=Limits(per_minute=1))
    spans = OpenTelemetry(recorder.provider)
    client = kit.desk(
        [minimax], watched=kit.watched(sandbox, clock), clock=clock, on_event=spans, timeout=10
    )
    client.generate(FOX)
    with pytest.raises(DeadlineExceededError):
        client.generate(FOX)
    assert len(recorder.spans) == len(sandbox.submissions) == 1


@pytest.mark.parametrize("model", [MINIMAX, WAVESPEED])
def test_a_plain_submission_ends_when_its_job_was_known(
    kit: Kit, recorder: Recorder, model: str
) -> None:
    client, spans = desk(kit, recorder, Sandbox(latency=0.2))
    job = client.submit(FOX, model=model)
    client.generate(FOX, model=WAVESPEED)
    spans.close()
    plain, _ = recorder.spans
    assert told(plain)["gen_ai.response.id"] == job.id
    assert told(plain)["imagegen.charged"] == "yes"
    assert plain.status.status_code is StatusCode.UNSET
    if model == WAVESPEED:
        assert seconds(plain) < 0.2


def test_a_plain_submission_is_not_mixed_with_the_result_of_another(
    kit: Kit, recorder: Recorder
) -> None:
    sandbox = Sandbox()
    earlier = kit.on(sandbox).submit(FOX, model=WAVESPEED)
    client, spans = desk(kit, recorder, sandbox)
    job = client.submit(FOX, model=WAVESPEED)
    client.result(earlier)
    spans.close()
    assert told(recorder.one())["gen_ai.response.id"] == job.id
    assert "imagegen.images" not in told(recorder.one())


@pytest.mark.parametrize("kind", [Submitted, Polled])
def test_a_call_cut_off_after_it_was_accepted_leaves_a_span_with_its_job(
    kit: Kit, recorder: Recorder, kind: type[Event]
) -> None:
    sandbox = Sandbox(latency=0.2)
    client, _ = desk(kit, recorder, sandbox, then=Interrupting(kind))
    with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
        client.generate(FOX, model=WAVESPEED)
    assert [*recorder.spans] == []
    client.generate(FOX, model=WAVESPEED)
    cut, whole = recorder.spans
    assert told(cut)["gen_ai.response.id"] == sandbox.submissions[0].id
    assert told(cut)["imagegen.charged"] == "yes"
    assert cut.end_time is not None
    assert whole.start_time is not None
    assert cut.end_time <= whole.start_time
    assert told(whole)["imagegen.images"] == 1


def test_a_call_cut_off_before_it_was_accepted_is_an_error_of_unknown_charge(
    kit: Kit, recorder: Recorder
) -> None:
    client, spans = desk(kit, recorder, Sandbox(latency=0.05), then=Interrupting(Submitting))
    with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
        client.generate(FOX, model=MINIMAX)
    spans.close()
    assert told(recorder.one())["error.type"] == "interrupted"
    assert told(recorder.one())["imagegen.charged"] == "unknown"


def test_closing_ends_each_span_once(kit: Kit, recorder: Recorder) -> None:
    spans = OpenTelemetry(recorder.provider)
    with spans:
        kit.on(Sandbox(), on_event=spans).submit(FOX, model=WAVESPEED)
        assert recorder.spans == ()
    spans.close()
    assert len(recorder.spans) == 1


def test_the_next_listener_hears_every_event(kit: Kit, recorder: Recorder) -> None:
    heard: list[Event] = []
    client, _ = desk(kit, recorder, Sandbox(), then=heard.append)
    client.generate(FOX, model=WAVESPEED)
    kinds = [type(event) for event in heard]
    assert kinds[:2] == [Submitting, Submitted]
    assert kinds[-1] is Settled
    assert Polled in kinds


def test_the_next_listener_hears_of_failures(kit: Kit, recorder: Recorder) -> None:
    heard: list[Event] = []
    client, _ = desk(kit, recorder, Sandbox(faults=[Fault("rate_limit")]), then=heard.append)
    with pytest.raises(RateLimitError):
        client.generate(FOX, model=MINIMAX)
    assert isinstance(heard[-1], Failed)


class Broken(SpanProcessor):
    """Fails whatever is done with it."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise ValueError("broken")

    def on_end(self, span: Any) -> None:
        raise ValueError("broken")


def test_a_broken_tracer_costs_no_picture_and_no_event(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken())
    heard: list[Event] = []
    with caplog.at_level(logging.ERROR, "imagegen"):
        client = kit.on(Sandbox(), on_event=OpenTelemetry(provider, heard.append))
        assert client.generate(FOX, model=WAVESPEED).images
    assert "on_event failed" in caplog.text
    assert isinstance(heard[-1], Settled)


def test_spans_that_are_not_sampled_are_no_trouble(kit: Kit) -> None:
    spans = OpenTelemetry(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    assert kit.on(Sandbox(), on_event=spans).generate(FOX, model=WAVESPEED).images
    spans.close()


def test_the_global_provider_is_used_unless_another_is_given(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorder.provider)
    with Sandbox().client(on_event=OpenTelemetry()) as client:
        client.generate(FOX, model=MINIMAX)
    assert recorder.one().name == "generate_content image-01"


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "imagegen.telemetry")
    with pytest.raises(ImportError, match=r"pip install 'imagegen-client\[otel\]'"):
        importlib.import_module("imagegen.telemetry")


def test_a_client_without_spans_does_not_load_the_library() -> None:
    assert Client.__module__ == "imagegen.client.blocking"
    source = "import sys, imagegen.client; assert 'opentelemetry' not in sys.modules"
    import subprocess

    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)


def test_every_submission_that_was_billed_has_exactly_one_span(kit: Kit) -> None:
    """Whatever goes wrong, spans and the provider's own log agree."""
    for fault in (
        Fault("drop", accepted=True),
        Fault("garbage", shape="truncated"),
        Fault("http", status=502, accepted=True),
        Fault("moderated"),
        Fault("missing"),
        Fault("outputs", step="submit", shape="null"),
    ):
        recorder, sandbox = Recorder(), Sandbox(faults=[fault])
        client, spans = desk(kit, recorder, sandbox)
        for model in (MINIMAX, WAVESPEED):
            try:
                client.generate(ImageRequest("a fox", n=1), model=model)
            except ImageGenError as error:
                assert told(recorder.spans[-1])["imagegen.charged"] == error.charged  # noqa: PT017
        assert len(recorder.spans) == len(sandbox.submissions) == 2
        spans.close()
        assert len(recorder.spans) == 2
        recorder.provider.shutdown()


def test_a_later_failure_is_not_taken_for_that_of_a_call_cut_off(
    kit: Kit, recorder: Recorder
) -> None:
    clock = FakeClock()
    sandbox = Sandbox(latency=5, clock=clock.epoch)
    minimax = MiniMax(api_key="sandbox", base_url=sandbox.origin, limits=Limits(per_minute=1))
    spans = OpenTelemetry(recorder.provider, Interrupting(Submitted))
    client = kit.desk(
        [minimax], watched=kit.watched(sandbox, clock), clock=clock, on_event=spans, timeout=10
    )
    with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
        client.generate(FOX)
    with pytest.raises(DeadlineExceededError):
        client.generate(FOX)
    spans.close()
    span = recorder.one()
    assert told(span)["gen_ai.response.id"] == sandbox.submissions[0].id
    assert told(span)["imagegen.charged"] == "yes"
    assert "error.type" not in told(span)
