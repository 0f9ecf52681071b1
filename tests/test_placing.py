"""Bytes in their places: when places are given, what may be told of them, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from placing_kit import MOST, fill
from session_kit import Party
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import MIN_PLACED_BLOCKS
from torrent_core.pieces import expected
from torrent_core.testing import TorrentWorld, World
from torrent_core.testing.peers.puppet import Puppet
from torrent_core.trace import replay
from torrent_core.types import Address, BlockInfo, CloseReason, LinkId
from torrent_core.wire import messages as wire
from world import BLOCK

PIECE = 4
"""Blocks of a piece."""

DEPTH = 12
"""Requests out on a link that has begun to deliver."""


def make_world(pieces: int = 16, piece: int = PIECE * BLOCK, record: bool = False) -> TorrentWorld:
    return TorrentWorld(pieces * piece, piece, record=record)


def unchoked(world: TorrentWorld, **options: Any) -> Puppet:
    """A peer that has all but the last piece, and has been asked for as much as it may be."""
    pieces = set(range(world.meta.piece_count - 1))
    return warm(world, world.join(Puppet, **{"have": pieces, **options}))


def warm(world: World, puppet: Puppet) -> Puppet:
    puppet.unchoke()
    world.run(seconds=1)
    while 0 < len(puppet.asked) < DEPTH:
        puppet.deliver(next(iter(puppet.asked)))
        world.run(seconds=0.11)
    return puppet


def name(puppet: Puppet) -> LinkId:
    assert puppet.line is not None
    return puppet.line.name


def taken(puppet: Puppet, count: int) -> list[BlockInfo]:
    """Its oldest requests, which are answered now."""
    blocks = list(puppet.asked)[:count]
    for block in blocks:
        del puppet.asked[block]
    return blocks


def down(world: TorrentWorld) -> int:
    """Bytes of payload that have come."""
    return world.torrent.status(world.now).downloaded


def answer(puppet: Puppet, blocks: list[BlockInfo]) -> bytes:
    return b"".join(
        wire.encode(wire.Piece(block.piece, block.begin, puppet.block(block))) for block in blocks
    )


def place(world: TorrentWorld, puppet: Puppet, data: bytes) -> list[act.Action]:
    """All of ``data`` in one go."""
    assert fill(world.torrent.receive_into(name(puppet), MOST), data) == len(data)
    return world.feed(ev.BytesPlaced(name(puppet), len(data)))


def offers(world: TorrentWorld, puppet: Puppet) -> bool:
    return bool(world.torrent.receive_into(name(puppet), MOST))


# --- What is given ---------------------------------------------------------------------------


def test_blocks_go_where_they_belong() -> None:
    world = make_world()
    puppet = unchoked(world)
    blocks = taken(puppet, 6)
    told = place(world, puppet, answer(puppet, blocks))
    hashed = next(action for action in told if isinstance(action, act.HashPiece))
    assert hashed.data is not None
    piece = (BlockInfo(hashed.piece, block * BLOCK, BLOCK) for block in range(PIECE))
    assert hashed.data == b"".join(map(puppet.block, piece))
    while puppet.asked:
        place(world, puppet, answer(puppet, taken(puppet, MIN_PLACED_BLOCKS)))
        world.run(seconds=1)
        if not offers(world, puppet):
            break
    assert world.torrent.status(world.now).wasted == 0


def test_places_are_those_of_the_oldest_requests_with_room_for_headers() -> None:
    world = make_world()
    puppet = unchoked(world)
    places = world.torrent.receive_into(name(puppet), MOST)
    assert [len(one) for one in places] == [13, BLOCK] * len(puppet.asked)
    assert len({id(one.obj) for one in places[1::2]}) > 1  # they are of several pieces
    few = world.torrent.receive_into(name(puppet), 5 * (BLOCK + 13) + 1)
    assert len(few) == 10
    assert not world.torrent.receive_into(name(puppet), 3 * (BLOCK + 13))


def test_a_block_that_has_begun_comes_first() -> None:
    world = make_world()
    puppet = unchoked(world)
    before, data = down(world), answer(puppet, taken(puppet, 5))
    place(world, puppet, data[:1000])
    first, header, *_ = world.torrent.receive_into(name(puppet), MOST)
    assert (len(first), len(header)) == (13 + BLOCK - 1000, 13)
    place(world, puppet, data[1000:1500])
    place(world, puppet, data[1500:])
    assert down(world) - before == 5 * BLOCK


def test_what_was_not_expected_is_read_as_any_input() -> None:
    world = make_world()
    puppet = unchoked(world)
    before, one, two = down(world), taken(puppet, 1), taken(puppet, 4)
    choke = wire.encode(wire.Choke()) + wire.encode(wire.Unchoke())
    place(world, puppet, answer(puppet, one) + choke + answer(puppet, two))
    assert down(world) - before == 5 * BLOCK
    broken = place(world, puppet, wire.encode(wire.Have(99)))
    assert [one.reason for one in broken if isinstance(one, act.Close)] == [
        CloseReason.PROTOCOL_ERROR
    ]


# --- What is out of the ordinary ---------------------------------------------------------------


def test_no_places_before_hands_are_shaken_or_after_the_end() -> None:
    world = make_world()
    world.feed(ev.LinkOpened("new", Address("192.0.2.9", 1)))
    assert world.torrent.receive_into("new", MOST) == []
    puppet = unchoked(world)
    world.feed(ev.BytesReceived(name(puppet), wire.encode(wire.Have(99))))
    assert world.torrent.receive_into(name(puppet), MOST) == []
    with pytest.raises(LocalProtocolError, match="no link"):
        world.torrent.receive_into("nobody", MOST)


def test_no_places_within_a_message() -> None:
    world = make_world()
    puppet = unchoked(world)
    world.feed(ev.BytesReceived(name(puppet), b"\0"))
    assert not offers(world, puppet)
    world.feed(ev.BytesReceived(name(puppet), b"\0\0\0"))
    assert offers(world, puppet)


def test_no_places_within_a_block_that_nobody_asked_for() -> None:
    world = make_world()
    puppet = unchoked(world)
    strange = answer(puppet, [BlockInfo(world.meta.piece_count - 1, 0, BLOCK)])
    world.feed(ev.BytesReceived(name(puppet), strange[:100]))
    assert not offers(world, puppet)
    world.feed(ev.BytesReceived(name(puppet), strange[100:]))
    assert offers(world, puppet)


def test_no_places_for_a_link_out_of_turn() -> None:
    world = make_world()
    puppet = unchoked(world)
    oldest = next(iter(puppet.asked))
    data = answer(puppet, list(puppet.asked)[1:2])
    puppet.asked.pop(list(puppet.asked)[1])
    world.feed(ev.BytesReceived(name(puppet), data[:100]))
    assert not offers(world, puppet)  # the block that has begun is not the oldest
    world.feed(ev.BytesReceived(name(puppet), data[100:]))
    assert not offers(world, puppet)  # the first of the next run is alone
    del puppet.asked[oldest]
    world.feed(ev.BytesReceived(name(puppet), answer(puppet, [oldest])))
    world.feed(ev.BytesReceived(name(puppet), answer(puppet, taken(puppet, 1))))
    assert offers(world, puppet)


def test_no_places_on_a_link_that_is_silent() -> None:
    world = make_world()
    puppet = unchoked(world)
    world.run(seconds=120)
    assert puppet.alive
    assert not offers(world, puppet)


def test_no_places_for_the_last_piece() -> None:
    world = make_world(pieces=2, piece=32 * BLOCK)
    puppet = unchoked(world, have={1})
    assert len(puppet.asked) >= DEPTH
    assert not offers(world, puppet)


def endgame(world: TorrentWorld) -> tuple[Puppet, Puppet, BlockInfo]:
    """Two peers that were asked for one block, the oldest request of the second."""
    first = unchoked(world, have={0})
    while len(first.asked) > MIN_PLACED_BLOCKS:
        first.deliver(next(iter(first.asked)))
        world.run(seconds=0.11)
    assert offers(world, first)
    second = world.join(Puppet, have={0})
    second.unchoke()
    world.run(seconds=1)
    block = next(iter(second.asked))
    assert block in first.asked
    return first, second, block


def test_no_places_where_others_were_asked_too() -> None:
    world = make_world(pieces=2, piece=32 * BLOCK)
    first, second, _ = endgame(world)
    assert not offers(world, first)
    assert not offers(world, second)


def test_no_places_for_a_block_that_began_while_somebody_else_was_writing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expected, "MIN_PLACED_BLOCKS", 1)
    world = make_world(pieces=2, piece=32 * BLOCK)
    first, second, block = endgame(world)
    assert not offers(world, second)
    first.begin(block, 1000)
    second.begin(block, 1000)
    world.run(seconds=0.1)
    assert not offers(world, second)
    first.leave()
    world.run(seconds=0.1)
    assert not offers(world, second)  # it is the only one, but the block lies elsewhere
    second.say_bytes(b"")
    world.run(seconds=0.1)
    assert offers(world, second)


# --- What may be told --------------------------------------------------------------------------


def test_nothing_is_told_of_places_that_were_not_given() -> None:
    world = make_world()
    puppet = unchoked(world)
    before = str(world.torrent.explain(world.now))
    places = world.torrent.receive_into(name(puppet), MOST)
    room = sum(map(len, places))
    for link, count in (("other", 1), (name(puppet), 0), (name(puppet), room + 1)):
        with pytest.raises(LocalProtocolError, match=r"no places|bytes in"):
            world.torrent.handle(ev.BytesPlaced(link, count), world.now)
    assert str(world.torrent.explain(world.now)) == before
    world.feed(ev.Tick())
    with pytest.raises(LocalProtocolError, match="no places"):
        world.torrent.handle(ev.BytesPlaced(name(puppet), 1), world.now)


def test_a_session_gives_the_places_of_its_torrents_alone() -> None:
    party = Party(16 * PIECE * BLOCK, piece=PIECE * BLOCK)
    party.add(0)
    puppet = warm(party, party.join(Puppet, 0, have=set(range(15))))
    link = name(puppet)
    data = answer(puppet, taken(puppet, 5))
    assert fill(party.session.receive_into(link, MOST), data) == len(data)
    told = party.feed(ev.BytesPlaced(link, len(data)))
    assert any(isinstance(action, act.HashPiece) for action in told)
    party.feed(ev.LinkOpened("pending", Address("192.0.2.9", 1)))
    assert party.session.receive_into("pending", MOST) == []
    with pytest.raises(LocalProtocolError, match="no places"):
        party.session.handle(ev.BytesPlaced("pending", 1), party.now)
    with pytest.raises(LocalProtocolError, match="no link"):
        party.session.receive_into("nobody", MOST)


# --- Recorded ----------------------------------------------------------------------------------


def test_a_trace_has_what_was_placed_as_received() -> None:
    world = make_world(record=True)
    puppet = unchoked(world)
    recorder, link = world.machine, name(puppet)
    data = answer(puppet, taken(puppet, 9))
    room = sum(map(len, recorder.receive_into(link, MOST)))
    for count in (room + 1, 0, None):
        with pytest.raises(LocalProtocolError, match="no places"):
            recorder.handle(ev.BytesPlaced(link, count), world.now)  # type: ignore[arg-type]
    world.torrent.receive_into(link, 1)  # behind its back
    with pytest.raises(LocalProtocolError, match="no places"):
        recorder.handle(ev.BytesPlaced(link, 1), world.now)
    for part in (data[:70_000], data[70_000:]):
        assert fill(recorder.receive_into(link, MOST), part) == len(part)
        world.feed(ev.BytesPlaced(link, len(part)))
    with pytest.raises(LocalProtocolError, match="no places"):
        recorder.handle(ev.BytesPlaced(link, 1), world.now)
    report = replay(world.save_trace())
    assert report.divergence is None
    assert report.steps == len(world.trace)


def test_a_bug_met_by_what_was_placed_is_in_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(record=True)
    puppet = unchoked(world)
    data = answer(puppet, taken(puppet, 5))
    assert fill(world.machine.receive_into(name(puppet), MOST), data) == len(data)

    def broken(event: ev.Event, now: float) -> list[act.Action]:
        raise ZeroDivisionError

    monkeypatch.setattr(world.machine, "_handle", broken)
    with pytest.raises(ZeroDivisionError):
        world.machine.handle(ev.BytesPlaced(name(puppet), len(data)), world.now)
    first = replay(world.save_trace()).divergence
    assert first is not None
    assert first.step == len(world.trace) + 1
    assert "ZeroDivisionError" in first.expected
