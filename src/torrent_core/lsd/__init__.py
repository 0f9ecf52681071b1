"""Local peer discovery (BEP 14): peers on the same network, found by multicast."""

from .announcement import Announcement, format_announcement, parse_announcement
from .config import GROUP_IPV4, GROUP_IPV6, LsdConfig
from .machine import Lsd

__all__ = [
    "GROUP_IPV4",
    "GROUP_IPV6",
    "Announcement",
    "Lsd",
    "LsdConfig",
    "format_announcement",
    "parse_announcement",
]
