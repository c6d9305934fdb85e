"""The workflows run what a person runs, on the Pythons that the project names."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
NOXFILE = (ROOT / "noxfile.py").read_text(encoding="utf-8")
SESSIONS = {
    node.name
    for node in ast.parse(NOXFILE).body
    if isinstance(node, ast.FunctionDef)
    and any("session" in ast.unparse(each) for each in node.decorator_list)
}
SCRIPTS = {**WORKFLOWS, ".ci/run": (ROOT / ".ci" / "run").read_text(encoding="utf-8")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def named(script: str) -> set[str]:
    """The sessions that a script runs, without the version of Python."""
    command = r"nox(?: --[a-z-]+)* --session (.+?)(?: -- .*)?$"
    lines = re.findall(command, script, re.MULTILINE)
    words = {word.strip('"').partition("-")[0] for line in lines for word in line.split()}
    matrix = re.findall(r"session: \[(.*)\]", script)
    return words - {"${SESSION}"} | {word for each in matrix for word in each.split(", ")}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_session_that_is_run_is_one(name: str) -> None:
    sessions = named(SCRIPTS[name])
    assert sessions <= SESSIONS
    assert sessions or name == "changes"


def test_ci_runs_what_nox_runs_of_itself() -> None:
    assert "run: .ci/run\n" in WORKFLOWS["ci"]
    (usual,) = re.findall(r"nox.options.sessions = (.*)", NOXFILE)
    assert named(SCRIPTS[".ci/run"]) == set(ast.literal_eval(usual))


def test_every_python_that_the_project_names_is_tried() -> None:
    (listed,) = re.findall(r"python: \[(.*)\]", WORKFLOWS["ci"])
    oldest = re.findall(r'python-version: "(.*)"', WORKFLOWS["ci"])[0]
    tried = {oldest, *listed.replace('"', "").split(", ")}
    found = (re.search(r"Python :: (3\.\d+)", each) for each in PROJECT["classifiers"])
    assert tried == {each[1] for each in found if each}
    assert PROJECT["requires-python"] == f">={oldest}"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_do_nothing_that_it_does_not_say(name: str) -> None:
    text = WORKFLOWS[name]
    assert "\npermissions: {}\n" in text
    assert "secrets." not in text
    rights = set(re.findall(r"^ {6}([a-z-]+: (?:read|write))", text, re.MULTILINE))
    assert rights <= {"contents: read", *({"id-token: write"} if name == "release" else ())}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_others_wrote_is_named_by_its_commit(name: str) -> None:
    used = re.findall(r"uses: (?!\./)(.*)", WORKFLOWS[name])
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", each) for each in used)
