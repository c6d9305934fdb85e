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
from imagegen.cli.columns import columns, counted, money
from imagegen.cli.options import (
    config_options,
    json_option,
    models_option,
    request_options,
    sandbox_option,
)
from imagegen.cli.report import Speaker, cost_as_dict, dumps, echo
from imagegen.cli.setup import Setup
from imagegen.cli.wanted import Wanted
from imagegen.errors import ImageGenError
from imagegen.planning import ModelPlan
from imagegen.redaction import printable
from imagegen.result import Cost

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
        text = _as_json(plans) if as_json else "\n".join(_lines(plans, say))
    echo(text)
    raise SystemExit(_status(plans))


def _status(plans: Sequence[ModelPlan]) -> int:
    supported = [plan.supported for plan in plans]
    if all(supported):
        return exit_codes.OK
    return exit_codes.PARTIAL if any(supported) else exit_codes.WRONG


def _lines(plans: Sequence[ModelPlan], say: Speaker) -> list[str]:
    lines = [columns(_HEADS, [_row(plan) for plan in plans])]
    if len(plans) > 1:
        lines += _sums([plan.cost for plan in plans if plan.supported])
    for plan in plans:
        lines += ["", plan.model]
        if plan.error:
            lines.append(f"  cannot: {say.told(str(plan.error))}")
            continue
        lines += [f"  note: {say.told(note.message)} ({note.field})" for note in plan.notices]
        if plan.missing_key:
            lines.append(f"  missing: its key; set {plan.missing_key}")
        more = f", then {counted(plan.calls - 1, 'more call')}" if plan.calls > 1 else ""
        lines += [f"  POST {plan.url}{more}", *_body(plan)]
    return [printable(line) if "\n" not in line else line for line in lines]


def _row(plan: ModelPlan) -> tuple[object, ...]:
    price = plan.price
    return (
        plan.model,
        plan.full_model if plan.supported else "not at all",
        plan.calls,
        f"{money(price.amount, price.currency)} per {price.per}" if price else "unknown",
        money(plan.cost.amount, plan.cost.currency) if plan.cost.amount is not None else "unknown",
        "missing" if plan.missing_key else "set",
    )


def _sums(costs: Sequence[Cost]) -> list[str]:
    """What one of them costs, as a range, and all of them."""
    total = Cost.total(costs)
    amounts = sorted(cost.amount for cost in costs if cost.amount is not None)
    if total.amount is None or not amounts:
        return ["one of them or all: unknown, as not every price is known in one currency"]
    low, high = (money(amount, total.currency) for amount in (amounts[0], amounts[-1]))
    one = low if low == high else f"{low} to {high}"
    return [f"one of them: {one}; all: {money(total.amount, total.currency)}"]


def _body(plan: ModelPlan) -> list[str]:
    text = json.dumps(without_pictures(plan.body()), ensure_ascii=False, indent=2)
    return [f"  {line}" for line in text.splitlines()]


def _as_json(plans: Sequence[ModelPlan]) -> str:
    """The object that `--json` prints; an interface, documented in docs/cli.md."""
    return dumps({"plans": [_plan(plan) for plan in plans]})


def _plan(plan: ModelPlan) -> dict[str, Any]:
    return {
        "model": plan.model,
        "provider": plan.provider,
        "full_model": plan.full_model,
        "supported": plan.supported,
        "error": _error(plan.error) if plan.error else None,
        "missing_key": plan.missing_key,
        "notices": [asdict(notice) for notice in plan.notices],
        "price": asdict(plan.price) if plan.price else None,
        "calls": plan.calls,
        "cost": cost_as_dict(plan.cost),
        "url": plan.url,
        "body": plan.body(),
    }


def _error(error: ImageGenError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": str(error), "field": error.field}
