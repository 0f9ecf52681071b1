#!/usr/bin/env python3
"""The libtorrent side of the races: serves or fetches one torrent, as fast as it can.

    python benchmarks/racing_peer.py seed TORRENT FOLDER AT...    one session for each place
    python benchmarks/racing_peer.py fetch TORRENT FOLDER AT...   from the peers at these places

AT is PORT, on 127.0.0.1, or HOST:PORT.  Plain TCP, no discovery, no limits.  ``seed`` says
``complete`` once it serves, dials whatever AT its input names, and ends when that does;
``fetch`` ends once everything is there.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import libtorrent as lt

HOST = "127.0.0.1"
LOOK = 0.01
"""Seconds between two looks at a status."""

PLAIN_TCP: dict[str, Any] = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "in_enc_policy": int(lt.enc_policy.pe_disabled),
    "out_enc_policy": int(lt.enc_policy.pe_disabled),
    "allow_multiple_connections_per_ip": True,
    "alert_mask": 0,
}

GENEROUS: dict[str, Any] = {
    "unchoke_slots_limit": -1,
    "send_buffer_watermark": 8 * 1024 * 1024,
    "max_allowed_in_request_queue": 5000,
}
"""For the seeds: the race is not to be decided by how they ration."""


def open_session(
    torrent: str, folder: str, at: tuple[str, int], *, is_seed: bool
) -> tuple[lt.session, lt.torrent_handle]:
    """A session with the torrent in it; the first of the pair keeps it alive."""
    settings: Any = {**PLAIN_TCP, "listen_interfaces": "{}:{}".format(*at)}
    if is_seed:
        settings.update(GENEROUS)
    session = lt.session(settings)
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(torrent)
    wanted.save_path = folder
    wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if is_seed:
        wanted.flags |= lt.torrent_flags.seed_mode
    return session, session.add_torrent(wanted)


def place(text: str) -> tuple[str, int]:
    """``PORT`` or ``HOST:PORT`` as an address."""
    host, _, port = text.rpartition(":")
    return host or HOST, int(port)


def seed(torrent: str, folder: str, places: list[tuple[str, int]]) -> None:
    """Serve until the input ends, and dial the places that it names, one a line."""
    held = [open_session(torrent, folder, at, is_seed=True) for at in places]
    while not all(session.listen_port() for session, _ in held):
        time.sleep(LOOK)
    print("complete", flush=True)
    for line in sys.stdin:
        for _, handle in held:
            handle.connect_peer(place(line.strip()))


def fetch(torrent: str, folder: str, places: list[tuple[str, int]]) -> None:
    """Download everything."""
    _session, handle = open_session(torrent, folder, (HOST, 0), is_seed=False)
    for at in places:
        handle.connect_peer(at)
    while not handle.status().is_seeding:
        time.sleep(LOOK)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", choices=["seed", "fetch"])
    parser.add_argument("torrent")
    parser.add_argument("folder")
    parser.add_argument("places", type=place, nargs="+", metavar="AT")
    given = parser.parse_args()
    {"seed": seed, "fetch": fetch}[given.way](given.torrent, given.folder, given.places)


if __name__ == "__main__":
    main()
