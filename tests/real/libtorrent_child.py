"""A libtorrent process that does as it is told; run as a script by ``libtorrent_peer``.

One JSON object a line comes in, with ``id`` and ``command``; one goes out for each, with the
same ``id`` and either ``result`` or ``error``.  Every command has a thread of its own, so that
a long ``wait`` delays nothing.  The process ends when its input does.

Alerts are never read: an alert object that outlives the next ``pop_alerts`` crashes the
interpreter, and all that is asked here is in the status anyway.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import libtorrent as lt

POLL = 0.01
"""Seconds between two looks at a status that somebody waits for."""

PLAIN_TCP = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": 0,
    # Dialled again at once after a refusal, so that tests need not know who is up first.
    "min_reconnect_time": 1,
}


class Sessions:
    """The sessions of this process, by number; each holds one torrent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, tuple[Any, Any]] = {}
        self._next = 0

    def open(
        self,
        torrent: str,
        folder: str,
        host: str,
        port: int,
        seed: bool,
        upload_limit: int,
        settings: dict[str, object] | None = None,
    ) -> dict[str, object]:
        given = dict(PLAIN_TCP, listen_interfaces=f"{host}:{port}", **(settings or {}))
        session = lt.session(given)
        wanted = lt.add_torrent_params()
        wanted.ti = lt.torrent_info(torrent)
        wanted.save_path = folder
        wanted.upload_limit = upload_limit
        if seed:
            wanted.flags |= lt.torrent_flags.seed_mode
        # Neither is of use without discovery, and both would queue a torrent in a test.
        wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        handle = session.add_torrent(wanted)
        with self._lock:
            self._next += 1
            self._held[self._next] = (session, handle)
            number = self._next
        return {"session": number, "port": _listening(session)}

    def seek(self, magnet: str, folder: str, host: str) -> dict[str, object]:
        """A session that has a magnet link and nothing else."""
        session = lt.session(dict(PLAIN_TCP, listen_interfaces=f"{host}:0"))
        wanted = lt.parse_magnet_uri(magnet)
        wanted.save_path = folder
        wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        handle = session.add_torrent(wanted)
        with self._lock:
            self._next += 1
            self._held[self._next] = (session, handle)
            number = self._next
        return {"session": number, "port": _listening(session)}

    def connect(self, session: int, host: str, port: int) -> None:
        self._held[session][1].connect_peer((host, port))

    def meet(self, session: int, host: str, port: int) -> None:
        """Tell its node of the DHT of another."""
        self._held[session][0].add_dht_node((host, port))

    def limit_upload(self, session: int, rate: int) -> None:
        self._held[session][1].set_upload_limit(rate)

    def status(self, session: int) -> dict[str, object]:
        held, handle = self._held[session]
        return {**_status(handle), "dht_nodes": held.status().dht_nodes}

    def wait(
        self,
        session: int,
        key: str,
        within: float,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> dict[str, object]:
        """The first status whose ``key`` lies within the bounds."""
        end = time.monotonic() + within
        while True:
            status = self.status(session)
            value = float(status[key])  # type: ignore[arg-type]
            high_enough = at_least is None or value >= at_least
            if high_enough and (at_most is None or value <= at_most):
                return status
            if time.monotonic() > end:
                raise TimeoutError(f"{key} is still {value} after {within} s: {status}")
            time.sleep(POLL)

    def close(self, session: int) -> None:
        with self._lock:
            held, handle = self._held.pop(session)
        held.remove_torrent(handle)
        # Waits for the sockets to be closed: the object is the session's last reference.
        del held, handle


def _listening(session: Any) -> int:
    end = time.monotonic() + 10
    while not session.listen_port():
        if time.monotonic() > end:
            raise TimeoutError("does not listen")
        time.sleep(POLL)
    return int(session.listen_port())


def _status(handle: Any) -> dict[str, object]:
    status = handle.status()
    return {
        "state": str(status.state),
        "error": status.errc.message() if status.errc.value() else "",
        "progress": status.progress,
        "pieces": status.num_pieces,
        "seeding": status.is_seeding,
        "peer_count": status.num_peers,
        "uploaded": status.total_payload_upload,
        "uploaded_ever": status.all_time_upload,
        "downloaded": status.total_payload_download,
        "announced": sum(bool(tracker["verified"]) for tracker in handle.trackers()),
        "peers": [_peer(peer) for peer in handle.get_peer_info()],
    }


def _peer(peer: Any) -> dict[str, object]:
    client = peer.client.decode(errors="replace") if isinstance(peer.client, bytes) else peer.client
    return {
        "host": peer.ip[0],
        "port": peer.ip[1],
        "peer_id": peer.pid.to_bytes().hex(),
        "client": client,
        "incoming": not peer.flags & lt.peer_info.local_connection,
        "handshaken": not peer.flags & (lt.peer_info.connecting | lt.peer_info.handshake),
    }


def _answer(sessions: Sessions, order: dict[str, Any], out: threading.Lock) -> None:
    number, command = order.pop("id"), order.pop("command")
    try:
        reply = {"id": number, "result": getattr(sessions, command)(**order)}
    except Exception as error:  # whatever it is, the test wants to see it
        reply = {"id": number, "error": f"{type(error).__name__}: {error}"}
    with out:
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


def main() -> None:
    sessions, out = Sessions(), threading.Lock()
    for line in sys.stdin:
        threading.Thread(
            target=_answer, args=(sessions, json.loads(line), out), daemon=True
        ).start()


if __name__ == "__main__":
    main()
