"""Each account is named, and the text is what a person would read.

That no block is ever stranded is asserted after every step of every world (``world.py``).
"""

from __future__ import annotations

from random import Random

import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Account, Entry, Explanation
from torrent_core.budget import Budget
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import DIAL_TIMEOUT
from torrent_core.registry import Registry
from torrent_core.session import Session
from torrent_core.torrent import Budgets
from torrent_core.types import Address, StorageFault, TorrentState
from world import BLOCK
from world_peers import Choker, Rejecter, Silent
from world_swarm import Swarm, answer, unchoked


def accounts(swarm: Swarm) -> dict[Account, int]:
    """Blocks on each account."""
    counts: dict[Account, int] = {}
    for entry in swarm.torrent.explain(swarm.now).entries:
        counts[entry.account] = counts.get(entry.account, 0) + entry.blocks
    return counts


def text(swarm: Swarm) -> str:
    return swarm.torrent.explain(swarm.now).text()


def test_a_stopped_and_a_checking_torrent_say_so() -> None:
    swarm = Swarm(start=False)
    assert accounts(swarm) == {Account.HELD: 8}
    assert "the torrent is stopped" in text(swarm)
    swarm.feed(ev.StartTorrent(swarm.name))
    assert "the files are being checked" in text(swarm)


def test_nobody_is_dialled_for_a_torrent_that_is_stopped() -> None:
    swarm = Swarm()
    swarm.feed(ev.AddPeer(swarm.name, Address("192.0.2.9", 1)))
    assert swarm.torrent.explain(swarm.now).scheduled
    swarm.feed(ev.StopTorrent(swarm.name))
    swarm.run(seconds=60.0)
    assert swarm.torrent.explain(swarm.now).scheduled == ()


def test_nobody_is_there_and_nothing_is_scheduled() -> None:
    swarm = Swarm()
    assert accounts(swarm) == {Account.NOBODY: 8}
    assert text(swarm) == (
        "8 blocks in 4 pieces are missing. All of them wait: no connected peer has them. "
        "Nothing is scheduled that would find another supplier."
    )


def test_the_only_holder_of_the_pieces_chokes_us() -> None:
    swarm = Swarm()
    swarm.join(Choker, port=7)
    swarm.feed(ev.AddPeer(swarm.name, Address("192.0.2.9", 1)))
    swarm.run(seconds=0.1)
    explanation = swarm.torrent.explain(swarm.now)
    (entry,) = explanation.entries
    assert (entry.account, entry.blocks) == (Account.NOBODY, 8)
    assert len(entry.links) == 1
    assert explanation.text() == (
        "8 blocks in 4 pieces are missing. All of them wait: the only peer that has them, "
        "192.0.2.1:7, chokes us, and must unchoke us first. Next: dial 192.0.2.9:1, in 0.9 s."
    )


def test_a_dial_under_way_is_what_comes_next() -> None:
    swarm = Swarm()
    swarm.feed(ev.AddPeer(swarm.name, Address("192.0.2.9", 1)))
    explanation = swarm.torrent.explain(swarm.now)
    assert explanation.scheduled == ((swarm.now + DIAL_TIMEOUT, "a dial times out"),)
    assert explanation.text().endswith("Next: a dial times out, in 10.0 s.")


def test_two_holders_that_choke_us_are_both_named() -> None:
    swarm = Swarm()
    swarm.join(Choker, port=7)
    swarm.join(Choker, port=8)
    swarm.run(seconds=0.1)
    assert text(swarm) == (
        "8 blocks in 4 pieces are missing. All of them wait: the 2 peers that have them choke us "
        "(192.0.2.1:7 and 192.0.2.1:8), and one must unchoke us first. "
        "Nothing is scheduled that would find another supplier."
    )


def test_requests_name_whom_and_until_when() -> None:
    swarm = Swarm()
    peer = unchoked(swarm)
    answer(swarm, peer, 1)
    explanation = swarm.torrent.explain(swarm.now)
    asked = [entry for entry in explanation.entries if entry.account is Account.REQUESTED]
    assert all(entry.until and entry.until > swarm.now for entry in asked)
    assert explanation.next_move == min(entry.until for entry in asked if entry.until)
    assert f"asked of {peer_address(swarm)}" in explanation.text()
    assert accounts(swarm)[Account.RECEIVED] == 1
    assert "waits for its other blocks" in explanation.text()


def peer_address(swarm: Swarm) -> Address:
    return swarm.torrent.peers(swarm.now)[0].address


def test_what_nobody_has_room_for_is_full() -> None:
    swarm = Swarm(64 * BLOCK, 2 * BLOCK)
    unchoked(swarm)
    counts = accounts(swarm)
    assert counts[Account.FULL] + counts[Account.REQUESTED] == 64
    assert "every supplier is busy" in text(swarm)


def test_what_every_supplier_refused_is_refused_until_a_moment() -> None:
    swarm = Swarm()
    swarm.join(Rejecter)
    swarm.run(seconds=0.5)
    explanation = swarm.torrent.explain(swarm.now)
    assert {entry.account for entry in explanation.entries} == {Account.REFUSED}
    assert explanation.next_move is not None
    assert swarm.now < explanation.next_move <= swarm.now + 2.0


def test_a_whole_link_at_rest_is_a_refusal_too() -> None:
    swarm = Swarm(64 * BLOCK, BLOCK)
    swarm.join(Rejecter)
    swarm.run(seconds=1.0)
    assert accounts(swarm) == {Account.REFUSED: 64}


def test_memory_that_is_full_holds_back() -> None:
    budgets = Budgets(memory=Budget(8 * BLOCK))
    swarm = Swarm(64 * BLOCK, 2 * BLOCK, budgets=budgets)
    swarm.disk.delays[act.HashPiece] = 60.0
    peer = unchoked(swarm)
    for _ in range(5):
        answer(swarm, peer)
        swarm.run(seconds=0.2)
    assert accounts(swarm) == {Account.RECEIVED: 8, Account.HELD: 56}
    assert (
        "memory is full with 4 pieces in progress, 4 of them at the disk, "
        "128 of 128 KiB taken." in text(swarm)
    )


def test_a_piece_that_waits_for_its_disk_says_so_and_when_it_is_tried_again() -> None:
    swarm = Swarm(2 * BLOCK, 2 * BLOCK)
    peer = unchoked(swarm)
    swarm.disk.fault = lambda action: (
        StorageFault.DISK_FULL if isinstance(action, act.WriteBlocks) else None
    )
    answer(swarm, peer)
    swarm.run(seconds=0.2)
    explanation = swarm.torrent.explain(swarm.now)
    (entry,) = explanation.entries
    assert entry.account is Account.RECEIVED
    assert entry.until is not None
    assert "its storage failed" in entry.why


def test_a_piece_in_progress_when_the_torrent_stops_is_with_the_storage() -> None:
    swarm = Swarm()
    peer = unchoked(swarm)
    answer(swarm, peer, 1)
    swarm.feed(ev.StopTorrent(swarm.name))
    assert swarm.torrent.explain(swarm.now).missing_blocks == 8
    swarm.run(seconds=1.0)
    assert swarm.torrent.state is TorrentState.STOPPED
    assert accounts(swarm) == {Account.HELD: 8}


def test_a_silent_peer_is_probed_and_the_rest_waits_for_it() -> None:
    swarm = Swarm(64 * BLOCK, 2 * BLOCK)
    swarm.join(Silent)
    swarm.run(seconds=11.0)
    counts = accounts(swarm)
    assert counts[Account.REQUESTED] == 1
    assert counts[Account.FULL] == 63


def test_nothing_missing_has_nothing_to_say() -> None:
    swarm = Swarm(full=True)
    explanation = swarm.torrent.explain(swarm.now)
    assert explanation.entries == ()
    assert explanation.text() == "Nothing is missing."
    assert explanation.next_move is None


def test_a_stall_would_be_named() -> None:
    entry = Entry(Account.STRANDED, "a supplier is idle", 1, 1)
    explanation = Explanation(b"x" * 20, 0.0, TorrentState.DOWNLOADING, (entry,), ())
    assert explanation.stranded == (entry,)
    assert explanation.text() == "1 block in 1 piece is missing. It waits: a supplier is idle."


def test_a_session_explains_each_of_its_torrents() -> None:
    swarm = Swarm(start=False)
    session = Session(b"x" * 20, Random(1))
    session.handle(ev.AddTorrent(swarm.meta), 0.0)
    (name,) = session.explain(0.0)
    assert name == swarm.name


def test_what_a_session_explains_reads_as_a_paragraph_for_each_torrent() -> None:
    first, second = Swarm(start=False), Swarm(2 * BLOCK, BLOCK, start=False)
    session = Session(b"x" * 20, Random(1))
    assert str(session.explain(0.0)) == ""
    for swarm in (first, second):
        session.handle(ev.AddTorrent(swarm.meta), 0.0)
    checked = "All of them wait: the files are being checked."
    assert str(session.explain(0.0)) == (
        f"{first.name.hex()}: 8 blocks in 4 pieces are missing. {checked}\n\n"
        f"{second.name.hex()}: 2 blocks in 2 pieces are missing. {checked}"
    )


def test_a_registry_does_not_take_two_under_one_key() -> None:
    registry: Registry[str, int] = Registry()
    registry.add("a", 1)
    with pytest.raises(LocalProtocolError, match="registered"):
        registry.add("a", 2)
    assert registry.get("a") == 1
