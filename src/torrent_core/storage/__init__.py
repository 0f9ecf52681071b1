"""Where the payload lies in files, what is known to be there, and what must be checked.

Nothing here touches a disk: these are the plans that ``torrent`` turns into actions.
"""

from __future__ import annotations

from .check import CheckPlan, full_recheck, plan_check
from .mapping import FileMap
from .resume import ResumeData, decode_resume

__all__ = [
    "CheckPlan",
    "FileMap",
    "ResumeData",
    "decode_resume",
    "full_recheck",
    "plan_check",
]
