"""Asking each provider, for nothing: does it answer, is the key accepted, what is left."""

from __future__ import annotations

from collections.abc import Iterator

from imagegen import backends as installed
from imagegen.account import Balance, Checked, Quota, Standing
from imagegen.backends.base import Backend
from imagegen.cli.columns import money
from imagegen.cli.doctor.findings import Finding, of_error
from imagegen.client import Client
from imagegen.config.environment import Backends
from imagegen.config.loading import Examination
from imagegen.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    ImageGenError,
    InsufficientBalanceError,
    UnsupportedFeatureError,
)
from imagegen.wording import moment

TIMEOUT = 10.0
MOST_SKEW = 60.0
"""Seconds between two clocks; beyond, signed URLs end early and lost submissions are not found."""

_MEANING = {
    "used": "{count} of {total} used",
    "remaining": "{count} of {total} left",
    "unclear": "{count} of {total}, used or left: its pages do not settle which",
}


def configured(found: Examination) -> Iterator[Finding]:
    """Ask every provider, with a key or without."""
    backends = found.settings.backends
    keys = {
        name: f"from {_source(found, name)}"
        for name, backend in backends.items()
        if isinstance(backend, Backend) and backend.api_key
    }
    with Client(backends, timeout=TIMEOUT) as client:
        for checked in client.check():
            if isinstance(checked.error, ConfigurationError) and checked.error.field == "api_key":
                yield _unusable_key(found, checked.provider, checked.error)
            else:
                yield from _provider(checked, keys.get(checked.provider))
    if not any(isinstance(backend, Backend) and backend.has_key for backend in backends.values()):
        yield _no_key(backends)


def in_sandbox() -> Iterator[Finding]:
    """Ask the embedded sandbox."""
    from imagegen.sandbox import Sandbox  # noqa: PLC0415 - needed for --sandbox only

    with Sandbox().client(timeout=TIMEOUT) as client:
        for checked in client.check():
            yield from _provider(checked, "the sandbox's own")


def _source(found: Examination, name: str) -> str:
    """Say where the key of the backend *name* is from, never the key."""
    setting = found.effective.get(("providers", name, "key"))
    return str(setting.value) if setting else installed.load(name).key_variable


def _unusable_key(found: Examination, name: str, error: ConfigurationError) -> Finding:
    source = _source(found, name)
    is_usual = ("providers", name, "key") not in found.effective
    fix = f"Set {source} again" if is_usual else error.advice
    words = f"from {source}: {error.message}"
    return Finding("fail", f"{name} key", words, fix, configuration=True)


def _no_key(backends: Backends) -> Finding:
    variables = [b.key_variable for b in backends.values() if isinstance(b, Backend)]
    return Finding(
        "fail",
        "keys",
        "no provider has a key",
        f"export {' or '.join(f'{variable}=…' for variable in variables)}; to try without a key: "
        'imagegen generate "a red fox" --model minimax:image-01 --sandbox',
    )


def _provider(checked: Checked, key: str | None) -> Iterator[Finding]:
    name, error = checked.provider, checked.error
    if isinstance(error, ConfigurationError) and not checked.host:
        yield of_error("fail", name, error, configuration=True)
        return
    yield Finding("ok", f"{name} key", key) if key else Finding("skip", f"{name} key", "not set")
    yield _host(checked, key)
    if key and error and checked.reached:
        yield _refused(name, error)
    if checked.standing:
        if key:
            yield Finding("ok", f"{name} account", "the key is accepted")
        yield from _left(name, checked.standing)
        yield _clock(name, checked.standing)


def _host(checked: Checked, key: str | None) -> Finding:
    what, error = f"{checked.provider} host", checked.error
    if checked.reached or error is None:
        return Finding("ok", what, f"{checked.host} answers in {checked.seconds * 1000:.0f} ms")
    if isinstance(error, UnsupportedFeatureError):
        return Finding("skip", what, f"{checked.host}: {error.message}")
    words, fix = f"{checked.host}: {error.message}", error.advice
    if isinstance(error, DeadlineExceededError):
        fix = "Check the network, and that this is the provider's host"
    return Finding("fail" if key else "warn", what, words, fix)


def _refused(name: str, error: ImageGenError) -> Finding:
    what = f"{name} account"
    if isinstance(error, AuthenticationError):
        return of_error("fail", what, error)
    if isinstance(error, ConfigurationError):
        return of_error("fail", what, error, configuration=True)
    if isinstance(error, InsufficientBalanceError):
        return of_error("warn", what, error)
    return Finding("warn", what, f"what is left was not told: {error.message}", error.advice)


def _left(name: str, standing: Standing) -> Iterator[Finding]:
    if standing.balance:
        yield _balance(f"{name} balance", standing.balance)
    for quota in standing.quota:
        yield Finding("ok", f"{name} quota", _quota(quota))


def _balance(what: str, balance: Balance) -> Finding:
    words = money(balance.amount, balance.currency or "(currency not told)")
    if balance.amount > 0:
        return Finding("ok", what, f"{words} left")
    return Finding("warn", what, f"{words} left", "Top up the account")


def _quota(quota: Quota) -> str:
    figures = _MEANING[quota.counts].format(count=quota.count, total=quota.total)
    until = f", until {moment(quota.renews_at)}" if quota.renews_at else ""
    return f"{quota.model}, this {quota.period}: {figures}{until}"


def _clock(name: str, standing: Standing) -> Finding:
    what, skew = f"{name} clock", standing.skew
    if skew is None:
        return Finding("skip", what, "the answer names no time")
    if abs(skew) <= MOST_SKEW:
        return Finding("ok", what, f"within {MOST_SKEW:.0f} s of ours")
    ahead = "behind" if skew > 0 else "ahead of"
    return Finding(
        "warn",
        what,
        f"our clock is {abs(skew):.0f} s {ahead} the provider's",
        "Set this machine's clock: the end of signed URLs, and looking up lost submissions, "
        "rest on it",
    )
