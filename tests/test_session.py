"""Several torrents behind one door: routing, the contract, adding and removing."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_kit import Party
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.errors import LocalProtocolError
from torrent_core.events import Event
from torrent_core.limits import (
    HANDSHAKE_TIMEOUT,
    MAX_LINKS_PER_ADDRESS,
    MAX_PENDING_HANDSHAKES,
)
from torrent_core.session import Session
from torrent_core.types import Address, CloseReason, StorageFault, TorrentState
from torrent_core.wire.handshake import encode as encode_handshake
from world import BLOCK
from world_peers import Leech, Mute, Peer, Seed
from world_swarm import OURS

# --- Routing ------------------------------------------------------------------------------------


@pytest.mark.uncovered
@given(st.sampled_from([0, 30, 68, 69, 100, 1400]) | st.integers(500, 20_000))
def test_links_find_their_torrent_with_the_bytes_behind_the_handshake(chunk: int) -> None:
    party = Party(4 * BLOCK, 6 * BLOCK)
    party.add(0, 1)
    seeds = [party.join(Seed, which, chunk=chunk) for which in (1, 0)]
    party.finish(0, 1)
    assert [seed.blocks_sent for seed in seeds] == [6, 4]
    assert {ready.torrent for ready in party.actions(act.LinkReady)} == {
        meta.info_hash for meta in party.metas
    }


@pytest.mark.uncovered
def test_a_link_may_come_byte_by_byte() -> None:
    party = Party(BLOCK)
    party.add(0)
    peer = party.join(Seed, 0, chunk=1)
    party.finish(0)
    assert peer.blocks_sent == 1


@pytest.mark.parametrize("cut", [1, 19, 20, 47, 48, 67, 68])
def test_wherever_the_handshake_is_cut(cut: int) -> None:
    party = Party(BLOCK)
    party.add(0)
    peer = party.join(Mute, 0)
    hello = encode_handshake(peer.handshake())
    peer.say_bytes(hello[:cut])
    party.run(seconds=0.1)
    peer.say_bytes(hello[cut:])
    party.run(seconds=0.1)
    assert party.actions(act.LinkReady)
    assert peer.heard


def test_strangers_are_closed_at_the_first_wrong_byte() -> None:
    party = Party(BLOCK)
    party.add(0)
    peer = party.join(Mute, 0)
    peer.say_bytes(b"\x13BitTorrent prat")
    party.run(seconds=0.1)
    assert party.closes() == [CloseReason.WRONG_PROTOCOL]
    assert not peer.alive


def test_who_names_a_torrent_that_is_not_here_is_closed() -> None:
    party = Party(BLOCK, BLOCK)
    party.add(0)
    party.join(Seed, 1)
    assert party.closes() == [CloseReason.WRONG_TORRENT]
    (close,) = party.actions(act.Close)
    assert party.metas[1].info_hash.hex() in close.detail


def test_a_torrent_that_is_stopped_takes_no_links() -> None:
    party = Party(BLOCK)
    party.add(0)
    party.feed(ev.StopTorrent(party.metas[0].info_hash))
    party.settle()
    party.join(Seed, 0)
    assert party.closes() == [CloseReason.STOPPING]


def test_pending_links_have_ten_seconds_and_so_have_those_that_were_routed() -> None:
    party = Party(BLOCK)
    party.add(0)
    silent = party.join(Mute, 0)
    half = party.join(Mute, 0)
    opened = party.now - 0.03
    half.say_bytes(encode_handshake(half.handshake())[:60])
    party.run(lambda: len(party.closes()) == 1, seconds=60)
    assert party.now == pytest.approx(opened - 0.03 + HANDSHAKE_TIMEOUT)
    party.run(lambda: len(party.closes()) == 2, seconds=60)
    assert party.now == pytest.approx(opened + HANDSHAKE_TIMEOUT)
    assert set(party.closes()) == {CloseReason.HANDSHAKE_TIMEOUT}
    party.run(seconds=0.1)
    assert not silent.alive
    assert not half.alive


def test_links_that_opened_before_they_were_handed_in_are_closed_in_time() -> None:
    party = Party(BLOCK)
    party.add(0)
    party.run(seconds=100)
    for name, since in (("a", 99.0), ("b", 95.0), ("c", None)):
        party.feed(ev.LinkOpened(name, Address("192.0.2.1", 1), since=since))
    seen = []
    for _ in range(3):
        deadline = party.session.next_deadline()
        assert deadline is not None
        assert deadline.why == "handshake"
        party.now = deadline.when
        seen.append((deadline.when, [a.link for a in party.session.handle(ev.Tick(), party.now)]))
    assert seen == [(105.0, ["b"]), (109.0, ["a"]), (110.0, ["c"])]


def test_a_pending_link_that_goes_is_forgotten() -> None:
    party = Party(BLOCK)
    party.add(0)
    before = party.session.next_deadline()
    peer = party.join(Mute, 0)
    peer.leave()
    party.run(seconds=0.1)
    assert party.session.next_deadline() == before
    assert party.feed(ev.LinkClosed("link 0")) == []


def test_ourselves_and_doubles_are_closed() -> None:
    party = Party(8 * BLOCK)
    party.add(0)
    party.join(Peer, 0, peer_id=OURS)
    first = party.join(Peer, 0)
    party.join(Peer, 0, peer_id=first.peer_id)
    assert party.closes() == [CloseReason.SELF_CONNECTION, CloseReason.DUPLICATE_PEER]


def test_links_above_the_limit_of_one_address_are_refused_until_some_go() -> None:
    party = Party(8 * BLOCK)
    party.add(0)
    for _ in range(MAX_LINKS_PER_ADDRESS + 1):  # the same host, but a local one: a swarm at home
        assert party.join(Peer, 0, host="127.0.0.1").alive
    peers = [party.join(Peer, 0, host="8.8.8.8") for _ in range(MAX_LINKS_PER_ADDRESS + 1)]
    assert party.closes() == [CloseReason.TOO_MANY_LINKS]
    assert [peer.alive for peer in peers] == [True] * MAX_LINKS_PER_ADDRESS + [False]
    peers[0].leave()
    party.run(seconds=0.1)
    assert party.join(Peer, 0, host="8.8.8.8").alive


def test_no_more_links_wait_for_their_handshake_than_are_allowed() -> None:
    party = Party(BLOCK)
    party.add(0)
    for number in range(MAX_PENDING_HANDSHAKES + 1):
        party.join(Mute, 0, host=f"203.0.113.{number}", latency=0.0)
    assert party.closes() == [CloseReason.TOO_MANY_LINKS]
    refused = f"link {MAX_PENDING_HANDSHAKES}"
    assert party.actions(act.Close)[0].link == refused


def test_bytes_and_progress_of_a_link_that_we_closed_are_ignored() -> None:
    session = Session(OURS, Random(1))
    session.handle(ev.LinkOpened("x", Address("192.0.2.1", 1)), 0.0)
    (close,) = session.handle(ev.BytesReceived("x", b"HTTP"), 0.0)
    assert isinstance(close, act.Close)
    assert session.handle(ev.BytesReceived("x", b"/1.1"), 0.0) == []
    assert session.handle(ev.Sent("x", 5), 0.0) == []
    assert session.handle(ev.LinkClosed("x"), 0.0) == []
    assert session.next_deadline() is None


# --- The contract -------------------------------------------------------------------------------


MISUSES: dict[str, Callable[[Party], Event]] = {
    "a torrent added twice": lambda p: ev.AddTorrent(p.metas[0]),
    "priorities that do not fit": lambda p: ev.AddTorrent(p.metas[1], priorities=(1, 1, 1)),
    "removal of a stranger": lambda p: ev.RemoveTorrent(p.metas[1].info_hash),
    "start of what runs": lambda p: ev.StartTorrent(p.metas[0].info_hash),
    "start of a stranger": lambda p: ev.StartTorrent(p.metas[1].info_hash),
    "stop of a stranger": lambda p: ev.StopTorrent(p.metas[1].info_hash),
    "a peer for a stranger": lambda p: ev.AddPeer(p.metas[1].info_hash, Address("192.0.2.1", 1)),
    "a peer without a host": lambda p: ev.AddPeer(p.metas[0].info_hash, Address("", 1)),
    "no priorities": lambda p: ev.SetPriorities(p.metas[0].info_hash, ()),
    "a digest for a stranger": lambda p: ev.PieceHashed(p.metas[1].info_hash, 1, bytes(20)),
    "failure of no job": lambda p: ev.StorageFailed(
        p.metas[0].info_hash, 10**6, StorageFault.OTHER
    ),
    "bytes of an unknown link": lambda p: ev.BytesReceived("who", b"x"),
    "sent on an unknown link": lambda p: ev.Sent("who", 1),
    "more sent than there was": lambda p: ev.Sent("link 0", 10**6),
    "a link opened twice": lambda p: ev.LinkOpened("link 0", Address("192.0.2.1", 1)),
    "a dial opened twice": lambda p: ev.LinkOpened("link 0", Address("192.0.2.1", 1), 1),
    "an unknown dial opened": lambda p: ev.LinkOpened("new", Address("192.0.2.1", 1), 10**6),
    "an unknown dial failed": lambda p: ev.DialFailed(10**6),
    "no event at all": lambda p: object(),  # type: ignore[dict-item, return-value]
}
"""Events that break the contract of a session in which torrent 1 is not."""


def busy() -> Party:
    party = Party(40 * BLOCK, BLOCK)
    party.add(0)
    party.join(Seed, 0, rate=100_000)
    party.join(Leech, 0, have=[])
    party.run(seconds=2.0)
    return party


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_is_refused_and_changes_nothing(misuse: str) -> None:
    party, twin = busy(), busy()
    deadline = party.session.next_deadline()
    with pytest.raises(LocalProtocolError):
        party.session.handle(MISUSES[misuse](party), party.now + 3600.0)
    assert party.session.next_deadline() == deadline
    assert len(party.session.torrents) == 1
    party.finish(0)
    twin.finish(0)
    assert [(s.now, s.actions) for s in party.trace] == [(s.now, s.actions) for s in twin.trace]


def test_a_peer_id_has_twenty_bytes() -> None:
    with pytest.raises(LocalProtocolError):
        Session(b"short", Random(1))


def test_an_empty_session_waits_for_nothing() -> None:
    session = Session(OURS, Random(1))
    assert session.next_deadline() is None
    assert session.handle(ev.Tick(), 5.0) == []


# --- Adding and removing ------------------------------------------------------------------------


def test_a_removed_torrent_ends_cleanly_and_may_be_added_again() -> None:
    party = Party(40 * BLOCK)
    party.add(0)
    party.join(Seed, 0, rate=100_000)
    party.run(seconds=3)
    party.feed(ev.RemoveTorrent(party.metas[0].info_hash))
    assert party.run(lambda: party.state(0) is None, seconds=60)
    resume = party.store[0].resume
    assert resume is not None
    party.run(seconds=1)
    party.add(0, resume=resume)
    party.join(Seed, 0)
    party.finish(0)


def test_what_still_comes_for_a_removed_torrent_does_not_disturb_its_successor() -> None:
    party = Party(4 * BLOCK)
    party.add(0)
    name = party.metas[0].info_hash
    party.black_holes.add(Address("192.0.2.1", 7))
    party.feed(ev.AddPeer(name, Address("192.0.2.1", 7)))
    (dial,) = party.actions(act.Dial)
    line = party.join(Peer, 0).line
    assert line is not None
    session = party.session
    session.handle(ev.RemoveTorrent(name), party.now)  # carried out by hand from here
    job = 2
    while party.state(0) is not None:
        session.handle(ev.FilesStated(name, job, (None,)), party.now)
    session.handle(ev.AddTorrent(party.metas[0]), party.now)
    session.handle(ev.FilesStated(name, 1, (None,)), party.now)
    session.handle(ev.AddPeer(name, Address("192.0.2.1", 8)), party.now)
    before = session.next_deadline()
    assert before is not None
    session.handle(ev.LinkClosed(line.name), party.now)
    session.handle(ev.DialFailed(dial.dial_id), party.now)
    assert session.next_deadline() == before


def test_a_dial_that_succeeds_after_the_removal_is_closed() -> None:
    party = Party(4 * BLOCK)
    party.add(0)
    address = Address("192.0.2.1", 7)
    party.black_holes.add(address)
    party.feed(ev.AddPeer(party.metas[0].info_hash, address))
    dial_id = party.actions(act.Dial)[0].dial_id
    peer = party.make(Peer, 0)
    party.feed(ev.RemoveTorrent(party.metas[0].info_hash))
    party.dials[dial_id] = address
    party.open_dial(dial_id, peer)
    party.run(seconds=1)
    assert party.closes() == [CloseReason.STOPPING]
    assert party.state(0) is None
    assert party.session.next_deadline() is None


def test_a_stopped_torrent_is_removed_at_once() -> None:
    party = Party(4 * BLOCK)
    party.add(0)
    party.feed(ev.StopTorrent(party.metas[0].info_hash))
    party.settle()
    assert party.state(0) is TorrentState.STOPPED
    party.feed(ev.RemoveTorrent(party.metas[0].info_hash))
    assert party.state(0) is None


def test_the_session_wakes_each_torrent_at_its_own_deadline() -> None:
    party = Party(4 * BLOCK, 4 * BLOCK)
    party.add(0)
    party.run(seconds=3)
    party.add(1)
    party.run(seconds=30)
    assert [(when, save.torrent) for when, save in party.timed(act.SaveResume)] == [
        (10.0, party.metas[0].info_hash),
        (13.0, party.metas[1].info_hash),
    ]
