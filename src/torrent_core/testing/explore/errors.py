"""What the explorer raises."""

from __future__ import annotations


class Violation(AssertionError):
    """A state that must not be reachable, with the run that leads to it."""
