"""Where a key is kept, and that it is shown nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend

from imagegen import ConfigurationError
from imagegen.config.keys import KeySource
from imagegen.redaction import Secret

CANARY = "sk-canary-0123456789"
MINIMAX = "[providers.minimax]\nkey = {}\n"
IN_KEYRING = MINIMAX.format('{ keyring = "imagegen", user = "me" }')


class Memory(KeyringBackend):
    """A keyring that forgets."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        if service == "locked":
            raise OSError(CANARY)
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


@pytest.fixture
def entries() -> Iterator[Memory]:
    """The system's keyring, for a while."""
    before, memory = keyring.get_keyring(), Memory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


def wrong(desk: Any, environ: dict[str, str] | None = None) -> ConfigurationError:
    error = desk.load(environ=environ).backends["minimax"]
    assert isinstance(error, ConfigurationError)
    assert (error.provider, error.field) == ("minimax", "api_key")
    assert str(error).startswith(f"minimax: {desk.own}:2: providers.minimax.key: ")
    return error


def test_a_key_is_taken_from_the_variable_that_is_named(desk: Any) -> None:
    desk.write(own=MINIMAX.format('{ env = "OTHER_KEY" }'))
    environ = {"OTHER_KEY": CANARY, "MINIMAX_API_KEY": "sk-ignored"}
    settings = desk.load(environ=environ)
    assert settings.backends["minimax"].api_key == Secret(CANARY)
    assert settings.warnings == ()


@pytest.mark.parametrize("environ", [{}, {"OTHER_KEY": " "}, {"MINIMAX_API_KEY": CANARY}])
def test_a_variable_that_is_not_set_is_an_error_when_the_backend_is_used(
    desk: Any, environ: dict[str, str]
) -> None:
    desk.write(own=MINIMAX.format('{ env = "OTHER_KEY" }'))
    error = wrong(desk, environ)
    assert "the variable OTHER_KEY is not set" in error.message
    assert error.advice == "Set it: export OTHER_KEY=…"


def test_a_variable_that_holds_no_key_is_an_error_that_does_not_show_it(desk: Any) -> None:
    desk.write(own=MINIMAX.format('{ env = "OTHER_KEY" }'))
    error = wrong(desk, {"OTHER_KEY": f"{CANARY} and more"})
    assert CANARY not in str(error)


def test_a_key_is_taken_from_the_keyring(desk: Any, entries: Memory) -> None:
    entries.set_password("imagegen", "me", CANARY)
    desk.write(own=IN_KEYRING)
    settings = desk.load(environ={"MINIMAX_API_KEY": "sk-ignored"})
    assert settings.backends["minimax"].api_key == Secret(CANARY)


@pytest.mark.usefixtures("entries")
def test_a_missing_entry_comes_with_the_command_that_makes_it(desk: Any) -> None:
    desk.write(own=MINIMAX.format('{ keyring = "image gen", user = "me" }'))
    assert wrong(desk).advice == "Make it: keyring set 'image gen' me"


@pytest.mark.usefixtures("entries")
def test_a_keyring_that_fails_is_an_error_in_the_backends_place(desk: Any) -> None:
    desk.write(own=MINIMAX.format('{ keyring = "locked", user = "me" }'))
    error = wrong(desk)
    assert "the keyring cannot be read (OSError)" in error.message
    assert "keyring get locked me" in error.advice
    assert CANARY not in shown(error)


def test_a_keyring_that_is_not_installed_comes_with_the_command_that_installs_it(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    desk.write(own=IN_KEYRING)
    assert wrong(desk).advice == "Run pip install 'imagegen-client[keyring]'"


def test_the_keyring_is_not_asked_unless_a_file_says_so(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    desk.write(own=MINIMAX.format('{ env = "OTHER_KEY" }') + f"[profiles.work]\n{'x' * 0}")
    assert desk.load(environ={"OTHER_KEY": CANARY}).backends["minimax"].api_key


@pytest.mark.parametrize(("mode", "count"), [(0o600, 1), (0o640, 2), (0o604, 2)])
def test_a_key_in_the_file_works_with_a_warning_and_another_if_others_can_read_it(
    desk: Any, mode: int, count: int
) -> None:
    desk.write(own=MINIMAX.format(f'"{CANARY}"'))
    desk.own.chmod(mode)
    settings = desk.load()
    assert settings.backends["minimax"].api_key == Secret(CANARY)
    assert len(settings.warnings) == count
    assert "the key itself is in the file" in settings.warnings[0].problem
    assert "chmod 600" in settings.warnings[-1].fix or count == 1
    assert str(settings.warnings[0]).startswith(f"{desk.own}:2: providers.minimax.key: ")
    assert CANARY not in repr(settings)
    assert CANARY not in repr(desk.examined())


KEPT = [
    MINIMAX.format(f'"{CANARY}"') + "hots = 1\n",
    MINIMAX.format(f'"{CANARY} x"'),
    MINIMAX.format(f'["{CANARY}"]'),
    MINIMAX.format(f'{{ env = "{CANARY}" }}'),
    MINIMAX.format(f'{{ "{CANARY}" = 1 }}'),
    MINIMAX.format(f'{{ key = "{CANARY}" }}'),
    MINIMAX.format(f'{{ env = "A", user = "{CANARY}" }}'),
    MINIMAX.format(f'{{ keyring = "", user = "{CANARY}" }}'),
    MINIMAX.format(f'{{ keyring = {{ "{CANARY}" = 1 }}, user = "me" }}'),
    MINIMAX.format(f'"{CANARY}'),
    MINIMAX.format(CANARY),
    MINIMAX.format(f"{{ {CANARY} = 1, {CANARY} = 2 }}"),
    MINIMAX.format(f'"{CANARY}"') + f"key.{CANARY} = 1\n",
    MINIMAX.format(f'"{CANARY}"') + f"[providers.minimax.key.{CANARY}]\n",
]


def shown(error: BaseException) -> str:
    """All that a report of *error* with the locals of its frames may show."""
    words = [str(error), repr(error), repr(vars(error)), *getattr(error, "__notes__", ())]
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if (
            "imagegen" in trace.tb_frame.f_code.co_filename
            and "test_" not in Path(trace.tb_frame.f_code.co_filename).name
        ):
            words += map(repr, trace.tb_frame.f_locals.values())
        trace = trace.tb_next
    chained = [each for each in (error.__cause__, error.__context__) if each is not None]
    return " ".join(words + [shown(each) for each in chained])


@pytest.mark.parametrize("text", KEPT)
def test_no_error_shows_what_stands_under_key(desk: Any, text: str) -> None:
    desk.write(own=text)
    with pytest.raises(ConfigurationError) as caught:
        desk.load(environ={"MINIMAX_API_KEY": CANARY})
    assert str(desk.own) in str(caught.value)
    assert CANARY not in shown(caught.value)
    assert CANARY not in repr(desk.examined())


def test_no_error_of_a_variable_shows_another_ones_key(desk: Any) -> None:
    desk.write(own=MINIMAX.format('{ env = "OTHER_KEY" }'))
    assert CANARY not in shown(wrong(desk, {"MINIMAX_API_KEY": CANARY, "OTHER": CANARY}))


def test_a_place_of_a_key_is_told_in_words() -> None:
    places = [KeySource("env", "A"), KeySource("keyring", "a\x1b", "me"), KeySource("file")]
    assert list(map(str, places)) == ["A", "keyring a�, user me", "the file itself"]
