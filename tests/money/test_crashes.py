"""A process that is killed, at whatever moment, loses nothing paid for and buys nothing twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import crashes
from benchmarks.crashes import MINIMAX, WAVESPEED, Figures, Scene
from imagegen.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing kills so here")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    sandbox = Sandbox(latency=0.1)
    with sandbox.running():
        yield Scene(sandbox, tmp_path)


def test_whatever_is_killed_is_finished_by_the_next_process(scene: Scene) -> None:
    scene.kill_at("intent written", "command", 1, "unsent #1", WAVESPEED)
    scene.kill_at("answered, not read", "command", 1, "unread #1", WAVESPEED)
    scene.kill_at("answered, not read", "command", 1, "unread #2", MINIMAX)
    scene.kill_at("outcome written", "command", 1, "unsaved #1", MINIMAX)
    scene.kill_at("half a file", "command", 1, "half #1", MINIMAX)
    scene.kill_at("saved, not collected", "library", 2, "uncollected #1", WAVESPEED)
    scene.kill_unanswered("command", "unanswered #1", WAVESPEED)
    scene.kill_at_random(f"{crashes.RANDOM} #1", 0.5, MINIMAX, WAVESPEED)

    assert scene.saved().keys() <= {submission.id for submission in scene.sandbox.submissions}
    scene.jobs("resume")
    figures = scene.figures()
    assert crashes.well(figures)
    assert scene.integrity() == "ok"
    assert (figures["unsent"].accepted, figures["unsent"].unknown) == (0, 1)
    assert (figures["unread"].accepted, figures["unread"].unknown) == (2, 2)
    assert (figures["unanswered"].accepted, figures["unanswered"].unknown) == (1, 1)
    assert figures["unsaved"] == figures["half"] == Figures(accepted=1, saved=1)
    assert list(scene.folder.glob("out/.*.part"))

    scene.jobs("reconcile", crashes.AT_ONCE)
    figures = scene.figures()
    assert crashes.well(figures)
    assert scene.integrity() == "ok"
    assert figures["unsent"].unknown == 0
    assert (figures["unread"].saved, figures["unread"].unknown) == (1, 1)
    assert (figures["unanswered"].saved, figures["unanswered"].unknown) == (1, 0)
    assert figures["uncollected"] == Figures(accepted=3, saved=3)
    assert [each.findable for each in figures.values()] == [0] * len(figures)


def test_a_process_that_finishes_for_another_may_be_killed_too(scene: Scene) -> None:
    scene.kill_resuming("half a file", "resumed #1", WAVESPEED)
    assert scene.jobs("list")["entries"][0]["state"] == "settled"
    finished = scene.jobs("resume")
    assert len(finished["generations"]) == 1
    assert scene.figures()["resumed"] == Figures(accepted=1, saved=1)
    assert scene.jobs("list")["entries"] == []
