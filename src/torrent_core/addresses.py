"""What an address alone says about who is behind it."""

from __future__ import annotations

from ipaddress import ip_address


def is_local(host: str) -> bool:
    """Whether ``host`` is a loopback, link-local or private address.

    A whole swarm may share one of these: what is done by address does not fit them.
    """
    try:
        return ip_address(host).is_private
    except ValueError:
        return False
