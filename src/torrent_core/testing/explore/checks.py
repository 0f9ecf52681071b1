"""What has to hold in every state."""

from __future__ import annotations

from .errors import Violation
from .world import World


def check_state(world: World) -> None:
    """Raise Violation if a promise of the machine is broken at this moment."""
    setting, torrent = world.setting, world.torrent
    world.disk.check(torrent.verified, setting.blocks)
    deadline = torrent.next_deadline()
    if deadline is not None and deadline.when <= world.now:
        return  # what has become possible cannot have been asked for before the call that is due
    report = torrent.explain(world.now)
    if report.stranded:
        raise Violation(f"stranded: {report.text()}")
    missing = setting.blocks * (setting.all_pieces & ~torrent.verified).bit_count()
    if report.missing_blocks != missing:
        raise Violation(f"{missing} blocks are missing; accounted for: {report.text()}")
    named = report.next_move
    if named is not None and (deadline is None or deadline.when > named):
        raise Violation(f"{named:g} is named, but the next call is owed: {deadline}")


def check_same(world: World, again: World) -> None:
    """Raise Violation unless two runs of the same choices wanted the same, call by call."""
    for number, (wanted, wanted_again) in enumerate(zip(world.log, again.log, strict=True)):
        if wanted != wanted_again:
            raise Violation(f"call {number} is not repeatable: {wanted}, then {wanted_again}")
    if world.torrent.next_deadline() != again.torrent.next_deadline():
        raise Violation("two equal runs have unequal deadlines")
