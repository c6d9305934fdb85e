"""A transport that is given in place of the network has to be one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from imagegen import AsyncClient, Client, ConfigurationError
from imagegen.sandbox import Sandbox

ASYNC_TRANSPORT = Sandbox().async_transport()
TRANSPORT = Sandbox().transport()


@pytest.mark.parametrize("given", [ASYNC_TRANSPORT, object()])
def test_a_client_refuses_what_cannot_send_before_anything_is_paid(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="no transport") as caught:
        Client(transport=given)
    assert (caught.value.field, caught.value.charged) == ("transport", "no")


@pytest.mark.parametrize("given", [TRANSPORT, object()])
def test_an_async_client_refuses_it_too(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="handle_async_request") as caught:
        AsyncClient(transport=given)
    assert caught.value.field == "transport"


def test_one_of_both_kinds_serves_both() -> None:
    both = httpx.MockTransport(lambda _: httpx.Response(200))
    Client(transport=both).close()
    AsyncClient(transport=both)
