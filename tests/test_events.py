"""Events in the log: who, what and which job, at a level that says how much it matters."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any, get_args

import pytest

from imagegen import (
    Cost,
    GeneratedImage,
    Generation,
    ImageRequest,
    Job,
    RateLimitError,
    Route,
)
from imagegen.errors import ContentPolicyError
from imagegen.events import (
    Event,
    Failed,
    FellBack,
    Polled,
    Retried,
    Settled,
    Submitted,
    Submitting,
    log,
)
from imagegen.purchase.policy import Retries
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import FakeClock

PROMPT = "a secret product in the snow"
REQUEST = ImageRequest(PROMPT)
JOB = Job(provider="wavespeed", model="m", id="job-1", request=REQUEST)
MADE = Generation(
    images=(GeneratedImage(url="https://cdn.example/secret.jpg?sig=1", data=b"bytes"),),
    cost=Cost(),
    provider="wavespeed",
    model="m",
    request=REQUEST,
    job=JOB,
)
BUSY = RateLimitError(f"too many like {PROMPT!r}", provider="wavespeed", model="m")
BLOCKED = ContentPolicyError(f"{PROMPT!r} is not wanted", charged="unknown")
LINES: list[tuple[Event, int, str]] = [
    (
        Submitting("wavespeed", "m", 2),
        logging.DEBUG,
        "wavespeed:m: submitting a request for 2 pictures",
    ),
    (Submitted(JOB), logging.INFO, "wavespeed:m: accepted as job job-1"),
    (Polled(JOB, "processing"), logging.DEBUG, "wavespeed:m: job job-1 is processing"),
    (
        Retried("wavespeed", "m", BUSY, 1.25),
        logging.WARNING,
        "wavespeed:m: not accepted (RateLimitError); submitted again after 1.2 s",
    ),
    (
        FellBack("wavespeed:m", "minimax:image-01", BUSY),
        logging.WARNING,
        "wavespeed:m did not make it (RateLimitError); turning to minimax:image-01",
    ),
    (
        Failed("wavespeed", "m", BLOCKED),
        logging.INFO,
        "wavespeed:m: failed with ContentPolicyError, charged: unknown",
    ),
    (Settled(MADE), logging.INFO, "wavespeed:m: settled with 1 pictures"),
]


@pytest.mark.parametrize(("event", "level", "line"), LINES)
def test_each_event_has_its_line_and_level(
    caplog: pytest.LogCaptureFixture, event: Event, level: int, line: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="imagegen")
    log(event)
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == ("imagegen", level, line)


def test_every_event_is_logged() -> None:
    assert {type(event) for event, _, _ in LINES} == set(get_args(Event))


class Watched(Polled):
    """An event of somebody else's backend."""


def test_what_is_no_event_of_ours_ends_no_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="imagegen")
    log(Watched(JOB, "processing"))
    assert [record.getMessage() for record in caplog.records] == [
        "wavespeed:m: job job-1 is processing"
    ]
    unknown: Any = object()
    log(unknown)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("event", [event for event, _, _ in LINES])
def test_a_line_tells_no_prompt_url_or_picture(
    caplog: pytest.LogCaptureFixture, event: Event
) -> None:
    caplog.set_level(logging.DEBUG, logger="imagegen")
    log(event)
    assert not [word for word in ("secret", "snow", "http", "bytes") if word in caplog.text]


def test_what_a_provider_calls_its_job_cannot_forge_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="imagegen")
    forged = Job(provider="wavespeed", model="m", id="1\nERROR all is lost\x1b[2J", request=REQUEST)
    log(Submitted(forged))
    log(Polled(forged, "created"))
    for record in caplog.records:
        assert record.getMessage().isprintable()


def test_the_level_decides_what_is_seen(
    kit: Any, time: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = Sandbox(clock=time.epoch, faults=[Fault("rate_limit", provider="minimax")])
    desk = kit.on(sandbox, clock=time, retries=Retries())
    caplog.set_level(logging.INFO, logger="imagegen")
    desk.generate(PROMPT, model=Route(models=["minimax:image-01", "wavespeed:minimax/image-01"]))
    levels = [record.levelname for record in caplog.records if record.name == "imagegen"]
    assert levels == ["INFO", "WARNING", "INFO", "INFO"]
    assert PROMPT not in caplog.text
    assert "http" not in caplog.text


def test_nothing_is_printed_unless_the_application_wants_it() -> None:
    code = (
        "from imagegen.sandbox import Fault, Sandbox\n"
        "sandbox = Sandbox(faults=[Fault('drop', accepted=True)])\n"
        "def bad(event): raise LookupError('mine')\n"
        "with sandbox.client(on_event=bad) as client:\n"
        "    try: client.generate('a fox', model='minimax:image-01')\n"
        "    except Exception as error: assert error.charged == 'unknown', error\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
