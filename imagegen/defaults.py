"""What a client uses where a call names nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import Attribute, field, frozen
from attrs.converters import optional

from imagegen.backends.base import Fit, Terms, Unsupported
from imagegen.errors import ConfigurationError
from imagegen.purchase.orders import amount
from imagegen.purchase.routing import Route
from imagegen.redaction import brief

TIMEOUT = 300.0
"""Seconds that a call may take where nobody says otherwise."""
LONGEST_TIMEOUT = 7 * 86_400
"""Seconds that a call may take at most."""


def _is(*kinds: type) -> Callable[[object, Attribute[Any], object], None]:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None and not isinstance(value, kinds):
            allowed = " or ".join(kind.__name__ for kind in kinds)
            words = f"the default {attribute.name} must be {allowed}, not {brief(value)}"
            raise ConfigurationError(words, field=attribute.name)

    return check


@frozen(kw_only=True)
class Defaults:
    """What a client uses where a call names nothing.

    Attributes:
        model: ``"provider:model-id"``, the name of one of the client's routes, or a Route.
        max_cost: the most that one call may cost, in its price's currency; None: any.
        fit: as for `Client.generate`.
        unsupported: as for `Client.generate`.
        provenance: whether saved files say how they were made.

    Raises:
        ConfigurationError, InvalidRequestError: a value is none of these.
    """

    model: str | Route | None = field(default=None, validator=_is(str, Route))
    max_cost: Decimal | None = field(default=None, converter=optional(amount))
    fit: Fit = "strict"
    unsupported: Unsupported = "error"
    provenance: bool = field(default=True, validator=_is(bool))

    def __attrs_post_init__(self) -> None:
        self.terms(None, None)  # checks them

    def terms(self, fit: Fit | None, unsupported: Unsupported | None) -> Terms:
        """The terms of a call that names these, or None."""
        return Terms(fit or self.fit, unsupported or self.unsupported)
