from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

import pytest

from imagegen.sandbox import Fault, Sandbox, Submission
from imagegen.sandbox.exchange import Answer, Request

Ask = Callable[..., Answer]


def test_the_front_page_says_what_this_is(ask: Ask) -> None:
    answer = ask("GET", "/", key="")
    assert answer.status == 200
    assert b"emulated" in answer.body


def test_both_providers_share_one_log_and_one_balance(
    sandbox: Sandbox, generate: Ask, predict: Ask
) -> None:
    generate()
    predict()
    assert [s.provider for s in sandbox.submissions] == ["minimax", "wavespeed"]
    assert isinstance(sandbox.submissions[0], Submission)
    assert sandbox.balance == Decimal("99.9930")


def test_submissions_can_be_read_over_http(ask: Ask, generate: Ask) -> None:
    assert ask("GET", "/sandbox/submissions", key="").json() == []
    identity = generate(n=2).json()["id"]
    assert ask("GET", "/sandbox/submissions", key="").json() == [
        {
            "provider": "minimax",
            "model": "image-01",
            "id": identity,
            "images": 2,
            "price": "0.0070",
            "body": {"model": "image-01", "prompt": "a fox", "n": 2},
            "at": 1_764_000_000.25,
            "webhook": None,
        }
    ]


def test_faults_can_be_injected_and_cleared_over_http(ask: Ask, generate: Ask) -> None:
    answer = ask("POST", "/sandbox/faults", {"kind": "http", "status": 503, "times": None})
    assert answer.status == 201
    assert answer.json()["step"] == "submit"
    assert [generate().status for _ in range(2)] == [503, 503]
    assert ask("DELETE", "/sandbox/faults").status == 200
    assert generate().status == 200


@pytest.mark.parametrize("body", [{"kind": "http", "colour": 1}, [], b"{", {"kind": "?"}])
def test_faults_that_make_no_sense_are_a_400(ask: Ask, generate: Ask, body: object) -> None:
    answer = ask("POST", "/sandbox/faults", body or b"[]")
    assert answer.status == 400
    assert answer.json()["error"]
    assert generate().status == 200


def test_other_controls_do_not_exist(ask: Ask) -> None:
    assert ask("GET", "/sandbox/nothing").status == 404


def test_faults_given_at_construction_come_first() -> None:
    sandbox = Sandbox(faults=[Fault("http", status=500)])
    sandbox.inject(Fault("http", status=501))
    request = Request("POST", "/v1/image_generation")
    assert [sandbox.handle(request).status for _ in range(3)] == [500, 501, 200]


def test_many_threads_lose_no_submission(sandbox: Sandbox, predict: Ask) -> None:
    def work() -> None:
        for _ in range(50):
            predict()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({submission.id for submission in sandbox.submissions}) == 400
    assert sandbox.balance == Decimal(100) - 400 * Decimal("0.0035")
