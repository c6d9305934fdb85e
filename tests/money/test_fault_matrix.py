"""A part of the fault matrix, so chosen that every fault meets every step of every provider."""

from __future__ import annotations

import pytest

from benchmarks.fault_matrix import Case, cases, failures

STRIDE = 27
"""It shares no factor with the numbers of settings, so that these take turns."""
CHUNKS = 24
SOME = [c for k, c in enumerate(cases()) if c.step == "look-up" or k % STRIDE == 0]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_fault_makes_a_purchase_twice_or_loses_one(chunk: int) -> None:
    wrong = [f"{case}\n    {words}" for case, words in failures(SOME[chunk::CHUNKS])]
    assert not wrong, "\n".join(wrong)


def test_the_part_of_the_matrix_is_large() -> None:
    assert len(SOME) >= 2000


def place(case: Case) -> tuple[str, str, str]:
    return case.trouble.name, case.provider, case.step


def test_the_part_of_the_matrix_has_every_fault_at_every_step() -> None:
    assert set(map(place, SOME)) == set(map(place, cases()))


@pytest.mark.parametrize("dimension", ["after", "most", "flavour", "mode", "ledger"])
def test_the_part_of_the_matrix_has_every_setting_of_every_step(dimension: str) -> None:
    def values(some: list[Case]) -> set[tuple[str, object]]:
        return {(case.step, getattr(case, dimension)) for case in some}

    assert values(SOME) == values(list(cases()))
