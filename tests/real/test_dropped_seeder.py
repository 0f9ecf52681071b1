"""Two slow seeders, one goes: what it was asked for is asked of the other, at once."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from torrent_core import PeerStatus, actions, events
from torrent_core.types import ReleaseCause
from transports import Client, TorrentHandle

from .libtorrent_peer import LibtorrentProcess
from .payload import KIB, MIB, single_file
from .recording import Recorder

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LIMIT = 60
LEAVES, STAYS = "127.0.1.1", "127.0.2.1"
RATE = 512 * KIB


class Watch:
    """Knows, between any two steps, whether the peer that stays could take more requests."""

    def __init__(self, recorder: Recorder, torrent: TorrentHandle) -> None:
        self._recorder = recorder
        self._torrent = torrent

    def _is_the_moment(self) -> bool:
        rows: dict[str, PeerStatus] = {peer.address.host: peer for peer in self._torrent.peers}
        if len(rows) < 2 or not 0.2 < self._torrent.status.progress < 0.6:
            return False
        return rows[LEAVES].outstanding >= 2 and rows[STAYS].outstanding < rows[STAYS].depth

    async def moment(self) -> None:
        """Return in mid-transfer, with requests at one peer and room at the other."""
        while not self._is_the_moment():
            await self._recorder.next_step()


async def test_a_dropped_seeders_requests_go_to_the_other_in_the_same_step(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 4 * MIB, 256 * KIB)
    leaves, stays = (
        libtorrent.seeder(payload.torrent, payload.folder, host=host, upload_limit=RATE)
        for host in (LEAVES, STAYS)
    )
    async with Client(
        download_dir=tmp_path / "got", host="127.0.0.1", discovery=None, port=0
    ) as client:
        recorder = Recorder(client)
        torrent = await client.add(payload.torrent)
        watch = Watch(recorder, torrent)
        torrent.add_peer(leaves.host, leaves.port)
        torrent.add_peer(stays.host, stays.port)
        with anyio.fail_after(LIMIT):
            await watch.moment()
            torrent.drop_peer(leaves.host, leaves.port)
            await torrent.wait_complete()
        gone, other = recorder.link_of(LEAVES), recorder.link_of(STAYS)
        (step,) = [step for step in recorder.steps if isinstance(step.event, events.DropPeer)]
        (released,) = step.of_type(actions.BlocksReleased)
        assert (released.link, released.cause) == (gone, ReleaseCause.DISCONNECTED)
        assert len(released.blocks) >= 2
        moved = [block for r in step.of_type(actions.BlocksReassigned) for block in r.blocks]
        assert {r.link for r in step.of_type(actions.BlocksReassigned)} == {other}
        assert set(moved) <= set(released.blocks)
        assert set(moved) <= step.asked_of(other)
    assert payload.differences(tmp_path / "got") == []


async def test_a_killed_seeders_requests_are_all_asked_of_the_other(
    libtorrent: LibtorrentProcess, tmp_path: Path
) -> None:
    payload = single_file(tmp_path, 4 * MIB, 256 * KIB)
    stays = libtorrent.seeder(payload.torrent, payload.folder, host=STAYS, upload_limit=RATE)
    doomed = LibtorrentProcess()
    try:
        leaves = doomed.seeder(payload.torrent, payload.folder, host=LEAVES, upload_limit=RATE)
        async with Client(
            download_dir=tmp_path / "got", host="127.0.0.1", discovery=None, port=0
        ) as client:
            recorder = Recorder(client)
            torrent = await client.add(payload.torrent)
            torrent.add_peer(leaves.host, leaves.port)
            torrent.add_peer(stays.host, stays.port)
            with anyio.fail_after(LIMIT):
                await leaves.wait("uploaded", at_least=512 * KIB)
                await stays.wait("uploaded", at_least=512 * KIB)
                doomed.kill()
                await torrent.wait_complete()
            _all_asked_again(recorder)
    finally:
        doomed.stop()
    assert payload.differences(tmp_path / "got") == []


def _all_asked_again(recorder: Recorder) -> None:
    gone, other = recorder.link_of(LEAVES), recorder.link_of(STAYS)
    (at,) = [
        at
        for at, step in enumerate(recorder.steps)
        if isinstance(step.event, events.LinkClosed) and step.event.link == gone
    ]
    (released,) = recorder.steps[at].of_type(actions.BlocksReleased)
    assert released.cause is ReleaseCause.DISCONNECTED
    assert released.blocks
    later = set().union(*(step.asked_of(other) for step in recorder.steps[at:]))
    assert set(released.blocks) <= later
