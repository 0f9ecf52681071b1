"""aria2 and Transmission, as Debian packages them, as seeders on the loopback.

Neither can be told to dial us (aria2 has no option that names a peer, Transmission takes
127/8 for unreachable), so both are dialled.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import attrs

from .child import Child
from .payload import Payload
from .ports import free_port

READY_LIMIT = 30.0
"""Seconds a seeder may take to start, check its files and listen."""

GETTING_LIMIT = 15.0 + 10.0 + READY_LIMIT
"""Seconds a download may take: a datagram that is lost on the way to a tracker is repeated after
15 s (BEP 15), we choke in rounds of 10 s (BEP 3), and it starts first."""


@attrs.frozen
class Recipe:
    """How one client is made to seed one torrent."""

    program: str
    package: str
    ready: str
    """Part of the line it prints once it has checked the files and listens."""
    command: Callable[[Payload, Path, int], list[str]]
    """From the payload, a folder for its own files, and the port."""
    limit: float = READY_LIMIT
    """Seconds until that line."""

    @property
    def missing(self) -> str:
        """Why it cannot be used here; empty if it can."""
        if shutil.which(self.program):
            return ""
        return f"{self.program} is not installed (apt-get install {self.package})"


def _aria2(payload: Payload, own: Path, port: int) -> list[str]:
    more = {"dir": str(payload.folder), "seed-ratio": "0.0", "check-integrity": "true"}
    return _aria2_command(payload, port, more)


def _aria2_getting(payload: Payload, own: Path, port: int) -> list[str]:
    # It speaks UDP to trackers only with its DHT on, which knows no node and writes a file.
    more = {"dir": str(own), "seed-time": "0"}
    if b"udp://" in payload.torrent.read_bytes():
        more |= {"enable-dht": "true", "dht-listen-port": str(port)}
        more |= {"dht-file-path": str(own / "dht.dat")}
    return _aria2_command(payload, port, more)


def _aria2_command(payload: Payload, port: int, more: dict[str, str]) -> list[str]:
    options = {
        "no-conf": "true",
        "listen-port": str(port),
        "enable-dht": "false",
        "enable-dht6": "false",
        "bt-enable-lpd": "false",
        "enable-peer-exchange": "false",
        "disable-ipv6": "true",
        "show-console-readout": "false",
        "enable-color": "false",
        **more,
    }
    return ["aria2c", *(f"--{key}={value}" for key, value in options.items()), str(payload.torrent)]


def _transmission(payload: Payload, own: Path, port: int) -> list[str]:
    config, watch = own / "config", own / "watch"
    config.mkdir()
    watch.mkdir()
    settings = {"rpc-enabled": False, "pex-enabled": False}
    (config / "settings.json").write_text(json.dumps(settings))
    shutil.copy(payload.torrent, watch)
    return [
        *["transmission-daemon", "--foreground", "--log-debug"],
        *["--config-dir", str(config), "--watch-dir", str(watch)],
        *["--download-dir", str(payload.folder), "--peerport", str(port)],
        *["--bind-address-ipv4", "127.0.0.1", "--encryption-tolerated"],
        *["--no-dht", "--no-lpd", "--no-utp", "--no-portmap"],
    ]


RECIPES = {
    "aria2": Recipe("aria2c", "aria2", "listening on TCP port", _aria2),
    "transmission": Recipe(
        "transmission-daemon", "transmission-daemon", "Verification is done", _transmission
    ),
}


ARIA2_GETTING = Recipe("aria2c", "aria2", "Download complete:", _aria2_getting, GETTING_LIMIT)
"""Not a seeder: it downloads into its own folder, is ready when it has all, and ends."""


class DebianSeeder:
    """One client in a process of its own; ready when the constructor returns."""

    host = "127.0.0.1"

    def __init__(self, recipe: Recipe, payload: Payload, own: Path) -> None:
        self.port = free_port()
        own.mkdir()
        self._child = Child(recipe.command(payload, own, self.port))
        try:
            self._child.wait_line(lambda line: recipe.ready in line, recipe.limit)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, however it is, and give back what it held."""
        self._child.stop()
