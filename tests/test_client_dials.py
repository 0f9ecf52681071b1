"""Why dials came to nothing, and what a handle explains."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import pytest

from torrent_core.actions import CancelDial, Dial
from torrent_core.events import DialFailed, Event, LinkOpened, Tick
from torrent_core.types import Address
from transport_kit import PATIENCE, NoNetwork, nowhere
from transports import Client, PeerUnreachable, TorrentGone
from transports.client.dials import DialWatch
from world import BLOCK, make_torrent


@pytest.mark.anyio
async def test_why_a_dial_failed_is_told_to_those_who_listen(tmp_path: Path) -> None:
    meta, _ = make_torrent(8 * BLOCK)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with Client(tmp_path, host="127.0.0.1", discovery=None) as client:
        reports = client.events()
        handle = await client.add(meta)
        handle.add_peer("127.0.0.1", port)
        with anyio.fail_after(PATIENCE):
            async for report in reports:
                if isinstance(report, PeerUnreachable):
                    break
        assert report == PeerUnreachable(Address("127.0.0.1", port), "Connection refused")
        explanation = handle.explain()
        assert explanation.scheduled[0][1] == f"dial 127.0.0.1:{port}"
        assert "no connected peer has" in str(explanation)
        await handle.remove()
        with pytest.raises(TorrentGone):
            handle.explain()


def test_a_dial_that_was_given_up_had_no_answer() -> None:
    network = NoNetwork()
    told: list[PeerUnreachable] = []
    fed: list[Event] = []
    watch = DialWatch(network, told.append)
    watch.attach(fed.append, nowhere)
    peer = Address("192.0.2.1", 1)
    for dial_id in (1, 2, 3):
        watch.dial(Dial(dial_id, peer))
    watch.cancel_dial(CancelDial(1))
    network.feed(DialFailed(1, "cancelled"))
    network.feed(DialFailed(2, "Connection refused"))
    network.feed(LinkOpened("link", peer, 3))
    watch.cancel_dial(CancelDial(3))
    network.feed(LinkOpened("other", peer))
    network.feed(Tick())
    assert told == [PeerUnreachable(peer, "no answer"), PeerUnreachable(peer, "Connection refused")]
    assert [type(event) for event in fed] == [DialFailed, DialFailed, LinkOpened, LinkOpened, Tick]
    assert network.asked == [*(Dial(n, peer) for n in (1, 2, 3)), CancelDial(1), CancelDial(3)]
