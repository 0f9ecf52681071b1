"""Scenarios of stalls that concern whole runs: restart, scale, odd shapes, every failure once.

The numbers are those of the list of scenarios that other test files carry too.  The world
asserts the account of every missing block after every event.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer_kit import parse
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Account
from torrent_core.actions import Action
from torrent_core.budget import Budget
from torrent_core.limits import (
    HANDSHAKE_TIMEOUT,
    HAVE_DELAY,
    IDLE_TIMEOUT,
    KEEPALIVE_INTERVAL,
    MAX_BUFFERED_BYTES,
)
from torrent_core.metainfo import TorrentBuilder
from torrent_core.testing import assert_accounted
from torrent_core.torrent import Budgets, Torrent
from torrent_core.types import Address, BlockInfo, CloseReason, StorageFault
from torrent_core.wire import messages as wire
from torrent_core.wire.handshake import Handshake
from torrent_core.wire.handshake import encode as encode_handshake
from world import BLOCK
from world_peers import Corrupter, Leech, Mute, Peer, Seed, Silent
from world_swarm import OURS, Swarm, stop, to_fraction

MIB = 1024 * 1024

# --- 2: restart ---------------------------------------------------------------------------------


def test_scenario_02_a_restart_resumes_and_remembers_no_request() -> None:
    """A restart at 20 % resumes; nothing remembers requests of the former run."""
    before = Swarm(40 * BLOCK)
    before.join(Seed, rate=200_000)
    to_fraction(before, 4)
    stop(before)
    after = Swarm(40 * BLOCK, disk=before.disk, resume=before.disk.resume)
    explained = after.torrent.explain(after.now)
    assert not [entry for entry in explained.entries if entry.account is Account.REQUESTED]
    kept = before.torrent.verified.bit_count()
    assert after.torrent.verified == before.torrent.verified
    seed = after.join(Seed)
    after.finish()
    assert seed.blocks_sent <= 40 - 2 * kept


# --- 8: scale -----------------------------------------------------------------------------------


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """How many Python functions are called within: a cost that no clock is needed for."""
    calls = [0]

    def note(frame: object, event: str, arg: object) -> None:
        calls[0] += event == "call"

    former = sys.getprofile()
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(former)


class Crowd:
    """A torrent with many links to seeds that have unchoked it, driven by hand."""

    def __init__(
        self,
        pieces: int,
        links: int,
        memory: int = MAX_BUFFERED_BYTES,
        says: wire.Message = wire.HaveAll(),  # noqa: B008 - a value
    ) -> None:
        builder = TorrentBuilder(
            "p", [(("p",), pieces * BLOCK)], single_file=True, piece_length=BLOCK
        )
        self.meta = builder.build(bytes(20 * pieces))
        budgets = Budgets(memory=Budget(memory))
        self.torrent = Torrent(self.meta, peer_id=OURS, random=Random(1), budgets=budgets)
        self.asked: dict[int, list[BlockInfo]] = {}
        self.feed(ev.StartTorrent(self.meta.info_hash))
        for number in range(links):
            self.join(number, says)

    def join(self, number: int, says: wire.Message) -> int:
        """A link comes that says so of its pieces, and unchokes us."""
        self.asked[number] = []
        self.feed(ev.LinkOpened(number, Address(f"10.0.{number >> 8}.{number & 255}", 1)))
        shake = Handshake(self.meta.info_hash, b"-PY0000-%012d" % number, bytes(7) + b"\4")
        have = wire.encode(says) + wire.encode(wire.Unchoke())
        self.feed(ev.BytesReceived(number, encode_handshake(shake) + have))
        return number

    def feed(self, event: ev.Event) -> None:
        """Hand an event over, and every answer that storage and sockets owe."""
        for action in self.torrent.handle(event, 1.0):
            match action:
                case act.Send(link=int(link), data=data):
                    skip = 68 * data.startswith(b"\x13BitTorrent")
                    said = (m for m in parse(data[skip:]) if isinstance(m, wire.Request))
                    self.asked[link] += [BlockInfo(m.index, m.begin, m.length) for m in said]
                    self.feed(ev.Sent(link, len(data)))
                case act.StatFiles(job=job):
                    self.feed(ev.FilesStated(self.meta.info_hash, job, (None,)))
                case act.CreateFiles(job=job) | act.WriteBlocks(job=job):
                    self.feed(ev.Written(self.meta.info_hash, job))
                case act.HashPiece(job=job):
                    self.feed(ev.PieceHashed(self.meta.info_hash, job, bytes(20)))

    def calls(self, number: int, *messages: wire.Message) -> int:
        """What it costs when this link says so; hangs up, if it says nothing."""
        data = b"".join(map(wire.encode, messages))
        event = ev.BytesReceived(number, data) if data else ev.LinkClosed(number)
        with counted_calls() as calls:
            self.feed(event)
        assert_accounted(self.torrent, 1.0)
        return calls[0]

    def costs(self) -> dict[str, int]:
        """Calls by kind of event."""
        blocks = [self.asked[0].pop(0) for _ in range(2)]
        pieces = [wire.Piece(block.piece, block.begin, bytes(BLOCK)) for block in blocks]
        return {
            "have": self.calls(0, wire.Have(1)),
            "blocks": self.calls(0, *pieces),
            "nothing": self.calls(0, wire.KeepAlive()),
            "reject": self.calls(1, wire.Reject(*self.asked[1].pop(0))),
            "choke": self.calls(2, wire.Choke()),
            "unchoke": self.calls(2, wire.Unchoke()),
            "end": self.calls(3),
        }


SMALL, LARGE = (600, 18), (20_000, 300)
SHORT, HUGE = (600, 80, 80 * BLOCK), (100_000, 1_000)


@pytest.mark.parametrize(
    ("small", "large", "factor"),
    [(SMALL, LARGE, 1.25), pytest.param(SHORT, HUGE, 2.0, marks=pytest.mark.long)],
)
def test_scenario_08_the_cost_of_an_event_is_flat(
    small: tuple[int, ...], large: tuple[int, ...], factor: float
) -> None:
    """600 pieces x 18 peers, and many more: what an event costs does not grow with them.

    A thousand links want more than there is memory, and half of them wait; so they do in
    what that is compared with.  There, a link without work may look at a few slower ones,
    unless it did so a moment ago: that is the factor.
    """
    few, many = Crowd(*small).costs(), Crowd(*large).costs()
    for kind, cost in few.items():
        assert many[kind] <= factor * cost, (kind, few, many)


@pytest.mark.parametrize("says", [wire.HaveAll(), wire.HaveNone()])
def test_scenario_08_what_became_ours_costs_each_link_a_message_at_most(
    says: wire.Message,
) -> None:
    """No link is looked at for work because something became ours."""
    crowd = Crowd(600, 200, says=says)
    seed = crowd.join(200, wire.HaveAll())
    for _ in range(20):
        block = crowd.asked[seed].pop(0)
        crowd.feed(ev.BytesReceived(seed, wire.encode(wire.Piece(*block[:2], bytes(BLOCK)))))
    crowd.torrent.next_deadline()  # as is asked between two ticks: each input has put one off
    with counted_calls() as calls:
        told = crowd.torrent.handle(ev.Tick(), 1.0 + HAVE_DELAY)
    told = [action for action in told if isinstance(action, act.Send)]
    assert len(told) == (0 if says == wire.HaveAll() else 200)
    assert {len(send.data) for send in told} <= {20 * 9}
    assert calls[0] <= 200 * (12 if told == [] else 40)


# --- 21, 22: what a peer has, to the bit ----------------------------------------------------------


def counts(swarm: Swarm) -> list[int]:
    """Links that have each piece."""
    availability = swarm.torrent._context.picker.availability
    return [availability.count(index) for index in range(swarm.meta.piece_count)]


def test_scenario_21_error_and_close_of_one_link_count_once() -> None:
    """Error and close for the same link: availability exact."""
    swarm = Swarm(4 * BLOCK, BLOCK)
    bad, good = swarm.join(Peer), swarm.join(Peer, have=[0, 1])
    assert counts(swarm) == [2, 2, 1, 1]
    bad.say(wire.Piece(99, 0, bytes(BLOCK)))  # cannot exist: we close
    swarm.run(seconds=0.1)
    assert not bad.alive
    assert bad.line is not None
    swarm.feed(ev.LinkClosed(bad.line.name, "again"))
    assert counts(swarm) == [1, 1, 0, 0]
    assert good.alive


@given(st.lists(st.sampled_from(["all", "none", "bits", "have"]), max_size=4), st.booleans())
def test_scenario_22_what_a_peer_has_counts_once_however_often_it_says_it(
    said: list[str], leaves: bool
) -> None:
    """BITFIELD, HAVE, HAVE ALL and NONE, twice and in any order: availability exact."""
    swarm = Swarm(4 * BLOCK, BLOCK)
    peer = swarm.make(Peer, have=[0, 3])
    peer.say_pieces = lambda: None  # type: ignore[method-assign]
    swarm.connect(peer)
    swarm.run(seconds=0.1)
    for word in said:
        peer.say(
            {
                "all": wire.HaveAll(),
                "none": wire.HaveNone(),
                "bits": wire.Bitfield(b"\x90"),
                "have": wire.Have(2),
            }[word]
        )
    if leaves:
        peer.leave()
    swarm.run(seconds=0.1)
    had = swarm.torrent.peers(swarm.now)
    assert sum(counts(swarm)) == sum(round(4 * row.progress) for row in had)


# --- 24, 25: odd shapes, exact clocks -------------------------------------------------------------

SHAPES = [
    (1, BLOCK, None),
    (BLOCK, BLOCK, None),
    (BLOCK - 1, 4 * BLOCK, None),
    (5 * BLOCK + 7, 2 * BLOCK, None),
    (16 * MIB + 1, 16 * MIB, None),
    (3 * BLOCK, 2 * BLOCK, [0, BLOCK + 5, 0, 0, 2 * BLOCK - 5, 0]),
]


@pytest.mark.uncovered
@pytest.mark.parametrize(("total", "piece_length", "files"), SHAPES)
def test_scenario_24_every_odd_shape_of_torrent_completes(
    total: int, piece_length: int, files: list[int] | None
) -> None:
    """Last piece short; one-piece, one-block torrents; 16 MiB pieces; zero-length files."""
    swarm = Swarm(total, piece_length, files=files)
    seed = swarm.join(Seed, rate=8e6)
    swarm.finish()
    assert seed.blocks_sent == -(-total // BLOCK)
    assert all(data is not None for data in swarm.disk.files)


def test_scenario_25_the_clocks_of_a_link_are_exact() -> None:
    """Handshake never finishes, link idle, our own keep-alive due: exact to the clock."""
    swarm = Swarm(full=True)
    swarm.join(Mute, latency=0.0)
    swarm.join(Peer, have=[], latency=0.0)
    opened = swarm.now
    swarm.run(seconds=2 * IDLE_TIMEOUT)
    closed = [(when, close.reason) for when, close in swarm.timed(act.Close)]
    assert closed == [
        (opened + HANDSHAKE_TIMEOUT, CloseReason.HANDSHAKE_TIMEOUT),
        (opened + IDLE_TIMEOUT, CloseReason.IDLE_TIMEOUT),
    ]
    alive = [when for when, send in swarm.timed(act.Send) if send.data == bytes(4)]
    assert alive == [opened + KEEPALIVE_INTERVAL, opened + 2 * KEEPALIVE_INTERVAL]


# --- 29: every action fails once ----------------------------------------------------------------

FAILABLE = (
    act.Send,
    act.Dial,
    act.HashPiece,
    act.WriteBlocks,
    act.ReadBlocks,
    act.StatFiles,
    act.CreateFiles,
)


class Asker(Leech):
    """Fetches what we have, and asks again for what it is not given."""

    def on_rejected(self, block: BlockInfo) -> None:
        super().on_rejected(block)
        self.ask()


class Faulty(Swarm):
    """Carries out all but one of the actions that can fail: the ``nth``, counted from zero."""

    def __init__(self, nth: int, blocks: int) -> None:
        self.left = nth
        self.seen: set[type] = set()
        super().__init__(blocks * BLOCK, files=[5 * BLOCK, 0, (blocks - 5) * BLOCK])

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, FAILABLE):
            self.seen.add(type(action))
            self.left -= 1
            if self.left == -1:
                return self._fail(action)
        return super()._carry_out(action)

    def _fail(self, action: Action) -> None:
        match action:
            case act.Send(link=link):
                self.at(self.now, self.lines[str(link)].end)
            case act.Dial(dial_id=dial_id):
                self.at(self.now, lambda: self.feed(ev.DialFailed(dial_id)) and None)
            case _:
                job = getattr(action, "job", 0)
                failed = ev.StorageFailed(self.name, job, StorageFault.OTHER, "made to fail")
                self.at(self.now, lambda: self.feed(failed) and None)


def completes_though_one_fails(nth: int, blocks: int) -> None:
    """Two seeds, one who spoils what it sends, and one who fetches from us meanwhile."""
    swarm = Faulty(nth, blocks)
    for port in (1, 2):
        swarm.dialled(Seed, port=port, rate=1e6)
    swarm.dialled(Corrupter, port=3, rate=1e6)
    asker = swarm.dialled(Asker, port=4, have=[], depth=1)
    swarm.finish(200)
    assert swarm.run(lambda: asker.complete, seconds=600)
    assert swarm.left < 0, "there were not so many actions"
    assert swarm.seen == set(FAILABLE)


@pytest.mark.uncovered
@given(st.integers(0, 149))
def test_scenario_29_whichever_action_fails_it_completes_in_the_end(nth: int) -> None:
    """The Nth action of any kind fails: accounts hold, and it completes once failures end."""
    completes_though_one_fails(nth, 40)


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, 1001, 91))
def test_scenario_29_each_of_the_first_thousand_actions_may_fail(first: int) -> None:
    """The same, all of them, in a run that has so many."""
    for nth in range(first, first + 91):
        completes_though_one_fails(nth, 320)


# --- 32: what the account names -------------------------------------------------------------------


def test_scenario_32_a_torrent_that_checks_its_files_says_so() -> None:
    """While checking, the account names it, and nothing is asked of anybody."""
    swarm = Swarm(full=True, start=False)
    swarm.disk.delays[act.HashPiece] = 1.0
    swarm.feed(ev.StartTorrent(swarm.name))
    swarm.join(Seed, latency=0.1)
    explained = swarm.torrent.explain(swarm.now)
    assert {entry.account for entry in explained.entries} == {Account.HELD}
    assert "the files are being checked" in explained.text()
    swarm.finish()


# --- 20, 23: a piece that is let go ------------------------------------------------------------


@pytest.mark.parametrize("held", [act.HashPiece, act.WriteBlocks])
@pytest.mark.parametrize("blow", ["leave", "stop", "unwanted"])
def test_scenario_20_what_happens_while_a_piece_is_stored(held: type, blow: str) -> None:
    """Disconnect, stop or a priority change meanwhile: the piece is complete or absent."""
    swarm = Swarm(4 * BLOCK, 2 * BLOCK, files=[2 * BLOCK, 2 * BLOCK])
    swarm.disk.delays[held] = 5.0
    seed = swarm.join(Seed)
    assert swarm.run(lambda: bool(swarm.actions(held)), seconds=10)
    if blow == "leave":
        seed.leave()
    elif blow == "stop":
        stop(swarm)
    else:
        swarm.feed(ev.SetPriorities(swarm.name, (0, 0)))
    swarm.run(seconds=60)
    swarm.check_files()
    announced = [report.piece for report in swarm.actions(act.PieceVerified)]
    assert swarm.torrent.verified == sum(1 << piece for piece in announced)
    assert len(set(announced)) == len(announced)
    if blow == "stop":
        swarm.start(swarm.disk.resume)
    elif blow == "unwanted":
        swarm.feed(ev.SetPriorities(swarm.name, (1, 1)))
    swarm.join(Seed)
    swarm.finish(60)


@pytest.mark.parametrize("cause", ["left", "failed", "unwanted"])
def test_scenario_23_a_piece_that_was_let_go_may_be_had_from_every_peer(cause: str) -> None:
    """Piece abandoned, failed or re-prioritised: selectable again by whoever comes."""
    swarm = Swarm(2 * BLOCK, 2 * BLOCK)
    first = swarm.join(Corrupter if cause == "failed" else Silent)
    if cause == "unwanted":
        swarm.feed(ev.SetPriorities(swarm.name, (0,)))
    swarm.run(seconds=10)
    if cause == "left":
        first.leave()
    swarm.run(seconds=1)
    if cause == "unwanted":
        swarm.feed(ev.SetPriorities(swarm.name, (1,)))
    seed = swarm.join(Seed, port=9)
    swarm.finish(60)
    assert seed.blocks_sent == 2
