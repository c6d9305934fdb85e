"""Rules about what comes of an accepted submission: pictures, what is missing, and the job."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import repeat
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve, fields

from imagegen import errors
from imagegen.backends.base import Backend, Translation
from imagegen.backends.pictures import is_url
from imagegen.errors import DeadlineExceededError, ImageGenError, TransportError
from imagegen.flow import Call
from imagegen.pricing import Price
from imagegen.request import ImageRequest
from imagegen.result import Attempt, GeneratedImage, Generation, Job
from imagegen.testing.clock import EPOCH
from imagegen.testing.conformance.form import modules_of
from imagegen.testing.conformance.money import CHARGED
from imagegen.testing.conformance.subject import (
    LAX,
    Subject,
    fail,
    require,
    require_none,
    with_backend,
)
from imagegen.testing.conformance.translation import ADJUSTABLE
from imagegen.testing.conformance.trial import Interruption, Trial, tried
from imagegen.testing.playing import reply

HOSTILE_IDS = ("../../account", "..", "a?b=c&d=e", "a#b", "a b", "a\r\nHost: b", "é")
OWN_PRICE = Price(
    amount=Decimal("123.456"), currency="XTS", per="image", as_of=EPOCH.date(), source="the caller"
)
PATIENCE = 200
"""Polls that may fail in a row before the error is raised."""


class JobRules(Subject):
    """What is kept, and how it is told."""

    def test_a_success_is_a_whole_generation(self) -> None:
        """Its pictures, provider, model, request and attempt are there."""
        trial, made = self.submitted(self.succeeding()), self._made()
        model, request = self.model, self.request_for(self.model)
        waited = trial.job is not None and trial.job.settled is None
        checks = {
            f"provider is {made.provider!r}": made.provider == self.backend.name,
            f"model is {made.model!r}": made.model == self.backend.model_id(model, request),
            "request is not the one submitted": made.request == request,
            f"it has {len(made.images)} pictures": len(made.images) == request.n,
            f"it has failures: {made.failures}": not made.failures,
            "a picture has neither url nor data": all(i.url or i.data for i in made.images),
            "a picture's url is not whole": all(is_url(i.url or "https://") for i in made.images),
            "a picture's expires_at has no time zone": all(_aware(i) for i in made.images),
            "it does not name its job": made.job is not None or not waited,
            f"it has {len(made.attempts)} attempts": len(made.attempts) == 1,
            "its attempt does not tell of it": all(_tells(a, made) for a in made.attempts),
        }
        wrong = [words for words, holds in checks.items() if not holds]
        require_none(wrong, "Exchange.of(job) and exchange.settled() fill all of it in:")

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
        replies, first = self.succeeding(), self.model
        self._made()
        full = self.backend.model_id(first, self.request_for(first))
        own = with_backend(self, evolve(self.backend, prices={full: OWN_PRICE}))
        require(
            own.backend.price(first, self.request_for(first)) == OWN_PRICE,
            "price() does not heed the caller's own prices; write list_price() only",
        )
        cases = [(self, model) for model in self.asked_models]
        for rules, model in (*cases, (own, first)):
            made = rules.submitted(replies, model=model).value
            if isinstance(made, Generation):  # the replies are those of the first model
                _require_cost(rules.backend, model, made)

    def test_partial_results_are_kept(self) -> None:
        """One of two pictures came: it is there, and so is why the other is not."""
        model = self._paired()
        if model is None:
            return
        if not self.partial:
            words = "add partial: the replies when two pictures were asked for and one came"
            self.unasked(f"{words} (None if no model makes two a call)")
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
        require(missing.message.strip(), "a failure has no message; say why the picture is missing")
        require(
            missing.index in (None, 0, 1), f"a failure's index is {missing.index}; it is 0 or 1"
        )
        _require_cost(self.backend, model, made.value)

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
        require_none(
            wrong, "Wait with self.polled(), or wrap what settles in `with attached(job)`:"
        )

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
        require_none(
            wrong,
            "Wait with self.polled(), or let DeadlineExceededError out of `with attached(job)`:",
        )

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
        require(isinstance(job.id, str), f"job.id is {job.id!r}; it must be a string")
        told = job.created_at
        require(told is None or told.tzinfo, "job.created_at has no time zone: reply.received_at")
        copy = Job.from_json(job.to_json())
        require(copy == job, "Job.from_json(job.to_json()) is another job; what differs is lost")
        require(job.provider == self.backend.name, f"job.provider is {job.provider!r}")
        require(job.request == self.request_for(self.model), "job.request is not the one submitted")
        if job.settled is None:
            require(job.id, "the job is not settled and has no id: it could not be asked for")
            elsewhere = with_backend(self, evolve(self.backend))
            with forgotten(elsewhere.backend, job):
                again = tried(elsewhere.settling(copy), replies[trial.calls_of_submission :])
            require(
                again.value == trial.value,
                f"settled from its JSON, as in another process, the job {again.ending}",
            )
            require(not again.paid, "settle() makes a paid call; it may only ask")

    def test_an_id_leads_nowhere_else(self) -> None:
        """A job's id, which the provider chose, cannot turn a call to another path or query."""
        job = self.submitted(self.succeeding()).job
        if job is None or job.settled is not None:
            return
        plain, wrong = _asked_for(self, job, "plain"), list[str]()
        for id_ in HOSTILE_IDS:
            call = _asked_for(self, job, id_)
            if call and plain and not _beside(call.url, plain.url):
                wrong.append(f"{id_!r} becomes {call.url}")
        require_none(wrong, "Put an id into a URL with segment(job), which quotes or refuses it:")

    def test_polls_are_apart(self) -> None:
        """While a job goes on, the flow waits between its calls."""
        replies = self.succeeding()
        if not self.polls():
            return
        first = self.submitted(replies).calls_of_submission
        for words, bad in (("the job goes on", replies[first]), *_troubles()):
            trial = self.submitted([*replies[:first], *repeat(bad, 20)])
            require(
                trial.paused > 0 or len(trial.calls) < first + 3,
                f"while {words} it makes {len(trial.calls)} calls without a Pause; yield "
                "Pause(seconds) between them, as self.polled() does",
            )

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
            fail(f"with success, the flow {trial.ending_early}; it must return a Generation")
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


@contextmanager
def forgotten(backend: Backend, job: Job) -> Generator[None]:
    """Take what *backend*, its class and its modules keep of *job* away for the moment."""
    cls = type(backend)
    places: list[Any] = [*cls.__mro__, *modules_of(cls.__module__)]
    values = [value for each in places for value in list(vars(each).values())]
    values += [getattr(backend, each.name, None) for each in fields(cls)]
    taken = [(each, _take(each, job)) for each in values if isinstance(each, (dict, list, set))]
    try:
        yield
    finally:
        for each, removed in taken:
            each.extend(removed) if isinstance(each, list) else each.update(removed)


def _take(kept: Any, job: Job) -> Any:
    """Remove what *kept* has of *job*, and return it."""
    if isinstance(kept, dict):
        names = [name for name, value in kept.items() if _is(job, name) or _is(job, value)]
        return {name: kept.pop(name) for name in names}
    removed = [item for item in kept if _is(job, item)]
    for item in removed:
        kept.remove(item)
    return removed


def _is(job: Job, value: object) -> bool:
    if isinstance(value, tuple):
        return any(_is(job, item) for item in value)
    return isinstance(value, (str, Job)) and value in (job.id, job)


def _require_cost(backend: Backend, model: str, made: Generation) -> None:
    """A cost that was not billed is the price of the pictures, and of what is not free besides."""
    price, cost = backend.price(model, made.request), made.cost
    parts = [attempt.cost.amount for attempt in made.attempts]
    total = None if None in parts else sum(filter(None, parts), Decimal(0))
    require(
        not parts or total == cost.amount,
        f"{model}: its attempts cost {total}, but it costs {cost.amount}; one is the other's sum",
    )
    if cost.basis == "billed":
        require(cost.amount is not None and cost.currency, "a billed cost has no amount")
    elif price is None:
        require(cost.amount is None, f"{model}: the price is unknown, but the cost is {cost}")
    else:
        charges, came = [failure.charged for failure in made.failures], len(made.images)
        least, most = came + charges.count("yes"), came + len(charges) - charges.count("no")
        estimates = [price.cost(count) for count in range(least, most + 1)]
        words = " or ".join(str(estimate.amount) for estimate in estimates)
        require(
            cost in estimates,
            f"{model}: by self.price() it is {words} {price.currency}, but the cost is {cost}; "
            "failures with charged='no' cost nothing",
        )


def _aware(image: GeneratedImage) -> bool:
    return image.expires_at is None or image.expires_at.tzinfo is not None


def _tells(attempt: Attempt, made: Generation) -> bool:
    said = (attempt.provider, attempt.model, attempt.n, attempt.images)
    return said == (made.provider, made.model, made.request.n, len(made.images))


def _asked_for(rules: Subject, job: Job, id_: str) -> Call | None:
    """The first call that asks for *job* under another id; None if there is none."""
    calls = tried(rules.settling(evolve(job, id=id_)), []).calls
    return calls[0] if calls else None


def _beside(url: str, plain: str) -> bool:
    """Whether *url* is what *plain* is but for the id: the same host, no way out."""
    parts, usual = urlsplit(url), urlsplit(plain)
    climbs = any(step in (".", "..") for step in parts.path.split("/"))
    same = (parts.netloc, bool(parts.fragment)) == (usual.netloc, bool(usual.fragment))
    alike = len(parts.query.split("&")) == len(usual.query.split("&"))
    known = bool(parts.query) == bool(usual.query) and "?" not in parts.query
    return same and alike and known and not climbs and re.fullmatch("[!-~]+", url) is not None


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
