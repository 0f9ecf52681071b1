"""Who spoils pieces is found out and kept out; who does not is never blamed for it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Account
from torrent_core.budget import Budget
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import MAX_DEPARTED, MAX_IDENTITIES_PER_ADDRESS, REQUEST_TIMEOUT
from torrent_core.metainfo import Metainfo
from torrent_core.torrent import Budgets
from torrent_core.types import (
    Address,
    BlockInfo,
    CloseReason,
    Identity,
    ReleaseCause,
    Span,
    StorageFault,
)
from torrent_core.wire import messages as wire
from world import BLOCK, Disk, Line, make_torrent
from world_peers import Choker, Corrupter, Leaver, Peer, Rejecter, Seed, Silent
from world_swarm import Swarm, answer, failing, stop, unchoked

P = TypeVar("P", bound=Peer)

HOME, AWAY = "8.8.4.4", "9.9.9.9"
"""Public addresses: a whole swarm may share a private one, which is therefore never barred."""


class Spoiler(Corrupter):
    """Spoils what ``spoils`` says, and knows whether it ever did."""

    guilty = False

    def serve(self, block: BlockInfo) -> float:
        if not self.spoils(block):
            return Seed.serve(self, block)
        self.guilty = True
        return super().serve(block)

    def spoils(self, block: BlockInfo) -> bool:
        return True


class OncePerPiece(Spoiler):
    """One bad block of each piece, the first that it is asked for."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.spoilt: set[int] = set()

    def spoils(self, block: BlockInfo) -> bool:
        if block.piece in self.spoilt:
            return False
        self.spoilt.add(block.piece)
        return True


class Hydra(Spoiler):
    """Comes back under a new peer id each time that its link ends."""

    heads = 1

    def closed(self) -> None:
        super().closed()
        if self.heads < 20:
            self.heads += 1
            self.peer_id = b"-HY0000-%012d" % next(self.world.ids)
            self.world.at(self.world.now + 1.0, lambda: connect(self.world, self, self.host))

    host = HOME


def connect(swarm: Any, peer: Peer, host: str) -> Line:
    """The peer dials us from ``host``."""
    line: Line = swarm.connect(peer, Address(host, 40_000 + len(swarm.lines)))
    return line


def come(swarm: Swarm, kind: type[P], host: str = AWAY, **options: Any) -> P:
    peer = swarm.make(kind, **options)
    connect(swarm, peer, host)
    swarm.run(seconds=3 * peer.latency)
    return peer


def who(peer: Peer, host: str = AWAY) -> Identity:
    return Identity(host, peer.peer_id)


def banned(swarm: Swarm) -> list[Identity]:
    return [ban.peer for ban in swarm.actions(act.PeerBanned)]


def closes(swarm: Swarm, peer: Peer) -> list[CloseReason]:
    """Why we closed the peer's last link."""
    assert peer.line is not None
    return [close.reason for close in swarm.actions(act.Close) if close.link == peer.line.name]


def give_all(swarm: Swarm, peer: Peer, *, bad: bool = False) -> None:
    """The peer answers all that it is asked, until nothing is."""
    while peer.alive and peer.asked:
        for block in list(peer.asked):
            peer.give(block, bytes(block.length) if bad else None)
        swarm.run(seconds=3 * peer.latency)


def shared_failure(**options: Any) -> tuple[Swarm, Peer, Peer]:
    """A piece to which a bad and a good peer, at different addresses, have each sent a half,
    and which is about to be hashed."""
    swarm = Swarm(4 * BLOCK, 4 * BLOCK, **options)
    bad, good = come(swarm, Peer, HOME), come(swarm, Peer, AWAY)
    for peer in (bad, good):
        peer.unchoke()
        swarm.run(seconds=0.05)
    give_half(bad, bad=True)
    swarm.run(seconds=0.05)
    give_half(good)
    return swarm, bad, good


def give_half(peer: Peer, *, bad: bool = False) -> None:
    for block in list(peer.asked)[:2]:
        peer.give(block, bytes(block.length) if bad else None)


def holder_of(*peers: Peer) -> Peer:
    """The one of them that is asked for something."""
    (holder,) = [peer for peer in peers if peer.alive and peer.asked]
    return holder


# --- With several contributors -------------------------------------------------------------------


def settled(swarm: Swarm, bad: Peer, good: Peer) -> None:
    """The piece is fetched from one link; if that is the bad one, then from the other."""
    while swarm.torrent.verified == 0:
        holder = holder_of(bad, good)
        give_all(swarm, holder, bad=holder is bad)


def test_the_digests_of_a_piece_that_passes_convict_who_had_sent_others() -> None:
    swarm, bad, good = shared_failure()
    swarm.run(seconds=0.05)
    assert len(swarm.actions(act.HashBlocks)) == 1
    (failed,) = swarm.actions(act.PieceFailed)
    assert len(failed.contributors) == 2
    assert banned(swarm) == []
    bad.choke()  # so that the good one has it alone
    swarm.run(seconds=0.05)
    give_all(swarm, good)
    assert banned(swarm) == [who(bad, HOME)]
    assert closes(swarm, bad) == [CloseReason.CORRUPT_DATA]
    assert closes(swarm, good) in ([], [CloseReason.BOTH_SEEDS])
    swarm.finish(10.0)


def test_who_spoils_the_piece_alone_as_well_is_convicted_by_that() -> None:
    swarm, bad, good = shared_failure()
    swarm.run(seconds=0.05)
    good.choke()
    swarm.run(seconds=0.05)
    give_all(swarm, bad, bad=True)
    assert banned(swarm) == [who(bad, HOME)]
    good.unchoke()
    swarm.run(seconds=0.05)
    give_all(swarm, good)
    swarm.finish(10.0)
    assert banned(swarm) == [who(bad, HOME)]


def test_who_was_bad_once_and_good_when_it_was_alone_is_banned_all_the_same() -> None:
    swarm, bad, good = shared_failure()
    swarm.run(seconds=0.05)
    good.choke()
    swarm.run(seconds=0.05)
    give_all(swarm, bad)
    assert swarm.torrent.verified
    assert banned(swarm) == [who(bad, HOME)]
    swarm.finish(10.0)


@pytest.mark.parametrize("returns", [False, True])
def test_a_culprit_that_left_before_it_was_found_out_is_banned(returns: bool) -> None:
    swarm, bad, good = shared_failure()
    swarm.run(seconds=0.05)
    bad.leave()
    swarm.run(seconds=0.05)
    if returns:
        connect(swarm, bad, HOME)
        swarm.run(seconds=0.05)
        assert bad.alive
    give_all(swarm, good)
    assert banned(swarm) == [who(bad, HOME)]
    if returns:
        assert closes(swarm, bad) == [CloseReason.CORRUPT_DATA]
    connect(swarm, bad, HOME)
    swarm.run(seconds=0.05)
    assert closes(swarm, bad) == [CloseReason.BANNED]


def test_a_sole_contributor_that_left_before_the_digest_came_is_banned() -> None:
    swarm = Swarm(2 * BLOCK, 2 * BLOCK)
    swarm.disk.delays[act.HashPiece] = 2.0
    bad = come(swarm, Corrupter)
    swarm.run(seconds=1.0)
    bad.leave()
    swarm.run(seconds=5.0)
    assert banned(swarm) == [who(bad)]
    connect(swarm, bad, AWAY)
    swarm.run(seconds=0.1)
    assert closes(swarm, bad) == [CloseReason.BANNED]


def test_two_links_of_one_peer_are_one_contributor() -> None:
    """It left in the middle of the piece, came back and sent the rest."""
    swarm = Swarm(4 * BLOCK, 4 * BLOCK)
    bad = come(swarm, Peer)
    for _ in range(2):
        bad.unchoke()
        swarm.run(seconds=0.05)
        give_half(bad, bad=True)
        swarm.run(seconds=0.05)
        if not swarm.actions(act.PieceFailed):
            bad.leave()
            swarm.run(seconds=0.05)
            connect(swarm, bad, AWAY)
            swarm.run(seconds=0.05)
    assert len(swarm.actions(act.PieceFailed)) == 1
    assert banned(swarm) == [who(bad)]


@pytest.mark.parametrize("kind", [Corrupter, Seed])
def test_who_left_is_remembered_within_a_bound(kind: type[Peer]) -> None:
    """As many others came, sent a block and left: the first is neither banned nor proven."""
    swarm = Swarm(2 * BLOCK, 2 * BLOCK)
    swarm.disk.delays[act.HashPiece] = 60.0
    first = come(swarm, kind)
    swarm.run(seconds=1.0)
    first.leave()
    swarm.run(seconds=0.1)
    for _ in range(MAX_DEPARTED):
        other = swarm.make(latency=0.0)
        line = connect(swarm, other, AWAY)
        other.say_bytes(b"")
        swarm.settle()
        other.give(BlockInfo(0, 0, BLOCK))
        swarm.settle()
        line.end()
    swarm.run(seconds=120.0)
    assert len(swarm.actions(act.PieceFailed)) == (kind is Corrupter)
    assert banned(swarm) == []
    come(swarm, Seed)
    swarm.finish()


def test_digests_that_the_storage_does_not_give_convict_nobody_and_stop_nothing() -> None:
    swarm, bad, good = shared_failure()
    swarm.disk.fault = failing(act.HashBlocks, 1)
    swarm.run(seconds=0.05)
    settled(swarm, bad, good)
    swarm.finish(10.0)
    assert len(swarm.actions(act.HashBlocks)) == 1
    assert set(banned(swarm)) <= {who(bad, HOME)}


def test_the_digests_that_convict_come_with_the_one_of_the_piece() -> None:
    swarm, bad, good = shared_failure()
    swarm.run(seconds=0.05)
    bad.choke()
    swarm.run(seconds=0.05)
    give_all(swarm, good)
    first, second = swarm.actions(act.HashPiece)
    assert (first.blocks, second.blocks) == ((), (0, 1, 2, 3))
    assert len(swarm.actions(act.HashBlocks)) == 1


@pytest.mark.parametrize("blocks", [(), (bytes(20),) * 3, (bytes(20),) * 3 + (bytes(19),)])
def test_a_digest_is_owed_for_each_block_asked_for_with_the_piece(
    blocks: tuple[bytes, ...],
) -> None:
    swarm, bad, good = shared_failure()
    swarm.run(seconds=0.05)
    bad.choke()
    swarm.run(seconds=0.05)
    swarm.disk.delays[act.HashPiece] = 1.0
    for block in list(good.asked):
        good.give(block)
    swarm.run(seconds=0.05)
    asked = swarm.actions(act.HashPiece)[-1]
    right = swarm.meta.piece_hash(0)
    with pytest.raises(LocalProtocolError, match="wrong size"):
        swarm.torrent.handle(ev.PieceHashed(swarm.name, asked.job, right, blocks), swarm.now)
    swarm.run(seconds=2.0)
    assert swarm.torrent.verified
    assert banned(swarm) == [who(bad, HOME)]


WRONG_DIGESTS = {
    "too few": (bytes(20),),
    "too many": (bytes(20),) * 5,
    "too short": (bytes(20),) * 3 + (bytes(19),),
}


@pytest.mark.parametrize("digests", WRONG_DIGESTS.values(), ids=WRONG_DIGESTS)
def test_as_many_digests_as_blocks_must_be_answered(digests: tuple[bytes, ...]) -> None:
    swarm, _bad, _good = shared_failure()
    swarm.disk.delays[act.HashBlocks] = 1.0
    swarm.run(seconds=0.05)
    (asked,) = swarm.actions(act.HashBlocks)
    assert len(asked.chunks) == 4
    with pytest.raises(LocalProtocolError, match="wrong size"):
        swarm.torrent.handle(ev.BlocksHashed(swarm.name, asked.job, digests), swarm.now)
    swarm.run(seconds=2.0)
    assert swarm.torrent.explain(swarm.now).missing_blocks == 4


def test_blocks_wait_for_their_digests_and_the_account_says_so() -> None:
    swarm, _bad, _good = shared_failure()
    swarm.disk.delays[act.HashBlocks] = 1.0
    swarm.run(seconds=0.05)
    (entry,) = swarm.torrent.explain(swarm.now).entries
    assert entry.account is Account.RECEIVED
    assert entry.why == "received, piece 0 is being hashed block by block, to see who spoiled it"


@pytest.mark.parametrize("good_one_has_it", [False, True])
def test_a_stop_while_digests_are_out(good_one_has_it: bool) -> None:
    swarm, bad, good = shared_failure()
    if good_one_has_it:
        swarm.run(seconds=0.05)
        bad.choke()
        swarm.run(seconds=0.05)
        for block in list(good.asked):
            good.give(block)
    swarm.disk.delays[act.HashBlocks] = 5.0
    swarm.run(seconds=0.05)
    stop(swarm)
    assert swarm.torrent.verified == good_one_has_it
    assert banned(swarm) == [who(bad, HOME)] * good_one_has_it
    swarm.start(swarm.disk.resume)
    connect(swarm, bad, HOME)
    swarm.run(seconds=0.05)
    assert bad.alive != good_one_has_it
    come(swarm, Seed)
    swarm.finish(60.0)


def test_a_piece_that_failed_when_nobody_wants_it_any_longer_is_let_go_at_once() -> None:
    swarm, _bad, _good = shared_failure(files=[4 * BLOCK])
    swarm.disk.delays[act.HashPiece] = 1.0
    swarm.run(seconds=0.05)
    swarm.feed(ev.SetPriorities(swarm.name, (0,)))
    swarm.run(seconds=2.0)
    assert len(swarm.actions(act.PieceFailed)) == 1
    assert swarm.actions(act.HashBlocks) == []
    swarm.feed(ev.SetPriorities(swarm.name, (1,)))
    swarm.run(seconds=0.05)
    assert swarm.torrent.explain(swarm.now).missing_blocks == 4


def test_a_piece_that_is_unwanted_while_its_digests_are_out_still_gives_evidence() -> None:
    swarm, bad, good = shared_failure(files=[4 * BLOCK])
    swarm.disk.delays[act.HashBlocks] = 1.0
    swarm.run(seconds=0.05)
    swarm.feed(ev.SetPriorities(swarm.name, (0,)))
    swarm.run(seconds=2.0)
    bad.leave()
    swarm.feed(ev.SetPriorities(swarm.name, (1,)))
    swarm.run(seconds=0.05)
    give_all(swarm, good)
    swarm.finish(10.0)
    assert banned(swarm) == [who(bad, HOME)]


def test_what_a_culprit_sent_of_other_pieces_is_fetched_again() -> None:
    """It was in memory, and would have made each of those pieces fail in its turn."""
    swarm = Swarm(8 * BLOCK, 4 * BLOCK)
    bad = come(swarm, Peer, HOME)
    bad.unchoke()
    swarm.run(seconds=0.05)
    swarm.disk.manual = True
    first = next(iter(bad.asked)).piece
    other = BlockInfo(1 - first, 0, BLOCK)
    given: set[BlockInfo] = set()
    while not swarm.disk.pending or other not in given:
        given.add(next(iter(bad.asked)))
        bad.give(next(iter(bad.asked)), bytes(BLOCK))
        swarm.run(seconds=0.05)
    good = unchoked(swarm)
    swarm.answer(swarm.disk)
    assert banned(swarm) == [who(bad, HOME)]
    assert swarm.torrent.status(swarm.now).wasted == 5 * BLOCK
    swarm.disk.manual = False
    swarm.run(seconds=3 * good.latency)
    give_all(swarm, good)
    swarm.finish(10.0)
    assert wire.Request(*other) in good.heard
    assert len(swarm.actions(act.PieceFailed)) == 1


# --- Bans ----------------------------------------------------------------------------------------


def test_a_banned_peer_is_refused_when_it_comes_and_when_we_dial_it() -> None:
    swarm = Swarm(16 * BLOCK)
    bad = swarm.make(Corrupter)
    address = Address("192.0.2.1", 7)
    swarm.listeners[address] = lambda: bad
    swarm.feed(ev.AddPeer(swarm.name, address))
    swarm.run(seconds=1.0)
    assert banned(swarm) == [who(bad, "192.0.2.1")]
    swarm.run(seconds=60.0)
    reasons = [close.reason for close in swarm.actions(act.Close)]
    assert reasons[0] is CloseReason.CORRUPT_DATA
    assert set(reasons[1:]) == {CloseReason.BANNED}
    connect(swarm, bad, "192.0.2.1")
    swarm.run(seconds=0.1)
    assert closes(swarm, bad) == [CloseReason.BANNED]
    assert len(swarm.actions(act.PieceFailed)) == len(banned(swarm)) == 1


def test_a_public_address_where_nobody_is_good_is_not_dialled_any_more() -> None:
    swarm = Swarm(16 * BLOCK)
    bad = swarm.make(Corrupter)
    for port in (7, 8):
        swarm.listeners[Address(HOME, port)] = lambda: bad
    swarm.feed(ev.AddPeer(swarm.name, Address(HOME, 7)))
    swarm.run(seconds=1.0)
    swarm.feed(ev.AddPeer(swarm.name, Address(HOME, 8)))
    swarm.run(seconds=3600.0)
    assert len(swarm.actions(act.Dial)) == 1
    assert swarm.torrent.explain(swarm.now).scheduled == ()
    come(swarm, Seed)
    swarm.finish(60.0)


def test_a_link_from_there_that_proves_good_lifts_the_bar() -> None:
    swarm = Swarm(64 * BLOCK)
    slow = come(swarm, Seed, HOME, rate=40_000.0)
    swarm.feed(ev.AddPeer(swarm.name, Address(HOME, 8)))
    bad = come(swarm, Corrupter, HOME)
    assert swarm.run(lambda: bool(banned(swarm)), seconds=60.0)
    stranger = come(swarm, Seed, HOME)
    assert closes(swarm, stranger) == [CloseReason.BANNED]
    assert swarm.torrent.explain(swarm.now).scheduled == ()
    assert slow.alive
    dials = len(swarm.actions(act.Dial))
    assert swarm.run(lambda: bool(swarm.torrent.verified), seconds=60.0)
    assert len(swarm.actions(act.Dial)) == dials + 1
    swarm.run(seconds=0.1)
    stranger = come(swarm, Seed, HOME)
    assert stranger.alive
    connect(swarm, bad, HOME)
    swarm.run(seconds=0.1)
    assert closes(swarm, bad) == [CloseReason.BANNED]
    swarm.finish()
    assert banned(swarm) == [who(bad, HOME)]


@pytest.mark.parametrize("host", [HOME, "127.0.0.1"])
def test_of_two_behind_one_address_the_good_one_stays_and_may_come_back(host: str) -> None:
    swarm = Swarm(64 * BLOCK)
    good = come(swarm, Seed, host, rate=200_000.0)
    assert swarm.run(lambda: bool(swarm.torrent.verified), seconds=60.0)
    bad = come(swarm, Corrupter, host, rate=200_000.0)
    assert swarm.run(lambda: bool(banned(swarm)), seconds=60.0)
    assert banned(swarm) == [who(bad, host)]
    assert good.alive
    good.leave()
    swarm.run(seconds=0.1)
    for peer in (good, bad):
        connect(swarm, peer, host)
        swarm.run(seconds=0.1)
    assert good.alive
    assert closes(swarm, bad) == [CloseReason.BANNED]
    swarm.finish(60.0)
    assert banned(swarm) == [who(bad, host)]


@pytest.mark.parametrize(("host", "failures"), [(HOME, 1), ("10.0.0.9", None)])
def test_who_comes_back_under_new_peer_ids_is_shut_out_in_the_end(
    host: str, failures: int | None
) -> None:
    swarm = Swarm(64 * BLOCK)
    hydra = swarm.make(Hydra)
    hydra.host = host
    connect(swarm, hydra, host)
    swarm.run(seconds=100.0)
    assert hydra.heads == 20
    assert len(banned(swarm)) == (failures or MAX_IDENTITIES_PER_ADDRESS)
    come(swarm, Seed)
    swarm.finish()


# --- A swarm with bad peers ----------------------------------------------------------------------


def run_swarm(
    bad: list[type[Peer]],
    *,
    pieces: int = 32,
    blocks: int = 8,
    honest: int = 5,
    rate: float = 400_000.0,
) -> tuple[Swarm, list[Peer], list[Peer]]:
    """A download from some honest peers and some others, to its end."""
    swarm = Swarm(pieces * blocks * BLOCK, blocks * BLOCK)
    villains = [swarm.make(kind, rate=rate) for kind in bad]
    heroes = [swarm.make(Seed, rate=rate) for _ in range(honest)]
    for number, peer in enumerate([*villains, *heroes]):
        connect(swarm, peer, f"8.8.4.{number}")
    swarm.finish(600.0)
    return swarm, villains, heroes


def never_blamed(swarm: Swarm, heroes: list[Peer]) -> None:
    ids = {peer.peer_id for peer in heroes}
    assert not [ban for ban in banned(swarm) if ban.peer_id in ids]
    for peer in heroes:
        assert set(closes(swarm, peer)) <= {CloseReason.BOTH_SEEDS}


@pytest.mark.uncovered
@pytest.mark.parametrize("kind", [Corrupter, OncePerPiece])
@pytest.mark.parametrize("honest", [1, 2, 5])
def test_one_corrupter_among_honest_peers_is_banned_after_few_failures(
    kind: type[Peer], honest: int
) -> None:
    swarm, (bad,), heroes = run_swarm([kind], honest=honest)
    never_blamed(swarm, heroes)
    assert [ban.peer_id for ban in banned(swarm)] == [bad.peer_id]
    # What it had a part in when it was found out; nothing fails after that.
    assert len(swarm.actions(act.PieceFailed)) <= 4
    assert not bad.alive


def test_corrupters_that_collude_with_liars_are_banned_one_by_one() -> None:
    bad: list[type[Peer]] = [Corrupter, OncePerPiece, Silent, Rejecter, OncePerPiece, Choker]
    swarm, villains, heroes = run_swarm(bad, honest=2)
    never_blamed(swarm, heroes)
    spoilers = {peer.peer_id for peer in villains if isinstance(peer, Corrupter)}
    assert {ban.peer_id for ban in banned(swarm)} == spoilers
    assert len(swarm.actions(act.PieceFailed)) <= 12


# --- A disk that corrupts ------------------------------------------------------------------------


class Rotten(Disk):
    """What is read back of the files is wrong, ``rot`` times."""

    rot = 0

    def _read(self, span: Span) -> bytes:
        content = super()._read(span)
        if not content or not self.rot:
            return content
        self.rot -= 1
        return bytes([content[0] ^ 1]) + content[1:]


def partly_stored() -> tuple[Rotten, bytes]:
    """A disk with a part of a piece on it, and its resume data."""
    meta, _ = make_torrent(8 * BLOCK, 8 * BLOCK)
    disk = Rotten(meta)
    swarm = Swarm(8 * BLOCK, 8 * BLOCK, disk=disk)
    answer(swarm, unchoked(swarm), 2)
    stop(swarm)
    assert disk.resume is not None
    return disk, disk.resume


@pytest.mark.parametrize("peers", [1, 2])
@pytest.mark.parametrize("rot", [1, 2, 3])
def test_a_disk_that_corrupts_gets_nobody_banned(peers: int, rot: int) -> None:
    disk, resume = partly_stored()
    swarm = Swarm(8 * BLOCK, 8 * BLOCK, disk=disk, resume=resume)
    disk.rot = rot
    for _ in range(peers):
        come(swarm, Seed, rate=400_000.0)
    assert swarm.run(lambda: swarm.is_complete, seconds=300.0)
    disk.rot = 0
    swarm.check_files()
    assert len(swarm.actions(act.PieceFailed)) >= 1
    assert banned(swarm) == []


# --- Pieces that left memory before they were hashed ---------------------------------------------

MEMORY = 16 * BLOCK
"""A piece of more than four blocks is written through."""


def through_files(total: int, piece: int, disk: Disk | None = None, **options: Any) -> Swarm:
    """A swarm with little memory."""
    budgets = Budgets(memory=Budget(MEMORY))
    return Swarm(total, piece, disk=disk, budgets=budgets, **options)


def long_failure() -> tuple[Swarm, Peer, Peer]:
    """A piece that is written through has failed; a bad and a good peer sent a half each."""
    swarm = through_files(8 * BLOCK, 8 * BLOCK)
    bad, good = come(swarm, Peer, HOME), come(swarm, Peer, AWAY)
    for peer in (bad, good):
        peer.unchoke()
        swarm.run(seconds=0.05)
    while not swarm.actions(act.PieceFailed):
        for peer in (bad, good):
            give_half(peer, bad=peer is bad)
            swarm.run(seconds=0.05)
    return swarm, bad, good


def test_who_spoils_a_piece_that_is_written_through_is_convicted_once_it_passes() -> None:
    """It fails twice, the second time with the bad one alone.  That proves nothing by itself:
    the disk may have done it."""
    swarm, bad, good = long_failure()
    assert swarm.actions(act.HashBlocks) == []
    good.choke()
    swarm.run(seconds=0.05)
    give_all(swarm, bad, bad=True)
    assert len(swarm.actions(act.PieceFailed)) == 2
    assert banned(swarm) == []
    good.unchoke()
    swarm.run(seconds=0.05)
    give_all(swarm, good)
    assert swarm.torrent.verified
    assert banned(swarm) == [who(bad, HOME)]


def test_blocks_of_a_piece_that_failed_are_hashed_before_they_are_written() -> None:
    swarm, bad, good = long_failure()
    before = len(swarm.actions(act.WriteBlocks))
    bad.choke()
    swarm.disk.delays[act.HashBlocks] = 1.0
    swarm.run(seconds=0.05)
    give_all(swarm, good)
    hashed = swarm.actions(act.HashBlocks)
    assert sum(len(job.chunks) for job in hashed) == 8
    assert len(swarm.actions(act.WriteBlocks)) == before
    assert swarm.torrent.explain(swarm.now).missing_blocks == 8
    swarm.finish(10.0)
    assert swarm.actions(act.HashPiece)[-1].blocks == tuple(range(8))


def test_blocks_whose_digests_fail_are_written_all_the_same() -> None:
    swarm, bad, good = long_failure()
    swarm.disk.fault = failing(act.HashBlocks, 100)
    good.choke()
    swarm.run(seconds=0.05)
    give_all(swarm, bad, bad=True)
    good.unchoke()
    swarm.run(seconds=0.05)
    give_all(swarm, good)
    swarm.finish(10.0)
    assert banned(swarm) == []


def test_a_holder_that_leaves_while_its_blocks_are_hashed_is_convicted_by_them() -> None:
    swarm, bad, good = long_failure()
    good.choke()
    swarm.disk.delays[act.HashBlocks] = 1.0
    swarm.run(seconds=0.05)
    give_half(bad, bad=True)
    give_half(bad, bad=True)
    swarm.run(seconds=0.05)
    assert swarm.actions(act.HashBlocks)
    bad.leave()
    good.unchoke()
    swarm.run(seconds=0.05)
    while not swarm.torrent.verified:
        give_all(swarm, good)
        swarm.run(seconds=0.5)
    swarm.finish(10.0)
    assert banned(swarm) == [who(bad, HOME)]


def test_a_stop_waits_for_digests_that_are_out_and_for_the_write_after_them() -> None:
    swarm, bad, good = long_failure()
    bad.choke()
    swarm.disk.delays[act.HashBlocks] = 5.0
    swarm.run(seconds=0.05)
    give_half(good)
    give_half(good)
    swarm.run(seconds=0.05)
    hashed = swarm.actions(act.HashBlocks)
    assert hashed
    before = swarm.now
    stop(swarm)
    assert swarm.now - before > 4.0
    assert swarm.actions(act.WriteBlocks, since=before)
    assert swarm.actions(act.HashBlocks) == hashed
    swarm.start(swarm.disk.resume)
    come(swarm, Seed)
    swarm.finish(60.0)


@pytest.mark.uncovered
@pytest.mark.parametrize("kind", [Corrupter, OncePerPiece])
@pytest.mark.parametrize("honest", [1, 2, 5])
def test_a_corrupter_of_long_pieces_among_honest_peers_is_banned_after_few_failures(
    kind: type[Peer], honest: int
) -> None:
    """A piece that comes right the second time convicts nobody: of the first there are no
    digests.  From then on there are, of every piece."""
    swarm = through_files(16 * 8 * BLOCK, 8 * BLOCK)
    bad = swarm.make(kind, rate=4e5)
    heroes = [swarm.make(Seed, rate=4e5) for _ in range(honest)]
    for number, peer in enumerate([bad, *heroes]):
        connect(swarm, peer, f"8.8.4.{number}")
    swarm.finish(600.0)
    never_blamed(swarm, heroes)
    assert [ban.peer_id for ban in banned(swarm)] == [bad.peer_id]
    assert len(swarm.actions(act.PieceFailed)) <= 6


def test_blocks_are_hashed_early_of_failed_pieces_and_of_others_until_somebody_is_convicted() -> (
    None
):
    swarm = through_files(16 * 8 * BLOCK, 8 * BLOCK)
    villains = [swarm.make(OncePerPiece, rate=rate) for rate in (3e5, 1e5, 5e4)]
    heroes = [swarm.make(Seed, rate=2e5) for _ in range(2)]
    for number, peer in enumerate([*villains, *heroes]):
        connect(swarm, peer, f"8.8.4.{number}")
    swarm.finish(600.0)
    never_blamed(swarm, heroes)
    assert {ban.peer_id for ban in banned(swarm)} == {peer.peer_id for peer in villains}
    failed: set[int] = set()
    alert, spared, hashed = False, 0, set[BlockInfo]()
    for action in swarm.actions(object):
        match action:
            case act.PieceFailed(piece=index):
                failed.add(index)
                alert = True
            case act.PeerBanned():
                alert = False
            case act.HashBlocks(piece=index, chunks=chunks):
                assert alert or index in failed
                hashed |= {block for block, _ in chunks}
            case act.WriteBlocks(chunks=chunks):
                for span, data in chunks:
                    index, begin = divmod(span.offset, 8 * BLOCK)
                    for at in range(begin, begin + len(data), BLOCK):
                        known = BlockInfo(index, at, BLOCK) in hashed
                        assert known or index not in failed
                        hashed.discard(BlockInfo(index, at, BLOCK))
                        spared += not known
    assert spared


class Liar(Disk):
    """For so many accesses from the start, some reads are wrong, and some writes are wrong,
    lost, or come late: when the next one has been done.  No file is ever too short for it."""

    def __init__(self, metainfo: Metainfo, random: Random, accesses: int) -> None:
        super().__init__(metainfo)
        self._random = random
        self._left = accesses
        self._late: list[tuple[int, int, bytes]] = []

    def _happens(self) -> bool:
        self._left -= 1
        return self._left >= 0 and self._random.random() < 0.3

    def _read(self, span: Span) -> bytes:
        content = super()._read(span)
        return self._spoil(content) if self._happens() else content

    def _spoil(self, content: Any) -> bytes:
        spoilt = bytearray(content)
        if spoilt:
            spoilt[self._random.randrange(len(spoilt))] ^= 1
        return bytes(spoilt)

    def _write(self, file: int, offset: int, data: Any) -> None:
        how = self._random.choice(["wrong", "lost", "late"]) if self._happens() else "well"
        late, self._late = self._late, []
        if how in ("lost", "late"):
            old = super()._read(Span(file, offset, len(data)))
            super()._write(file, offset, old.ljust(len(data), b"\0"))
        else:
            super()._write(file, offset, self._spoil(data) if how == "wrong" else data)
        for write in late:
            super()._write(*write)
        if how == "late":
            self._late.append((file, offset, bytes(data)))


@pytest.mark.uncovered
@given(
    kinds=st.lists(st.sampled_from([Seed, Corrupter, OncePerPiece, Leaver]), max_size=5),
    blocks=st.sampled_from([2, 5, 8, 12]),
    accesses=st.sampled_from([0, 5, 30, 100]),
    slow=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_nobody_honest_is_banned_though_the_disk_corrupts_what_peers_send(
    kinds: list[type[Peer]], blocks: int, accesses: int, slow: bool, seed: int
) -> None:
    meta, _ = make_torrent(24 * BLOCK, blocks * BLOCK)
    disk = Liar(meta, Random(seed), accesses)
    swarm = through_files(24 * BLOCK, blocks * BLOCK, disk=disk, seed=seed)
    for action in (act.HashPiece, act.HashBlocks, act.WriteBlocks):
        disk.delays[action] = 0.2 * slow
    peers = [swarm.make(kind, rate=2e5) for kind in kinds]
    steady = swarm.make(Seed, rate=1.5e5)
    for number, peer in enumerate([*peers, steady]):
        connect(swarm, peer, f"8.8.4.{number}")
    everything = swarm.meta.geometry.all_pieces
    assert swarm.run(lambda: swarm.torrent.verified == everything, seconds=3600.0)
    honest = {peer.peer_id for peer in [*peers, steady] if not isinstance(peer, Corrupter)}
    assert not [ban for ban in banned(swarm) if ban.peer_id in honest]


# --- Parole in the accounts ----------------------------------------------------------------------


def test_a_piece_reserved_for_one_link_names_it_and_until_when() -> None:
    """The rest of the piece waits for a link that has other blocks to send first."""
    swarm = Swarm(16 * BLOCK, 16 * BLOCK)
    bad, good = come(swarm, Peer, HOME), come(swarm, Peer, AWAY)
    for peer in (bad, good):
        peer.unchoke()
        swarm.run(seconds=0.05)
    while not swarm.actions(act.PieceFailed):
        for peer in (bad, good):
            peer.give(next(iter(peer.asked)), bytes(BLOCK) if peer is bad else None)
            swarm.run(seconds=0.05)
    holder = holder_of(bad, good)
    explanation = swarm.torrent.explain(swarm.now)
    (entry,) = [entry for entry in explanation.entries if entry.account is Account.HELD]
    assert holder.line is not None
    address = next(p.address for p in swarm.torrent.peers(swarm.now) if p.link == holder.line.name)
    assert entry.why == "reserved for one peer alone since a hash failed"
    assert entry.links == (holder.line.name,)
    assert entry.blocks == 16 - len(holder.asked)
    assert entry.until is not None
    assert swarm.now < entry.until <= swarm.now + REQUEST_TIMEOUT
    # Silent until then, the holder loses it, and the other has it.
    other = bad if holder is good else good
    assert not other.asked
    swarm.run(seconds=entry.until - swarm.now - 0.01)
    assert not other.asked
    swarm.run(seconds=0.05)
    assert other.asked
    assert f"{entry.why} ({address}), looked at again in" in explanation.text()


def test_a_fast_peer_that_has_nothing_to_do_takes_a_reserved_piece_from_a_slow_one() -> None:
    swarm = Swarm(32 * BLOCK, 16 * BLOCK)
    bad, slow = come(swarm, Peer, HOME, have={0}), come(swarm, Peer, have={0})
    for peer in (bad, slow):
        peer.unchoke()
        swarm.run(seconds=0.05)
    while not swarm.actions(act.PieceFailed):
        for peer in (bad, slow):
            peer.give(next(iter(peer.asked)), bytes(BLOCK) if peer is bad else None)
            swarm.run(seconds=0.05)
    bad.choke()
    swarm.run(seconds=0.05)
    assert slow.asked
    started = swarm.now
    come(swarm, Seed, rate=1_000_000.0)
    swarm.finish(10.0)
    assert swarm.now - started < 1.3 * 32 * BLOCK / 1_000_000
    (released,) = swarm.actions(act.BlocksReleased, since=started)
    assert released.cause is ReleaseCause.OUTPACED
    assert slow.cancelled >= set(released.blocks)
    assert banned(swarm) == [who(bad, HOME)]


# --- In any order --------------------------------------------------------------------------------

KINDS: list[type[Peer]] = [Seed, Leaver, Silent, Rejecter, Corrupter, OncePerPiece, Hydra]


class Mood(Spoiler):
    """Spoils one block in ``every``."""

    every = 3
    served = 0

    def spoils(self, block: BlockInfo) -> bool:
        self.served += 1
        return self.served % self.every == 0


villain = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([*KINDS, Mood]),
        "host": st.sampled_from([HOME, AWAY, "10.0.0.9"]),
        "at": st.sampled_from([0.0, 0.5, 3.0]),
        "rate": st.sampled_from([3e4, 2e5, 1e6]),
        "fast": st.booleans(),
        "chunk": st.sampled_from([0, 9000]),
        "leaves": st.sampled_from([None, 0.3, 1.0, 4.0]),
        "returns": st.booleans(),
    }
)


def enter(swarm: Swarm, plan: dict[str, Any]) -> Peer:
    """A peer comes when its plan says so, and may leave and return."""
    options = {name: plan[name] for name in ("rate", "fast", "chunk")}
    peer = swarm.make(plan["kind"], **options)
    if isinstance(peer, Hydra):
        peer.host = plan["host"]

    def leave(then: Callable[[], None]) -> None:
        if peer.alive:
            peer.leave()
        swarm.at(swarm.now + 1.0, then)

    def arrive() -> None:
        if not peer.alive:
            connect(swarm, peer, plan["host"])

    swarm.at(plan["at"], arrive)
    if plan["leaves"] is not None:
        again = arrive if plan["returns"] else lambda: None
        swarm.at(plan["at"] + plan["leaves"], lambda: leave(again))
    return peer


@pytest.mark.uncovered
@given(
    plans=st.lists(villain, max_size=7),
    blocks=st.integers(1, 6),
    delays=st.sampled_from([0.0, 0.05, 1.0]),
    failures=st.integers(0, 3),
    seed=st.integers(0, 3),
)
def test_the_honest_are_never_banned_and_with_one_of_them_it_completes(
    plans: list[dict[str, Any]], blocks: int, delays: float, failures: int, seed: int
) -> None:
    swarm = Swarm(24 * BLOCK, blocks * BLOCK, seed=seed)
    for kind in (act.HashPiece, act.HashBlocks, act.WriteBlocks):
        swarm.disk.delays[kind] = delays
    swarm.disk.fault = failing(act.HashBlocks, failures, StorageFault.OTHER)
    peers = [enter(swarm, plan) for plan in plans]
    steady = swarm.make(Seed, rate=150_000.0)
    connect(swarm, steady, "1.1.1.1")
    swarm.finish(600.0)
    honest = {peer.peer_id for peer in peers if not isinstance(peer, Corrupter)}
    assert not [ban for ban in banned(swarm) if ban.peer_id in honest]
    assert set(closes(swarm, steady)) <= {CloseReason.BOTH_SEEDS}
    assert len(banned(swarm)) == len(set(banned(swarm)))
