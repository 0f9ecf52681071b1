"""Waking from sleep: the call comes long after it was owed, and nobody was there to listen.

A machine that was suspended for an hour would find every request late and every link idle
at once, and drop them all, although most peers did nothing wrong.  So the lateness of the
call is held against nobody: what links are timed by moves on by as much.  What was due first
is then due now (a keep-alive, a probe), which shows soon which links still live; and what
the torrent times for itself (dials, saves, choking rounds) is overdue, and simply done.

A function of events and their times alone, so that a recorded run replays.
"""

from __future__ import annotations

from ..deadlines import Deadline
from ..limits import SLEPT


def lateness(due: Deadline | None, last: float, now: float) -> float:
    """Seconds by which the call at ``now`` is too late, or 0 if that is nothing unusual.

    ``due`` is the deadline that was given, ``last`` the time of the call before.
    """
    if due is None:
        return 0.0
    late = now - max(due.when, last)
    return late if late > SLEPT else 0.0
