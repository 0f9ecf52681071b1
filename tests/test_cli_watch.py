"""Being without a supplier."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import test_cli_render
from torrent_core.types import Address, TorrentState
from transports.cli.failures import CommandFailed
from transports.cli.watch import SupplyWatch, require_supplier

ADDRESS = Address("127.0.0.1", 1)


@attrs.frozen
class Status(test_cli_render.Status):
    state: TorrentState = TorrentState.DOWNLOADING


@attrs.frozen
class Peer(test_cli_render.Peer):
    outstanding: int = 0
    snubbed: bool = False
    address: Address = ADDRESS


BUSY = Peer(peer_choking=False, outstanding=4)


def test_without_peers_the_idle_time_runs_from_the_start() -> None:
    watch = SupplyWatch(10.0)
    assert watch.idle(10.0, Status(), []) == 0.0
    assert watch.idle(15.0, Status(), []) == 5.0
    assert watch.idle(20.0, Status(), [Peer()]) == 10.0


def test_payload_resets_the_idle_time() -> None:
    watch = SupplyWatch(0.0)
    assert watch.idle(5.0, Status(downloaded=1), []) == 0.0
    assert watch.idle(8.0, Status(downloaded=1), []) == 3.0


def test_a_piece_found_while_checking_is_not_idleness() -> None:
    watch = SupplyWatch(0.0)
    assert watch.idle(50.0, Status(state=TorrentState.CHECKING), []) == 0.0
    assert watch.idle(60.0, Status(pieces_have=1), []) == 0.0


def test_a_link_that_owes_us_blocks_is_a_supplier() -> None:
    watch = SupplyWatch(0.0)
    assert watch.idle(5.0, Status(), []) == 5.0
    assert watch.idle(6.0, Status(), [Peer(), BUSY]) == 0.0
    assert watch.idle(9.0, Status(), [Peer()]) == 3.0


def test_a_link_that_fell_silent_over_what_it_owes_is_none() -> None:
    watch = SupplyWatch(0.0)
    assert watch.idle(5.0, Status(), [attrs.evolve(BUSY, snubbed=True)]) == 5.0


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.booleans())))
def test_idle_time_is_never_negative_and_never_longer_than_the_watch(
    steps: list[tuple[float, bool, bool]],
) -> None:
    watch = SupplyWatch(0.0)
    now, downloaded = 0.0, 0
    for gap, owed, delivered in steps:
        now += gap
        downloaded += delivered
        idle = watch.idle(now, Status(downloaded=downloaded), [BUSY] if owed else [])
        assert 0.0 <= idle <= now
        assert idle == 0.0 or not delivered


@attrs.define
class FakeTorrent:
    status: Status
    peers: list[Peer]


@pytest.mark.anyio
async def test_the_wait_ends_with_the_account_of_what_was_waited_for() -> None:
    torrent = FakeTorrent(Status(), [Peer()])
    named = [("127.0.0.1", 1), ("::1", 2)]
    with pytest.raises(CommandFailed) as caught:
        await require_supplier(torrent, 0.01, named)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "no supplier for 0.01 s; waiting for an unchoke by 1 peer; a connection to [::1]:2"
    )
