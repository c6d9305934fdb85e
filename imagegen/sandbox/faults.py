"""What goes wrong, on which provider, at which step, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, get_args

from attrs import Attribute, Factory, define, field, fields_dict, frozen
from attrs.validators import ge, instance_of, optional

from imagegen.sandbox.exchange import Provider, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

Kind = Literal[
    "code",
    "drop",
    "expired",
    "garbage",
    "http",
    "insufficient_balance",
    "late",
    "missing",
    "moderated",
    "nanoseconds",
    "outputs",
    "prediction_status",
    "rate_limit",
    "slow",
    "sync_timeout",
]
Shape = Literal["json", "html", "empty", "text", "truncated", "types", "null", "objects"]

_ANYWHERE: Final[tuple[Step, ...]] = ("submit", "poll", "download")
_STEPS: Final[dict[str, tuple[Step, ...]]] = {
    "code": ("submit", "poll"),
    "drop": _ANYWHERE,
    "expired": ("download",),
    "garbage": _ANYWHERE,
    "http": _ANYWHERE,
    "insufficient_balance": ("submit",),
    "late": _ANYWHERE,
    "missing": ("submit",),
    "moderated": ("submit",),
    "nanoseconds": ("submit",),
    "outputs": ("submit", "poll"),
    "prediction_status": ("submit", "poll"),
    "rate_limit": ("submit", "poll"),
    "slow": _ANYWHERE,
    "sync_timeout": ("submit",),
}
_WAVESPEED_ONLY: Final = frozenset({"nanoseconds", "prediction_status", "sync_timeout"})
_SHAPES: Final[dict[str, tuple[Shape, ...]]] = {
    "garbage": ("text", "html", "empty", "truncated", "types"),
    "http": ("json", "html", "empty"),
    "outputs": ("null", "objects", "empty"),
}


def _one_of(allowed: tuple[T, ...]) -> Callable[[Any, Attribute[T], T], None]:
    def check(_fault: object, attribute: Attribute[T], value: T) -> None:
        if value not in allowed:
            raise ValueError(
                f"{attribute.name} must be one of {', '.join(map(str, allowed))}, not {value!r}"
            )

    return check


def _whole(least: int, *, none: bool = False) -> Callable[[Any, Any, Any], None]:
    def check(_fault: object, attribute: Attribute[Any], value: object) -> None:
        if none and value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{attribute.name} must be an integer of at least {least}")

    return check


def _step_of(fault: Fault) -> Step:
    return _STEPS.get(fault.kind, _ANYWHERE)[0]


def _shape_of(fault: Fault) -> Shape | None:
    shapes = _SHAPES.get(fault.kind)
    return shapes[0] if shapes else None


@frozen
class Fault:
    """One thing that goes wrong.

    Of the requests that match `provider` (None: both) and `step`, the first `after` pass; the
    next `times` (None: all that follow) are hit. Where two faults would hit one request, the
    one injected first does, and the other waits for the next request.

    By `kind`, this happens:

    - `rate_limit`: MiniMax code 1002; WaveSpeed HTTP 429; `retry_after` adds the header
    - `insufficient_balance`: MiniMax code 1008; WaveSpeed HTTP 400 with its text
    - `code`: MiniMax `base_resp` with `code`; WaveSpeed envelope `code` under HTTP `status`
    - `moderated`: picture number `image` is blocked (counted from 0; None: all of them)
    - `missing`: picture number `image` is billed and not delivered
    - `slow`: submit: the generation takes `seconds` longer; else the answer does
    - `late`: a correct answer, `seconds` late
    - `http`: HTTP `status` with a body of `shape` json, html or empty
    - `drop`: the connection breaks
    - `garbage`: accepted; HTTP 200 with a body of `shape` text, html, empty, truncated, types
    - `sync_timeout`: WaveSpeed sync mode answers processing and code 5004; the task goes on
    - `prediction_status`: submit: the prediction ends so; poll: this one answer says so
    - `outputs`: the outputs have the `shape` null, objects or empty
    - `nanoseconds`: WaveSpeed `created_at` with nine fractional digits
    - `expired`: the picture's URL answers 403

    `accepted` is for `http` and `drop`: whether the request was taken (a submission: logged
    and billed) before it went wrong. `seconds` delays the answer, or the break, of any kind.

    Raises ValueError for values that do not belong together.
    """

    kind: Kind = field(validator=_one_of(get_args(Kind)))
    provider: Provider | None = field(
        default=None, kw_only=True, validator=optional(_one_of(get_args(Provider)))
    )
    step: Step = field(
        default=Factory(_step_of, takes_self=True),
        kw_only=True,
        validator=_one_of(_ANYWHERE),
    )
    after: int = field(default=0, kw_only=True, validator=_whole(0))
    times: int | None = field(default=1, kw_only=True, validator=_whole(1, none=True))
    status: int | None = field(default=None, kw_only=True, validator=_whole(200, none=True))
    code: int | None = field(default=None, kw_only=True, validator=_whole(0, none=True))
    message: str | None = field(default=None, kw_only=True, validator=optional(instance_of(str)))
    retry_after: float | str | None = field(
        default=None, kw_only=True, validator=optional(instance_of((int, float, str)))
    )
    image: int | None = field(default=None, kw_only=True, validator=_whole(0, none=True))
    seconds: float = field(default=0.0, kw_only=True, validator=[instance_of((int, float)), ge(0)])
    accepted: bool = field(default=False, kw_only=True, validator=instance_of(bool))
    shape: Shape | None = field(default=Factory(_shape_of, takes_self=True), kw_only=True)
    prediction_status: str = field(default="failed", kw_only=True, validator=instance_of(str))

    def __attrs_post_init__(self) -> None:
        """Refuse combinations that would silently do nothing."""
        if self.step not in _STEPS[self.kind]:
            raise ValueError(f"{self.kind} cannot happen at {self.step}")
        if self.kind in _WAVESPEED_ONLY and self.provider == "minimax":
            raise ValueError(f"{self.kind} cannot happen on minimax")
        if self.provider == "minimax" and self.step == "poll":
            raise ValueError("minimax is not polled")
        allowed = _SHAPES.get(self.kind, (None,))
        if self.shape not in allowed:
            raise ValueError(f"shape of {self.kind} must be one of {allowed}")

    @classmethod
    def from_json(cls, payload: object) -> Fault:
        """Read a fault from a decoded JSON object; raises ValueError for anything unknown."""
        if not isinstance(payload, dict):
            raise ValueError("a fault is a JSON object")  # noqa: TRY004  (one error type to catch)
        given = cast("dict[str, Any]", payload)
        unknown = sorted(set(given) - set(fields_dict(cls)))
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(unknown)}")
        try:
            return cls(**given)
        except TypeError as wrong:
            raise ValueError(str(wrong)) from wrong

    def strikes(self, provider: Provider, step: Step) -> bool:
        """Whether this fault is about `step` at `provider`."""
        only = "wavespeed" if self.kind in _WAVESPEED_ONLY else self.provider
        return step == self.step and only in (None, provider)

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After`, when one was asked for."""
        return {} if self.retry_after is None else {"Retry-After": f"{self.retry_after}"}


@define
class _Armed:
    fault: Fault
    seen: int = 0
    fired: int = 0

    def ready(self) -> bool:
        self.seen += 1
        spent = self.fault.times is not None and self.fired >= self.fault.times
        return self.seen > self.fault.after and not spent


class Faults:
    """The faults injected so far, each with its own count."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._armed = [_Armed(fault) for fault in faults]

    def inject(self, faults: Iterable[Fault]) -> None:
        """Add faults behind those already there."""
        self._armed += [_Armed(fault) for fault in faults]

    def clear(self) -> None:
        """Forget them all."""
        self._armed.clear()

    def take(self, provider: Provider, step: Step) -> Fault | None:
        """The fault that hits this request, counted as used; every match counts it as seen."""
        matching = [armed for armed in self._armed if armed.fault.strikes(provider, step)]
        ready = [armed for armed in matching if armed.ready()]
        if not ready:
            return None
        ready[0].fired += 1
        return ready[0].fault
