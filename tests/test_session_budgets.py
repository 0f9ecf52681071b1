"""Torrents that share memory, links and dials: each gets its turn and is told."""

from __future__ import annotations

import pytest

from session_kit import Party, small_memory
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.limits import (
    DIAL_TIMEOUT,
)
from torrent_core.metainfo import Metainfo
from torrent_core.session import SessionConfig
from torrent_core.types import Address, StorageFault, TorrentState
from torrent_core.wire.handshake import Handshake
from world import BLOCK
from world_peers import Seed
from world_swarm import OURS

# --- What torrents share ------------------------------------------------------------------------


def test_two_torrents_share_the_memory_and_each_is_told_when_some_is_free() -> None:
    party = Party(40 * BLOCK, 40 * BLOCK, config=small_memory(8))
    for disk in party.store:
        disk.delays = {act.WriteBlocks: 1.0}
    party.add(0, 1)
    for which in (0, 1):
        party.join(Seed, which)
    memory = party.session._budgets.memory

    def over() -> bool:
        assert memory.used <= memory.limit + 2 * 2 * BLOCK  # two pieces are always admitted
        return party.state(0) is party.state(1) is TorrentState.SEEDING

    assert party.run(over, seconds=60)
    assert memory.used == 0
    party.finish(0, 1)


def test_a_torrent_whose_neighbour_holds_all_memory_still_has_two_pieces() -> None:
    party = Party(40 * BLOCK, 8 * BLOCK, config=small_memory(8))
    party.store[0].fault = lambda a: (
        StorageFault.DISK_FULL if isinstance(a, act.WriteBlocks) else None
    )
    party.add(0, 1)
    party.join(Seed, 0)
    party.run(seconds=5)
    party.join(Seed, 1)
    party.finish(1, seconds=30)
    party.store[0].fault = lambda a: None
    party.finish(0, seconds=200)


def test_memory_of_a_removed_torrent_is_there_for_others() -> None:
    party = Party(40 * BLOCK, 40 * BLOCK, config=small_memory(8))
    party.store[0].fault = lambda a: (
        StorageFault.DISK_FULL if isinstance(a, act.WriteBlocks) else None
    )
    party.add(0, 1)
    party.join(Seed, 0)
    party.run(seconds=1)
    seed = party.join(Seed, 1, rate=1_000_000)
    party.feed(ev.RemoveTorrent(party.metas[0].info_hash))
    party.finish(1)
    assert seed.blocks_sent == 40
    assert party.session._budgets.memory.used == 0


@pytest.mark.parametrize("scarce", ["max_links", "max_half_open"])
def test_two_torrents_share_links_and_dials_and_each_gets_its_turn(scarce: str) -> None:
    party = Party(4 * BLOCK, 4 * BLOCK, config=SessionConfig(**{scarce: 1}))
    party.add(0, 1)
    party.dialled(Seed, 0, port=1, latency=1.0)
    party.dialled(Seed, 1, port=2, latency=1.0)
    assert len(party.actions(act.Dial)) == 1
    party.finish(0, 1)


def test_a_redial_that_was_not_due_when_room_ran_out_is_made_when_there_is_some() -> None:
    party = Party(4 * BLOCK, 400 * BLOCK, config=SessionConfig(max_links=1))
    party.add(0, 1)
    party.feed(ev.AddPeer(party.metas[0].info_hash, Address("192.0.2.1", 9)))
    party.run(seconds=0.5)  # refused: it is to be dialled again in a second
    hog = party.dialled(Seed, 1, port=2, rate=100_000)
    party.run(seconds=0.1)
    assert hog.alive
    seed = party.make(Seed, 0)
    party.listeners[Address("192.0.2.1", 9)] = lambda: seed
    party.run(seconds=20)
    assert not seed.alive
    party.feed(ev.DropPeer(party.metas[1].info_hash, Address("192.0.2.1", 2)))
    party.finish(0, seconds=5)


def test_room_that_comes_before_the_redial_is_due_is_not_missed() -> None:
    party = Party(4 * BLOCK, 400 * BLOCK, config=SessionConfig(max_links=1))
    party.add(0, 1)
    party.feed(ev.AddPeer(party.metas[0].info_hash, Address("192.0.2.1", 9)))
    party.run(seconds=0.5)
    party.dialled(Seed, 1, port=2, rate=100_000)
    party.run(seconds=0.1)
    seed = party.make(Seed, 0)
    party.listeners[Address("192.0.2.1", 9)] = lambda: seed
    party.feed(ev.DropPeer(party.metas[1].info_hash, Address("192.0.2.1", 2)))
    party.finish(0, seconds=2)


def test_a_room_that_another_took_does_not_delay_the_deadlines_of_a_third() -> None:
    party = Party(4 * BLOCK, 400 * BLOCK, 4 * BLOCK, config=SessionConfig(max_half_open=1))
    party.add(0)
    party.feed(ev.AddPeer(party.metas[0].info_hash, Address("192.0.2.1", 9)))
    party.settle()
    party.black_holes.add(Address("192.0.2.1", 2))
    party.add(1, 2)
    party.feed(ev.AddPeer(party.metas[1].info_hash, Address("192.0.2.1", 2)))
    party.run(seconds=DIAL_TIMEOUT + 5)
    saves = {save.torrent: when for when, save in party.timed(act.SaveResume)}
    assert saves == {meta.info_hash: 10.0 for meta in party.metas}


def test_metainfo_and_resume_reach_the_torrent() -> None:
    party = Party(4 * BLOCK)
    party.store[0].fill(party.payloads[0])
    party.add(0, resume=b"nonsense", priorities=(1,))
    assert party.state(0) is TorrentState.SEEDING
    assert party.actions(act.Warned)
    torrent = party.session.torrents.get(party.metas[0].info_hash)
    assert torrent is not None
    assert isinstance(torrent.metainfo, Metainfo)
    assert Handshake(torrent.info_hash, OURS, bytes(8)).info_hash == party.metas[0].info_hash
