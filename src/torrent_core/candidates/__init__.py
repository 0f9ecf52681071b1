"""Peers that we may dial."""

from __future__ import annotations

from .dialbook import Candidate, DialBook

__all__ = ["Candidate", "DialBook"]
