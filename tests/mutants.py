"""The faults that engines have shown, each as a patch of ours, and the test that kills it."""

from __future__ import annotations

from mutant_kit import Mutant

MUTANTS = (
    Mutant(
        "requests of a departed peer are not cleared",
        "lesson 22, scenario 1",
        "torrent_core.pieces.manager",
        "        void = self.clear_requests_for_peer(ordinal)\n        self.unclaim(requests)\n",
        "        void = []\n        self.unclaim(requests)\n",
        "test_torrent_download.py",
    ),
)
