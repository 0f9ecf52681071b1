"""Peer exchange (BEP 11): what one link is told of the others, and what we take from it."""

from __future__ import annotations

from .receiver import PexReceiver
from .sender import PexSender

__all__ = ["PexReceiver", "PexSender"]
