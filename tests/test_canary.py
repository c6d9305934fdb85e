"""A canary key, and a canary prompt that is to be hidden, go through everything; neither sings."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import httpcore
import httpx
import pytest
from attrs import field, frozen
from click.testing import CliRunner
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import imagegen
from imagegen import Client, ImageRequest, Ledger, MiniMax, Retries, Route, WaveSpeed
from imagegen.cli.commands import imagegen as command
from imagegen.errors import ImageGenError
from imagegen.events import Event
from imagegen.redaction import hide_prompts, prompts_hidden
from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Provider
from imagegen.sandbox.faults import _SHAPES, _STEPS
from imagegen.telemetry import OpenTelemetry
from imagegen.testing import FakeClock

if TYPE_CHECKING:
    from tests.conftest import Desk, Kit

MODELS: dict[Provider, str] = {
    "minimax": "minimax:image-01",
    "wavespeed": "wavespeed:minimax/image-01",
}
ROUTE = Route(models=list(MODELS.values()), on_unknown="spend")
LIBRARIES = tuple(
    str(Path(module.__file__ or "").parent) + os.sep for module in (imagegen, httpx, httpcore)
)
WORDS = ("vermilion", "lighthouse", "cormorant")
SANDBOX = f"{LIBRARIES[0]}sandbox{os.sep}"


def key() -> str:
    """The canary key; made here, so that no line of a test's source holds it."""
    return f"sk-canary-{0x5F0C77D1E92B:x}"


def prompt() -> str:
    """The canary prompt; its words occur nowhere else."""
    return "a {} {} between {}s".format(*WORDS)


def quotes(text: str) -> list[str]:
    """Which words of the canary prompt *text* has."""
    return [word for word in WORDS if word in text.casefold()]


@frozen
class Told:
    """Everything that was told, and where."""

    private: list[tuple[str, str]] = field(factory=list[tuple[str, str]])
    """What must hold neither the key nor the prompt."""
    request: list[tuple[str, str]] = field(factory=list[tuple[str, str]])
    """What is the request itself: the prompt may be in it."""

    def add(self, where: str, *values: object) -> None:
        self.private.extend((where, str(value)) for value in values)

    def value(self, where: str, value: Any) -> None:
        """A public object, in every form that it is given on."""
        copied = copy.deepcopy(value), pickle.loads(pickle.dumps(value))  # noqa: S301 - ours
        self.add(where, repr(value), f"{value}", *map(repr, copied))
        self.request.append((f"{where} pickled", repr(pickle.dumps(value))))
        if hasattr(value, "to_json"):
            self.request.append((f"{where} as JSON", value.to_json()))

    def error(self, error: BaseException) -> None:
        """An error, everything that hangs on it, and what a debugger shows of our frames."""
        self.add("traceback", "".join(traceback.format_exception(error)))
        for each in linked(error):
            where = type(each).__name__
            self.add(where, str(each), repr(each), repr(each.args), getattr(each, "__notes__", ""))
            if isinstance(each, ImageGenError):
                self.add(f"vars of {where}", repr(vars(each)))
            self.private.extend(in_frames(each))
        if isinstance(error, ImageGenError):
            self.value(type(error).__name__, error)

    def files(self, directory: Path) -> None:
        for path in directory.rglob("*"):
            self.add("file name", path.name)
            if path.is_file():
                self.add(path.name, path.read_bytes().decode("latin-1"))

    def check(self) -> None:
        leaks = [where for where, text in [*self.private, *self.request] if key() in text]
        assert leaks == [], "the key is in these"
        found = {(where, *quotes(text)) for where, text in self.private if quotes(text)}
        assert found == set(), "the prompt is in these"


def linked(error: BaseException | None, seen: tuple[int, ...] = ()) -> Iterator[BaseException]:
    """*error*, its causes and contexts, shown or not, and the members of groups."""
    if error is None or id(error) in seen:
        return
    yield error
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for other in (error.__cause__, error.__context__, *members):
        yield from linked(other, (*seen, id(error)))


def in_frames(error: BaseException) -> Iterator[tuple[str, str]]:
    """The locals of our frames and of the HTTP libraries'; a test's own hold the key, naturally."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if file.startswith(LIBRARIES) and not file.startswith(SANDBOX):
            shown = {name: as_shown(value) for name, value in frame.f_locals.items()}
            yield f"locals of {frame.f_code.co_qualname}", str(shown)


def as_shown(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # of an object whose making failed
        return type(value).__name__


@pytest.fixture(autouse=True)
def hidden() -> Iterator[None]:
    before = prompts_hidden()
    hide_prompts()
    yield
    hide_prompts(hide=before)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Told]:
    """What the test tells, with all logs; checked at the end."""
    told = Told()
    with caplog.at_level(logging.DEBUG):
        yield told
        told.add("logs", caplog.text)
    told.check()


@pytest.mark.parametrize("song", [f"Bearer {key()}", f"refused: {prompt().upper()}"])
def test_a_canary_that_sings_is_heard(song: str) -> None:
    told = Told()
    told.error(ImageGenError(song))
    with pytest.raises(AssertionError, match="in these"):
        told.check()


def possible(provider: Provider) -> Iterator[Fault]:
    """Every kind of fault that this provider has, at each step, in each shape."""
    for kind, steps in _STEPS.items():
        for step in steps:
            for shape in _SHAPES.get(kind, (None,)):
                for accepted in (False, True) if kind in ("http", "drop") else (False,):
                    options: dict[str, Any] = {
                        "step": step,
                        "shape": shape,
                        "accepted": accepted,
                        "times": None,
                        "code": 1026 if provider == "minimax" else 1200,
                        "seconds": 1000 if kind in ("slow", "late") else 0,
                        "message": f"key {key()} may not draw '{prompt()}'",
                    }
                    if not wrong(kind, provider, options):
                        yield Fault(kind, provider=provider, **options)  # type: ignore[arg-type]


def wrong(kind: Any, provider: Provider, options: dict[str, Any]) -> bool:
    try:
        Fault(kind, provider=provider, **options)
    except ValueError:
        return True
    return False


FAULTS = [fault for provider in get_args(Provider) for fault in possible(provider)]


def name(fault: Fault) -> str:
    parts = (fault.provider, fault.kind, fault.step, fault.shape, fault.accepted and "accepted")
    return "-".join(str(part) for part in parts if part)


@frozen
class Stage:
    """A client on a sandbox that takes the canary key only, and all that listens to it."""

    desk: Desk
    sandbox: Sandbox
    ledger: Ledger
    folder: Path
    events: list[Event]
    spans: OpenTelemetry
    exporter: InMemorySpanExporter
    told: Told

    def tried(self, verb: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What *verb* gives, or None if it fails; either is told."""
        try:
            value = verb(*arguments, **options)
        except ImageGenError as error:
            self.told.error(error)
            if error.job:
                self.told.value("job of an error", error.job)
            return None
        self.told.value(f"result of {verb.__name__}", value)
        return value

    def end(self) -> None:
        """Tell what was left behind."""
        self.spans.close()
        self.told.add("event", *map(repr, self.events))
        self.told.add("span", *(span.to_json() for span in self.exporter.get_finished_spans()))
        self.told.add("entry", *map(repr, self.ledger.entries().result()))
        self.told.add("spend", *map(repr, self.ledger.spend().result()))
        self.told.files(self.folder)
        self.ledger.close()
        self.told.files(self.folder)
        self.told.add("client", repr(self.desk.client), repr(vars(self.desk.client)))


@pytest.fixture
def stage(kit: Kit, time: FakeClock, tmp_path: Path, told: Told) -> Iterator[Stage]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    sandbox = Sandbox(latency=10, keys=[key()], clock=time.epoch)
    events: list[Event] = []
    spans = OpenTelemetry(provider, events.append)
    ledger = Ledger(tmp_path / "ledger.db", prompts=False)
    desk = kit.desk(
        [
            MiniMax(api_key=key(), base_url=sandbox.origin),
            WaveSpeed(api_key=key(), base_url=sandbox.origin),
        ],
        watched=kit.watched(sandbox, time),
        clock=time,
        ledger=ledger,
        on_event=spans,
        retries=Retries(rate_limited=1),
    )
    stage = Stage(desk, sandbox, ledger, tmp_path, events, spans, exporter, told)
    yield stage
    stage.end()


def drawn(**fields: Any) -> ImageRequest:
    return ImageRequest(prompt(), **fields)


@pytest.mark.parametrize("model", [*MODELS.values(), ROUTE], ids=["minimax", "wavespeed", "route"])
def test_success_tells_nothing(stage: Stage, model: Any) -> None:
    for request in (drawn(), drawn(n=12, output="bytes", seed=3)):
        made = stage.tried(stage.desk.generate, request, model=model)
        stage.tried(stage.desk.fetch, made)
        stage.tried(stage.desk.save, made, stage.folder / "pictures")
        job = stage.tried(stage.desk.submit, request, model=model)
        stage.tried(stage.desk.result, job)
    assert len(stage.sandbox.submissions) >= 4


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_no_fault_makes_them_sing(stage: Stage, fault: Fault) -> None:
    stage.sandbox.inject(fault)
    model = MODELS[fault.provider or "minimax"]
    made = stage.tried(stage.desk.generate, drawn(output="bytes"), model=model)
    if made:
        stage.tried(stage.desk.save, made, stage.folder / "pictures")
    job = stage.tried(stage.desk.submit, drawn(n=12), model=model)
    if job:
        stage.tried(stage.desk.result, job)
    stage.tried(stage.desk.generate, drawn(n=2), model=ROUTE)
    stage.tried(stage.desk.client.health)


@pytest.mark.parametrize("wanted", ["minimax", "wavespeed"])
def test_a_key_that_is_refused_is_not_repeated(stage: Stage, wanted: Any) -> None:
    stage.sandbox.keys = frozenset({"another"})
    stage.tried(stage.desk.generate, drawn(), model=MODELS[wanted])
    assert "AuthenticationError" in {where for where, _ in stage.told.private}


@pytest.mark.parametrize(
    "options",
    [
        {"size": "1000x700"},
        {"provider_options": {"minimax": {"width": 7}}},
        {"provider_options": {"minimax": {"seed": 7}}},
        {"references": ["https://example.com/a.jpg"], "n": 30},
    ],
)
def test_a_request_that_is_refused_here_is_not_quoted(stage: Stage, options: Any) -> None:
    for model in MODELS.values():
        stage.tried(stage.desk.generate, drawn(**options), model=model)
    stage.tried(stage.desk.generate, drawn(), model="minimax:image-02")
    stage.tried(stage.desk.generate, drawn(), model="nobody:m")
    stage.tried(stage.desk.generate, drawn(), model=MODELS["minimax"], max_cost="0.0001")


def test_reconciling_tells_nothing(kit: Kit, stage: Stage) -> None:
    stage.sandbox.inject(
        Fault("drop", accepted=True, provider="wavespeed"), Fault("drop", accepted=True)
    )
    for model in MODELS.values():
        stage.tried(stage.desk.generate, drawn(), model=model)
    report = kit.wait(stage.desk.client.reconcile())
    stage.told.add("reconciliation", repr(report))
    assert len(report.adopted) == len(report.unknown) == 1


def test_the_parts_tell_nothing(told: Told) -> None:
    backends = [MiniMax(api_key=key()), WaveSpeed(api_key=key())]
    for backend in backends:
        told.add("backend", repr(backend), f"{backend}", repr(copy.copy(backend)))
        for duplicate in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError) as caught:
                duplicate(backend)
            told.error(caught.value)


@pytest.mark.parametrize("given", ["two words ", "line\nbreak ", "zero\u200bwidth "])
def test_a_key_that_no_header_carries_is_not_quoted(told: Told, given: str) -> None:
    for backend in (MiniMax, WaveSpeed):
        with pytest.raises(ImageGenError) as caught:
            backend(api_key=given + key())
        told.error(caught.value)


def test_a_key_from_the_environment_is_in_no_frame(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend, host in ((MiniMax, "MINIMAX_API_HOST"), (WaveSpeed, "WAVESPEED_BASE_URL")):
        monkeypatch.setenv(backend.key_variable, key())
        monkeypatch.setenv(host, "ftp://nowhere")
        for backends in (None, [backend()]):
            with pytest.raises(ImageGenError, match="base_url") as caught, Client(backends) as made:
                made.generate(drawn(), model=MODELS[backend.name])  # type: ignore[index]
            told.error(caught.value)


def test_the_sandbox_keeps_its_keys_to_itself(told: Told) -> None:
    with pytest.raises(TypeError) as caught:
        Sandbox(keys=key())
    told.add("sandbox", str(caught.value), repr(Sandbox(keys=[key()])))
    for options in ({"kind": key()}, {"kind": "http", "statuses": 7}):
        with pytest.raises(ValueError, match=r"unknown|one of") as refused:
            Fault.from_json({**options, "provider": "nobody"})
        if key() not in options.values():
            told.add("fault", str(refused.value))


@pytest.fixture
def served() -> Iterator[Sandbox]:
    sandbox = Sandbox(latency=0.05, keys=[key()])
    with sandbox.running():
        yield sandbox


def over_the_network(kit: Kit, sandbox: Sandbox) -> Desk:
    return kit.desk(
        [
            MiniMax(api_key=key(), base_url=sandbox.origin),
            WaveSpeed(api_key=key(), base_url=sandbox.origin, first_poll=0.02),
        ]
    )


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault("drop"),
        Fault("drop", accepted=True),
        Fault("garbage", shape="truncated"),
        Fault("drop", step="download", times=None),
        Fault("http", status=500, message=f"{key()}: {prompt()}"),
    ],
    ids=lambda fault: name(fault) if fault else "none",
)
def test_sockets_and_their_logs_tell_nothing(
    kit: Kit, served: Sandbox, tmp_path: Path, told: Told, fault: Fault | None
) -> None:
    desk = over_the_network(kit, served)
    for model in MODELS.values():
        if fault:
            served.inject(fault)
        try:
            made = desk.generate(drawn(), model=model, timeout=20)
            desk.save(made, tmp_path, timeout=20)
        except ImageGenError as error:
            told.error(error)
    told.files(tmp_path)


def test_an_interruption_tells_nothing(kit: Kit, time: FakeClock, told: Told) -> None:
    def stop(event: Event) -> None:
        told.add("event", repr(event))
        try:
            task = asyncio.current_task()
        except RuntimeError:
            raise KeyboardInterrupt from None
        assert task is not None
        task.cancel()

    sandbox = Sandbox(latency=10, keys=[key()], clock=time.epoch)
    for model in MODELS.values():
        desk = kit.desk(
            [
                MiniMax(api_key=key(), base_url=sandbox.origin),
                WaveSpeed(api_key=key(), base_url=sandbox.origin),
            ],
            watched=kit.watched(sandbox, time),
            clock=time,
            on_event=stop,
        )
        with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)) as caught:
            desk.generate(drawn(n=12), model=model)
        told.error(caught.value)


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "lines"])
@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault("prediction_status", times=None, message=f"{key()} {prompt()}"),
        Fault("code", code=1026, times=None, message=f"{key()} {prompt()}"),
        Fault("http", status=500, times=None, message=f"{key()} {prompt()}"),
        Fault("drop", accepted=True, times=None),
        Fault("moderated", times=None),
    ],
    ids=lambda fault: name(fault) if fault else "none",
)
def test_the_command_tells_nothing(
    served: Sandbox, tmp_path: Path, told: Told, fault: Fault | None, *, as_json: bool
) -> None:
    if fault:
        served.inject(fault)
    form = ["--json"] if as_json else []
    ledger = ["--ledger", str(tmp_path / "ledger.db"), *form]
    out = ["--out", str(tmp_path / "pictures")]
    calls = [
        ["generate", prompt(), "--model", model, "--timeout", "20", *out, *ledger]
        for model in MODELS.values()
    ]
    calls += [["jobs", "list", "--all", *ledger], ["spend", *ledger], ["jobs", "resume", *ledger]]
    with ExitStack() as stack:
        environment = {
            "MINIMAX_API_KEY": key(),
            "WAVESPEED_API_KEY": key(),
            "MINIMAX_API_HOST": served.origin,
            "WAVESPEED_BASE_URL": served.origin,
        }
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.chdir(tmp_path)
        for call in calls:
            result = CliRunner().invoke(command, call, env=environment)
            assert isinstance(result.exception, SystemExit | None)
            told.add(" ".join(call[:2] if call[0] == "jobs" else call[:1]), result.output)
    for path in tmp_path.rglob("*"):
        told.add("file name", path.name)
        if path.is_file():
            told.request.append((path.name, path.read_bytes().decode("latin-1")))
