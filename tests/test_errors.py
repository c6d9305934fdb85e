"""The errors: their tree, what they say, what they carry, how they travel."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from imagegen import errors
from imagegen.errors import (
    AllRoutesFailedError,
    AuthenticationError,
    BackendError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InvalidRequestError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
)
from imagegen.request import ImageRequest
from imagegen.result import Job

JOB = Job(provider="wavespeed", model="m/x", id="job-77", request=ImageRequest("a fox"))
CONTEXT: dict[str, Any] = {
    "advice": "Do this",
    "provider": "minimax",
    "model": "image-01",
    "job": JOB,
    "charged": "yes",
    "request_id": "req-5",
    "status": 503,
    "code": 1004,
    "field": "seed",
}
CLASSES: list[type[ImageGenError]] = [
    cls
    for cls in vars(errors).values()
    if inspect.isclass(cls) and issubclass(cls, ImageGenError) and cls is not AllRoutesFailedError
]


def drawn() -> Iterator[tuple[str, str]]:
    """Every class of the tree in the module's docstring, with the parent it is drawn under."""
    ancestors = ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│ ]*)(├── |└── |)([A-Z]\w+Error)\b", line)
        if found:
            depth = len(found[1] + found[2]) // 4
            ancestors[depth + 1 :] = [found[3]]
            yield found[3], ancestors[depth]


def all_routes() -> AllRoutesFailedError:
    causes = [
        RateLimitError("slow down", provider="minimax"),
        SubmissionUnknownError("no reply", provider="wavespeed", job=JOB),
    ]
    return AllRoutesFailedError("both failed", causes, advice="Wait")


def test_the_tree_draws_every_class_once() -> None:
    names = [name for name, _ in drawn()]
    assert sorted(names) == sorted([*(cls.__name__ for cls in CLASSES), "AllRoutesFailedError"])


@pytest.mark.parametrize(("name", "parent"), list(drawn()))
def test_a_class_has_the_parent_it_is_drawn_under(name: str, parent: str) -> None:
    assert getattr(errors, name).__bases__[0].__name__ == parent


@pytest.mark.parametrize("cls", CLASSES)
def test_a_message_says_who_what_and_what_to_do_next(cls: type[ImageGenError]) -> None:
    text = str(cls("its words", **CONTEXT))
    assert text == (
        "minimax: its words (model image-01, code 1004, HTTP 503, request id req-5, job job-77). "
        "Do this"
    )


@pytest.mark.parametrize("cls", CLASSES)
def test_a_message_without_context_is_the_bare_words(cls: type[ImageGenError]) -> None:
    assert str(cls("its words.", advice="")) == "its words."


@pytest.mark.parametrize("cls", [c for c in CLASSES if issubclass(c, BackendError)])
def test_every_kind_of_backend_error_but_the_base_says_what_to_do(cls: type[BackendError]) -> None:
    assert bool(cls("its words").advice) is (cls is not BackendError)
    assert str(cls("its words.", status=0)).startswith("its words")


ADVICE = {
    "AuthenticationError": "Check the API key, and that it belongs to the configured host",
    "InsufficientBalanceError": "Top up the account or wait for its quota to be renewed",
    "RateLimitError": "Wait and try again, or send fewer requests at a time",
    "ContentPolicyError": "Change the prompt or the reference",
    "JobFailedError": "Try again as a new request, or another model",
    "ProviderUnavailableError": "Try again later, or another provider",
    "TransportError": "Check the network and the configured host",
    "SubmissionUnknownError": "It may be billed, so it was not repeated; before you send it again, "
    "look at the provider's own list of recent generations, or let client.reconcile() do it",
    "DeadlineExceededError": "Allow more time",
    "MalformedReplyError": "Report it with the request id",
}


@pytest.mark.parametrize("cls", CLASSES)
def test_the_advice_is_that_of_the_class_unless_another_is_given(cls: type[ImageGenError]) -> None:
    assert cls().advice == ADVICE.get(cls.__name__, "")
    assert cls(advice="Do this").advice == "Do this"


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_of_which_nothing_is_known_says_nothing(cls: type[ImageGenError]) -> None:
    error = cls(advice="")
    assert (str(error), error.message, error.attempts, error.ongoing) == ("", "", (), False)


@pytest.mark.parametrize("words", ["its words.", "its words...", "its words", ".its words", "XX."])
def test_one_full_stop_is_between_the_words_and_the_advice(words: str) -> None:
    assert str(ImageGenError(words, advice="Do this")) == f"{words.rstrip('.')}. Do this"


def test_a_job_without_an_id_is_not_told() -> None:
    assert str(ImageGenError("its words", job=evolve(JOB, id=""))) == "its words"


def test_a_code_of_zero_is_told() -> None:
    assert str(ImageGenError("its words", code=0)) == "its words (code 0)"
    assert str(ImageGenError("its words", code="blocked")) == "its words (code blocked)"
    shown = str(ImageGenError("its words", code="a\x1b" + " word" * 99).code)
    assert (shown[:6], len(shown)) == ("a word", 80)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_carries_all_that_it_was_given(cls: type[ImageGenError]) -> None:
    error = cls("its words", **CONTEXT)
    assert {name: getattr(error, name) for name in CONTEXT} == CONTEXT
    assert (error.message, error.args) == ("its words", ("its words",))


@pytest.mark.parametrize("cls", CLASSES)
def test_only_an_unknown_submission_is_not_free_unless_said(cls: type[ImageGenError]) -> None:
    assert cls("x").charged == ("unknown" if cls is SubmissionUnknownError else "no")


@pytest.mark.parametrize("cls", [c for c in CLASSES if issubclass(c, BackendError)])
def test_a_backend_error_knows_the_wait_asked_for(cls: type[BackendError]) -> None:
    assert (cls("x").retry_after, cls("x", retry_after=2.5).retry_after) == (None, 2.5)


@pytest.mark.parametrize("cls", [TransportError, DeadlineExceededError])
def test_an_exchange_counts_as_sent_unless_it_is_known_not_to_be(
    cls: type[TransportError | DeadlineExceededError],
) -> None:
    assert (cls("x").sent, cls("x", sent=False).sent) == (True, False)


def test_an_invalid_request_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="its words"):
        raise InvalidRequestError("its words")


@pytest.mark.parametrize(
    "words",
    [
        "see https://cdn.host/a.png?Expires=1&Signature=SECRET",
        "fetch of https://me:SECRET@cdn.host/a.png failed",
        "got " + "SECRET" * 40,
        "got " + "iVBORw0KGgo" * 20_000 + "SECRET",
    ],
)
@pytest.mark.parametrize("cls", CLASSES)
def test_no_signature_or_blob_is_told(cls: type[ImageGenError], words: str) -> None:
    error = cls(words)
    assert "SECRET" not in f"{error} {error!r} {error.args} {error.message}"


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=3000))
def test_a_providers_words_make_one_line_of_at_most_1000_characters(words: str) -> None:
    error = ImageGenError(words)
    assert len(error.message) <= 1000
    assert len(str(error).splitlines()) <= 1
    assert str(error).encode() is not None


LONG = "abc " * 1000


def test_a_message_and_the_ids_in_it_are_cut_at_their_limits() -> None:
    job = evolve(JOB, id=LONG[:480])
    error = ImageGenError(LONG, model=LONG, request_id=LONG, job=job)
    assert (error.message, error.model, error.request_id) == (
        f"{LONG[:999]}…",
        f"{LONG[:127]}…",
        f"{LONG[:127]}…",
    )
    assert str(error).endswith(f"job {LONG[:199]}…)")


HOSTILE_ID = "x\n\x1b[2Jforged: line"


@pytest.mark.parametrize(
    "context",
    [{"request_id": HOSTILE_ID}, {"model": HOSTILE_ID}, {"job": evolve(JOB, id=HOSTILE_ID)}],
)
def test_an_id_from_outside_does_not_break_the_line(context: dict[str, Any]) -> None:
    assert str(RateLimitError("slow down", **context)).isprintable()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_is_pickled_with_all_its_attributes(
    cls: type[ImageGenError], protocol: int
) -> None:
    error = cls("its words", **CONTEXT)
    for name, value in (("retry_after", 7.5), ("sent", False)):
        if hasattr(error, name):
            setattr(error, name, value)
    error.add_note("a note")
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
    assert type(again) is cls
    assert vars(again) == vars(error)
    assert (str(again), again.args, again.__notes__) == (str(error), error.args, ["a note"])


# AllRoutesFailedError


def test_all_routes_failed_is_an_error_and_a_group() -> None:
    error = all_routes()
    assert isinstance(error, ImageGenError)
    assert isinstance(error, ExceptionGroup)
    assert [type(e) for e in error.exceptions] == [RateLimitError, SubmissionUnknownError]
    assert (error.message, error.advice) == ("both failed", "Wait")
    assert "both failed" in str(error)
    assert str(error).endswith("Wait")


def test_all_routes_failed_keeps_one_message_however_it_is_asked() -> None:
    error = AllRoutesFailedError(LONG, [ImageGenError()])
    within = vars(BaseExceptionGroup)["message"].__get__(error)
    assert error.message == error.args[0] == within == f"{LONG[:999]}…"


def test_all_routes_failed_has_rejected_nothing_unless_said() -> None:
    assert all_routes().rejected == ()


def test_all_routes_failed_is_caught_in_parts() -> None:
    caught: list[tuple[Exception, ...]] = []
    try:
        raise all_routes()
    except* RateLimitError as group:
        caught.append(group.exceptions)
    except* SubmissionUnknownError as group:
        caught.append(group.exceptions)
    assert [[type(e) for e in part] for part in caught] == [
        [RateLimitError],
        [SubmissionUnknownError],
    ]


def test_what_is_not_caught_of_all_routes_failed_goes_on_as_one() -> None:
    with pytest.raises(AllRoutesFailedError) as caught:  # noqa: PT012
        try:
            raise all_routes()
        except* RateLimitError:
            pass
    assert [type(e) for e in caught.value.exceptions] == [SubmissionUnknownError]


def test_all_routes_failed_splits_into_its_own_kind() -> None:
    matching, rest = all_routes().split(RateLimitError)
    assert isinstance(matching, AllRoutesFailedError)
    assert isinstance(rest, AllRoutesFailedError)
    assert [type(e) for e in matching.exceptions] == [RateLimitError]
    assert [type(e) for e in rest.exceptions] == [SubmissionUnknownError]
    assert (matching.message, matching.advice, rest.advice) == ("both failed", "Wait", "Wait")
    assert (matching.charged, rest.charged) == ("no", "unknown")


def test_a_subgroup_of_all_routes_failed_is_its_own_kind() -> None:
    unknown = all_routes().subgroup(
        lambda e: isinstance(e, BackendError) and e.charged == "unknown"
    )
    assert isinstance(unknown, AllRoutesFailedError)
    assert [type(e) for e in unknown.exceptions] == [SubmissionUnknownError]
    assert all_routes().subgroup(ContentPolicyError) is None


@pytest.mark.parametrize(
    ("charges", "charged"),
    [
        (["no", "no"], "no"),
        (["no", "yes"], "yes"),
        (["no", "unknown"], "unknown"),
        (["unknown", "yes"], "unknown"),
    ],
)
def test_all_routes_failed_is_charged_as_the_gravest_of_its_errors(
    charges: list[Any], charged: str
) -> None:
    causes = [BackendError("x", charged=charge) for charge in charges]
    assert AllRoutesFailedError("all failed", causes).charged == charged


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_all_routes_failed_is_pickled_with_its_errors(protocol: int) -> None:
    error = all_routes()
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
    assert type(again) is AllRoutesFailedError
    assert (str(again), again.advice, again.charged) == (str(error), error.advice, "unknown")
    assert [str(e) for e in again.exceptions] == [str(e) for e in error.exceptions]
    assert vars(again.exceptions[1])["job"] == JOB


def test_all_routes_failed_can_be_copied() -> None:
    assert str(copy.copy(all_routes())) == str(all_routes())


def test_all_routes_failed_tells_no_signature() -> None:
    causes = [AuthenticationError("https://h/a?sig=SECRET")]
    error = AllRoutesFailedError("https://h/a?sig=SECRET", causes)
    assert "SECRET" not in f"{error} {error!r} {error.args}"
