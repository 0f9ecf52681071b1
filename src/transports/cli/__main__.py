"""``python -m transports.cli``, for where the script is not on the path."""

from __future__ import annotations

from . import script

script()
