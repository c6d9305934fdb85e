"""Free questions about accounts, as plans that both clients share.

Whether each key is accepted and what is left, and what an account pays now. Nothing is submitted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import frozen

from imagegen.backends.base import Backend
from imagegen.backends.standing import Balance, Quota, Standing
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.flow import Flow
from imagegen.pricing import Price
from imagegen.purchase.plans import Batch, Outcome, Plan
from imagegen.redaction import brief

__all__ = ["Balance", "Checked", "Quota", "Standing", "checking", "pricing_now"]


@frozen(kw_only=True)
class Checked:
    """What a free call to one provider told.

    Attributes:
        provider: the backend's name.
        host: scheme, host, port and path prefix that were asked; empty where none is configured.
        standing: how the account stands; None if that was not told.
        error: why not; None if it was told.
        seconds: wall time of the calls.
    """

    provider: str
    host: str
    standing: Standing | None = None
    error: ImageGenError | None = None
    seconds: float = 0.0

    @property
    def reached(self) -> bool:
        """Whether the host answered, if only with a refusal."""
        return self.standing is not None or (self.error is not None and bool(self.error.status))


def checking(backends: Mapping[str, Backend | ConfigurationError]) -> Plan[tuple[Checked, ...]]:
    """Ask every provider side by side, with a key or without; in the order of *backends*."""
    usable = [backend for backend in backends.values() if isinstance(backend, Backend)]
    outcomes: list[Outcome[Standing]] = yield Batch([_check(backend) for backend in usable])
    told = {
        backend.name: _checked(backend, outcome)
        for backend, outcome in zip(usable, outcomes, strict=True)
    }
    return tuple(
        Checked(provider=name, host="", error=given)
        if isinstance(given, ConfigurationError)
        else told[given.name]
        for name, given in backends.items()
    )


def _check(backend: Backend) -> Flow[Standing]:
    """Begin only when it is run, so that a backend without such a call is an outcome too."""
    return (yield from backend.check())


def _checked(backend: Backend, outcome: Outcome[Standing]) -> Checked:
    if outcome.error:
        outcome.error.provider = backend.name
    return Checked(
        provider=backend.name,
        host=backend.host,
        standing=outcome.value,
        error=outcome.error,
        seconds=outcome.seconds,
    )


def pricing_now(
    backends: Mapping[str, Backend | ConfigurationError], models: Collection[str] = ()
) -> Plan[dict[str, Price]]:
    """Ask what the accounts pay now, by ``"provider:model-id"``; what is not told is left out.

    Without *models*, every provider is asked for its list that has one and a key here. With them,
    only for these, one by one where that tells more; a family stands for its members.

    Raises:
        ConfigurationError: one of *models* names no usable backend.
        UnsupportedFeatureError: the provider of one of *models* has no price list to ask for.
        ImageGenError: a provider refused, was not reached, or not understood.
    """
    wanted = _by_backend(backends, models) if models else _askable(backends)
    flows = [_prices(backend, ids) for backend, ids in wanted]
    outcomes: list[Outcome[dict[str, Price]]] = yield Batch(flows)
    prices = dict[str, Price]()
    for (backend, _), outcome in zip(wanted, outcomes, strict=True):
        if outcome.error:
            outcome.error.provider = backend.name
            raise outcome.error
        prices |= outcome.value or {}
    return prices


def _askable(
    backends: Mapping[str, Backend | ConfigurationError],
) -> list[tuple[Backend, list[str]]]:
    usable = (backend for backend in backends.values() if isinstance(backend, Backend))
    return [(backend, []) for backend in usable if backend.can_price and backend.api_key]


def _by_backend(
    backends: Mapping[str, Backend | ConfigurationError], models: Collection[str]
) -> list[tuple[Backend, list[str]]]:
    wanted = dict[str, tuple[Backend, list[str]]]()
    for model in models:
        name, _, model_id = model.partition(":")
        backend = backends.get(name)
        if isinstance(backend, ConfigurationError):
            raise backend
        if backend is None or not model_id:
            raise ConfigurationError(
                f"{brief(model)} names no model of this client",
                advice=f'Give "provider:model-id"; the providers are {", ".join(backends)}',
                field="model",
            )
        wanted.setdefault(name, (backend, []))[1].append(model_id)
    return list(wanted.values())


def _prices(backend: Backend, models: list[str]) -> Flow[dict[str, Price]]:
    told = yield from backend.current_prices(models)
    meant = {member for model in models for member in backend.members(model)} or told.keys()
    return {f"{backend.name}:{m}": price for m, price in told.items() if price and m in meant}
