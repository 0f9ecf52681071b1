"""The scripted peers of ``torrent_core.testing``, by the names that the tests here know."""

from __future__ import annotations

from torrent_core.testing import Choker, Corrupter, Leaver, Leech, Peer, Rejecter, Silent
from torrent_core.testing import Honest as Seed

__all__ = ["Choker", "Corrupter", "Leaver", "Leech", "Mute", "Peer", "Rejecter", "Seed", "Silent"]


class Mute(Peer):
    """Connects and never says a word by itself."""

    def hello(self) -> None:
        pass
