"""What the explorer looks for: machines that are broken on purpose, and worlds that are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import attrs
import pytest

from torrent_core.accounts import Account, Explanation
from torrent_core.actions import HashBlocks, HashPiece, ReadBlocks, Warned
from torrent_core.deadlines import Deadline
from torrent_core.events import PieceHashed
from torrent_core.pieces import ActivePiece, ActivePieceManager
from torrent_core.pieces.asking import Asking
from torrent_core.testing.explore import (
    Bounds,
    Choice,
    Explorer,
    Path,
    Setting,
    Violation,
    What,
    World,
    choices,
    complete,
    take,
    world_after,
)
from torrent_core.testing.explore.checks import check_same
from torrent_core.testing.explore.disk import Disk, payload
from torrent_core.testing.explore.setting import WRONG_DIGEST, block_digest, right_digest
from torrent_core.torrent import Torrent
from torrent_core.torrent.blaming import Blaming
from torrent_core.torrent.finishing import Finishing
from torrent_core.types import BlockInfo, CloseReason, Span

ASKED = (Choice(What.OPEN, 0), Choice(What.UNCHOKE, 0))
BOTH = (*ASKED, Choice(What.OPEN, 1), Choice(What.UNCHOKE, 1))
Patch = Callable[[pytest.MonkeyPatch], None]


def violation(begin: Path, depth: int, **options: Any) -> str:
    with pytest.raises(Violation) as caught:
        Explorer(depth=depth, begin=[begin], **options).run()
    return str(caught.value)


# --- Machines that are broken ----------------------------------------------------------------


def test_requests_of_a_departed_peer_that_stay_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActivePieceManager, "clear_requests_for_peer", lambda self, ordinal: [])
    assert "peer 0 disconnects" in violation(BOTH, 1)


def test_released_blocks_that_nobody_is_offered_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Asking, "touch_hungry", lambda self: None)
    found = violation(BOTH, 2)
    assert "stranded" in found or "not complete" in found


def test_a_deadline_that_comes_too_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Torrent.next_deadline

    def late(self: Torrent) -> Deadline | None:
        due = true(self)
        return None if due is None else Deadline(due.when + 5.0, due.why)

    monkeypatch.setattr(Torrent, "next_deadline", late)
    assert "is named, but the next call is owed" in violation(ASKED, 0)


def test_no_deadline_at_all_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Torrent, "next_deadline", lambda self: None)
    assert "is named, but the next call is owed: None" in violation(ASKED, 0)


def test_without_a_deadline_a_tick_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_after(Setting(), ASKED)
    monkeypatch.setattr(Torrent, "next_deadline", lambda self: None)
    world.tick()
    assert world.now == 0.0


def test_a_tick_that_leaves_something_due_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Torrent, "_tick", lambda self, event: None)
    assert "behind" in violation(ASKED, 1)


def test_a_block_on_no_account_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Torrent.explain

    def forgetful(self: Torrent, now: float) -> Explanation:
        report = true(self, now)
        kept = [entry for entry in report.entries if entry.account is not Account.REQUESTED]
        return attrs.evolve(report, entries=tuple(kept))

    monkeypatch.setattr(Torrent, "explain", forgetful)
    assert "4 blocks are missing; accounted for: 2 blocks" in violation(ASKED, 0)


def test_a_piece_that_is_ours_before_it_is_written_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Finishing, "_write", Finishing._done)
    setting = Setting(links=1, pieces=1, blocks=1)
    begin = (*ASKED, Choice(What.ANSWER, 0), Choice(What.STORAGE, 0))
    assert "is not on the disk" in violation(begin, 0, setting=setting)


def test_a_run_that_cannot_be_repeated_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true, calls = Torrent._tick, count()

    def moody(self: Torrent, event: Any) -> None:
        true(self, event)
        self._context.actions.append(Warned(self.info_hash, f"this is call {next(calls)}"))

    monkeypatch.setattr(Torrent, "_tick", moody)
    assert "is not repeatable" in violation(ASKED, 1)


def test_deadlines_that_differ_between_equal_runs_are_found() -> None:
    one, other = world_after(Setting(), ASKED), world_after(Setting(), ASKED)
    other.torrent._context.timers.set(("HAVEs are due", 0), 1.0)
    with pytest.raises(Violation, match="unequal deadlines"):
        check_same(one, other)


def test_a_silent_peer_that_keeps_its_blocks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is never given up is on an account for ever, and the download never ends."""
    monkeypatch.setattr(ActivePieceManager, "check_timeouts", lambda self, now: [])
    monkeypatch.setattr(ActivePieceManager, "next_timeout", lambda self: None)
    monkeypatch.setattr("torrent_core.testing.explore.explorer.check_state", lambda world: None)
    monkeypatch.setattr("torrent_core.testing.explore.completion.check_state", lambda world: None)
    begin = (*ASKED, Choice(What.CORRUPT, 0), *BOTH[2:])
    assert "not complete" in violation(begin, 0)


def test_an_honest_peer_that_is_sent_away_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_after(Setting(), ASKED)

    def unjust(self: Blaming, piece: ActivePiece) -> None:
        for ordinal in piece.get_contributing_peers():
            self._close(self._links.live(ordinal), CloseReason.CORRUPT_DATA, "for nothing")

    monkeypatch.setattr(Blaming, "verified", unjust)
    with pytest.raises(Violation, match="the honest peer is sent away"):
        complete(world, Bounds(100, 100.0))


# --- Worlds in which the machine asks for what it must not ------------------------------------


def test_a_peer_that_is_asked_while_it_chokes_is_a_violation() -> None:
    world = world_after(Setting(), ASKED)
    peer = world.peers[0]
    peer.choking = True
    with pytest.raises(Violation, match="does not offer"):
        peer.hear(request(0))
    peer.choking = False
    peer.has = 0b10
    with pytest.raises(Violation, match="does not offer"):
        peer.hear(request(0))


def test_a_peer_that_is_asked_twice_is_a_violation() -> None:
    peer = world_after(Setting(), ASKED).peers[0]
    assert BlockInfo(0, 0, 16384) in peer.asked
    with pytest.raises(Violation, match="twice"):
        peer.hear(request(0))


def test_a_late_answer_settles_the_request_that_was_sent_since() -> None:
    """On the wire nobody can tell which of the two it is for; another answer may still come."""
    snubbed = (*ASKED, Choice(What.TICK))
    world = world_after(Setting(), snubbed)
    peer, first = world.peers[0], BlockInfo(0, 0, 16384)
    assert first in peer.asked
    assert peer.owed[0] == first
    take(world, Choice(What.LATE, 0))
    assert first not in peer.asked
    assert peer.owed[0] == first
    take(world, Choice(What.LATE, 0))
    assert first not in peer.owed


def request(piece: int) -> bytes:
    return bytes([0, 0, 0, 13, 6]) + b"".join(
        number.to_bytes(4, "big") for number in (piece, 0, 16384)
    )


# --- The storage ---------------------------------------------------------------------------------


def test_a_piece_is_hashed_from_the_file_where_no_data_comes_along() -> None:
    setting = Setting()
    disk, name = Disk(setting), setting.metainfo.info_hash
    disk.marks[:2] = b"\1\1"
    for piece, digest in ((0, right_digest(0)), (1, WRONG_DIGEST)):
        spans = (Span(0, piece * 32768, 32768),)
        disk.pending.append(HashPiece(name, 7, piece, None, spans, (1,)))
        mark = disk.marks[2 * piece + 1]
        assert disk.answer(0) == PieceHashed(name, 7, digest, (block_digest(mark),))


def test_a_digest_of_a_block_says_whether_it_is_good_and_nothing_else() -> None:
    setting = Setting()
    disk, name = Disk(setting), setting.metainfo.info_hash
    marks = (b"\1", b"\0", b"\1")
    chunks = tuple(
        (BlockInfo(0, number * 16384, 16384), memoryview(mark + bytes(16383)))
        for number, mark in enumerate(marks)
    )
    disk.pending.append(HashBlocks(name, 7, 0, chunks))
    assert payload(disk.pending[0]) == b"\1\0\1"
    first, second, third = disk.answer(0).digests
    assert first == third != second
    assert len(first) == len(second) == 20


def test_a_job_that_the_explorer_cannot_answer_is_named() -> None:
    disk = Disk(Setting())
    disk.pending.append(ReadBlocks(b"", 7, 0, ()))
    with pytest.raises(TypeError, match="ReadBlocks"):
        disk.answer(0)


# --- Choices -------------------------------------------------------------------------------------


def kinds(world: World) -> set[What]:
    return {choice.what for choice in choices(world)}


def after(*names: tuple[What, int]) -> World:
    return world_after(Setting(), tuple(Choice(*name) for name in names))


def test_what_peers_may_do_depends_on_what_they_were_asked() -> None:
    assert kinds(after()) == {What.OPEN, What.OPEN_EMPTY, What.WAIT, What.TICK}
    idle = kinds(after((What.OPEN_EMPTY, 0)))
    assert {What.HAVE, What.UNCHOKE, What.LEAVE, What.TICK} <= idle
    assert not {What.ANSWER, What.LATE, What.CHOKE} & idle
    asked = kinds(after((What.OPEN, 0), (What.UNCHOKE, 0)))
    assert {What.ANSWER, What.ANSWER_NEWEST, What.CORRUPT, What.CORRUPT_NEWEST} <= asked
    assert {What.REJECT, What.CHOKE} <= asked
    assert not {What.HAVE, What.UNCHOKE, What.LATE, What.REJECT_LATE} & asked
    late = kinds(after((What.OPEN, 0), (What.UNCHOKE, 0), (What.TICK, 0)))
    assert {What.LATE, What.REJECT_LATE} <= late


def test_a_peer_without_the_fast_extension_rejects_nothing() -> None:
    asked = (What.OPEN, 1), (What.UNCHOKE, 1)
    assert What.REJECT not in kinds(after(*asked))
    crossing = kinds(after(*asked, (What.CHOKE, 1)))
    assert What.LATE in crossing
    assert not {What.REJECT_LATE, What.ANSWER} & crossing


def test_faults_are_counted() -> None:
    spoilt = after((What.OPEN, 0), (What.UNCHOKE, 0), (What.CORRUPT, 0))
    assert not {What.CORRUPT, What.CORRUPT_NEWEST} & kinds(spoilt)
    take(spoilt, Choice(What.ANSWER, 0))
    assert {What.STORAGE, What.STORAGE_FAILS} <= kinds(spoilt)
    take(spoilt, Choice(What.STORAGE_FAILS, 0))
    assert What.STORAGE_FAILS not in kinds(spoilt)
    take(spoilt, Choice(What.WAIT, 0))
    assert What.WAIT not in kinds(spoilt)
    assert spoilt.now == 45.0


def test_a_peer_comes_back_as_often_as_it_may() -> None:
    flaps = [(What.OPEN, 0), (What.LEAVE, 0)]
    assert Choice(What.OPEN, 0) in choices(after(*flaps))
    assert Choice(What.OPEN, 0) not in choices(after(*flaps, *flaps))


def test_a_run_is_readable() -> None:
    told = [
        (Choice(What.HAVE, 1, 0), "peer 1 gains piece 0"),
        (Choice(What.TICK), "the deadline comes"),
        (Choice(What.STORAGE_FAILS, 2), "the storage fails job 2"),
        (Choice(What.REJECT_LATE), "peer 0 rejects the oldest request that was withdrawn"),
    ]
    assert [str(choice) for choice, _ in told] == [text for _, text in told]
