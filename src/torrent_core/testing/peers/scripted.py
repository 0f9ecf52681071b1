"""A peer that says what is written down for it, at the times that are written beside it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, TypeAlias

import attrs

from ...wire import messages as wire
from ..line import Line
from ..promises import duration
from .base import Peer

Said: TypeAlias = wire.Message | bytes | None
"""A message, bytes that need not be one, or None: it leaves."""


@attrs.frozen
class Cue:
    """One thing to say, ``after`` so many seconds since the one before."""

    after: float
    say: Said

    def __attrs_post_init__(self) -> None:
        duration("after", self.after)


class Scripted(Peer):
    """Says hello, then its ``script``, whatever it hears, from the beginning on each link."""

    def __init__(self, *where: Any, script: Iterable[Cue] = (), **options: Any) -> None:
        super().__init__(*where, **options)
        self.script = tuple(script)

    def opened(self, line: Line) -> None:
        """A link stands."""
        super().opened(line)
        when = self.world.now
        for cue in self.script:
            when += cue.after
            self.world.at(when, partial(self._say, line, cue.say))

    def note(self, message: wire.Message) -> None:
        """It takes what it hears for nothing, since it says what it says."""

    def _say(self, line: Line, said: Said) -> None:
        if not self.alive or self.line is not line:
            return
        if said is None:
            self.leave()
        elif isinstance(said, bytes):
            self.say_bytes(said)
        else:
            self.say(said)
