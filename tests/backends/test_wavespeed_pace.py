"""When WaveSpeedAI is asked next: as configured at first, then as its jobs have taught."""

from __future__ import annotations

import copy
from itertools import accumulate
from typing import Any

import pytest
from attrs import evolve

from imagegen import config
from imagegen.backends import pacing
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.errors import JobFailedError, TransportError
from imagegen.flow import Call, Done, Pause, Reply, advance
from imagegen.request import ImageRequest
from imagegen.result import Job
from imagegen.testing import EPOCH, play, reply

TEXT = "minimax/image-01/text-to-image"
ID = "6488c2754f6f4dfea924382fa14d11bd"
COLD = [2.0, 4.5, 7.625, 11.53125, 16.4140625, 21.4140625, 26.4140625, 31.4140625, 36.4140625]


def told(status: str) -> Reply:
    data = {"id": ID, "status": status, "outputs": ["https://h/1.jpg"] * (status == "completed")}
    return reply({"code": 200, "message": "success", "data": data})


WORKING, DONE = told("processing"), told("completed")


def job(model: str = TEXT) -> Job:
    return Job(provider="wavespeed", model=model, id=ID, request=ImageRequest("x"))


def asked(
    backend: WaveSpeed, seconds: float, *, model: str = TEXT, age: float = 0.0
) -> list[float]:
    """Settle a job that takes so many seconds; give the ages at which it was asked for."""
    flow, now = backend.settle(job(model), age), age
    ages, step = list[float](), advance(flow)
    while not isinstance(step, Done):
        answer: Any = None
        if isinstance(step, Pause):
            now += step.seconds
            answer = 7000.0 + now
        elif isinstance(step, Call):
            ages.append(now)
            answer = DONE if now >= seconds else WORKING
        step = advance(flow, answer)
    return ages


def taught(**options: Any) -> WaveSpeed:
    backend = WaveSpeed(**options)
    for seconds in (31.0, 33.0, 35.0, 32.0, 34.0) * 4:
        asked(backend, seconds)
    return backend


def test_the_first_three_jobs_are_asked_for_as_configured() -> None:
    backend = WaveSpeed()
    assert [asked(backend, 33.0) for _ in range(3)] == [COLD] * 3
    assert asked(backend, 33.0) != COLD


def test_then_the_first_poll_is_late_and_the_rest_are_close() -> None:
    ages = asked(taught(), 33.0)
    assert ages[0] > 10.0
    assert len(ages) <= 23
    assert ages[-1] - 33.0 < 1.0


@pytest.mark.parametrize("average", [1.0, 2.0])
def test_a_prediction_is_never_asked_for_more_often_than_on_average(average: float) -> None:
    backend = taught(average_poll=average)
    for seconds in (0.5, 20.0, 33.0, 90.0, 400.0):
        ages = asked(backend, seconds)
        assert all(age >= average * number - 1e-9 for number, age in enumerate(ages, start=1))


def test_usually_it_is_once_a_second_which_finds_it_sooner_than_once_in_two() -> None:
    patient, keen = taught(average_poll=2.0), taught()
    seconds = [28.3 + step * 0.7 for step in range(15)]
    lags = [sum(asked(b, each)[-1] - each for each in seconds) for b in (patient, keen)]
    assert lags[1] < lags[0]


def test_learning_can_be_turned_off() -> None:
    backend = taught(learn_polls=False)
    assert asked(backend, 33.0) == COLD
    assert asked(backend, 33.0, age=90.0) == [90.0]


def test_each_model_is_learned_by_itself() -> None:
    backend = taught()
    assert asked(backend, 33.0, model="wavespeed-ai/flux-dev") == COLD


def test_a_resumed_prediction_is_asked_for_when_it_may_have_ended() -> None:
    backend = taught()
    first = asked(backend, 33.0)[0]
    assert asked(backend, 33.0, age=300.0) == [300.0]
    assert asked(backend, 33.0, age=5.0)[0] == pytest.approx(first, abs=2.5)


def test_whoever_asks_faster_from_the_start_asks_faster_ever_after() -> None:
    backend = WaveSpeed(first_poll=0.02, slowest_poll=0.05)
    for _ in range(8):
        asked(backend, 0.3)
    assert asked(backend, 0.3)[-1] - 0.3 < 0.05
    assert len(asked(backend, 0.3)) <= 15


def test_that_predictions_fail_soon_is_learned_too() -> None:
    backend = WaveSpeed()
    for _ in range(5):
        with pytest.raises(JobFailedError):
            play(backend.settle(job()), WORKING, told("failed"))
    assert asked(backend, 4.0)[-1] < 5.0


def test_an_end_behind_a_failed_poll_is_not_learned() -> None:
    backend = WaveSpeed()
    for _ in range(5):
        play(backend.settle(job()), WORKING, TransportError("reset"), DONE)
    assert asked(backend, 33.0) == COLD


def test_a_wait_that_is_asked_for_goes_before_what_was_learned() -> None:
    slow = reply({"code": 429, "message": "slow"}, status=429, headers={"Retry-After": "45"})
    pauses = play(taught().settle(job()), slow, WORKING, DONE).pauses
    assert pauses[1] == 45.0
    assert pauses[2] < 20.0


def test_polls_that_fail_are_not_repeated_at_the_pace_of_those_that_succeed() -> None:
    bad = [reply(status=500) for _ in range(60)]
    pauses = play(taught().settle(job()), *bad, DONE).pauses
    assert list(accumulate(pauses))[-1] > 200.0


def test_what_was_learned_is_no_part_of_the_value() -> None:
    backend = taught()
    assert backend == WaveSpeed()
    assert repr(backend) == repr(WaveSpeed())
    assert asked(copy.deepcopy(backend), 33.0)[-1] - 33.0 < 2.0


def test_a_file_can_turn_it_off(tmp_path: Any) -> None:
    file = tmp_path / "imagegen.toml"
    file.write_text("[providers.wavespeed]\nlearn_polls = false\naverage_poll = 3\n")
    made: Any = config.load(file).backends["wavespeed"]
    assert (made.learn_polls, made.average_poll) == (False, 3.0)


def test_a_driver_that_tells_no_moments_is_taken_to_have_waited_as_asked() -> None:
    for backend in (WaveSpeed(), taught()):
        flow, answers = backend.settle(job()), [WORKING, WORKING, DONE]
        waits, step = list[float](), advance(flow)
        while not isinstance(step, Done):
            if isinstance(step, Pause):
                waits.append(step.seconds)
            step = advance(flow, answers.pop(0) if isinstance(step, Call) else None)
        assert len(waits) == 3
        assert step.value.images
    assert len(backend.learned(TEXT)) == pacing._NEWS


def test_a_driver_that_tells_no_moments_shares_no_pages() -> None:
    backend = WaveSpeed()
    jobs = [evolve(job(), id=f"{ID}{k}", created_at=EPOCH) for k in range(20)]
    flows = [backend.settle(each) for each in jobs]
    steps: list[Any] = [advance(flow) for flow in flows]
    for _ in range(3):
        steps = [advance(flow, None) for flow in flows]  # the pause is over
        assert all(isinstance(step, Call) and step.method == "GET" for step in steps)
        steps = [advance(flow, TransportError("no", sent=True)) for flow in flows]
        steps = [advance(flow, None) for flow in flows]  # the event was told
    for flow in flows:
        flow.close()
