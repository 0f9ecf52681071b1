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
from transports.client import PeerUnreachable

HASH = bytes(20)
PEER = Address("::1", 6881)
BLOCK = BlockInfo(3, 16384, 16384)


@pytest.fixture
def narrator() -> Narrator:
    narrator = Narrator([PEER])
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


def notes(narrator: Narrator, *reports: object) -> list[str]:
    stories = [narrator.tell(report) for report in reports]
    return [story.note for story in stories if story is not None and story.note is not None]


def test_why_a_dial_failed_is_told_once_and_again_when_the_reason_changes() -> None:
    narrator = Narrator([PEER])
    refused = PeerUnreachable(PEER, "Connection refused")
    silent = PeerUnreachable(PEER, "no answer")
    assert narrator.tell(refused) == Story(
        "peer_unreachable",
        {"peer": "[::1]:6881", "reason": "Connection refused"},
        "cannot connect to [::1]:6881: Connection refused",
    )
    assert narrator.tell(refused) is None
    assert narrator.failure_of(PEER) == "Connection refused"
    other = PeerUnreachable(Address("::1", 1), "Connection refused")
    assert notes(narrator, silent, silent, refused, other) == [
        "cannot connect to [::1]:6881: no answer",
        "cannot connect to [::1]:6881: Connection refused",
        "cannot connect to [::1]:1: Connection refused",
    ]


def test_a_peer_that_was_reached_meanwhile_is_news_when_it_fails_again() -> None:
    narrator = Narrator([PEER])
    refused = PeerUnreachable(PEER, "Connection refused")
    ready = actions.LinkReady(HASH, "link", PEER, bytes(20))
    assert len(notes(narrator, refused, ready)) == 1
    assert narrator.failure_of(PEER) == ""
    assert len(notes(narrator, refused)) == 1


def test_a_named_peer_that_leaves_before_its_handshake_is_told_once() -> None:
    narrator = Narrator([PEER])
    lost = actions.LinkLost(HASH, "link", PEER, CloseReason.REMOTE_CLOSED, "")
    odd = actions.LinkLost(HASH, "link", PEER, CloseReason.WRONG_TORRENT, "it named 00")
    assert notes(narrator, lost, lost, odd) == [
        "[::1]:6881 closed the connection: it may not have this torrent",
        "[::1]:6881 asked for a torrent that is not here (it named 00)",
    ]


def test_a_stranger_that_leaves_before_its_handshake_is_nobodys_news() -> None:
    lost = actions.LinkLost(HASH, "link", PEER, CloseReason.REMOTE_CLOSED, "")
    assert notes(Narrator(), lost) == []


def test_a_disk_that_fails_for_every_piece_is_told_once_until_it_has_worked() -> None:
    narrator = Narrator()
    trouble = actions.StorageTrouble(HASH, StorageFault.DISK_FULL, "x", 1.0)
    worked = actions.PieceVerified(HASH, 1)
    full = "storage: no space left on the disk: x"
    assert notes(narrator, trouble, trouble, trouble) == [full]
    assert narrator.tell(trouble) == Story(
        "storage_trouble", {"message": "no space left on the disk: x"}
    )
    assert notes(narrator, worked, trouble, trouble) == [full]
