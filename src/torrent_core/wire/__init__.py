"""Bytes to values and back, without state: handshake, messages, extended handshake, trackers.

Everything here raises ``WireError`` for what the other side got wrong, and nothing else.
"""

from __future__ import annotations

from .extended import ExtendedHandshake
from .fast import allowed_fast_set
from .handshake import Handshake, peek_info_hash
from .messages import Message, decode, encode

__all__ = [
    "ExtendedHandshake",
    "Handshake",
    "Message",
    "allowed_fast_set",
    "decode",
    "encode",
    "peek_info_hash",
]
