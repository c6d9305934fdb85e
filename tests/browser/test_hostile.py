"""Text from outside, in every place that the report shows, is text in the browser too."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from imagegen import Attempt, Cost, ImageFailure, ImageRequest, Notice, ReferenceImage
from imagegen.errors import JobFailedError
from imagegen.purchase.comparison import Comparison, Contender
from imagegen.report import page

HOSTILE = (
    "</title></style></script><script>window.hit = 1</script>"
    "<img src=x onerror='window.hit = 1'><svg onload=window.hit=1>"
    "\"'> onfocus=window.hit=1 autofocus {{7*7}} {% raw %} &lt;b&gt; "
    "\u202egnp.exe\u202c \u200f\x1b[31m<!-- javascript:window.hit=1 "
)
LONG = "x" * 60 + " " + "wide/" * 20


@pytest.fixture
def hostile(comparison: Comparison) -> Comparison:
    """The same comparison after everybody has written something hostile into it."""
    words = HOSTILE + LONG
    request = ImageRequest(
        words,
        references=[ReferenceImage('https://example.com/"><script>window.hit=1</script>?key=1')],
        provider_options={words: {words: words}},
    )
    made = comparison.contenders[1].generation
    assert made is not None
    failure = ImageFailure(error=words, message=words, index=0, charged="no")
    spoilt = evolve(
        made,
        failures=(failure,),
        notices=(Notice("adjusted", words, words),),
        images=(*(evolve(image, url=words, data=None) for image in made.images), *made.images),
        attempts=(Attempt(provider=words, model=words, n=1, error=words, message=words),),
        cost=evolve(made.cost, currency=words, source=words),
    )
    error = JobFailedError(words, advice=words, provider=words, model=words, request_id=words)
    return evolve(
        comparison,
        request=request,
        contenders=(
            Contender(model=words, generation=spoilt, price=Cost(source=words), seconds=1.0),
            Contender(model=words * 3, error=error),
        ),
    )


def test_hostile_text_does_nothing(visitor: Any, hostile: Comparison) -> None:
    visit = visitor.visit(page(hostile))
    visit.open_dialog()
    assert visit.page.evaluate("window.hit") is None
    assert (
        visit.page.locator("script, style, svg:not([role=img]), [onerror], [onload]").count() == 2
    )
    assert visit.asked_for == {visit.page.url}
    assert visit.complaints == []


def test_hostile_text_is_shown_as_it_was_written(visitor: Any, hostile: Comparison) -> None:
    prompt = visitor.visit(page(hostile)).page.inner_text("blockquote")
    assert prompt.startswith("</title></style></script><script>window.hit = 1</script><img src=x")
    assert "{{7*7}} {% raw %} &lt;b&gt;" in prompt


def test_no_character_turns_the_text_round(visitor: Any, hostile: Comparison) -> None:
    html = visitor.visit(page(hostile)).page.content()
    assert not {"\u202e", "\u202c", "\u200f", "\x1b"} & set(html)


@pytest.mark.parametrize("width", [360, 1280])
def test_long_words_do_not_widen_the_page(visitor: Any, hostile: Comparison, width: int) -> None:
    visit = visitor.visit(page(hostile), width=width)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    visit.open_dialog()
    assert visit.page.evaluate("document.querySelector('dialog').scrollWidth") <= width


def test_axe_finds_nothing_in_it_either(visitor: Any, hostile: Comparison, axe: str) -> None:
    visit = visitor.visit(page(hostile), width=360)
    visit.page.evaluate(axe)
    found = visit.page.evaluate("axe.run().then(all => all.violations.map(each => each.id))")
    assert found == []
