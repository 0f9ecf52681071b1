"""Traces: what a machine was fed and a digest of what it wanted, so that it can run again.

    with open("run.trace", "wb", buffering=0) as file:
        recorder = Recorder(SessionSetup(peer_id), random, file.write)
        ...  # recorder.handle(event, now) in place of session.handle(event, now)
        recorder.close()

    report = replay(Path("run.trace").read_bytes())

Payload is left out, since the core never looks at it: a trace is a few bytes for each block.
It does hold the addresses of peers, the torrent, and whatever else the events say.
"""

from __future__ import annotations

from ..errors import TraceError
from .recorder import Recorder
from .replayer import Divergence, Ending, ReplayReport, replay
from .setup import SessionSetup, TorrentSetup

__all__ = [
    "Divergence",
    "Ending",
    "Recorder",
    "ReplayReport",
    "SessionSetup",
    "TorrentSetup",
    "TraceError",
    "replay",
]
