"""Our node in one of the two DHTs (BEP 32): its id, its table, and its lookups.

How it begins: whoever it was told of (saved nodes, PORT messages, the other DHT) and the
routers are asked for the way to its own id.  Nobody is put into the table for having asked
us, since anybody can ask in anybody's name; a stranger that would be of use is pinged.

While it knows fewer than K nodes, the way in is looked for again and again, and routers that
answer are nodes as any other: where few people meet, they may be all there is.  (lt asks its
routers, and announces to them, in every lookup that begins with fewer than three nodes.)  Once
there are K others, routers are left alone: they serve everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from ..deadlines import Deadline, soonest
from ..events import PeersFound
from ..limits import (
    DHT_BOOTSTRAP_RETRY,
    DHT_K,
    DHT_LEADS,
    DHT_MAX_BOOTSTRAP_RETRY,
    DHT_PINGS,
    DHT_ROUTERS,
)
from ..types import Address, Family, InfoHash, PeerSource
from ..wire.contacts import NodeInfo
from ..wire.krpc_values import (
    AnnouncePeer,
    Ask,
    Failure,
    FindNode,
    GetPeers,
    Ping,
    Query,
    Reply,
    Response,
)
from .desk import Desk
from .hosts import may_tell
from .lookup import Aim, Lookup, Purpose
from .node_id import fits, make_id
from .outside import OutsideAddress
from .persist import Saved
from .table import Table
from .transactions import Pending, Transactions


class Overlay:
    """One node of one DHT."""

    __slots__ = (
        "_asked_at",
        "_bootstrap",
        "_desk",
        "_fresh",
        "_latest",
        "_leads",
        "_outside",
        "_pings",
        "_refresh",
        "_retry_at",
        "_retry_pause",
        "_routers",
        "_transactions",
        "_wants_routers",
        "ended",
        "family",
        "grew",
        "others",
        "searches",
        "table",
    )

    def __init__(self, desk: Desk, family: Family, saved: Saved, now: float) -> None:
        self.family = family
        self.table = Table(saved.node_id or make_id(desk.random), now)
        self.others: list[Overlay] = []
        """The node in the other DHT, if we have one: told of what it asked for."""
        self.searches: dict[InfoHash, Lookup] = {}
        """Searches under way."""
        self.ended: list[Lookup] = []
        """Searches that ended since somebody looked."""
        self.grew = False
        """The way in was found, or found again, and nodes are known that were not before: what
        found nobody may now.  Whoever reads it sets it back."""
        self._desk = desk
        self._transactions = Transactions(desk.random)
        self._outside = OutsideAddress()
        self._leads: dict[NodeInfo, None] = dict.fromkeys(saved.nodes)
        self._routers: dict[Address, None] = {}
        self._latest: dict[InfoHash, Lookup] = {}
        self._pings: dict[Address, None] = {}
        self._bootstrap: Lookup | None = None
        self._asked_at = -inf  # when the last bootstrap began that found somebody to ask
        self._fresh = False  # somebody entered the table since the last bootstrap ended
        self._refresh: Lookup | None = None
        self._retry_at: float | None = None
        self._retry_pause = DHT_BOOTSTRAP_RETRY
        self._wants_routers = True

    # --- What it says ---------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether a lookup has somebody to begin with, and the way in is not being looked for."""
        return self._bootstrap is None and self.is_answered

    @property
    def is_answered(self) -> bool:
        """Whether we know of a node that has answered, and does not fail."""
        return bool(self.table.closest(self.table.own_id, 1))

    @property
    def is_populated(self) -> bool:
        """Whether we know K such nodes beside the routers."""
        known = self.table.closest(self.table.own_id, DHT_K + DHT_ROUTERS)
        return sum(info.address not in self._routers for info in known) >= DHT_K

    @property
    def may_be_reached(self) -> bool:
        """Whether it is, or nodes to begin with are being asked."""
        return self.is_ready or self._bootstrap is not None

    @property
    def _may_refresh(self) -> bool:
        return self._refresh is None and self.is_ready

    @property
    def in_flight(self) -> int:
        """Queries that wait for an answer."""
        return len(self._transactions)

    @property
    def host(self) -> str | None:
        """Where the others see us, as far as enough of them agree."""
        return self._outside.host

    def next_deadline(self) -> Deadline | None:
        """What is due next, if anything."""
        return soonest(
            _deadline(self._transactions.next_at(), "an answer of a DHT node"),
            _deadline(self._retry_at, "the DHT is tried again"),
            _deadline(
                self.table.refresh_at() if self._may_refresh else None, "a refresh of the DHT"
            ),
        )

    def saved(self) -> Saved:
        """What to keep for the next start: those that answered last time, else the leads."""
        nodes = sorted(self.table.nodes(), key=lambda node: (node.bad, -node.heard_at))
        known = [node.info for node in nodes] or list(self._leads)
        return Saved(self.table.own_id, tuple(known[:DHT_LEADS]))

    # --- Beginning --------------------------------------------------------------------------

    def add_router(self, address: Address, now: float) -> None:
        """Somewhere to begin; in the table only while there are few others."""
        if address in self._routers or len(self._routers) >= DHT_ROUTERS:
            return
        self._routers[address] = None
        if self._bootstrap is not None:
            self._bootstrap.suggest_router(address)
            self._advance(self._bootstrap, now)
        elif not self.is_populated:
            self.bootstrap(now)

    def adopt(self, nodes: Iterable[NodeInfo], now: float) -> None:
        """Go on as if these had answered just now, and the way in were known: a simulation
        has no years to let a network grow."""
        for info in nodes:
            self.table.replied(info, now)
        self.table.rest(now)
        self._retry_at = None
        self._wants_routers = False

    def take_call_for_routers(self) -> bool:
        """Whether the addresses of the routers are to be found out; true once."""
        wanted, self._wants_routers = self._wants_routers, False
        return wanted

    def add_lead(self, info: NodeInfo) -> None:
        """A node that somebody spoke of, to be asked at the next beginning."""
        if len(self._leads) < DHT_LEADS:
            self._leads[info] = None

    def ping(self, address: Address, node_id: bytes, now: float) -> None:
        """See whether a node is there; if so, it gets into the table by the usual rules."""
        if len(self._pings) < DHT_PINGS and address not in self._pings:
            self._pings[address] = None
            self._query(Ping(self.table.own_id), address, node_id, None, now)

    def bootstrap(self, now: float) -> None:
        """Look for the way to our own id, from everybody we were ever told of."""
        if self._bootstrap is not None:
            return
        self._retry_at = None
        lookup = self._bootstrap = Lookup(Aim.BOOTSTRAP, self.table.own_id, self.table.own_id)
        # The bad ones too: after an outage of ours all are.
        for info in [*(node.info for node in self.table.nodes()), *self._leads]:
            lookup.suggest(info)
        for address in self._routers:
            if self.table.at(address) is None:
                lookup.suggest_router(address)
        self._advance(lookup, now)
        if lookup.asked:
            self._asked_at = now

    # --- Searching --------------------------------------------------------------------------

    def search(self, info_hash: InfoHash, purpose: Purpose, now: float) -> None:
        """Look for peers of a torrent, and announce us where ``purpose`` says so."""
        lookup = Lookup(Aim.PEERS, info_hash, self.table.own_id, purpose)
        for info in self.table.closest(info_hash, DHT_K):
            lookup.suggest(info)
        self.searches[info_hash] = self._latest[info_hash] = lookup
        self._advance(lookup, now)

    def latest(self, info_hash: InfoHash) -> Lookup | None:
        """The last search for a torrent, over or not."""
        return self._latest.get(info_hash)

    def forget(self, info_hash: InfoHash) -> None:
        """Nobody wants to know of this torrent any more, not even what comes late."""
        lookup = self._latest.pop(info_hash, None)
        if lookup is not None:
            lookup.ended = True
            lookup.purpose = None
            self.searches.pop(info_hash, None)

    # --- What happens ------------------------------------------------------------------------

    def heard(self, node_id: bytes, address: Address, now: float) -> None:
        """A node that answers queries asked us something."""
        info = NodeInfo(node_id, address)
        if self.table.heard(info, now) or self._is_needless(address):
            return
        if self.table.has_place_for(info):
            self.ping(address, node_id, now)

    def answered(self, packet: Response | Failure, source: Address, now: float) -> None:
        """An answer came; it counts only if we asked for it."""
        pending = self._transactions.take(packet.transaction, source)
        if pending is None:
            return
        self._pings.pop(source, None)
        if isinstance(packet, Response):
            self._replied(pending, packet.reply, now)
        else:
            # An error is a sign of life all the same; no failure goes to the node's account.
            self._lookup_failed(pending, now)
        # Last: another id of ours makes another table.
        if packet.seen is not None and self._outside.vote(source, packet.seen):
            self._settle_on_id(now)

    def tick(self, now: float) -> None:
        """Whatever is due."""
        while (due := self._transactions.pop_due(now)) is not None:
            pending, lost = due
            if lost:
                self._lost(pending, now)
            elif pending.lookup is not None:
                pending.lookup.slow(pending.info)
                self._advance(pending.lookup, now)
        if self._retry_at is not None and self._retry_at <= now:
            self._wants_routers = True  # they may have moved, or we may have been offline
            self.bootstrap(now)
        if self._may_refresh:
            self._refresh_bucket(now)

    # --- Inside --------------------------------------------------------------------------------

    def _query(
        self, ask: Ask, address: Address, node_id: bytes, lookup: Lookup | None, now: float
    ) -> None:
        transaction = self._transactions.begin(address, node_id, lookup, now)
        self._desk.send(Query(transaction, ask, self._desk.config.read_only), address)

    def _advance(self, lookup: Lookup, now: float) -> None:
        while (info := lookup.take_next()) is not None:
            self._query(self._ask_of(lookup), info.address, info.node_id, lookup, now)
        if lookup.check_end():
            self._ended(lookup, now)

    def _ask_of(self, lookup: Lookup) -> Ask:
        # Both families are asked for while there is little to go by (BEP 32, Bootstrapping).
        if lookup.purpose is not None:
            return GetPeers(self.table.own_id, lookup.target, scrape=lookup.purpose.scrape)
        both = lookup.aim is Aim.BOOTSTRAP and bool(self.others)
        want = (Family.IPV4, Family.IPV6) if both else ()
        return FindNode(self.table.own_id, lookup.target, want)

    def _replied(self, pending: Pending, reply: Reply, now: float) -> None:
        address, lookup = pending.address, pending.lookup
        is_new = self._admit(NodeInfo(reply.node_id, address), now)
        if pending.node_id not in (b"", reply.node_id):
            self.table.failed(pending.info, now)
        if lookup is None:
            if is_new:
                self._welcome(now)
            return
        nodes = self._nodes_of(reply, address, now)
        if not pending.node_id:
            lookup.router_replied(NodeInfo(reply.node_id, address), nodes, pending.slow)
        else:
            self._tell(lookup, lookup.replied(pending.info, reply, nodes))
        self._advance(lookup, now)

    def _admit(self, info: NodeInfo, now: float) -> bool:
        """Who answered gets into the table, if he is of use there; whether he is new to it."""
        if self._is_needless(info.address):
            return False
        was_known = self.table.knows(info)
        doubtful = self.table.replied(info, now)
        if doubtful is not None:
            self.ping(doubtful.address, doubtful.node_id, now)
        is_new = not was_known and self.table.knows(info)
        if is_new:
            self._fresh = True
            self._retry_pause = DHT_BOOTSTRAP_RETRY
        self._dismiss_routers(now)
        return is_new

    def _is_needless(self, address: Address) -> bool:
        """Whether a router is there, and we get along without."""
        return address in self._routers and self.is_populated

    def _dismiss_routers(self, now: float) -> None:
        guests = [info for info in map(self.table.at, self._routers) if info is not None]
        if guests and self.is_populated:
            for info in guests:
                self.table.remove(info, now)

    def _tell(self, lookup: Lookup, peers: list[Address]) -> None:
        if lookup.purpose is None:
            return
        ourselves = (self._outside.host, lookup.purpose.port)
        others = tuple(peer for peer in peers if peer != ourselves)
        if others:
            self._desk.emit(PeersFound(lookup.target, PeerSource.DHT, others))

    def _welcome(self, now: float) -> None:
        """The first that answer a ping show the way to the others (BEP 5, Routing Table); soon,
        and not at once, where many come one by one."""
        if self._retry_at is not None:
            soon = max(now, self._asked_at + DHT_BOOTSTRAP_RETRY)
            self._retry_at = min(self._retry_at, soon)

    def _nodes_of(self, reply: Reply, teller: Address, now: float) -> tuple[NodeInfo, ...]:
        own, foreign = reply.nodes or (), reply.nodes6 or ()
        if self.family is Family.IPV6:
            own, foreign = foreign, own
        for other in self.others:
            for info in foreign[:DHT_K]:
                if may_tell(teller, info.address):
                    other.offer(info, now)
        return own

    def offer(self, info: NodeInfo, now: float) -> None:
        """The other DHT told of this node of ours: of use only while we know hardly anybody."""
        if len(self.table) < DHT_K:
            self.add_lead(info)
            if self._retry_at is not None:
                self._retry_at = now

    def _lost(self, pending: Pending, now: float) -> None:
        self._pings.pop(pending.address, None)
        if pending.node_id:
            self.table.failed(pending.info, now)
        self._lookup_failed(pending, now)
        if self._bootstrap is None and self._retry_at is None:
            self._try_again(now)  # the last one that we knew may be bad now

    def _lookup_failed(self, pending: Pending, now: float) -> None:
        if pending.lookup is not None:
            pending.lookup.failed(pending.info, pending.slow)
            self._advance(pending.lookup, now)

    def _ended(self, lookup: Lookup, now: float) -> None:
        if lookup.aim is Aim.REFRESH:
            self._refresh = None
        elif lookup.aim is Aim.BOOTSTRAP:
            self._bootstrap = None
            self._after_bootstrap(now, reached=lookup.replies > 0)
        else:
            del self.searches[lookup.target]
            self.ended.append(lookup)
            self._announce(lookup, now)

    def _after_bootstrap(self, now: float, *, reached: bool) -> None:
        if reached and self.is_ready:
            self.grew |= self._fresh
            self._fresh = False
            self._leads.clear()
        self._try_again(now, in_vain=not reached)

    def _try_again(self, now: float, *, in_vain: bool = False) -> None:
        """Look for the way in after a pause, unless we know nodes enough."""
        if self.is_populated and not in_vain:
            self._retry_pause = DHT_BOOTSTRAP_RETRY
            return
        self._retry_at = now + self._retry_pause
        self._retry_pause = min(2 * self._retry_pause, DHT_MAX_BOOTSTRAP_RETRY)

    def _announce(self, lookup: Lookup, now: float) -> None:
        purpose = lookup.purpose
        if purpose is None or purpose.port is None:
            return
        for info, token in lookup.holders():
            own_id, port, seed = self.table.own_id, purpose.port, purpose.seed
            ask = AnnouncePeer(own_id, lookup.target, port, token, seed=seed)
            self._query(ask, info.address, info.node_id, None, now)

    def _refresh_bucket(self, now: float) -> None:
        target = self.table.take_stale(now, self._desk.random)
        if target is None:
            return
        lookup = self._refresh = Lookup(Aim.REFRESH, target, self.table.own_id)
        for info in self.table.closest(target, DHT_K):
            lookup.suggest(info)
        self._advance(lookup, now)

    def _settle_on_id(self, now: float) -> None:
        """We are elsewhere than we thought: an id that fits, and the table sorted by it."""
        if fits(self.table.own_id, self._outside.host or ""):
            return
        former = self.table
        self.table = Table(make_id(self._desk.random, self._outside.host), now)
        for node in former.nodes():
            if not node.bad:
                self.table.replied(node.info, node.heard_at)
        if self._bootstrap is not None:
            self._bootstrap.ended = True
            self._bootstrap = None
        self.bootstrap(now)


def _deadline(when: float | None, why: str) -> Deadline | None:
    return None if when is None else Deadline(when, why)
