"""The tutorial's blocks are a whole package: it is installed, used against Acme, and judged."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

import imagegen
from imagegen import (
    AuthenticationError,
    ConfigurationError,
    ContentPolicyError,
    Cost,
    ImageGenError,
    ImageRequest,
    InsufficientBalanceError,
    Job,
    JobFailedError,
    Limits,
    SubmissionUnknownError,
    UnsupportedFeatureError,
    backends,
    config,
)
from imagegen.backends import contract
from imagegen.testing import FakeClock

if TYPE_CHECKING:
    from imagegen.backends.base import Backend

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding-a-backend.md").read_text(encoding="utf-8")
BLOCKS: dict[str, str] = dict(
    re.findall(r"^```(?:python|toml)\n# ([\w.]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)
KEY = "acme-key-of-the-tests"
MODULES = ("acme_imagegen", "acme_at_once")

Made = Callable[..., "Backend"]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder where the package of the page is installed, beside its tests."""
    folder = tmp_path / "site"
    project = tomllib.loads(BLOCKS["pyproject.toml"])["project"]
    info = folder / f"acme_imagegen-{project['version']}.dist-info"
    info.mkdir(parents=True)
    about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(about)
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in several.items())
        for group, several in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))
    for name, text in BLOCKS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package, importable in this process."""
    monkeypatch.syspath_prepend(package)
    yield package
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def make(installed: Path, acme: Any) -> Made:
    """Make a backend of the page for the server."""
    assert (installed / "acme_imagegen.py").exists()

    def made(cls: str = "acme_imagegen:Acme", **options: Any) -> Backend:
        module, _, name = cls.partition(":")
        backend = getattr(importlib.import_module(module), name)
        return backend(**{"api_key": KEY, "base_url": acme.origin, **options})  # type: ignore[no-any-return]

    return made


@pytest.fixture
def desk(kit: Any, make: Made, time: FakeClock) -> Any:
    return kit.desk([make()], clock=time)


def test_the_page_has_every_file_of_the_package() -> None:
    module = tomllib.loads(BLOCKS["pyproject.toml"])["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*module["only-include"], "test_by_hand.py", "test_conformance.py"} <= BLOCKS.keys()


def test_the_entry_point_makes_it_known(installed: Path) -> None:
    assert "acme" in backends.names()
    assert backends.load("acme").name == "acme"
    assert Path(sys.modules["acme_imagegen"].__file__ or "").parent == installed


def test_pictures_are_made_and_counted(desk: Any, acme: Any) -> None:
    request = ImageRequest("a red fox", n=2, aspect_ratio="3:2", seed=7)
    generation = desk.generate(request, model="acme:paint-2")
    assert acme.placed == [
        {"model": "paint-2", "text": "a red fox", "count": 2, "size": "1536x1024", "seed": 7}
    ]
    assert (generation.cost.amount, generation.cost.currency) == (Decimal("0.04"), "USD")
    assert (generation.attempts[0].execution_seconds, generation.failures) == (1.5, ())
    fetched = desk.fetch(generation).images
    assert [(i.width, i.height, i.seed, i.media_type) for i in fetched] == [
        (1536, 1024, 7, "image/png")
    ] * 2


def test_what_one_call_cannot_ask_for_is_split(desk: Any, acme: Any) -> None:
    generation = desk.generate(ImageRequest("a red fox", n=6), model="acme:")
    assert sorted(body["count"] for body in acme.placed) == [2, 4]
    assert len(generation.images) == 6


def test_a_withheld_picture_is_a_failure_beside_the_others_and_free(desk: Any) -> None:
    generation = desk.generate(ImageRequest("partly a fox", n=3), model="acme:")
    assert len(generation.images) == 2
    assert [(f.error, f.index, f.charged, f.message) for f in generation.failures] == [
        ("ContentPolicyError", 2, "no", "withheld for its content")
    ]
    assert generation.cost.amount == Decimal("0.04")


@pytest.mark.parametrize(
    ("prompt", "kind", "charged", "is_placed"),
    [
        ("forbidden", ContentPolicyError, "no", False),
        ("a fox in debt", InsufficientBalanceError, "no", False),
        ("a doomed fox", JobFailedError, "no", True),
        ("partly a fox", ContentPolicyError, "no", True),
    ],
)
def test_a_refusal_and_a_failure_say_what_is_charged(
    desk: Any, prompt: str, kind: type[ImageGenError], charged: str, *, is_placed: bool
) -> None:
    with pytest.raises(kind) as caught:
        desk.generate(prompt, model="acme:paint-2")
    assert (type(caught.value), caught.value.charged) == (kind, charged)
    assert (caught.value.job is not None) is is_placed


def test_a_crash_behind_the_counter_may_be_billed_and_is_not_repeated(desk: Any, acme: Any) -> None:
    with pytest.raises(SubmissionUnknownError, match="something is broken") as caught:
        desk.generate("a crash", model="acme:")
    assert caught.value.charged == "unknown"
    assert len(acme.placed) == 1


def test_a_rate_limit_is_waited_for(desk: Any, acme: Any) -> None:
    generation = desk.generate("a rush job", model="acme:")
    assert [attempt.error for attempt in generation.attempts] == ["RateLimitError", None]
    assert len(acme.placed) == 1


def test_a_wrong_key_buys_nothing(kit: Any, make: Made, acme: Any) -> None:
    with pytest.raises(AuthenticationError, match="who are you"):
        kit.desk([make(api_key="a-key-of-somebody-else")]).generate("a fox", model="acme:")
    assert acme.placed == []


def test_a_job_is_finished_by_another_client(
    desk: Any, kit: Any, make: Made, time: FakeClock, acme: Any
) -> None:
    text = desk.submit("a red fox", model="acme:").to_json()
    other = kit.desk([make()], clock=time)
    assert len(other.result(Job.from_json(text)).images) == 1
    assert len(acme.placed) == 1


def test_an_order_that_is_not_known_any_more_is_given_up_with_its_job(desk: Any) -> None:
    job = Job(provider="acme", model="paint-2", id="order-9", request=ImageRequest("a fox"))
    with pytest.raises(JobFailedError, match="no such order") as caught:
        desk.result(job)
    assert caught.value.job == job


@pytest.mark.parametrize(
    "change", [{"references": "https://h.example/a.png"}, {"enhance_prompt": True}]
)
def test_what_it_cannot_express_is_refused_or_left_out(
    desk: Any, acme: Any, change: dict[str, Any]
) -> None:
    request = ImageRequest("a fox", **change)
    with pytest.raises(UnsupportedFeatureError):
        desk.generate(request, model="acme:")
    assert acme.placed == []
    generation = desk.generate(request, model="acme:", unsupported="adjust")
    assert [(n.kind, n.field) for n in generation.notices] == [("ignored", *change)]


def test_the_nearest_size_is_taken_if_the_caller_agrees(desk: Any, acme: Any) -> None:
    request = ImageRequest("a fox", size="1600x900")
    with pytest.raises(UnsupportedFeatureError, match="The nearest is 1536x1024"):
        desk.generate(request, model="acme:")
    generation = desk.generate(request, model="acme:", fit="nearest")
    assert acme.placed[0]["size"] == "1536x1024"
    assert [(n.kind, n.field) for n in generation.notices] == [("adjusted", "size")]


def test_the_price_of_a_model_that_is_not_listed_is_unknown(desk: Any) -> None:
    assert desk.generate("a fox", model="acme:paint-9").cost.amount is None


def test_a_provider_that_answers_at_once_settles_its_job(kit: Any, make: Made, acme: Any) -> None:
    desk = kit.desk([make("acme_at_once:AcmeAtOnce")])
    generation = desk.generate(ImageRequest("partly a fox", n=2), model="acme-at-once:")
    assert (len(generation.images), len(generation.failures)) == (1, 1)
    with pytest.raises(SubmissionUnknownError):
        desk.generate("a crash", model="acme-at-once:")
    with pytest.raises(ContentPolicyError) as caught:
        desk.generate("partly a fox", model="acme-at-once:")
    assert (caught.value.charged, len(acme.placed)) == ("no", 3)
    assert caught.value.message == "no picture came: withheld for its content"


def test_what_it_says_that_it_took_is_the_cost_of_generation_and_attempt(
    kit: Any, make: Made, time: FakeClock
) -> None:
    desk = kit.desk([make("acme_at_once:AcmeAtOnce")], clock=time)
    job = desk.submit(ImageRequest("a fox", n=2), model="acme-at-once:")
    generation = desk.result(job)
    (attempt,) = generation.attempts
    assert generation.cost == Cost(amount=Decimal("0.06"), currency="USD", basis="billed")
    assert attempt.cost == generation.cost
    assert (job.id, attempt.request_id, attempt.execution_seconds) == ("order-0", "ticket-1", 1.5)


def test_a_refusal_inside_http_200_is_what_it_says(
    kit: Any, make: Made, time: FakeClock, acme: Any
) -> None:
    desk = kit.desk([make("acme_at_once:AcmeAtOnce")], clock=time)
    with pytest.raises(ContentPolicyError, match="not a picture that we make") as caught:
        desk.generate("forbidden", model="acme-at-once:")
    error = caught.value
    assert (error.charged, error.status, error.code) == ("no", 200, "content")
    generation = desk.generate("a rush job", model="acme-at-once:")
    assert [attempt.error for attempt in generation.attempts] == ["RateLimitError", None]
    assert time.monotonic() >= 7.0
    assert len(acme.placed) == 1


def test_the_settings_of_the_page_are_read(installed: Path, tmp_path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(\[providers.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    settings = tmp_path / "acme.toml"
    settings.write_text(text, encoding="utf-8")
    found = config.load(settings, environ={"MY_ACME_KEY": KEY}).backends["acme"]
    assert installed.exists()
    assert not isinstance(found, ConfigurationError)
    assert (found.has_key, found.host) == (True, "https://eu.acme.example")
    assert found.limits == Limits(per_minute=10, in_flight=5)


def test_every_function_that_the_page_names_can_be_imported() -> None:
    named = set(re.findall(r"`(?:raise )?([a-zA-Z_]+)\(", PAGE))
    methods = {*dir(contract.Backend), *dir(contract.Polling), "help", "Acme", "evolve"}
    assert sorted(named - methods - {*dir(imagegen), *contract.__all__}) == []


def environment(package: Path, **more: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **more}


def ran(command: Sequence[str], folder: Path, variables: dict[str, str]) -> str:
    """Run Python as a user would, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_command_makes_pictures_with_it(package: Path, acme: Any, tmp_path: Path) -> None:
    settings = tmp_path / "acme.toml"
    settings.write_text("[providers.acme]\nfirst_poll = 0.01\n")
    variables = environment(package, ACME_API_KEY=KEY, ACME_BASE_URL=f"{acme.origin}/v1")
    command = ["-m", "imagegen.cli", "generate", "a red fox", "--model", "acme:paint-2"]
    options = ["--config", str(settings), "--out", str(tmp_path / "made"), "--json"]
    told = json.loads(ran([*command, *options], tmp_path, variables))
    assert told["cost"]["amount"] == "0.02"
    (made,) = (tmp_path / "made").iterdir()
    with Image.open(made) as picture:
        assert (picture.format, picture.size) == ("PNG", (1024, 1024))


def test_the_example_is_typed(package: Path) -> None:
    pytest.importorskip("mypy")
    tree = str(Path(imagegen.__file__).parents[1])
    variables = environment(package, MYPYPATH=tree)
    command = ["-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={package}/cache"]
    assert "no issues" in ran([*command, *(f"{name}.py" for name in MODULES)], package, variables)


def test_it_passes_the_conformance_kit_and_its_own_test(package: Path) -> None:
    command = ["-m", "pytest", "-p", "no:cacheprovider", "--junit-xml=told.xml", "-q"]
    ran([*command, "test_by_hand.py", "test_conformance.py"], package, environment(package))
    told = ET.parse(package / "told.xml").getroot().find("testsuite")  # noqa: S314 - it is ours
    assert told is not None
    outcomes = {name: int(told.attrib[name]) for name in ("failures", "errors", "skipped")}
    assert outcomes == {"failures": 0, "errors": 0, "skipped": 0}
    assert int(told.attrib["tests"]) > 20


AT_ONCE = """
from acme_at_once import AcmeAtOnce

from imagegen import ContentPolicyError, RateLimitError
from imagegen.testing import Conformance, reply

URL = {"url": "https://acme.example/1.png"}


def no(kind):
    return reply({"ok": False, "error": {"kind": kind, "text": "no", "wait": 3}})


class TestAtOnce(Conformance):
    backend = AcmeAtOnce(api_key="not-a-key")
    success = [reply({"ok": True, "id": "order-7", "pictures": [URL], "spent": "0.02"})]
    partial = [reply({"ok": True, "id": "order-7", "pictures": [URL, {"error": "withheld"}]})]
    refusals = [(no("content"), ContentPolicyError), (no("busy"), RateLimitError)]
"""


def test_the_one_that_answers_at_once_keeps_the_rules_too(package: Path) -> None:
    (package / "test_at_once.py").write_text(AT_ONCE, encoding="utf-8")
    command = ["-m", "pytest", "-p", "no:cacheprovider", "-q", "test_at_once.py"]
    # It has no entry point here: the package of the page offers the other.
    told = ran([*command, "-k", "not registered"], package, environment(package))
    assert re.search(r"[2-9][0-9] passed", told)
    assert "skipped" not in told


def test_the_rules_that_the_page_explains_are_the_kit_s(package: Path) -> None:
    names = re.findall(r"`(test_[\w…]+)`", PAGE.partition("| what the kit says |")[2])
    script = "from imagegen.testing import Conformance; print(*dir(Conformance))"
    rules = ran(["-c", script], package, environment(package)).split()
    patterns = [name.replace("…", r"\w+") for name in names]
    assert [p for p in patterns if not any(re.fullmatch(p, rule) for rule in rules)] == []
    assert len(names) > 20


def lines(text: str) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in text.splitlines())


def test_the_page_counts_the_lines_of_its_example() -> None:
    (said,) = re.findall(r"^\| Acme, this page \| ([0-9]+) \|", PAGE, re.MULTILINE)
    assert int(said) == lines(BLOCKS["acme_imagegen.py"])


@pytest.mark.parametrize("provider", ["minimax", "wavespeed"])
def test_the_page_counts_the_lines_of_the_built_in_backends(provider: str) -> None:
    folder = Path(imagegen.__file__).parent / "backends" / provider
    counted = sum(lines(file.read_text(encoding="utf-8")) for file in folder.glob("*.py"))
    (said,) = re.findall(rf"^\| `{provider}` \| about ([0-9,]+) \|", PAGE, re.MULTILINE)
    assert int(said.replace(",", "")) == pytest.approx(counted, rel=0.1)
