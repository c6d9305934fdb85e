"""Whatever stands in a file: settings, or an error that names it and shows no key."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from imagegen import ConfigurationError
from imagegen.config import tables
from imagegen.config.settings import Settings

CANARY = "sk-canary-0123456789"
KNOWN = [
    *("defaults", "providers", "routes", "budget", "ledger", "prices", "profiles"),
    *("minimax", "wavespeed", "cheap", "work", "key", "host", "limits", "env", "keyring", "user"),
    *(*tables.DEFAULTS, *tables.ROUTE, *tables.BUDGET, *tables.LEDGER, *tables.LIMITS),
    *(*tables.PRICE, "sync_mode", "first_poll", "poll_failures", "__class__", "", "\x1b[2J"),
]
SAID = [
    *("minimax:image-01", "wavespeed:x", "cheap", "work", "0.05", "5", "USD", "day", "image"),
    *("strict", "adjust", "weighted", "spend", "RateLimitError", "off", "~", "\x00", "https://h"),
]
LEAVES = st.one_of(
    st.sampled_from(SAID),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=8),
    st.integers(-(2**63), 2**63),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.times(),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KNOWN), inner, max_size=4)
    ),
    max_leaves=12,
)


def tables_of(names: list[str], inner: Any) -> Any:
    return st.dictionaries(st.sampled_from(names), inner, max_size=3)


DOCUMENTS = st.dictionaries(st.sampled_from(KNOWN), TREES, max_size=5) | st.fixed_dictionaries(
    {},
    optional={
        "defaults": tables_of(list(tables.DEFAULTS), LEAVES),
        "providers": tables_of(["minimax", "wavespeed"], tables_of(KNOWN[11:14], TREES)),
        "routes": tables_of(["cheap", "x:y"], tables_of(list(tables.ROUTE), TREES)),
        "budget": tables_of(list(tables.BUDGET), LEAVES),
        "ledger": tables_of(list(tables.LEDGER), LEAVES),
        "prices": st.lists(tables_of(list(tables.PRICE), LEAVES), max_size=2),
        "profiles": tables_of(["work"], TREES),
    },
)


def toml(value: Any) -> str:
    """*value* as TOML writes it inline."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool() | int() | float():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return (
                f"{{{', '.join(f'{toml(name)} = {toml(each)}' for name, each in value.items())}}}"
            )
        case _:
            return str(value.isoformat())


def with_canary(value: Any, *, inside: str = "", under_key: bool = False) -> Any:
    """*value* with a key in each text and name that stands under `key`, but for one so called."""
    if isinstance(value, dict):
        return {
            (name if not under_key or name in ("env", "keyring", "user") else CANARY + name): (
                with_canary(
                    each,
                    inside=name,
                    under_key=under_key or (name == "key" and inside not in ("routes", "profiles")),
                )
            )
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [with_canary(each, under_key=under_key) for each in value]
    return f"{CANARY} {value}" if under_key and isinstance(value, str) else value


def outcome(desk: Any, **options: Any) -> Settings | ConfigurationError:
    """What comes of the files on the desk; anything else that is raised is a failure."""
    try:
        settings: Settings = desk.load(**options)
    except ConfigurationError as error:
        return error
    return settings


@given(DOCUMENTS, st.sampled_from(["own", "here"]), st.sampled_from([None, "work"]))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_document_gives_settings_or_an_error_that_names_the_file(
    desk: Any, tree: dict[str, Any], where: str, profile: str | None
) -> None:
    written = with_canary(tree)
    text = "".join(f"{toml(name)} = {toml(value)}\n" for name, value in written.items())
    desk.write(**{"own": "", "here": "", where: text})
    found = outcome(desk, profile=profile)
    assert CANARY not in f"{found!r}{found}"
    no_profile = "no file has a profile" in str(found)
    assert isinstance(found, Settings) or no_profile or str(getattr(desk, where)) in str(found)
    assert not [str(fault) for fault in desk.examined().faults if CANARY in str(fault)]


@given(st.binary(max_size=200))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_bytes_give_settings_or_an_error_that_names_the_file(desk: Any, data: bytes) -> None:
    desk.here.write_bytes(data)
    found = outcome(desk)
    assert isinstance(found, Settings) or str(desk.here) in str(found)
