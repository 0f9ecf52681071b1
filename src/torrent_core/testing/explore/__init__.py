"""An explorer of *all* interleavings: tiny torrents, every run to a given depth.

Where a random test asks "can you find a run that goes wrong?", this asks "is there one that
is so short?", and answers it.

    from torrent_core.testing.explore import Explorer, Setting

    print(Explorer(Setting(links=2, pieces=2, blocks=2), depth=6).run().text())

or, from a shell, ``python -m torrent_core.testing.explore --depth 6``.  A run is a tuple of
``Choice``; what a ``Violation`` lists can be run again by ``world_after(setting, path)``.

It plays what peers may do on links of their own (connect with all pieces or with none, gain
one, choke, unchoke, answer the oldest or newest request, well or with garbage, answer or
reject one that was withdrawn, reject, disconnect, come back), what storage may do (answer or
fail any job that is out), and time (the next deadline comes, or nobody calls for a while).
``Setting`` bounds what may go wrong; ``projection`` says when two states count as one.
"""

from __future__ import annotations

from .choices import Choice, Path, What
from .completion import Bounds, Ending, complete
from .errors import Violation
from .explorer import Explorer, Report
from .setting import Setting
from .steps import choices, take, world_after
from .world import World

__all__ = [
    "Bounds",
    "Choice",
    "Ending",
    "Explorer",
    "Path",
    "Report",
    "Setting",
    "Violation",
    "What",
    "World",
    "choices",
    "complete",
    "take",
    "world_after",
]
