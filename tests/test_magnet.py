"""A magnet link: its metadata is fetched, then the torrent, on links that stay open."""

from __future__ import annotations

from hashlib import sha1
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from magnet_kit import THEIR_ID, Fair, Seeker, Teller
from metadata_kit import content
from session_kit import small_memory
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Account
from torrent_core.bencode import encode as bencode
from torrent_core.errors import LocalProtocolError
from torrent_core.limits import (
    DIAL_TIMEOUT,
    HANDSHAKE_TIMEOUT,
    IDLE_TIMEOUT,
    MAX_ALLOWED_FAST,
    MAX_PIECES,
    MAX_REPLY_BACKLOG,
    MAX_UNKNOWN_MESSAGES,
    METADATA_BACKOFF,
    METADATA_PIECE,
    METADATA_TIMEOUT,
)
from torrent_core.magnet import Magnet
from torrent_core.metainfo import MagnetLink, parse_torrent
from torrent_core.session import SessionConfig
from torrent_core.testing import Leech, Peer, make_torrent
from torrent_core.testing.torrent_world import OURS, listen
from torrent_core.types import Address, BlockInfo, CloseReason, PeerSource, TorrentState
from torrent_core.wire import messages as wire
from torrent_core.wire import metadata as meta
from torrent_core.wire.handshake import encode as encode_handshake
from world import BLOCK

HASH = bytes(range(20))


# --- From the name to the payload --------------------------------------------------------------


@pytest.mark.uncovered
@given(
    st.booleans(),
    st.sampled_from([0, 30, 68, 69, 100, 5000]),
    st.sampled_from([0.0, 0.01, 0.5]),
    st.booleans(),
)
def test_a_magnet_is_resolved_and_downloaded_on_one_link(
    fast: bool, chunk: int, latency: float, dials_us: bool
) -> None:
    fair = Fair(3 * BLOCK, check_every=9)
    options: dict[str, Any] = {"fast": fast, "chunk": chunk, "latency": latency}
    if dials_us:
        fair.seek()
        peer = fair.join(Teller, 0, **options)
    else:
        peer = fair.make(Teller, 0, **options)
        fair.seek(listen(fair, peer, 5))
    fair.finish_it()
    assert peer.links == 1
    assert len(fair.lines) == 1
    assert len(fair.actions(act.LinkReady)) == 1
    assert peer.blocks_sent == 3
    assert [change.state for change in fair.actions(act.StateChanged)] == [
        TorrentState.RESOLVING,
        TorrentState.CHECKING,
        TorrentState.DOWNLOADING,
        TorrentState.SEEDING,
    ]


def test_a_magnet_whose_metadata_is_here_has_nothing_left_to_do() -> None:
    fair = Fair()
    fair.seek()
    magnet = fair.session.magnets.get(fair.name)
    assert magnet is not None
    fair.join(Teller, 0)
    assert fair.is_resolved
    assert magnet.metainfo is not None
    assert magnet.next_deadline() is None


def test_the_report_holds_a_torrent_file_with_the_trackers_of_the_link() -> None:
    fair = Fair()
    peer = fair.make(Teller, 0)
    fair.seek(listen(fair, peer, 5), trackers=("http://a/announce", "udp://b:1"))
    fair.resolve()
    (report,) = fair.actions(act.MetadataReceived)
    found = parse_torrent(report.torrent_file)
    assert found.info == fair.meta.info
    assert found.trackers == (("http://a/announce",), ("udp://b:1",))
    assert fair.session.torrents.get(fair.name) is not None
    assert fair.name not in fair.session.magnets


def test_the_files_that_the_link_asks_for_are_fetched() -> None:
    fair = Fair()
    made, payload = make_torrent(6 * BLOCK, BLOCK, files=[2 * BLOCK, BLOCK, 3 * BLOCK])
    fair.metas[0], fair.payloads[0] = made, payload
    fair.store[0] = type(fair.store[0])(made)
    fair.disks = {made.info_hash: fair.store[0]}
    peer = fair.make(Teller, 0)
    fair.seek(listen(fair, peer, 5), only=((1, 1), (7, 9)))
    assert fair.run(lambda: fair.state(0) is TorrentState.SEEDING, seconds=60)
    assert peer.blocks_sent == 1
    assert fair.store[0].holds(2)


def test_what_is_on_the_disk_is_told_to_peers_of_the_magnet_once_it_is_checked() -> None:
    fair = Fair()
    fair.store[0].fill(fair.payloads[0])
    fair.seek()
    leech = fair.join(Leech, 0, have=())
    teller = fair.join(Teller, 0, have=())
    fair.resolve()
    assert fair.run(lambda: leech.complete, seconds=60)
    assert teller.alive
    assert any(isinstance(said, wire.HaveNone) for said in leech.heard)
    assert leech.their_pieces == {0, 1, 2, 3}


def test_resume_data_of_the_command_is_used() -> None:
    fair = Fair()
    peer = fair.make(Teller, 0)
    address = listen(fair, peer, 5)
    fair.seek(address, resume=b"no resume data")
    fair.resolve()
    fair.settle()
    (warning,) = fair.actions(act.Warned)
    assert "resume data ignored" in warning.text


def test_a_link_that_shakes_hands_when_the_metadata_comes_goes_on_shaking() -> None:
    fair = Fair()
    fair.seek()
    late = fair.make(Peer, 0, latency=0.1)
    hello = encode_handshake(late.handshake())
    late.hello = lambda: None  # type: ignore[method-assign]
    fair.connect(late)
    fair.run(seconds=0.5)
    late.say_bytes(hello[:50])
    fair.run(seconds=0.5)
    fair.join(Teller, 0, have=())
    fair.resolve()
    late.say_bytes(hello[50:])
    late.say(wire.HaveAll())
    fair.run(seconds=1.0)
    assert late.alive
    assert len(fair.actions(act.LinkReady)) == 2
    assert late.their_interest
    assert late.line is not None
    late.unchoke()
    fair.run(seconds=1.0)
    assert late.asked


def test_a_dial_that_is_answered_after_the_metadata_came_is_the_torrents() -> None:
    fair = Fair()
    fast, slow = fair.make(Teller, 0, have=()), fair.make(Teller, 0, latency=2.0)
    fair.seek(listen(fair, fast, 5), listen(fair, slow, 6))
    fair.resolve()
    assert fair.now < 2.0
    fair.finish_it()
    assert slow.links == 1
    assert slow.blocks_sent == 8


def test_dials_of_other_torrents_stay_theirs() -> None:
    fair = Fair()
    other, payload = make_torrent(2 * BLOCK, name="other")
    fair.disks[other.info_hash] = type(fair.store[0])(other)
    fair.feed(ev.AddTorrent(other))
    fair.settle()
    its = Peer(fair, fair.disks[other.info_hash], payload, latency=2.0)
    fair.feed(ev.AddPeer(other.info_hash, listen(fair, its, 9)))
    peer = fair.make(Teller, 0)
    fair.seek(listen(fair, peer, 5))
    fair.finish_it()
    fair.run(seconds=5.0)
    assert its.alive


def test_peers_whose_link_was_lost_are_dialled_by_the_torrent_again() -> None:
    fair = Fair()
    peer = fair.make(Teller, 0)
    fair.seek(listen(fair, peer, 5))
    fair.resolve()
    peer.leave()
    fair.finish_it()
    assert peer.links == 2


def test_bytes_that_were_under_way_are_still_reported_as_sent() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Teller, 0, mute=True)
    assert peer.line is not None
    peer.line.stuck = True
    fair.run(seconds=0.1)
    fair.feed(ev.Tick())
    peer.say_hello()  # not news: nothing is sent for it
    for piece in peer.asked_for:
        peer.answer(piece)
    fair.resolve()
    peer.line.stuck = False
    peer.line.flush()
    fair.finish_it()


def test_while_it_is_sought_incoming_links_are_let_in_and_told_that_we_have_nothing() -> None:
    fair = Fair()
    fair.seek()
    leech = fair.join(Leech, 0, have=())
    assert [type(said) for said in leech.heard] == [wire.HaveNone]
    slow = fair.join(Leech, 0, have=(), fast=False)
    assert slow.heard == []


# --- What was said is said again ---------------------------------------------------------------

PIECES = 5
pieces = st.integers(0, PIECES - 1)
fields = st.lists(pieces, max_size=PIECES).map(
    lambda held: wire.Bitfield(bytes([sum(0x80 >> piece for piece in set(held))]))
)
sayings = st.one_of(
    st.builds(wire.Have, pieces),
    fields,
    st.just(wire.HaveAll()),
    st.just(wire.HaveNone()),
    st.just(wire.Choke()),
    st.just(wire.Unchoke()),
    st.just(wire.Interested()),
    st.just(wire.NotInterested()),
    st.builds(wire.AllowedFast, pieces),
    st.builds(wire.Suggest, pieces),
    st.builds(wire.Port, st.integers(0, 5)),
    st.just(wire.KeepAlive()),
    st.just(wire.Cancel(0, 0, BLOCK)),
    st.just(wire.Unknown(99, b"x")),
    st.just(wire.Extended(9, b"x")),
    st.just(wire.Extended(0, b"d1:v3:onee")),
    st.just(wire.Extended(0, b"d1:pi7e4:reqqi9ee")),
    st.just(wire.Extended(0, b"no dictionary")),
    st.just(wire.Extended(0, b"d11:upload_onlyi1e1:v3:twoe")),
)

STATE = (
    *("fast", "extended", "am_choking", "peer_choking", "peer_interested", "pieces"),
    *("allowed_fast", "suggested", "client", "reqq", "listen_port", "upload_only"),
)


class Quiet(Teller):
    """Says nothing but what it is told to say."""

    def say_pieces(self) -> None:
        pass

    def on_interested(self) -> None:
        pass

    def on_request(self, block: BlockInfo) -> None:
        pass


def link_facts(fair: Fair) -> list[Any]:
    """What the torrent knows of its first link."""
    torrent = fair.session.torrents.get(fair.name)
    assert torrent is not None
    state = torrent._links.active[0].state
    return [getattr(state, name) for name in STATE]


@given(st.lists(sayings, max_size=12), st.booleans(), st.integers(0, 40))
@example([wire.HaveAll(), wire.Unchoke(), wire.Interested(), wire.Port(5)], True, 0)
@example([wire.Extended(0, b"d1:v3:onee"), wire.Extended(0, b"d1:pi7ee")], True, 0)
@example(
    [wire.AllowedFast(1), wire.Suggest(2), wire.Have(3), wire.Have(4), wire.Bitfield(b"\x80")],
    True,
    3,
)
@example([wire.Bitfield(b"\x80"), wire.Bitfield(b"\0")], False, 0)
def test_a_torrent_knows_of_a_link_what_it_would_know_if_it_had_had_it_from_the_start(
    script: list[wire.Message], extended: bool, cut: int
) -> None:
    data = b"".join(map(wire.encode, script))
    facts = []
    for as_magnet in (True, False):
        fair = Fair(PIECES * BLOCK, piece=BLOCK)
        if as_magnet:
            fair.seek()
        else:
            fair.add(0)
        peer = fair.join(Quiet, 0, extended=extended, speaks=False)
        peer.say_bytes(data[: len(data) - cut] if cut < len(data) else data)
        fair.run(seconds=0.1)
        if as_magnet:
            fair.join(Teller, 0, have=())
            fair.resolve()
        peer.say_bytes(data[len(data) - cut :] if cut < len(data) else b"")
        fair.run(seconds=0.1)
        assert peer.alive
        facts.append(link_facts(fair))
    assert facts[0] == facts[1]


@pytest.mark.parametrize(
    "lie",
    [
        wire.Bitfield(b"\xff"),
        wire.Bitfield(b"\xf0\x00"),
        wire.Have(PIECES),
        wire.Have(MAX_PIECES - 1),
    ],
)
def test_what_cannot_be_true_of_the_torrent_ends_the_link_once_it_is_known(
    lie: wire.Message,
) -> None:
    fair = Fair(PIECES * BLOCK, piece=BLOCK)
    fair.seek()
    peer = fair.join(Quiet, 0, mute=True)
    peer.say(lie)
    fair.run(seconds=0.1)
    assert peer.alive
    peer.answer(0)
    for piece in peer.asked_for:
        peer.answer(piece)
    fair.resolve()
    fair.run(seconds=0.1)
    assert fair.closes() == [CloseReason.PROTOCOL_ERROR]


@pytest.mark.parametrize(
    "lie",
    [
        wire.Have(MAX_PIECES),
        wire.Piece(0, 0, b"x"),
        b"\xff\xff\xff\xff",
        b"\0\0\0\2\0\0",
        wire.Extended(meta.OUR_ID, b"le"),
    ],
)
def test_what_cannot_be_true_of_any_torrent_ends_it_at_once(lie: wire.Message | bytes) -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Quiet, 0, mute=True)
    peer.say_bytes(lie if isinstance(lie, bytes) else wire.encode(lie))
    fair.run(seconds=0.1)
    assert fair.closes() == [CloseReason.PROTOCOL_ERROR]


def test_an_extension_handshake_that_is_none_changes_nothing() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Teller, 0, mute=True)
    peer.say(wire.Extended(0, b"no dictionary"))
    fair.run(seconds=0.1)
    assert peer.alive
    assert "it is asked of" in fair.why()


def test_messages_of_the_fast_extension_are_for_those_who_agreed_on_it() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Quiet, 0, fast=False, mute=True)
    peer.say(wire.HaveAll())
    fair.run(seconds=0.1)
    assert fair.closes() == [CloseReason.PROTOCOL_ERROR]


def test_requests_are_rejected_where_that_can_be_said() -> None:
    fair = Fair()
    fair.seek()
    fast, slow = fair.join(Quiet, 0, mute=True), fair.join(Quiet, 0, fast=False, mute=True)
    for peer in (fast, slow):
        peer.say(wire.Request(0, 0, BLOCK))
    fair.run(seconds=0.1)
    assert [said for said in fast.heard if isinstance(said, wire.Reject)] == [
        wire.Reject(0, 0, BLOCK)
    ]
    assert slow.alive


@pytest.mark.parametrize(
    "ask",
    [
        wire.encode(wire.Request(0, 0, BLOCK)),
        wire.encode(wire.Extended(meta.OUR_ID, meta.encode(meta.MetadataRequest(0)))),
    ],
)
def test_who_asks_and_does_not_read_is_left_in_the_end(ask: bytes) -> None:
    fair = Fair(check_every=0)
    fair.seek()
    peer = fair.join(Teller, 0, mute=True)
    assert peer.line is not None
    peer.line.stuck = True
    for _ in range(20):
        if peer.alive:
            peer.say_bytes(ask * (MAX_REPLY_BACKLOG // 200))
            fair.run(seconds=0.1)
    assert CloseReason.PROTOCOL_ERROR in fair.closes()


def test_messages_that_nobody_knows_are_ignored_up_to_a_bound() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Quiet, 0, mute=True)
    peer.say(*[wire.Unknown(99, b"")] * MAX_UNKNOWN_MESSAGES)
    fair.run(seconds=0.1)
    assert peer.alive
    peer.say(wire.Unknown(99, b""))
    fair.run(seconds=0.1)
    assert fair.closes() == [CloseReason.PROTOCOL_ERROR]


def test_advice_is_remembered_up_to_a_bound() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Quiet, 0, mute=True)
    peer.say(*[wire.AllowedFast(piece) for piece in range(MAX_ALLOWED_FAST + 9)])
    fair.run(seconds=0.1)
    magnet = fair.session.magnets.get(fair.name)
    assert magnet is not None
    (link,) = magnet._links.active
    assert link.framer is not None
    assert len(link.framer.said.allowed) == MAX_ALLOWED_FAST


# --- Who has it, and who lies --------------------------------------------------------------------


def test_a_hundred_liars_among_a_hundred_and_ten_peers() -> None:
    fair = Fair(check_every=7)
    right = fair.meta.info
    addresses = []
    peers: list[Teller] = []
    for number in range(110):
        salt = bytes([number])
        kinds: list[dict[str, Any]] = [
            {"info": content(len(right), salt)},
            {"info": content(3 * METADATA_PIECE, salt)},
            {"mute": True},
            {"rejects": True},
            {"size": 2**25},
            {"info": content(len(right) - 1, salt), "size": len(right)},
            {"speaks": False},
            {"size": 0},
            {"size": 2**31},
            {"info": content(len(right), salt), "latency": 3.0},
        ]
        kind = {} if number % 11 == 10 else kinds[number % 10]
        peer = fair.make(Teller, 0, **kind)
        peers.append(peer)
        address = Address(f"192.0.{number}.1", 6881)
        fair.listeners[address] = lambda peer=peer: peer
        addresses.append(address)
    fair.seek(*addresses)
    fair.resolve()
    assert fair.now < 30.0
    liars = {id(peer) for peer in peers if peer.info != right}
    closed = {
        close.link for close in fair.actions(act.Close) if close.reason is CloseReason.CORRUPT_DATA
    }
    assert {id(fair.lines[str(link)].peer) for link in closed} <= liars
    fair.finish_it()


def test_a_liar_is_banned_and_dialled_no_more() -> None:
    fair = Fair()
    liar = fair.make(Teller, 0, info=content(500))
    there = Address("203.1.113.5", 6881)
    fair.listeners[there] = lambda: liar
    fair.seek(there)
    fair.run(seconds=600.0)
    assert fair.closes() == [CloseReason.CORRUPT_DATA]
    assert liar.links == 1
    again = fair.join(Teller, 0, host=there.host, peer_id=liar.peer_id)
    assert fair.closes()[1:] == [CloseReason.BANNED]
    assert not again.alive


def test_a_liar_who_breaks_the_protocol_in_the_same_breath_is_gone_all_the_same() -> None:
    fair = Fair()
    fair.seek()
    liar = fair.join(Teller, 0, info=content(500), mute=True)
    said = meta.encode(meta.MetadataData(0, 500, liar.info))
    liar.say(wire.Extended(meta.OUR_ID, said), wire.Piece(0, 0, b"x"))
    fair.run(seconds=0.1)
    assert fair.closes() == [CloseReason.PROTOCOL_ERROR]
    other = fair.join(Teller, 0, mute=True)
    other.say_hello(m={meta.NAME: 0})
    other.say(wire.Piece(0, 0, b"x"))
    fair.run(seconds=0.1)
    assert not other.alive


def test_a_peer_that_offers_metadata_and_breaks_off_in_the_same_breath_is_not_asked() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Quiet, 0, speaks=False)
    known = {b"m": {meta.NAME: THEIR_ID}, b"metadata_size": 100}

    peer.say(wire.Extended(0, bencode(known)), wire.Piece(0, 0, b"x"))
    fair.run(seconds=0.1)
    assert not peer.alive
    assert peer.asked_for == []


def test_who_switches_the_extension_off_is_asked_no_more() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Teller, 0, rejects=True)
    fair.run(seconds=0.1)
    peer.say_hello(m={meta.NAME: 0})
    peer.say(wire.Extended(meta.OUR_ID, meta.encode(meta.MetadataRequest(0))))
    fair.run(seconds=METADATA_BACKOFF + 1)
    assert peer.asked_for == [0]
    assert "no connected peer has it" in fair.why()


def test_other_seekers_are_told_that_we_have_nothing() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Seeker, 0)
    peer.ask(0)
    peer.say(wire.Extended(meta.OUR_ID, b"d8:msg_typei9e5:piecei0ee"))
    fair.run(seconds=0.1)
    assert peer.told == [meta.MetadataReject(0)]
    assert peer.hellos[0].metadata_size is None
    assert peer.alive


def test_they_are_given_it_as_soon_as_it_is_here() -> None:
    fair = Fair()
    fair.seek()
    seeker = fair.join(Seeker, 0)
    fair.join(Teller, 0, have=())
    fair.resolve()
    fair.run(seconds=0.1)
    assert [hello.metadata_size for hello in seeker.hellos] == [None, len(fair.meta.info)]
    seeker.ask(0)
    fair.run(seconds=0.1)
    assert seeker.found == {0: fair.meta.info}


def test_metadata_that_is_no_usable_torrent_is_reported_and_ends_it() -> None:
    fair = Fair()
    info = b"d4:name1:ae"

    name = sha1(info).digest()
    fair.feed(ev.AddMagnet(MagnetLink(name)))
    peer = fair.make(Teller, 0, info=info)

    peer.meta = attrs.evolve(peer.meta, info_hash=name)
    fair.connect(peer)
    fair.run(seconds=1.0)
    (warning,) = fair.actions(act.Warned)
    assert "the metadata is here, and of no use" in warning.text
    assert fair.closes() == [CloseReason.STOPPING]
    magnet = fair.session.magnets.get(name)
    assert magnet is not None
    assert magnet.state is TorrentState.STOPPED
    fair.feed(ev.StartTorrent(name))
    assert magnet.state is TorrentState.STOPPED
    assert fair.session.next_deadline() is None


# --- Links ---------------------------------------------------------------------------------------


def test_a_peer_that_is_here_already_is_not_let_in_twice() -> None:
    fair = Fair()
    fair.seek()
    first = fair.join(Teller, 0, mute=True)
    fair.join(Teller, 0, peer_id=first.peer_id, mute=True)
    assert fair.closes() == [CloseReason.DUPLICATE_PEER]
    assert first.alive


def test_links_that_say_nothing_are_timed_out_as_ever() -> None:
    fair = Fair()
    fair.seek()
    shy = fair.make(Peer, 0)
    shy.hello = lambda: shy.say_bytes(encode_handshake(shy.handshake())[:50])  # type: ignore[method-assign]
    fair.connect(shy)
    fair.run(seconds=HANDSHAKE_TIMEOUT + 0.5)
    assert fair.closes() == [CloseReason.HANDSHAKE_TIMEOUT]
    peer = fair.join(Peer, 0)
    fair.run(seconds=IDLE_TIMEOUT + 1)
    assert fair.closes()[1:] == [CloseReason.IDLE_TIMEOUT]
    assert any(isinstance(said, wire.KeepAlive) for said in peer.heard)


def test_dials_that_come_to_nothing_are_tried_again_and_given_up_in_time() -> None:
    fair = Fair()
    nowhere, hole = Address("192.0.2.3", 1), Address("192.0.2.4", 1)
    fair.black_holes.add(hole)
    fair.seek(nowhere, hole)
    fair.run(seconds=DIAL_TIMEOUT + 5)
    assert len([dial for dial in fair.actions(act.Dial) if dial.address == nowhere]) > 1
    assert fair.actions(act.CancelDial)
    peer = fair.make(Teller, 0)
    fair.listeners[nowhere] = lambda: peer
    fair.finish_it()


def test_peers_are_added_found_and_dropped() -> None:
    fair = Fair()
    fair.seek()
    peer, other = fair.make(Teller, 0, mute=True), fair.make(Teller, 0, mute=True)
    address, there = listen(fair, peer, 5), listen(fair, other, 6)
    fair.feed(ev.AddPeer(fair.name, address))
    fair.feed(ev.PeersFound(fair.name, PeerSource.DHT, (there, Address("192.0.2.1", 0))))
    fair.run(seconds=1.0)
    assert peer.alive
    assert other.alive
    fair.feed(ev.DropPeer(fair.name, address))
    fair.run(seconds=60.0)
    assert fair.closes() == [CloseReason.DROPPED]
    assert peer.links == 1
    assert other.alive


def test_a_peer_that_is_dropped_while_it_is_dialled_is_closed_when_it_answers() -> None:
    fair = Fair()
    peer = fair.make(Teller, 0)
    address = listen(fair, peer, 5)
    fair.seek(address)
    (dial,) = fair.actions(act.Dial)
    fair.dials.pop(dial.dial_id)  # the adapter is too late to cancel
    fair.feed(ev.DropPeer(fair.name, address))
    fair.dials[dial.dial_id] = address
    fair.open_dial(dial.dial_id, peer)
    fair.run(seconds=1.0)
    assert fair.closes() == [CloseReason.DROPPED]


def test_links_are_shared_with_torrents_and_awaited() -> None:
    fair = Fair(config=SessionConfig(max_links=1))
    first, second = fair.make(Teller, 0, mute=True), fair.make(Teller, 0)
    fair.seek(listen(fair, first, 5), listen(fair, second, 6))
    fair.run(seconds=5.0)
    assert second.links == 0
    first.leave()
    fair.resolve()
    assert second.links == 1


# --- Commands ------------------------------------------------------------------------------------


def test_it_stops_and_starts_again() -> None:
    fair = Fair()
    peer = fair.make(Teller, 0, mute=True)
    fair.seek(listen(fair, peer, 5))
    fair.run(seconds=1.0)
    fair.feed(ev.StopTorrent(fair.name))
    fair.feed(ev.StopTorrent(fair.name))
    fair.run(seconds=60.0)
    assert fair.closes() == [CloseReason.STOPPING]
    assert fair.why() == "The metadata is not here yet: the torrent is stopped."
    assert fair.session.next_deadline() is None
    fair.join(Teller, 0)
    assert fair.closes()[1:] == [CloseReason.STOPPING]
    peer.mute = False
    fair.feed(ev.StartTorrent(fair.name))
    fair.finish_it()


def test_it_is_removed_with_its_dials_and_links() -> None:
    fair = Fair()
    peer = fair.make(Teller, 0, mute=True)
    fair.black_holes.add(hole := Address("192.0.2.4", 1))
    fair.seek(listen(fair, peer, 5), hole)
    fair.run(seconds=1.0)
    fair.feed(ev.RemoveTorrent(fair.name))
    assert fair.name not in fair.session.magnets
    fair.run(seconds=60.0)
    assert not peer.alive
    assert not fair.dials
    fair.seek()
    assert fair.name in fair.session.magnets


@pytest.mark.parametrize(
    "event",
    [
        ev.AddMagnet(MagnetLink(HASH)),
        ev.StartTorrent(HASH),
        ev.Recheck(HASH),
        ev.SetPriorities(HASH, ()),
        ev.AddPeer(HASH, Address("", 1)),
        ev.Sent("nowhere", 1),
        ev.LinkOpened("link 0", Address("192.0.2.7", 1)),
        ev.LinkOpened("new", Address("192.0.2.7", 1), 99),
        ev.DialFailed(99),
    ],
)
def test_what_the_caller_does_wrong_is_refused_and_changes_nothing(event: ev.Event) -> None:
    fair = Fair()
    fair.seek()
    fair.feed(ev.AddMagnet(MagnetLink(HASH)))
    fair.join(Teller, 0, mute=True)
    before = fair.session.explain(fair.now), fair.session.next_deadline()
    with pytest.raises(LocalProtocolError):
        fair.session.handle(event, fair.now + 1.0)
    assert (fair.session.explain(fair.now), fair.session.next_deadline()) == before


def test_a_torrent_is_in_the_session_once_by_its_file_or_by_its_name() -> None:
    fair = Fair()
    fair.seek()
    with pytest.raises(LocalProtocolError):
        fair.feed(ev.AddTorrent(fair.meta))
    other = Fair()
    other.add(0)
    with pytest.raises(LocalProtocolError):
        other.seek()


def test_a_peer_of_the_link_that_nobody_can_dial_is_refused() -> None:
    fair = Fair()
    with pytest.raises(LocalProtocolError):
        fair.seek(Address("h", 0))
    assert fair.name not in fair.session.magnets


# --- The machine alone ---------------------------------------------------------------------------


def alone(**fields: Any) -> Magnet:
    magnet = Magnet(MagnetLink(HASH, **fields), peer_id=OURS, random=Random(1))
    magnet.handle(ev.StartTorrent(HASH), 0.0)
    return magnet


def test_it_refuses_what_is_not_for_it() -> None:
    magnet = alone()
    for event in (
        ev.StopTorrent(bytes(20)),
        ev.Recheck(HASH),
        ev.DialFailed(5),
        ev.LinkOpened("x", Address("192.0.2.1", 1), 5),
        ev.BytesReceived("x", b""),
    ):
        with pytest.raises(LocalProtocolError):
            magnet.handle(event, 1000.0)
    with pytest.raises(LocalProtocolError):
        magnet.give_away()
    magnet.handle(ev.LinkOpened("x", Address("192.0.2.1", 1)), 1.0)
    with pytest.raises(LocalProtocolError):
        magnet.handle(ev.LinkOpened("x", Address("192.0.2.1", 1)), 1.0)


def test_it_has_no_memory_to_give_away() -> None:
    assert alone().give_way(1.0) == []


def test_what_comes_after_a_close_is_ignored() -> None:
    magnet = alone()
    magnet.handle(ev.LinkOpened("x", Address("192.0.2.1", 1), since=-5.0), 0.0)
    magnet.handle(ev.BytesReceived("x", b"GET / HTTP/1.1"), 0.0)
    assert magnet.handle(ev.BytesReceived("x", b"more"), 0.0) == []
    assert magnet.handle(ev.Sent("x", 1), 0.0) == []
    assert magnet.handle(ev.LinkClosed("x"), 0.0) == []


def test_a_sleep_is_held_against_no_link() -> None:
    magnet = alone()
    magnet.handle(ev.LinkOpened("x", Address("192.0.2.1", 1)), 0.0)
    magnet.handle(ev.PeersFound(HASH, PeerSource.DHT, ()), 3600.0)
    due = magnet.next_deadline()
    assert due is not None
    assert due.when == pytest.approx(3600.0)


def test_it_can_be_looked_at_as_a_torrent_can() -> None:
    fair = Fair()
    fair.seek(name="a name")
    magnet = fair.session.magnets.get(fair.name)
    assert magnet is not None
    fair.join(Teller, 0, mute=True)
    fair.join(Quiet, 0, extended=False).say(wire.Unchoke())
    fair.run(seconds=0.1)
    status = magnet.status(fair.now)
    assert (status.name, status.state, status.peers) == ("a name", TorrentState.RESOLVING, 2)
    rows = magnet.peers(fair.now)
    assert [row.peer_choking for row in rows] == [True, False]
    assert alone().status(0.0).name == HASH.hex()


# --- Why it is not here --------------------------------------------------------------------------


def test_nobody_is_connected_and_nothing_is_scheduled() -> None:
    fair = Fair()
    fair.seek()
    assert fair.why() == (
        "The metadata is not here yet: no connected peer has it. "
        "Nothing is scheduled that would find another supplier."
    )


def test_nobody_has_it_and_a_dial_is_due() -> None:
    fair = Fair()
    fair.seek(Address("192.0.2.3", 1))
    fair.run(seconds=0.1)
    assert "no connected peer has it. Next: dial 192.0.2.3:1, in " in fair.why()


def test_it_is_asked_of_somebody_with_a_deadline() -> None:
    fair = Fair()
    fair.seek()
    fair.join(Teller, 0, mute=True, host="192.0.2.1")
    (entry,) = fair.session.explain(fair.now)[fair.name].entries
    assert entry.account is Account.REQUESTED
    assert entry.until is not None
    assert entry.until - fair.now <= METADATA_TIMEOUT
    assert "yet: it is asked of 192.0.2.1:50000, due in " in fair.why()


def test_some_of_it_is_here() -> None:
    fair = Fair()
    fair.seek()
    peer = fair.join(Teller, 0, info=content(3 * METADATA_PIECE), mute=True)
    peer.answer(0)
    fair.run(seconds=0.1)
    assert "yet: 1 of 3 pieces are here, and it is asked of " in fair.why()


def test_all_who_have_it_refuse() -> None:
    fair = Fair()
    fair.seek()
    fair.join(Teller, 0, rejects=True)
    fair.run(seconds=0.1)
    assert "yet: each peer that has it refused it, or did not answer, asked again in" in fair.why()


def test_memory_that_torrents_want_is_not_asked_of_magnets() -> None:
    fair = Fair(config=small_memory(4))
    peer = fair.make(Teller, 0)
    fair.seek(listen(fair, peer, 5))
    fair.finish_it()
