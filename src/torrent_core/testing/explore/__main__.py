"""``python -m torrent_core.testing.explore``."""

from __future__ import annotations

from .command import main

raise SystemExit(main())
