"""Reconciliation: what became of submissions that nobody heard of again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from imagegen import ImageRequest, Notice, SubmissionUnknownError
from imagegen.ledger import Entry, Ledger
from imagegen.ledger.owner import _start, is_gone, this_process

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Maker, Nobody

LOST = SubmissionUnknownError("no reply came")


def lost(ledger: Ledger, entry: Entry) -> Entry:
    ledger.intend(entry).result()
    ledger.unknown(entry.id, LOST).result()
    return entry


def test_the_only_job_of_the_only_entry_is_adopted(ledger: Ledger, make: Maker) -> None:
    entry = lost(ledger, make.entry())
    after = ledger.identify(entry.id, [make.job("found")]).result()
    assert (after.state, after.job, after.error) == ("submitted", make.job("found"), None)
    assert after == ledger.entry("found").result()


def test_what_the_provider_does_not_have_was_refused(ledger: Ledger, make: Maker) -> None:
    entry = lost(ledger, make.entry())
    after = ledger.identify(entry.id, []).result()
    assert (after.state, after.error) == ("refused", None)
    assert after.message == "the provider's list does not have it"
    assert ledger.spend().result() == []


def test_jobs_that_have_a_row_are_not_candidates(ledger: Ledger, make: Maker) -> None:
    other, entry = make.entry(), make.entry()
    ledger.intend(other).result()
    ledger.submitted(other.id, make.job("theirs")).result()
    lost(ledger, entry)
    elsewhere = make.job("theirs", provider="minimax")
    after = ledger.identify(entry.id, [make.job("theirs"), make.job("ours")]).result()
    assert after.job == make.job("ours")
    again = lost(ledger, make.entry(provider="minimax"))
    assert ledger.identify(again.id, [elsewhere]).result().job == elsewhere


def test_several_jobs_are_not_guessed_among(ledger: Ledger, make: Maker) -> None:
    entry = lost(ledger, make.entry())
    after = ledger.identify(entry.id, [make.job("1"), make.job("2"), make.job("2")]).result()
    assert (after.state, after.error) == ("unknown", "SubmissionUnknownError")
    assert after.message == "2 jobs of the provider and 0 other rows match it"


def test_an_open_entry_that_could_have_made_the_job_is_a_rival(ledger: Ledger, make: Maker) -> None:
    minutes = timedelta(minutes=1)
    entry = lost(ledger, make.entry(until=make.noon + 5 * minutes))
    rival = make.entry(started_at=make.noon + 5 * minutes, until=make.noon + 9 * minutes)
    ledger.intend(rival).result()
    after = ledger.identify(entry.id, [make.job()]).result()
    assert after.message == "1 jobs of the provider and 1 other rows match it"
    ledger.refused(rival.id, LOST).result()
    assert ledger.identify(entry.id, [make.job()]).result().state == "submitted"


def test_an_entry_of_another_kind_or_time_is_no_rival(ledger: Ledger, make: Maker) -> None:
    minute = timedelta(minutes=5)
    entry = lost(ledger, make.entry())
    for other in (
        make.entry(provider="minimax"),
        make.entry(model="another"),
        make.entry(request=ImageRequest("a blue fox")),
        make.entry(started_at=make.noon - 2 * minute, until=make.noon - minute),
        make.entry(started_at=entry.until + minute, until=entry.until + 2 * minute),
    ):
        ledger.intend(other).result()
    assert ledger.identify(entry.id, [make.job()]).result().state == "submitted"


def test_an_entry_within_what_clocks_may_differ_is_a_rival(ledger: Ledger, make: Maker) -> None:
    entry = lost(ledger, make.entry())
    start = entry.until + timedelta(seconds=200)
    ledger.intend(make.entry(started_at=start, until=start + timedelta(seconds=60))).result()
    assert ledger.identify(entry.id, [make.job()]).result().state == "unknown"


def test_a_job_of_which_the_prompt_is_not_told_is_not_adopted(ledger: Ledger, make: Maker) -> None:
    entry = lost(ledger, make.entry())
    untold = evolve(make.job(), notices=(Notice("unverified", "prompt", "not told"),))
    assert ledger.identify(entry.id, [untold]).result().state == "unknown"
    assert ledger.identify(entry.id, []).result().state == "refused"


def test_only_unknown_entries_are_identified(ledger: Ledger, make: Maker) -> None:
    entry = make.entry()
    ledger.intend(entry).result()
    before = ledger.entry(entry.id).result()
    assert ledger.identify(entry.id, []).result() == before


def test_one_job_is_adopted_once_however_many_look(
    open_ledger: Callable[..., Ledger], make: Maker
) -> None:
    ledgers = [open_ledger() for _ in range(4)]
    apart = timedelta(hours=1)
    entries = [
        lost(ledgers[0], make.entry(started_at=make.noon + k * apart, until=make.noon + k * apart))
        for k in range(4)
    ]
    start = Barrier(4)
    after: list[Entry] = []

    def look(ledger: Ledger, entry: Entry) -> None:
        start.wait()
        after.append(ledger.identify(entry.id, [make.job("the one")]).result())

    threads = [Thread(target=look, args=pair) for pair in zip(ledgers, entries, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry.state for entry in after) == ["refused"] * 3 + ["submitted"]


def test_an_intent_of_a_process_that_ended_is_unknown(ledger: Ledger, make: Maker) -> None:
    command = "from imagegen.ledger.owner import this_process; print(this_process())"
    ended = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    entry = make.entry(owner=ended.stdout.strip())
    ledger.intend(entry)
    ledger.intend(make.entry())
    (abandoned,) = ledger.abandoned().result()
    assert (abandoned.id, abandoned.state) == (entry.id, "unknown")
    assert abandoned.error == "SubmissionUnknownError"
    assert abandoned == ledger.entry(entry.id).result()
    assert ledger.abandoned().result() == []


def test_an_intent_of_elsewhere_is_given_up_a_minute_after_its_deadline(
    ledger: Ledger, make: Maker, clock: Clock
) -> None:
    for owner in ("another-host:1:1", "what is this", ""):
        ledger.intend(make.entry(owner=owner, until=make.noon))
    clock.jump(60)
    assert ledger.abandoned().result() == []
    clock.jump(1)
    assert len(ledger.abandoned().result()) == 3


@pytest.mark.skipif(os.name != "posix", reason="nothing is provable there")
def test_a_process_is_gone_only_if_that_is_certain(nobody: Nobody) -> None:
    here = this_process()
    host, pid, start = here.rsplit(":", 2)
    assert not is_gone(here)
    assert not is_gone(f"{host}:{pid}:0")
    assert is_gone(f"{host}:999999999:{start}")
    assert not is_gone(f"elsewhere-{host}:999999999:{start}")
    assert _start(999999999) == 0
    assert not is_gone(f"{host}:0:{start}")
    assert not is_gone(f"{host}:{'9' * 30}:{start}")
    assert is_gone(f"{host}:{pid}:{int(start) + 1}") == (start != "0")
    with nobody():
        assert not is_gone(f"{host}:1:0"), "another user's process runs all the same"
