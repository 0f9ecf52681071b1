"""One lookup: asking nodes closer and closer to a target, until nobody knows a closer one.

It ends when the K closest nodes that can be had have answered, or after
DHT_QUERIES_A_LOOKUP queries, whatever it is told.  A node counts among these K only if its id
fits its address (BEP 42): others are asked as well, but cannot end a lookup by crowding
around its target.  Of one place only the first node is asked, and nobody is asked twice.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from enum import Enum

from ..classes import frozen
from ..limits import (
    DHT_ALPHA,
    DHT_CANDIDATES,
    DHT_K,
    DHT_NODES_A_REPLY,
    DHT_PEERS_A_SEARCH,
    DHT_QUERIES_A_LOOKUP,
    DHT_ROUTERS,
)
from ..types import Address
from ..wire.contacts import NodeInfo
from ..wire.krpc_values import Reply
from .bloom import EMPTY, union
from .hosts import may_tell, place_of
from .node_id import fits, number


class State(Enum):
    """What became of a candidate so far."""

    NEW = "not asked"
    ASKED = "asked"
    SLOW = "asked, and slow to answer"
    REPLIED = "answered"
    FAILED = "did not answer"


class Aim(Enum):
    """What a lookup is for; the value is what a person reads."""

    BOOTSTRAP = "the way into the DHT"
    REFRESH = "a refresh of the routing table"
    PEERS = "a search for peers"


@frozen
class Purpose:
    """What a search for peers is to do besides finding them."""

    port: int | None = None
    """Announce that we are there, at this port; None: look only."""
    seed: bool = False
    """We have all of it (BEP 33)."""
    scrape: bool = False
    """Ask for counts as well (BEP 33)."""


class Candidate:
    """A node that may be close to the target."""

    __slots__ = ("distance", "fits", "info", "state", "token")

    def __init__(self, info: NodeInfo, target: int) -> None:
        self.info = info
        self.distance = number(info.node_id) ^ target
        self.fits = fits(info.node_id, info.address.host)
        self.state = State.NEW
        self.token: bytes | None = None


class Lookup:
    """Whom to ask next, and what came of it."""

    __slots__ = (
        "_by_id",
        "_places",
        "_sorted",
        "_target",
        "_unnamed",
        "aim",
        "asked",
        "ended",
        "in_flight",
        "own_id",
        "peer_filter",
        "peers",
        "purpose",
        "replies",
        "seed_filter",
        "target",
    )

    def __init__(
        self, aim: Aim, target: bytes, own_id: bytes, purpose: Purpose | None = None
    ) -> None:
        self.aim = aim
        self.target = target
        self.own_id = own_id
        self.purpose = purpose
        """Of a search for peers, for as long as somebody wants to know."""
        self.asked = 0
        """Queries sent."""
        self.replies = 0
        """Nodes that answered."""
        self.in_flight = 0
        """Queries out that are not slow yet."""
        self.ended = False
        self.peers: dict[Address, None] = {}
        """All that were told of."""
        self.seed_filter = EMPTY
        self.peer_filter = EMPTY
        self._target = number(target)
        self._by_id: dict[bytes, Candidate] = {}
        self._places: dict[bytes, Candidate] = {}
        self._sorted: list[Candidate] = []
        self._unnamed: deque[Address] = deque(maxlen=DHT_ROUTERS)

    # --- Candidates ------------------------------------------------------------------------

    def suggest(self, info: NodeInfo) -> None:
        """Consider this node; its address must be one where a node can be."""
        place = place_of(info.address)
        if info.node_id == self.own_id or info.node_id in self._by_id or place in self._places:
            return
        candidate = Candidate(info, self._target)
        if len(self._sorted) >= DHT_CANDIDATES and not self._make_room(candidate):
            return
        self._by_id[info.node_id] = self._places[place] = candidate
        insort(self._sorted, candidate, key=lambda known: known.distance)

    def suggest_router(self, address: Address) -> None:
        """Ask here as well, if there are not nodes enough: nobody knows the id."""
        self._unnamed.append(address)

    def _make_room(self, newcomer: Candidate) -> bool:
        last = self._sorted[-1]
        if last.state is not State.NEW or last.distance <= newcomer.distance:
            return False
        self._sorted.pop()
        del self._by_id[last.info.node_id], self._places[place_of(last.info.address)]
        return True

    # --- Asking -----------------------------------------------------------------------------

    def take_next(self) -> NodeInfo | None:
        """Whom to ask now, if anybody; the id is empty where it is not known."""
        if self.ended or self.in_flight >= DHT_ALPHA or self.asked >= DHT_QUERIES_A_LOOKUP:
            return None
        found = self._first_new()
        if found is not None:
            found.state = State.ASKED
            info = found.info
        elif self._unnamed and not self._is_satisfied():
            info = NodeInfo(b"", self._unnamed.popleft())
        else:
            return None
        self.asked += 1
        self.in_flight += 1
        return info

    def check_end(self) -> bool:
        """Whether the lookup ends here; true once."""
        if self.ended or self._goes_on():
            return False
        self.ended = True
        return True

    def _goes_on(self) -> bool:
        """Somebody may still be asked, or answer, who is closer than the K that did."""
        if self.in_flight and not self._is_satisfied():
            return True
        if self.asked >= DHT_QUERIES_A_LOOKUP:
            return False
        return self._first_new() is not None or bool(self._unnamed and not self._is_satisfied())

    def _first_new(self) -> Candidate | None:
        """The closest that was not asked, before the K closest that answered."""
        settled = 0
        for candidate in self._sorted:
            if candidate.state is State.NEW:
                return candidate
            settled += candidate.state is State.REPLIED and candidate.fits
            if settled >= DHT_K:
                break
        return None

    def _is_satisfied(self) -> bool:
        """The K closest, of those that are not given up, have answered."""
        settled = 0
        for candidate in self._sorted:
            if candidate.state in (State.NEW, State.ASKED):
                return False
            settled += candidate.state is State.REPLIED and candidate.fits
            if settled >= DHT_K:
                return True
        return False

    # --- Answers ----------------------------------------------------------------------------

    def replied(self, info: NodeInfo, reply: Reply, nodes: tuple[NodeInfo, ...]) -> list[Address]:
        """The node that we asked as ``info`` answered, slow or not; ``nodes`` are those of our
        family.  Returns the peers that are new."""
        candidate = self._settle(info, State.REPLIED if info.node_id == reply.node_id else None)
        if candidate is None:
            return []
        self.replies += 1
        candidate.token = reply.token
        self._merge_filters(reply)
        self._take_nodes(info.address, nodes)
        return self._take_peers(info.address, reply.values or ())

    def router_replied(self, info: NodeInfo, nodes: tuple[NodeInfo, ...], was_slow: bool) -> None:
        """Somebody answered whose id we did not know, and need not ask again."""
        self.in_flight -= not was_slow
        self.replies += 1
        self.suggest(info)
        candidate = self._places.get(place_of(info.address))
        if candidate is not None and candidate.info == info and candidate.state is State.NEW:
            candidate.state = State.REPLIED
        self._take_nodes(info.address, nodes)

    def failed(self, info: NodeInfo, was_slow: bool) -> None:
        """A node did not answer, or with an error."""
        if info.node_id:
            self._settle(info, None)
        else:
            self.in_flight -= not was_slow

    def slow(self, info: NodeInfo) -> None:
        """A node takes its time: another may be asked."""
        self.in_flight -= 1
        if info.node_id:
            self._by_id[info.node_id].state = State.SLOW

    def holders(self) -> list[tuple[NodeInfo, bytes]]:
        """Whom to announce to, each with its token: the K closest that gave one, those first
        whose id fits their address (BEP 42, Enforcement)."""
        giving = [c for c in self._sorted if c.state is State.REPLIED and c.token is not None]
        giving.sort(key=lambda candidate: not candidate.fits)
        return [(c.info, c.token) for c in giving[:DHT_K] if c.token is not None]

    def _settle(self, info: NodeInfo, state: State | None) -> Candidate | None:
        candidate = self._by_id[info.node_id]
        if candidate.state is State.ASKED:
            self.in_flight -= 1
        candidate.state = state or State.FAILED
        return candidate if state else None

    def _take_nodes(self, teller: Address, nodes: tuple[NodeInfo, ...]) -> None:
        for node in nodes[:DHT_NODES_A_REPLY]:
            if may_tell(teller, node.address):
                self.suggest(node)

    def _take_peers(self, teller: Address, peers: tuple[Address, ...]) -> list[Address]:
        fresh = []
        for peer in peers:
            if len(self.peers) >= DHT_PEERS_A_SEARCH:
                break
            if peer not in self.peers and may_tell(teller, peer):
                self.peers[peer] = None
                fresh.append(peer)
        return fresh

    def _merge_filters(self, reply: Reply) -> None:
        self.seed_filter = union(self.seed_filter, reply.seed_filter or EMPTY)
        self.peer_filter = union(self.peer_filter, reply.peer_filter or EMPTY)
