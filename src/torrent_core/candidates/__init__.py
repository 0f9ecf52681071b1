"""Peers that we may dial, and peers that we will not have."""

from __future__ import annotations

from .bans import Bans
from .candidate import Candidate
from .dialbook import DialBook
from .external import ExternalAddress
from .priority import peer_priority

__all__ = ["Bans", "Candidate", "DialBook", "ExternalAddress", "peer_priority"]
