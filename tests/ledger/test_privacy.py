"""Prompts that are not to be stored are nowhere in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from imagegen import (
    Attempt,
    ContentPolicyError,
    ImageFailure,
    ImageRequest,
    JobFailedError,
    Notice,
    SubmissionUnknownError,
)
from imagegen.ledger import Ledger
from imagegen.ledger.privacy import LEFT_OUT, Privacy, digest

if TYPE_CHECKING:
    from tests.ledger.conftest import Maker

SECRET = "Zwölf geheime Füchse\nunder the old bridge, whispering passwords"
REQUEST = ImageRequest(
    SECRET, provider_options={"wavespeed": {"negative_prompt": f"no {SECRET}", "steps": 3}}
)
PIECES = ["geheime", "Füchse", "bridge", "whispering", "passwords"]


def stored(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_no_trace_of_the_prompt_is_in_the_files(
    path: Path, open_ledger: Callable[..., Ledger], make: Maker
) -> None:
    ledger = open_ledger(prompts=False)
    job = make.job("1", request=REQUEST, notices=(Notice("adjusted", "prompt", f"sent {SECRET}"),))
    quoting = make.generation(
        job,
        notices=job.notices,
        attempts=(Attempt(provider="p", model="m", n=1, message=f"said {SECRET}"),),
        failures=(ImageFailure(error="X", message=f"refused {SECRET!r}", job=job),),
    )
    entries = [make.entry(id=str(k), request=REQUEST) for k in range(6)]
    for entry in entries:
        ledger.intend(entry).result()
    ledger.submitted("0", evolve(job, settled=quoting)).result()
    ledger.settled(job, quoting).result()
    ledger.settled("1", quoting).result()
    ledger.refused("2", ContentPolicyError(f"blocked: {SECRET}")).result()
    ledger.unknown("3", SubmissionUnknownError(f"the body was {json.dumps(SECRET)}")).result()
    ledger.identify("3", [make.job("found", request=REQUEST)]).result()
    ledger.settled("4", JobFailedError(f"it was {SECRET[:30]}…", job=make.job("4"))).result()
    ledger.unknown("5", OSError(SECRET.upper())).result()
    bytes_before = stored(path)
    ledger.close()
    for data in (bytes_before, stored(path)):
        assert digest(SECRET).encode() in data
        for piece in PIECES:
            assert piece.lower() not in data.decode("utf-8", "replace").lower()


def test_the_digest_stands_for_the_prompt(open_ledger: Callable[..., Ledger], make: Maker) -> None:
    ledger = open_ledger(prompts=False)
    entry, job = make.entry(request=REQUEST), make.job(request=REQUEST)
    ledger.intend(entry).result()
    ledger.submitted(entry.id, job).result()
    found = ledger.entry(entry.id).result()
    assert found is not None
    assert found.job is not None
    assert found.request == ImageRequest(digest(SECRET))
    assert found.job.request == found.request
    assert ledger.settled(found.job, make.generation(found.job)).result()


def test_the_rest_of_a_message_is_kept(open_ledger: Callable[..., Ledger], make: Maker) -> None:
    ledger = open_ledger(prompts=False)
    entry = make.entry(request=REQUEST)
    ledger.intend(entry).result()
    ledger.refused(entry.id, ContentPolicyError(f"blocked {SECRET!s} (1026)")).result()
    found = ledger.entry(entry.id).result()
    assert found is not None
    assert found.message == f"blocked {digest(SECRET)} (1026)"
    assert ledger._book._prompts == {}, "nor does memory keep it longer than needed"


def test_words_are_left_out_where_the_prompt_is_not_known(
    open_ledger: Callable[..., Ledger], make: Maker
) -> None:
    entry = make.entry(request=REQUEST)
    open_ledger(prompts=False).intend(entry).result()
    later = open_ledger(prompts=False)
    later.unknown(entry.id, OSError(f"lost {SECRET}")).result()
    found = later.entry(entry.id).result()
    assert found is not None
    assert (found.error, found.message) == ("OSError", LEFT_OUT)


def test_rivals_are_found_among_digests_and_prompts_alike(
    open_ledger: Callable[..., Ledger], make: Maker
) -> None:
    open_one, closed_one = open_ledger(), open_ledger(prompts=False)
    entry, rival = make.entry(), make.entry()
    closed_one.intend(entry).result()
    closed_one.unknown(entry.id, OSError()).result()
    open_one.intend(rival).result()
    assert closed_one.identify(entry.id, [make.job()]).result().state == "unknown"


@given(st.text(min_size=20), st.integers(0, 30), st.integers(1, 200))
def test_no_long_piece_of_a_prompt_passes(prompt: str, start: int, length: int) -> None:
    quoted = prompt[start : start + length]
    said = Privacy(prompts=False).words(f"no: {quoted}", [prompt])
    letters = [c for c in quoted.casefold() if c.isalnum()]
    if len(letters) >= 12:
        assert quoted not in said


def test_prompts_are_kept_unless_told_otherwise(ledger: Ledger, make: Maker) -> None:
    entry = make.entry(request=REQUEST)
    ledger.intend(entry).result()
    ledger.refused(entry.id, ContentPolicyError(f"blocked {SECRET}")).result()
    found = ledger.entry(entry.id).result()
    assert found is not None
    assert found.request == REQUEST
    assert found.message == f"blocked {SECRET}".replace("\n", " ")


def test_pictures_among_the_options_are_stored_as_digests(
    path: Path, ledger: Ledger, make: Maker
) -> None:
    picture = f"data:image/png;base64,{'iVBORw0KGgo' * 1000}"
    options = {"mask": {"image_url": picture}, "more": ["a", picture.replace("data", "DATA")]}
    request = ImageRequest("x", provider_options={"openly": options})
    entry = make.entry(request=request)
    ledger.intend(entry).result()
    found = ledger.entry(entry.id).result()
    assert found is not None
    kept = found.request.provider_options["openly"]
    assert kept["mask"] == {"image_url": digest(picture)}
    assert kept["more"][0] == "a"
    assert request.provider_options["openly"]["mask"] == {"image_url": picture}
    assert b"iVBORw0KGgo" not in stored(path)


@pytest.mark.parametrize("prompt", ["", "fox", SECRET])
def test_a_digest_of_a_digest_is_itself(prompt: str) -> None:
    assert digest(digest(prompt)) == digest(prompt)
