"""Who races: how each client is made to fetch, or to seed, one torrent on the loopback.

libtorrent and torrent-core are told whom to dial.  aria2 has no option for that, and finds the
seeds by a tracker; Transmission takes 127/8 for unreachable, and must be dialled.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
RACING_PEER = Path(__file__).with_name("racing_peer.py")

STREAMING = Path(__file__).with_name("streaming.py")

OURS = f"{shlex.quote(sys.executable)} -m transports.cli"
STREAMS = f"{shlex.quote(sys.executable)} {shlex.quote(str(STREAMING))}"
GET = " get {torrent} -o {dir} {peers} --no-discovery"
SERVE = " seed {torrent} {dir} --port {port} --no-discovery"


class Lane(NamedTuple):
    """What one client is given for one lap."""

    torrent: Path
    folder: Path
    """Where the payload is, or is to be."""
    ports: list[int]
    """Of the seeds; the first is a seed's own."""
    own: Path
    """An empty folder for what else it keeps."""
    tracker: str
    """URL of one that names the seeds; empty for a seed."""
    port: int = 0
    """Where a client listens that must be dialled to fetch."""

    @property
    def done(self) -> Path:
        """Made by a client that does not end by itself once it has everything."""
        return self.own / "done"


class Contestant(NamedTuple):
    """One client in both roles; ``None`` where it has no such role."""

    fetch: Callable[[Lane], list[str]] | None
    seed: Callable[[Lane], list[str]] | None
    ready: str = r"\bcomplete\b"
    """What is in the line that a seed says once it serves."""
    is_dialled: bool = False
    """Whether it must be dialled to fetch."""
    program: str = sys.executable

    @property
    def is_here(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.program) is not None


def by_template(template: str) -> Callable[[Lane], list[str]]:
    """A command line with the fields {torrent}, {dir}, {port} and {peers}."""

    def filled(lane: Lane) -> list[str]:
        return shlex.split(
            template.format(
                torrent=shlex.quote(str(lane.torrent)),
                dir=shlex.quote(str(lane.folder)),
                port=lane.ports[0],
                peers=" ".join(f"--peer {HOST}:{port}" for port in lane.ports),
            )
        )

    return filled


def _libtorrent(way: str) -> Callable[[Lane], list[str]]:
    def argv(lane: Lane) -> list[str]:
        ports = map(str, lane.ports)
        return [sys.executable, str(RACING_PEER), way, str(lane.torrent), str(lane.folder), *ports]

    return argv


def _aria2(lane: Lane, **own: str) -> list[str]:
    options = {
        "no-conf": "true",
        "dir": str(lane.folder),
        "file-allocation": "none",
        "enable-dht": "false",
        "enable-dht6": "false",
        "bt-enable-lpd": "false",
        "enable-peer-exchange": "false",
        "disable-ipv6": "true",
        "show-console-readout": "false",
        "enable-color": "false",
        **{name.replace("_", "-"): value for name, value in own.items()},
    }
    return ["aria2c", *(f"--{key}={value}" for key, value in options.items()), str(lane.torrent)]


def _aria2_fetches(lane: Lane) -> list[str]:
    return _aria2(lane, seed_time="0", bt_tracker=lane.tracker)


def _aria2_seeds(lane: Lane) -> list[str]:
    return _aria2(lane, seed_ratio="0.0", check_integrity="true", listen_port=str(lane.ports[0]))


def _transmission(lane: Lane, port: int) -> list[str]:
    config, watch, script = lane.own / "config", lane.own / "watch", lane.own / "script"
    config.mkdir()
    watch.mkdir()
    script.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(lane.done))}\n")
    script.chmod(0o755)
    settings = {
        "rpc-enabled": False,
        "pex-enabled": False,
        "script-torrent-done-enabled": True,
        "script-torrent-done-filename": str(script),
    }
    (config / "settings.json").write_text(json.dumps(settings))
    shutil.copy(lane.torrent, watch)
    return [
        *["transmission-daemon", "--foreground", "--log-debug"],
        *["--config-dir", str(config), "--watch-dir", str(watch)],
        *["--download-dir", str(lane.folder), "--peerport", str(port)],
        *["--bind-address-ipv4", HOST, "--encryption-tolerated"],
        *["--no-dht", "--no-lpd", "--no-utp", "--no-portmap"],
    ]


CONTESTANTS = {
    "libtorrent": Contestant(_libtorrent("fetch"), _libtorrent("seed")),
    "torrent-core": Contestant(by_template(OURS + GET), by_template(OURS + SERVE)),
    "torrent-core on trio": Contestant(
        by_template(OURS + GET + " --backend trio"), by_template(OURS + SERVE + " --backend trio")
    ),
    "torrent-core on streams": Contestant(by_template(STREAMS + GET), by_template(STREAMS + SERVE)),
    "aria2": Contestant(
        _aria2_fetches, _aria2_seeds, ready="listening on TCP port", program="aria2c"
    ),
    "transmission": Contestant(
        lambda lane: _transmission(lane, lane.port),
        lambda lane: _transmission(lane, lane.ports[0]),
        ready="Verification is done",
        is_dialled=True,
        program="transmission-daemon",
    ),
}
