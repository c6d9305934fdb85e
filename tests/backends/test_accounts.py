"""Free calls about an account: is the key accepted, what is left, what does the clock say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from attrs import frozen
from hypothesis import given, strategies as st

from imagegen import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    MalformedReplyError,
    MiniMax,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
    UnsupportedFeatureError,
    WaveSpeed,
)
from imagegen.account import Balance, Checked, Quota, Standing, checking, pricing_now
from imagegen.backends.base import Backend, Terms, Translation
from imagegen.backends.standing import amount, clock, moment
from imagegen.config.environment import Backends
from imagegen.flow import Call, Done, Flow, Reply, advance
from imagegen.pricing import Price
from imagegen.purchase.plans import Batch, Outcome, Plan
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job
from imagegen.sandbox import Sandbox
from imagegen.testing import EPOCH, Played, play, reply

MINIMAX = MiniMax(api_key="made-up")
WAVESPEED = WaveSpeed(api_key="made-up")
BALANCE = {"available_amount": "12.50", "base_resp": {"status_code": 0, "status_msg": "success"}}
REMAINS = {
    "model_remains": [
        {
            "model_name": "image-01",
            "end_time": 1_795_305_600_000,
            "current_interval_total_count": 100,
            "current_interval_usage_count": "37",
            "current_weekly_total_count": 700,
            "current_weekly_usage_count": 150,
        }
    ],
    "base_resp": {"status_code": 0, "status_msg": "success"},
}


def refusal(code: int, words: str = "no") -> Reply:
    return reply({"base_resp": {"status_code": code, "status_msg": words}})


def wallet(balance: object, **fields: Any) -> Reply:
    return reply({"code": 200, "message": "success", "data": {"balance": balance}}, **fields)


def free(url: str, account: str) -> Call:
    return Call("GET", url, account=account, timeout=30.0, limit=2**20, paid=False)


def check(backend: Backend, *outcomes: Reply | BaseException) -> Played[Standing]:
    return play(backend.check(), *outcomes)


def test_a_pay_as_you_go_key_of_minimax_has_a_balance() -> None:
    played = check(MINIMAX, reply(BALANCE))
    assert played.value.balance == Balance(amount=Decimal("12.50"), currency=None)
    assert played.calls == (free("https://api.minimax.io/account/query_balance", "minimax"),)


@pytest.mark.parametrize("first", [refusal(1004), refusal(2049), refusal(1000), reply(status=404)])
def test_a_key_without_a_balance_may_have_a_quota(first: Reply) -> None:
    played = check(MINIMAX, first, reply(REMAINS))
    assert played.value.balance is None
    assert played.value.quota == (
        Quota(
            model="image-01",
            period="interval",
            total=100,
            count=37,
            counts="unclear",
            renews_at=datetime(2026, 11, 22, tzinfo=UTC),
        ),
        Quota(model="image-01", period="week", total=700, count=150, counts="unclear"),
    )
    remains = free("https://api.minimax.io/v1/token_plan/remains", "minimax")
    assert played.calls[1] == remains


def test_a_key_is_refused_only_if_both_endpoints_refuse_it() -> None:
    with pytest.raises(AuthenticationError, match="minimax: wrong kind"):
        check(MINIMAX, refusal(1004, "wrong kind"), refusal(2049))
    with pytest.raises(ProviderUnavailableError):
        check(MINIMAX, refusal(1004), refusal(1033))
    with pytest.raises(MalformedReplyError):
        check(MINIMAX, reply([]), refusal(1004))


@pytest.mark.parametrize(
    "failure",
    [TransportError("refused", sent=False), DeadlineExceededError("late"), refusal(1002)],
)
def test_where_the_first_answer_tells_enough_the_second_is_not_asked_for(failure: Any) -> None:
    with pytest.raises((TransportError, DeadlineExceededError, RateLimitError)) as caught:
        check(MINIMAX, failure)
    assert caught.value.provider == "minimax"


def test_the_refusal_of_a_key_tells_its_code() -> None:
    with pytest.raises(AuthenticationError) as caught:
        check(MINIMAX, refusal(1004), refusal(2049))
    assert (caught.value.code, caught.value.provider) == (1004, "minimax")


def test_a_code_that_no_page_names_says_that_minimax_cannot_serve() -> None:
    with pytest.raises(ProviderUnavailableError) as caught:
        check(MINIMAX, refusal(9999), refusal(9999))
    assert caught.value.code == 9999


@pytest.mark.parametrize("status", [300, 400, 500])
def test_a_balance_under_an_http_error_is_no_balance(status: int) -> None:
    refused = reply(BALANCE, status=status)
    with pytest.raises(ImageGenError, match=rf"minimax: success \(HTTP {status}\)"):
        check(MINIMAX, refused, refused)


def test_what_cannot_be_read_of_minimax_is_told_in_words() -> None:
    empty = reply({"base_resp": {"status_code": 0}})
    with pytest.raises(MalformedReplyError, match=r"^minimax: the balance has no readable avail"):
        check(MINIMAX, empty, refusal(1004))
    with pytest.raises(MalformedReplyError, match=r"^minimax: the quota has no readable model_rem"):
        check(MINIMAX, refusal(1004), empty)


def test_minimax_tells_its_clock_with_either_answer() -> None:
    ahead = {"Date": "Thu, 01 Jan 2026 00:01:30 GMT"}
    balance = check(MINIMAX, reply(BALANCE, headers=ahead)).value
    quota = check(MINIMAX, refusal(1004), reply(REMAINS, headers=ahead)).value
    assert [balance.skew, quota.skew] == [90.0, 90.0]
    assert [balance.received_at, quota.received_at] == [EPOCH, EPOCH]


def remains(*items: dict[str, Any]) -> tuple[Quota, ...]:
    answer = reply({"model_remains": list(items), "base_resp": {"status_code": 0}})
    return check(MINIMAX, refusal(1004), answer).value.quota


FIGURES = {
    "model_name": "m",
    "weekly_end_time": 1_795_305_600_000,
    "current_weekly_total_count": 7,
    "current_weekly_usage_count": 0,
}


@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"weekly_end_time"}))
@pytest.mark.parametrize("value", [None, -1, [], {}])
def test_a_quota_without_a_figure_is_passed_over(name: str, value: object) -> None:
    assert len(remains(FIGURES)) == 1
    assert remains(FIGURES | {name: value}) == ()
    assert len(remains({}, FIGURES)) == 1


def test_the_quota_of_a_week_is_renewed_when_the_week_ends() -> None:
    (quota,) = remains(FIGURES)
    assert (quota.period, quota.total, quota.count) == ("week", 7, 0)
    assert quota.renews_at == datetime(2026, 11, 22, tzinfo=UTC)


def test_of_quotas_a_hundred_models_are_read_and_eighty_characters_of_each_name() -> None:
    found = remains(*[FIGURES | {"model_name": f"{k} " * 99} for k in range(101)])
    assert len(found) == 100
    assert {len(quota.model) for quota in found} == {80}


def test_nothing_was_submitted_so_nothing_is_unknown() -> None:
    with pytest.raises(ProviderUnavailableError) as caught:
        check(MINIMAX, refusal(1000), refusal(1000))
    assert caught.value.charged == "no"


@pytest.mark.parametrize("status", [401, 403, 500, 502])
def test_a_page_that_is_no_json_is_told_by_its_status(status: int) -> None:
    page = reply(status=status, body=b"<html>gateway</html>")
    with pytest.raises(ImageGenError, match=f"HTTP {status}"):
        check(MINIMAX, page, page)
    with pytest.raises(ImageGenError, match=f"HTTP {status}"):
        check(WAVESPEED, page)


def test_wavespeed_tells_its_balance_in_dollars_exactly() -> None:
    body = b'{"code": 200, "data": {"balance": 3.1400000000}}'
    played = check(WAVESPEED, reply(body=body, headers={"Date": "Thu, 01 Jan 2026 00:01:30 GMT"}))
    assert played.value.balance == Balance(amount=Decimal("3.14"), currency="USD")
    assert str(played.value.balance.amount) == "3.1400000000"
    assert played.value.skew == 90.0
    assert played.calls == (free("https://api.wavespeed.ai/api/v3/balance", "wavespeed"),)


def test_a_balance_that_cannot_be_read_is_told_in_words() -> None:
    with pytest.raises(MalformedReplyError, match="wavespeed: the balance is no amount "):
        check(WAVESPEED, wallet("much"))


def test_a_balance_of_nothing_is_told() -> None:
    assert check(WAVESPEED, wallet(0)).value.balance == Balance(amount=Decimal(0), currency="USD")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"code": 401, "message": "invalid API key"}, status=401), AuthenticationError),
        (reply({"code": 401, "message": "invalid API key"}), AuthenticationError),
        (reply({"code": 429, "message": "slowly"}, status=429), RateLimitError),
        (reply({"code": 1407, "message": "no"}, status=400), InsufficientBalanceError),
        (reply({"code": 200, "data": None}), MalformedReplyError),
        (wallet("much"), MalformedReplyError),
        (wallet(balance=True), MalformedReplyError),
        (reply(body=b"\xff"), MalformedReplyError),
    ],
)
def test_what_wavespeed_answers_otherwise_is_an_error(
    answer: Reply, kind: type[ImageGenError]
) -> None:
    with pytest.raises(kind) as caught:
        check(WAVESPEED, answer)
    assert caught.value.provider == "wavespeed"


@pytest.mark.parametrize("backend", [MiniMax(), WaveSpeed()], ids=lambda backend: backend.name)
def test_without_a_key_it_is_asked_without_credentials(backend: Backend) -> None:
    step = advance(backend.check())
    assert step.account is None  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["sk-api-made-up", "sk-cp-made-up"])
def test_the_sandbox_tells_both_kinds_of_key_apart(key: str) -> None:
    with Sandbox(keys=[key]).client() as client:
        checked = {each.provider: each.standing for each in client.check()}
    assert checked["minimax"] is not None
    assert checked["wavespeed"] is not None
    assert bool(checked["minimax"].quota) == (key == "sk-cp-made-up")
    assert checked["wavespeed"].balance == Balance(amount=Decimal(100), currency="USD")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12.50", Decimal("12.50")),
        ("-3", Decimal(-3)),
        (7, Decimal(7)),
        (Decimal("1E+3"), Decimal(1000)),
        (Decimal("1E+900"), None),
        (Decimal("1E-900"), None),
        (10**39, None),
        ("1e5", None),
        ("", None),
        ("NaN", None),
        ("١", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_an_amount_is_plainly_one(value: object, expected: Decimal | None) -> None:
    assert amount(value) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT", "\x00" * 90])
def test_a_date_that_is_none_is_no_clock(text: str) -> None:
    assert clock(reply(headers={"Date": text})) is None
    assert Standing(received_at=EPOCH).skew is None


@pytest.mark.parametrize("value", [None, True, -1, 10**30, "1795305600000", Decimal("1.5")])
def test_a_moment_is_plainly_one(value: object) -> None:
    assert moment(value) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("code", "message", "data", "balance", "base_resp", "status_code"),
                    *("available_amount", "model_remains", "model_name", "end_time"),
                    *("current_interval_total_count", "current_interval_usage_count"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
REPLIES = st.builds(
    reply,
    JSON,
    status=st.sampled_from([200, 201, 302, 400, 401, 404, 429, 500, 503]),
    headers=st.just({}) | st.builds(lambda date: {"Date": date}, st.text(max_size=40)),
) | st.builds(lambda body: reply(body=body), st.binary(max_size=60))


@given(REPLIES, REPLIES)
def test_whatever_is_answered_the_error_is_ours(first: Reply, second: Reply) -> None:
    for backend, replies in ((MINIMAX, (first, second)), (WAVESPEED, (first,))):
        flow, left = backend.check(), list(replies)
        try:
            step = advance(flow)
            while not isinstance(step, Done):
                step = advance(flow, left.pop(0))
        except ImageGenError:
            continue
        assert isinstance(step.value, Standing)


@frozen(kw_only=True)
class Plain(Backend):
    """A backend that knows nothing of accounts."""

    name: ClassVar[str] = "plain"
    key_variable: ClassVar[str] = "PLAIN_KEY"
    host_variable: ClassVar[str] = "PLAIN_HOST"
    default_host: ClassVar[str] = "https://plain.example"
    prefix: ClassVar[str] = ""
    default_model: ClassVar[str] = "only"

    def images_per_call(self, model: str, request: ImageRequest) -> int:
        raise NotImplementedError

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        raise NotImplementedError

    def list_price(self, model: str, request: ImageRequest) -> Price | None:
        raise NotImplementedError

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        raise NotImplementedError

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        raise NotImplementedError


def carried_out(plan: Plan[Any], answer: Callable[[Call], Reply | BaseException]) -> Any:
    """Carry a plan out; *answer* gives what comes of each call."""
    step = advance(plan)
    while not isinstance(step, Done):
        assert isinstance(step, Batch)
        assert not step.paid
        step = advance(plan, [_outcome(flow, answer) for flow in step.flows])
    return step.value


def _outcome(flow: Any, answer: Callable[[Call], Reply | BaseException]) -> Outcome[Any]:
    try:
        step = advance(flow)
        while not isinstance(step, Done):
            step = advance(flow, answer(step))
    except ImageGenError as error:
        return Outcome(None, error, 0.5)
    return Outcome(step.value, None, 0.5)


def test_a_backend_needs_none_of_it() -> None:
    backend = Plain(api_key="made-up")
    assert backend.models() == ("only",)
    assert not backend.can_price
    with pytest.raises(UnsupportedFeatureError, match="plain: there is no free call"):
        backend.check()
    with pytest.raises(UnsupportedFeatureError, match="plain: there is no price list"):
        backend.current_prices(())


def test_known_models_begin_with_the_default_one() -> None:
    assert MINIMAX.models() == ("image-01", "image-01-live")
    models = WAVESPEED.models()
    assert models[0] == "minimax/image-01"
    assert len(models) == len(set(models)) > 200
    assert {"minimax/image-01/text-to-image", "wavespeed-ai/flux-dev"} <= set(models)


def test_checking_tells_of_every_backend_in_order() -> None:
    wrong = ConfigurationError("no such limits")
    backends: Backends = {"plain": Plain(), "broken": wrong, "wavespeed": WAVESPEED}
    plain, broken, wavespeed = carried_out(checking(backends), lambda _: wallet(1))
    assert isinstance(plain.error, UnsupportedFeatureError)
    assert not plain.reached
    assert broken == Checked(provider="broken", host="", error=wrong)
    assert (wavespeed.host, wavespeed.seconds) == ("https://api.wavespeed.ai", 0.5)
    assert wavespeed.standing is not None
    assert wavespeed.reached


def test_a_refusal_says_that_the_host_answers_and_a_broken_connection_does_not() -> None:
    backends = {"minimax": MINIMAX}
    (refused,) = carried_out(checking(backends), lambda _: refusal(2049))
    assert refused.reached
    assert isinstance(refused.error, AuthenticationError)
    (broken,) = carried_out(checking(backends), lambda _: TransportError("refused"))
    assert not broken.reached
    assert str(broken.error).startswith("minimax: refused")


def test_prices_are_asked_for_where_they_can_be() -> None:
    def answer(call: Call) -> Reply:
        listing = call.url.endswith("/models")
        item = {"model_id": "a/b", "type": "text-to-image", "base_price": 0.5, "formula": ""}
        asked = {"model_id": "a/b", "price": 0.25, "currency": "USD"}
        return reply({"code": 200, "data": [item] if listing else asked})

    backends = {"minimax": MINIMAX, "plain": Plain(), "wavespeed": WAVESPEED}
    listed = carried_out(pricing_now(backends), answer)
    assert {model: price.amount for model, price in listed.items()} == {
        "wavespeed:a/b": Decimal("0.5")
    }
    asked = carried_out(pricing_now(backends, ["wavespeed:a/b", "wavespeed:a/c"]), answer)
    assert {model: price.amount for model, price in asked.items()} == {
        "wavespeed:a/b": Decimal("0.25")
    }
    assert carried_out(pricing_now({"wavespeed": WaveSpeed()}), answer) == {}


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("minimax:image-01", UnsupportedFeatureError),
        ("nobody:image-01", ConfigurationError),
        ("image-01", ConfigurationError),
        ("wavespeed:", ConfigurationError),
        ("broken:image-01", ConfigurationError),
    ],
)
def test_a_model_whose_price_cannot_be_asked_for_is_an_error(
    model: str, kind: type[ImageGenError]
) -> None:
    broken = ConfigurationError("no such limits")
    backends: Backends = {"minimax": MINIMAX, "wavespeed": WAVESPEED, "broken": broken}
    with pytest.raises(kind):
        carried_out(pricing_now(backends, [model]), lambda _: wallet(1))


def test_a_provider_that_refuses_to_tell_prices_is_named() -> None:
    refused = reply({"code": 401, "message": "invalid API key"}, status=401)
    with pytest.raises(AuthenticationError, match="wavespeed: invalid API key"):
        carried_out(pricing_now({"wavespeed": WAVESPEED}), lambda _: refused)
