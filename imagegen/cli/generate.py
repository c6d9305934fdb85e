"""`imagegen generate`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from imagegen.buying import OnUnknown
from imagegen.cli import exit_codes, ledgers
from imagegen.cli.progress import display
from imagegen.cli.report import Delivery, Speaker
from imagegen.client import Client, Fit, Unsupported
from imagegen.drivers import Tell
from imagegen.errors import ImageGenError
from imagegen.files import require_writable, write_images
from imagegen.ledger import Ledger
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.result import Generation
from imagegen.routing import Route, Strategy

SANDBOX_LATENCY = 1.0


@frozen(kw_only=True)
class Options:
    """What the command line says; `imagegen.cli.commands` explains each."""

    prompt: str
    models: Sequence[str]
    strategy: Strategy
    on_unknown: OnUnknown
    n: int
    size: str | None
    aspect_ratio: str | None
    seed: int | None
    characters: Sequence[str]
    sources: Sequence[str]
    enhance_prompt: bool | None
    fit: Fit
    unsupported: Unsupported
    max_cost: str | None
    timeout: float
    out: Path
    ledger: str | None
    sandbox: bool
    as_json: bool

    def request(self) -> ImageRequest:
        """What is wanted.

        Raises:
            InvalidRequestError: it is no request.
        """
        return ImageRequest(
            self.prompt,
            n=self.n,
            size=self.size,
            aspect_ratio=self.aspect_ratio,
            seed=self.seed,
            references=_references(self.characters, self.sources),
            enhance_prompt=self.enhance_prompt,
        )

    def model(self) -> str | Route | None:
        """One model is itself; several, or a word on what is unknown, make a route.

        Raises:
            ConfigurationError: they make none.
        """
        if not self.models:
            return None
        if len(self.models) == 1 and self.on_unknown == "raise":
            return self.models[0]
        return Route(models=self.models, strategy=self.strategy, on_unknown=self.on_unknown)

    @property
    def label(self) -> str:
        """What the live display calls it."""
        return self.models[0] if len(self.models) == 1 else "pictures"


def run(**given: Any) -> int:
    """Make the pictures, save them, say what came of it, and return the exit status."""
    options = Options(**given)
    on_ledger = ledgers.options(options.ledger, sandbox=options.sandbox)
    say = Speaker(as_json=options.as_json, sandbox=options.sandbox, on_ledger=on_ledger)
    try:
        delivery = _made(options)
    except ImageGenError as error:
        say.failed(error)
        return exit_codes.exit_code(error)
    except KeyboardInterrupt as interruption:
        say.interrupted(interruption)
        return exit_codes.INTERRUPTED
    say.made(delivery)
    return delivery.status


def _made(options: Options) -> Delivery:
    end = time.monotonic() + options.timeout
    request = options.request()
    require_writable(options.out)
    with (
        _ledger(options) as book,
        display(options.n, options.label) as tell,
        closing(_client(options, tell, book)) as client,
    ):
        generation = client.generate(
            request,
            model=options.model(),
            timeout=options.timeout,
            max_cost=options.max_cost,
            fit=options.fit,
            unsupported=options.unsupported,
        )
        left = max(end - time.monotonic(), 0.001)
        return deliver(client, book, generation, options.out, left)


def deliver(
    client: Client, book: Ledger | None, generation: Generation, out: Path, seconds: float
) -> Delivery:
    """Fetch and save what is paid for; whatever happens on the way, keep what there is.

    Only what is saved, or gone for good, counts as collected.
    """
    paths: Sequence[Path | None] = [None] * len(generation.images)
    try:
        generation = client.fetch(generation, timeout=seconds)
        paths = write_images(generation, out)
        if book and Delivery(generation, paths).final:
            book.collected(generation).result()
    except (ImageGenError, KeyboardInterrupt) as problem:
        return Delivery(generation, paths, problem)
    return Delivery(generation, paths)


def _references(characters: Sequence[str], sources: Sequence[str]) -> list[ReferenceImage]:
    roles: tuple[tuple[Literal["source", "character"], Sequence[str]], ...] = (
        ("source", sources),
        ("character", characters),
    )
    return [ReferenceImage(given, role) for role, several in roles for given in several]


def _ledger(options: Options) -> AbstractContextManager[Ledger | None]:
    return ledgers.ledger(options.ledger, sandbox=options.sandbox) or nullcontext()


def _client(options: Options, tell: Tell, ledger: Ledger | None) -> Client:
    if not options.sandbox:
        return Client(on_event=tell, ledger=ledger)
    from imagegen.sandbox import Sandbox  # noqa: PLC0415 - needed for --sandbox only

    return Sandbox(latency=SANDBOX_LATENCY).client(on_event=tell, ledger=ledger)
