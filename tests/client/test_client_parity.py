"""Client and AsyncClient are twins, and the one-liner takes what they take."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, get_type_hints

import attrs
import httpx
import pytest

import imagegen
from imagegen import AsyncClient, Budget, Client, Generation, ImageRequest, Job, Ledger

VERBS = [
    "generate",
    "submit",
    "compare",
    "result",
    "reconcile",
    "check",
    "current_prices",
    "fetch",
    "save",
    "close",
]
AT_ONCE = ["plan", "health", "from_config", "from_settings"]


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    home = vars(sys.modules[function.__module__])
    lazy = {"httpx": httpx, "Budget": Budget, "Ledger": Ledger}
    return get_type_hints(function, {**home, **lazy})


def shape(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]


def test_both_clients_have_the_same_public_names() -> None:
    assert public(Client) == public(AsyncClient) == {*VERBS, *AT_ONCE}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_the_same_parameters_and_types_in_both(verb: str) -> None:
    blocking, awaited = getattr(Client, verb), getattr(AsyncClient, verb)
    assert shape(blocking) == shape(awaited)
    assert hints(blocking) == hints(awaited)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_blocks_in_one_and_is_awaited_in_the_other(verb: str) -> None:
    assert not inspect.iscoroutinefunction(getattr(Client, verb))
    assert inspect.iscoroutinefunction(getattr(AsyncClient, verb))


def test_both_are_constructed_alike_but_for_the_transport() -> None:
    assert shape(Client.__init__) == shape(AsyncClient.__init__)
    one, other = hints(Client.__init__), hints(AsyncClient.__init__)
    assert one.pop("transport") == httpx.BaseTransport | None
    assert other.pop("transport") == httpx.AsyncBaseTransport | None
    assert one == other


def test_each_is_a_context_manager_of_its_kind() -> None:
    assert {"__enter__", "__exit__"} <= set(vars(Client))
    assert {"__aenter__", "__aexit__"} <= set(vars(AsyncClient))


@pytest.mark.parametrize("verb", ["generate", "submit"])
def test_a_request_s_verbs_take_the_same_options(verb: str) -> None:
    assert shape(getattr(Client, verb)) == shape(Client.generate)
    expected = {"generate": Generation, "submit": Job}[verb]
    assert hints(getattr(Client, verb))["return"] is expected


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_says_what_it_does(verb: str) -> None:
    assert inspect.getdoc(getattr(Client, verb))
    assert inspect.getdoc(getattr(AsyncClient, verb))


def test_the_one_liner_takes_every_option_of_generate() -> None:
    options = inspect.signature(Client.generate).parameters
    wanted = {name for name in options if name not in ("self", "request")}
    taken = inspect.signature(imagegen.generate).parameters
    assert wanted <= set(taken)
    assert all(taken[name].kind is inspect.Parameter.KEYWORD_ONLY for name in wanted)


@pytest.mark.parametrize("name", ["fit", "unsupported", "max_cost", "model"])
def test_an_option_of_the_one_liner_has_the_same_default(name: str) -> None:
    taken = inspect.signature(imagegen.generate).parameters[name]
    assert taken.default == inspect.signature(Client.generate).parameters[name].default


def test_the_one_liner_takes_every_field_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ImageRequest] = []

    def generate(_: Client, request: ImageRequest, **__: object) -> str:
        seen.append(request)
        return "done"

    monkeypatch.setattr(Client, "generate", generate)
    fields: dict[str, Any] = {
        "n": 2,
        "size": "1280x720",
        "seed": 7,
        "references": ["https://example.com/fox.jpg"],
        "enhance_prompt": True,
        "output": "bytes",
        "provider_options": {"minimax": {"aigc_watermark": True}},
    }
    names = {field.name for field in attrs.fields(ImageRequest)}
    assert names == {*fields, "prompt", "aspect_ratio"}
    answer: object = imagegen.generate("a fox", **fields)
    assert answer == "done"
    imagegen.generate("a fox", aspect_ratio="16:9")
    assert seen == [ImageRequest("a fox", **fields), ImageRequest("a fox", aspect_ratio="16:9")]


def test_the_one_liner_refuses_a_field_that_no_request_has() -> None:
    with pytest.raises(TypeError, match="colour"):
        imagegen.generate("a fox", colour="red")  # type: ignore[call-arg]
