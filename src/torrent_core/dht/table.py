"""The routing table (BEP 5): nodes that answered us, many near our own id and few far away.

Bucket ``i`` holds nodes that share exactly ``i`` first bits with us; the last one all that
share more, and it is split when it overflows.  Only who has answered one of our queries gets
in, so nobody can fill it with addresses that are not his; and nobody gets in twice from one
place.  Whoever came too late for a full bucket is a *spare*, and takes the place of the first
that fails.  A node with an id that does not fit its address (BEP 42) gives way to one that
does.  Bad nodes stay until somebody wants their place: after an outage everybody is bad, and
all we have.
"""

from __future__ import annotations

from ..deadlines import Deadlines
from ..limits import DHT_BAD_FAILURES, DHT_GOOD_SECONDS, DHT_K, DHT_SPARES
from ..types import Address, RandomSource
from ..wire.contacts import ID_BYTES, NodeInfo
from .hosts import place_of
from .node_id import ID_BITS, common_bits, fits, number


class TableNode:
    """A node that answered us at least once."""

    __slots__ = ("failures", "fits", "heard_at", "info", "key", "place")

    def __init__(self, info: NodeInfo, now: float) -> None:
        self.info = info
        self.key = number(info.node_id)
        self.place = place_of(info.address)
        self.fits = fits(info.node_id, info.address.host)
        self.heard_at = now
        """When it last answered or asked."""
        self.failures = 0
        """Queries in a row that it did not answer."""

    @property
    def bad(self) -> bool:
        """It fails, and gives its place to whoever wants it."""
        return self.failures >= DHT_BAD_FAILURES

    def questionable(self, now: float) -> bool:
        """Nobody knows whether it is still there."""
        return self.failures > 0 or now - self.heard_at >= DHT_GOOD_SECONDS


class Bucket:
    """Up to K nodes, and those that wait for one of their places, longest first."""

    __slots__ = ("nodes", "spares")

    def __init__(self) -> None:
        self.nodes: list[TableNode] = []
        self.spares: list[TableNode] = []


class Table:
    """What one node knows of one DHT.  At most one node of a place, 2 K nodes of a bucket."""

    __slots__ = ("_buckets", "_by_key", "_by_place", "_refreshes", "own_id", "own_key")

    def __init__(self, own_id: bytes, now: float) -> None:
        self.own_id = own_id
        self.own_key = number(own_id)
        self._buckets = [Bucket()]
        self._by_key: dict[int, TableNode] = {}
        self._by_place: dict[bytes, TableNode] = {}
        self._refreshes: Deadlines[int] = Deadlines()
        self._refreshes.set(0, now + DHT_GOOD_SECONDS)

    # --- What it says --------------------------------------------------------------------

    def __len__(self) -> int:
        """Nodes that have a place, whatever their state."""
        return sum(len(bucket.nodes) for bucket in self._buckets)

    @property
    def bucket_count(self) -> int:
        """Buckets, at most as many as an id has bits."""
        return len(self._buckets)

    def nodes(self) -> list[TableNode]:
        """All that have a place, the farthest first."""
        return [node for bucket in self._buckets for node in bucket.nodes]

    def spares(self) -> list[TableNode]:
        """All that wait for one."""
        return [node for bucket in self._buckets for node in bucket.spares]

    def knows(self, info: NodeInfo) -> bool:
        """Whether this very node is in the table, or a spare."""
        node = self._by_key.get(number(info.node_id))
        return node is not None and node.info == info

    def at(self, address: Address) -> NodeInfo | None:
        """The node at this address, in the table or a spare."""
        node = self._by_place.get(place_of(address))
        return node.info if node is not None and node.info.address == address else None

    def has_place_for(self, info: NodeInfo) -> bool:
        """Whether this stranger, if it answers, would be of use."""
        if place_of(info.address) in self._by_place:
            return False
        key = number(info.node_id)
        if key == self.own_key or key in self._by_key:
            return False
        index = self._index(key)
        bucket = self._buckets[index]
        return (
            len(bucket.nodes) < DHT_K or self._may_split(index) or len(bucket.spares) < DHT_SPARES
        )

    def closest(self, target: bytes, count: int, *, sure: bool = False) -> list[NodeInfo]:
        """The nodes nearest to ``target`` that are not bad; ``sure`` leaves out those that
        failed to answer the last query."""
        worst = 0 if sure else DHT_BAD_FAILURES - 1
        key = number(target)
        found: list[NodeInfo] = []
        # All of the bucket that the target falls in are nearer than all of the later ones
        # together, and these are nearer than each earlier bucket in its turn.
        home = self._index(key)
        later = [node for bucket in self._buckets[home + 1 :] for node in bucket.nodes]
        groups = [self._buckets[home].nodes, later]
        groups += [self._buckets[index].nodes for index in range(home - 1, -1, -1)]
        for group in groups:
            usable = [node for node in group if node.failures <= worst]
            usable.sort(key=lambda node: node.key ^ key)
            found += [node.info for node in usable]
            if len(found) >= count:
                break
        return found[:count]

    # --- What changes it ------------------------------------------------------------------

    def replied(self, info: NodeInfo, now: float) -> NodeInfo | None:
        """A node answered us.  Returns one to be pinged, where this one waits for a place."""
        key = number(info.node_id)
        known = self._by_key.get(key)
        if key == self.own_key or (known is not None and known.info != info and not known.bad):
            return None  # two of one name: the one that we know counts
        if known is not None and known.info == info:
            known.heard_at, known.failures = now, 0
            self._touch(key, now)
            return None
        for former in (known, self._by_place.get(place_of(info.address))):
            if former is not None:
                self._drop(former)
        return self._insert(TableNode(info, now), now)

    def heard(self, info: NodeInfo, now: float) -> bool:
        """A node asked us something.  Whether it is one that we know."""
        if not self.knows(info):
            return False
        self._by_key[number(info.node_id)].heard_at = now
        return True

    def failed(self, info: NodeInfo, now: float) -> None:
        """A node did not answer a query of ours."""
        if not self.knows(info):
            return
        key = number(info.node_id)
        node = self._by_key[key]
        node.failures += 1
        bucket = self._buckets[self._index(key)]
        if node.bad and (bucket.spares or node in bucket.spares):
            self.remove(node.info, now)

    def remove(self, info: NodeInfo, now: float) -> None:
        """Have a node that is known no longer; a spare takes its place, if it had one."""
        key = number(info.node_id)
        node, bucket = self._by_key[key], self._buckets[self._index(key)]
        had_place = node in bucket.nodes
        self._drop(node)
        if had_place and bucket.spares:
            bucket.nodes.append(bucket.spares.pop())  # the one that answered last
            self._touch(key, now)

    def _drop(self, node: TableNode) -> None:
        self._by_key.pop(node.key, None)
        self._by_place.pop(node.place, None)
        bucket = self._buckets[self._index(node.key)]
        for places in (bucket.nodes, bucket.spares):
            if node in places:
                places.remove(node)

    def _insert(self, node: TableNode, now: float) -> NodeInfo | None:
        index = self._index(node.key)
        while len(self._buckets[index].nodes) >= DHT_K and self._may_split(index):
            self._split(now)
            index = self._index(node.key)
        bucket = self._buckets[index]
        if len(bucket.nodes) >= DHT_K:
            loser = _weakest(bucket, node)
            if loser is None:
                return self._keep_spare(bucket, node, now)
            self._drop(loser)
        bucket.nodes.append(node)
        self._note(node)
        self._touch(node.key, now)
        return None

    def _keep_spare(self, bucket: Bucket, node: TableNode, now: float) -> NodeInfo | None:
        if len(bucket.spares) >= DHT_SPARES:
            self._drop(bucket.spares[0])
        bucket.spares.append(node)
        self._note(node)
        doubtful = [known for known in bucket.nodes if known.questionable(now)]
        return min(doubtful, key=lambda known: known.heard_at).info if doubtful else None

    def _note(self, node: TableNode) -> None:
        self._by_key[node.key] = node
        self._by_place[node.place] = node

    # --- Buckets ---------------------------------------------------------------------------

    def _index(self, key: int) -> int:
        return min(common_bits(self.own_key, key), len(self._buckets) - 1)

    def _may_split(self, index: int) -> bool:
        return index == len(self._buckets) - 1 and index < ID_BITS - 1

    def _split(self, now: float) -> None:
        last = self._buckets[-1]
        self._buckets.append(Bucket())
        self._refreshes.set(len(self._buckets) - 1, now + DHT_GOOD_SECONDS)
        nodes, last.nodes = last.nodes, []
        for node in nodes:
            self._buckets[self._index(node.key)].nodes.append(node)
        if len(last.nodes) < DHT_K:
            # The way to our own id leads past most of a far bucket: who joins refreshes it
            # (Kademlia, section 2.3).
            self._refreshes.set(len(self._buckets) - 2, now)

    def _touch(self, key: int, now: float) -> None:
        index = self._index(key)
        due = self._refreshes.get(index)
        if due is None or due > now:  # what is due already is done all the same
            self._refreshes.set(index, now + DHT_GOOD_SECONDS)

    def refresh_at(self) -> float | None:
        """When the first bucket has been unchanged for too long."""
        return self._refreshes.next_at()

    def rest(self, now: float) -> None:
        """No bucket is due before its time, counted from now."""
        for index in range(len(self._buckets)):
            self._refreshes.set(index, now + DHT_GOOD_SECONDS)

    def take_stale(self, now: float, random: RandomSource) -> bytes | None:
        """An id in a bucket that is due to be refreshed, which counts as done; or None."""
        index = self._refreshes.pop_due(now)
        if index is None:
            return None
        self._refreshes.set(index, now + DHT_GOOD_SECONDS)
        return self._random_id(index, random)

    def _random_id(self, index: int, random: RandomSource) -> bytes:
        free = random.getrandbits(ID_BITS)
        below = ID_BITS - index
        key = self.own_key >> below << below | free & ((1 << below) - 1)
        if index < len(self._buckets) - 1:  # the bit that parts this bucket from the later ones
            bit = 1 << below - 1
            key = key & ~bit | ~self.own_key & bit
        return key.to_bytes(ID_BYTES, "big")


def _weakest(bucket: Bucket, newcomer: TableNode) -> TableNode | None:
    """Who gives way to ``newcomer`` in a full bucket: a bad node, else one whose id does not
    fit its address where the newcomer's does."""
    for node in bucket.nodes:
        if node.bad:
            return node
    if newcomer.fits:
        for node in bucket.nodes:
            if not node.fits:
                return node
    return None
