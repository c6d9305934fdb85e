"""`imagegen generate`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from imagegen.cli.delivery import Delivery, Saving, deliver
from imagegen.cli.options import models_option, purchase_options, request_options
from imagegen.cli.progress import Bar, display
from imagegen.cli.report import Speaker
from imagegen.cli.setup import Setup
from imagegen.cli.wanted import Wanted
from imagegen.errors import ConfigurationError
from imagegen.pictures.files import require_writable
from imagegen.purchase.buying import OnUnknown
from imagegen.purchase.routing import Route, Strategy

EPILOG = """Exit status: 0 pictures made; 1 provider or network failure; 2 wrong usage,
configuration or request; 3 key not accepted; 4 no balance; 5 content refused; 6 rate limit;
7 out of time; 8 submission sent but its outcome unknown; 9 over --max-cost; 10 only some pictures
came; 130 interrupted. After 7, 8, 10 and 130, see `imagegen jobs --help`."""


@frozen(kw_only=True)
class Purchase:
    """How the pictures are to be bought."""

    models: Sequence[str]
    strategy: Strategy | None
    on_unknown: OnUnknown | None
    max_cost: str | None
    timeout: float | None
    out: Path
    provenance: bool | None

    def model(self) -> str | Route | None:
        """One model is itself; several, or a word on what is unknown, make a route.

        Raises:
            ConfigurationError: they make none.
        """
        said = {"strategy": self.strategy, "on_unknown": self.on_unknown}
        given = {name: value for name, value in said.items() if value}
        if not self.models and given:
            option = next(iter(given)).replace("_", "-")
            raise ConfigurationError(
                f"--{option} is about the models of a route, and none is named",
                advice="Name them with --model, or say it in the configuration's route",
                field="model",
            )
        if len(self.models) > 1 or self.on_unknown not in (None, "raise"):
            return Route(models=self.models, **given)  # type: ignore[arg-type]
        return self.models[0] if self.models else None

    @property
    def label(self) -> str:
        """What the live display calls it."""
        return self.models[0] if len(self.models) == 1 else "pictures"


@click.command(epilog=EPILOG)
@request_options
@models_option(
    "Such as minimax:image-01, or the name of a route of the configuration. Several are a route: "
    "the next is tried if one fails."
)
@click.option(
    "--strategy",
    type=click.Choice(["order", "cheapest", "fastest"]),
    help="Which of several models is tried first: as listed, unless this says otherwise.",
)
@click.option(
    "--on-unknown",
    type=click.Choice(["raise", "reconcile", "spend"]),
    help="If nobody knows whether a submission was accepted: stop (unless this says otherwise), "
    "look it up, or pay again.",
)
@purchase_options
def command(*, as_json: bool, **options: Any) -> None:
    """Make pictures from PROMPT and save them."""
    setup, wanted = Setup.taken_from(options), Wanted.taken_from(options)
    say = Speaker(as_json=as_json, sandbox=setup.sandbox)
    with say.explaining():
        say.on_ledger = setup.again
        delivery = _made(setup, wanted, Purchase(**options))
    say.made(delivery)
    raise SystemExit(delivery.status)


def _made(setup: Setup, wanted: Wanted, purchase: Purchase) -> Delivery:
    request = wanted.request()
    require_writable(purchase.out)
    seconds = setup.seconds(purchase.timeout)
    saving = Saving(purchase.out, time.monotonic() + seconds, setup.marked(purchase.provenance))
    with (
        setup.ledger() as book,
        display() as screen,
        closing(setup.client(book, on_event=screen.tell)) as client,
    ):
        screen.add(Bar(purchase.label, wanted.n))
        generation = client.generate(
            request,
            model=purchase.model(),
            timeout=seconds,
            max_cost=purchase.max_cost,
            fit=wanted.fit,
            unsupported=wanted.unsupported,
        )
        return deliver(client, book, generation, saving)
