"""Clients whose providers are a sandbox, mounted in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.client import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagegen.backends.base import Backend
    from imagegen.sandbox.app import Sandbox


def client(sandbox: Sandbox, **options: Any) -> Client:
    """Make a Client of both backends on *sandbox*; *options* are those of Client."""
    clock = options.get("clock")
    transport = sandbox.transport(clock.sleep) if clock else sandbox.transport()
    return Client(_backends(sandbox), transport=transport, **options)


def async_client(sandbox: Sandbox, **options: Any) -> AsyncClient:
    """Make an AsyncClient of both backends on *sandbox*; *options* are those of AsyncClient."""
    clock = options.get("clock")
    transport = sandbox.async_transport(clock.asleep) if clock else sandbox.async_transport()
    return AsyncClient(_backends(sandbox), transport=transport, **options)


def _backends(sandbox: Sandbox) -> Sequence[Backend]:
    key = min(sandbox.keys) if sandbox.keys else "sandbox"
    return (
        MiniMax(api_key=key, base_url=sandbox.origin),
        WaveSpeed(api_key=key, base_url=sandbox.origin),
    )
