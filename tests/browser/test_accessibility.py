"""The report by axe's rules: both schemes, wide and narrow, with the dialog closed and open."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from imagegen.purchase.comparison import Comparison
from imagegen.report import page as page_of

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
RUN = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
  return found.violations.flatMap(
    rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 200)}`)
  );
}"""


def violations(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    found: list[str] = page.evaluate(RUN, RULES)
    return found


@pytest.mark.parametrize("dialog", ["closed", "open"])
@pytest.mark.parametrize("look", list(product(["light", "dark"], [1280, 360])), ids=str)
def test_axe_finds_nothing(
    visitor: Any, report: str, axe: str, look: tuple[str, int], dialog: str
) -> None:
    visit = visitor.visit(report, scheme=look[0], width=look[1])
    if dialog == "open":
        visit.open_dialog()
    assert violations(visit.page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_note(
    visitor: Any, comparison: Comparison, axe: str, scheme: str
) -> None:
    visit = visitor.visit(page_of(comparison, "no provider was asked"), scheme=scheme)
    assert violations(visit.page, axe) == []


def test_axe_would_have_found_a_picture_without_words(visitor: Any, report: str, axe: str) -> None:
    page = visitor.visit(report).page
    page.evaluate("document.querySelector('.pictures img').alt = ''")
    page.evaluate("document.querySelector('h1').style.color = '#ddd'")
    assert {each.split(":")[0] for each in violations(page, axe)} == {
        "button-name",
        "color-contrast",
    }


def test_the_charts_are_pictures_with_their_figures_in_words(
    visitor: Any, report: str, comparison: Comparison
) -> None:
    page = visitor.visit(report).page
    cost = page.get_by_role("img", name="Cost in USD")
    assert "wavespeed:minimax/image-01: 0.0105 USD" in cost.text_content()
    latency = page.get_by_role("img", name="Latency")
    assert "wavespeed:bytedance/seedream-v4: not asked" in latency.text_content()
    row = page.get_by_role("row", name="wavespeed:minimax/image-01")
    seconds = f"{comparison.contenders[1].seconds:.2f} s"
    assert row.inner_text().split("\t")[1:5] == ["3", "0.0105 USD", "0.0105 USD", seconds]


def test_a_screen_reader_hears_models_as_headings_below_their_section(
    visitor: Any, report: str
) -> None:
    page = visitor.visit(report).page
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map(h => h.tagName).join(' ')"
    )
    assert levels == "H1 H2 H2 H2 H3 H4 H4 H3 H3 H2"
    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
