"""Who may download from us."""

from __future__ import annotations

from .choker import Choker, Decision

__all__ = ["Choker", "Decision"]
