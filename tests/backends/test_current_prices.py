"""What WaveSpeedAI takes now: the listing, and what it answers for one model."""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from imagegen import (
    AuthenticationError,
    ImageGenError,
    ImageRequest,
    MalformedReplyError,
    RateLimitError,
    WaveSpeed,
)
from imagegen.backends.wavespeed.catalogue import (
    FAMILY,
    advice_on_model,
    image_models,
    listed,
)
from imagegen.backends.wavespeed.prices import priced_per
from imagegen.backends.wavespeed.translation import full_model_id
from imagegen.codec import VALUES, decode
from imagegen.flow import Call, Done, Reply, advance
from imagegen.pricing import Price
from imagegen.sandbox import Sandbox
from imagegen.testing import play, reply

BACKEND = WaveSpeed(api_key="made-up")
NOW = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
TEXT_TO_IMAGE = "minimax/image-01/text-to-image"
PER_IMAGE = '{"total_price":base_price * num_images}'
VARYING = '{"total_price": base_price * (resolution = "4k" ? 2 : 1)}'
TOOL = Path(__file__).parents[2] / "tools" / "catalogue.py"


def item(model: str = TEXT_TO_IMAGE, price: Any = 0.0035, **fields: Any) -> dict[str, Any]:
    usual = {"type": "text-to-image", "formula": PER_IMAGE, "base_price": price}
    return {"model_id": model, **usual, **fields}


def listing(*items: Any) -> Reply:
    return reply({"code": 200, "message": "success", "data": list(items)}, received_at=NOW)


def answer(model: str = TEXT_TO_IMAGE, **fields: Any) -> Reply:
    usual = {"model_id": model, "price": 0.0035, "currency": "USD"}
    return reply({"code": 200, "data": {**usual, **fields}}, received_at=NOW)


def asked(*replies: Reply, models: tuple[str, ...] = (TEXT_TO_IMAGE,)) -> dict[str, Price | None]:
    return dict(play(BACKEND.current_prices(models), *replies).value)


def test_the_listing_alone_is_one_call() -> None:
    played = play(BACKEND.current_prices(()), listing(item(), item("a/flat", 0.02, formula="")))
    url = "https://api.wavespeed.ai/api/v3/models"
    assert played.calls == (
        Call("GET", url, account="wavespeed", timeout=30.0, limit=16 * 2**20, paid=False),
    )
    assert played.value == {
        TEXT_TO_IMAGE: Price(
            amount=Decimal("0.0035"),
            currency="USD",
            per="image",
            as_of=date(2026, 11, 21),
            source="WaveSpeedAI model listing, GET https://api.wavespeed.ai/api/v3/models",
        ),
        "a/flat": Price(
            amount=Decimal("0.02"),
            currency="USD",
            per="call",
            as_of=date(2026, 11, 21),
            source="WaveSpeedAI model listing, GET https://api.wavespeed.ai/api/v3/models",
        ),
    }


def test_the_answer_for_a_model_wins_over_the_listing() -> None:
    played = play(BACKEND.current_prices([TEXT_TO_IMAGE]), listing(item()), answer(price=0.004))
    price = played.value[TEXT_TO_IMAGE]
    assert price is not None
    assert (str(price.amount), price.per) == ("0.004", "image")
    assert price.source == "WaveSpeedAI, POST https://api.wavespeed.ai/api/v3/model/price"
    assert played.calls[1] == Call(
        "POST",
        "https://api.wavespeed.ai/api/v3/model/price",
        json={"model_id": TEXT_TO_IMAGE, "inputs": {"num_images": 1}},
        account="wavespeed",
        timeout=30.0,
        limit=2**20,
        paid=False,
    )


def test_a_discount_of_the_account_counts_and_is_named() -> None:
    price = asked(listing(item()), answer(discounted_price=0.00315, discount_rate=10))[
        TEXT_TO_IMAGE
    ]
    assert price is not None
    assert price.amount == Decimal("0.00315")
    assert "discounted for this account from 0.0035" in price.source


def test_a_discount_of_nine_tenths_can_be_believed() -> None:
    price = asked(listing(item()), answer(price=0.5, discounted_price=0.05))[TEXT_TO_IMAGE]
    assert price is not None
    assert price.amount == Decimal("0.05")


@pytest.mark.parametrize(
    "discounted", [0, None, -1, 0.0035, 0.01, "", "free", [], True, 0.000349, 1e-9]
)
def test_what_is_no_lower_price_or_far_too_low_is_no_discount(discounted: object) -> None:
    price = asked(listing(item()), answer(discounted_price=discounted))[TEXT_TO_IMAGE]
    assert price is not None
    assert price.amount == Decimal("0.0035")
    assert "discounted" not in price.source


@pytest.mark.parametrize(
    "fields",
    [
        {"price": 0},
        {"price": None},
        {"price": -0.1},
        {"price": 1e300},
        {"price": True},
        {"price": 0, "discounted_price": 0.001},
        {"currency": None},
        {"currency": "dollars"},
        {"currency": "usd"},
        {"model_id": "another/model"},
    ],
)
def test_an_answer_that_tells_no_price_makes_it_unknown_and_never_0(fields: dict[str, Any]) -> None:
    assert asked(listing(item()), answer(**fields)) == {TEXT_TO_IMAGE: None}


@pytest.mark.parametrize("price", [0, None, -1, "0.0035x", True, [], 10_001])
def test_a_listed_price_that_is_none_is_unknown(price: object) -> None:
    assert asked(listing(item(price=price)), models=()) == {TEXT_TO_IMAGE: None}


def test_a_price_that_varies_with_other_inputs_stays_unknown() -> None:
    varying = item("a/varying", 0.14, formula=VARYING)
    assert asked(listing(varying), models=("a/varying",)) == {"a/varying": None}


def test_a_model_that_makes_pairs_only_keeps_the_price_of_one_picture() -> None:
    pairs = "google/nano-banana-pro/text-to-image-multi"
    entry = listed(pairs)
    assert entry is not None
    assert entry.fewest_images == 2
    price = asked(listing(item(pairs, 0.07)), models=(pairs,))[pairs]
    assert price is not None
    assert price.amount == Decimal("0.07")


def test_the_family_stands_for_its_members() -> None:
    members = ("minimax/image-01/image-to-image", TEXT_TO_IMAGE)
    items = [item(model, type=model.rpartition("/")[2]) for model in members]
    told = asked(listing(*items), *map(answer, members), models=("minimax/image-01",))
    assert {model for model, price in told.items() if price} == set(members)


@pytest.mark.parametrize(
    "refusal",
    [
        reply({"code": 400, "message": "model not found"}, status=400),
        reply({"code": 404, "message": "no"}, status=404),
        reply({"code": 200, "data": []}),
    ],
)
def test_a_model_that_is_refused_is_unknown_and_stops_no_other(refusal: Reply) -> None:
    told = asked(
        listing(item(), item("a/b")), refusal, answer("a/b"), models=(TEXT_TO_IMAGE, "a/b")
    )
    assert told[TEXT_TO_IMAGE] is None
    assert told["a/b"] is not None


def test_a_refusal_that_is_not_about_the_model_is_an_error() -> None:
    limited = reply({"code": 429, "message": "slowly"}, status=429)
    with pytest.raises(RateLimitError):
        asked(listing(item()), limited)
    with pytest.raises(AuthenticationError):
        asked(reply({"code": 401, "message": "invalid API key"}, status=401))
    with pytest.raises(MalformedReplyError, match="wavespeed: the listing of models is no list "):
        asked(reply({"code": 200, "data": {}}))


def test_a_refusal_says_whose_it_is() -> None:
    limited = reply({"code": 429, "message": "slowly"}, status=429)
    for replies in ([limited], [listing(item()), limited]):
        with pytest.raises(RateLimitError, match=r"^wavespeed: slowly"):
            asked(*replies)


def test_the_highest_price_and_the_longest_name_that_are_believed() -> None:
    longest = "a/" + "b" * 198
    told = asked(listing(item(longest, 10_000), item(f"{longest}b")), models=())
    assert list(told) == [longest]
    price = told[longest]
    assert price is not None
    assert price.amount == 10_000


def test_an_answer_need_not_repeat_which_model_it_is_about() -> None:
    unnamed = reply({"code": 200, "data": {"price": 0.004, "currency": "USD"}}, received_at=NOW)
    price = asked(listing(item()), unnamed)[TEXT_TO_IMAGE]
    assert price is not None
    assert price.amount == Decimal("0.004")


@pytest.mark.parametrize("formula", [None, 7, [], True, {"total_price": "base_price"}])
def test_a_formula_that_is_no_text_leaves_the_price_unknown(formula: object) -> None:
    assert asked(listing(item(formula=formula)), models=()) == {TEXT_TO_IMAGE: None}


def test_what_is_not_listed_is_unknown() -> None:
    assert asked(listing(), models=("a/b", "a/b")) == {"a/b": None}


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        [],
        {},
        item(model_id=7),
        item(model_id="no-vendor"),
        item(model_id="a/b\x1b[2J"),
        item(model_id="a/../b c"),
        item(model_id="a/" + "b" * 300),
        item(type="text-to-video"),
        item(type=[]),
    ],
)
def test_an_odd_item_is_passed_over(odd: Any) -> None:
    assert set(asked(listing(odd, item("a/b")), models=())) == {"a/b"}


def test_a_listing_half_as_long_again_as_any_seen_can_be_read() -> None:
    properties = {f"input_{k}": {"type": "string", "default": "", "x": [1, 2]} for k in range(9)}
    schema = {"api_schemas": [{"request_schema": {"properties": properties}}]}
    body = listing(*(item(f"a/model-{k}", api_schema=schema) for k in range(1200))).body
    assert sum(body.count(mark) for mark in b"[{,") < VALUES
    assert len(decode(body)["data"]) == 1200
    assert len(asked(reply(body=body), models=())) == 1200


@pytest.mark.parametrize(
    ("formula", "per"),
    [
        ("", "call"),
        ('{"total_price":base_price * 1}', "call"),
        (PER_IMAGE, "image"),
        ('{"total_price": $number(num_images) * base_price}', "image"),
        ('{"total_price": base_price * $number(num_images)}', "image"),
        (VARYING, None),
        ('{"total_price":base_price * max_images}', None),
        ("base_price", None),
    ],
)
def test_a_formula_says_what_the_base_price_buys(formula: str, per: str | None) -> None:
    assert priced_per(formula) == per


@pytest.mark.parametrize("family", [FAMILY])
def test_a_family_is_not_listed_and_stands_for_listed_models(family: str) -> None:
    assert listed(family) is None
    assert full_model_id(family, ImageRequest("a fox")) in image_models()


@pytest.mark.parametrize("model", ["minimax/image-1", "minimax/image-02"])
def test_a_misspelt_family_is_suggested(model: str) -> None:
    assert advice_on_model(model).endswith("did you mean minimax/image-01?")


def test_what_is_spelt_right_or_like_nothing_gets_no_advice() -> None:
    assert [advice_on_model(model) for model in (FAMILY, TEXT_TO_IMAGE, "x/yz")] == [""] * 3


def test_the_tool_that_trims_the_listing_reads_formulas_the_same_way() -> None:
    spec = importlib.util.spec_from_file_location("catalogue_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.priced_per is priced_per


def test_the_sandbox_tells_what_the_package_lists() -> None:
    with Sandbox().client() as client:
        told = client.current_prices()
        family = client.current_prices(["wavespeed:minimax/image-01"])
    assert family.keys() == {
        f"wavespeed:{TEXT_TO_IMAGE}",
        "wavespeed:minimax/image-01/image-to-image",
    }
    request = ImageRequest("a fox")
    for model, price in told.items():
        known = BACKEND.list_price(model.removeprefix("wavespeed:"), request)
        assert known is not None
        assert (known.amount, known.currency, known.per) == (
            price.amount,
            price.currency,
            price.per,
        )
    assert len(told) > 150


VALUE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
ITEM = st.dictionaries(
    st.sampled_from(["model_id", "type", "base_price", "formula", "price", "currency"]),
    VALUE | st.sampled_from(["a/b", "text-to-image", "", "USD"]),
)
BODIES = st.builds(
    lambda code, data: json.dumps({"code": code, "data": data}).encode(),
    st.sampled_from([200, 400, 1200, None, "200"]),
    VALUE | ITEM | st.lists(VALUE | ITEM, max_size=5),
) | st.binary(max_size=40)


@given(BODIES, BODIES, st.sampled_from([200, 400, 404, 500]))
def test_whatever_is_answered_the_error_is_ours_and_no_price_is_0(
    first: bytes, second: bytes, status: int
) -> None:
    flow = BACKEND.current_prices(["a/b"])
    replies = [reply(body=first), reply(body=second, status=status)]
    try:
        step = advance(flow)
        while not isinstance(step, Done):
            step = advance(flow, replies.pop(0))
    except ImageGenError:
        return
    assert all(price.amount > 0 for price in step.value.values() if price)
