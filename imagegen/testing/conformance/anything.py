"""Rules about anything that may come: whatever a provider answers, whatever a caller asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from hypothesis import HealthCheck, given, settings, strategies as st

from imagegen.backends.base import Translation
from imagegen.errors import ImageGenError
from imagegen.flow import Reply
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Generation, Job
from imagegen.testing.conformance.money import CHARGED
from imagegen.testing.conformance.replies import replies
from imagegen.testing.conformance.subject import EVERY_TERMS, Subject, require
from imagegen.testing.conformance.trial import Trial, tried

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
REFERENCES = st.lists(
    st.builds(
        ReferenceImage,
        st.sampled_from(["https://pictures.example/a.png", "http://b.example/?q=1"]),
        st.sampled_from(["character", "source"]),
    ),
    max_size=3,
)
OPTIONS = st.dictionaries(
    st.sampled_from(["size", "n", "seed", "style", "model", "image"]) | st.text(max_size=5),
    st.none() | st.booleans() | st.integers(-1, 4096) | st.text(max_size=9) | st.lists(st.text()),
    max_size=3,
)


@st.composite
def requests(draw: st.DrawFn, provider: str) -> ImageRequest:
    """Any request."""
    shape = draw(st.sampled_from(["none", "size", "ratio"]))
    sides, terms = st.integers(1, 16384), st.integers(1, 99)
    return ImageRequest(
        draw(TEXTS.filter(str.strip) | st.just("x" * 1500)),
        n=draw(st.sampled_from([1, 1, 2]) | st.integers(1, 12)),
        size=(draw(sides), draw(sides)) if shape == "size" else None,
        aspect_ratio=f"{draw(terms)}:{draw(terms)}" if shape == "ratio" else None,
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 100)),
        references=draw(REFERENCES),
        enhance_prompt=draw(st.none() | st.booleans()),
        output=draw(st.sampled_from(["url", "bytes"])),
        provider_options={provider: draw(OPTIONS)},
    )


class AnythingRules(Subject):
    """Nothing that comes leads out of the tree of errors; hypothesis makes the cases up."""

    def test_any_request_is_translated_or_refused(self) -> None:
        """A request becomes a body of JSON values, or a refusal that costs nothing."""
        models, terms = st.sampled_from(self.asked_models), st.sampled_from(EVERY_TERMS)

        @self._many
        @given(requests(self.backend.name), models, terms)
        def holds(request: ImageRequest, model: str, terms: Any) -> None:
            said = self.said(model, request, terms)
            if isinstance(said, Translation):
                json.dumps(said.body, allow_nan=False, default=_no_number)
            else:
                require(said.charged == "no", f"a refusal is charged {said.charged!r}: {said}")

        holds()

    def test_any_answer_to_a_submission_is_typed(self) -> None:
        """Whatever answers a submission, the outcome is a generation or an error of the tree."""
        rest = list(self.success[1:])

        @self._many
        @given(replies(self.success), st.sampled_from([1, 2]))
        def holds(answer: Reply, n: int) -> None:
            base = self.request_for(self.model)
            n = min(n, self.backend.images_per_call(self.model, base))
            trial = self.submitted([answer, *rest], n=max(n, base.n))
            self._check(trial, evolve(base, n=max(n, base.n)), _shown(answer))
            self._stays(trial, _shown(answer))
            require(len(trial.paid) == 1, f"{_shown(answer)} leads to {len(trial.paid)} paid calls")

        holds()

    def test_any_answer_to_a_poll_is_typed(self) -> None:
        """Whatever answers a poll, the outcome is a generation, or an error with the job."""
        good = self.succeeding()
        if not self.polls():
            return
        job = self.submitted(good).job
        first = self.submitted(good).calls_of_submission

        @self._many
        @given(st.lists(replies(good[first:]), min_size=1, max_size=3))
        def holds(answers: list[Reply]) -> None:
            trial = Trial(job=job)
            tried(self.settling(_known(job)), [*answers, *good[first:]], trial=trial)
            self._check(trial, _known(job).request, _shown(answers[0]))
            self._stays(trial, _shown(answers[0]))
            require(not trial.paid, f"{_shown(answers[0])} leads to a paid call")

        holds()

    @property
    def _many(self) -> settings:
        return settings(
            max_examples=self.examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        )

    def _stays(self, trial: Trial, answer: str) -> None:
        begin = f"{self.backend.host}/"
        astray = [c.url for c in trial.calls if c.account and not c.url.startswith(begin)]
        require(not astray, f"{answer}: it asks {astray[:1]} for its account, not self.host")

    def _check(self, trial: Trial, request: ImageRequest, answer: str) -> None:
        case = f"{answer}: it {trial.ending}"
        require(not trial.endless, f"{answer}: it goes on even when its time is up")
        error, made = trial.error, trial.value
        if error is not None:
            require(
                isinstance(error, ImageGenError),
                f"{case}. Read replies with decode and member, text or number, or with structure: "
                "any value may be in any place",
            )
            charged = getattr(error, "charged", None)
            require(charged in CHARGED, f"{case}, with charged={charged!r}")
            lost = trial.job is not None and getattr(error, "job", None) is None
            require(not lost, f"{case}, without the job")
            return
        if not isinstance(made, Generation):
            require(made is not None, f"{case}; return a Generation")
            return
        require(made.images, f"{case}: a generation without a picture must be an error")
        came = len(made.images) + len(made.failures)
        require(came >= request.n, f"{case}: images and failures are {came}, not {request.n}")
        if trial.job is not None:
            require(Job.from_json(trial.job.to_json()) == trial.job, f"{case}: job is not the same")


def _known(job: Job | None) -> Job:
    require(job is not None, "with success, the submission returns no job")
    return job  # type: ignore[return-value]


def _shown(answer: Reply) -> str:
    return f"HTTP {answer.status} with {answer.body[:300]!r} and {dict(answer.headers)}"


def _no_number(value: object) -> Sequence[str]:
    return [repr(value)]
