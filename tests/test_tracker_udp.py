"""UDP trackers on virtual time: the examples of BEP 15, both families, and strange answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.actions import Resolve, SendDatagram, TrackerScraped
from torrent_core.events import DatagramReceived, Resolved
from torrent_core.limits import (
    CONNECTION_LIFE,
    RESOLVE_TIMEOUT,
    TRACKER_PATIENCE,
    UDP_TRIES,
)
from torrent_core.trackers import TrackerConfig
from torrent_core.types import Address, Family, Totals
from torrent_core.wire.udp_tracker import (
    AnnounceEvent,
    AnnounceRequest,
    ConnectRequest,
    ConnectResponse,
    ErrorResponse,
    Request,
    Response,
    ScrapeRequest,
    ScrapeResponse,
    encode_response,
)
from tracker_world import DELAY, HASH, KEY, PEER_ID, PEERS, TrackerWorld, udp_server

URL = "udp://9.9.9.9:6969/announce"
HERE = Address("9.9.9.9", 6969)
HERE6 = Address("2001:db8::9", 6969)
OTHER = b"o" * 20
STOPPED = 300.0
"""Seconds after which nothing of a torrent that stopped may be left."""


@pytest.fixture
def world() -> TrackerWorld:
    return TrackerWorld()


def _kinds(world: TrackerWorld) -> list[tuple[float, str]]:
    names = {ConnectRequest: "connect", AnnounceRequest: "announce", ScrapeRequest: "scrape"}
    return [(round(when), names[type(request)]) for when, _, request in world.datagrams]


# --- The examples of BEP 15 --------------------------------------------------------------------


def test_a_normal_announce(world: TrackerWorld) -> None:
    world.udp[HERE] = udp_server()
    world.add([URL])
    world.run(10)
    connect, announce = (request for _, _, request in world.datagrams)
    assert isinstance(connect, ConnectRequest)
    assert announce == AnnounceRequest(
        connection_id=77,
        transaction_id=announce.transaction_id,
        info_hash=HASH,
        peer_id=PEER_ID,
        totals=Totals(1, 2, 3),
        event=AnnounceEvent.STARTED,
        key=KEY,
        num_want=200,
        port=6881,
        url_data=b"/announce",
    )
    assert connect.transaction_id != announce.transaction_id
    assert world.found == [PEERS[0]]
    assert (world.replies[0].seeds, world.replies[0].leechers) == (4, 3)


def test_connect_times_out(world: TrackerWorld) -> None:
    world.add([URL])
    world.run(224)
    assert _kinds(world) == [(0, "connect"), (15, "connect"), (45, "connect"), (105, "connect")]
    assert world.failures == []
    world.run(2)
    assert len(world.datagrams) == UDP_TRIES
    assert [failure.detail for failure in world.failures] == ["no answer"]
    assert len({request.transaction_id for _, _, request in world.datagrams}) == 1


def test_announce_times_out_and_the_connection_id_expires(world: TrackerWorld) -> None:
    server, deaf = udp_server(), [False]

    def answer(address: Address, request: Request) -> Response | None:
        return None if deaf[0] else server(address, request)

    world.udp[HERE] = answer
    world.add([URL])
    world.run(DELAY)
    deaf[0] = True
    world.run(228)
    assert _kinds(world) == [
        (0, "connect"),
        (0, "announce"),
        (15, "announce"),
        (45, "announce"),
        (105, "connect"),
    ]
    assert [failure.detail for failure in world.failures] == ["no answer"]


def test_a_new_connection_id_in_the_midst_of_it(world: TrackerWorld) -> None:
    server, deaf = udp_server(), [False]

    def answer(address: Address, request: Request) -> Response | None:
        return None if deaf[0] else server(address, request)

    world.udp[HERE] = answer
    world.add([URL])
    world.run(DELAY)
    deaf[0] = True
    world.run(100)
    deaf[0] = False
    world.run(10)
    assert _kinds(world)[-2:] == [(105, "connect"), (105, "announce")]
    assert len(world.replies) == 1


def test_a_tracker_that_gives_nothing_but_connection_ids_is_given_up(world: TrackerWorld) -> None:
    server = udp_server()
    world.udp[HERE] = lambda address, request: (
        server(address, request) if isinstance(request, ConnectRequest) else None
    )
    world.add([URL])
    world.run(226)
    assert [kind for _, kind in _kinds(world)] == [
        *("connect", "announce", "announce", "announce"),
        *("connect", "announce"),
    ]
    assert [failure.detail for failure in world.failures] == ["no answer"]


def test_requests_share_a_connection_id_for_its_minute(world: TrackerWorld) -> None:
    world.udp[HERE] = udp_server()
    world.add([URL])
    world.run(4)
    world.add([URL], info_hash=OTHER)
    world.run(56)
    world.scrape(URL)
    world.run(2)
    world.completed()
    world.run(10)
    assert _kinds(world) == [
        (0, "connect"),
        (0, "announce"),
        (4, "announce"),
        (60, "scrape"),
        (62, "connect"),
        (62, "announce"),
    ]


def test_a_connection_that_is_not_used_is_forgotten(world: TrackerWorld) -> None:
    world.udp[HERE] = udp_server()
    world.add([URL])
    world.run(1)
    world.stop()
    world.run(CONNECTION_LIFE + 1)
    assert world.trackers.next_deadline() is None


@pytest.mark.parametrize("drop", range(4))
def test_lost_packets_are_sent_again(world: TrackerWorld, drop: int) -> None:
    world.udp[HERE] = udp_server(drop=drop)
    world.add([URL])
    world.run(15 * 2**drop)
    assert world.found == [PEERS[0]]
    assert world.failures == []


# --- Names and families ------------------------------------------------------------------------


def test_both_families_of_a_name_are_announced_to(world: TrackerWorld) -> None:
    world.names["t"] = ("9.9.9.9", "9.9.9.8", "2001:db8::9")
    world.udp[HERE] = world.udp[HERE6] = udp_server()
    world.add(["udp://t:6969"])
    world.run(1)
    assert world.all(Resolve) == [Resolve(1, "t")]
    assert {address for _, address, _ in world.datagrams} == {HERE, HERE6}
    assert sorted(world.found) == sorted(PEERS)
    announces = [one for _, _, one in world.datagrams if isinstance(one, AnnounceRequest)]
    assert {announce.key for announce in announces} == {KEY}
    world.scrape("udp://t:6969")
    world.run(1)
    assert [one for _, _, one in world.datagrams[-1:] if isinstance(one, ScrapeRequest)]
    assert world.datagrams[-1][1] == HERE
    world.run(10)


def test_we_announce_only_over_families_that_we_have() -> None:
    world = TrackerWorld(TrackerConfig(port=1, families=(Family.IPV6,)))
    world.names["t"] = ("9.9.9.9", "2001:db8::9")
    world.add(["udp://t:6969"])
    world.add(["udp://9.9.9.9"], info_hash=OTHER)
    world.run(1)
    assert {address for _, address, _ in world.datagrams} == {HERE6}
    assert [failure.torrent for failure in world.failures] == [OTHER]


@pytest.mark.parametrize("hosts", [(), ("0.0.0.0",), ("::",), ("224.0.0.1",), ("name",)])
def test_a_name_without_a_usable_address_is_a_failure(
    world: TrackerWorld, hosts: tuple[str, ...]
) -> None:
    world.names["t"] = hosts
    world.add(["udp://t"])
    world.run(1)
    assert world.datagrams == []
    assert [one.detail for one in world.failures] == ["its name has no address that can be used"]


def test_many_torrents_resolve_a_name_once(world: TrackerWorld) -> None:
    world.names["t"] = ("9.9.9.9",)
    world.udp[HERE] = udp_server()
    for number in range(5):
        world.add(["udp://t:6969"], info_hash=bytes([number]) * 20)
    world.run(1)
    assert len(world.all(Resolve)) == 1
    assert [kind for _, kind in _kinds(world)] == ["connect", *["announce"] * 5]


def test_a_name_that_is_not_resolved_in_time_is_a_failure_and_still_welcome_later(
    world: TrackerWorld,
) -> None:
    world.trackers.add(HASH, [["udp://t:6969"]], 0.0)
    world.run(RESOLVE_TIMEOUT - 0.1)
    assert world.failures == []
    world.run(0.2)
    assert [one.detail for one in world.failures] == ["its name could not be resolved in time"]
    assert world.trackers.owns(1)
    world.run(20)
    assert world.all(Resolve) == []  # the first is still out
    world.udp[HERE] = udp_server()
    world.handle(Resolved(1, ("9.9.9.9",)))
    assert not world.trackers.owns(1)
    world.run(1)
    assert world.found == [PEERS[0]]


def test_after_silence_the_name_is_resolved_anew(world: TrackerWorld) -> None:
    world.names["t"] = ("9.9.9.1",)
    world.add(["udp://t:6969"])
    world.run(100)
    world.names["t"] = ("9.9.9.9",)
    world.udp[HERE] = udp_server()
    world.run(200)
    assert len(world.all(Resolve)) == 2
    assert world.found == [PEERS[0]]


def test_two_names_of_one_tracker_do_not_get_in_each_others_way(world: TrackerWorld) -> None:
    world.names["t"] = world.names["u"] = ("9.9.9.9",)
    world.udp[HERE] = udp_server()
    world.add(["udp://t:6969"])
    world.add(["udp://u:6969"], info_hash=OTHER)
    world.run(1)
    assert {reply.torrent for reply in world.replies} == {HASH, OTHER}


def test_the_torrent_stops_while_the_name_is_resolved(world: TrackerWorld) -> None:
    world.names["t"] = ("9.9.9.9",)
    world.add(["udp://t:6969"])
    world.scrape("udp://t:6969")
    world.trackers.stop(HASH, world.now)
    world.run(STOPPED)
    assert not world.trackers.is_stopping(HASH)
    assert world.trackers.next_deadline() is None


# --- Answers -----------------------------------------------------------------------------------


def test_an_error_is_a_failure_with_its_words(world: TrackerWorld) -> None:
    for step in (ConnectRequest, AnnounceRequest):
        server = udp_server()

        def answer(address: Address, request: Request) -> Response | None:
            if isinstance(request, step):  # noqa: B023
                return ErrorResponse(request.transaction_id, b"no \x1bentry")
            return server(address, request)  # noqa: B023

        world.udp[HERE] = answer
        world.add([URL], info_hash=step.__name__.encode().ljust(20))
        world.run(1)
        assert world.failures[-1].detail == "no entry"
    assert _kinds(world) == [(0, "connect"), (1, "connect"), (1, "announce")]


def test_an_error_without_words_has_some(world: TrackerWorld) -> None:
    world.udp[HERE] = lambda _, request: ErrorResponse(request.transaction_id, b"")
    world.add([URL])
    world.run(1)
    assert world.failures[0].detail == "the tracker refused"


def test_after_an_error_a_new_connection_id_is_asked_for(world: TrackerWorld) -> None:
    server, fresh = udp_server(), [False]

    def answer(address: Address, request: Request) -> Response | None:
        if isinstance(request, AnnounceRequest) and not fresh[0]:
            fresh[0] = True
            return ErrorResponse(request.transaction_id, b"Connection ID mismatch")
        return server(address, request)

    world.udp[HERE] = answer
    world.add([URL])
    world.run(1)
    world.add([URL], info_hash=OTHER)
    world.run(1)
    assert [kind for _, kind in _kinds(world)] == ["connect", "announce"] * 2


def test_answers_that_make_no_sense_are_as_lost(world: TrackerWorld) -> None:
    strange = [
        lambda number: encode_response(ScrapeResponse(number, ((1, 2, 3),)), Family.IPV4),
        lambda number: b"\0\0\0\1" + number.to_bytes(4, "big") + b"short",
        lambda number: b"\0\0\0\x09" + number.to_bytes(4, "big") + b"x" * 20,
    ]
    world.add([URL])
    _, _, connect = world.datagrams[0]
    for make in strange:
        world.handle(DatagramReceived(HERE, make(connect.transaction_id)))
    assert len(world.datagrams) == 1
    connected = ConnectResponse(connect.transaction_id, 77)
    world.handle(DatagramReceived(HERE, encode_response(connected, Family.IPV4)))
    _, _, announce = world.datagrams[1]
    twice = ConnectResponse(announce.transaction_id, 78)
    for data in (
        *(make(announce.transaction_id) for make in strange),
        encode_response(twice, Family.IPV4),
    ):
        world.handle(DatagramReceived(HERE, data))
    assert world.replies == []
    assert len(world.datagrams) == 2


@given(st.sampled_from(["address", "port", "transaction"]), st.binary(max_size=40))
def test_only_the_right_address_and_transaction_count(wrong: str, rest: bytes) -> None:
    world = TrackerWorld()
    world.add([URL])
    _, address, connect = world.datagrams[0]
    number = connect.transaction_id
    if wrong == "address":
        address = address._replace(host="9.9.9.8")
    elif wrong == "port":
        address = address._replace(port=1)
    else:
        number ^= 1
    data = encode_response(ConnectResponse(number, 66), Family.IPV4) + rest
    event = DatagramReceived(address, data)
    assert not world.trackers.takes(event)
    assert world.trackers.handle(event, world.now) == []


def test_an_answer_is_known_in_any_spelling_of_its_address(world: TrackerWorld) -> None:
    world.add([f"udp://[{HERE6.host}]:6969"])
    world.add([URL], info_hash=OTHER)
    numbers = [request.transaction_id for _, _, request in world.datagrams]
    for number, host in zip(numbers, ["2001:0DB8:0:0::9", "::ffff:9.9.9.9"], strict=True):
        data = encode_response(ConnectResponse(number, 1), Family.IPV4)
        event = DatagramReceived(Address(host, 6969), data)
        assert world.trackers.takes(event)
        world.handle(event)
        assert not world.trackers.takes(event)
    assert len(world.datagrams) == 4


def test_transaction_ids_do_not_collide_even_if_chance_repeats_itself() -> None:
    world = TrackerWorld()
    world.trackers._desk._hosts._wires.random = _Same()  # type: ignore[assignment]
    world.udp[HERE] = udp_server()
    for number in range(4):
        world.add([URL], info_hash=bytes([number]) * 20)
    world.run(1)
    assert len(world.replies) == 4
    announces = [one for _, _, one in world.datagrams if isinstance(one, AnnounceRequest)]
    assert len({announce.transaction_id for announce in announces}) == 4


class _Same:
    def getrandbits(self, k: int, /) -> int:
        return 2**k - 1

    def random(self) -> float:
        return 0.0


def test_more_peers_than_asked_for_are_bounded(world: TrackerWorld) -> None:
    peers = tuple(Address(f"10.0.{n // 250}.{n % 250 + 1}", 1) for n in range(3000))
    world.udp[HERE] = udp_server(peers=peers)
    world.add([URL])
    world.run(1)
    assert len(world.found) == 1000


def test_a_udp_tracker_is_not_announced_to_before_its_interval(world: TrackerWorld) -> None:
    world.udp[HERE] = udp_server(interval=900)
    world.add([URL])
    world.run(1)
    world.want_peers()
    world.run(898)
    assert len(world.replies) == 1
    world.run(3)
    assert len(world.replies) == 2


def test_totals_beyond_what_bep_15_can_say_are_cut(world: TrackerWorld) -> None:
    world.totals[HASH] = Totals(2**70, -5, 7)
    world.udp[HERE] = udp_server()
    world.add([URL])
    world.run(1)
    announce = world.datagrams[1][2]
    assert isinstance(announce, AnnounceRequest)
    assert announce.totals == Totals(2**63 - 1, 0, 7)


# --- Events ------------------------------------------------------------------------------------


def test_the_life_of_a_torrent_in_events(world: TrackerWorld) -> None:
    world.udp[HERE] = udp_server(interval=600)
    world.add([URL])
    world.run(700)
    world.completed()
    world.run(10)
    world.stop()
    world.run(1)
    announces = [one for _, _, one in world.datagrams if isinstance(one, AnnounceRequest)]
    assert [one.event for one in announces] == [
        AnnounceEvent.STARTED,
        AnnounceEvent.NONE,
        AnnounceEvent.COMPLETED,
        AnnounceEvent.STOPPED,
    ]
    assert [one.num_want for one in announces] == [200, 200, 200, 0]
    assert announces[-1].totals.left == 0


def test_what_is_out_when_the_torrent_stops_is_dropped(world: TrackerWorld) -> None:
    world.add([URL])
    world.run(1)
    world.stop()
    (*_, (_, _, again)) = world.datagrams
    assert isinstance(again, ConnectRequest)  # the first announce may have been heard
    world.run(STOPPED)
    assert world.trackers.next_deadline() is None
    assert not world.trackers.takes(
        DatagramReceived(
            HERE, encode_response(ConnectResponse(again.transaction_id, 1), Family.IPV4)
        )
    )


def test_what_waits_for_an_answer_when_the_torrent_stops_is_dropped(world: TrackerWorld) -> None:
    server = udp_server()
    world.udp[HERE] = lambda address, request: (
        server(address, request) if isinstance(request, ConnectRequest) else None
    )
    world.add([URL])
    world.run(1)
    world.add([URL], info_hash=OTHER)
    world.stop()
    world.stop(OTHER)
    world.run(STOPPED)
    assert world.trackers.next_deadline() is None


# --- Scrape ------------------------------------------------------------------------------------


def test_a_scrape_over_udp(world: TrackerWorld) -> None:
    server = udp_server()

    def answer(address: Address, request: Request) -> Response | None:
        if isinstance(request, ScrapeRequest):
            assert request.info_hashes in ((HASH,), (OTHER,))
            swarms = ((1, 2, 3),) if request.info_hashes == (HASH,) else ()
            return ScrapeResponse(request.transaction_id, swarms)
        return server(address, request)

    world.udp[HERE] = answer
    world.scrape(URL)
    world.scrape(URL, OTHER)
    world.run(1)
    first, second = world.all(TrackerScraped)
    assert first == TrackerScraped(HASH, URL, 1, 2, 3)
    assert second.detail == "the tracker does not know this torrent"


def test_a_scrape_that_is_not_answered_ends_all_the_same(world: TrackerWorld) -> None:
    world.scrape(URL)
    world.run(STOPPED)
    assert [report.detail for report in world.all(TrackerScraped)] == ["no answer"]


# --- Patience ----------------------------------------------------------------------------------


def test_a_dead_tracker_does_not_keep_the_torrent_from_its_peers(world: TrackerWorld) -> None:
    world.udp[HERE] = udp_server()
    world.add(["udp://1.1.1.1"], ["udp://2.2.2.2"], [URL])
    world.run(2 * TRACKER_PATIENCE + 1)
    assert world.found == [PEERS[0]]


def test_datagrams_to_a_dead_tracker_do_not_grow_with_the_torrents(world: TrackerWorld) -> None:
    for number in range(200):
        world.add([URL], info_hash=number.to_bytes(20, "big"))
    world.run(225)
    assert len(world.all(SendDatagram)) == UDP_TRIES
    assert len(world.failures) == 200
