"""Nodes of the DHT, kept from one run to the next."""

from __future__ import annotations

import os

from .disk.resumefile import replace_file

MAX_NODES_BYTES = 1024 * 1024
"""Most bytes read of the file: some ten thousand nodes, where a table has some hundreds."""


class NodesFile:
    """Where they lie.  Blocking."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(path)

    def load(self) -> bytes | None:
        """What was saved; None if nothing was, or it cannot be read: that costs a bootstrap."""
        try:
            with open(self.path, "rb") as file:
                return file.read(MAX_NODES_BYTES)
        except OSError:
            return None

    def save(self, data: bytes) -> None:
        """Replace the file.  Raises OSError, and leaves it as it was."""
        replace_file(self.path, data)
