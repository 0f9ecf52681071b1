"""The world of ``torrent_core.testing``, by the names that the tests here know."""

from __future__ import annotations

from torrent_core.testing import Disk, Line, Step, World, make_torrent
from torrent_core.testing.payload import BLOCK, KIB

__all__ = ["BLOCK", "KIB", "Disk", "Line", "Step", "World", "make_torrent"]
