"""Machines whose runs can be saved as traces, and replayed by ``torrent-core replay``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from ..accounts import Explanation
from ..torrent import Torrent
from ..trace import Recorder, TorrentSetup
from ..types import RandomSource

Build: TypeAlias = Callable[[TorrentSetup, RandomSource], Torrent]
"""Makes a machine of the constructor's arguments: ``TorrentSetup.build`` makes the plain one."""


class RecordedTorrent(Recorder[Torrent]):
    """A recorder that explains what the torrent in it explains."""

    def explain(self, now: float) -> Explanation:
        """``Torrent.explain``."""
        return self.machine.explain(now)


@attrs.frozen
class BuiltBy:
    """A setup whose machine somebody else makes.

    The trace says nothing of that: one of another machine than the plain one diverges where
    the two differ when it is replayed.
    """

    setup: TorrentSetup
    made_by: Build

    def build(self, random: RandomSource) -> Torrent:
        """Make it."""
        return self.made_by(self.setup, random)

    def write(self, out: bytearray) -> None:
        """``TorrentSetup.write``."""
        self.setup.write(out)


class Tape:
    """The recording of one torrent, in memory."""

    def __init__(self, setup: TorrentSetup, build: Build, random: RandomSource) -> None:
        self._chunks: list[bytes] = []
        self.machine = RecordedTorrent(BuiltBy(setup, build), random, self._chunks.append)

    def save(self) -> bytes:
        """The trace, which ends here: what comes later is not in it."""
        self.machine.close()
        return b"".join(self._chunks)
