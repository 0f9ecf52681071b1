"""A DHT of libtorrent sessions on loopback addresses; run as a script by its test.

One JSON object a line comes in, with ``id`` and ``command``; one goes out for each, with the
same ``id`` and either ``result`` or ``error``.  The process ends when its input does.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import libtorrent as lt

POLL = 0.02
LIMIT = 20.0

SETTINGS = {
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_ignore_dark_internet": False,
    "dht_prefer_verified_node_ids": False,
    "dht_block_ratelimit": 1000,
    "alert_mask": lt.alert.category_t.dht_notification
    | lt.alert.category_t.dht_operation_notification,
}


class Network:
    """Sessions by number."""

    def __init__(self) -> None:
        self.sessions: list[Any] = []
        self.handles: list[Any] = []

    def open(self, host: str) -> dict[str, object]:
        session = lt.session(dict(SETTINGS, listen_interfaces=f"{host}:0"))
        self.sessions.append(session)
        _until(lambda: session.listen_port() and session.is_dht_running())
        return {"session": len(self.sessions) - 1, "port": session.listen_port()}

    def meet(self, session: int, host: str, port: int) -> None:
        self.sessions[session].add_dht_node((host, port))

    def nodes(self, session: int) -> int:
        """Nodes in its table."""
        return int(self.sessions[session].status().dht_nodes)

    def take_part(self, session: int, torrent: str, folder: str) -> None:
        """Have a torrent, and so announce it."""
        wanted = lt.parse_magnet_uri(f"magnet:?xt=urn:btih:{torrent}")
        wanted.save_path = folder
        wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        handle = self.sessions[session].add_torrent(wanted)
        handle.force_dht_announce()
        self.handles.append(handle)

    def look(self, session: int, torrent: str) -> list[tuple[str, int]]:
        """One search, and the peers of its first answer that has any; empty if none has."""
        held, end = self.sessions[session], time.monotonic() + 5.0
        held.pop_alerts()
        held.dht_get_peers(lt.sha1_hash(bytes.fromhex(torrent)))
        while time.monotonic() < end:
            for alert in held.pop_alerts():
                if isinstance(alert, lt.dht_get_peers_reply_alert) and alert.num_peers():
                    return [tuple(peer) for peer in alert.peers()]
            time.sleep(POLL)
        return []


def _until(condition: Any) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("libtorrent does not start its DHT")
        time.sleep(POLL)


def main() -> None:
    network = Network()
    for line in sys.stdin:
        order = json.loads(line)
        number, command = order.pop("id"), order.pop("command")
        try:
            reply = {"id": number, "result": getattr(network, command)(**order)}
        except Exception as error:  # whatever it is, the test wants to see it
            reply = {"id": number, "error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
