"""One page of the list of predictions: what is believed of it."""

from __future__ import annotations

from typing import Any

import pytest

from imagegen.backends.wavespeed.pages import Told, items_of, told
from imagegen.errors import MalformedReplyError
from imagegen.testing import reply

URL = "https://h/1.png"


def item(status: str = "completed", outputs: object = (URL,)) -> dict[str, Any]:
    listed = list(outputs) if isinstance(outputs, tuple) else outputs
    return {"id": "p1", "status": status, "outputs": listed}


@pytest.mark.parametrize("data", [None, {}, {"items": {}}, {"items": None}, []])
def test_a_list_without_items_is_told_in_words(data: object) -> None:
    answer = reply({"code": 200, "message": "success", "data": data})
    with pytest.raises(MalformedReplyError, match=r"^the list of predictions has no items"):
        items_of(answer)


@pytest.mark.parametrize("outputs", [(URL,), ({"url": URL},), (URL, {"url": URL})])
def test_pictures_that_are_all_there_are_believed(outputs: tuple[object, ...]) -> None:
    news = told(item(outputs=outputs), len(outputs), 5.0)
    assert (news.moment, news.going) == (5.0, False)
    assert news.news is not None
    assert news.news[1] == item(outputs=outputs)


@pytest.mark.parametrize(
    "outputs", [(), (URL,), (URL, "a.png"), (URL, {}), (URL, {"url": 1}), (URL, 7), None, "xx"]
)
def test_pictures_that_are_not_all_there_are_asked_for_again(outputs: object) -> None:
    assert told(item(outputs=outputs), 2, 5.0) == Told(5.0)


def test_one_that_goes_on_is_believed_without_pictures() -> None:
    news = told(item("processing", ()), 2, 5.0)
    assert (news.moment, news.going, news.news is None) == (5.0, True, False)


@pytest.mark.parametrize("listed", [{}, {"id": ""}, {"id": 7}, [], None, "p1"])
def test_what_is_no_prediction_is_asked_for_again(listed: object) -> None:
    news = told(listed, 1, 5.0)
    assert (news.moment, news.news, news.going) == (5.0, None, False)
