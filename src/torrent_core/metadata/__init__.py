"""Info dictionaries from peers and for peers (BEP 9): fetched of many, served to many."""

from __future__ import annotations

from .serve import MetadataServer, ServeQueue
from .transfer import MetadataTransfer, Progress

__all__ = ["MetadataServer", "MetadataTransfer", "Progress", "ServeQueue"]
