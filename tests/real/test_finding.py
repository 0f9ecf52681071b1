"""Unmodified clients and we find each other: by trackers, and by a DHT on loopback."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import anyio
import anyio.to_thread
import attrs
import pytest

from torrent_core.limits import STRANGER_REDIAL_BASE
from torrent_core.metainfo import parse_torrent
from torrent_core.types import Address, PeerSource
from tracker_kit import RealTracker
from transports import Client, PeerDiscovery

from .debian_peers import ARIA2_GETTING, RECIPES, DebianSeeder
from .libtorrent_peer import LibtorrentPeer, LibtorrentProcess
from .payload import KIB, Payload, single_file

pytestmark = [pytest.mark.anyio, pytest.mark.real]

TRACKERS = PeerDiscovery(dht=False, lsd=False, pex=False)
LIMIT = STRANGER_REDIAL_BASE + 30.0
"""A peer whose first link breaks off is dialled once more within it."""

DHT_ON_LOOPBACK = {
    "enable_dht": True,
    "dht_bootstrap_nodes": "",
    # A whole network on one host, none of whose ids can fit its address (BEP 42).
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False,
    "dht_enforce_node_id": False,
    "dht_ignore_dark_internet": False,
}


def announced_at(payload: Payload, url: str) -> Payload:
    """The same payload with a torrent that names a tracker."""
    metainfo = parse_torrent(payload.torrent.read_bytes())
    payload.torrent.write_bytes(attrs.evolve(metainfo, trackers=((url,),)).encode())
    return payload


def url_of(tracker: RealTracker, how: str) -> str:
    return tracker.url() if how == "http" else tracker.udp_url


async def announced(tracker: RealTracker) -> None:
    """Somebody has announced himself."""
    await anyio.to_thread.run_sync(tracker.wait, bool)


async def downloaded(
    payload: Payload, into: Path, wanted: PeerDiscovery | None, magnet: str = ""
) -> set[PeerSource]:
    """Download it, by the magnet link if there is one, and say who told of peers."""
    async with Client(into, host="127.0.0.1", discovery=wanted) as client:
        torrent = await client.add(magnet or payload.torrent)
        with anyio.fail_after(LIMIT):
            await torrent.wait_complete()
        known = torrent.status.known
    for name, data in payload.files.items():
        assert (into / name).read_bytes() == data
    return {source for source, count in known.items() if count}


@pytest.mark.parametrize("how", ["http", "udp"])
async def test_we_find_libtorrent_at_a_tracker_though_the_first_datagram_is_lost(
    libtorrent: LibtorrentProcess, tmp_path: Path, how: str
) -> None:
    with RealTracker() as tracker:
        payload = announced_at(single_file(tmp_path, 512 * KIB, 64 * KIB), url_of(tracker, how))
        libtorrent.seeder(payload.torrent, payload.folder)
        await announced(tracker)
        tracker._drop = 1
        sources = await downloaded(payload, tmp_path / "got", TRACKERS)
    assert PeerSource.TRACKER in sources


@pytest.mark.parametrize("how", ["http", "udp"])
async def test_libtorrent_finds_us_at_a_tracker(
    libtorrent: LibtorrentProcess, tmp_path: Path, how: str
) -> None:
    with RealTracker() as tracker:
        payload = announced_at(single_file(tmp_path, 512 * KIB, 64 * KIB), url_of(tracker, how))
        async with Client(payload.folder, host="127.0.0.1", discovery=TRACKERS) as client:
            torrent = await client.add(payload.torrent)
            await torrent.wait_complete()
            await announced(tracker)
            leecher = libtorrent.leecher(payload.torrent, tmp_path / "theirs")
            await leecher.wait("progress", at_least=1.0)
        assert tracker.seen[-1].event == "stopped"


async def test_we_find_aria2_at_a_tracker(tmp_path: Path) -> None:
    recipe = RECIPES["aria2"]
    if recipe.missing:
        pytest.skip(recipe.missing)
    with RealTracker() as tracker:
        payload = announced_at(single_file(tmp_path, 512 * KIB, 64 * KIB), tracker.url())
        seeder = DebianSeeder(recipe, payload, tmp_path / "aria2")
        try:
            await announced(tracker)
            sources = await downloaded(payload, tmp_path / "got", TRACKERS)
        finally:
            seeder.stop()
    assert PeerSource.TRACKER in sources


@pytest.mark.parametrize("how", ["http", "udp"])
async def test_aria2_finds_us_at_a_tracker(tmp_path: Path, how: str) -> None:
    if ARIA2_GETTING.missing:
        pytest.skip(ARIA2_GETTING.missing)
    with RealTracker() as tracker:
        payload = announced_at(single_file(tmp_path, 512 * KIB, 64 * KIB), url_of(tracker, how))
        async with Client(payload.folder, host="127.0.0.1", discovery=TRACKERS) as client:
            torrent = await client.add(payload.torrent)
            await torrent.wait_complete()
            await announced(tracker)
            theirs = await anyio.to_thread.run_sync(
                DebianSeeder, ARIA2_GETTING, payload, tmp_path / "theirs"
            )
            theirs.stop()
    assert payload.differences(tmp_path / "theirs") == []


async def acquainted(libtorrent: LibtorrentProcess, tmp_path: Path) -> list[LibtorrentPeer]:
    """Nodes of a DHT, each with a torrent of its own."""
    nodes = []
    for number in range(4):
        folder = tmp_path / f"node{number}"
        folder.mkdir()
        own = single_file(folder, 64 * KIB, 32 * KIB)
        nodes.append(libtorrent.seeder(own.torrent, own.folder, **DHT_ON_LOOPBACK))
    for node in nodes:
        for other in nodes:
            if other is not node:
                await node.meet(other.host, other.port)
    for node in nodes:
        await node.wait("dht_nodes", at_least=2)
    return nodes


async def seed_in_dht(
    libtorrent: LibtorrentProcess, payload: Payload, tmp_path: Path
) -> PeerDiscovery:
    """A seed is announced in a DHT; returns the way into it, and no other."""
    nodes = await acquainted(libtorrent, tmp_path)
    seeder = libtorrent.seeder(payload.torrent, payload.folder, **DHT_ON_LOOPBACK)
    for node in nodes:
        await seeder.meet(node.host, node.port)
    await seeder.wait("dht_nodes", at_least=2)
    routers = tuple(Address(node.host, node.port) for node in nodes)
    return PeerDiscovery(trackers=False, lsd=False, pex=False, routers=routers)


async def test_we_find_a_seed_by_a_dht_of_libtorrent_sessions(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 512 * KIB, 64 * KIB)
    wanted = await seed_in_dht(libtorrent, payload, tmp_path)
    sources = await downloaded(payload, tmp_path / "got", wanted)
    assert PeerSource.DHT in sources


async def test_libtorrent_finds_us_by_a_dht_of_its_sessions(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    nodes = await acquainted(libtorrent, tmp_path)
    payload = single_file(tmp_path, 512 * KIB, 64 * KIB)
    routers = tuple(Address(node.host, node.port) for node in nodes)
    wanted = PeerDiscovery(trackers=False, lsd=False, pex=False, routers=routers)
    async with Client(payload.folder, host="127.0.0.1", discovery=wanted) as client:
        torrent = await client.add(payload.torrent)
        await torrent.wait_complete()
        # It may search before we have announced ourselves, and so has to search again.
        settings = {**DHT_ON_LOOPBACK, "dht_announce_interval": 1}
        leecher = libtorrent.leecher(payload.torrent, tmp_path / "theirs", **settings)
        for node in nodes:
            await leecher.meet(node.host, node.port)
        await leecher.wait("progress", at_least=1.0)
    assert payload.differences(tmp_path / "theirs") == []


# --- Magnet links -------------------------------------------------------------------------


def bare(payload: Payload) -> str:
    """A link that says nothing but what is wanted."""
    return f"magnet:?xt=urn:btih:{payload.info_hash.hex()}"


async def test_a_magnet_with_nothing_but_a_peer_is_downloaded_from_libtorrent(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 512 * KIB, 16 * KIB)
    seeder = libtorrent.seeder(payload.torrent, payload.folder)
    magnet = f"{bare(payload)}&x.pe={seeder.host}:{seeder.port}"
    sources = await downloaded(payload, tmp_path / "got", None, magnet)
    assert sources == {PeerSource.NAMED}


async def test_a_magnet_with_nothing_but_an_http_tracker_is_downloaded_from_libtorrent(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    with RealTracker() as tracker:
        url = tracker.url()
        payload = announced_at(single_file(tmp_path, 512 * KIB, 16 * KIB), url)
        libtorrent.seeder(payload.torrent, payload.folder)
        await announced(tracker)
        magnet = f"{bare(payload)}&tr={quote(url, safe='')}"
        sources = await downloaded(payload, tmp_path / "got", TRACKERS, magnet)
        told = [one.event for one in tracker.seen if one.info_hash == payload.info_hash]
    assert PeerSource.TRACKER in sources
    assert PeerSource.NAMED not in sources
    assert told[-3:] == ["started", "completed", "stopped"]


async def test_a_magnet_with_nothing_at_all_is_downloaded_by_a_dht_of_libtorrent_sessions(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 512 * KIB, 16 * KIB)
    wanted = await seed_in_dht(libtorrent, payload, tmp_path)
    sources = await downloaded(payload, tmp_path / "got", wanted, bare(payload))
    assert PeerSource.DHT in sources
    assert not sources & {PeerSource.NAMED, PeerSource.TRACKER}
