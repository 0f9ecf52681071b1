"""The shared types."""

from __future__ import annotations

import pytest

from torrent_core.types import Address


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("192.0.2.1", 6881), "192.0.2.1:6881"),
        (Address("2001:db8::1", 1), "[2001:db8::1]:1"),
        (Address("peer.example", 80), "peer.example:80"),
    ],
)
def test_addresses_read_as_in_a_url(address: Address, text: str) -> None:
    assert str(address) == text
