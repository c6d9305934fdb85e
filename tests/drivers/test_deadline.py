"""A call ends at its deadline, whatever hangs, and says truthfully what it knows.

Each case of benchmarks/deadline.py, once; how late exactly is what the benchmark measures.
"""

from __future__ import annotations

import sys

import pytest

from imagegen import net
from imagegen.errors import DeadlineExceededError, SubmissionUnknownError
from imagegen.net import blocking
from scripts import loaded

DEADLINE = 0.3
LATE = 0.5
"""Seconds that a busy machine may take to notice."""


bench = loaded("benchmarks.deadline")


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("flavour", ["sync", "async"])
@pytest.mark.parametrize("name", bench.CASES)
def test_a_call_ends_at_its_deadline_whatever_hangs(name: str, flavour: str) -> None:
    case = bench.CASES[name]
    if case.peer is bench.DeafPeer and sys.platform != "linux":
        pytest.skip("another system's full queue refuses instead of dropping")
    error, seconds = bench.ended(case, flavour, DEADLINE)
    assert type(error) is case.error
    assert DEADLINE - 0.05 < seconds < DEADLINE + LATE
    if isinstance(error, SubmissionUnknownError):
        assert (error.charged, error.job) == ("unknown", None)
        return
    assert isinstance(error, DeadlineExceededError)
    assert error.sent is case.sent
    assert (error.job is not None) is case.job
    assert error.charged == ("yes" if case.job or case.download else "no")


def test_over_tls_too_an_operation_gets_no_more_than_what_is_left() -> None:
    with bench.Peer(bench.over_tls(bench.answers(b"here"))) as peer:
        plain = blocking.Backend(net.engine(), public=False).connect_tcp(
            "127.0.0.1", peer.port, 5.0
        )
        with net.within(5.0):
            stream = plain.start_tls(bench.client_side(), "127.0.0.1", 60.0)
        sock = stream.get_extra_info("socket")
        assert 0.0 < sock.gettimeout() <= 60.0
        with net.within(5.0):
            stream.write(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 70_000, 60.0)
            assert 0.0 < sock.gettimeout() <= 5.0
            assert stream.read(4, 60.0) == b"here"
            assert 0.0 < sock.gettimeout() <= 5.0
        stream.close()
