"""Where a torrent lies, which is settled before anybody knows what is in it."""

from __future__ import annotations

from torrent_core.classes import frozen


@frozen
class Place:
    """Absolute paths of one torrent."""

    folder: str
    """The download folder: what the torrent's own paths begin under."""
    resume_path: str
    """The file of its resume data."""
