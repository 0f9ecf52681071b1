"""Scripted peers: each differs from an honest one as its name says, and none stops a download."""

from __future__ import annotations

import pytest
from hypothesis import given

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.testing import (
    AbsurdReqq,
    CancelIgnorer,
    Choker,
    Corrupter,
    Cue,
    Flapper,
    GarbageSender,
    Honest,
    Leaver,
    Leech,
    Liar,
    Peer,
    PromiseBroken,
    Rejecter,
    Scripted,
    Silent,
    SlowHandshake,
    TorrentWorld,
    Trickle,
    strategies,
)
from torrent_core.testing.payload import BLOCK
from torrent_core.testing.peers.puppet import Puppet
from torrent_core.testing.plan import BAD
from torrent_core.testing.speech import sent
from torrent_core.types import BlockInfo, CloseReason
from torrent_core.wire import messages as wire
from torrent_core.wire.handshake import encode as encode_handshake

FIRST = BlockInfo(0, 0, BLOCK)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("kind", BAD)
def test_none_of_them_keeps_a_download_from_its_end(kind: type[Peer], fast: bool) -> None:
    world = TorrentWorld(16 * BLOCK)
    world.join(kind, fast=fast)
    world.run(seconds=3)
    world.join(Honest, rate=1_000_000)
    world.finish(300)


def closes(world: TorrentWorld) -> list[CloseReason]:
    return [close.reason for close in world.actions(act.Close)]


def test_a_silent_peer_says_nothing_after_so_many_blocks() -> None:
    world = TorrentWorld()
    peer = world.join(Silent, blocks=2)
    world.run(seconds=30)
    assert peer.blocks_sent == 2


def test_a_leaver_leaves_after_so_many_blocks_each_time() -> None:
    world = TorrentWorld(16 * BLOCK)
    peer = world.dialled(Leaver, blocks=2, detail="reset")
    world.finish()
    assert peer.blocks_sent == 16
    ends = [e.detail for step in world.trace if isinstance(e := step.event, ev.LinkClosed)]
    assert ends.count("reset") == 8


def test_a_choker_never_unchokes() -> None:
    world = TorrentWorld()
    peer = world.join(Choker)
    world.run(seconds=30)
    assert peer.their_interest
    assert not peer.asked


def test_a_flapper_chokes_and_unchokes_in_turn() -> None:
    world = TorrentWorld(64 * BLOCK)
    peer = world.join(Flapper, period=0.5, rate=4 * BLOCK)
    seen = []
    for _ in range(6):
        seen.append(peer.choking)
        world.run(seconds=0.5)
    assert seen == [False, True, False, True, False, True]
    peer.on_interested()  # that changes nothing
    world.finish()


def test_a_flapper_that_is_gone_stays_silent_and_begins_anew_when_it_comes_back() -> None:
    world = TorrentWorld(64 * BLOCK)
    peer = world.dialled(Flapper, period=0.5, rate=4 * BLOCK)
    world.run(seconds=1)
    peer.leave()
    world.run(lambda: peer.alive, seconds=60)
    world.finish()


def test_a_trickle_gives_one_block_now_and_then() -> None:
    world = TorrentWorld()
    peer = world.join(Trickle, every=5.0)
    world.run(seconds=12.0)
    assert peer.blocks_sent == 3


def test_a_corrupter_spoils_one_in_so_many() -> None:
    world = TorrentWorld(4 * BLOCK, 4 * BLOCK)
    world.join(Corrupter, every=3)
    world.run(seconds=5)
    assert CloseReason.CORRUPT_DATA in closes(world)


def test_a_liar_gives_what_it_has_and_refuses_the_rest() -> None:
    world = TorrentWorld()
    liar = world.join(Liar, have=[1], claims=[0, 1])
    world.run(seconds=5)
    assert liar.claims == {0, 1}
    assert world.torrent.verified == 0b10
    assert world.join(Liar).claims == set(range(4))


def test_a_rejecter_rejects_each_request() -> None:
    world = TorrentWorld()
    peer = world.join(Rejecter)
    world.run(seconds=5)
    assert peer.blocks_sent == 0
    assert any(isinstance(message, wire.Request) for message in peer.heard)


def test_one_who_ignores_cancels_sends_what_was_cancelled() -> None:
    world = TorrentWorld()
    peer, polite = world.make(CancelIgnorer), world.make(Honest)
    for each in (peer, polite):
        world.connect(each)
        each.asked[FIRST] = 0.0
        each.note(wire.Cancel(*FIRST))
    assert FIRST in peer.asked
    assert FIRST not in polite.asked


def test_an_absurd_reqq_is_said_and_ignored() -> None:
    world = TorrentWorld()
    peer = world.join(AbsurdReqq, reqq=-5)
    assert peer.extended
    world.finish()


def test_garbage_in_place_of_a_handshake_ends_the_link() -> None:
    world = TorrentWorld()
    world.join(GarbageSender)
    world.run(seconds=1)
    assert closes(world) == [CloseReason.WRONG_PROTOCOL]


def test_garbage_after_some_blocks_is_as_random_as_its_seed() -> None:
    def heard(seed: int) -> list[object]:
        world = TorrentWorld(seed=seed)
        world.join(GarbageSender, blocks=1, size=100)
        world.run(seconds=1)
        return [step.event for step in world.trace]

    assert heard(1) == heard(1)
    assert heard(1) != heard(2)


def test_a_slow_handshake_is_cut_off_and_a_quicker_one_gets_through() -> None:
    world = TorrentWorld()
    world.join(SlowHandshake, every=1.0)
    quick = world.join(SlowHandshake, every=0.05)
    world.run(seconds=20)
    assert CloseReason.HANDSHAKE_TIMEOUT in closes(world)
    assert quick.blocks_sent == 8


def test_bytes_that_come_one_by_one_are_put_together() -> None:
    world = TorrentWorld(full=True)
    peer = world.join(Leech, have=[], fast=False, extended=True, chunk=1)
    data = wire.encode(wire.Have(0)) + wire.encode(wire.KeepAlive())
    for byte in data:
        peer.received(bytes([byte]))
    assert peer.heard[-1] == wire.KeepAlive()
    assert world.run(lambda: peer.complete, seconds=60)


def test_a_leech_that_wants_nothing_says_nothing() -> None:
    world = TorrentWorld(full=True)
    peer = world.make(Leech, have=[])
    peer.wants = False
    world.connect(peer)
    world.run(seconds=5)
    assert not peer.complete
    assert not world.torrent.peers(world.now)[0].peer_interested


def test_a_scripted_peer_says_its_lines_at_their_times_and_again_on_the_next_link() -> None:
    script = [Cue(1.0, wire.Unchoke()), Cue(0.5, b"\0\0\0"), Cue(0.0, b"\0"), Cue(1.5, None)]
    world = TorrentWorld()
    peer = world.dialled(Scripted, script=script, latency=0.0)
    opened = world.now
    world.run(seconds=3.5)
    heard = [s.now - opened for s in world.trace if isinstance(s.event, ev.BytesReceived)]
    assert heard[-3:] == [1.0, 1.5, 1.5]
    assert [s.now - opened for s in world.trace if isinstance(s.event, ev.LinkClosed)] == [3.0]
    world.run(lambda: peer.alive, seconds=60)
    line = peer.line
    peer.leave()
    world.run(seconds=0.5)
    assert peer.line is line
    world.run(seconds=60)  # lines of a link that is gone are not said


@given(strategies.scripts(TorrentWorld().meta.geometry))
def test_no_script_keeps_a_download_from_its_end(script: tuple[Cue, ...]) -> None:
    world = TorrentWorld()
    world.join(Scripted, script=script, have=[], extended=True)
    world.run(seconds=5)
    world.join(Honest)
    world.finish(600)


# --- What they notice ------------------------------------------------------------------------


def connected(kind: type[Peer] = Peer, **options: object) -> Peer:
    return TorrentWorld().join(kind, **options)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (wire.Have(1), "announced before it was written"),
        (wire.HaveAll(), "announced before it was written"),
        (wire.Bitfield(b"\x80"), "announced before it was written"),
        (wire.Request(3, 0, BLOCK), "lacks it"),
        (wire.Request(0, 1, BLOCK), "not one of our blocks"),
        (wire.Piece(0, 0, b"wrong"), "wrong bytes"),
    ],
)
def test_what_a_machine_must_not_say_is_noticed(message: wire.Message, complaint: str) -> None:
    with pytest.raises(PromiseBroken, match=complaint):
        connected(have=[0, 1, 2]).note(message)


def test_a_request_that_is_repeated_is_noticed() -> None:
    peer = connected()
    peer.note(wire.Request(*FIRST))
    with pytest.raises(PromiseBroken, match="asked for twice"):
        peer.note(wire.Request(*FIRST))


def test_a_handshake_may_come_in_parts() -> None:
    world = TorrentWorld(start=False)
    hello = encode_handshake(world.make(Peer).handshake())
    peer = world.make(Peer)
    world.connect(peer)
    peer.received(hello[:30])
    peer.received(hello[30:] + wire.encode(wire.Unchoke()))
    assert peer.heard == [wire.Unchoke()]


def test_what_is_of_no_concern_is_heard_and_left_alone() -> None:
    peer = connected()
    peer.note(wire.Port(6881))
    peer.note(wire.Interested())
    assert peer.their_interest


def test_a_peer_that_chokes_still_owes_what_it_allowed_fast() -> None:
    peer = connected()
    peer.allowed.add(0)
    peer.note(wire.Request(*FIRST))
    peer.choke()
    assert list(peer.asked) == [FIRST]


def test_a_leech_asks_no_longer_for_what_was_rejected() -> None:
    world = TorrentWorld(full=True)
    leech = world.join(Leech, have=[])
    leech.mine[FIRST] = None
    leech.note(wire.Reject(*FIRST))
    assert FIRST not in leech.mine
    assert leech.rate > 0


def test_a_handshake_for_another_torrent_is_noticed() -> None:
    world = TorrentWorld()
    peer = world.make(Peer)
    world.connect(peer)
    with pytest.raises(PromiseBroken, match="another torrent"):
        peer.received(bytes(68))


def test_an_honest_peer_notes_the_whole_of_what_it_is_told() -> None:
    world = TorrentWorld(full=True)
    peer = world.join(Peer, have=[], fast=False)
    assert peer.their_pieces == set(range(4))
    for message in (wire.Unchoke(), wire.Choke(), wire.NotInterested(), wire.AllowedFast(2)):
        peer.note(message)
    peer.note(wire.Reject(*FIRST))
    assert peer.their_choking
    assert peer.granted == {2}


def test_an_honest_peer_that_chokes_refuses_what_it_is_asked() -> None:
    world = TorrentWorld()
    peer = world.join(Honest)
    world.run(seconds=0.05)
    peer.choke()
    peer.note(wire.Request(*FIRST))
    assert not peer.asked


def test_keep_alives_hold_an_idle_link_open() -> None:
    world = TorrentWorld()
    peer = world.join(Honest, have=[])
    world.run(seconds=1000)
    assert peer.alive
    heard = len(world.trace)
    peer.leave()
    world.run(seconds=1000)  # and then no more
    later = [type(step.event) for step in list(world.trace)[heard:]]
    assert later.count(ev.LinkClosed) == 1
    assert ev.BytesReceived not in later


# --- Puppets ---------------------------------------------------------------------------------


def asked_puppet(**options: object) -> tuple[TorrentWorld, Puppet]:
    world = TorrentWorld()
    puppet = world.join(Puppet, **options)
    puppet.unchoke()
    world.run(seconds=0.05)
    return world, puppet


def test_a_puppet_holds_back_the_rest_of_a_block_until_it_speaks() -> None:
    world, puppet = asked_puppet()
    block = next(iter(puppet.asked))
    puppet.begin(block, 100)
    assert puppet.tail_of == block
    assert puppet.may_answer(block.piece, block.begin)
    assert not puppet.may_answer(99, 0)
    puppet.say_bytes(b"")
    assert puppet.tail_of is None
    world.run(seconds=0.05)
    assert world.torrent.status(world.now).downloaded == BLOCK


@pytest.mark.parametrize("answers", [False, True])
def test_a_puppet_rejects_what_is_cancelled_or_owes_it(answers: bool) -> None:
    _, puppet = asked_puppet(answers_cancel=answers)
    block = next(iter(puppet.asked))
    puppet.note(wire.Cancel(*block))
    puppet.note(wire.Cancel(*block))  # it has no answer to give twice
    assert puppet.owed == ([] if answers else [block])
    assert block not in puppet.asked


@pytest.mark.parametrize("fast", [False, True])
def test_what_a_puppet_owes_is_void_when_it_chokes_without_bep_6(fast: bool) -> None:
    _, puppet = asked_puppet(answers_cancel=False, fast=fast)
    puppet.note(wire.Cancel(*next(iter(puppet.asked))))
    puppet.choke()
    assert bool(puppet.owed) is fast


def test_a_puppet_notices_requests_while_it_chokes() -> None:
    _, puppet = asked_puppet()
    puppet.choke()
    with pytest.raises(PromiseBroken, match="who chokes"):
        puppet.note(wire.Request(*FIRST))


def test_what_one_link_is_told_can_be_read() -> None:
    world = TorrentWorld()
    world.join(Honest)
    told = [message for step in world.trace for message in sent(step.actions, "link 0")]
    assert wire.Interested() in told
