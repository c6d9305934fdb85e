"""Backends that other people wrote: their options are read by their types and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest
from attrs import Attribute, field, frozen

from imagegen import backends
from imagegen.backends.minimax import MiniMax
from imagegen.config.template import template

if TYPE_CHECKING:
    from somewhere import Unseen  # type: ignore[import-not-found]


def raising(_: object, __: Attribute[Any], value: int) -> None:
    if value > 1:
        raise ZeroDivisionError(value)


@frozen(kw_only=True)
class Foreign(MiniMax):
    name: ClassVar[str] = "foreign"

    tier: Literal["a", "b"] = "a"
    tags: tuple[str, ...] = ()
    handle: complex | bytes | None = None
    fragile: int = field(default=0, validator=raising)
    untold: int = field(default=0, init=False)
    region: str = "eu"


@frozen(kw_only=True)
class Hidden(MiniMax):
    name: ClassVar[str] = "foreign"

    option: Unseen = None


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "names", lambda: ("foreign",))
    monkeypatch.setattr(backends, "load", lambda _: Foreign)


@pytest.mark.usefixtures("foreign")
def test_options_of_any_class_can_be_set(desk: Any) -> None:
    desk.write(own="[providers.foreign]\ntier = 'b'\ntags = ['x', 'y']\nregion = 'us'\n")
    made = desk.load().backends["foreign"]
    assert (made.tier, made.tags, made.region) == ("b", ("x", "y"), "us")


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tier = 'c'", "there is no such choice"),
        ("tier = 1", "it is a whole number, not text in quotes"),
        ("handle = 1979-05-27", "it cannot be a date"),
        ("handle = 07:32:00", "it cannot be a time"),
        ("fragile = 2", "it is refused (ZeroDivisionError)"),
        ("untold = 2", "there is no such key"),
        ("tags = 'x'", "text in quotes, not a list"),
    ],
)
def test_whatever_an_option_raises_is_a_fault_of_its_line(desk: Any, line: str, words: str) -> None:
    desk.write(own=f"[providers.foreign]\n{line}\n")
    (fault,) = desk.examined().faults
    assert (fault.line, words in fault.problem) == (2, True), fault
    assert fault.fix


@pytest.mark.usefixtures("foreign")
def test_the_template_has_what_toml_can_say() -> None:
    text = template()
    assert "# fragile = 0\n" in text
    assert "tags" not in text


def test_options_whose_types_cannot_be_told_cannot_be_set(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "names", lambda: ("foreign",))
    monkeypatch.setattr(backends, "load", lambda _: Hidden)
    desk.write(own="[providers.foreign]\nhost = 'https://h.test'\noption = 1\n")
    (fault,) = desk.examined().faults
    assert (fault.key, fault.fix) == ("providers.foreign.option", "Known are host, key, limits")
