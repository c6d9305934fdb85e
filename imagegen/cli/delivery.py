"""Bringing what was bought into a folder, and saying how far that went."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from imagegen.cli import exit_codes
from imagegen.client import Client
from imagegen.ledger import Ledger
from imagegen.pictures.files import write_images
from imagegen.result import Generation


@frozen
class Delivery:
    """What was made, where it was saved (None: not), and what went wrong in saving it."""

    generation: Generation
    paths: Sequence[Path | None]
    problem: BaseException | None = None

    @property
    def status(self) -> int:
        """The command's exit status."""
        if isinstance(self.problem, KeyboardInterrupt):
            return exit_codes.INTERRUPTED
        whole = self.complete and not self.generation.failures
        return exit_codes.OK if whole else exit_codes.PARTIAL

    @property
    def complete(self) -> bool:
        """Whether everything that came is saved."""
        return self.problem is None and None not in self.paths

    @property
    def final(self) -> bool:
        """Whether what is not saved is gone for good: its URL is dead by the provider's word."""
        now = datetime.now(UTC)
        return all(
            path or (image.expires_at and image.expires_at < now)
            for image, path in zip(self.generation.images, self.paths, strict=True)
        )


@frozen
class Saving:
    """Where pictures are saved, until which monotonic second, and whether with their origin."""

    out: Path
    end: float
    provenance: bool


def deliver(client: Client, book: Ledger | None, generation: Generation, to: Saving) -> Delivery:
    """Fetch and save what is paid for; whatever happens on the way, keep what there is.

    Only what is saved, or gone for good, counts as collected. Fetching gets a second at least.
    """
    paths: Sequence[Path | None] = [None] * len(generation.images)
    try:
        generation = client.fetch(generation, timeout=max(to.end - time.monotonic(), 1.0))
        paths = write_images(generation, to.out, provenance=to.provenance)
        if book and Delivery(generation, paths).final:
            book.collected(generation).result()
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - what is paid for is told
        return Delivery(generation, paths, problem)
    return Delivery(generation, paths)


def delivered(
    client: Client, book: Ledger | None, generations: Iterable[Generation], saving: Saving
) -> list[Delivery]:
    """Save one result after the other; once that fails, the rest stays open on the ledger."""
    deliveries: list[Delivery] = []
    for made in generations:
        if any(delivery.problem for delivery in deliveries):
            deliveries.append(Delivery(made, [None] * len(made.images)))
        else:
            deliveries.append(deliver(client, book, made, saving))
    return deliveries
