"""Nodes of the DHT that a client keeps are its way in the next time."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from test_client_magnet import Shared, complete
from torrent_core.types import Address
from transport_kit import PATIENCE
from transports.client.client import Client
from transports.client.discovery import PeerDiscovery
from transports.client.finding import NODES_NAME

pytestmark = pytest.mark.anyio


def in_the_dht(folder: Path, *routers: Address, state_dir: Path | None = None) -> Client:
    """A client that has nothing but the DHT, and these ways into it."""
    only = PeerDiscovery(trackers=False, lsd=False, pex=False, routers=routers)
    return Client(folder, host="127.0.0.1", discovery=only, state_dir=state_dir)


async def test_a_client_that_is_opened_again_enters_the_dht_by_the_nodes_it_kept(
    tmp_path: Path,
) -> None:
    shared, state = Shared(tmp_path / "seed"), tmp_path / "state"
    async with in_the_dht(shared.folder) as seeder:
        await complete(await seeder.add(shared.metainfo))
        router = Address("127.0.0.1", seeder.session.config.torrent.dht_port or 0)
        async with in_the_dht(tmp_path / "first", router, state_dir=state) as first:
            with anyio.fail_after(2 * PATIENCE):
                await (await first.add(shared.metainfo)).wait_complete()
        assert (state / NODES_NAME).exists()
        async with in_the_dht(tmp_path / "second", state_dir=state) as second:
            with anyio.fail_after(2 * PATIENCE):
                await (await second.add(shared.metainfo)).wait_complete()
    assert shared.is_in(tmp_path / "second")
