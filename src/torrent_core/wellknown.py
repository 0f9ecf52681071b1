"""Addresses that everybody knows: a constant of a configuration, whoever is behind it."""

from __future__ import annotations

from .types import Address

ROUTERS = (
    Address("dht.libtorrent.org", 25401),
    Address("router.bittorrent.com", 6881),
    Address("router.utorrent.com", 6881),
    Address("dht.transmissionbt.com", 6881),
)
"""Nodes to begin with in the DHT; the settings of libtorrent, Transmission and others name
them.  Not used unless the configuration says so: BEP 5 asks not to impose them."""
