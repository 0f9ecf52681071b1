"""Failures of a disk, to be put into ``Disk.fault``; several go together by ``any_of``."""

from __future__ import annotations

from random import Random

from .. import actions as act
from ..actions import Action
from ..types import StorageFault
from .clock import Clock
from .disk import Fault
from .promises import chance, count, duration, interval

_WRITES = (act.WriteBlocks, act.CreateFiles)


def fail_first(kind: type, times: int = 1, fault: StorageFault = StorageFault.OTHER) -> Fault:
    """The first ``times`` actions of one kind fail."""
    left = count("times", times)

    def fault_of(action: Action) -> StorageFault | None:
        nonlocal left
        if not isinstance(action, kind) or not left:
            return None
        left -= 1
        return fault

    return fault_of


def fail_nth(number: int, kind: type = object, fault: StorageFault = StorageFault.OTHER) -> Fault:
    """Of the actions of one kind, or of all, the one of that number fails; the first is 0."""
    left = count("number", number)

    def fault_of(action: Action) -> StorageFault | None:
        nonlocal left
        if not isinstance(action, kind):
            return None
        left -= 1
        return fault if left == -1 else None

    return fault_of


def fail_sometimes(share: float, random: Random) -> Fault:
    """Each action fails with this chance, in any way."""
    chance("share", share)
    kinds = list(StorageFault)
    return lambda action: random.choice(kinds) if random.random() < share else None


def disk_full(clock: Clock, since: float, seconds: float) -> Fault:
    """Nothing can be written from ``since`` on, for so many seconds."""
    end = duration("since", since) + interval("seconds", seconds)

    def fault_of(action: Action) -> StorageFault | None:
        full = isinstance(action, _WRITES) and since <= clock.now < end
        return StorageFault.DISK_FULL if full else None

    return fault_of


def any_of(*faults: Fault) -> Fault:
    """The first of these that says something.  All are asked, so that each keeps its count."""

    def fault_of(action: Action) -> StorageFault | None:
        said = [fault(action) for fault in faults]
        return next((fault for fault in said if fault is not None), None)

    return fault_of
