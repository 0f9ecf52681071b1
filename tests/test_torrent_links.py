"""Links and dials of a torrent, their clocks, and the contract of its events."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.budget import Budget
from torrent_core.errors import LocalProtocolError
from torrent_core.events import Event
from torrent_core.limits import DIAL_TIMEOUT, REDIAL_MAX
from torrent_core.torrent import Budgets, Torrent
from torrent_core.types import Address, CloseReason, StorageFault, TorrentState
from torrent_core.wire import messages as wire
from torrent_core.wire.handshake import Handshake
from torrent_core.wire.handshake import encode as encode_handshake
from world import BLOCK, Line
from world_peers import Leaver, Leech, Mute, Peer, Seed
from world_swarm import OURS, Swarm


def closes(swarm: Swarm) -> list[CloseReason]:
    return [close.reason for close in swarm.actions(act.Close)]


# --- Handshakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dialled", [True, False])
def test_a_handshake_that_never_ends_is_given_ten_seconds_to_the_clock(dialled: bool) -> None:
    swarm = Swarm(now=100.0)
    if dialled:
        swarm.dialled(Mute, latency=0.5)
    else:
        swarm.join(Mute)
    swarm.run(lambda: bool(swarm.actions(act.Close)), seconds=60)
    assert closes(swarm) == [CloseReason.HANDSHAKE_TIMEOUT]
    assert swarm.now == (110.5 if dialled else 110.0)


def test_the_time_before_the_link_was_handed_over_counts() -> None:
    swarm = Swarm(now=100.0)
    line = swarm.lines["early"] = Line(swarm, "early", swarm.make(Mute))
    swarm.feed(ev.LinkOpened(line.name, Address("192.0.2.7", 7), since=95.0))
    deadline = swarm.torrent.next_deadline()
    assert deadline is not None
    assert (deadline.when, deadline.why) == (105.0, "handshake")


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", CloseReason.WRONG_PROTOCOL),
        (encode_handshake(Handshake(bytes(20), bytes(20), bytes(8))), CloseReason.WRONG_TORRENT),
    ],
)
def test_strangers_are_closed(hello: bytes, reason: CloseReason) -> None:
    swarm = Swarm()
    peer = swarm.join(Mute)
    peer.say_bytes(hello)
    swarm.run(seconds=0.1)
    assert closes(swarm) == [reason]
    assert not peer.heard


def test_ourselves_and_those_who_are_here_already_are_closed() -> None:
    swarm = Swarm()
    swarm.join(Peer, peer_id=OURS)
    first = swarm.join(Peer)
    second = swarm.join(Peer, peer_id=first.peer_id)
    assert closes(swarm) == [CloseReason.SELF_CONNECTION, CloseReason.DUPLICATE_PEER]
    assert first.alive
    assert not second.alive
    first.leave()
    swarm.run(seconds=0.1)
    third = swarm.join(Peer, peer_id=first.peer_id)
    assert third.alive


@given(st.integers(1, 40), st.booleans())
def test_a_link_that_comes_in_bits_is_a_link(chunk: int, extended: bool) -> None:
    swarm = Swarm(4 * BLOCK)
    peer = swarm.join(Peer, chunk=chunk, extended=extended)
    peer.unchoke()
    swarm.run(seconds=0.1)
    assert peer.asked
    (ready,) = swarm.actions(act.LinkReady)
    assert ready.peer_id == peer.peer_id


# --- Clocks -------------------------------------------------------------------------------------


def test_keep_alive_after_a_minute_and_the_end_after_two_and_a_half() -> None:
    swarm = Swarm(full=True)  # a seed: nothing else to say
    peer = swarm.join(Peer, have=[], latency=0.0)
    opened = swarm.now
    swarm.run(lambda: bool(swarm.actions(act.Close)), seconds=1000)
    sends = [when for when, send in swarm.timed(act.Send) if send.data == bytes(4)]
    assert sends == [opened + 60.0, opened + 120.0]
    assert closes(swarm) == [CloseReason.IDLE_TIMEOUT]
    assert swarm.now == opened + 150.0
    swarm.run(seconds=0.0)
    assert not peer.alive


def test_a_peer_that_sends_keep_alives_is_kept() -> None:
    swarm = Swarm(full=True)
    peer = swarm.join(Seed, have=[0])
    swarm.run(seconds=1000)
    assert peer.alive


# --- Dialling -----------------------------------------------------------------------------------


def test_a_peer_that_does_not_answer_is_dialled_ever_more_seldom() -> None:
    swarm = Swarm()
    swarm.feed(ev.AddPeer(swarm.name, Address("192.0.2.1", 1)))
    swarm.run(seconds=4 * REDIAL_MAX)
    dials = [when for when, _ in swarm.timed(act.Dial)]
    gaps = [b - a for a, b in pairwise(dials)]
    assert dials[0] == 0.0
    for number, gap in enumerate(gaps):
        pause = min(2.0**number, REDIAL_MAX)
        assert 0.9 * pause <= gap <= pause


def test_a_dial_that_hangs_is_cancelled_after_ten_seconds_and_tried_again() -> None:
    swarm = Swarm()
    address = Address("192.0.2.1", 1)
    swarm.black_holes.add(address)
    swarm.feed(ev.AddPeer(swarm.name, address))
    swarm.run(seconds=30)
    ((when, _), *_) = swarm.timed(act.CancelDial)
    assert when == DIAL_TIMEOUT
    assert len(swarm.actions(act.Dial)) >= 2


def test_a_link_that_comes_after_its_dial_was_cancelled_is_taken_all_the_same() -> None:
    swarm = Swarm(4 * BLOCK)
    address = Address("192.0.2.1", 1)
    swarm.black_holes.add(address)
    swarm.feed(ev.AddPeer(swarm.name, address))
    swarm.now = DIAL_TIMEOUT
    swarm.tick()
    swarm.open_dial(1, swarm.make(Seed))
    swarm.finish()


def test_a_peer_dropped_while_it_is_dialled_is_closed_when_it_answers() -> None:
    swarm = Swarm()
    named = Address("seed.example", 1)
    swarm.black_holes.add(named)
    swarm.feed(ev.AddPeer(swarm.name, named))
    (dial,) = swarm.actions(act.Dial)
    assert swarm.feed(ev.DropPeer(swarm.name, named)) == [act.CancelDial(dial.dial_id)]
    del swarm.dials[dial.dial_id]
    line = swarm.lines["late"] = Line(swarm, "late", swarm.make(Peer))
    # The adapter knows it by its number now; the name it was dialled by is what counts.
    swarm.feed(ev.LinkOpened("late", Address("192.0.2.1", 1), dial.dial_id))
    assert closes(swarm) == [CloseReason.DROPPED]
    swarm.settle()
    assert not line.open
    swarm.run(seconds=700)
    assert len(swarm.actions(act.Dial)) == 1
    swarm.feed(ev.AddPeer(swarm.name, named))
    assert len(swarm.actions(act.Dial)) == 2


@pytest.mark.parametrize("again", ["drop", "stop", "name and drop"])
def test_a_dial_is_cancelled_once_however_many_reasons_there_are(again: str) -> None:
    swarm = Swarm()
    address = Address("192.0.2.1", 1)
    swarm.black_holes.add(address)
    swarm.feed(ev.AddPeer(swarm.name, address))
    swarm.now = DIAL_TIMEOUT
    swarm.tick()
    (cancel,) = swarm.actions(act.CancelDial)  # its answer is still to come
    if again == "stop":
        swarm.feed(ev.StopTorrent(swarm.name))
    else:
        swarm.feed(ev.DropPeer(swarm.name, address))
    if again == "name and drop":
        swarm.feed(ev.AddPeer(swarm.name, address))
        swarm.feed(ev.DropPeer(swarm.name, address))
    assert swarm.actions(act.CancelDial) == [cancel]
    swarm.settle()
    assert not swarm.dials


def test_a_peer_dropped_while_connected_is_closed_and_not_dialled_again() -> None:
    swarm = Swarm(1000 * BLOCK)
    seed = swarm.dialled(Seed, rate=10_000)
    swarm.run(seconds=5)
    assert seed.alive
    swarm.feed(ev.DropPeer(swarm.name, Address("192.0.2.1", 1)))
    swarm.run(seconds=600)
    assert closes(swarm) == [CloseReason.DROPPED]
    assert len(swarm.actions(act.Dial)) == 1
    swarm.feed(ev.DropPeer(swarm.name, Address("192.0.2.1", 1)))  # unknown by now: no effect


def test_a_useful_link_that_ends_is_dialled_again_at_once_a_useless_one_later() -> None:
    swarm = Swarm(100 * BLOCK)
    swarm.dialled(Leaver, port=1)
    swarm.dialled(Mute, port=2)
    swarm.run(seconds=60)
    by_port = {1: 0, 2: 0}
    for dial in swarm.actions(act.Dial):
        by_port[dial.address.port] += 1
    assert by_port[1] > 20
    assert by_port[2] < 8


@pytest.mark.parametrize("scarce", ["links", "half_open"])
def test_dials_wait_for_room_and_go_on_when_there_is_some(scarce: str) -> None:
    swarm = Swarm(4 * BLOCK, budgets=Budgets(**{scarce: Budget(1)}))
    for port in (1, 2, 3):
        swarm.black_holes.add(Address("192.0.2.1", port))
        swarm.feed(ev.AddPeer(swarm.name, Address("192.0.2.1", port)))
    assert len(swarm.actions(act.Dial)) == 1
    swarm.run(seconds=DIAL_TIMEOUT)
    assert len(swarm.actions(act.Dial)) == 2
    swarm.run(seconds=60)
    assert {dial.address.port for dial in swarm.actions(act.Dial)} == {1, 2, 3}


def test_a_dial_that_succeeds_makes_room_for_the_next() -> None:
    swarm = Swarm(400 * BLOCK, budgets=Budgets(half_open=Budget(1)))
    for port in (1, 2):
        swarm.dialled(Seed, port=port, rate=10_000)
    swarm.run(seconds=1)
    assert len(swarm.actions(act.LinkReady)) == 2


def test_nobody_is_dialled_before_the_check_is_over_or_after_the_stop() -> None:
    swarm = Swarm(4 * BLOCK, full=True, start=False)
    address = Address("192.0.2.1", 1)
    swarm.feed(ev.AddPeer(swarm.name, address))
    assert swarm.torrent.next_deadline() is None
    swarm.disk.delays[act.HashPiece] = 1.0
    swarm.start()
    assert not swarm.actions(act.Dial)
    swarm.black_holes.add(address)
    swarm.run(lambda: bool(swarm.actions(act.Dial)), seconds=10)
    (dial,) = swarm.actions(act.Dial)
    actions = swarm.feed(ev.StopTorrent(swarm.name))
    assert act.CancelDial(dial.dial_id) in actions
    del swarm.dials[dial.dial_id]
    line = swarm.lines["late"] = Line(swarm, "late", swarm.make(Peer))
    swarm.feed(ev.LinkOpened("late", address, dial.dial_id))
    swarm.run(seconds=600)
    assert not line.open
    assert closes(swarm) == [CloseReason.STOPPING]
    assert len(swarm.actions(act.Dial)) == 1
    assert swarm.torrent.state is TorrentState.STOPPED
    assert swarm.torrent.next_deadline() is None


def test_a_stopped_torrent_takes_no_links() -> None:
    swarm = Swarm(start=False)
    swarm.join(Peer)
    assert closes(swarm) == [CloseReason.STOPPING]


# --- The contract -------------------------------------------------------------------------------


def running(seed: int = 1) -> Swarm:
    """In the middle of everything: links, dials, requests and storage work are out."""
    swarm = Swarm(40 * BLOCK, files=[30 * BLOCK, 10 * BLOCK], seed=seed)
    swarm.disk.delays = {act.HashPiece: 0.5, act.StatFiles: 0.3}
    swarm.dialled(Seed, rate=50_000)
    swarm.join(Leech, have=[])
    swarm.run(seconds=5.0)
    swarm.black_holes.add(Address("192.0.2.1", 9))
    swarm.feed(ev.AddPeer(swarm.name, Address("192.0.2.1", 9)))
    swarm.run(seconds=5.1)
    assert any(dial == Address("192.0.2.1", 9) for dial in swarm.dials.values())
    return swarm


def job_out(swarm: Swarm, kind: type) -> int:
    """A storage action of that kind that is not answered yet."""
    answered = {getattr(step.event, "job", None) for step in swarm.trace}
    return next(a.job for a in swarm.actions(kind) if a.job not in answered)


Misuse = Callable[[Swarm], Event]
STRANGE = b"?" * 20

MISUSES: dict[str, Misuse] = {
    "bytes of an unknown link": lambda s: ev.BytesReceived("who", b"x"),
    "sent on an unknown link": lambda s: ev.Sent("who", 1),
    "more sent than there was": lambda s: ev.Sent("link 1", 10**9),
    "less than nothing sent": lambda s: ev.Sent("link 1", -1),
    "a link opened twice": lambda s: ev.LinkOpened("link 1", Address("192.0.2.1", 1)),
    "a dialled link with a name in use": lambda s: ev.LinkOpened(
        "link 1", Address("192.0.2.1", 1), next(iter(s.dials))
    ),
    "an unknown dial opened": lambda s: ev.LinkOpened("new", Address("192.0.2.1", 1), 999),
    "an unknown dial failed": lambda s: ev.DialFailed(999),
    "an answer to no job": lambda s: ev.Written(s.name, 10**6),
    "an answer twice": lambda s: ev.FilesStated(s.name, 1, (None, None)),
    "the wrong answer": lambda s: ev.Written(s.name, job_out(s, act.HashPiece)),
    "a digest of the wrong length": lambda s: ev.PieceHashed(
        s.name, job_out(s, act.HashPiece), b"short"
    ),
    "a piece written that is another": lambda s: ev.PieceHashed(
        s.name, job_out(s, act.HashPiece), bytes(20), written=True
    ),
    "files of another torrent": lambda s: ev.FilesStated(
        s.name, job_out(s, act.StatFiles), (None,)
    ),
    "failure of no job": lambda s: ev.StorageFailed(s.name, 10**6, StorageFault.OTHER),
    "storage of another torrent": lambda s: ev.PieceHashed(
        STRANGE, job_out(s, act.HashPiece), bytes(20)
    ),
    "started twice": lambda s: ev.StartTorrent(s.name),
    "start of another torrent": lambda s: ev.StartTorrent(STRANGE),
    "stop of another torrent": lambda s: ev.StopTorrent(STRANGE),
    "re-check of another torrent": lambda s: ev.Recheck(STRANGE),
    "priorities of another torrent": lambda s: ev.SetPriorities(STRANGE, (1, 1)),
    "too few priorities": lambda s: ev.SetPriorities(s.name, (1,)),
    "a strange priority": lambda s: ev.SetPriorities(s.name, (1, 7)),
    "a peer for another torrent": lambda s: ev.AddPeer(STRANGE, Address("192.0.2.1", 3)),
    "a peer nobody can dial": lambda s: ev.AddPeer(s.name, Address("192.0.2.1", 0)),
    "a drop from another torrent": lambda s: ev.DropPeer(STRANGE, Address("192.0.2.1", 1)),
    "a torrent for a torrent": lambda s: ev.AddTorrent(s.meta),
    "a removal from a torrent": lambda s: ev.RemoveTorrent(s.name),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_is_refused_and_changes_nothing(misuse: str) -> None:
    swarm, twin = running(), running()
    before = swarm.torrent.status(swarm.now), swarm.torrent.peers(swarm.now)
    deadline = swarm.torrent.next_deadline()
    with pytest.raises(LocalProtocolError):
        swarm.torrent.handle(MISUSES[misuse](swarm), swarm.now + 3600.0)
    assert (swarm.torrent.status(swarm.now), swarm.torrent.peers(swarm.now)) == before
    assert swarm.torrent.next_deadline() == deadline
    swarm.finish()
    twin.finish()
    assert [(s.now, s.actions) for s in swarm.trace] == [(s.now, s.actions) for s in twin.trace]


def test_a_block_of_the_wrong_length_from_storage_is_refused() -> None:
    swarm = Swarm(full=True)
    leech = swarm.join(Leech, have=[])
    swarm.disk.manual = True
    swarm.run(seconds=0.1)
    read = swarm.disk.pending[0]
    assert isinstance(read, act.ReadBlocks)
    with pytest.raises(LocalProtocolError, match="size"):
        swarm.torrent.handle(ev.BlocksRead(swarm.name, read.job, b"short"), swarm.now)
    swarm.disk.manual = False
    while swarm.disk.pending:
        swarm.answer(swarm.disk)
    swarm.run(lambda: leech.complete, seconds=10)
    assert leech.complete


@pytest.mark.parametrize("state", ["stopped", "checking", "stopping"])
def test_a_recheck_needs_a_torrent_that_runs(state: str) -> None:
    swarm = Swarm(full=True, start=False)
    swarm.disk.manual = True
    if state != "stopped":
        swarm.start()
    if state == "stopping":
        swarm.feed(ev.StopTorrent(swarm.name))
    with pytest.raises(LocalProtocolError, match=state):
        swarm.torrent.handle(ev.Recheck(swarm.name), swarm.now)


@pytest.mark.parametrize("running_now", [True, False])
def test_priorities_may_be_set_whatever_the_torrent_does(running_now: bool) -> None:
    swarm = Swarm(4 * BLOCK, files=[2 * BLOCK, 2 * BLOCK], full=True, start=False)
    swarm.disk.manual = True
    if running_now:
        swarm.start()
        assert swarm.torrent.state is TorrentState.CHECKING
    swarm.feed(ev.SetPriorities(swarm.name, (1, 0)))
    assert swarm.torrent.status(0.0).wanted_left == 2 * BLOCK


def test_a_torrent_wants_a_peer_id_of_twenty_bytes_and_priorities_that_fit() -> None:
    meta = Swarm().meta
    with pytest.raises(LocalProtocolError):
        Torrent(meta, peer_id=b"short", random=Random(1))
    with pytest.raises(LocalProtocolError):
        Torrent(meta, peer_id=OURS, random=Random(1), priorities=(1, 1, 1))


def test_time_that_goes_back_is_taken_as_standing_still() -> None:
    swarm = Swarm(now=100.0)
    swarm.torrent.handle(ev.Tick(), 50.0)
    swarm.feed(ev.AddPeer(swarm.name, Address("192.0.2.1", 1)))
    swarm.settle()
    swarm.torrent.handle(ev.Tick(), 3.0)
    deadline = swarm.torrent.next_deadline()
    assert deadline is not None
    assert deadline.when > 100.0


def test_bytes_and_progress_after_our_close_are_ignored_until_the_link_is_gone() -> None:
    swarm = Swarm()
    peer = swarm.join(Peer)
    peer.say_bytes(b"\xff" * 4)
    swarm.run(lambda: bool(swarm.actions(act.Close)), seconds=1)
    assert swarm.torrent.handle(ev.BytesReceived("link 0", b"more"), swarm.now) == []
    with pytest.raises(LocalProtocolError, match="10 bytes sent of 0"):
        swarm.torrent.handle(ev.Sent("link 0", 10), swarm.now)
    with pytest.raises(LocalProtocolError, match="open already"):
        swarm.torrent.handle(ev.LinkOpened("link 0", Address("192.0.2.1", 1)), swarm.now)
    assert swarm.torrent.handle(ev.LinkClosed("link 0"), swarm.now) == []
    assert swarm.torrent.handle(ev.LinkClosed("link 0"), swarm.now) == []
    with pytest.raises(LocalProtocolError, match="no link"):
        swarm.torrent.handle(ev.BytesReceived("link 0", b"more"), swarm.now)


def test_messages_that_mean_nothing_here_do_no_harm() -> None:
    swarm = Swarm(4 * BLOCK)
    peer = swarm.join(Peer, extended=True)
    peer.say(
        wire.Port(6881), wire.Extended(7, b"x"), wire.Extended(0, b"rubbish"), wire.Unknown(99, b"")
    )
    peer.say(wire.Reject(0, 0, BLOCK), wire.Cancel(0, 0, BLOCK), wire.NotInterested())
    peer.unchoke()
    swarm.run(seconds=0.1)
    assert peer.asked
