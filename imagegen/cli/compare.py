"""`imagegen compare`: the same pictures from several models, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from attrs import evolve, frozen

from imagegen import report
from imagegen.cli import exit_codes
from imagegen.cli.columns import columns
from imagegen.cli.delivery import Delivery, Saving, delivered
from imagegen.cli.options import models_option, purchase_options, request_options
from imagegen.cli.progress import Bar, display
from imagegen.cli.report import SANDBOX_WORDS, Speaker, cost_as_dict, dumps, echo, made_as_dict
from imagegen.cli.setup import Setup
from imagegen.cli.wanted import Wanted
from imagegen.errors import ConfigurationError
from imagegen.pictures.files import require_writable, require_writable_file, write_whole
from imagegen.purchase.comparison import Comparison, Contender
from imagegen.purchase.planning import ModelPlan
from imagegen.redaction import printable
from imagegen.wording import money

EPILOG = """--max-cost bounds all models together. Exit status: 0 every model made every picture;
10 some are missing; if no model made any, as of `imagegen generate`."""
_HEADS = ("model", "pictures", "cost", "seconds", "megapixels", "per megapixel")


@frozen(kw_only=True)
class Purchase:
    """How the pictures are to be bought, and where the report goes."""

    models: Sequence[str]
    max_cost: str | None
    timeout: float | None
    out: Path
    provenance: bool | None
    html: Path | None


@click.command(epilog=EPILOG)
@request_options
@models_option(
    "A model to compare, or a route of the configuration, which stands for its models; given "
    "several times."
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page with the pictures side by side; one file, which works offline.",
)
@purchase_options
def command(*, as_json: bool, **options: Any) -> None:
    """Make the same pictures with several models, side by side."""
    setup, wanted = Setup.taken_from(options), Wanted.taken_from(options)
    say = Speaker(as_json=as_json, sandbox=setup.sandbox)
    with say.explaining():
        say.on_ledger = setup.again
        compared = _compared(setup, wanted, Purchase(**options))
    echo(compared.as_json(say) if as_json else "\n".join(compared.as_lines(say)))
    for problem in compared.problems:
        say.unsaved(problem)
    say.missing([each for each in compared.deliveries if each])
    raise SystemExit(compared.status)


@frozen
class Compared:
    """What was made, and where it was saved."""

    comparison: Comparison
    deliveries: Sequence[Delivery | None]
    plans: Sequence[ModelPlan]
    html: Path | None
    sandbox: bool
    unreported: BaseException | None = None

    @property
    def problems(self) -> list[BaseException]:
        """What went wrong in saving."""
        saving = [each.problem for each in self.deliveries if each and each.problem]
        return [*saving, *([self.unreported] if self.unreported else [])]

    @property
    def status(self) -> int:
        """The command's exit status."""
        made = [each.status for each in self.deliveries if each]
        if not made:
            errors = [each.error for each in self.comparison.contenders if each.error]
            return exit_codes.gravest(errors)
        if exit_codes.INTERRUPTED in made:
            return exit_codes.INTERRUPTED
        whole = made == [exit_codes.OK] * len(self.deliveries) and not self.unreported
        return exit_codes.OK if whole else exit_codes.PARTIAL

    def as_lines(self, say: Speaker) -> list[str]:
        """The lines that a person reads."""
        lines = [SANDBOX_WORDS] if self.sandbox else []
        lines.append(columns(_HEADS, [_row(each) for each in self.comparison.contenders]))
        lines.append(f"together: {money(self.comparison.cost)}")
        lines += [
            f"{plan.model}: note: {notice.message} ({notice.field})"
            for plan in self.plans
            for notice in plan.notices
            if notice.field == "price"
        ]
        for contender, delivery in self._pairs():
            lines += _notes(contender, delivery, say)
        if self.html:
            lines.append(f"report: {printable(str(self.html))}")
        return lines

    def as_json(self, say: Speaker) -> str:
        """The object that `--json` prints; an interface: docs/guides/command.md."""
        return dumps(
            {
                "sandbox": self.sandbox,
                "models": [_model(each, saved, say) for each, saved in self._pairs()],
                "cost": cost_as_dict(self.comparison.cost),
                "html": str(self.html) if self.html else None,
            }
        )

    def _pairs(self) -> list[tuple[Contender, Delivery | None]]:
        return list(zip(self.comparison.contenders, self.deliveries, strict=True))


def _compared(setup: Setup, wanted: Wanted, purchase: Purchase) -> Compared:
    request = wanted.request()
    if not purchase.models:
        raise ConfigurationError(
            "no model is named", advice="Name two or more with --model", field="model"
        )
    require_writable(purchase.out)
    if purchase.html:
        require_writable_file(purchase.html)
        report.require()
    seconds = setup.seconds(purchase.timeout)
    saving = Saving(purchase.out, time.monotonic() + seconds, setup.marked(purchase.provenance))
    with (
        setup.ledger() as book,
        display() as screen,
        closing(setup.client(book, on_event=screen.tell)) as client,
    ):
        plans = client.plan(request, purchase.models)
        for plan in plans:
            models = {plan.model, f"{plan.provider}:{plan.full_model}"}
            screen.add(Bar(plan.model, wanted.n, frozenset(models)))
        comparison = client.compare(
            request,
            purchase.models,
            timeout=seconds,
            max_cost=purchase.max_cost,
            fit=wanted.fit,
            unsupported=wanted.unsupported,
            fetch=False,
        )
        made = [each.generation for each in comparison.contenders if each.generation]
        deliveries = iter(delivered(client, book, made, saving))
    saved = [next(deliveries) if each.generation else None for each in comparison.contenders]
    whole = _with_what_was_fetched(comparison, saved)
    problem = _reported(whole, purchase.html, SANDBOX_WORDS if setup.sandbox else "")
    html = None if problem else purchase.html
    return Compared(whole, saved, plans, html, setup.sandbox, problem)


def _with_what_was_fetched(
    comparison: Comparison, deliveries: Sequence[Delivery | None]
) -> Comparison:
    contenders = (
        evolve(each, generation=delivery.generation) if delivery else each
        for each, delivery in zip(comparison.contenders, deliveries, strict=True)
    )
    return evolve(comparison, contenders=tuple(contenders))


def _reported(comparison: Comparison, html: Path | None, note: str) -> BaseException | None:
    """Write the page, if one is wanted; what goes wrong must not lose what is paid for."""
    try:
        if html:
            write_whole(html, comparison.to_html(note).encode("utf-8"))
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - of whatever kind
        return problem
    return None


def _row(contender: Contender) -> tuple[object, ...]:
    size = contender.megapixels
    return (
        contender.model,
        len(contender.images),
        money(contender.cost),
        f"{contender.seconds:.1f}",
        None if size is None else f"{size:.2f}",
        None if size is None else money(contender.cost_per_megapixel),
    )


def _notes(contender: Contender, delivery: Delivery | None, say: Speaker) -> list[str]:
    name = contender.model
    if delivery is None:
        return [printable(f"{name}: nothing came: {say.told(str(contender.error))}")]
    made = delivery.generation
    lines = [f"{name}: note: {notice.message} ({notice.field})" for notice in made.notices]
    lines += [f"{name}: missing: {failure.message}" for failure in made.failures]
    pairs = zip(delivery.paths, made.images, strict=True)
    lines += [f"{name}: {path or image.url or 'not saved'}" for path, image in pairs]
    return [printable(line) for line in lines]


def _model(contender: Contender, delivery: Delivery | None, say: Speaker) -> dict[str, Any]:
    each = contender.cost_per_megapixel
    return {
        "model": contender.model,
        "generation": made_as_dict(delivery.generation, delivery.paths) if delivery else None,
        "error": say.error_as_dict(contender.error) if contender.error else None,
        "price": cost_as_dict(contender.price),
        "cost": cost_as_dict(contender.cost),
        "seconds": contender.seconds,
        "megapixels": contender.megapixels,
        "cost_per_megapixel": cost_as_dict(each),
    }
