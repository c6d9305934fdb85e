"""What `imagegen.backends.contract` offers to those who write a backend."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve, field, frozen

from imagegen.backends import contract
from imagegen.backends.contract import (
    Call,
    Draft,
    Exchange,
    Flow,
    Polling,
    Said,
    Terms,
    Translation,
    accepted,
    member,
    number,
    segment,
    text,
)
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.flow import Reply
from imagegen.pricing import Price
from imagegen.request import ImageRequest, ReferenceImage, Size
from imagegen.result import Cost, GeneratedImage, Generation, ImageFailure, Job
from imagegen.testing import play, reply

ASKED = ImageRequest("a red fox", n=3)
JOB = Job(provider="shop", model="m", id="order-1", request=ASKED)
PRICE = Price(
    amount=Decimal("0.5"), currency="EUR", per="image", as_of=date(2026, 11, 1), source="a page"
)
SIZES = [Size(1024, 1024), Size(2048, 2048), Size(1536, 1024)]


@frozen
class Order:
    state: str
    made: list[Any] = field(factory=list)

    @property
    def is_over(self) -> bool:
        return self.state == "done"


class Shop(Polling):
    name = "shop"
    key_variable = "SHOP_KEY"
    host_variable = "SHOP_HOST"
    default_host = "https://shop.example"
    prefix = ""
    default_model = "m"

    def images_per_call(self, model: str, request: ImageRequest) -> int:
        return 3

    def list_price(self, model: str, request: ImageRequest) -> Price | None:
        return PRICE

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        return Draft(self.name, model, terms).finished()

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        sent = self.translate(request, model, terms)
        call = Call("POST", self.host, json=sent.body, account=self.name, paid=True)
        return (yield from self.placed(call, request, sent))

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        call = Call("GET", f"{self.host}/{segment(job)}", account=self.name)
        order, raw = yield from self.polled(job, age, call, Order)
        return Exchange.of(job).settled(
            [GeneratedImage(url=url) for url in order.made], price=PRICE, raw=raw
        )

    def said(self, answer: Any) -> Said:
        kind = InsufficientBalanceError if member(answer, "code") == 7 else None
        return Said(text(answer, "why"), kind, number(answer, "wait"), member(answer, "code"))


def submitted(answer: Reply | BaseException) -> Job:
    return play(Shop().submit(ASKED, "m", Terms()), answer).value


def settled(*answers: Reply | BaseException, **options: Any) -> Any:
    return play(Shop(**options).settle(JOB), *answers)


def test_everything_that_is_promised_is_there() -> None:
    assert [name for name in contract.__all__ if not hasattr(contract, name)] == []


# Submitting


def test_a_job_keeps_the_id_and_the_moment_of_its_acceptance() -> None:
    answer = reply({"id": "order-1", "anything": "else"}, status=201)
    assert submitted(answer) == evolve(JOB, created_at=answer.received_at)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (reply({"why": "no money", "code": 7}, status=500), InsufficientBalanceError, "no money"),
        (reply({"why": "no money", "code": 7}), InsufficientBalanceError, "no money"),
        (reply({"code": 7}, status=400), InsufficientBalanceError, "no reason given"),
        (reply({"why": "too many"}, status=429), RateLimitError, "too many"),
        (reply({}, status=401), AuthenticationError, "HTTP 401"),
        (reply({"id": "order-1", "why": "wrong"}, status=400), InvalidRequestError, "wrong"),
    ],
)
def test_a_refusal_says_what_the_provider_says(
    answer: Reply, kind: type[ImageGenError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        submitted(answer)
    assert type(caught.value) is kind
    assert (caught.value.charged, caught.value.status) == ("no", answer.status)
    assert (caught.value.provider, caught.value.model) == ("shop", "m")
    assert caught.value.job is None


@pytest.mark.parametrize(
    ("code", "told"),
    [(9, 9), ("E_SIZE", "E_SIZE"), (True, None), (1.5, None), ([9], None), ({"a": 1}, None)],
)
def test_a_code_is_a_number_or_a_word(code: Any, told: int | str | None) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        submitted(reply({"why": "wrong", "code": code}, status=400))
    assert caught.value.code == told


@pytest.mark.parametrize(
    "answer",
    [
        reply({"why": "it broke"}, status=500),
        reply({"id": "order-1"}, status=500),
        reply({"id": "order-1"}, status=302),
        reply({"id": ""}),
        reply({"id": ".."}),
        reply({"id": 7}),
        reply({"id": "x" * 2000}),
        reply({"why": "no id"}),
        reply([]),
        reply(body=b"<html>"),
        TransportError("reset by peer"),
        DeadlineExceededError("late"),
    ],
    ids=repr,
)
def test_what_proves_nothing_is_unknown(answer: Reply | BaseException) -> None:
    with pytest.raises(SubmissionUnknownError) as caught:
        submitted(answer)
    assert (caught.value.charged, caught.value.provider) == ("unknown", "shop")


def test_an_answer_that_comes_at_once_is_read_with_its_json() -> None:
    order, raw = accepted(reply({"state": "done", "x": 1}), Order, lambda _: Said(), provider="p")
    assert (order, raw) == (Order("done"), {"state": "done", "x": 1})


def test_a_wait_that_a_refusal_asks_for_is_kept() -> None:
    with pytest.raises(RateLimitError) as caught:
        submitted(reply({}, status=429, headers={"Retry-After": "9"}))
    assert caught.value.retry_after == 9.0


@pytest.mark.parametrize(
    ("header", "body", "wait"),
    [
        ("9", 30, 30.0),
        ("90", 30, 90.0),
        (None, 2.5, 2.5),
        (None, 10**9, 86_400.0),
        ("9", "soon", 9.0),
        (None, -1, None),
    ],
)
def test_of_two_waits_that_an_answer_asks_for_the_longer_counts(
    header: str | None, body: Any, wait: float | None
) -> None:
    answer = reply(
        {"why": "busy", "wait": body},
        status=429,
        headers={"Retry-After": header} if header else {},
    )
    with pytest.raises(RateLimitError) as placing:
        submitted(answer)
    with pytest.raises(RateLimitError) as polling:
        settled(answer, poll_failures=0)
    assert placing.value.retry_after == polling.value.retry_after == wait


def test_a_wait_inside_a_success_that_is_none_is_kept() -> None:
    slow = reply({"why": "busy", "wait": 40})
    assert settled(slow, reply({"state": "done", "made": ["a"]})).pauses[1] >= 40.0
    with pytest.raises(SubmissionUnknownError) as caught:
        submitted(slow)
    assert caught.value.retry_after == 40.0


def test_an_acceptance_that_lacks_its_id_is_told_what_it_lacks() -> None:
    with pytest.raises(SubmissionUnknownError, match=r"without a readable answer.*\$\.id"):
        submitted(reply({"order": {"key": "x"}}))


def test_a_backend_without_words_of_its_own_goes_by_the_status() -> None:
    assert Polling.said(Shop(), {"why": "x", "code": 7}) == Said()


# Waiting


def test_a_404_counts_by_itself() -> None:
    busy, gone = reply({}, status=503), reply({}, status=404)
    done = reply({"state": "done", "made": ["a"]})
    assert settled(*[busy] * 9, *[gone] * 3, busy, gone, done).value.images
    with pytest.raises(JobFailedError):
        settled(*[busy] * 9, *[gone] * 4)


def test_what_comes_and_goes_does_not_go_on_for_ever() -> None:
    with pytest.raises(ProviderUnavailableError):
        settled(*[reply({}, status=404), reply({}, status=503)] * 3, poll_failures=4)


def test_a_job_is_asked_for_until_it_is_over() -> None:
    played = settled(reply({"state": "new"}), reply({"state": "done", "made": ["a", "b", "c"]}))
    assert [image.url for image in played.value.images] == ["a", "b", "c"]
    assert [(call.method, call.url, call.paid) for call in played.calls] == [
        ("GET", "https://shop.example/order-1", False)
    ] * 2
    assert [event.status for event in played.events] == ["new", "done"]


def test_what_passes_does_not_end_the_wait() -> None:
    passing: list[Reply | BaseException] = [
        reply({}, status=404),
        TransportError("reset"),
        reply({"why": "busy"}, status=429, headers={"Retry-After": "30"}),
        reply({}, status=503),
        reply({"state": 7}),
        reply(body=b"<html>"),
        reply({"state": "done", "made": ["a"]}),
    ]
    played = settled(*passing)
    assert len(played.value.images) == 1
    assert played.pauses[3] >= 30.0


@pytest.mark.parametrize(
    ("answers", "kind", "words"),
    [
        ([reply({"why": "who?"}, status=401)], AuthenticationError, "who?"),
        ([reply({}, status=302)], BackendError, "HTTP 302"),
        ([reply({"why": "gone"}, status=404)] * 4, JobFailedError, "not known.*gone"),
        ([reply(body=b"<html>")] * 3, MalformedReplyError, "not usable JSON"),
    ],
)
def test_a_wait_that_fails_leaves_with_the_job(
    answers: list[Reply], kind: type[ImageGenError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        settled(*answers, poll_failures=2)
    assert (caught.value.job, caught.value.charged, caught.value.ongoing) == (JOB, "yes", True)


def test_an_id_that_would_lead_elsewhere_is_not_asked_for() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        play(Shop().settle(evolve(JOB, id="..")))
    assert caught.value.job is not None
    assert segment(evolve(JOB, id="../a b?c")) == "..%2Fa%20b%3Fc"


def test_the_end_of_a_job_teaches_when_to_ask() -> None:
    shop = Shop()
    play(shop.settle(JOB), reply({"state": "new"}), reply({"state": "done", "made": ["a"]}))
    assert [(low, high) for low, high in shop.learned("m")] == [(2.0, 4.5)]


# Results


def exchange(job: Job | None = JOB) -> Exchange:
    return Exchange.of(JOB) if job else evolve(Exchange.of(JOB), job=None)


def test_pictures_that_are_not_told_of_are_failures_and_billed() -> None:
    lost = exchange().failure(ContentPolicyError, "withheld", index=1, charged="no")
    made = exchange().settled([GeneratedImage(url="a"), lost], price=PRICE, raw={})
    assert [(f.error, f.index, f.charged) for f in made.failures] == [
        ("ContentPolicyError", 1, "no"),
        ("MalformedReplyError", 2, "unknown"),
    ]
    assert made.cost.amount == Decimal("1.0")
    assert (made.job, made.model, made.request) == (JOB, "m", ASKED)


def test_failures_beside_all_that_was_asked_for_are_none() -> None:
    lost = exchange().failure(ContentPolicyError, "withheld", index=0, charged="yes")
    made = exchange().settled(
        [lost, *[GeneratedImage(url="a")] * 2, lost, lost], price=PRICE, raw={}
    )
    assert (len(made.images), made.failures) == (2, (lost,))
    assert made.cost.amount == Decimal("1.5")


@pytest.mark.parametrize(
    ("failures", "job", "kind", "charged"),
    [
        ([(ContentPolicyError, "no")] * 3, JOB, ContentPolicyError, "no"),
        ([(ContentPolicyError, "no")], JOB, ContentPolicyError, "unknown"),
        ([(MalformedReplyError, "no")] * 3, JOB, JobFailedError, "no"),
        ([(MalformedReplyError, "yes")] * 3, JOB, MalformedReplyError, "yes"),
        ([], JOB, JobFailedError, "unknown"),
        ([], None, SubmissionUnknownError, "unknown"),
    ],
)
def test_no_picture_is_an_error_that_says_what_is_charged(
    failures: list[tuple[type[ImageGenError], Any]],
    job: Job | None,
    kind: type[ImageGenError],
    charged: str,
) -> None:
    items: list[GeneratedImage | ImageFailure] = [
        exchange(job).failure(why, "withheld", charged=paid) for why, paid in failures
    ]
    with pytest.raises(kind, match="no picture came") as caught:
        exchange(job).settled(items, price=PRICE, raw={})
    assert (type(caught.value), caught.value.charged, caught.value.job) == (kind, charged, job)


@pytest.mark.parametrize("price", [PRICE, None])
def test_what_the_provider_says_that_it_took_is_the_cost(price: Price | None) -> None:
    spent = Cost(amount=Decimal("0.7"), currency="USD", basis="billed")
    made = exchange().settled([GeneratedImage(url="a")], price=price, raw={}, billed=spent)
    assert (made.cost, [attempt.cost for attempt in made.attempts]) == (spent, [spent])


def test_what_was_taken_for_no_picture_was_charged() -> None:
    items = [exchange().failure(ContentPolicyError, "withheld", charged="no")] * 3
    for amount, charged in (("0.7", "yes"), ("0", "no")):
        spent = Cost(amount=Decimal(amount), currency="USD", basis="billed")
        with pytest.raises(ContentPolicyError) as caught:
            exchange().settled(items, price=PRICE, raw={}, billed=spent)
        assert caught.value.charged == charged


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("no picture came", "no picture came"),
        ("no picture came: it broke", "no picture came: it broke"),
        ("it broke", "no picture came: it broke"),
    ],
)
def test_that_no_picture_came_is_said_once(words: str, told: str) -> None:
    lost = [exchange().failure(JobFailedError, words)] * 3
    with pytest.raises(JobFailedError) as caught:
        exchange().settled(lost, price=None, raw={})
    assert caught.value.message == told


# The class


class Nameless(Polling):
    """Every method, and of the names only one."""

    name = "nameless"
    images_per_call, list_price = Shop.images_per_call, Shop.list_price
    translate, submit, settle = Shop.translate, Shop.submit, Shop.settle


def test_a_class_that_lacks_names_says_so_where_it_is_made() -> None:
    lacks = "`key_variable`, `host_variable`, `default_host`, `prefix`, `default_model`"
    with pytest.raises(ConfigurationError, match=f"^Nameless lacks {lacks}$"):
        Nameless(api_key="k")


def test_a_class_in_between_may_leave_names_to_those_that_derive_from_it() -> None:
    class Named(Nameless):
        key_variable, host_variable = "SHOP_KEY", "SHOP_HOST"
        default_host, prefix, default_model = "https://shop.example", "", "m"

    assert Named(api_key="k").host == "https://shop.example"


# Translating


def test_a_field_that_is_not_taken_matters_only_if_it_is_asked_for() -> None:
    draft = Draft("shop", "m", Terms(unsupported="adjust"))
    draft.takes_no(ASKED, "references", "seed", "enhance_prompt", "size", "aspect_ratio")
    assert draft.finished().notices == ()
    asked = evolve(
        ASKED, seed=0, enhance_prompt=False, references=[ReferenceImage("https://h.example/a.png")]
    )
    draft.takes_no(asked, "references", "seed", "enhance_prompt")
    named = [(notice.kind, notice.field) for notice in draft.finished().notices]
    assert named == [("ignored", name) for name in ("references", "seed", "enhance_prompt")]
    with pytest.raises(UnsupportedFeatureError, match="this model takes none"):
        Draft("shop", "m", Terms()).takes_no(asked, "seed")


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ({}, None),
        ({"size": "2048x2048"}, Size(2048, 2048)),
        ({"aspect_ratio": "1:1"}, Size(1024, 1024)),
        ({"aspect_ratio": "3:2"}, Size(1536, 1024)),
    ],
)
def test_a_size_that_is_listed_is_taken_without_a_word(
    shape: dict[str, Any], size: Size | None
) -> None:
    draft = Draft("shop", "m", Terms())
    assert draft.size_among(evolve(ASKED, **shape), SIZES) == size
    assert draft.finished().notices == ()


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ({"size": "1600x900"}, Size(1536, 1024)),
        ({"aspect_ratio": "9:16"}, Size(1024, 1024)),
    ],
)
def test_the_nearest_listed_size_is_taken_if_the_terms_say_so(
    shape: dict[str, Any], size: Size
) -> None:
    request = evolve(ASKED, **shape)
    ((name, asked),) = shape.items()
    with pytest.raises(UnsupportedFeatureError, match=asked) as caught:
        Draft("shop", "m", Terms()).size_among(request, SIZES)
    assert caught.value.field == name
    draft = Draft("shop", "m", Terms(fit="nearest"))
    assert draft.size_among(request, SIZES) == size
    assert [(notice.kind, notice.field) for notice in draft.finished().notices] == [
        ("adjusted", name)
    ]


@pytest.mark.parametrize(
    ("asked", "taken"), [("16:9", "16:9"), ("32:18", "16:9"), ("50:50", "1:1")]
)
def test_a_ratio_that_is_listed_is_taken_however_it_is_written(asked: str, taken: str) -> None:
    draft = Draft("shop", "m", Terms())
    assert draft.ratio_among(asked, ["1:1", "16:9"]) == taken
    assert draft.finished().notices == ()


def test_the_nearest_listed_ratio_is_taken_if_the_terms_say_so() -> None:
    with pytest.raises(UnsupportedFeatureError, match="2:1 is not one of 1:1, 16:9"):
        Draft("shop", "m", Terms()).ratio_among("2:1", ["1:1", "16:9"])
    draft = Draft("shop", "m", Terms(fit="nearest"))
    assert draft.ratio_among("2:1", ["1:1", "16:9"]) == "16:9"
    assert [notice.field for notice in draft.finished().notices] == ["aspect_ratio"]


def test_the_callers_own_fields_are_copied() -> None:
    request = ImageRequest("x", provider_options={"shop": {"style": {"names": ["a"]}}})
    draft = Draft("shop", "m", Terms())
    draft.add_options(request, frozenset())
    draft.body["style"]["names"].append("b")
    assert request.provider_options["shop"] == {"style": {"names": ["a"]}}


# Reading


@pytest.mark.parametrize("value", [None, [], "x", 7, {}, {"other": 1}])
def test_what_is_not_there_is_nothing(value: Any) -> None:
    assert (member(value, "x"), text(value, "x"), number(value, "x")) == (None, "", None)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (3, 3.0),
        (Decimal("1.5"), 1.5),
        (True, None),
        ("3", None),
        (-1, None),
        (10**39, None),
        (Decimal("1e999999"), None),
    ],
)
def test_a_number_is_one_that_can_be_counted_with(value: Any, read: float | None) -> None:
    assert number({"x": value}, "x") == read
