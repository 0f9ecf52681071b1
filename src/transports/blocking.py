"""The standard library's sockets and nothing else: a loop that blocks, as proof.

It does what ``driver`` and ``tcp`` do for anyio, in the order in which any adapter would:
wait for sockets until the deadline, tell the session what happened, carry out what it wants.
"""

from __future__ import annotations

import os
import selectors
import socket
from collections import deque
from collections.abc import Iterable
from random import SystemRandom
from time import monotonic

from torrent_core.actions import Action, CancelDial, Close, Dial, Send, TorrentCompleted
from torrent_core.events import (
    AddPeer,
    AddTorrent,
    BytesReceived,
    DialFailed,
    Event,
    LinkClosed,
    LinkOpened,
    RemoveTorrent,
    Sent,
    Tick,
)
from torrent_core.metainfo import Metainfo
from torrent_core.session import Session
from torrent_core.types import Address

from .disk.folder import Folder

RECEIVE_CHUNK = 256 * 1024
"""Bytes read at once, as in the anyio adapter."""

STOP_LIMIT = 10.0
"""Seconds that a torrent is given to stop cleanly."""


class _Connection:
    """One socket: being connected while ``dial`` is set, a link from then on."""

    def __init__(self, sock: socket.socket, number: int, dial: Dial) -> None:
        self.sock = sock
        self.number = number
        self.dial: Dial | None = dial
        self.queue = bytearray()
        self.closing = False


class BlockingClient:
    """Downloads one torrent from named peers; for one thread, which it blocks."""

    def __init__(self, metainfo: Metainfo, folder: str | os.PathLike[str]) -> None:
        random = SystemRandom()
        self._session = Session(b"-TC0100-" + random.randbytes(12), random)
        self._metainfo = metainfo
        self._folder = Folder(folder, metainfo)
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, _Connection] = {}
        self._events: deque[Event] = deque()
        self._serial = 0
        self._complete = False

    def fetch(self, peers: Iterable[tuple[str, int]], timeout: float) -> bool:
        """Download from ``peers`` for ``timeout`` seconds at most; whether it is complete.

        What is verified is kept either way, and the next call goes on from there.  Raises
        OSError for resume data that cannot be read or written.
        """
        info_hash = self._metainfo.info_hash
        end = monotonic() + timeout
        self._feed(AddTorrent(self._metainfo, self._folder.resume()))
        for host, port in peers:
            self._feed(AddPeer(info_hash, Address(host, port)))
        while not self._complete and monotonic() < end:
            self._step(end)
        self._feed(RemoveTorrent(info_hash))
        end = monotonic() + STOP_LIMIT
        while (self._connections or info_hash in self._session.torrents) and monotonic() < end:
            self._step(end)
        for connection in list(self._connections.values()):
            connection.sock.close()
        self._selector.close()
        self._folder.close()
        return self._complete

    # --- The loop ----------------------------------------------------------------------

    def _step(self, end: float) -> None:
        """Wait for a socket or the deadline, whichever is first, and deal with it."""
        deadline = self._session.next_deadline()
        until = end if deadline is None else min(end, deadline.when)
        for key, mask in self._selector.select(max(0.0, until - monotonic())):
            connection: _Connection = key.data
            if mask & selectors.EVENT_WRITE:
                self._writable(connection)
            if mask & selectors.EVENT_READ and connection.number in self._connections:
                self._readable(connection)
        if deadline is not None and deadline.when <= monotonic():
            self._feed(Tick())

    def _feed(self, event: Event) -> None:
        """Tell the session, and carry out what follows, until nothing does."""
        self._events.append(event)
        while self._events:
            for action in self._session.handle(self._events.popleft(), monotonic()):
                self._carry_out(action)

    def _carry_out(self, action: Action) -> None:
        match action:
            case Send(int(number), data):
                self._send(self._connections.get(number), data)
            case Close(int(number)):
                self._close(self._connections.get(number))
            case Dial():
                self._dial(action)
            case CancelDial(dial_id):
                self._cancel(dial_id)
            case TorrentCompleted():
                self._complete = True
            case _:
                answer = self._folder.perform(action)
                if answer is not None:
                    self._events.append(answer)

    # --- Sockets -----------------------------------------------------------------------

    def _dial(self, dial: Dial) -> None:
        try:
            family, kind, _, _, name = socket.getaddrinfo(*dial.address, type=socket.SOCK_STREAM)[0]
            sock = socket.socket(family, kind)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect_ex(name)
        except OSError as error:
            self._events.append(DialFailed(dial.dial_id, str(error)))
            return
        self._serial += 1
        connection = self._connections[self._serial] = _Connection(sock, self._serial, dial)
        self._selector.register(sock, selectors.EVENT_WRITE, connection)

    def _cancel(self, dial_id: int) -> None:
        for connection in list(self._connections.values()):
            if connection.dial is not None and connection.dial.dial_id == dial_id:
                self._drop(connection, "cancelled")

    def _send(self, connection: _Connection | None, data: bytes) -> None:
        if connection is not None:
            connection.queue += data
            self._watch(connection)

    def _close(self, connection: _Connection | None) -> None:
        if connection is not None:
            connection.closing = True
            if not connection.queue:
                self._drop(connection, "")

    def _writable(self, connection: _Connection) -> None:
        if connection.dial is not None:
            self._connected(connection, connection.dial)
            return
        try:
            count = connection.sock.send(connection.queue)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(connection, str(error))
            return
        del connection.queue[:count]
        if not connection.closing:
            self._feed(Sent(connection.number, count))
        elif not connection.queue:
            self._lost(connection, "")
            return
        self._watch(connection)

    def _connected(self, connection: _Connection, dial: Dial) -> None:
        error = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._lost(connection, os.strerror(error))
            return
        connection.dial = None
        self._selector.modify(connection.sock, selectors.EVENT_READ, connection)
        self._feed(LinkOpened(connection.number, dial.address, dial.dial_id))

    def _readable(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(RECEIVE_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(connection, str(error))
            return
        if data:
            self._feed(BytesReceived(connection.number, data))
        else:
            self._lost(connection, "")

    def _watch(self, connection: _Connection) -> None:
        """Wait for room to write only while there is something to write."""
        if connection.dial is None and connection.number in self._connections:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.queue else 0)
            self._selector.modify(connection.sock, wanted, connection)

    def _lost(self, connection: _Connection, detail: str) -> None:
        self._drop(connection, detail)
        self._feed(self._events.popleft())

    def _drop(self, connection: _Connection, detail: str) -> None:
        """Forget the socket; its one ``LinkClosed`` or ``DialFailed`` is queued."""
        del self._connections[connection.number]
        self._selector.unregister(connection.sock)
        connection.sock.close()
        if connection.dial is not None:
            self._events.append(DialFailed(connection.dial.dial_id, detail))
        else:
            self._events.append(LinkClosed(connection.number, detail))
