"""`imagegen plan`: what each model would be sent, and what it would cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import click
from attrs import asdict

from imagegen.backends.pictures import without_pictures
from imagegen.cli import exit_codes
from imagegen.cli.columns import columns
from imagegen.cli.options import (
    config_options,
    json_option,
    models_option,
    request_options,
    sandbox_option,
)
from imagegen.cli.prices import priced
from imagegen.cli.report import Speaker, cost_as_dict, dumps, echo
from imagegen.cli.setup import Setup
from imagegen.cli.wanted import Wanted
from imagegen.purchase.planning import ModelPlan
from imagegen.redaction import printable
from imagegen.result import Cost
from imagegen.wording import counted, money

EPILOG = """Nothing is sent. Exit status: 0 every model can make it; 10 some can; 2 none can, or the
request or the configuration is wrong."""
_HEADS = ("model", "sent as", "calls", "price", "together", "key")


@click.command(epilog=EPILOG)
@request_options
@models_option(
    "A model, or a route of the configuration, which stands for its models; may be given several "
    "times. Without it: the configuration's default, else every provider's own."
)
@config_options
@sandbox_option
@json_option
def command(*, models: Sequence[str], as_json: bool, **options: Any) -> None:
    """Say what each model would be sent and cost; nothing is sent."""
    setup, wanted = Setup.taken_from(options), Wanted.taken_from(options)
    say = Speaker(as_json=as_json, sandbox=setup.sandbox)
    with say.explaining(), closing(setup.planner()) as client:
        plans = client.plan(
            wanted.request(),
            models or None,
            fit=wanted.fit,
            unsupported=wanted.unsupported,
        )
        text = _as_json(plans, say) if as_json else "\n".join(_lines(plans, say))
    echo(text)
    raise SystemExit(_status(plans))


def _status(plans: Sequence[ModelPlan]) -> int:
    supported = [plan.supported for plan in plans]
    if all(supported):
        return exit_codes.OK
    return exit_codes.PARTIAL if any(supported) else exit_codes.WRONG


def _lines(plans: Sequence[ModelPlan], say: Speaker) -> list[str]:
    texts = [columns(_HEADS, [_row(plan) for plan in plans])]
    costs = [plan.cost for plan in plans if plan.supported]
    if len(costs) > 1:
        texts.append(_sums(costs))
    for plan in plans:
        texts += ["", plan.model, *(f"  {line}" for line in _details(plan, say))]
    return [printable(line) for text in texts for line in text.split("\n")]


def _details(plan: ModelPlan, say: Speaker) -> list[str]:
    """Why it cannot be made, or what would be sent and how it departs from the request."""
    if plan.error:
        return [f"cannot: {say.told(str(plan.error))}"]
    lines = [f"note: {say.told(notice.message)} ({notice.field})" for notice in plan.notices]
    if plan.missing_key:
        lines.append(f"missing: its key; set {plan.missing_key}")
    more = f", then {counted(plan.calls - 1, 'more call')}" if plan.calls > 1 else ""
    body = json.dumps(without_pictures(plan.body()), ensure_ascii=False, indent=2)
    return [*lines, f"POST {plan.url}{more}", *body.splitlines()]


def _row(plan: ModelPlan) -> tuple[object, ...]:
    return (
        plan.model,
        plan.full_model if plan.supported else "not at all",
        plan.calls,
        priced(plan.price),
        money(plan.cost),
        "missing" if plan.missing_key else "set",
    )


def _sums(costs: Sequence[Cost]) -> str:
    """What one of them costs, as a range, and all of them."""
    total = Cost.total(costs)
    known = sorted(costs, key=lambda cost: cost.amount or 0)
    if total.amount is None:
        return "one of them or all: unknown, as not every price is known in one currency"
    low, high = money(known[0]), money(known[-1])
    return f"one of them: {low if low == high else f'{low} to {high}'}; all: {money(total)}"


def _as_json(plans: Sequence[ModelPlan], say: Speaker) -> str:
    """The object that `--json` prints; an interface: docs/guides/command.md."""
    return dumps({"plans": [_plan(plan, say) for plan in plans]})


def _plan(plan: ModelPlan, say: Speaker) -> dict[str, Any]:
    return {
        "model": plan.model,
        "provider": plan.provider,
        "full_model": plan.full_model,
        "supported": plan.supported,
        "error": say.error_as_dict(plan.error) if plan.error else None,
        "missing_key": plan.missing_key,
        "notices": [asdict(notice) for notice in plan.notices],
        "price": asdict(plan.price) if plan.price else None,
        "calls": plan.calls,
        "cost": cost_as_dict(plan.cost),
        "url": plan.url,
        "body": plan.body(),
    }
