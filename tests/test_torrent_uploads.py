"""A torrent that uploads: slots, requests, back-pressure."""

from __future__ import annotations

from operator import attrgetter

import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import (
    CHOKE_INTERVAL,
    MAX_READ_AHEAD,
    MAX_UPLOAD_QUEUE,
    OPTIMISTIC_INTERVAL,
    SEND_WATERMARK,
)
from torrent_core.torrent import TorrentConfig
from torrent_core.types import BlockInfo, StorageFault
from torrent_core.wire import ExtendedHandshake, extended
from torrent_core.wire import messages as wire
from world import BLOCK
from world_peers import Leech, Peer, Seed
from world_swarm import Swarm


def interested(swarm: Swarm, **options: object) -> Peer:
    """A peer with nothing, which has shown interest and asks for nothing by itself."""
    peer = swarm.join(Peer, **{"have": [], **options})
    peer.say(wire.Interested())
    swarm.run(seconds=0.05)
    return peer


def ask(swarm: Swarm, peer: Peer, *blocks: BlockInfo) -> None:
    peer.say(*(wire.Request(*block) for block in blocks))
    swarm.run(seconds=0.05)


def of(peer: Peer, kind: type) -> list:
    return [message for message in peer.heard if isinstance(message, kind)]


def blocks(piece: int, *numbers: int) -> list[BlockInfo]:
    return [BlockInfo(piece, number * BLOCK, BLOCK) for number in numbers]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("chunk", [0, 7])
def test_a_leech_gets_everything(fast: bool, chunk: int) -> None:
    swarm = Swarm(7 * BLOCK + 5, full=True)
    leech = swarm.join(Leech, have=[], fast=fast, chunk=chunk, extended=True)
    assert swarm.run(lambda: leech.complete, seconds=30)
    swarm.run(seconds=0.1)
    status = swarm.torrent.status(swarm.now)
    assert status.uploaded == 7 * BLOCK + 5
    assert status.up_rate > 0
    assert swarm.torrent.peers(swarm.now)[0].uploaded == status.uploaded


def test_a_chain_hands_pieces_on_as_they_are_verified() -> None:
    swarm = Swarm(40 * BLOCK)
    leech = swarm.join(Leech, have=[])
    swarm.join(Seed, rate=200_000)
    assert swarm.run(lambda: leech.complete, seconds=60)


# --- Slots --------------------------------------------------------------------------------------


def test_so_many_are_unchoked_as_there_are_slots_and_the_next_when_one_leaves() -> None:
    swarm = Swarm(full=True, config=TorrentConfig(upload_slots=2))
    peers = [interested(swarm) for _ in range(4)]
    assert [peer.their_choking for peer in peers] == [False, False, True, True]
    peers[0].leave()
    swarm.run(seconds=0.1)
    assert sum(not peer.their_choking for peer in peers[1:]) == 2
    peers[1].say(wire.NotInterested())
    swarm.run(seconds=0.1)
    assert [peer.their_choking for peer in peers[1:]] == [True, False, False]


def test_with_no_slots_nobody_is_served_and_no_piece_granted() -> None:
    swarm = Swarm(full=True, config=TorrentConfig(upload_slots=0))
    peer = interested(swarm)
    swarm.run(seconds=100)
    assert peer.their_choking
    assert not peer.granted


def test_everybody_gets_a_turn() -> None:
    swarm = Swarm(full=True, config=TorrentConfig(upload_slots=2))
    peers = [interested(swarm, have=[0]) for _ in range(4)]

    def speak() -> None:
        for peer in peers:
            peer.say(wire.KeepAlive())
        swarm.at(swarm.now + 100, speak)

    speak()
    swarm.run(seconds=8 * OPTIMISTIC_INTERVAL)
    assert all(of(peer, wire.Unchoke) for peer in peers)
    rounds = [
        step.now
        for step in swarm.trace
        if isinstance(step.event, ev.Tick) and any(isinstance(a, act.Send) for a in step.actions)
    ]
    assert rounds[0] % CHOKE_INTERVAL == pytest.approx(0.04)


def test_who_says_that_it_only_uploads_gets_no_slot() -> None:
    swarm = Swarm(full=True, config=TorrentConfig(upload_slots=1))
    peer = interested(swarm, extended=True)
    assert not peer.their_choking
    peer.say(wire.Extended(0, extended.encode(ExtendedHandshake(upload_only=True))))
    other = interested(swarm)
    assert peer.their_choking
    assert not other.their_choking


# --- Requests -----------------------------------------------------------------------------------


def test_what_is_not_verified_is_rejected() -> None:
    swarm = Swarm(8 * BLOCK)
    peer = interested(swarm)
    plain = interested(swarm, fast=False)
    for asker in (peer, plain):
        ask(swarm, asker, BlockInfo(0, 0, BLOCK))
    assert of(peer, wire.Reject) == [wire.Reject(0, 0, BLOCK)]
    assert not of(plain, wire.Piece)
    assert plain.alive
    assert not swarm.actions(act.ReadBlocks)


def test_neighbouring_requests_are_read_at_once_and_answered_in_order() -> None:
    swarm = Swarm(64 * BLOCK, 32 * BLOCK, full=True)
    peer = interested(swarm)
    wanted = [*blocks(0, *range(20)), *blocks(1, 3, 4, 9)]
    ask(swarm, peer, *wanted)
    reads = [sum(span.length for span in read.spans) for read in swarm.actions(act.ReadBlocks)]
    assert reads == [MAX_READ_AHEAD, 4 * BLOCK, 2 * BLOCK, BLOCK]
    answered = [BlockInfo(m.index, m.begin, len(m.data)) for m in of(peer, wire.Piece)]
    assert answered == wanted


def test_reads_that_end_out_of_order_are_answered_in_order() -> None:
    swarm = Swarm(8 * BLOCK, full=True)
    peer = interested(swarm)
    swarm.disk.manual = True
    ask(swarm, peer, *blocks(0, 0), *blocks(2, 1), *blocks(1, 0))
    swarm.disk.fault = lambda a: StorageFault.OTHER if getattr(a, "piece", 0) == 2 else None
    for index in (2, 1, 0):
        swarm.answer(swarm.disk, index)
    swarm.run(seconds=0.05)
    answers = [m.index for m in peer.heard if isinstance(m, wire.Piece | wire.Reject)]
    assert answers == [0, 2, 1]


def test_a_cancelled_request_is_rejected_and_not_served() -> None:
    swarm = Swarm(8 * BLOCK, full=True)
    peer = interested(swarm)
    swarm.disk.manual = True
    ask(swarm, peer, *blocks(0, 0, 1))
    peer.say(wire.Cancel(0, 0, BLOCK))
    swarm.run(seconds=0.05)
    assert of(peer, wire.Reject) == [wire.Reject(0, 0, BLOCK)]
    while swarm.disk.pending:
        swarm.answer(swarm.disk)
    swarm.run(seconds=0.05)
    assert list(peer.blocks_got) == blocks(0, 1)


def test_a_choke_turns_requests_away_though_they_are_being_read() -> None:
    swarm = Swarm(8 * BLOCK, full=True, config=TorrentConfig(upload_slots=1))
    peer = interested(swarm)
    swarm.disk.manual = True
    granted = peer.granted
    ask(swarm, peer, *blocks(0, 0))
    peer.say(wire.NotInterested())  # costs it the slot
    swarm.run(seconds=0.05)
    assert peer.their_choking
    swarm.answer(swarm.disk)
    swarm.run(seconds=0.05)
    assert bool(peer.blocks_got) == (0 in granted)


def test_pieces_granted_fast_are_served_to_one_who_is_choked() -> None:
    swarm = Swarm(8 * BLOCK, full=True, config=TorrentConfig(upload_slots=1))
    interested(swarm)
    peer = interested(swarm)
    assert peer.their_choking
    assert peer.granted == {0, 1, 2, 3}  # a small torrent: all of it
    ask(swarm, peer, *blocks(2, 0))
    assert list(peer.blocks_got) == blocks(2, 0)


def test_a_peer_that_reads_nothing_costs_one_watermark() -> None:
    swarm = Swarm(256 * BLOCK, 256 * BLOCK, full=True)
    peer = interested(swarm)
    assert peer.line is not None
    peer.line.stuck = True
    ask(swarm, peer, *blocks(0, *range(256)))
    read = sum(span.length for a in swarm.actions(act.ReadBlocks) for span in a.spans)
    assert SEND_WATERMARK <= read < SEND_WATERMARK + MAX_READ_AHEAD
    peer.line.stuck = False
    for _ in range(20):
        peer.line.flush()
        swarm.run(seconds=0.05)
    read = sum(span.length for a in swarm.actions(act.ReadBlocks) for span in a.spans)
    assert read == 256 * BLOCK


def test_what_leaves_after_a_close_counts_as_uploaded_all_the_same() -> None:
    swarm = Swarm(4 * BLOCK, 4 * BLOCK, full=True)
    peer = interested(swarm)
    assert peer.line is not None
    peer.line.stuck = True
    ask(swarm, peer, *blocks(0, 0, 1))
    name = peer.line.name
    swarm.torrent.handle(ev.StopTorrent(swarm.name), swarm.now)
    assert swarm.torrent.status(swarm.now).uploaded == 0
    sent = sum(len(a.data) for a in swarm.actions(act.Send) if a.link == name)
    told = sum(e.count for e in map(attrgetter("event"), swarm.trace) if isinstance(e, ev.Sent))
    swarm.torrent.handle(ev.Sent(name, sent - told), swarm.now)
    assert swarm.torrent.status(swarm.now).uploaded == 2 * BLOCK
    swarm.torrent.handle(ev.LinkClosed(name), swarm.now)
    assert swarm.torrent.status(swarm.now).uploaded == 2 * BLOCK


def test_more_requests_than_the_queue_holds_are_rejected() -> None:
    swarm = Swarm(4096 * BLOCK, 4096 * BLOCK, full=True)
    peer = interested(swarm)
    assert peer.line is not None
    peer.line.stuck = True
    ask(swarm, peer, *blocks(0, *range(2200)))
    sends = b"".join(send.data for send in swarm.actions(act.Send)[-5:])
    assert sends.count(b"\x00\x00\x00\x0d\x10") == 2200 - MAX_UPLOAD_QUEUE


@pytest.mark.parametrize("fast", [True, False])
def test_what_cannot_be_read_is_rejected_and_reported(fast: bool) -> None:
    swarm = Swarm(8 * BLOCK, full=True)
    swarm.disk.fault = lambda a: StorageFault.OTHER if isinstance(a, act.ReadBlocks) else None
    peer = interested(swarm, fast=fast)
    ask(swarm, peer, *blocks(0, 0, 1))
    assert len(of(peer, wire.Reject)) == 2 * fast
    (trouble,) = swarm.actions(act.StorageTrouble)
    assert trouble.retry_at is None
    swarm.disk.fault = lambda a: None
    ask(swarm, peer, *blocks(0, 0))
    assert list(peer.blocks_got) == blocks(0, 0)


@pytest.mark.parametrize("fault", [None, StorageFault.OTHER])
def test_a_peer_that_leaves_while_it_is_read_for(fault: StorageFault | None) -> None:
    swarm = Swarm(8 * BLOCK, full=True)
    peer = interested(swarm)
    swarm.disk.manual = True
    ask(swarm, peer, *blocks(0, 0), *blocks(1, 1))
    peer.leave()
    swarm.run(seconds=0.1)
    swarm.disk.fault = lambda a: fault
    while swarm.disk.pending:
        swarm.answer(swarm.disk)
    assert not of(peer, wire.Piece)


def test_what_a_recheck_puts_in_doubt_is_not_served() -> None:
    swarm = Swarm(128 * BLOCK, 32 * BLOCK, full=True)
    peer = interested(swarm)
    assert peer.line is not None
    peer.line.stuck = True
    ask(swarm, peer, *blocks(0, *range(32)), *blocks(1, *range(32)), *blocks(2, *range(32)))
    before = len(swarm.actions(act.ReadBlocks))
    content = swarm.disk.files[0]
    assert content is not None
    content[64 * BLOCK] ^= 0xFF
    swarm.feed(ev.Recheck(swarm.name))
    swarm.settle()
    assert swarm.torrent.verified == 0b1011
    peer.line.stuck = False
    for _ in range(5):
        peer.line.flush()
        swarm.run(seconds=0.05)
    assert {read.piece for read in swarm.actions(act.ReadBlocks)[before:]} <= {0, 1}
    assert {m.index for m in of(peer, wire.Reject)} == {2}
