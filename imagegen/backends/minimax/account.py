"""MiniMax's free calls about an account: the balance of its key, or the quota of its plan.

Wire facts: MiniMax's Token Plan page and what its own command-line client asks (1.0.27, read
2026-11-20). A pay-as-you-go key has a balance and a plan's key a quota, and neither endpoint says
in so many words that a key is of the other kind. The pages do not settle whether
`current_interval_usage_count` is what was used or what is left, nor do they name the currency of
the balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from imagegen.backends.minimax.replies import CODES, ImageReply
from imagegen.backends.reading import integer, member
from imagegen.backends.refusals import answered, refused, told
from imagegen.backends.standing import Balance, Quota, Standing, amount, clock, moment
from imagegen.errors import (
    AuthenticationError,
    DeadlineExceededError,
    ImageGenError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
)
from imagegen.flow import Call, Flow, Reply
from imagegen.redaction import shown

TIMEOUT = 30.0
LIMIT = 2**20
MOST_QUOTAS = 100

_TELLS_ENOUGH = (DeadlineExceededError, RateLimitError, TransportError)
"""After these the other endpoint would tell no more."""


@frozen
class _Account(ImageReply):
    """Either answer: the balance, or the quotas of every model and period."""

    available_amount: Any = None
    model_remains: Any = None


def checked(host: str, provider: str, account: str | None) -> Flow[Standing]:
    """Ask for the balance; for a key that has none, ask for the quota.

    The key is not accepted only if both endpoints refuse it.

    Args:
        host: scheme, host, port and path prefix of the API.
        provider: the backend's name, for errors.
        account: the backend's name, whose key goes along; None asks without one.

    Raises:
        AuthenticationError: the key is not accepted.
        ImageGenError: MiniMax was not reached, or not understood.
    """
    errors = list[ImageGenError]()
    for path, standing in (
        ("account/query_balance", _with_balance),
        ("v1/token_plan/remains", _with_quota),
    ):
        try:
            reply = yield Call(
                "GET", f"{host}/{path}", account=account, timeout=TIMEOUT, limit=LIMIT
            )
            return standing(_answer(reply), reply)
        except ImageGenError as error:
            error.provider = provider
            if isinstance(error, _TELLS_ENOUGH):
                raise
            errors.append(error)
    raise next((e for e in errors if not isinstance(e, AuthenticationError)), errors[0])


def _answer(reply: Reply) -> _Account:
    answer = answered(reply, _Account)
    if answer.code:
        kind, _ = CODES.get(answer.code, (ProviderUnavailableError, ""))
        if kind is SubmissionUnknownError:  # nothing was submitted
            kind = ProviderUnavailableError
        raise told(kind, answer.words, reply, code=answer.code)
    if reply.status >= 300:
        raise refused(reply.status, answer.words, reply)
    return answer


def _with_balance(answer: _Account, reply: Reply) -> Standing:
    left = amount(answer.available_amount)
    if left is None:
        raise told(MalformedReplyError, "the balance has no readable available_amount", reply)
    return Standing(balance=Balance(amount=left), clock=clock(reply), received_at=reply.received_at)


def _with_quota(answer: _Account, reply: Reply) -> Standing:
    if not isinstance(answer.model_remains, list):
        raise told(MalformedReplyError, "the quota has no readable model_remains", reply)
    read = (
        _quota(item, period) for item in answer.model_remains[:MOST_QUOTAS] for period in _PREFIXES
    )
    return Standing(
        quota=tuple(filter(None, read)), clock=clock(reply), received_at=reply.received_at
    )


_PREFIXES: Mapping[Literal["interval", "week"], tuple[str, str]] = {
    "interval": ("current_interval", "end_time"),
    "week": ("current_weekly", "weekly_end_time"),
}
"""What the names of a period's figures begin with, and where its end is told."""


def _quota(item: object, period: Literal["interval", "week"]) -> Quota | None:
    figures, end = _PREFIXES[period]
    model = member(item, "model_name")
    total = integer(member(item, f"{figures}_total_count"))
    count = integer(member(item, f"{figures}_usage_count"))
    if not isinstance(model, str) or total is None or count is None or min(total, count) < 0:
        return None
    return Quota(
        model=shown(model, 80),
        period=period,
        total=total,
        count=count,
        counts="unclear",
        renews_at=moment(member(item, end)),
    )
