from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from attrs import asdict

from imagegen.sandbox import Fault
from imagegen.sandbox.faults import Faults, Kind


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"kind": "nonsense"}, "kind"),
        ({"kind": "http", "step": "later"}, "step"),
        ({"kind": "http", "provider": "acme"}, "provider"),
        ({"kind": "http", "after": -1}, "after"),
        ({"kind": "http", "after": True}, "after"),
        ({"kind": "http", "times": 0}, "times"),
        ({"kind": "http", "status": "500"}, "status"),
        ({"kind": "http", "status": 99}, "status"),
        ({"kind": "late", "seconds": "1"}, "seconds"),
        ({"kind": "late", "seconds": -1}, "seconds"),
        ({"kind": "drop", "accepted": 1}, "accepted"),
        ({"kind": "code", "code": 1.5}, "code"),
        ({"kind": "code", "message": 3}, "message"),
        ({"kind": "rate_limit", "retry_after": []}, "retry_after"),
        ({"kind": "garbage", "shape": "json"}, "shape"),
        ({"kind": "late", "shape": "html"}, "shape"),
        ({"kind": "expired", "step": "submit"}, "expired"),
        ({"kind": "sync_timeout", "provider": "minimax"}, "minimax"),
        ({"kind": "http", "provider": "minimax", "step": "poll"}, "polled"),
        ({"kind": "http", "colour": "red"}, "colour"),
        ({}, "kind"),
        ([], "object"),
        ("http", "object"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(fields: object, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Fault.from_json(fields)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_has_a_usual_step_and_survives_json(kind: Kind) -> None:
    fault = Fault(kind)
    assert Fault.from_json(json.loads(json.dumps(asdict(fault)))) == fault
    assert fault.step == ("download" if kind == "expired" else "submit")


def test_the_first_matching_requests_pass_and_the_next_are_hit() -> None:
    faults = Faults([Fault("http", step="poll", after=2, times=2)])
    hits = [faults.take("wavespeed", "poll") is not None for _ in range(6)]
    assert hits == [False, False, True, True, False, False]


def test_times_none_is_for_ever() -> None:
    faults = Faults([Fault("http", times=None)])
    assert all(faults.take("minimax", "submit") for _ in range(20))


def test_other_steps_and_providers_are_neither_hit_nor_counted() -> None:
    faults = Faults([Fault("http", provider="minimax", after=1)])
    assert faults.take("wavespeed", "submit") is None
    assert faults.take("minimax", "download") is None
    assert faults.take("minimax", "submit") is None
    assert faults.take("minimax", "submit") is not None


def test_faults_that_only_wavespeed_has_pass_minimax_by() -> None:
    faults = Faults([Fault("sync_timeout")])
    assert faults.take("minimax", "submit") is None
    assert faults.take("wavespeed", "submit") is not None


def test_two_faults_hit_one_request_after_the_other() -> None:
    first, second = Fault("late", seconds=1), Fault("drop")
    faults = Faults([first])
    faults.inject([second])
    assert [faults.take("minimax", "submit") for _ in range(3)] == [first, second, None]


def test_cleared_faults_are_gone() -> None:
    faults = Faults([Fault("http")])
    faults.clear()
    assert faults.take("minimax", "submit") is None


@pytest.mark.parametrize(("value", "header"), [(3, "3"), (0.5, "0.5"), ("soon", "soon")])
def test_retry_after_becomes_a_header(value: Any, header: str) -> None:
    assert Fault("rate_limit", retry_after=value).headers == {"Retry-After": header}
    assert Fault("rate_limit").headers == {}
