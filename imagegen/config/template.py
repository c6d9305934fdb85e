"""The file of settings that `imagegen config init` writes: everything there is, switched off."""

from __future__ import annotations

from attrs import fields

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.config.providers import option_kinds
from imagegen.errors import ConfigurationError
from imagegen.limits import presets

_HEAD = """\
# Settings of imagegen. Take the "# " off a line to use it.
# docs/guides/configuration.md explains each.
# Amounts of money are written in quotes.

# [defaults]
# model = "{first}"            # or the name of a route
# timeout = 300                # seconds
# max_cost = "0.05"            # the most that one call may cost
# fit = "strict"               # or "nearest"
# unsupported = "error"        # or "adjust"
# provenance = true            # say in saved files how they were made
"""
_PROVIDER = """
# [providers.{name}]
# host = "{host}"
# key = {{ env = "{variable}" }}    # or {{ keyring = "service", user = "name" }}
# limits = {limits}
"""
_TAIL = """
# [routes.cheap]
# models = [{models}]
# strategy = "cheapest"        # or "order", "fastest", "weighted"
# fallback_on = ["RateLimitError", "ProviderUnavailableError"]
# max_cost = "0.05"
# on_unknown = "raise"         # or "reconcile", "spend"

# [budget]
# amount = "5.00"
# currency = "USD"
# per = "day"                  # or "total"

# [ledger]
# path = "ledger.db"           # from this file's folder; "off": none
# prompts = true

# [[prices]]                   # what you pay, where that is not the list price
# model = "{first}"
# amount = "0.003"
# currency = "USD"
# per = "image"                # or "call"
# as_of = 2026-11-01
# source = "our contract"

# [profiles.work]              # the same tables, for --profile work
# defaults = {{ max_cost = "0.20" }}
"""


def template() -> str:
    """The whole text, with the providers that are installed."""
    classes = _installed()
    models = [f"{name}:{cls.default_model}" for name, cls in classes.items()]
    values = {"first": models[0], "models": ", ".join(f'"{model}"' for model in models)}
    providers = "".join(_provider(name, cls) for name, cls in classes.items())
    return _HEAD.format(**values) + providers + _TAIL.format(**values)


def _installed() -> dict[str, type[Backend]]:
    classes: dict[str, type[Backend]] = {}
    for name in backends.names():
        try:
            classes[name] = backends.load(name)
        except ConfigurationError:
            continue  # its library is missing
    return classes


def _provider(name: str, cls: type[Backend]) -> str:
    known = presets(name)
    limits = f'"{known[0]}"' if known else "{ per_minute = 10, in_flight = 5 }"
    text = _PROVIDER.format(
        name=name, host=cls.default_host, variable=cls.key_variable, limits=limits
    )
    kinds = option_kinds(cls)
    for attribute in fields(cls):
        name = attribute.alias or attribute.name
        text += _option(name, attribute.default) if name in kinds else ""
    return text


def _option(name: str, default: object) -> str:
    """An option of this class of backend alone, if TOML can say its usual value."""
    match default:
        case bool():
            return f"# {name} = {str(default).lower()}\n"
        case int() | float():
            return f"# {name} = {default}\n"
        case _:
            return ""
