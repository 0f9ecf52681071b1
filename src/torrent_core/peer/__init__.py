"""One handshaken connection as a pure machine: bytes in, events up, verbs down, bytes out."""

from __future__ import annotations

from .connection import PeerConnection
from .events import BlockSink, PeerEvent
from .states import Phase
from .uploads import UploadQueue

__all__ = ["BlockSink", "PeerConnection", "PeerEvent", "Phase", "UploadQueue"]
