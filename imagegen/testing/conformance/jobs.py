"""Rules about what comes of an accepted submission: pictures, what is missing, and the job."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest
from attrs import evolve

from imagegen import errors
from imagegen.backends.base import Translation
from imagegen.errors import DeadlineExceededError, ImageGenError, TransportError
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job
from imagegen.testing.conformance.money import CHARGED
from imagegen.testing.conformance.subject import LAX, Subject, fail, require, require_none
from imagegen.testing.conformance.translation import ADJUSTABLE
from imagegen.testing.conformance.trial import Interruption, Trial, tried
from imagegen.testing.playing import reply

PATIENCE = 200
"""Polls that may fail in a row before the error is raised."""


class JobRules(Subject):
    """What is kept, and how it is told."""

    def test_a_success_is_a_whole_generation(self) -> None:
        """Its pictures, provider, model, request and attempt are there."""
        self.succeeding()
        made, model, request = self._made(), self.model, self.request_for(self.model)
        checks = {
            f"provider is {made.provider!r}": made.provider == self.backend.name,
            f"model is {made.model!r}": made.model == self.backend.model_id(model, request),
            "request is not the one submitted": made.request == request,
            f"it has {len(made.images)} pictures": len(made.images) == request.n,
            f"it has failures: {made.failures}": not made.failures,
            "a picture has neither url nor data": all(i.url or i.data for i in made.images),
            f"it has {len(made.attempts)} attempts": len(made.attempts) == 1,
        }
        wrong = [words for words, holds in checks.items() if not holds]
        require_none(wrong, "pictures.Exchange.generation() fills all of it in:")

    def test_notices_reach_the_result(self) -> None:
        """What the translation adjusted is in the job's notices, and in the generation's."""
        replies, request = self.succeeding(), self._noticed()
        said = self.said(self.model, request, LAX)
        expected = said.notices if isinstance(said, Translation) else ()
        trial = Trial()
        made = tried(self.purchase(request, self.model, trial), replies, trial=trial).value
        for holder, words in ((trial.job, "Job"), (made, "Generation")):
            missing = [n.message for n in expected if n not in getattr(holder, "notices", ())]
            require_none(missing, f"Pass translation.notices on to the {words}; it lacks:")

    def test_the_cost_is_that_of_the_price(self) -> None:
        """What a generation costs is what was estimated, unless the provider billed it."""
        self.succeeding()
        cost, request = self._made().cost, self.request_for(self.model)
        price = self.backend.price(self.model, request)
        estimate = price.cost(request.n) if price else None
        if cost.basis == "billed":
            require(cost.amount is not None and cost.currency, "a billed cost has no amount")
        elif estimate is None:
            require(cost.amount is None, f"the price is unknown, but the cost is {cost}")
        else:
            require(cost == estimate, f"estimated was {estimate}, but the cost is {cost}")

    def test_partial_results_are_kept(self) -> None:
        """One of two pictures came: it is there, and so is why the other is not."""
        model = self._paired()
        if model is None:
            return
        if not self.partial:
            words = "add partial: the replies when two pictures were asked for and one came"
            pytest.skip(f"{words} (None if no model makes two a call)")
        made = self.submitted(self.partial, n=2, model=model)
        if not isinstance(made.value, Generation):
            fail(f"with partial, {model} {made.ending}; the picture that came is paid for: keep it")
        images, failures = made.value.images, made.value.failures
        require(
            (len(images), len(failures)) == (1, 1),
            f"with partial, {model} has {len(images)} images and {len(failures)} failures; "
            "together they are n, one of each",
        )
        missing = failures[0]
        kind = getattr(errors, missing.error, None)
        require(
            isinstance(kind, type) and issubclass(kind, ImageGenError),
            f"a failure's error is {missing.error!r}, which is no class of imagegen.errors",
        )
        require(missing.charged in CHARGED, f"a failure's charged is {missing.charged!r}")

    def test_errors_after_acceptance_carry_the_job(self) -> None:
        """Whatever goes wrong while a job is waited for, its error has the job, and is not free."""
        replies, wrong = self.succeeding(), list[str]()
        if not self.polls():
            return
        first = self.submitted(replies).calls_of_submission
        for done in range(first, len(replies)):
            for words, bad in _troubles():
                trial = self.submitted([*replies[:done], *repeat(bad, PATIENCE)])
                wrong += _without_job(trial, f"with {words} after {done} replies it {trial.ending}")
        require_none(wrong, "Wrap what settles in `with attached(job)`:")

    def test_a_deadline_ends_the_wait(self) -> None:
        """When the time is up it asks no more, and the error says so, with the job."""
        replies, wrong = self.succeeding(), list[str]()
        if not self.polls():
            return
        for done in range(self.submitted(replies).calls_of_submission, len(replies)):
            trial = self.submitted(replies[:done])
            if trial.endless:
                wrong.append(f"after {done} replies it goes on even when its time is up")
            elif not isinstance(trial.error, DeadlineExceededError) or trial.error.job is None:
                wrong.append(f"after {done} replies it {trial.ending}")
        require_none(wrong, "Let DeadlineExceededError out, within `with attached(job)`:")

    def test_an_interrupted_wait_is_passed_on(self) -> None:
        """Ctrl-C while a job is waited for comes out as itself."""
        replies = self.succeeding()
        if not self.polls():
            return
        first = self.submitted(replies).calls_of_submission
        trial = self.submitted([*replies[:first], Interruption()])
        require(
            isinstance(trial.error, Interruption),
            f"interrupted while it waits, the flow {trial.ending}; catch no BaseException",
        )

    def test_jobs_survive_storage(self) -> None:
        """A job read back from JSON is the same, and settles to the same generation, unpaid."""
        replies = self.succeeding()
        trial = self.submitted(replies)
        job = trial.job
        if job is None:
            fail(f"with success, the flow {trial.ending}")
        copy = Job.from_json(job.to_json())
        require(copy == job, "Job.from_json(job.to_json()) is another job; what differs is lost")
        require(job.provider == self.backend.name, f"job.provider is {job.provider!r}")
        require(job.request == self.request_for(self.model), "job.request is not the one submitted")
        if job.settled is None:
            require(job.id, "the job is not settled and has no id: it could not be asked for")
            again = tried(self.settling(copy), replies[trial.calls_of_submission :])
            require(again.value == trial.value, f"settled from its JSON, the job {again.ending}")
            require(not again.paid, "settle() makes a paid call; it may only ask")

    def test_an_answered_job_is_not_bought_again(self) -> None:
        """`settle` pays nothing; a provider without jobs refuses, in the tree of errors."""
        job = self.submitted(self.succeeding()).job
        if job is None or job.settled is None:
            return
        trial = tried(self.settling(evolve(job, settled=None)), [reply({}, status=404)] * 5)
        require(not trial.paid, "settle() makes a paid call; it may only ask")
        require(
            isinstance(trial.error, ImageGenError) and not trial.endless,
            f"asked for a job that it cannot ask for, settle() {trial.ending}; raise "
            "UnsupportedFeatureError",
        )

    def _made(self) -> Generation:
        trial = self.submitted(self.succeeding())
        if not isinstance(trial.value, Generation):
            fail(f"with success, the flow {trial.ending}; it must return a Generation")
        return trial.value

    def _noticed(self) -> ImageRequest:
        """A request that is taken with a notice, if there is one."""
        base = self.request_for(self.model)
        for change in (change for changes in ADJUSTABLE.values() for change in changes):
            changed = evolve(base, **change)
            said = self.said(self.model, changed, LAX)
            if isinstance(said, Translation) and said.notices:
                return changed
        return base

    def _paired(self) -> str | None:
        """The first model that makes two pictures a call."""
        for model in self.asked_models:
            if self.backend.images_per_call(model, self.request_for(model)) > 1:
                if self.partial is None:
                    fail(f"partial is None, but {model} makes several a call: give the replies")
                return model
        return None


def _troubles() -> Iterator[tuple[str, Any]]:
    yield "TransportError", TransportError("lost")
    yield "HTTP 500", reply({}, status=500)
    yield "HTTP 401", reply({}, status=401)
    yield "HTTP 404", reply({}, status=404)
    yield "an unreadable answer", reply(body=b"<html>")


def _without_job(trial: Trial, words: str) -> list[str]:
    error = trial.error
    if not isinstance(error, ImageGenError) or error.job is None:
        return [words]
    if error.charged == "no":
        return [f"{words}, with charged='no'"]
    if trial.job is not None and error.job.id != trial.job.id:
        return [f"{words}, with another job's id"]
    return []
