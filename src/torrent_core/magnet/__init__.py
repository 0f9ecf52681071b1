"""A torrent of which only the name is known: it finds peers and fetches its metadata of them."""

from __future__ import annotations

from .magnet import Magnet

__all__ = ["Magnet"]
