"""Reports told as events and notes."""

from __future__ import annotations

import pytest

from torrent_core import actions
from torrent_core.types import (
    Address,
    BlockInfo,
    CloseReason,
    Identity,
    ReleaseCause,
    StorageFault,
    TorrentState,
)
from transports.cli.narrator import Narrator, Story

HASH = bytes(20)
PEER = Address("::1", 6881)
BLOCK = BlockInfo(3, 16384, 16384)


@pytest.fixture
def narrator() -> Narrator:
    narrator = Narrator()
    story = narrator.tell(actions.LinkReady(HASH, "link", PEER, bytes(20)))
    assert story == Story("peer_connected", {"peer": "[::1]:6881"})
    return narrator


@pytest.mark.parametrize(
    ("report", "story"),
    [
        (
            actions.StateChanged(HASH, TorrentState.SEEDING),
            Story("state", {"new_state": "seeding"}),
        ),
        (
            actions.BlocksReleased(HASH, "link", ReleaseCause.CHOKED, (BLOCK,)),
            Story(
                "blocks_released",
                {
                    "peer": "[::1]:6881",
                    "blocks": [[3, 16384, 16384]],
                    "cause": "the peer choked us",
                },
            ),
        ),
        (
            actions.BlocksReassigned(HASH, "other", (BLOCK,)),
            Story("blocks_reassigned", {"peer": "?", "blocks": [[3, 16384, 16384]]}),
        ),
        (
            actions.PieceFailed(HASH, 3, ("link", "other")),
            Story(
                "piece_failed",
                {"piece": 3, "contributors": ["[::1]:6881", "?"]},
                "piece 3 did not match its hash (from [::1]:6881, ?)",
            ),
        ),
        (
            actions.PeerBanned(HASH, 7, Identity("::1", bytes(20))),
            Story(
                "peer_banned",
                {"peer": "::1", "piece": 7},
                "::1 is banned: it sent spoiled blocks of piece 7",
            ),
        ),
        (
            actions.DataWasted(HASH, "link", "late", 5),
            Story("waste", {"peer": "[::1]:6881", "why": "late", "bytes": 5}),
        ),
        (
            actions.StorageTrouble(HASH, StorageFault.OTHER, "x: input/output error", 1.0),
            Story(
                "storage_trouble",
                {"message": "the storage failed: x: input/output error"},
                "storage: the storage failed: x: input/output error",
            ),
        ),
        (
            actions.StorageTrouble(HASH, StorageFault.MISSING, "", 1.0),
            Story(
                "storage_trouble",
                {"message": "a file is missing or shorter than expected"},
                "storage: a file is missing or shorter than expected",
            ),
        ),
        (
            actions.Warned(HASH, "resume data ignored"),
            Story("warning", {"message": "resume data ignored"}, "warning: resume data ignored"),
        ),
        (actions.PieceVerified(HASH, 1), None),
        (actions.TorrentCompleted(HASH), None),
    ],
)
def test_each_report_has_its_story(
    narrator: Narrator, report: actions.Report, story: Story | None
) -> None:
    assert narrator.tell(report) == story


def test_a_lost_peer_is_told_with_its_reason_and_forgotten(narrator: Narrator) -> None:
    lost = actions.LinkLost(HASH, "link", PEER, CloseReason.IDLE_TIMEOUT, "150 s")
    assert narrator.tell(lost) == Story(
        "peer_lost",
        {"peer": "[::1]:6881", "reason": "was silent for too long", "detail": "150 s"},
    )
    assert narrator.peer("link") == "?"


def test_blocks_released_after_the_loss_still_name_the_peer_if_told_before_it(
    narrator: Narrator,
) -> None:
    released = actions.BlocksReleased(HASH, "link", ReleaseCause.DISCONNECTED, (BLOCK,))
    story = narrator.tell(released)
    assert story is not None
    assert story.fields["peer"] == "[::1]:6881"
