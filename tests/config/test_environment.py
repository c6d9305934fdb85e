"""Backends from the environment."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from imagegen import backends
from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.config import completed, configured, from_environment
from imagegen.errors import ConfigurationError
from imagegen.redaction import Secret

VARIABLES = ("MINIMAX_API_KEY", "MINIMAX_API_HOST", "WAVESPEED_API_KEY", "WAVESPEED_BASE_URL")
KEY = Secret("sk-from-environment")


@pytest.mark.parametrize(
    ("backend", "key_variable", "host_variable"),
    [(MiniMax, *VARIABLES[:2]), (WaveSpeed, *VARIABLES[2:])],
)
def test_key_and_host_come_from_the_backends_own_variables(
    backend: Any, key_variable: str, host_variable: str
) -> None:
    environ = {key_variable: "sk-from-environment", host_variable: "https://proxy.test/v9/"}
    made = completed(backend(), environ)
    assert (made.api_key, made.base_url, made.host) == (KEY, "https://proxy.test/v9", made.base_url)


@pytest.mark.parametrize("backend", [MiniMax, WaveSpeed])
def test_what_a_backend_was_given_goes_before_the_environment(backend: Any) -> None:
    environ = dict.fromkeys(VARIABLES, "https://ignored.test")
    given = backend(api_key="sk-given", base_url="https://given.test")
    assert completed(given, environ) == given


@pytest.mark.parametrize("backend", [MiniMax, WaveSpeed])
@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_a_blank_variable_counts_as_not_set(backend: Any, value: str) -> None:
    assert completed(backend(), dict.fromkeys(VARIABLES, value)) == backend()


def test_a_key_given_in_code_does_not_stop_the_host_from_the_environment() -> None:
    made = completed(MiniMax(api_key="sk-given"), {"MINIMAX_API_HOST": "https://api.minimax.cn"})
    assert (made.api_key, made.host) == (Secret("sk-given"), "https://api.minimax.cn")


@pytest.mark.parametrize("host", ["http://foreign.test", "ftp://h", "not a url", "https://h/?a=1"])
def test_a_host_that_can_not_be_used_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        completed(WaveSpeed(), {"WAVESPEED_BASE_URL": host})
    assert caught.value.field == "base_url"


def test_no_key_of_the_environment_is_shown() -> None:
    environ = dict.fromkeys(("MINIMAX_API_KEY", "WAVESPEED_API_KEY"), "sk-from-environment")
    made: dict[str, Any] = {**from_environment(environ)}
    keys = {name: backend.api_key for name, backend in made.items() if backend.api_key}
    assert keys == {"minimax": KEY, "wavespeed": KEY}
    assert "sk-from-environment" not in repr(made)


def test_every_installed_backend_is_made_without_a_key_too() -> None:
    made = from_environment({})
    assert made.keys() >= {"minimax", "wavespeed"}
    assert (made["minimax"], made["wavespeed"]) == (MiniMax(), WaveSpeed())


def test_what_is_wrong_with_one_backend_is_kept_in_its_place() -> None:
    made = from_environment({"MINIMAX_API_HOST": "ftp://h", "WAVESPEED_API_KEY": KEY.reveal()})
    error = made["minimax"]
    assert isinstance(error, ConfigurationError)
    assert (error.provider, error.field) == ("minimax", "base_url")
    assert made["wavespeed"] == WaveSpeed(api_key=KEY)


def test_what_is_kept_in_a_backends_place_does_not_keep_the_environment() -> None:
    made = from_environment({"MINIMAX_API_HOST": "ftp://h", "MINIMAX_API_KEY": KEY.reveal()})
    error = made["minimax"]
    assert isinstance(error, ConfigurationError)
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


def test_a_backend_that_can_not_be_loaded_is_an_error_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "names", lambda: ("ghost", "minimax"))
    made = from_environment({})
    assert isinstance(made["ghost"], ConfigurationError)
    assert made["ghost"].provider == "ghost"
    assert made["minimax"] == MiniMax()


def test_the_environment_is_read_when_backends_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMAX_API_KEY", "sk-from-environment")
    made = configured(None)
    assert made["minimax"] == MiniMax(api_key=KEY)
    assert made["wavespeed"] == WaveSpeed()


def test_only_the_backends_that_were_given_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAVESPEED_API_KEY", "sk-from-environment")
    assert configured([WaveSpeed()]) == {"wavespeed": WaveSpeed(api_key=KEY)}
    assert configured([]) == {}


def test_backends_keep_the_order_in_which_they_were_given() -> None:
    assert list(configured([WaveSpeed(), MiniMax()])) == ["wavespeed", "minimax"]


def test_two_backends_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two backends of the name 'minimax'"):
        configured([MiniMax(), WaveSpeed(), MiniMax(api_key="other")])


def test_one_backend_that_stands_alone_is_told_how_to_be_given() -> None:
    with pytest.raises(ConfigurationError, match=r"not one MiniMax\. Give a list") as caught:
        configured(MiniMax(api_key="key"))  # type: ignore[arg-type]
    assert caught.value.field == "backends"


@pytest.mark.parametrize("given", ["minimax", MiniMax, None, 1])
def test_what_is_no_backend_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{type(given).__name__} is no backend"):
        configured([given])


def test_a_mapping_of_backends_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAVESPEED_API_KEY", "sk-from-environment")
    broken = ConfigurationError("no key", provider="minimax")
    given: Any = {"minimax": broken, "wavespeed": WaveSpeed()}
    assert configured(given) == given


@pytest.mark.parametrize("given", [{"minimax": WaveSpeed()}, {"minimax": None}, {"minimax": "sk"}])
def test_a_mapping_of_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no backend of the name 'minimax'"):
        configured(given)


def test_importing_it_loads_no_reader_of_files() -> None:
    program = "import imagegen.config, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "imagegen.config.environment" in loaded
    assert not loaded & {"platformdirs", "keyring", "imagegen.ledger", "imagegen.config.loading"}
