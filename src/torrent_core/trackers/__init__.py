"""Trackers: announcing, scraping, and the peers they tell of (BEP 3, 12, 15, 23, 41, 48)."""

from __future__ import annotations

from .config import TrackerConfig
from .trackers import TrackerEvent, Trackers
from .values import Found, parse_url

__all__ = ["Found", "TrackerConfig", "TrackerEvent", "Trackers", "parse_url"]
