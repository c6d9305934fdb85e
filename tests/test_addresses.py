"""Which hosts are public."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from imagegen.addresses import is_loopback, is_public_address, is_public_host


@pytest.mark.parametrize(
    "host",
    ["example.com", "EXAMPLE.com", "a-b.c_d.example", "93.184.216.34", "[2606:2800:220:1::1]"],
)
def test_a_name_or_address_of_the_public_net_is_public(host: str) -> None:
    assert is_public_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "foo.localhost",
        "localhost.",
        "printer.local",
        "metadata.google.internal",
        "intranet",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[fe80::1]",
        "[fc00::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[ff02::1]",
        "a..b",
        "",
    ],
)
def test_what_means_this_machine_or_network_is_not_public(host: str) -> None:
    assert not is_public_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "::FFFF:7f00:1",
    ],
)
def test_what_certainly_means_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "a.localhost",
        "localhost.",
        "127.1",
        "127.0.0.01",
        "127.999.0.1",
        "127.0.0.1.evil.net",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "10.0.0.1",
        "::",
        "::1%eth0",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_what_may_lead_elsewhere_is_not_loopback(host: str | None) -> None:
    assert not is_loopback(host)


@given(st.ip_addresses())
def test_no_private_address_is_public(address: object) -> None:
    public = is_public_address(str(address))
    assert not (public and (address.is_private or address.is_loopback))  # type: ignore[attr-defined]


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    assert is_public_host(text) in (True, False)
    assert is_public_address(text) in (True, False)
    assert is_loopback(text) in (True, False)
