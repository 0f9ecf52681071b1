"""Any order of connects, chokes, timeouts, lies and disk failures: no stall, and it completes.

    class MyMachine(StallMachine):
        def make_torrent(self, setup, random):
            return MyTorrent(setup.metainfo, peer_id=setup.peer_id, random=random)

    TestMyMachine = MyMachine.TestCase          # pytest and unittest find it

Needs hypothesis: ``pip install 'torrent-core[testing]'``.  A long run is a command:

    python -m torrent_core.testing.stall_run --examples 20000 --machine my_tests:MyMachine
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import attrs
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from hypothesis.stateful import initialize

from .. import actions as act
from ..torrent import Torrent, TorrentConfig
from ..trace import TorrentSetup
from ..types import CloseReason, RandomSource, TorrentState
from .payload import BLOCK
from .peers import Honest
from .promises import expect
from .stall_rules import StallRules, number
from .torrent_world import TorrentWorld

_HONEST_RATE = 1_000_000
"""Bytes a second of the honest seed."""


class StallMachine(StallRules):
    """Rules are what peers, disk, clock and user do to one real torrent on virtual time.

    The accounts are asserted after every event.  At the end an honest seed comes, failures
    end, and the download must complete, whatever state it was left in.

    Subclass it to put in a machine, a policy or a configuration of your own, and rules or
    invariants besides.  A failing example is printed as the list of its rules with their
    arguments, and the timeline of its last steps; ``trace_file`` keeps it for
    ``torrent-core replay``.
    """

    files: ClassVar[tuple[int, ...]] = (4 * BLOCK + 100, 0, 5 * BLOCK, 6 * BLOCK + 7)
    """Bytes of each file."""
    piece_length: ClassVar[int] = 3 * BLOCK
    memories: ClassVar[tuple[int, ...]] = (
        3 * BLOCK,
        9 * BLOCK,
        12 * BLOCK,
        15 * BLOCK,
        300 * BLOCK,
    )
    """Bytes of piece buffers allowed: each example has one of these."""
    config: ClassVar[TorrentConfig] = TorrentConfig()
    """All of the configuration but the memory."""
    ends_within: ClassVar[float] = 1200.0
    """Seconds in which an honest seed must bring the rest."""
    trace_file: ClassVar[str | None] = None
    """Where to write the trace of an example that failed: hypothesis shrinks what fails, and
    runs the smallest last."""

    # --- What a subclass may change ------------------------------------------------------

    def make_torrent(self, setup: TorrentSetup, random: RandomSource) -> Torrent:
        """The machine under test."""
        return setup.build(random)

    def completed(self) -> None:
        """The download is complete: see what else should hold."""

    # --- From the beginning to the end ---------------------------------------------------

    @initialize(memory=number, seed=st.integers(0, 1000))
    def begin(self, memory: int, seed: int) -> None:
        """A torrent that has just been started, with nothing on its disk."""
        size = self.memories[memory % len(self.memories)]
        active = attrs.evolve(self.config.active, max_buffered_bytes=size)
        self.puppets = []
        self.swarm = TorrentWorld(
            sum(self.files),
            self.piece_length,
            files=self.files,
            config=attrs.evolve(self.config, active=active),
            build=self.make_torrent,
            record=True,
            seed=seed,
        )
        self.swarm.disk.manual = True  # from now on it does what rules say

    def save_trace(self) -> bytes:
        """The run so far as ``torrent-core replay`` takes it; what comes later is not in it.

        A machine of your own (``make_torrent``) is replayed as the plain one, and diverges
        where the two differ.
        """
        return self.swarm.save_trace()

    def teardown(self) -> None:
        """Complete the download, or keep the trace of what failed."""
        if not hasattr(self, "swarm"):
            return
        error: BaseException | None = sys.exception()
        try:
            if error is None:
                self.complete()
        except Exception as failure:
            error = failure
            raise
        finally:
            if isinstance(error, Exception) and not isinstance(error, HypothesisException):
                self._keep_trace()

    def _keep_trace(self) -> None:
        if self.trace_file is not None:
            Path(self.trace_file).write_bytes(self.save_trace())

    def complete(self) -> None:
        """An honest seed comes and failures end: the rest must come, and be right."""
        swarm, disk = self.swarm, self.swarm.disk
        disk.manual = False
        while disk.pending:
            swarm.answer(disk)
        swarm.settle()
        if swarm.torrent.state is TorrentState.STOPPED:
            swarm.start(disk.resume)
        line = swarm.connect(swarm.make(Honest, rate=_HONEST_RATE))
        swarm.finish(self.ends_within)
        for close in swarm.actions(act.Close):
            fair = close.link != line.name or close.reason is CloseReason.BOTH_SEEDS
            expect(fair, "the honest seed was closed, since it {}", close.reason.value)
        self.completed()
