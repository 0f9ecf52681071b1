"""A torrent with everything around it played: one run, at one moment.

What either side sends arrives, and has left, in the same step: delays are for ``steps``,
which lets other things happen first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ...actions import Action, Close, Send
from ...budget import Budget
from ...events import BytesReceived, Event, LinkClosed, LinkOpened, Sent, StartTorrent, Tick
from ...torrent import Budgets, Torrent
from ...types import Address, LinkId, TorrentState
from .disk import Disk
from .errors import Violation
from .peers import Peer
from .setting import Setting

OURS = b"-XP0000-the-explored"


class Fixed:
    """Randomness that is always the same: among equals the first is taken."""

    def getrandbits(self, k: int, /) -> int:
        """No bit is ever set."""
        return 0

    def random(self) -> float:
        """The least there is."""
        return 0.0


class World:
    """A real ``Torrent``, peers and a disk that do nothing by themselves, and the time.

    It begins at ``now``, which makes no difference to what follows.
    """

    def __init__(self, setting: Setting, now: float = 0.0) -> None:
        self.setting = setting
        self.now = now
        self.disk = Disk(setting)
        self.log: list[list[Action]] = []
        """What the machine wanted, call by call."""
        self.corruptions = setting.corruptions
        self.failures = setting.failures
        self.waits = setting.waits_in_all
        name = setting.metainfo.info_hash
        self.peers = [
            Peer(number, setting.speaks_fast(number), name) for number in range(setting.links)
        ]
        self._by_link: dict[LinkId, Peer] = {}
        self._news: deque[Event] = deque()
        self._on_action: dict[type[Action], Callable[[Any], None]] = {
            Send: self._send,
            Close: self._close,
        }
        memory = Budget(setting.memory * setting.metainfo.piece_length)
        self.torrent = Torrent(
            setting.metainfo, peer_id=OURS, random=Fixed(), budgets=Budgets(memory=memory)
        )
        self.feed(StartTorrent(name))
        self.feed(self.disk.answer(0))

    @property
    def is_complete(self) -> bool:
        """Whether every piece is verified and written."""
        return self.torrent.state is TorrentState.SEEDING

    @property
    def is_overdue(self) -> bool:
        """Whether the machine is owed a call by now."""
        deadline = self.torrent.next_deadline()
        return deadline is not None and deadline.when <= self.now

    def feed(self, event: Event) -> None:
        """Hand an event in, and carry out what the machine wants, until it wants no more."""
        self._news.append(event)
        while self._news:
            actions = self.torrent.handle(self._news.popleft(), self.now)
            self.log.append(actions)
            for action in actions:
                carry_out = self._on_action.get(type(action))
                if carry_out is not None:
                    carry_out(action)
                elif hasattr(action, "job"):
                    self.disk.pending.append(action)

    def _send(self, action: Send) -> None:
        self._news.append(Sent(action.link, len(action.data)))
        self._by_link[action.link].hear(action.data)

    def _close(self, action: Close) -> None:
        self._gone(action.link)
        self._news.append(LinkClosed(action.link))

    # --- What peers and time do ------------------------------------------------------------

    def open(self, peer: Peer, pieces: int) -> None:
        """The peer connects, shakes hands, and says which pieces it has."""
        link = peer.connect()
        self._by_link[link] = peer
        self.feed(LinkOpened(link, Address(f"10.0.0.{1 + peer.number}", 6881)))
        greeting = peer.greeting
        if pieces:
            greeting += peer.bitfield(pieces, self.setting.pieces)
        self.feed(BytesReceived(link, greeting))

    def say(self, peer: Peer, data: bytes) -> None:
        """Bytes come from a peer that is connected."""
        self.feed(BytesReceived(peer.link, data))

    def leave(self, peer: Peer) -> None:
        """The peer disconnects."""
        link = peer.link
        self._gone(link)
        self.feed(LinkClosed(link))

    def _gone(self, link: LinkId) -> None:
        self._by_link.pop(link).disconnect()

    def tick(self) -> None:
        """The call that is owed at the deadline, made then, or now if that is past.

        Raises Violation if it leaves something due: the caller would spin.
        """
        due = self.torrent.next_deadline()
        if due is not None:
            self.now = max(self.now, due.when)
        self.feed(Tick())
        left = self.torrent.next_deadline()
        if left is not None and left.when <= self.now:
            raise Violation(f"a tick at {self.now:g} leaves {left} behind")
