"""What is raised here: a promise that was not kept, or a parameter that cannot be."""

from __future__ import annotations

import math

from ..errors import LocalProtocolError


class PromiseBroken(AssertionError):
    """The machine under test, or somebody who talks to it, did what must not happen.

    Raised out of a run, it carries the run's timeline as a note.
    """


class Stalled(PromiseBroken):
    """A missing block is on no account, or the machine would sleep past what an account names."""


class ImpossibleParameter(LocalProtocolError, ValueError):
    """No simulation can have this: ``name`` is the parameter, ``value`` what was given."""

    def __init__(self, name: str, value: object, what: str) -> None:
        super().__init__(f"{name} is {what}, not {value!r}")
        self.name = name
        self.value = value


def expect(holds: object, text: str, *values: object) -> None:
    """Raise PromiseBroken unless ``holds``; ``text`` is formatted with ``values``."""
    if not holds:
        raise PromiseBroken(text.format(*values))


def duration(name: str, value: float) -> float:
    """``value``, if it is a number of seconds, zero or more.  Else ImpossibleParameter."""
    if not 0.0 <= value < math.inf:
        raise ImpossibleParameter(name, value, "a number of seconds, zero or more")
    return value


def interval(name: str, value: float) -> float:
    """``value``, if it is more than no time at all.  Else ImpossibleParameter."""
    if not 0.0 < value < math.inf:
        raise ImpossibleParameter(name, value, "a number of seconds above zero")
    return value


def bandwidth(name: str, value: float) -> float:
    """``value``, if it is above zero bytes a second; it may be infinite."""
    if not value > 0.0:
        raise ImpossibleParameter(name, value, "above zero bytes a second")
    return value


def chance(name: str, value: float) -> float:
    """``value``, if it is from 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise ImpossibleParameter(name, value, "a chance from 0 to 1")
    return value


def count(name: str, value: int, least: int = 0) -> int:
    """``value``, if it is a whole number of at least ``least``."""
    if not isinstance(value, int) or value < least:
        raise ImpossibleParameter(name, value, f"a whole number of at least {least}")
    return value
