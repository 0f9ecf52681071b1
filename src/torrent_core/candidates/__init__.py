"""Peers that we may dial, and peers that we will not have."""

from __future__ import annotations

from .bans import Bans
from .dialbook import Candidate, DialBook

__all__ = ["Bans", "Candidate", "DialBook"]
