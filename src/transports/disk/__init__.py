"""Files on worker threads: what the core asks of the storage, carried out."""

from .folder import Folder
from .jobs import perform
from .workers import Disk, TorrentStorage

__all__ = ["Disk", "Folder", "TorrentStorage", "perform"]
