"""Info dictionaries from peers and for peers (BEP 9): fetched of many, served to many.

Every torrent serves its own; what fetches, ``transfer``, is loaded with the first magnet link.
"""

from __future__ import annotations

from .serve import MetadataServer, ServeQueue

__all__ = ["MetadataServer", "ServeQueue"]
