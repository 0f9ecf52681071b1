"""A machine that slept holds the time against nobody."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_kit import Party
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.deadlines import Deadline
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import (
    HANDSHAKE_TIMEOUT,
    IDLE_TIMEOUT,
    KEEPALIVE_INTERVAL,
    LATENESS_FLOOR,
    LATENESS_UNKNOWN,
    REQUEST_TIMEOUT,
    SLEPT,
)
from torrent_core.testing import make_torrent
from torrent_core.torrent import Torrent
from torrent_core.torrent.waking import lateness
from torrent_core.types import Address, CloseReason, ReleaseCause
from torrent_core.wire import messages as wire
from torrent_core.wire.handshake import Handshake
from torrent_core.wire.handshake import encode as encode_handshake
from world import BLOCK
from world_peers import Leech, Mute, Peer, Seed
from world_swarm import OURS, Swarm, answer, unchoked

HOUR = 3600.0
moments = st.floats(0, 1e7)


@given(due=moments, last=moments, gap=st.floats(0, 1e7))
def test_a_call_is_late_by_what_passed_since_its_deadline_and_the_call_before(
    due: float, last: float, gap: float
) -> None:
    now = last + gap
    late = lateness(Deadline(due, "x"), last, now)
    expected = min(now - last, now - due)
    assert late == (expected if expected > SLEPT else 0.0)
    assert lateness(None, last, now) == 0.0


def slept_holding_requests() -> tuple[Swarm, list[Peer]]:
    """Three links with requests out, and an hour without a call."""
    swarm = Swarm(64 * BLOCK)
    peers = [unchoked(swarm) for _ in range(3)]
    swarm.now += HOUR
    return swarm, peers


def test_after_a_sleep_no_link_is_closed_and_no_request_is_late_that_was_not() -> None:
    swarm, peers = slept_holding_requests()
    swarm.tick()
    assert not swarm.actions(act.Close)
    assert not swarm.actions(act.BlocksReleased)
    assert all(peer.asked for peer in peers)
    woken = swarm.now
    swarm.run(lambda: bool(swarm.actions(act.BlocksReleased)), seconds=60)
    assert swarm.now <= woken + LATENESS_UNKNOWN


def delivering(gap: float) -> tuple[Swarm, Peer]:
    """A link that has delivered now and again, and has more to deliver."""
    swarm = Swarm(64 * BLOCK, 64 * BLOCK)
    peer = unchoked(swarm)
    for _ in range(6):
        swarm.run(seconds=gap)
        answer(swarm, peer, 1)
    assert peer.asked
    return swarm, peer


def patience(swarm: Swarm) -> float:
    """Seconds of silence after which the one link is late."""
    (book,) = swarm.torrent._context.active.links.values()
    return book.gaps.patience(REQUEST_TIMEOUT)


def heard_first(swarm: Swarm, peer: Peer) -> None:
    """Its next block is read before the call that is owed."""
    assert peer.line is not None
    block = next(iter(peer.asked))
    del peer.asked[block]
    said = wire.Piece(block.piece, block.begin, peer.block(block))
    swarm.feed(ev.BytesReceived(peer.line.name, wire.encode(said)))


@given(
    gap=st.sampled_from([0.1, 1.0, 2.0]),
    awake=st.floats(0, 0.5),
    asleep=st.floats(60.0, HOUR),
)
def test_the_gap_in_which_a_machine_slept_says_nothing_of_the_link(
    gap: float, awake: float, asleep: float
) -> None:
    """Up to ten seconds of it, until the call that was owed, would count as its silence."""
    swarm, peer = delivering(gap)
    swarm.run(seconds=awake)
    before = patience(swarm)
    swarm.now += asleep
    heard_first(swarm, peer)
    assert patience(swarm) == before
    for _ in range(3):  # and the next ones count as ever
        swarm.run(seconds=gap + 1.0)
        answer(swarm, peer, 1)
    assert patience(swarm) > before


def test_a_sleep_too_short_to_be_known_for_one_makes_us_patient_and_is_soon_forgotten() -> None:
    swarm, peer = delivering(0.1)
    assert patience(swarm) == LATENESS_FLOOR
    due = swarm.torrent.next_deadline()
    assert due is not None
    swarm.now = due.when + SLEPT
    heard_first(swarm, peer)
    assert LATENESS_FLOOR < patience(swarm) <= REQUEST_TIMEOUT
    for _ in range(16):
        swarm.run(seconds=0.1)
        answer(swarm, peer, 1)
    assert patience(swarm) == LATENESS_FLOOR


def test_a_link_that_was_asked_for_nothing_before_a_sleep_is_measured_after_it() -> None:
    swarm = Swarm(2 * BLOCK)
    peer = swarm.join(Peer)
    swarm.run(seconds=1.0)
    swarm.now += HOUR
    swarm.tick()
    peer.unchoke()
    swarm.run(seconds=3.0)
    answer(swarm, peer, 1)
    assert patience(swarm) == pytest.approx(3 * 3.0, abs=0.2)  # gap, and four times half of it


def test_after_a_sleep_each_link_is_told_that_we_live() -> None:
    swarm, peers = slept_holding_requests()
    before = [len(peer.heard) for peer in peers]
    swarm.tick()
    swarm.run(seconds=0.05)
    for peer, heard in zip(peers, before, strict=True):
        assert wire.KeepAlive() in peer.heard[heard:]


def test_a_link_that_died_in_the_sleep_is_given_up_when_the_rest_of_its_time_is_over() -> None:
    swarm = Swarm(64 * BLOCK)
    peer = swarm.join(Peer)
    heard = swarm.now
    swarm.now += HOUR
    swarm.tick()
    swarm.run(lambda: bool(swarm.actions(act.Close)), seconds=HOUR)
    assert swarm.actions(act.Close)[0].reason is CloseReason.IDLE_TIMEOUT
    assert swarm.now <= heard + HOUR + IDLE_TIMEOUT
    assert swarm.now > heard + HOUR + 1.0
    swarm.run(seconds=0.05)
    assert not peer.alive


@pytest.mark.parametrize("seconds", [SLEPT - 1.0, SLEPT + 1.0])
def test_a_call_that_is_a_little_late_is_no_sleep(seconds: float) -> None:
    swarm = Swarm(2 * BLOCK)
    unchoked(swarm)
    due = swarm.torrent.next_deadline()
    assert due is not None
    swarm.now = due.when + seconds
    swarm.tick()
    swarm.run(seconds=0.1)
    late = [report.cause for report in swarm.actions(act.BlocksReleased)]
    assert late == [ReleaseCause.SNUBBED]  # it was due, asleep or not
    (row,) = swarm.torrent.peers(swarm.now)
    assert row.outstanding == 1


@given(st.sampled_from([0.0, 5.0, 30.0, HOUR]), st.integers(0, 5))
def test_misuse_after_a_sleep_changes_nothing(gap: float, number: int) -> None:
    swarm = Swarm(8 * BLOCK)
    unchoked(swarm)
    before = swarm.torrent.next_deadline()
    assert before is not None
    with pytest.raises(LocalProtocolError):
        swarm.torrent.handle(ev.BytesReceived(f"no link {number}", b"x"), swarm.now + gap)
    after = swarm.torrent.next_deadline()
    assert after is not None
    assert after.when == pytest.approx(before.when)
    assert after.why == before.why


def test_in_a_session_neither_links_nor_those_that_shake_hands_are_dropped() -> None:
    party = Party(64 * BLOCK, 64 * BLOCK)
    for index in (0, 1):
        party.add(index)
        party.join(Peer, index).unchoke()
    party.join(Mute, 0)
    opened = party.now
    party.now += HOUR
    party.tick()
    assert not party.closes()
    woken = party.now
    party.run(lambda: bool(party.closes()), seconds=60)
    assert party.closes() == [CloseReason.HANDSHAKE_TIMEOUT]
    assert woken < party.now <= opened + HOUR + HANDSHAKE_TIMEOUT


def test_misuse_of_a_session_after_a_sleep_changes_nothing() -> None:
    party = Party(64 * BLOCK)
    party.add(0)
    party.join(Peer, 0)
    before = party.machine.next_deadline()
    assert before is not None
    with pytest.raises(LocalProtocolError):
        party.machine.handle(ev.BytesReceived("no link", b"x"), party.now + HOUR)
    after = party.machine.next_deadline()
    assert after is not None
    assert after.when == pytest.approx(before.when)


def test_a_machine_that_waited_for_nothing_did_not_oversleep() -> None:
    swarm = Swarm(2 * BLOCK)
    swarm.now += HOUR
    swarm.join(Leech)
    seed = swarm.join(Seed)
    swarm.finish(5)
    assert seed.blocks_sent == 2


def test_a_link_that_shakes_hands_after_a_sleep_owes_its_keep_alive_before_another_is_late() -> (
    None
):
    """Nothing but the handshake has left since, and that was long ago."""
    meta, _ = make_torrent(4 * BLOCK, 2 * BLOCK)
    torrent = Torrent(meta, peer_id=OURS, random=Random(1))
    start = torrent.handle(ev.StartTorrent(meta.info_hash), 0.0)
    (job,) = (action.job for action in start if isinstance(action, act.StatFiles))
    torrent.handle(ev.FilesStated(meta.info_hash, job, (None,)), 0.0)
    for link, now in enumerate((0.0, 9.0)):
        address = Address("192.0.2.1", 10 + link)
        dials = torrent.handle(ev.AddPeer(meta.info_hash, address), now)
        (dial,) = (action.dial_id for action in dials if isinstance(action, act.Dial))
        torrent.handle(ev.LinkOpened(link, address, dial), now)
    hands = encode_handshake(Handshake(meta.info_hash, b"-XX0000-abcdefghijkl", bytes(8)))
    torrent.handle(ev.BytesReceived(1, hands), HOUR)
    assert torrent._links.next_deadline() == Deadline(9.0 + KEEPALIVE_INTERVAL, "keep-alive")
