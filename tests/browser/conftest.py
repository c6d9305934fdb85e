"""Chromium for the tests of this folder, and the report of a comparison on the sandbox.

They are skipped where Chromium, Playwright or axe is missing; IMAGEGEN_BROWSER=required, which the
nox session `browser` sets, turns that into a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from imagegen import ImageRequest
from imagegen.purchase.comparison import Comparison
from imagegen.report import page
from imagegen.sandbox import Fault, Sandbox
from imagegen.testing import FakeClock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MODELS = (
    "minimax:image-01",
    "wavespeed:minimax/image-01",
    "wavespeed:bytedance/seedream-v4",
)


def chromium() -> str | None:
    return os.environ.get("IMAGEGEN_CHROMIUM") or shutil.which("chromium")


def missing() -> str | None:
    """Say what these tests need and do not find, and where it comes from."""
    if find_spec("playwright") is None:
        return "Playwright is not installed: it is in the dependency group `browser`"
    if chromium() is None:
        return "no `chromium` is on the path; install it, or name another in IMAGEGEN_CHROMIUM"
    if not Path(os.environ.get("IMAGEGEN_AXE", "")).is_file():
        return "IMAGEGEN_AXE does not name axe.min.js; the nox session `browser` fetches it"
    return None


@define
class Visit:
    """A page that is open, what it asked for, and what the browser complained about.

    `routed` are the requests that got as far as the network.
    """

    page: Page
    requests: list[str] = field(factory=list)
    routed: list[str] = field(factory=list)
    complaints: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))

    @property
    def asked_for(self) -> set[str]:
        """Everything but what is in the page itself."""
        return {url for url in self.requests if not url.startswith("data:")}

    def open_dialog(self, place: int = 0) -> None:
        self.page.locator(".open").nth(place).click()


@define
class Visitor:
    """Opens reports, each in a profile of its own without a network."""

    browser: Browser
    folder: Path
    _contexts: list[BrowserContext] = field(factory=list)

    def visit(
        self, html: str, *, scheme: Any = "light", width: int = 1280, script: bool = True
    ) -> Visit:
        """Open the report as a file."""
        file = self.folder / f"report-{len(self._contexts)}.html"
        file.write_text(html, encoding="utf-8")
        visit = self._visit(
            color_scheme=scheme,
            viewport={"width": width, "height": 800},
            java_script_enabled=script,
            offline=True,
        )
        visit.page.goto(file.as_uri())
        return visit

    def served(self, html: str) -> Visit:
        """Open the report as a web server would give it; whatever else is asked for is noted."""
        visit = self._visit()

        def answer(route: Route) -> None:
            visit.routed.append(route.request.url)
            route.fulfill(body=html, content_type="text/html; charset=utf-8")

        visit.page.route("**/*", answer)
        visit.page.goto("http://report.test/index.html")
        return visit

    def leave(self) -> None:
        for context in self._contexts:
            context.close()

    def _visit(self, **options: Any) -> Visit:
        context = self.browser.new_context(**options)
        context.set_default_timeout(5_000)
        self._contexts.append(context)
        return Visit(context.new_page())


@pytest.fixture(scope="module", autouse=True)
def equipment() -> None:
    """Skip, or fail, before anything else is made."""
    if reason := missing():
        (pytest.fail if os.environ.get("IMAGEGEN_BROWSER") == "required" else pytest.skip)(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser: Browser, tmp_path: Path) -> Iterator[Visitor]:
    visitor = Visitor(browser, tmp_path)
    yield visitor
    visitor.leave()


@pytest.fixture(scope="module")
def axe() -> str:
    return Path(os.environ["IMAGEGEN_AXE"]).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """A model of whose pictures one is blocked and one is gone, a whole one, one never asked."""
    clock = FakeClock()
    faults = [
        Fault("moderated", provider="minimax", image=1),
        Fault("expired", provider="minimax", step="download"),
    ]
    sandbox = Sandbox(latency=4, clock=clock.epoch, faults=faults)
    request = ImageRequest("a red fox in the snow", n=3, size="1024x768", seed=7)
    with sandbox.client(clock=clock, retries=None) as client:
        return client.compare(request, models=MODELS)


@pytest.fixture(scope="module")
def report(comparison: Comparison) -> str:
    return page(comparison)
