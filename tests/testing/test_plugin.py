"""The pytest plugin: light, with fixtures, and a line for each backend."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imagegen import Client
from imagegen.sandbox import Sandbox
from imagegen.testing import FakeClock

SUITES = """
from imagegen.backends.minimax import MiniMax
from imagegen.testing import Conformance, reply

DONE = reply({"base_resp": {"status_code": 0}, "data": {"image_urls": ["https://h.example/1"]}})

class TestWhole(Conformance):
    backend = MiniMax(api_key="not-a-key")
    success = [DONE]

class TestBroken(TestWhole):
    backend = type("Bad", (MiniMax,), {"host_variable": "minimax host"})(api_key="not-a-key")

def test_of_the_application(imagegen_client):
    assert imagegen_client.generate("a fox", model="minimax:image-01").images
"""
PLUGIN = ("-p", "no:imagegen", "-p", "imagegen.testing.plugin")


def run(folder: Path, *options: str, suites: str = SUITES) -> str:
    (folder / "test_acme.py").write_text(suites, encoding="utf-8")
    few = "is_named or is_https or refusals_have or application"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", few, *options]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), str(folder / "test_acme.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_run_ends_with_a_line_for_each_backend(tmp_path: Path, workers: tuple[str, ...]) -> None:
    told = run(tmp_path, *PLUGIN, *workers)
    lines = [line for line in told.splitlines() if line.startswith("minimax (")]
    assert [line.partition(": ")[0] for line in lines] == [
        "minimax (TestBroken)",
        "minimax (TestWhole)",
    ]
    assert "1 of 3 rules hold; 1 not asked: add refusals: pairs of a reply" in lines[0]
    assert "2 of 3 rules hold; 1 not asked: add refusals: pairs of a reply" in lines[1]
    assert "1 failed, 4 passed, 2 skipped" in told
    assert "host_variable is 'minimax host'" in told


def test_rules_that_are_expected_to_fail_are_counted_and_none_needs_a_backend(
    tmp_path: Path,
) -> None:
    more = "import pytest\nclass TestNothing(Conformance): pass\n"
    more += "class TestLax(TestWhole):\n    @pytest.mark.xfail\n"
    more += "    def test_it_is_named(self): assert 0\n"
    told = run(tmp_path, *PLUGIN, "-k", "is_named or is_https", suites=SUITES + more)
    assert "minimax (TestLax): 1 of 2 rules hold" in told
    assert "? (TestNothing): 0 of 2 rules hold" in told
    assert "add backend to TestNothing" in told


def test_without_the_plugin_the_suite_runs_as_well(tmp_path: Path) -> None:
    told = run(tmp_path, "-p", "no:imagegen", "-k", "TestWhole and (is_named or refusals_have)")
    assert "1 passed, 1 skipped" in told
    assert "rules hold" not in told


def test_without_a_suite_nothing_is_said(tmp_path: Path) -> None:
    told = run(tmp_path, *PLUGIN, "-k", "application")
    assert "1 passed" in told
    assert "imagegen conformance" not in told


def test_the_fixtures_share_a_clock_on_which_waiting_takes_no_time(
    imagegen_client: Client, imagegen_sandbox: Sandbox, imagegen_clock: FakeClock
) -> None:
    imagegen_sandbox.latency = 3600.0
    made = imagegen_client.generate("a fox", model="wavespeed:minimax/image-01", timeout=7200)
    assert len(made.images) == len(imagegen_sandbox.submissions) == 1
    assert imagegen_clock.monotonic() >= 3600


def loaded_after(code: str) -> set[str]:
    program = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_the_plugin_loads_nothing_else_of_imagegen_and_no_library() -> None:
    alone = loaded_after("import pytest")
    loaded = loaded_after("import pytest, imagegen.testing.plugin") - alone
    ours = {name for name in loaded if name.startswith("imagegen")}
    assert ours == {"imagegen", "imagegen.testing", "imagegen.testing.plugin"}
    assert len(loaded) - len(ours) < 5
    assert not loaded & {"httpx", "httpcore", "attr", "cattrs", "hypothesis", "asyncio"}


def test_the_package_needs_neither_pytest_nor_hypothesis() -> None:
    code = "from imagegen.testing import play, reply, FakeBackend, FakeClock"
    assert not loaded_after(code) & {"pytest", "hypothesis", "httpx"}


@pytest.mark.parametrize("library", ["pytest", "hypothesis"])
def test_the_suite_without_its_extra_names_the_extra(library: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from imagegen.errors import ConfigurationError\n"
        "try:\n    from imagegen.testing import Conformance\n"
        "except ConfigurationError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"needs {library}, which is not installed" in done.stdout
    assert "pip install 'imagegen-client[testing]'" in done.stdout
