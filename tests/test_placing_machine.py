"""Bytes that are placed and bytes that are received: the same, whatever peers do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from placing_kit import PlacedTwin
from torrent_core.peer import framing
from torrent_core.pieces import expected
from torrent_core.testing.payload import BLOCK
from torrent_core.testing.stall_machine import StallMachine
from torrent_core.testing.stall_rules import number
from torrent_core.torrent import Torrent
from torrent_core.trace import TorrentSetup
from torrent_core.types import RandomSource
from torrent_core.wire import messages as wire

INTERRUPTIONS = (b"", wire.encode(wire.KeepAlive()), wire.encode(wire.Have(0)), bytes(13))
"""What else may be said between two blocks.  The last is as long as the header of one: three
keep-alives, and the beginning of what comes next."""

answers = {
    "which": number,
    "count": st.integers(1, 24),
    "swap": st.none() | number,
    "at": number,
    "said": st.sampled_from(INTERRUPTIONS),
    "cut": st.none() | number,
}


class PlacingMachine(StallMachine):
    """Everything that can happen to a torrent, with a twin beside it."""

    files = (9 * BLOCK + 100, 0, 8 * BLOCK, 14 * BLOCK + 7)
    piece_length = 6 * BLOCK

    def make_torrent(self, setup: TorrentSetup, random: RandomSource) -> Torrent:
        return PlacedTwin(
            setup.metainfo,
            peer_id=setup.peer_id,
            random=random,
            config=setup.config,
            priorities=setup.priorities,
        )

    @rule(**answers)
    def deliver_together(
        self, which: int, count: int, swap: int | None, at: int, said: bytes, cut: int | None
    ) -> None:
        """A peer answers its oldest requests in one input, one of them perhaps after the others;
        it may say something in between, and end within a block."""
        puppet = self.puppet(which)
        if puppet is None or not puppet.asked:
            return
        blocks = list(puppet.asked)[:count]
        if swap is not None:
            blocks.append(blocks.pop(swap % len(blocks)))
        parts = [
            wire.encode(wire.Piece(block.piece, block.begin, puppet.block(block)))
            for block in blocks
        ]
        for block in blocks:
            del puppet.asked[block]
        cut = len(parts[-1]) if cut is None else cut % len(parts[-1])
        tail, parts[-1] = parts[-1][cut:], parts[-1][:cut]
        parts.insert(at % len(parts), said)
        puppet.sent += blocks[:-1]
        puppet.say_bytes(b"".join(parts))
        if tail:
            puppet.tail, puppet.tail_of = tail, blocks[-1]
        self.settle()


TestPlacing = PlacingMachine.TestCase


@settings(max_examples=40)
@given(
    links=st.integers(1, 3),
    seed=st.integers(0, 99),
    inputs=st.lists(st.fixed_dictionaries(answers), min_size=5, max_size=40),
)
def test_long_inputs(links: int, seed: int, inputs: list[dict[str, Any]]) -> None:
    machine = PlacingMachine()
    machine.begin(memory=4, seed=seed)
    machine.swarm.disk.manual = False
    for _ in range(links):
        machine.connect(have=None, fast=True, cancels=True, unchoke=True)
    for each in inputs:
        machine.deliver_together(**each)
    machine.teardown()


@pytest.fixture(autouse=True, scope="module")
def every_run() -> Any:
    """Places also for what is not worth it: pieces are short here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expected, "MIN_PLACED_BLOCKS", 1)
        patch.setattr(framing, "_LONG", 0)
        yield
