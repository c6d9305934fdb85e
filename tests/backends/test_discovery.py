"""Backends are found by their entry points, and what is wrong with one is said with what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from imagegen import Client, backends
from imagegen.backends.base import Backend
from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.cli import models
from imagegen.cli.options import models_option
from imagegen.config.environment import from_environment
from imagegen.errors import ConfigurationError

SOUND = "from imagegen.backends.minimax import MiniMax\nclass Acme(MiniMax):\n    name = 'acme'\n"

Installed = Callable[..., None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Install a distribution that offers a backend: its module's code, and what it requires."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def install(
        code: str | None,
        *,
        project: str = "acme-imagegen",
        name: str = "acme",
        value: str = "acme_kit:Acme",
        metadata: str = "",
    ) -> None:
        folder = tmp_path / f"{project.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        head = f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n"
        (folder / "METADATA").write_text(head + metadata, encoding="utf-8")
        points = f"[imagegen.backends]\n{name} = {value}\n"
        (folder / "entry_points.txt").write_text(points, encoding="utf-8")
        if code is not None:
            module = value.partition(":")[0]
            (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")

    yield install
    for module in set(sys.modules) - before:
        if module.startswith("acme"):
            del sys.modules[module]


def wrong(name: str = "acme") -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        backends.load(name)
    return caught.value


def test_both_providers_are_found_by_name() -> None:
    assert set(backends.names()) >= {"minimax", "wavespeed"}
    assert backends.load("minimax") is MiniMax
    assert backends.load("wavespeed") is WaveSpeed


def test_a_backend_of_somebody_else_is_found_by_its_entry_point(installed: Installed) -> None:
    installed(SOUND)
    assert "acme" in backends.names()
    assert backends.load("acme").name == "acme"


def test_naming_the_backends_imports_none(installed: Installed) -> None:
    installed("raise RuntimeError")
    assert "acme" in backends.names()
    assert "acme_kit" not in sys.modules


def test_an_unknown_backend_is_a_configuration_error_that_names_the_others() -> None:
    error = wrong("dall-e")
    assert "'dall-e'" in error.message
    assert f"Installed are {', '.join(backends.names())}" in error.advice


@pytest.mark.parametrize("typo", ["minmax", "MiniMax", "mini-max"])
def test_a_typo_is_told_the_nearest_name(typo: str) -> None:
    assert "Did you mean 'minimax'?" in wrong(typo).advice


def test_a_missing_module_is_named_with_the_extra_that_brings_it(installed: Installed) -> None:
    extra = "Provides-Extra: cloud\nRequires-Dist: nowhere_sdk>=2; extra == 'cloud'\n"
    installed("import nowhere_sdk.client", metadata=extra)
    error = wrong()
    assert "'acme' (acme_kit:Acme, of acme-imagegen)" in error.message
    assert "nowhere_sdk" in error.message
    assert "pip install 'acme-imagegen[cloud]'" in error.advice


def test_an_extra_that_the_entry_point_names_is_believed(installed: Installed) -> None:
    installed("import nowhere_pil", value="acme_kit:Acme [pictures]")
    assert "pip install 'acme-imagegen[pictures]'" in wrong().advice


def test_a_missing_module_that_no_extra_brings_is_named(installed: Installed) -> None:
    installed("import nowhere_sdk")
    assert wrong().advice == "Install nowhere_sdk, which acme-imagegen does not bring"


def test_a_distribution_without_its_module_is_to_be_installed_again(installed: Installed) -> None:
    installed(None, value="acme_gone:Acme")
    assert "install it again" in wrong().advice


def test_an_entry_point_that_leads_to_nothing_is_told(installed: Installed) -> None:
    installed("", value="acme_kit:Acme")
    assert "is not where its entry point says" in wrong().message


def test_a_module_that_fails_is_told_with_its_error(installed: Installed) -> None:
    installed("raise ZeroDivisionError('oh')")
    error = wrong()
    assert "fails when it is imported: ZeroDivisionError: oh" in error.message
    assert isinstance(error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("code", ["Acme = 7", "class Acme: pass"])
def test_what_is_no_backend_is_refused(installed: Installed, code: str) -> None:
    installed(code)
    assert "no subclass of imagegen's Backend" in wrong().message


def test_a_backend_that_lacks_a_method_is_refused_with_its_name(installed: Installed) -> None:
    installed("from imagegen.backends.base import Backend\nclass Acme(Backend): name = 'acme'\n")
    assert "it lacks images_per_call, list_price, settle, submit, translate" in wrong().message


def test_two_distributions_with_one_name_are_both_named(installed: Installed) -> None:
    installed(SOUND)
    installed(SOUND, project="zebra-imagegen", value="acme_zebra:Acme")
    error = wrong()
    assert "acme-imagegen and zebra-imagegen both offer a backend 'acme'" in error.message
    assert error.advice == "Keep one of acme-imagegen, zebra-imagegen"


def test_a_clash_with_a_built_in_backend_names_who_is_to_go(installed: Installed) -> None:
    installed(SOUND, name="minimax")
    error = wrong("minimax")
    assert "which imagegen has itself" in error.message
    assert error.advice == "Uninstall acme-imagegen"


def test_a_backend_that_lacks_names_is_refused_with_them(installed: Installed) -> None:
    code = """
from imagegen.backends.base import Backend
class Acme(Backend):
    name, prefix, default_model = "acme", "", "m"
    def images_per_call(self, model, request): ...
    def list_price(self, model, request): ...
    def translate(self, request, model, terms): ...
    def submit(self, request, model, terms): ...
    def settle(self, job, age=0.0): ...
"""
    installed(code)
    assert "it lacks `key_variable`, `host_variable`, `default_host`" in wrong().message


def test_an_entry_point_of_another_name_is_refused_with_both(installed: Installed) -> None:
    installed(SOUND, name="acne")
    words = "the entry point 'acne' of acme-imagegen gives a backend named 'acme'"
    assert wrong("acne").message == f"{words}: name the entry point so"


BROKEN = f"{SOUND}    def __attrs_post_init__(self): raise KeyError('PATH')\n"


@pytest.mark.parametrize(("code", "name"), [(SOUND, "acne"), (BROKEN, "acme")])
def test_a_backend_that_is_wrong_breaks_no_other(
    installed: Installed, code: str, name: str
) -> None:
    installed(code, name=name)
    found = from_environment({"ACME_API_KEY": "secret"})
    error = found.pop(name)
    assert isinstance(error, ConfigurationError)
    assert error.provider == name
    assert all(isinstance(backend, Backend) for backend in found.values())
    with Client() as client:
        assert client.plan("a fox", models=["minimax:"])


def test_the_models_of_the_others_are_listed(
    installed: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(SOUND, name="acne")
    models.run(search="", provider=None, everything=False, as_json=False, config=None, profile=None)
    told = capsys.readouterr()
    assert "minimax:image-01" in told.out
    assert "the entry point 'acne'" in told.err


def test_completion_offers_the_models_of_the_others(installed: Installed) -> None:
    installed(SOUND, name="acne")
    command: Any = models_option("Which.")(click.Command("any"))
    (option,) = command.params
    offered = option.shell_complete(click.Context(command), "minimax:")
    assert [item.value for item in offered] == ["minimax:image-01", "minimax:image-01-live"]


@pytest.mark.parametrize(("line", "named"), [("pass", "minimax"), ("name = 'zebra'", "zebra")])
def test_a_backend_has_the_name_of_its_entry_point(
    installed: Installed, line: str, named: str
) -> None:
    installed(f"from imagegen.backends.minimax import MiniMax\nclass Acme(MiniMax):\n    {line}\n")
    assert f"gives a backend named {named!r}: name the entry point so" in str(wrong())


def test_a_module_that_ends_the_process_is_an_error(installed: Installed) -> None:
    installed("raise SystemExit(3)")
    assert "fails when it is imported: SystemExit: 3" in str(wrong())
