"""The folder of fixtures keeps its own rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

ALLOWED = re.compile(
    r"request\.json|provenance\.txt|[1-9]-(POST|GET)-[1-5][0-9]{2}\.(json|html|txt)"
)


def test_every_case_has_a_request_replies_and_one_line_of_provenance(cases: list[Path]) -> None:
    assert len({case.parent for case in cases}) > 1
    assert len(cases) > 20
    for case in cases:
        names = {file.name for file in case.iterdir()}
        assert all(ALLOWED.fullmatch(name) for name in names), case
        assert {"request.json", "provenance.txt"} < names, case
        assert any(name.startswith("1-POST-") for name in names), case
        lines = (case / "provenance.txt").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1, case
        assert re.search(r"transcribed|published capture|invented", lines[0]), case


def test_replies_are_numbered_without_gaps_and_only_the_first_is_a_post(cases: list[Path]) -> None:
    for case in cases:
        steps = sorted(file.name for file in case.glob("[0-9]*"))
        assert [int(step[0]) for step in steps] == list(range(1, len(steps) + 1)), case
        assert [step.split("-")[1] for step in steps] == ["POST"] + ["GET"] * (len(steps) - 1)


def test_json_files_are_json_and_none_holds_a_key(cases: list[Path]) -> None:
    for case in cases:
        for file in case.glob("*.json"):
            assert isinstance(json.loads(file.read_bytes()), dict), file
            assert not re.search(rb"Bearer|sk-[a-z]|eyJ|OSSAccessKeyId", file.read_bytes()), file


def test_every_case_is_played_by_a_test(cases: list[Path]) -> None:
    tests = Path(__file__).parent.glob("test_*.py")
    played = "".join(test.read_text(encoding="utf-8") for test in tests)
    assert [case for case in cases if f'"{case.parent.name}/{case.name}"' not in played] == []
