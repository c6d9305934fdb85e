"""The report in Chromium: what it shows, loads and does, by mouse, by keyboard, without script."""

from __future__ import annotations

from typing import Any

import pytest

from imagegen.purchase.comparison import Comparison
from imagegen.report import page as page_of

SHOWN = "images => images.every(image => image.complete && image.naturalWidth === 1024)"
OPENED = "document.querySelector('dialog').open"
FULL = "document.querySelector('dialog img').src"
THUMBNAILS = "[...document.querySelectorAll('.open img')].map(image => image.src)"
WITHIN = "document.querySelector('dialog').contains(document.activeElement)"
PLACE = "[...document.querySelectorAll('.open')].indexOf(document.activeElement)"
LIGHTNESS = """() => {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return (red + green + blue) / 765;
}"""
SCROLLED = "document.documentElement.scrollWidth"


def test_the_pictures_of_both_providers_are_displayed(visitor: Any, report: str) -> None:
    models = visitor.visit(report).page.locator(".model")
    pictures = [models.nth(place).locator(".pictures img") for place in range(3)]
    assert [each.count() for each in pictures] == [1, 3, 0]
    assert all(each.evaluate_all(SHOWN) for each in pictures)


def test_models_stand_side_by_side_where_there_is_room(visitor: Any, report: str) -> None:
    def tops(width: int) -> set[int]:
        models = visitor.visit(report, width=width).page.locator(".model").all()
        return {round(model.bounding_box()["y"]) for model in models}

    assert len(tops(1280)) == 1
    assert len(tops(360)) == 3


def test_what_is_missing_is_said_where_it_would_be(visitor: Any, report: str) -> None:
    cut, whole, unasked = visitor.visit(report).page.locator(".model").all()
    assert "Incomplete: 2 of 3 pictures" in cut.inner_text()
    assert "Not fetched" in cut.locator(".placeholder").inner_text()
    assert "ContentPolicyError" in cut.locator(".problem").inner_text()
    assert whole.locator(".placeholder, .problem").count() == 0
    assert "UnsupportedFeatureError" in unasked.locator(".error").inner_text()


def test_a_note_is_the_first_thing_that_is_read(visitor: Any, comparison: Comparison) -> None:
    page = visitor.visit(page_of(comparison, "no provider was asked"), width=360).page
    assert page.get_by_role("note").inner_text() == "no provider was asked"
    assert page.inner_text("header >> nth=0").startswith("no provider was asked")
    assert page.evaluate(SCROLLED) == 360


def test_a_page_asks_for_nothing_but_itself(visitor: Any, report: str) -> None:
    visit = visitor.visit(report)
    visit.open_dialog()
    visit.page.wait_for_load_state("networkidle")
    assert visit.asked_for == {visit.page.url}
    assert visit.complaints == []


def test_a_served_page_asks_for_nothing_but_itself(visitor: Any, report: str) -> None:
    visit = visitor.served(report)
    visit.page.wait_for_load_state("networkidle")
    visit.open_dialog()
    assert visit.asked_for == set(visit.routed) == {visit.page.url}
    assert visit.complaints == []


def test_its_policy_stops_whatever_is_not_its_own(visitor: Any, report: str) -> None:
    foreign = (
        "<script>window.hit = 1</script><style>body { display: none }</style>"
        '<p id="styled" style="display: none" onclick="window.hit = 1">words</p>'
        '<img src="https://example.com/a.png"><link rel="stylesheet" href="/b.css">'
        '<iframe src="https://example.com/c"></iframe>'
    )
    visit = visitor.served(report.replace("<main>", f"<main>{foreign}"))
    visit.page.click("#styled")
    assert visit.page.evaluate("window.hit") is None
    assert visit.routed == [visit.page.url]
    assert len(visit.complaints) >= 6


def test_a_click_opens_the_picture_and_its_buttons_walk(visitor: Any, report: str) -> None:
    visit = visitor.visit(report)
    sources = visit.page.evaluate(THUMBNAILS)
    assert len(sources) == 4
    visit.open_dialog(1)
    assert visit.page.evaluate(FULL) == sources[1]
    assert "2 of 4: wavespeed:minimax/image-01" in visit.page.inner_text("dialog")
    assert "1024 × 768 px, seed 7" in visit.page.inner_text("dialog")
    visit.page.get_by_role("button", name="Next").click()
    assert visit.page.evaluate(FULL) == sources[2]
    visit.page.get_by_role("button", name="Previous").click()
    visit.page.get_by_role("button", name="Previous").click()
    assert visit.page.evaluate(FULL) == sources[0]
    visit.page.get_by_role("button", name="Close").click()
    assert not visit.page.evaluate(OPENED)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_opens_walks_round_and_closes(visitor: Any, report: str, key: str) -> None:
    visit = visitor.visit(report)
    page, sources = visit.page, visit.page.evaluate(THUMBNAILS)
    page.locator(".open").nth(2).focus()
    page.keyboard.press(key)
    assert page.evaluate(OPENED)
    assert page.evaluate(WITHIN)
    walked = [page.evaluate(FULL)]
    for arrow in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(arrow)
        walked.append(page.evaluate(FULL))
    assert walked == [sources[place] for place in (2, 3, 0, 3, 2, 1)]
    page.keyboard.press("Escape")
    assert not page.evaluate(OPENED)
    assert page.evaluate(PLACE) == 2
    assert visit.complaints == []


def test_every_picture_is_reached_by_tabs_after_the_skip_link(visitor: Any, report: str) -> None:
    page = visitor.visit(report).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    places = []
    for _ in range(4):
        page.keyboard.press("Tab")
        places.append(page.evaluate(PLACE))
    assert places == [0, 1, 2, 3]


def test_everything_is_there_without_script(visitor: Any, report: str) -> None:
    plain = visitor.visit(report, script=False).page
    assert plain.locator(".open").count() == 0
    pictures = plain.locator(".pictures img").all()
    assert len(pictures) == 4
    assert all(picture.bounding_box()["width"] >= 200 for picture in pictures)
    assert not plain.locator("dialog").is_visible()
    assert plain.locator("main").inner_text() == visitor.visit(report).page.inner_text("main")


@pytest.mark.parametrize(("scheme", "least", "most"), [("light", 0.9, 1.0), ("dark", 0.0, 0.15)])
def test_the_page_follows_the_colour_scheme(
    visitor: Any, report: str, scheme: str, least: float, most: float
) -> None:
    assert least <= visitor.visit(report, scheme=scheme).page.evaluate(LIGHTNESS) <= most


def test_print_is_light_and_without_what_only_a_screen_needs(visitor: Any, report: str) -> None:
    page = visitor.visit(report, scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(26, 29, 33)"
    assert not page.locator(".skip").is_visible()
    assert page.locator(".pictures img").first.is_visible()


@pytest.mark.parametrize("width", [360, 390, 768, 1280, 1920])
def test_nothing_is_wider_than_the_window(visitor: Any, report: str, width: int) -> None:
    page = visitor.visit(report, width=width).page
    assert page.evaluate(SCROLLED) == width
    page.locator(".open").first.click()
    assert page.evaluate("document.querySelector('dialog').scrollWidth") <= width
