"""Ledgers, and what is written into them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imagegen import Attempt, Cost, GeneratedImage, Generation, ImageRequest, Job
from imagegen.ledger import Entry, Ledger

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Maker:
    """Entries, jobs and outcomes that differ only in what a test is about."""

    noon = NOON

    def price(self, amount: str = "0.0035", currency: str = "USD") -> Cost:
        return Cost(amount=Decimal(amount), currency=currency, basis="list-price")

    def entry(self, **changes: Any) -> Entry:
        values: dict[str, Any] = {
            "provider": "wavespeed",
            "model": "minimax/image-01",
            "n": 1,
            "request": ImageRequest("a red fox in the snow"),
            "reserved": self.price(),
            "started_at": NOON,
            "until": NOON + timedelta(minutes=5),
        }
        return Entry(**(values | changes))

    def job(self, job_id: str = "job-1", **changes: Any) -> Job:
        values: dict[str, Any] = {
            "provider": "wavespeed",
            "model": "minimax/image-01",
            "id": job_id,
            "request": ImageRequest("a red fox in the snow"),
        }
        return Job(**(values | changes))

    def generation(self, about: Job, /, **changes: Any) -> Generation:
        """Make the outcome of a job."""
        attempt = Attempt(
            provider=about.provider, model=about.model, n=1, images=1, request_id=about.id or None
        )
        image = GeneratedImage(url="https://cdn.example/1.jpg", request_id=about.id or None)
        values: dict[str, Any] = {
            "images": (image,),
            "cost": self.price(),
            "provider": about.provider,
            "model": about.model,
            "request": about.request,
            "attempts": (attempt,),
            "job": about,
        }
        return Generation(**(values | changes))


class Clock:
    """A moment that a test sets."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment

    def jump(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def png() -> bytes:
    """The beginning of a picture, which is all that is looked at."""
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes([0, 0, 0, 2, 0, 0, 0, 3])


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def clock() -> Clock:
    return Clock()


Nobody = Callable[[], AbstractContextManager[None]]


@contextmanager
def _nobody() -> Iterator[None]:
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


@pytest.fixture
def nobody() -> Nobody:
    """A context in which files and processes of others are out of reach, even for root."""
    return _nobody


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def open_ledger(path: Path, clock: Clock) -> Iterator[Callable[..., Ledger]]:
    """Open the test's file, as often as wanted."""
    opened: list[Ledger] = []

    def open_it(**options: Any) -> Ledger:
        opened.append(Ledger(path, now=clock.now, **options))
        return opened[-1]

    yield open_it
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Callable[..., Ledger]) -> Ledger:
    return open_ledger()
