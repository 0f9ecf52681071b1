"""When a session is asked for its deadline is of no consequence."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_kit import Party
from torrent_core import Session
from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.deadlines import Deadline
from torrent_core.limits import HANDSHAKE_TIMEOUT
from torrent_core.session import SessionConfig
from torrent_core.testing.line import Line
from torrent_core.types import Address, TorrentState
from world import BLOCK
from world_peers import Leech, Peer, Seed
from world_swarm import OURS


class Mute(Peer):
    """Takes the connection, and does not shake hands."""

    def opened(self, line: Line) -> None:
        pass


SCARCE = SessionConfig(max_links=3, max_half_open=1)
BYSTANDER = Address("192.0.2.1", 9)


@cache
def busy() -> Party:
    """Three torrents that take dials and links from each other, one of them removed."""
    party = Party(40 * BLOCK, 8 * BLOCK, 4 * BLOCK, config=SCARCE)
    party.add(0, 1, 2)
    party.black_holes.add(BYSTANDER)
    for which in (0, 1, 2):
        party.feed(ev.AddPeer(party.metas[which].info_hash, BYSTANDER))
        party.dialled(Seed, which, port=10 + which, rate=100_000)
    party.join(Leech, 0)
    party.finish(0, 1, 2)
    party.run(seconds=100)
    party.feed(ev.RemoveTorrent(party.metas[1].info_hash))
    party.run(seconds=5)
    return party


def replayed(asked: list[bool]) -> tuple[list[int], dict[int, Deadline | None]]:
    """How many actions each step has, and what the session said when it was asked."""
    session = Session(OURS, Random(1), SCARCE)
    counts, said = [], {}
    for at, step in enumerate(busy().trace):
        counts.append(len(session.handle(step.event, step.now)))
        if asked[at % len(asked)]:
            said[at] = session.next_deadline()
    return counts, said


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_what_a_session_says_does_not_depend_on_what_it_was_asked(asked: list[bool]) -> None:
    always, all_said = replayed([True])
    counts, said = replayed(asked)
    assert counts == always == [len(step.actions) for step in busy().trace]
    assert said == {at: all_said[at] for at in said}


def test_equal_deadlines_are_in_the_order_in_which_torrents_were_added() -> None:
    party = Party(4 * BLOCK, 4 * BLOCK, 4 * BLOCK)
    party.add(0, 1, 2)
    party.run(seconds=30)  # what they have saved by then is all there is to do
    assert party.session.next_deadline() is None
    for which in (2, 0, 1):
        party.dialled(Mute, which, port=10 + which)
    party.run(seconds=HANDSHAKE_TIMEOUT + 1)
    losses = [loss.torrent for loss in party.actions(act.LinkLost)]
    assert losses == [meta.info_hash for meta in party.metas]


@pytest.mark.parametrize("which", [0, 1])
def test_a_removed_torrent_leaves_no_deadline(which: int) -> None:
    party = Party(4 * BLOCK, 4 * BLOCK)
    party.add(0, 1)
    party.feed(ev.RemoveTorrent(party.metas[which].info_hash))
    party.run(seconds=1)
    assert party.state(which) is None
    assert party.state(1 - which) is TorrentState.DOWNLOADING
    party.feed(ev.RemoveTorrent(party.metas[1 - which].info_hash))
    party.run(seconds=1)
    assert party.session.next_deadline() is None
