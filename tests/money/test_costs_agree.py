"""One price, to the last digit, in the plan, the comparison, the result, the ledger, the bill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from imagegen import Client, Cost, ImageRequest, Ledger, MiniMax, Price, WaveSpeed
from imagegen.sandbox import Sandbox

MODELS = ("minimax:image-01", "wavespeed:minimax/image-01")


def usd(amount: Decimal) -> Cost:
    return Cost(amount=amount, currency="USD", basis="list-price")


def client_on(
    sandbox: Sandbox, ledger: Ledger, prices: Mapping[str, Price] | None = None
) -> Client:
    account: dict[str, Any] = {
        "api_key": "sandbox",
        "base_url": sandbox.origin,
        "prices": prices or {},
    }
    backends = [MiniMax(**account), WaveSpeed(**account, first_poll=0.01)]
    return Client(backends, ledger=ledger, transport=sandbox.transport())


@pytest.mark.parametrize("n", range(1, 21))
def test_plan_comparison_result_ledger_and_bill_agree(n: int) -> None:
    sandbox, request = Sandbox(), ImageRequest("a fox", n=n, size="512x512", seed=1)
    with Ledger() as ledger, client_on(sandbox, ledger) as client:
        plans = client.plan(request, MODELS)
        comparison = client.compare(request, MODELS)
        entries = ledger.entries().result()
        account = ledger.spend().result()
    expected = usd(Decimal("0.0035") * n)
    assert [plan.cost for plan in plans] == [expected] * 2
    assert sum(plan.calls for plan in plans) == len(entries) == len(sandbox.submissions)
    for contender in comparison.contenders:
        assert contender.price == contender.cost == expected
        assert contender.generation is not None
        assert contender.generation.cost == expected
        assert Cost.total(a.cost for a in contender.generation.attempts) == expected
        provider = contender.generation.provider
        own = [entry for entry in entries if entry.provider == provider]
        assert Cost.total(entry.reserved for entry in own) == expected
        assert Cost.total(entry.cost for entry in own) == expected
        assert [line.spent for line in account if line.provider == provider] == [expected.amount]
        billed = [s.price for s in sandbox.submissions if s.provider == provider]
        assert sum(billed) == expected.amount
    assert comparison.cost == usd(Decimal("0.0070") * n)


@pytest.mark.parametrize("n", [1, 9, 10, 20])
@pytest.mark.parametrize("per", ["image", "call"])
def test_an_own_price_agrees_everywhere_too(n: int, per: str) -> None:
    own = Price(
        amount=Decimal("0.001234567"),
        currency="USD",
        per=per,  # type: ignore[arg-type]
        as_of=date(2026, 11, 1),
        source="our contract",
    )
    sandbox, request = Sandbox(), ImageRequest("a fox", n=n, size="512x512")
    prices = {"image-01": own, "minimax/image-01/text-to-image": own}
    with Ledger() as ledger, client_on(sandbox, ledger, prices) as client:
        plans = client.plan(request, MODELS)
        comparison = client.compare(request, MODELS, max_cost=own.amount * 2 * n)
        spent = {line.provider: line.spent for line in ledger.spend().result()}
    units = n if per == "image" else -(-n // 9)
    assert [plan.cost for plan in plans] == [usd(own.amount * units)] * 2
    assert [each.cost for each in comparison.contenders] == [usd(own.amount * units)] * 2
    assert spent == dict.fromkeys(("minimax", "wavespeed"), own.amount * units)
