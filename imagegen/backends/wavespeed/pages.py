"""One page of WaveSpeedAI's list of predictions: asking for it, and what to believe of it.

Wire facts: WaveSpeedAI's API documentation of predictions and its official clients (read
2026-11-20). How soon the list knows of a change is not documented.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from attrs import fields, frozen

from imagegen.backends.pictures import is_url
from imagegen.backends.wavespeed.lookup import PAGE_SIZE, listed, rfc3339
from imagegen.backends.wavespeed.predictions import Prediction
from imagegen.errors import MalformedReplyError
from imagegen.flow import Call, Reply

PAGE_TIMEOUT = 10.0
PAGE_LIMIT = 8 * 2**20
"""Bytes of one page; a hundred predictions with their URLs have some tens of thousands."""
MARGIN = timedelta(milliseconds=1)
"""Around a page's time: `created_at` is told with 3–9 digits, and we keep 6."""

_FIELDS = tuple(field.name for field in fields(Prediction))

News = tuple[Prediction, Any]
"""A prediction, and the decoded JSON that tells of it."""


@frozen
class Told:
    """What a page of that moment told of a prediction.

    Attributes:
        moment: seconds; when the page was asked for.
        news: None where only a poll can tell.
        going: it is still under way.
    """

    moment: float
    news: News | None = None
    going: bool = False


def page(host: str, account: str, first: datetime, last: datetime) -> Call:
    """Ask for the newest that were created between those two, both in UTC."""
    asked = {
        "page": 1,
        "page_size": PAGE_SIZE,
        "created_after": rfc3339(first - MARGIN),
        "created_before": rfc3339(last + MARGIN),
    }
    return Call(
        "POST",
        f"{host}/api/v3/predictions",
        json=asked,
        account=account,
        timeout=PAGE_TIMEOUT,
        limit=PAGE_LIMIT,
    )


def items_of(reply: Reply) -> list[Any]:
    """What is listed, whatever that may be.

    Raises:
        ImageGenError: WaveSpeedAI refused to list, or this is no list.
    """
    data = listed(reply)
    items = data.get("items") if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise MalformedReplyError("the list of predictions has no items")
    return items


def id_of(item: object) -> str:
    """The id of what is listed; empty if it has none."""
    identity = item.get("id") if isinstance(item, dict) else None
    return identity if isinstance(identity, str) else ""


def created(item: object) -> datetime | None:
    """When it was created, as far as that is told."""
    prediction = _prediction(item)
    return prediction.created if prediction else None


def told(item: Any, n: int, moment: float) -> Told:
    """Believe that it is going on, and *n* pictures that are all there; all else is asked again."""
    prediction = _prediction(item)
    if prediction is None:
        return Told(moment)
    going = not prediction.is_over
    done = prediction.state == "completed" and _are_urls(prediction.outputs, n)
    return Told(moment, (prediction, item) if going or done else None, going)


def _prediction(item: Any) -> Prediction | None:
    if not id_of(item):
        return None
    try:
        return Prediction(**{name: item[name] for name in _FIELDS if name in item})
    except ValueError:
        return None


def _are_urls(outputs: object, n: int) -> bool:
    if not isinstance(outputs, list):
        return False
    urls = [each.get("url") if isinstance(each, dict) else each for each in outputs]
    return len(urls) >= n and all(isinstance(url, str) and is_url(url) for url in urls)
