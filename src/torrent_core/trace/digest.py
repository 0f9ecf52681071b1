"""One number for all that a machine has wanted so far.

A CRC-32 over the fields of every action, which goes on from step to step: once two runs
differ, so do their numbers.  Payload counts by its length.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from ..actions import Action, Send
from .codec import ACTIONS, Codec, Numbering
from .elide import elide_sent

_SEND = struct.Struct("<BIII")
_SEND_NUMBER = ACTIONS.index(Send)


class Digest:
    """Taken of one run; ``number_of`` names links as the trace does."""

    __slots__ = ("_codec", "_number_of", "value")

    def __init__(self, number_of: Numbering) -> None:
        self.value = 0
        self._number_of = number_of
        self._codec = Codec("action", ACTIONS, number_of)

    def add(self, actions: Iterable[Action]) -> int:
        """Take in what one step wanted; returns the new value."""
        out = bytearray()
        for action in actions:
            if type(action) is Send:
                data = action.data
                kept = elide_sent(data)
                number = self._number_of(action.link)
                out += _SEND.pack(_SEND_NUMBER, number, len(data), len(kept))
                out += kept
            else:
                self._codec.write(out, action)
        self.value = zlib.crc32(out, self.value)
        return self.value
