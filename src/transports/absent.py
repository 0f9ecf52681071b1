"""Stands where an embedder brings no means to find peers."""

from __future__ import annotations

from torrent_core.actions import Action, Fetch, Resolve
from torrent_core.events import FetchFailed, Resolved

from .faces import Feed


class NoDiscoverer:
    """Fetches nothing, resolves nothing, sends and keeps nothing; what is owed an answer has
    it."""

    def __init__(self) -> None:
        self._feed: Feed
        self.cancel_fetch = self.send_datagram = self._drop
        self.send_multicast = self.save_nodes = self._drop

    def attach(self, feed: Feed) -> None:
        """Answer by ``feed``."""
        self._feed = feed

    def fetch(self, action: Fetch) -> None:
        """Fails."""
        self._feed(FetchFailed(action.fetch_id, "nothing can be fetched here"))

    def resolve(self, action: Resolve) -> None:
        """Finds no host."""
        self._feed(Resolved(action.resolve_id, ()))

    def _drop(self, action: Action) -> None:
        pass
