"""The six invariants of money, for some seconds; `benchmarks/invariants.py` takes longer."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from benchmarks.invariants import Money

TestMoney = Money.TestCase
TestMoney.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
