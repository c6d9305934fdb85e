"""Every page of the documentation's site, in Chromium, at the width of a phone.

The nox session `site` makes it; where it was not made, these tests are skipped, or fail if
IMAGEGEN_BROWSER says that nothing may be missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SITE = Path(__file__).resolve().parents[2] / "build" / "site"
PHONE = {"width": 390, "height": 844}
WIDER = """() => [...document.querySelectorAll('body *')]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1 && each.offsetParent
        && !each.closest('.table-wrapper, pre, .sidebar-drawer, .toc-drawer'))
    .map(each => each.outerHTML.slice(0, 80))"""
"""What is beyond the right edge, but for what scrolls in a frame of its own or slides in."""


@pytest.fixture(scope="module")
def pages() -> list[Path]:
    found = sorted(SITE.rglob("*.html"))
    if not found:
        refuse = pytest.fail if os.environ.get("IMAGEGEN_BROWSER") == "required" else pytest.skip
        refuse("there is no build/site; make it with: nox -s site")
    return found


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=PHONE, offline=True)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def test_no_page_is_wider_than_a_phone_complains_or_asks_another_host(
    phone: Page, pages: list[Path]
) -> None:
    asked, complaints, wide = set[str](), list[str](), dict[str, list[str]]()
    phone.on("request", lambda request: asked.add(request.url.partition(":")[0]))
    phone.on("pageerror", lambda error: complaints.append(str(error)))
    phone.on("console", lambda message: complaints.append(message.text))
    for page in pages:
        phone.goto(page.as_uri(), wait_until="load")
        if beyond := phone.evaluate(WIDER):
            wide[str(page.relative_to(SITE))] = beyond
    assert wide == {}
    assert complaints == []
    assert asked <= {"file", "data"}


def test_the_site_has_the_pages_and_the_interface(pages: list[Path]) -> None:
    names = {page.relative_to(SITE).as_posix() for page in pages}
    assert {"index.html", "guides/money.html", "decisions/0001-sans-io-flows.html"} <= names
    api = (SITE / "reference" / "api" / "imagegen.html").read_text(encoding="utf-8")
    assert 'id="imagegen.Client.generate"' in api
    shown = api.replace('<span class="pre">', "")
    assert [odd for odd in ("NOTHING", "&lt;class", "&lt;function") if odd in shown] == []
