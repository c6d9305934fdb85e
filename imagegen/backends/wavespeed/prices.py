"""What WaveSpeedAI takes now: its model listing, and what it answers for one model.

Wire facts: WaveSpeedAI's model listing (2026-03-13: 794 models, 1.4 MB, some 84,000 values) and
its official MCP server's price call (read 2026-11-20). Both are free. A price that varies with
inputs other than the number of pictures is unknown, and so is one of zero.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any, Literal

from imagegen.backends.refusals import told
from imagegen.backends.standing import amount
from imagegen.backends.wavespeed.account import CURRENCY, TIMEOUT, data
from imagegen.backends.wavespeed.catalogue import listed, members
from imagegen.errors import ConfigurationError, InvalidRequestError, MalformedReplyError
from imagegen.flow import Call, Flow
from imagegen.pricing import Price

IMAGE_TYPES = ("text-to-image", "image-to-image")
LISTING_LIMIT = 16 * 2**20
ANSWER_LIMIT = 2**20
MOST = Decimal(10_000)
"""USD; a price above is a mistake of somebody's."""
STEEPEST = 10
"""A discount to less than the price divided by this is taken for a mistake. A judgement."""

Per = Literal["call", "image"]

_MODEL_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_PER: Mapping[str, Per] = {
    "": "call",
    '{"total_price":base_price*1}': "call",
    '{"total_price":base_price*num_images}': "image",
    '{"total_price":$number(num_images)*base_price}': "image",
    '{"total_price":base_price*$number(num_images)}': "image",
}


def priced_per(formula: str) -> Per | None:
    """Say what the base price buys; None where the price depends on other inputs."""
    return _PER.get("".join(formula.split()))


def current(host: str, account: str, models: Collection[str]) -> Flow[Mapping[str, Price | None]]:
    """Read the listing's image models, then ask for each of *models* what this account pays.

    What WaveSpeedAI answers for a model wins over its listing. None: the price varies with the
    inputs, or was told in no usable form, or the model is not known there.

    Args:
        host: scheme, host, port and path prefix of the API.
        account: the backend's name, whose key goes along.
        models: ids; a family stands for its members.

    Raises:
        ImageGenError: WaveSpeedAI refused, was not reached, or not understood.
    """
    url = f"{host}/api/v3/models"
    reply = yield Call("GET", url, account=account, timeout=TIMEOUT, limit=LISTING_LIMIT)
    items = data(reply, account)
    if not isinstance(items, list):
        raise told(MalformedReplyError, "the listing of models is no list", reply, provider=account)
    rules = dict(_image_models(items))
    day = reply.received_at.date()
    prices = {model: _listed(item, day, url) for model, item in rules.items()}
    for model in dict.fromkeys(chain.from_iterable(map(members, models))):
        price = prices.setdefault(model, None)
        if price and _fewest(model) == 1:
            prices[model] = yield from _asked(host, account, model, price.per)
    return prices


def _image_models(items: list[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in items:
        if not isinstance(item, dict) or item.get("type") not in IMAGE_TYPES:
            continue
        model = item.get("model_id")
        if isinstance(model, str) and len(model) <= 200 and _MODEL_ID.fullmatch(model):
            yield model, item


def _fewest(model: str) -> int:
    """The least that one call makes: the price of two pictures is not that of one."""
    entry = listed(model)
    return entry.fewest_images if entry else 1


def _listed(item: Mapping[str, Any], day: date, url: str) -> Price | None:
    formula, base = item.get("formula"), _price(item.get("base_price"))
    per = priced_per(formula) if isinstance(formula, str) else None
    if per is None or base is None:
        return None
    source = f"WaveSpeedAI model listing, GET {url}"
    return Price(amount=base, currency=CURRENCY, per=per, as_of=day, source=source)


def _price(value: object) -> Decimal | None:
    """Read a price; nothing costs nothing, so zero means that it is not known."""
    number = amount(value)
    return number if number is not None and 0 < number <= MOST else None


def _asked(host: str, account: str, model: str, per: Per) -> Flow[Price | None]:
    """Ask for the price of one picture of *model*."""
    url = f"{host}/api/v3/model/price"
    asked = {"model_id": model, "inputs": {"num_images": 1}}
    reply = yield Call(
        "POST", url, json=asked, account=account, timeout=TIMEOUT, limit=ANSWER_LIMIT
    )
    try:
        answer = data(reply, account)
    except (ConfigurationError, InvalidRequestError):  # it does not know this model
        return None
    if not isinstance(answer, dict) or answer.get("model_id", model) != model:
        return None
    source = f"WaveSpeedAI, POST {url}"
    return _answered(answer, per=per, day=reply.received_at.date(), source=source)


def _answered(answer: Mapping[str, Any], *, per: Per, day: date, source: str) -> Price | None:
    """What the account pays: a discount counts where there is one that can be believed."""
    full, reduced = _price(answer.get("price")), _price(answer.get("discounted_price"))
    currency = answer.get("currency")
    if full is None or not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        return None
    if reduced is None or not full / STEEPEST <= reduced < full:
        return Price(amount=full, currency=currency, per=per, as_of=day, source=source)
    source = f"{source}, discounted for this account from {full:f}"
    return Price(amount=reduced, currency=currency, per=per, as_of=day, source=source)
