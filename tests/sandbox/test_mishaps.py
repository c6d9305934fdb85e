from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Answer

Ask = Callable[..., Answer]


def test_a_drop_before_acceptance_bills_nothing(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.inject(Fault("drop"))
    assert generate().drop == "before"
    assert sandbox.submissions == []


def test_a_drop_after_acceptance_is_billed(sandbox: Sandbox, generate: Ask, predict: Ask) -> None:
    sandbox.inject(Fault("drop", accepted=True, times=2, seconds=3))
    first, second = generate(), predict()
    assert (first.drop, second.drop) == ("after", "after")
    assert (first.delay, second.delay) == (23.0, 3.0)
    assert len(sandbox.submissions) == 2


@pytest.mark.parametrize("accepted", [False, True])
def test_a_gateway_page_may_hide_an_accepted_submission(
    sandbox: Sandbox, predict: Ask, *, accepted: bool
) -> None:
    sandbox.inject(Fault("http", status=504, shape="html", accepted=accepted, retry_after=1))
    answer = predict(enable_sync_mode=True)
    assert answer.status == 504
    assert answer.body.startswith(b"<html>")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Retry-After"] == "1"
    assert answer.delay == (20.0 if accepted else 0.0)
    assert len(sandbox.submissions) == accepted


@pytest.mark.parametrize(
    ("fault", "minimax", "wavespeed"),
    [
        (
            Fault("http", times=2),
            {"base_resp": {"status_code": 1000, "status_msg": "Internal Server Error"}},
            {"code": 500, "message": "Internal Server Error"},
        ),
        (
            Fault("http", times=2, status=403, code=7, message="no"),
            {"base_resp": {"status_code": 7, "status_msg": "no"}},
            {"code": 7, "message": "no"},
        ),
        (
            Fault("http", times=2, status=599),
            {"base_resp": {"status_code": 1000, "status_msg": "Error"}},
            {"code": 599, "message": "Error"},
        ),
    ],
)
def test_http_errors_have_the_providers_json(
    sandbox: Sandbox,
    generate: Ask,
    predict: Ask,
    *,
    fault: Fault,
    minimax: object,
    wavespeed: object,
) -> None:
    sandbox.inject(fault)
    answers = generate(), predict()
    assert [answer.status for answer in answers] == [fault.status or 500] * 2
    assert [answer.json() for answer in answers] == [minimax, wavespeed]


def test_an_http_error_may_be_empty(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.inject(Fault("http", status=502, shape="empty"))
    answer = generate()
    assert (answer.status, answer.body) == (502, b"")


@pytest.mark.parametrize("shape", ["text", "html", "empty", "truncated"])
def test_garbage_is_a_200_that_is_no_json_after_a_billed_submission(
    sandbox: Sandbox, generate: Ask, predict: Ask, shape: Any
) -> None:
    sandbox.inject(Fault("garbage", shape=shape, times=2))
    for answer in (generate(), predict()):
        assert answer.status == 200
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            answer.json()
    assert len(sandbox.submissions) == 2


def test_garbage_may_be_json_of_the_wrong_types(
    sandbox: Sandbox, generate: Ask, predict: Ask
) -> None:
    sandbox.inject(Fault("garbage", shape="types", times=2))
    assert not isinstance(generate().json()["base_resp"], dict)
    assert not isinstance(predict().json()["data"], dict)


def test_a_truncated_download_is_half_the_picture(sandbox: Sandbox, ask: Ask, predict: Ask) -> None:
    sandbox.latency = 0
    data = predict(enable_sync_mode=True).json()["data"]
    path = data["outputs"][0].removeprefix(sandbox.origin)
    sandbox.inject(Fault("garbage", step="download", shape="truncated"))
    half, whole = ask("GET", path), ask("GET", path)
    assert half.headers == whole.headers
    assert half.body == whole.body[: len(whole.body) // 2]


@pytest.mark.parametrize("kind", ["late", "slow"])
def test_polls_and_downloads_can_be_late(
    sandbox: Sandbox, ask: Ask, predict: Ask, kind: Any
) -> None:
    sandbox.latency = 0
    data = predict(enable_sync_mode=True).json()["data"]
    sandbox.inject(*(Fault(kind, step=step, seconds=5) for step in ("poll", "download")))
    for path in (
        f"/api/v3/predictions/{data['id']}/result",
        data["outputs"][0].removeprefix(sandbox.origin),
    ):
        assert [ask("GET", path).delay for _ in range(2)] == [5.0, 0.0]


def test_a_late_answer_is_a_correct_one(sandbox: Sandbox, predict: Ask) -> None:
    sandbox.inject(Fault("late", seconds=90))
    answer = predict()
    assert (answer.delay, answer.json()["data"]["status"]) == (90.0, "created")


def test_a_refusal_can_be_late_too(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.inject(Fault("rate_limit", seconds=2))
    answer = generate()
    assert (answer.delay, answer.json()["base_resp"]["status_code"]) == (2.0, 1002)


def test_the_jth_poll_can_fail(sandbox: Sandbox, ask: Ask, predict: Ask) -> None:
    identity = predict().json()["data"]["id"]
    sandbox.inject(Fault("http", step="poll", status=503, after=2))
    path = f"/api/v3/predictions/{identity}/result"
    assert [ask("GET", path).status for _ in range(5)] == [200, 200, 503, 200, 200]
    assert json.loads(ask("GET", path).body)["data"]["id"] == identity
