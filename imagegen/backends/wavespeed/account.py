"""WaveSpeedAI's free calls about an account, and reading the envelope of their answers.

Wire facts: WaveSpeedAI's API documentation and its official MCP server (read 2026-11-20), which
takes the balance for US dollars.
"""

from __future__ import annotations

from typing import Any

from imagegen.backends.refusals import answered, told
from imagegen.backends.standing import Balance, Standing, amount, clock
from imagegen.backends.wavespeed.predictions import Envelope, refusal
from imagegen.errors import MalformedReplyError
from imagegen.flow import Call, Flow, Reply

TIMEOUT = 30.0
LIMIT = 2**20
CURRENCY = "USD"


def checked(host: str, provider: str, account: str | None) -> Flow[Standing]:
    """Ask for the balance, in USD.

    Args:
        host: scheme, host, port and path prefix of the API.
        provider: the backend's name, for errors.
        account: the backend's name, whose key goes along; None asks without one.

    Raises:
        AuthenticationError: the key is not accepted.
        ImageGenError: WaveSpeedAI was not reached, or not understood.
    """
    reply = yield Call(
        "GET", f"{host}/api/v3/balance", account=account, timeout=TIMEOUT, limit=LIMIT
    )
    wallet = data(reply, provider)
    left = amount(wallet.get("balance") if isinstance(wallet, dict) else None)
    if left is None:
        raise told(MalformedReplyError, "the balance is no amount", reply, provider=provider)
    return Standing(
        balance=Balance(amount=left, currency=CURRENCY),
        clock=clock(reply),
        received_at=reply.received_at,
    )


def data(reply: Reply, provider: str) -> Any:
    """What the envelope of a free call's answer holds.

    Raises:
        ImageGenError: WaveSpeedAI refused.
        MalformedReplyError: nobody can tell from this answer.
    """
    envelope = answered(reply, Envelope, provider)
    number = envelope.refusal_number(reply)
    if number is not None:
        raise refusal(number, envelope, reply, {"provider": provider})
    return envelope.data
