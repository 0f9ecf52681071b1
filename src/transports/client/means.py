"""Which of the means to find peers a client is to load."""

from __future__ import annotations

from .discovery import Means, PeerDiscovery


def means(wanted: PeerDiscovery, host: str | None, state_dir: str | None) -> Means:
    """What it takes to find peers as ``wanted``.

    ``host`` is where the client listens: one that listens on loopback alone announces on the
    local network of this machine alone."""
    if not (wanted.trackers or wanted.dht or wanted.lsd):
        return Means(wanted)
    # With it come HTTP, UDP and the machines of discovery: who wants none does not wait for them.
    from .finding import OpenMeans

    return OpenMeans(wanted, host, state_dir)
