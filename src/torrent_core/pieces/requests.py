"""What is asked of one link: requests out, requests withdrawn, and how long it may take.

A request leaves ``out`` in exactly one of three ways.  *Settled*: the block or its REJECT
came.  *Withdrawn*: we gave it up (timeout, snub, CANCEL) while the peer may still answer.
*Void*: a CHOKE without BEP 6 dropped it, though its block may be on its way.  Keys of the
latter two stay in a bounded ``Ledger``, so that a late answer is known as ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, count, repeat
from math import inf

from ..bitfield import without
from ..classes import define
from ..limits import BLOCK_SIZE, MAX_PIPELINE, MIN_PIPELINE
from ..linkstate import LinkState
from ..types import BlockInfo
from .active import ActivePiece, RequestInfo
from .ledger import Ledger
from .pace import SLOW_START, ResponseGaps, pipeline_depth


@define(eq=False)
class Refusal:
    """The peer would not give this piece: not asked for again before ``until``."""

    until: float
    delay: float


class LinkRequests:
    """The request book of one link.  Keys are block numbers over the whole torrent."""

    __slots__ = (
        "_last_deadline",
        "_last_rate",
        "_serial",
        "_sleeps",
        "_slow_start_ends",
        "arrived",
        "claim",
        "current",
        "depth",
        "detached",
        "gaps",
        "gone_below",
        "last_progress",
        "low_water",
        "out",
        "refusals",
        "refused",
        "rejections",
        "resting",
        "rests",
        "snubbed",
        "state",
        "unsolicited",
        "withdrawn",
    )

    def __init__(self, state: LinkState, now: float) -> None:
        self.state = state
        self.out: dict[int, RequestInfo] = {}
        """Requests out by key, oldest first."""
        self.withdrawn = Ledger()
        """Requests no longer out that may still be answered."""
        self.current: ActivePiece | None = None
        """The piece this link works on, while it has blocks to ask for."""
        self.claim: tuple[ActivePiece, int] | None = None
        """The block whose payload it is writing into a piece right now."""
        self.detached: int | None = None
        """Key of the block whose place was taken from it while it was writing."""
        self.depth = MIN_PIPELINE
        """Requests to keep out."""
        self.low_water = MIN_PIPELINE - 1
        """At this many or fewer out, the pipeline is filled up to ``depth``."""
        self.snubbed = False
        """Silent for longer than it should be: one probe at a time until it delivers."""
        self.refusals: dict[int, Refusal] = {}
        self.refused = 0
        """Set of the pieces in ``refusals`` that are still in backoff."""
        self.rejections = 0
        """REJECTs since it last delivered."""
        self.rests = False
        """The backoff ``resting`` is not over."""
        self.resting: Refusal | None = None
        """It rejects whatever is asked: the whole link is left alone for a while."""
        self.unsolicited = 0
        """Blocks it sent that nobody asked for; each input with one of use forgives one."""
        self.gaps = ResponseGaps()
        self.last_progress = now
        """When it last delivered, or was asked after having nothing to do."""
        self.arrived = 0
        """Blocks that came since the pipeline was last paced."""
        self.gone_below = 1
        """No request with a lower serial is out: an answer to this one is in order."""
        self._serial = 0
        self._sleeps = 0  # that fell into the gap since ``last_progress``
        self._last_deadline = 0.0
        self._last_rate = 0.0
        self._slow_start_ends = now

    # --- Asking ------------------------------------------------------------------------

    def ask(
        self, base: int, piece: ActivePiece, blocks: Sequence[int], now: float, slack: float
    ) -> list[BlockInfo]:
        """Note new requests, for ``blocks`` of ``piece``; ``base`` is the key of its first.
        Returns them as REQUEST names them.

        The deadline of each is fixed here and never moves: the time that the queue ahead of
        it takes at the link's rate, plus ``slack``.  Deadlines of one link ascend, so that
        the oldest request is always the first one due: that makes "what is due?" O(1).
        """
        deadlines = self._deadlines(len(blocks), now, slack)
        named = piece.block_infos(blocks)
        # Once a block: what can be left to ``map`` takes half the time of a loop.
        infos = list(
            map(
                RequestInfo,
                repeat(self.state.ordinal),
                repeat(piece),
                blocks,
                named,
                repeat(now),
                deadlines,
                count(self._serial + 1),
                repeat(self.snubbed),
            )
        )
        self._serial += len(infos)
        self.out.update(zip(map(base.__add__, blocks), infos, strict=True))
        piece.add_requests(infos)
        return named

    def _deadlines(self, blocks: int, now: float, slack: float) -> list[float]:
        rate = self.state.down.value(now)
        if not self.out:
            self._count_from(now)
            if pipeline_depth(rate) == MIN_PIPELINE:
                self._slow_start_ends = now + SLOW_START
        # After a long pause a rate is nearly nothing, and would put deadlines off for ever.
        each = min(BLOCK_SIZE / rate, slack) if rate else 0.0
        first = max(self._last_deadline, now + len(self.out) * each + slack)
        *deadlines, self._last_deadline = accumulate(repeat(each, blocks), initial=first)
        return deadlines

    def room(self, *, eager: bool) -> int:
        """Requests that may go out now.

        None above the low-water mark, so that they go out in batches; ``eager``: whatever
        the depth allows.
        """
        out = len(self.out)
        return self.depth - out if eager or out <= self.low_water else 0

    # --- Progress ----------------------------------------------------------------------

    def delivered(self, now: float) -> None:
        """A block that was asked for came: the link is alive, and may be given one more."""
        self.rejections = 0
        self.resting = None
        self.rests = False
        # Who wastes no more than he is worth is a poor peer, and no hostile one.
        if self.unsolicited:
            self.unsolicited -= 1
        if now > self.last_progress:
            # How long it was silent before we slept, nobody knows: the time until the call that
            # was owed may be ten seconds of sleep, and would put off by as much what is judged.
            if not self._sleeps:
                self.gaps.add(now - self.last_progress)
            self._count_from(now)
        self.arrived += 1

    def _count_from(self, now: float) -> None:
        """What passes from now on is the link's own time."""
        self.last_progress = now
        self._sleeps = 0

    def passed_over(self, answered: RequestInfo) -> RequestInfo | None:
        """The oldest request out, if it is older than the one that was just answered.

        Only worth asking where the serial is not ``gone_below``: to look for the first of a
        dictionary that is emptied from the front costs all that was taken from it.
        """
        oldest = next(iter(self.out.values()), None)
        if oldest is None or oldest.serial > answered.serial:
            self.gone_below = answered.serial + 1
            return None
        return oldest

    def snub(self, now: float) -> None:
        """It was silent for too long: one probe at a time until it delivers."""
        self.snubbed = True
        self._count_from(now)
        self.pace(now)

    def pace(self, now: float, most: int = MAX_PIPELINE) -> None:
        """Set depth and low-water mark: one more per block that came, up to what the rate
        calls for, and to ``most``.

        In slow start there is no rate to go by yet.
        """
        rate = self.state.down.value(now)
        if self.arrived:
            self._last_rate = rate
        if self.snubbed:
            self.depth = 1
        else:
            bound = inf if now < self._slow_start_ends else rate
            wanted = pipeline_depth(bound, self.state.reqq)
            self.depth = min(self.depth + self.arrived, wanted, most)
        self.low_water = self.depth * 3 // 4 if self.depth > 1 else 0
        self.arrived = 0

    def due(self, ceiling: float) -> float | None:
        """When something out here is late: the oldest request, or the whole link."""
        if not self.out:
            return None
        oldest = next(iter(self.out.values()))
        return min(oldest.deadline, self.silent_at(ceiling))

    def silent_at(self, ceiling: float) -> float:
        """When the link, having something to deliver, has been silent for too long."""
        return self.last_progress + self.gaps.patience(ceiling)

    def postpone(self, seconds: float) -> None:
        """Time that does not count: it is given to every request, and to the link.

        Of less than none, it is taken back.
        """
        self.last_progress += seconds
        self._sleeps += 1 if seconds > 0.0 else -1
        self._last_deadline += seconds
        for info in self.out.values():
            info.deadline += seconds
            info.overtaken_since += seconds

    def wait(self, position: int, now: float) -> float:
        """Seconds until it delivers the request at ``position`` (from 1) of what is out.

        Infinite if it never delivered; none if it has just begun to, and its rate is still
        to show.
        """
        started = self._slow_start_ends - SLOW_START
        if now < self._slow_start_ends and self.last_progress > started:
            return 0.0
        rate = self.state.down.value(now)
        if not rate:
            return inf
        return position * BLOCK_SIZE / rate + (now - self.last_progress)

    def position(self, info: RequestInfo) -> int:
        """Place of a request in the queue, from 1; at most, since others may be answered."""
        oldest = next(iter(self.out.values()))
        return min(len(self.out), info.serial - oldest.serial + 1)

    def speed(self, now: float) -> float:
        """Bytes a second to expect of it; 0 if that is not known.

        A link that we asked nothing of is not slow: it is as fast as when it last delivered.
        """
        rate = self.state.down.value(now)
        return rate if self.out else max(rate, self._last_rate)

    # --- Giving up ---------------------------------------------------------------------

    def withdraw(self, key: int) -> None:
        """Move a request from ``out`` to the ledger."""
        del self.out[key]
        self.withdrawn.withdraw(key)

    @property
    def answers(self) -> int:
        """Set of pieces for which the protocol lets us ask this link at all."""
        state = self.state
        return state.pieces & state.allowed_fast if state.peer_choking else state.pieces

    @property
    def eases_at(self) -> float | None:
        """When the first backoff of this link, or of a piece at it, ends."""
        ends = [one.until for piece, one in self.refusals.items() if self.refused >> piece & 1]
        if self.resting is not None and self.rests:
            ends.append(self.resting.until)
        return min(ends, default=None)

    @property
    def usable(self) -> int:
        """Set of pieces that may be asked of this link now.

        A backoff ends with the call that is owed at its deadline, which looks at the link, and
        not by the clock: else a link could be idle, and looked at by nobody."""
        return 0 if self.rests else without(self.answers, self.refused)
