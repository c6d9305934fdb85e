"""What the rules are about: a backend, its replies, and how it is made to speak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn, TypeVar

import pytest
from attrs import evolve

from imagegen.backends.base import Backend, Terms, Translation
from imagegen.errors import ImageGenError, InvalidRequestError, UnsupportedFeatureError
from imagegen.flow import Flow, Reply
from imagegen.redaction import brief
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job
from imagegen.testing.clock import EPOCH
from imagegen.testing.conformance.trial import BrokenRuleError, Trial, told, tried

EVERY_TERMS = (
    Terms(),
    Terms(fit="nearest"),
    Terms(unsupported="adjust"),
    Terms(fit="nearest", unsupported="adjust"),
)
LAX = EVERY_TERMS[-1]
SHOWN = 5
"""Cases that a failure lists; the first tell what is wrong."""
LONGEST = 300
"""Characters of a line of a failure."""
NAMED = ("name", "key_variable", "host_variable", "default_host", "prefix", "default_model")
"""What every backend says of itself."""


def fail(words: str) -> NoReturn:
    """Say that a rule is broken, and what to do; of a long line, both ends."""
    __tracebackhide__ = True
    raise BrokenRuleError("\n".join(map(_shortened, words.splitlines())))


def require(holds: object, words: str) -> None:
    """Fail with *words* unless it holds."""
    __tracebackhide__ = True
    if not holds:
        fail(words)


def require_none(wrong: Sequence[str], rule: str) -> None:
    """Fail if there are *wrong* cases, naming the first of them and the *rule*."""
    __tracebackhide__ = True
    if wrong:
        more = f"\n  … and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        fail(rule + "".join(f"\n  {case}" for case in wrong[:SHOWN]) + more)


def _shortened(line: str) -> str:
    half = LONGEST // 2
    return line if len(line) <= LONGEST else f"{line[: half - 2]} … {line[1 - half :]}"


S = TypeVar("S", bound="Subject")


class Subject:
    """A backend under test; `Conformance` says what its attributes mean."""

    backend: ClassVar[Backend]
    success: ClassVar[Sequence[Reply]] = ()
    partial: ClassVar[Sequence[Reply] | None] = ()
    refusals: ClassVar[Sequence[tuple[Reply | Sequence[Reply], type[ImageGenError]]]] = ()
    models: ClassVar[Sequence[str] | None] = None
    request: ClassVar[ImageRequest] = ImageRequest("a red fox")
    examples: ClassVar[int] = 100
    complete: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        given = cls.__dict__.get("backend")
        if given is not None and not isinstance(given, Backend):
            raise TypeError(
                f"{cls.__name__}.backend must be an instance of a Backend, such as "
                f'Acme(api_key="not-a-key"), not {brief(given)}'
            )
        lacking = [name for name in NAMED if given is not None and not hasattr(given, name)]
        if lacking:
            words = " and ".join(f"`{name}`" for name in lacking)
            raise TypeError(
                f"{type(given).__name__} lacks {words}: every backend says it of itself"
            )
        for name in ("success", "partial"):
            if isinstance(cls.__dict__.get(name), Reply):
                raise TypeError(f"{cls.__name__}.{name} must be a list of replies, not one reply")

    def __getattr__(self, name: str) -> Any:
        if name == "backend":
            fail(f'add backend to {type(self).__name__}: such as Acme(api_key="not-a-key")')
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def request_for(self, model: str) -> ImageRequest:  # noqa: ARG002 - for overriders
        """The least that *model* needs."""
        return self.request

    @property
    def asked_models(self) -> tuple[str, ...]:
        """The models that the rules try."""
        return tuple(self.backend.models() if self.models is None else self.models)

    @property
    def model(self) -> str:
        """The model whose replies `success` has."""
        return self.asked_models[0]

    def succeeding(self) -> list[Reply]:
        """The replies of a success; without them the rule is not asked."""
        if not self.success:
            self.unasked("add success: the replies to one submission of one picture, in order")
        return list(self.success)

    def unasked(self, words: str) -> NoReturn:
        """Skip a rule with a word on what to add; fail if the suite is to be complete."""
        if self.complete:
            fail(f"{words}; complete = True lets no rule be skipped")
        pytest.skip(words)

    def said(
        self, model: str, request: ImageRequest, terms: Terms
    ) -> Translation | UnsupportedFeatureError | InvalidRequestError:
        """The translation, or the refusal in its place."""
        try:
            said = self.backend.translate(request, model, terms)
        except (UnsupportedFeatureError, InvalidRequestError) as refusal:
            return refusal
        except Exception as error:  # noqa: BLE001 - whatever it is, the rule reports it
            fail(
                f"translate() {told(error)} for {request} with {model}. "
                "Raise UnsupportedFeatureError or InvalidRequestError, and name the field"
            )
        require(
            isinstance(said, Translation),
            f"translate() returns {brief(said)}; return a Translation, as Draft.finished() does",
        )
        return said

    def submitted(
        self,
        outcomes: Iterable[Reply | BaseException],
        *,
        n: int | None = None,
        model: str | None = None,
        **options: Any,
    ) -> Trial:
        """What comes of one submission, settled as far as *outcomes* go."""
        chosen = model or self.model
        request = self.request_for(chosen)
        request = request if n is None else evolve(request, n=n)
        trial = Trial()
        return tried(self.purchase(request, chosen, trial), outcomes, trial=trial, **options)

    def purchase(self, request: ImageRequest, model: str, trial: Trial) -> Flow[Generation]:
        """Submit and settle, as a client does; *trial* is told the job once it is known."""
        submission = self.backend.submit(request, model, LAX)
        require_flow(submission, "submit")
        job = yield from submission
        require(isinstance(job, Job), f"submit() returns {brief(job)}; return a Job")
        trial.job, trial.calls_of_submission = job, len(trial.calls)
        if job.settled is not None:
            return job.settled
        return (yield from self.settling(job))

    def settling(self, job: Job) -> Flow[Generation]:
        """Settle *job*, as a client does."""
        flow = self.backend.settle(job, 0.0)
        require_flow(flow, "settle")
        return (yield from flow)

    def polls(self) -> bool:
        """Whether the success is polled for, rather than the answer to the submission."""
        trial = self.submitted(self.succeeding())
        return trial.job is not None and trial.job.settled is None

    def bad_answers(self) -> Iterator[tuple[str, Reply]]:
        """Answers that nobody can read, by what they are."""
        page = b"<html><h1>Bad Gateway</h1></html>"
        for status in (500, 502, 503, 504):
            yield f"a gateway's page with HTTP {status}", Reply(status, {}, page, EPOCH)
            yield f"an empty HTTP {status}", Reply(status, {}, b"", EPOCH)
            yield f"HTTP {status} with the body {{}}", Reply(status, {}, b"{}", EPOCH)
        for body in (b"", page, b"{}", b"[]", b"null", b'"done"', b'{"id":', b"\xff\xfe"):
            yield f"HTTP 200 with the body {body!r}", Reply(200, {}, body, EPOCH)


def with_backend(rules: S, backend: Backend) -> S:
    """The same rules about another backend."""
    twin = type(rules)()
    vars(twin)["backend"] = backend
    return twin


def require_flow(value: object, verb: str) -> None:
    """Fail unless *value* is a flow."""
    require(
        hasattr(value, "send") and hasattr(value, "throw") and not hasattr(value, "__await__"),
        f"{verb}() returns {brief(value)}, which is no flow: write it as a generator function, "
        "without async, that does `reply = yield Call(...)` and returns its result",
    )
