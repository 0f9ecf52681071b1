"""The routing table: who gets in, who goes, and who is nearest."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dht_kit import node, node6
from torrent_core.dht.hosts import place_of
from torrent_core.dht.node_id import common_bits, make_id, number
from torrent_core.dht.table import Table
from torrent_core.limits import DHT_GOOD_SECONDS, DHT_K, DHT_SPARES
from torrent_core.types import Address
from torrent_core.wire.contacts import NodeInfo

OWN = bytes(20)
NOW = 100.0


def near(shared: int, serial: int, fitting: bool = True) -> NodeInfo:
    """A node that shares exactly so many first bits with ``OWN``."""
    random = Random(shared * 1000 + serial)
    while True:
        host = f"50.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}"
        if not fitting:
            key = 1 << 159 - shared | random.getrandbits(159 - shared)
            return NodeInfo(key.to_bytes(20, "big"), Address(host, 6881))
        node_id = make_id(random, host)
        if common_bits(0, number(node_id)) == shared:
            return NodeInfo(node_id, Address(host, 6881))


def full_bucket() -> tuple[Table, list[NodeInfo]]:
    """A table whose bucket 0 is full, in order of age, and cannot be split."""
    table = Table(OWN, NOW)
    nodes = [near(0, n) for n in range(DHT_K)]
    for n, info in enumerate(nodes):
        assert table.replied(info, NOW + n) is None
    table.replied(near(1, 0), NOW + 8)
    return table, nodes


def infos(table: Table) -> list[NodeInfo]:
    return [entry.info for entry in table.nodes()]


steps = st.lists(
    st.tuples(
        st.sampled_from(["replied", "heard", "failed", "failed"]),
        st.integers(0, 60),
        st.integers(0, 3),
        st.floats(0, 400),
    ),
    max_size=150,
)


@given(st.integers(0, 5), steps, st.binary(min_size=20, max_size=20))
def test_whatever_happens_the_table_keeps_its_rules(
    own: int, script: list[tuple[str, int, int, float]], target: bytes
) -> None:
    table, now = Table(make_id(Random(own)), NOW), NOW
    for verb, number_, other, passed in script:
        now += passed
        # Now and then a known name comes from another address, or a new one from a known.
        info = NodeInfo(node(number_ + (other == 3)).node_id, node(number_).address)
        wanted = table.has_place_for(info)
        knew = table.knows(info)
        getattr(table, verb)(info, now)
        assert table.knows(info) >= (verb == "replied" and wanted) or knew
        everybody = [*table.nodes(), *table.spares()]
        assert len({place_of(entry.info.address) for entry in everybody}) == len(everybody)
        assert len({entry.key for entry in everybody}) == len(everybody)
        assert len(table) <= DHT_K * table.bucket_count
        assert len(table.spares()) <= DHT_SPARES * table.bucket_count
        refresh = table.refresh_at()
        assert refresh is not None
        usable = [entry.info for entry in table.nodes() if not entry.bad]
        usable.sort(key=lambda known: number(known.node_id) ^ number(target))
        assert table.closest(target, 5) == usable[:5]


def test_only_buckets_near_to_us_are_split() -> None:
    table = Table(OWN, NOW)
    for n in range(400):
        table.replied(near(n % 6, n), NOW)
    shared = [common_bits(0, number(info.node_id)) for info in infos(table)]
    assert [shared.count(bits) for bits in range(6)] == [DHT_K] * 6
    assert table.bucket_count == 7


def test_who_comes_too_late_waits_and_the_silent_one_is_pinged_for_it() -> None:
    table, nodes = full_bucket()
    late = near(0, 50)
    assert table.has_place_for(late)
    assert table.replied(late, NOW + 10) is None  # all are good
    later = near(0, 51)
    assert table.replied(later, NOW + 3 + DHT_GOOD_SECONDS) == nodes[0]
    assert [entry.info for entry in table.spares()] == [late, later]
    table.failed(nodes[0], NOW + 1000)
    assert nodes[0] in infos(table)  # once more
    table.failed(nodes[0], NOW + 1000)
    assert nodes[0] not in infos(table)
    assert later in infos(table)


def test_a_spare_that_fails_is_forgotten_and_the_oldest_makes_room() -> None:
    table, _ = full_bucket()
    spares = [near(0, 50 + n) for n in range(DHT_SPARES + 1)]
    for info in spares[:-1]:
        table.replied(info, NOW)
    assert not table.has_place_for(spares[-1])
    table.replied(spares[-1], NOW)
    assert [entry.info for entry in table.spares()] == spares[1:]
    for _ in range(2):
        table.failed(spares[1], NOW)
    assert [entry.info for entry in table.spares()] == spares[2:]


def test_a_bad_node_stays_until_somebody_wants_its_place() -> None:
    table, nodes = full_bucket()
    for _ in range(2):
        table.failed(nodes[3], NOW)
    assert nodes[3] in infos(table)
    assert nodes[3] not in table.closest(nodes[3].node_id, 100)
    newcomer = near(0, 50)
    assert table.replied(newcomer, NOW) is None
    assert nodes[3] not in infos(table)
    assert newcomer in infos(table)


def test_a_bad_node_that_answers_is_good_again() -> None:
    table, nodes = full_bucket()
    for _ in range(5):
        table.failed(nodes[3], NOW)
    table.replied(nodes[3], NOW)
    assert nodes[3] in table.closest(nodes[3].node_id, 1, sure=True)


def test_who_missed_one_query_is_not_told_of_but_asked() -> None:
    table, nodes = full_bucket()
    table.failed(nodes[3], NOW)
    assert table.closest(nodes[3].node_id, 1) == [nodes[3]]
    assert nodes[3] not in table.closest(nodes[3].node_id, 100, sure=True)


def test_an_id_that_fits_its_address_takes_the_place_of_one_that_does_not() -> None:
    table = Table(OWN, NOW)
    misfits = [near(0, n, fitting=False) for n in range(DHT_K)]
    for info in [*misfits, near(1, 0)]:
        table.replied(info, NOW)
    other = near(0, 90, fitting=False)
    table.replied(other, NOW)
    assert [entry.info for entry in table.spares()] == [other]
    proper = near(0, 91)
    table.replied(proper, NOW)
    assert proper in infos(table)
    assert misfits[0] not in infos(table)


def test_a_known_name_from_elsewhere_is_not_believed_unless_the_known_one_is_bad() -> None:
    table, nodes = full_bucket()
    impostor = NodeInfo(nodes[0].node_id, Address("51.1.1.1", 1))
    table.replied(impostor, NOW)
    assert not table.has_place_for(impostor)
    assert nodes[0] in infos(table)
    for _ in range(2):
        table.failed(nodes[0], NOW)
    table.failed(impostor, NOW)
    table.replied(impostor, NOW)
    assert impostor in infos(table)
    assert nodes[0] not in infos(table)


def test_one_place_has_one_node_the_one_that_answered_last() -> None:
    table, nodes = full_bucket()
    again = NodeInfo(near(2, 0).node_id, nodes[0].address)
    assert not table.has_place_for(again)
    table.replied(again, NOW)
    assert again in infos(table)
    assert nodes[0] not in infos(table)
    neighbour = NodeInfo(node6(1).node_id, Address("2a00:1::99", 1))
    table.replied(node6(1), NOW)
    assert not table.has_place_for(neighbour)


def test_our_own_name_is_nobody_else() -> None:
    table = Table(OWN, NOW)
    ourselves = NodeInfo(OWN, Address("50.1.1.1", 1))
    assert not table.has_place_for(ourselves)
    table.replied(ourselves, NOW)
    assert len(table) == 0


def test_a_far_bucket_that_is_split_off_with_room_is_due_at_once_and_stays_so() -> None:
    table = Table(OWN, NOW)
    for n in range(DHT_K + 1):
        table.replied(near(1, n), NOW)
    table.replied(near(0, 0), NOW)
    target = table.take_stale(NOW, Random(1))
    assert target is not None
    assert common_bits(0, number(target)) == 0
    assert table.take_stale(NOW, Random(1)) is None


def test_a_bucket_that_is_unchanged_is_refreshed_by_an_id_of_its_own() -> None:
    table = Table(OWN, NOW)
    for n in range(60):
        table.replied(near(n // 15, n), NOW)
    assert table.take_stale(NOW + DHT_GOOD_SECONDS - 1, Random(1)) is None
    seen = []
    while (target := table.take_stale(NOW + DHT_GOOD_SECONDS, Random(1))) is not None:
        seen.append(common_bits(0, number(target)))
    assert seen[:3] == [0, 1, 2]
    assert seen[3] >= 3
    assert table.refresh_at() == NOW + 2 * DHT_GOOD_SECONDS


def test_hearing_from_a_node_keeps_it_good() -> None:
    table, nodes = full_bucket()
    late = NOW + 8 + DHT_GOOD_SECONDS
    for info in nodes[1:]:
        assert table.heard(info, late)
    assert not table.heard(near(0, 60), late)
    assert table.replied(near(0, 50), late) == nodes[0]
    table.heard(nodes[0], late)
    assert table.replied(near(0, 51), late) is None
