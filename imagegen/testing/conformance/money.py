"""Rules about money: one paid call a submission, and the truth about what may be billed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, get_args

from attrs import evolve

from imagegen.errors import (
    AuthenticationError,
    Charged,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.flow import Call, Reply
from imagegen.redaction import Secret, without_query
from imagegen.testing.clock import EPOCH
from imagegen.testing.conformance.logs import heard
from imagegen.testing.conformance.replies import read
from imagegen.testing.conformance.subject import (
    Subject,
    fail,
    require,
    require_none,
    with_backend,
)
from imagegen.testing.conformance.trial import Interruption, Trial, tried
from imagegen.testing.conformance.wire import written
from imagegen.testing.playing import reply

CHARGED = frozenset(get_args(Charged))
BY_STATUS: dict[int, tuple[type[ImageGenError], ...]] = {
    401: (AuthenticationError,),
    403: (AuthenticationError, ContentPolicyError, InsufficientBalanceError),
    404: (ConfigurationError, InvalidRequestError, UnsupportedFeatureError),
    429: (RateLimitError, InsufficientBalanceError),
}
"""What a bare HTTP status means by itself; the first is the usual one."""
CANARY = "canary-of-the-kit-4711"
ELSEWHERE = "https://gateway.example/base"


class MoneyRules(Subject):
    """How a submission is made, and how it may end."""

    def test_a_submission_is_one_paid_post(self) -> None:
        """A success takes exactly its replies; the first call is a paid POST, and no other is."""
        trial = self.submitted(self.succeeding())
        require(
            trial.error is None and trial.left == 0,
            f"with the {len(self.success)} replies of success the flow {trial.ending_early}, with "
            f"{trial.left} of them left over; give exactly the replies of one success",
        )
        paid = [call.paid for call in trial.calls]
        require(
            paid == [True] + [False] * (len(paid) - 1),
            f"of its calls, paid are {paid}; the first alone must be: Call(..., paid=True) and "
            "submit_once() for the submission, and no paid call anywhere else",
        )
        first = trial.calls[0]
        require(first.method == "POST", f"the submission is a {first.method}; it must be a POST")

    def test_calls_go_to_its_host_for_its_account(self) -> None:
        """Calls for the backend's account go to its host, and the paid one is for it."""
        moved = evolve(self.backend, base_url=f"{ELSEWHERE}{self.backend.prefix}")
        for rules in (self, with_backend(self, moved)):
            for call in rules.submitted(self.succeeding()).calls:
                rules.require_own(call)

    def require_own(self, call: Call) -> None:
        """Fail unless *call* is for the account and under the host, or for neither and free."""
        host, name, shown = self.backend.host, self.backend.name, without_query(call.url)
        own, within = call.account == name, call.url.startswith(f"{host}/")
        require(
            own or (call.account is None and not call.paid and not within),
            f"{call} is for the account {call.account!r}; it must be account=self.name, {name!r}: "
            "the driver adds the key",
        )
        beside = f"with base_url={self.backend.base_url!r}, " if self.backend.base_url else ""
        begin = f"{host}{self.backend.prefix}/"
        require(
            not own or call.url.startswith(begin),
            f"{beside}{shown} does not begin with self.host and self.prefix, {begin}; the key goes "
            "nowhere else",
        )

    def test_no_outcome_makes_it_pay_twice(self) -> None:
        """Whatever becomes of a submission, it is not made again."""
        wrong = list[str]()
        for words, outcome in self._outcomes():
            trial = self.submitted([outcome] * 20)
            if trial.endless:
                wrong.append(f"after {words} it goes on even when its time is up")
            if len(trial.paid) != 1:
                wrong.append(f"after {words} it makes {len(trial.paid)} paid calls")
            elif _repeats(trial.calls):
                wrong.append(f"after {words} it makes the same call again, as if it were free")
        require_none(wrong, "Send once; whether to send again is for the client to decide:")

    def test_a_lost_reply_is_unknown(self) -> None:
        """Sent, and no reply: nobody knows whether it was accepted."""
        wrong = []
        for lost in (TransportError("reset"), DeadlineExceededError("late")):
            trial = self.submitted([lost])
            if not _is_unknown(trial):
                wrong.append(f"after {type(lost).__name__} with sent=True it {trial.ending}")
        require_none(
            wrong, "Submit with self.placed() or submit_once(), which raise SubmissionUnknownError:"
        )

    def test_what_was_never_sent_stays_so(self) -> None:
        """Nothing sent: the error keeps its class, and nothing is charged."""
        wrong, kinds = list[str](), (TransportError, DeadlineExceededError)
        for kind in kinds:
            error = self.submitted([kind("refused", sent=False)]).error
            if not isinstance(error, kind) or error.sent or error.charged != "no":
                wrong.append(f"{kind.__name__} with sent=False becomes {error!r}")
            elif error.provider != self.backend.name:
                wrong.append(f"{kind.__name__} with sent=False leaves with no provider")
        require_none(
            wrong,
            "Submit with self.placed() or submit_once(), which let it pass; the client may send it "
            "again:",
        )

    def test_an_unreadable_answer_is_unknown(self) -> None:
        """A gateway's page, an empty answer, a success or a 5xx that says nothing known."""
        wrong = []
        for words, answer in (*self.bad_answers(), *self._unknown_codes()):
            trial = self.submitted([answer])
            if not _is_unknown(trial):
                wrong.append(f"after {words} it {trial.ending}")
        require_none(
            wrong,
            "It may have been accepted behind the gateway. Read it with self.placed() or "
            "accepted(), which raise SubmissionUnknownError:",
        )

    def test_an_answer_that_breaks_off_is_never_free(self) -> None:
        """What is left of a success is read, or the outcome is unknown; it is never free."""
        first, wrong = self.succeeding()[0], list[str]()
        for length in range(0, len(first.body), max(len(first.body) // 12, 1)):
            part = evolve(first, body=first.body[:length], broken="the connection was reset")
            trial = self.submitted([part])
            free = getattr(trial.error, "charged", "no") == "no" if trial.error else False
            if free or (trial.job is None and not _is_unknown(trial)):
                wrong.append(f"with {length} of {len(first.body)} bytes it {trial.ending}")
        require_none(wrong, "Reply.broken says why the body ends early; the job may exist:")

    def test_an_interruption_is_passed_on(self) -> None:
        """Ctrl-C and a cancelled task come out as themselves."""
        trial = self.submitted([Interruption()])
        require(
            isinstance(trial.error, Interruption),
            f"interrupted while it submits, the flow {trial.ending}; catch no BaseException "
            "without raising it again",
        )

    def test_a_status_that_refuses_has_its_class(self) -> None:
        """401, 403, 404 and 429 without words are refusals of their kinds, free of charge."""
        wrong = []
        for status, kinds in BY_STATUS.items():
            error = self.submitted([reply({}, status=status)] * 3).error
            if not isinstance(error, kinds):
                wrong.append(f"HTTP {status} becomes {error!r}, not {kinds[0].__name__}")
            elif (error.charged, error.status) != ("no", status):
                words = f"charged={error.charged!r} and status={error.status}"
                wrong.append(f"HTTP {status} becomes {type(error).__name__} with {words}")
        require_none(wrong, "self.placed(), accepted() and refused() know them:")

    def test_retry_after_is_kept(self) -> None:
        """The wait that a 429 asks for is in `error.retry_after`, in seconds."""
        later = (EPOCH + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        for said, meant in (("7", 7.0), (later, 90.0)):
            answer = reply({}, status=429, headers={"Retry-After": said})
            error = self.submitted([answer] * 3).error
            require(
                getattr(error, "retry_after", None) == meant,
                f"a 429 with Retry-After: {said} becomes {error!r} with retry_after="
                f"{getattr(error, 'retry_after', None)}, not {meant}; pass reply.retry_after on, "
                "as accepted() and told() do",
            )

    def test_refusals_have_their_classes(self) -> None:
        """Each of `refusals` is raised as the class that it stands for."""
        if not self.refusals:
            self.unasked("add refusals: pairs of a reply that refuses and its class of error")
        wrong = []
        for number, (given, kind) in enumerate(self.refusals):
            replies: Sequence[Reply] = [given] if isinstance(given, Reply) else given
            trial = self.submitted(replies)
            error = trial.error
            if not isinstance(error, ImageGenError) or type(error) is not kind:
                wrong.append(f"refusals[{number}]: it {trial.ending}, not {kind.__name__}")
            elif error.charged not in CHARGED or error.provider != self.backend.name:
                words = f"charged={error.charged!r} and provider={error.provider!r}"
                wrong.append(f"refusals[{number}]: {kind.__name__} has {words}")
        require_none(wrong, "Read the provider's own code, and raise the class that fits:")

    def test_the_key_is_in_nothing(self) -> None:
        """No call, error, job, event or repr has the key; the driver alone adds it."""
        keyed = evolve(self.backend, api_key=Secret(CANARY))
        spellings, twin = tuple(_spellings(CANARY)), with_backend(self, keyed)
        told = [("repr(backend)", repr(keyed))]
        for words, outcomes in (("a success", list(self.success)), *_each(self._outcomes())):
            with heard() as records:
                trial = twin.submitted(outcomes)
            told += [(f"the log after {words}", record) for record in records]
            told += [(f"a call ({call.method})", written(call)) for call in trial.calls]
            told += [(f"an event after {words}", repr(event)) for event in trial.events]
            told.append((f"the outcome of {words}", f"{trial.ending} {trial.error!r}"))
            told += [("the job", trial.job.to_json() + repr(trial.job))] if trial.job else []
        wrong = sorted({where for where, text in told if any(s in text for s in spellings)})
        require_none(wrong, "The key is in what leaves the backend; name account=self.name:")

    def test_the_prompt_is_in_no_log(self) -> None:
        """What is logged does not quote the prompt: that is the caller's to show."""
        base, wrong = self.request_for(self.model), list[str]()
        request = evolve(base, prompt=f"{base.prompt} {CANARY}")
        for words, outcomes in (("a success", list(self.success)), *_each(self._outcomes())):
            with heard() as records:
                tried(self.purchase(request, self.model, Trial()), outcomes)
            wrong += [f"after {words}: {said[:120]}" for said in records if CANARY in said]
        require_none(wrong, "Log nothing of a request; errors and results tell it to the caller:")

    def test_free_questions_are_free(self) -> None:
        """`check`, `find` and `current_prices` pay nothing, and end in the tree of errors."""
        backend, request = self.backend, self.request_for(self.model)
        full = backend.model_id(self.model, request)
        wrong = []
        for words, outcome in self._outcomes():
            for name, ask in (
                ("check", backend.check),
                ("current_prices", lambda: backend.current_prices((full,))),
                ("find", lambda: backend.find(request, full, EPOCH, EPOCH)),
            ):
                trial = _asked(ask, outcome)
                if trial.paid:
                    wrong.append(f"{name}() makes a paid call")
                if trial.endless:
                    wrong.append(f"{name}() goes on after {words} even when its time is up")
                if not isinstance(trial.error, (ImageGenError, Interruption, type(None))):
                    wrong.append(f"{name}() {trial.ending} after {words}")
        require_none(wrong, "These calls only ask:")

    def _unknown_codes(self) -> Iterator[tuple[str, Reply]]:
        """Refusals with 5xx, with other words and numbers in every place."""
        for given, _ in self.refusals:
            first, *rest = [given] if isinstance(given, Reply) else given
            if not rest and first.status >= 500:
                other = evolve(first, body=json.dumps(_strange(read(first))).encode())
                yield f"HTTP {other.status} with {other.body[:120]!r}", other

    def _outcomes(self) -> Iterator[tuple[str, Any]]:
        """What can become of a call, in words and as it is; exceptions are new each time."""
        for sent in (True, False):
            yield f"TransportError(sent={sent})", TransportError("lost", sent=sent)
            yield f"DeadlineExceededError(sent={sent})", DeadlineExceededError("late", sent=sent)
        yield "an interruption", Interruption()
        for status in (400, 401, 403, 404, 408, 409, 429):
            yield f"HTTP {status}", reply({}, status=status)
        yield from self.bad_answers()


def _strange(value: Any) -> Any:
    """The same shape, with words and numbers that nobody knows."""
    if isinstance(value, dict):
        return {name: _strange(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_strange(item) for item in value]
    return "x-of-the-kit" if isinstance(value, str) else 987_654_321


def _each(outcomes: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    yield from ((words, [outcome]) for words, outcome in outcomes)


def _asked(ask: Any, outcome: Any) -> Trial:
    try:
        flow = ask()
    except ImageGenError as error:
        return Trial(error=error)
    if not hasattr(flow, "send"):
        fail(f"{flow!r} is no flow: write a generator function that does `reply = yield Call(...)`")
    return tried(flow, [outcome] * 20)


def _repeats(calls: Sequence[Call]) -> bool:
    """Whether the first call, a submission, is made again, whatever it is said to cost."""
    first, *rest = [written((call.method, call.url, call.body)) for call in calls]
    return first in rest


def _spellings(key: str) -> Iterator[str]:
    """How *key* looks in clear, as hexadecimal, and within base64 of more than itself."""
    yield from (key, key.encode().hex())
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + key.encode()).decode()
        yield encoded[4 if before else 0 : -4]


def _is_unknown(trial: Trial) -> bool:
    error = trial.error
    return isinstance(error, SubmissionUnknownError) and error.charged == "unknown"
