"""Several torrents behind one door: incoming links find theirs by the info-hash they name.

A link that dials us is *pending* until its handshake has named a torrent: 48 bytes, of
which the first wrong one closes it.  Then everything that has come so far is handed over,
and from there on the session only forwards.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from .accounts import Explanation, Explanations
from .actions import Action, Close
from .admission import Admission
from .budget import Budget
from .classes import define, frozen
from .deadlines import Deadline, Deadlines, soonest
from .discovery import DiscoveryConfig
from .dues import Dues
from .errors import LocalProtocolError, WireError
from .events import (
    AddMagnet,
    AddTorrent,
    BytesPlaced,
    BytesReceived,
    DialFailed,
    Event,
    LinkClosed,
    LinkOpened,
    PeersFound,
    RemoveTorrent,
    Sent,
    StartTorrent,
    StopTorrent,
    Tick,
)
from .finding import DISCOVERY_EVENTS, Finder
from .limits import HANDSHAKE_TIMEOUT, MAX_HALF_OPEN, MAX_LINKS, SLEPT
from .metainfo import Metainfo
from .registry import Registry
from .torrent import Budgets, Dialling, Torrent, TorrentConfig
from .torrent.waking import lateness
from .types import CloseReason, InfoHash, LinkId, RandomSource, TorrentState
from .wire.handshake import peek_info_hash

if TYPE_CHECKING:
    from .magnet import Magnet

_Member: TypeAlias = "Torrent | Magnet"
"""What goes by an info-hash in a session."""


@frozen
class SessionConfig:
    """Policy of a session; what concerns one torrent is in ``torrent``."""

    torrent: TorrentConfig = attrs.field(factory=TorrentConfig)
    max_links: int = MAX_LINKS
    """Links and dials of all torrents together."""
    max_half_open: int = MAX_HALF_OPEN
    """Dials under way at once."""
    discovery: DiscoveryConfig | None = None
    """How peers are found; None: only those that are named, exchanged, or dial us."""


@define(eq=False)
class _Pending:
    """An incoming link that has not named its torrent yet."""

    opened: LinkOpened
    since: float
    head: bytearray = attrs.field(factory=bytearray)


class Session:
    """All torrents of one peer id.  The same face as every machine: ``handle``,
    ``next_deadline``."""

    def __init__(
        self, peer_id: bytes, random: RandomSource, config: SessionConfig | None = None
    ) -> None:
        """``peer_id`` is our own twenty bytes, ``random`` all the randomness there is.

        Raises LocalProtocolError for a peer id that is none, and for discovery without the
        ``listen_port`` that it would tell.
        """
        if len(peer_id) != 20:
            raise LocalProtocolError("a peer id has twenty bytes")
        self.config = config or SessionConfig()
        self.torrents: Registry[InfoHash, Torrent] = Registry()
        self.magnets: Registry[InfoHash, Magnet] = Registry()
        """Torrents whose metadata is not here yet; each of them ends up in ``torrents``."""
        self._peer_id = peer_id
        self._random = random
        self._budgets = Budgets(
            memory=Budget(self.config.torrent.active.max_buffered_bytes),
            links=Budget(self.config.max_links),
            half_open=Budget(self.config.max_half_open),
        )
        self._shared = (self._budgets.memory, self._budgets.links, self._budgets.half_open)
        self._admission = Admission(self.config.max_links)
        self._routes: dict[LinkId, _Member | None] = {}  # None: closed by us, or pending
        self._pending: dict[LinkId, _Pending] = {}
        self._handshakes: Deadlines[LinkId] = Deadlines()
        self._dials: dict[int, _Member] = {}
        self._next_dial = count(1)
        self._removing: dict[InfoHash, None] = {}
        self._dues: Dues[_Member] = Dues(self._has)
        self._now = 0.0
        port = self.config.torrent.listen_port
        self._finder = Finder(self.config.discovery, peer_id=peer_id, port=port, random=random)
        self._handlers: dict[type, Callable[[Any], list[Action]]] = {
            **dict.fromkeys(DISCOVERY_EVENTS, self._heard),
            BytesReceived: self._bytes_received,
            BytesPlaced: self._bytes_placed,
            Sent: self._sent,
            LinkOpened: self._link_opened,
            LinkClosed: self._link_closed,
            DialFailed: self._dial_failed,
            Tick: self._tick,
            AddTorrent: self._add,
            AddMagnet: self._add_magnet,
            RemoveTorrent: self._remove,
        }

    # --- The face ----------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event in; returns what is to be done, in order.

        Raises LocalProtocolError, and has then changed nothing, for an event that breaks the
        contract in ``events``.
        """
        before, self._now = self._now, max(self._now, now)
        late = 0.0
        if now - before > SLEPT:  # else nothing can be that late
            late = lateness(self.next_deadline(), before, now)
            self._postpone(late)
        try:
            actions = self._handlers.get(type(event), self._for_torrent)(event)
        except LocalProtocolError:
            self._now = before
            self._postpone(-late)
            raise
        actions += self._share_out()
        return actions if self._finder.is_idle else actions + self._settle()

    def _settle(self) -> list[Action]:
        """The end of a step that discovery has to do with."""
        actions: list[Action] = []
        self._dues.settle()  # torrents may be told things by others than us
        while found := self._finder.settle(self._now):
            for value in found:
                if isinstance(value, PeersFound):
                    actions += self._forward(self._named(value.torrent), value)
                else:
                    actions.append(value)
            actions += self._share_out()
        return actions

    def next_deadline(self) -> Deadline | None:
        """When ``handle(Tick(), ...)`` is owed at the latest, and why; None if never."""
        shaking = self._handshakes.soonest()
        return soonest(
            self._dues.first(),
            None if shaking is None else Deadline(shaking[0], "handshake"),
            self._finder.next_deadline(),
        )

    def explain(self, now: float) -> Explanations:
        """Why each missing block of each torrent is not here yet.

        A dictionary by info-hash; ``str`` of it is a paragraph for each torrent.
        """
        return Explanations((each.info_hash, self._account(each, now)) for each in self._members)

    def explain_one(self, info_hash: InfoHash, now: float) -> Explanation:
        """The same for one torrent.  Raises LocalProtocolError if it is not here."""
        return self._account(self._named(info_hash), now)

    def _account(self, torrent: _Member, now: float) -> Explanation:
        return torrent.explain(now, self._finder.dues(torrent.info_hash))

    @property
    def is_leaving(self) -> bool:
        """Whether a tracker has still to be told that we left, for which it has
        STOP_ANNOUNCE_TIMEOUT."""
        return self._finder.is_leaving

    # --- Torrents ------------------------------------------------------------------------

    def _add(self, event: AddTorrent) -> list[Action]:
        info_hash = event.metainfo.info_hash
        self._check_new(info_hash)
        torrent = self._make_torrent(event.metainfo, event.priorities)
        self.torrents.add(info_hash, torrent)
        self._dues.add(info_hash)
        return self._forward(torrent, StartTorrent(info_hash, event.resume))

    def _check_new(self, info_hash: InfoHash) -> None:
        if info_hash in self.torrents or info_hash in self.magnets:
            raise LocalProtocolError("the torrent is in the session already")

    def _make_torrent(
        self,
        metainfo: Metainfo,
        priorities: tuple[int, ...] | None,
        dialling: Dialling | None = None,
    ) -> Torrent:
        return Torrent(
            metainfo,
            peer_id=self._peer_id,
            random=self._random,
            config=self.config.torrent,
            budgets=self._budgets,
            new_dial_id=lambda: self._new_dial(metainfo.info_hash),
            priorities=priorities,
            dialling=dialling,
            node_seen=lambda address: self._finder.node_seen(metainfo.info_hash, address),
        )

    def _add_magnet(self, event: AddMagnet) -> list[Action]:
        from .magnet import Magnet  # most sessions never see one

        info_hash = event.magnet.info_hash
        self._check_new(info_hash)
        magnet = Magnet(
            event.magnet,
            peer_id=self._peer_id,
            random=self._random,
            config=self.config.torrent,
            budgets=self._budgets,
            new_dial_id=lambda: self._new_dial(info_hash),
            node_seen=lambda address: self._finder.node_seen(info_hash, address),
        )
        self.magnets.add(info_hash, magnet)
        self._dues.add(info_hash)
        return self._forward(magnet, StartTorrent(info_hash, event.resume))

    def _resolved(self, magnet: Magnet, metainfo: Metainfo) -> list[Action]:
        """The metadata is here: put a torrent in the place of the magnet, and give it all that
        the magnet had."""
        info_hash = magnet.info_hash
        if self.magnets.get(info_hash) is not magnet:
            return []  # it was put away, and its links are still being closed
        self.magnets.remove(info_hash)
        priorities = magnet.magnet.priorities(len(metainfo.files))
        torrent = self._make_torrent(metainfo, priorities, magnet.dialling)
        self.torrents.add(info_hash, torrent)
        for dial_id, owner in self._dials.items():
            if owner is magnet:
                self._dials[dial_id] = torrent
        self._dues.turn_to(torrent)
        actions = torrent.handle(StartTorrent(info_hash, magnet.resume), self._now)
        for handed in magnet.give_away():
            self._routes[handed.link] = torrent
            actions += torrent.adopt(handed, self._now)
        self._after(torrent)
        return actions

    def _remove(self, event: RemoveTorrent) -> list[Action]:
        torrent = self._named(event.torrent)
        self._removing[event.torrent] = None
        return self._forward(torrent, StopTorrent(event.torrent))

    def _for_torrent(self, event: Any) -> list[Action]:
        info_hash = getattr(event, "torrent", None)
        if info_hash is None:
            raise LocalProtocolError(f"a session does not take {type(event).__name__}")
        return self._forward(self._named(info_hash), event)

    @property
    def _members(self) -> list[_Member]:
        return [*self.torrents, *self.magnets]

    def _member(self, info_hash: InfoHash) -> _Member | None:
        return self.torrents.get(info_hash) or self.magnets.get(info_hash)

    def _has(self, torrent: _Member) -> bool:
        return self._member(torrent.info_hash) is torrent

    def _named(self, info_hash: InfoHash) -> _Member:
        torrent = self._member(info_hash)
        if torrent is None:
            raise LocalProtocolError("no such torrent in the session")
        return torrent

    def _forward(self, torrent: _Member, event: Event) -> list[Action]:
        self._dues.turn_to(torrent)
        actions = torrent.handle(event, self._now)
        self._after(torrent)
        if not isinstance(torrent, Torrent) and torrent.metainfo is not None:
            actions += self._resolved(torrent, torrent.metainfo)
        return actions

    def _after(self, torrent: _Member) -> None:
        """A torrent has moved: its removal may be complete."""
        info_hash = torrent.info_hash
        if not self._has(torrent):
            return  # removed; its last dials and links are still being answered
        self._finder.note(torrent)
        if info_hash in self._removing and torrent.state is TorrentState.STOPPED:
            self._forget(info_hash)

    def _forget(self, info_hash: InfoHash) -> None:
        del self._removing[info_hash]
        self._dues.forget(info_hash)
        self.torrents.remove(info_hash)
        self.magnets.remove(info_hash)
        for budget in self._shared:
            budget.forget(info_hash)

    def _share_out(self) -> list[Action]:
        """Tell those who were refused memory, links or dials that some came free."""
        memory, links, half_open = budgets = self._shared
        if not (memory.told or links.told or half_open.told or memory.refused):
            return []  # as nearly always
        actions = self._make_room()
        # What is told to one may free something for another that was told before.
        while waiting := [name for budget in budgets for name in budget.take_waiting()]:
            for info_hash in waiting:
                torrent = self._named(info_hash)  # a removal has it forgotten by the budgets
                self._dues.turn_to(torrent)
                actions += torrent.resume_requests(self._now)
                self._after(torrent)
            actions += self._make_room()
        return actions

    def _make_room(self) -> list[Action]:
        """Memory was refused: have one torrent give up what nobody works on."""
        info_hash = self._budgets.memory.take_offer()
        if info_hash is None:
            return []
        torrent = self._named(info_hash)
        self._dues.turn_to(torrent)
        actions = torrent.give_way(self._now)
        self._after(torrent)
        return actions

    # --- Links -------------------------------------------------------------------------

    def _link_opened(self, event: LinkOpened) -> list[Action]:
        if event.link in self._routes:
            raise LocalProtocolError(f"link {event.link!r} is open already")
        if event.dial_id is not None:
            torrent = self._dialled(event.dial_id)
            actions = self._forward(torrent, event)
            del self._dials[event.dial_id]
            self._routes[event.link] = torrent
            return actions
        self._routes[event.link] = None
        refused = self._admission.refusal(event.address.host, len(self._pending))
        if refused is not None:
            return [Close(event.link, refused)]
        self._admission.admit(event.link, event.address.host)
        since = self._now if event.since is None else min(event.since, self._now)
        self._pending[event.link] = _Pending(event, since)
        self._handshakes.set(event.link, since + HANDSHAKE_TIMEOUT)
        return []

    def _bytes_received(self, event: BytesReceived) -> list[Action]:
        torrent = self._route(event.link)
        if torrent is not None:
            return self._forward(torrent, event)
        pending = self._pending.get(event.link)
        return [] if pending is None else self._peek(pending, event)

    def receive_into(self, link: LinkId, most: int) -> list[memoryview]:
        """Places for the next bytes of a link; none if what comes is not known.

        As ``Torrent.receive_into``; theirs until anything else is told.
        """
        torrent = self._route(link)
        return torrent.receive_into(link, most) if isinstance(torrent, Torrent) else []

    def _bytes_placed(self, event: BytesPlaced) -> list[Action]:
        torrent = self._route(event.link)
        if torrent is None:
            raise LocalProtocolError(f"no places were given for link {event.link!r}")
        return self._forward(torrent, event)

    def _peek(self, pending: _Pending, event: BytesReceived) -> list[Action]:
        """Route a pending link, if it has said enough."""
        link = event.link
        pending.head += event.data
        try:
            info_hash = peek_info_hash(pending.head)
        except WireError as error:
            return self._refuse(link, CloseReason.WRONG_PROTOCOL, str(error))
        if info_hash is None:
            return []
        torrent = self._member(info_hash)
        if torrent is None:
            return self._refuse(link, CloseReason.WRONG_TORRENT, f"it named {info_hash.hex()}")
        self._settled(link)
        self._routes[link] = torrent
        opened = attrs.evolve(pending.opened, since=pending.since)
        actions = self._forward(torrent, opened)
        return actions + self._forward(torrent, BytesReceived(link, bytes(pending.head)))

    def _refuse(self, link: LinkId, reason: CloseReason, detail: str = "") -> list[Action]:
        self._settled(link)
        return [Close(link, reason, detail)]

    def _settled(self, link: LinkId) -> None:
        """The link is pending no more.  No effect if it was not."""
        self._pending.pop(link, None)
        self._handshakes.clear(link)

    def _sent(self, event: Sent) -> list[Action]:
        torrent = self._route(event.link)
        return [] if torrent is None else self._forward(torrent, event)

    def _link_closed(self, event: LinkClosed) -> list[Action]:
        torrent = self._routes.pop(event.link, None)
        self._settled(event.link)
        self._admission.forget(event.link)
        return [] if torrent is None else self._forward(torrent, event)

    def _route(self, link: LinkId) -> _Member | None:
        if link not in self._routes:
            raise LocalProtocolError(f"no link {link!r}")
        return self._routes[link]

    def _postpone(self, seconds: float) -> None:
        """Hold the last ``seconds`` against no link: nobody was there to listen."""
        if not seconds:
            return
        for link, pending in self._pending.items():
            pending.since += seconds
            self._handshakes.set(link, pending.since + HANDSHAKE_TIMEOUT)
        for torrent in self._members:
            self._dues.turn_to(torrent)
            torrent.postpone(seconds)

    # --- Dials and time --------------------------------------------------------------------

    def _new_dial(self, info_hash: InfoHash) -> int:
        dial_id = next(self._next_dial)
        self._dials[dial_id] = self._named(info_hash)
        return dial_id

    def _dialled(self, dial_id: int) -> _Member:
        torrent = self._dials.get(dial_id)
        if torrent is None:
            raise LocalProtocolError(f"no dial {dial_id} is under way")
        return torrent

    def _dial_failed(self, event: DialFailed) -> list[Action]:
        torrent = self._dialled(event.dial_id)
        actions = self._forward(torrent, event)
        del self._dials[event.dial_id]
        return actions

    def _heard(self, event: Any) -> list[Action]:
        self._dues.settle()  # as in ``_settle``
        self._finder.handle(event, self._now)
        return []

    def _tick(self, event: Tick) -> list[Action]:
        self._dues.settle()  # as in ``_settle``
        self._finder.tick(self._now)
        actions: list[Action] = []
        while (link := self._handshakes.pop_due(self._now)) is not None:
            actions += self._refuse(link, CloseReason.HANDSHAKE_TIMEOUT)
        while (info_hash := self._dues.pop_due(self._now)) is not None:
            actions += self._forward(self._named(info_hash), event)
        return actions
