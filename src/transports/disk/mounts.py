"""Which file systems take a write into memory, and bring it to a device of this machine later."""

from __future__ import annotations

import os
from functools import lru_cache

MOUNTS = "/proc/self/mountinfo"
"""Linux's table of what is mounted: device in the third column, kind after a hyphen."""

BUFFERED = frozenset(
    {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "vfat", "xfs"}
)
"""Kinds that do; not those of networks and of other programs (NFS, SMB, FUSE), whose servers may
be gone, nor ZFS, which has writers wait."""


@lru_cache(maxsize=64)
def is_buffered(device: int) -> bool:
    """Whether the file system with this number (``st_dev``) is one of those.

    False where that is not known: on other systems, and of kinds that number their parts
    otherwise.
    """
    name = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as table:
            rows = [line.split() for line in table]
    except OSError:
        return False
    kinds = [row[row.index("-") + 1] for row in rows if row[2] == name and "-" in row]
    return bool(kinds) and BUFFERED.issuperset(kinds)
