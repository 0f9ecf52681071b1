"""A torrent gives its metadata to peers that have only its name (BEP 9)."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from magnet_kit import THEIR_ID, Seeker
from torrent_core import actions as act
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import MAX_METADATA_QUEUE, MAX_REPLY_BACKLOG, METADATA_PIECE
from torrent_core.metainfo import Metainfo
from torrent_core.testing import make_torrent
from torrent_core.testing.speech import sent
from torrent_core.torrent import HandedLink
from torrent_core.types import Address, CloseReason
from torrent_core.wire import extended, pex
from torrent_core.wire import messages as wire
from torrent_core.wire import metadata as meta
from torrent_core.wire.handshake import encode as encode_handshake
from world import BLOCK
from world_swarm import Swarm


def long_one() -> tuple[Metainfo, bytes]:
    """A torrent whose metadata has several pieces."""
    return make_torrent(2000 * 16, 16)


def closes(swarm: Swarm) -> list[CloseReason]:
    return [close.reason for close in swarm.actions(act.Close)]


def test_a_peer_gets_all_of_it() -> None:
    swarm = Swarm(made=long_one())
    seeker = swarm.join(Seeker)
    count = meta.piece_count(len(swarm.meta.info))
    assert count == 3
    assert seeker.hellos[0].m[meta.NAME] == meta.OUR_ID
    assert seeker.hellos[0].metadata_size == len(swarm.meta.info)
    for piece in range(count):
        seeker.ask(piece)
    swarm.run(seconds=1.0)
    assert b"".join(seeker.found[piece] for piece in range(count)) == swarm.meta.info


def test_what_there_is_not_is_rejected_and_what_nobody_asked_for_ignored() -> None:
    swarm = Swarm()
    seeker = swarm.join(Seeker)
    seeker.ask(7)
    seeker.tell(meta.MetadataReject(0))
    seeker.tell(meta.MetadataData(0, None, b"x"))
    seeker.say(wire.Extended(99, b"x"))
    swarm.run(seconds=1.0)
    assert seeker.told == [meta.MetadataReject(7)]
    assert seeker.alive


def test_who_gave_no_number_for_it_is_not_answered() -> None:
    swarm = Swarm()
    silent = swarm.join(Seeker, speaks=False)
    silent.ask(0)
    left = swarm.join(Seeker)
    left.say_hello(m={meta.NAME: 0})
    left.ask(0)
    swarm.run(seconds=1.0)
    assert silent.told == left.told == []
    again = THEIR_ID
    left.say_hello(m={meta.NAME: again})
    left.say_hello(m={meta.NAME: again})
    left.ask(0)
    swarm.run(seconds=1.0)
    assert left.found == {0: swarm.meta.info}


def test_what_is_no_message_ends_the_link() -> None:
    swarm = Swarm()
    seeker = swarm.join(Seeker)
    seeker.say(wire.Extended(meta.OUR_ID, b"le"))
    swarm.run(seconds=1.0)
    assert closes(swarm) == [CloseReason.PROTOCOL_ERROR]


def test_who_does_not_read_waits_is_rejected_and_is_left_in_the_end() -> None:
    swarm = Swarm(made=long_one(), check_every=0)
    seeker = swarm.join(Seeker)
    assert seeker.line is not None
    seeker.line.stuck = True
    ask = wire.encode(wire.Extended(meta.OUR_ID, meta.encode(meta.MetadataRequest(0))))
    seeker.say_bytes(ask * MAX_METADATA_QUEUE)
    swarm.run(seconds=1.0)
    line = seeker.line
    assert 10 * METADATA_PIECE <= line.unsent < 12 * METADATA_PIECE
    assert seeker.alive
    for _ in range(100):
        if seeker.alive:
            seeker.say_bytes(ask * (MAX_REPLY_BACKLOG // 2000))
            swarm.run(seconds=0.1)
    assert closes(swarm) == [CloseReason.PROTOCOL_ERROR]


def test_what_waits_is_sent_as_soon_as_there_is_room() -> None:
    swarm = Swarm(made=long_one())
    seeker = swarm.join(Seeker, latency=0.0)
    assert seeker.line is not None
    seeker.line.stuck = True
    for _ in range(30):
        seeker.ask(0)
    swarm.run(seconds=1.0)
    held = seeker.line.unsent
    seeker.line.stuck = False
    seeker.line.flush()
    swarm.run(seconds=1.0)
    told = [said for said in seeker.told if isinstance(said, meta.MetadataData)]
    assert len(told) * METADATA_PIECE >= 29 * METADATA_PIECE - held


def private() -> tuple[Metainfo, bytes]:
    made, payload = make_torrent(4 * BLOCK)
    return attrs.evolve(made, private=True), payload


def test_that_of_a_private_torrent_is_neither_offered_nor_given() -> None:
    swarm = Swarm(made=private())
    seeker = swarm.join(Seeker)
    assert seeker.hellos[0].m == {}
    assert seeker.hellos[0].metadata_size is None
    seeker.ask(0)
    swarm.run(seconds=1.0)
    assert seeker.told == [meta.MetadataReject(0)]


@pytest.mark.parametrize("made", [None, private()])
def test_on_a_link_that_was_handed_over_offers_are_renewed_or_taken_back(made: Any) -> None:
    swarm = Swarm(made=made)
    peer = swarm.make(Seeker)

    heard = encode_handshake(peer.handshake())
    handed = HandedLink("link x", Address("192.0.2.1", 1), True, 0.0, (), True, True, 0, heard)

    actions = swarm.torrent.adopt(handed, swarm.now)
    (hello,) = sent(actions, "link x")
    assert isinstance(hello, wire.Extended)
    said = extended.decode(hello.payload)
    offered = (2, 1) if made is None else (0, 0)
    assert (said.m[meta.NAME], said.m[pex.NAME]) == offered
    assert not [action for action in actions if isinstance(action, act.LinkReady)]
    with pytest.raises(LocalProtocolError):
        swarm.torrent.adopt(handed, swarm.now)


def test_a_torrent_that_is_stopped_takes_no_link_over() -> None:
    swarm = Swarm(start=False)
    handed = HandedLink("link x", Address("192.0.2.1", 1), True, 0.0, (), True, True)
    actions = swarm.torrent.adopt(handed, swarm.now)
    assert [a.reason for a in actions if isinstance(a, act.Close)] == [CloseReason.STOPPING]
