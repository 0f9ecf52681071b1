"""Local peer discovery with an unmodified libtorrent, on the loopback interface alone."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager

import anyio
import pytest

from torrent_core.events import MulticastReceived, PeersFound
from torrent_core.lsd import GROUP_IPV4, Lsd, LsdConfig
from torrent_core.types import Address, PeerSource
from transport_kit import PATIENCE
from transports.udp.multicast import MulticastSockets, open_groups

libtorrent = pytest.importorskip("libtorrent")
pytestmark = pytest.mark.real

INFO_HASH = bytes(range(100, 120))
LOOPBACK = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
PORT = 6999


@asynccontextmanager
async def other_client():
    """A libtorrent that takes part in the torrent and announces on the local network."""
    session = libtorrent.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_lsd": True,
            "enable_dht": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "alert_mask": libtorrent.alert.category_t.all_categories,
        }
    )
    magnet = libtorrent.parse_magnet_uri(f"magnet:?xt=urn:btih:{INFO_HASH.hex()}")
    magnet.save_path = "/nowhere"
    session.add_torrent(magnet)
    try:
        yield session
    finally:
        session.pause()


async def message_of(session, what: str) -> str:
    """The text of the first alert of this kind; not each has a class in Python."""
    with anyio.fail_after(PATIENCE):
        while True:
            for alert in session.pop_alerts():
                if alert.what() == what:
                    return alert.message()
            await anyio.to_thread.run_sync(session.wait_for_alert, 100)


@pytest.mark.anyio
async def test_libtorrent_and_we_find_each_other():
    groups = open_groups([GROUP_IPV4])
    if not groups:
        pytest.skip("the port of local peer discovery cannot be shared here")
    machine = Lsd(PORT, b"ours", LsdConfig(groups=(GROUP_IPV4,)))
    sockets = MulticastSockets(groups, LOOPBACK)
    found: list[PeersFound] = []
    heard = anyio.Event()

    def feed(event: MulticastReceived) -> None:
        found.extend(machine.handle(event, anyio.current_time()))
        if found:
            heard.set()

    sockets.attach(feed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sockets.run)
        await anyio.wait_all_tasks_blocked()
        announcements = machine.add(INFO_HASH, anyio.current_time())
        async with other_client() as session:
            with anyio.fail_after(PATIENCE):
                await heard.wait()
            assert found[0] == PeersFound(
                INFO_HASH, PeerSource.LOCAL, (Address("127.0.0.1", session.listen_port()),)
            )
            for action in announcements:
                sockets.send(action)
            assert f"127.0.0.1:{PORT}" in await message_of(session, "lsd_peer")
        tasks.cancel_scope.cancel()
