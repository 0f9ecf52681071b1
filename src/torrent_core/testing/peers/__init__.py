"""Scripted peers: they speak real wire bytes, and check what they are told.

``Peer`` is a passive end that keeps the books of a link; ``Honest`` serves as a good client
does.  The others differ from ``Honest`` in the one way that their name says.
"""

from __future__ import annotations

from .base import Peer
from .honest import Honest, Leech
from .hostile import AbsurdReqq, Corrupter, GarbageSender, SlowHandshake
from .scripted import Cue, Scripted
from .slack import CancelIgnorer, Choker, Flapper, Leaver, Liar, Rejecter, Silent, Trickle

__all__ = [
    "AbsurdReqq",
    "CancelIgnorer",
    "Choker",
    "Corrupter",
    "Cue",
    "Flapper",
    "GarbageSender",
    "Honest",
    "Leaver",
    "Leech",
    "Liar",
    "Peer",
    "Rejecter",
    "Scripted",
    "Silent",
    "SlowHandshake",
    "Trickle",
]
