"""What one peer is told of those that we are linked to: changes, once a minute."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from ..limits import MAX_PEX_CONTACTS
from ..types import Address
from ..wire.pex import Contact, PeerExchange


class PexSender:
    """Remembers what the peer has been told.  When to ask for a message is the caller's to
    know (BEP 11: no more than one a minute)."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[Address, None] = {}

    def next_message(self, linked: Mapping[Address, int]) -> PeerExchange | None:
        """What has changed, ``linked`` being the peers of now with their flags.

        None if nothing has.  No more than MAX_PEX_CONTACTS of either kind: the rest is for
        the next message.  Who came and went in between is never mentioned.
        """
        gone = (address for address in self._told if address not in linked)
        dropped = tuple(islice(gone, MAX_PEX_CONTACTS))
        new = (address for address in linked if address not in self._told)
        added = tuple(islice(new, MAX_PEX_CONTACTS))
        if not added and not dropped:
            return None
        for address in dropped:
            del self._told[address]
        self._told.update(dict.fromkeys(added))
        return PeerExchange(tuple(Contact(address, linked[address]) for address in added), dropped)
