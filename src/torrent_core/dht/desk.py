"""What the parts of one ``Dht`` share: settings, dice, and the list of what is wanted."""

from __future__ import annotations

from typing import TypeAlias

from ..actions import Action, SendDatagram
from ..events import PeersFound
from ..types import Address, RandomSource
from ..wire import krpc
from ..wire.krpc_values import Packet
from .config import DhtConfig

Found: TypeAlias = Action | PeersFound
"""What a step brings: things to do, and peers for a torrent."""

VERSION = b"TC\x01\x00"
"""Who we are (BEP 5, v): two letters for the client, two bytes for its version."""


class Desk:
    """Shared by all parts; the list is emptied at the end of each step."""

    __slots__ = ("_out", "config", "random")

    def __init__(self, random: RandomSource, config: DhtConfig) -> None:
        self.random = random
        self.config = config
        self._out: list[Found] = []

    def emit(self, found: Found) -> None:
        """Have this done, or told."""
        self._out.append(found)

    def send(self, packet: Packet, address: Address) -> None:
        """Have a packet sent."""
        self._out.append(SendDatagram(address, krpc.encode(packet, VERSION)))

    def take(self) -> list[Found]:
        """All of this step, in order."""
        out, self._out = self._out, []
        return out
