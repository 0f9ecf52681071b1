#!/usr/bin/env python3
"""How the cost of each event, and memory, grow with links, pieces and torrents.

    python benchmarks/scale.py [--json] [--quick] [--busy] [--plot FILE]

growth   microseconds of one event, at 1 to 1,000 links with 10,000 pieces, and with 100 to
         100,000 pieces at 100 links: medians, so that what happens now and then (HAVEs to
         everybody, a choking round) is apart: ``tell`` is what it costs for each link to be told
         of what became ours.
idle     microseconds of one event of one torrent, beside 0 to 1,000 idle ones in a session
memory   KiB for each link, each 1,000 pieces, each idle torrent, by the size of a process that
         has them, less that of one which has few

``--plot`` draws the growth as SVG.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import rig
from plot import Panel, drawn
from rig import HAVE_ALL, PEER_ID, Rig, crowd, random_half, with_pieces

from torrent_core import Session, SessionConfig, actions, events
from torrent_core.limits import BLOCK_SIZE, HAVE_DELAY
from torrent_core.metainfo import TorrentBuilder
from torrent_core.wire import messages

MICRO = 1e6
LINKS, PIECES = (1, 10, 100, 1_000), (100, 1_000, 10_000, 100_000)
AT_PIECES, AT_LINKS = 10_000, 100
IDLE = (0, 10, 100, 1_000)
SMALL = (1, 10, 100)

Curve = dict[int, float]
T = TypeVar("T")


# --- One event -------------------------------------------------------------------------------


class Events:
    """What can happen to a torrent with many links; each method says what one of it costs, in
    seconds."""

    def __init__(self, links: int, pieces: int) -> None:
        self._rng = random.Random(6)
        self._pieces = pieces
        self._links = list(range(links))
        self._last = links
        self.rig = crowd(links, pieces)

    def _say(self, *said: messages.Message) -> float:
        data = b"".join(map(messages.encode, said))
        return self.rig.cost(partial(self.rig.say, self._one(), data))

    def _one(self) -> int:
        """A link that is not amidst a block."""
        link = self._rng.choice(self._links)
        self.rig.finish(link)
        return link

    def block(self) -> float:
        """An input of up to four blocks, divided by how many."""
        before, came = self.rig.spent, 0
        while not came:
            came = self.rig.deliver(self._rng.choice(self._links))
        return (self.rig.spent - before) / (came / BLOCK_SIZE)

    def have(self) -> float:
        """BEP 3, have."""
        return self._say(messages.Have(self._rng.randrange(self._pieces)))

    def reject(self) -> float:
        """BEP 6, reject request, for each between BEP 3's choke and unchoke, divided by how
        many."""
        link = self._one()
        asked = max(1, self.rig.asked_of(link))
        return self.rig.cost(partial(self.rig.reconsider, link)) / asked

    def interest(self) -> float:
        """BEP 3, interested and not interested."""
        return self._say(messages.Interested(), messages.NotInterested())

    def nothing(self) -> float:
        """A keep-alive."""
        return self._say(messages.KeepAlive())

    def bitfield(self) -> float:
        """BEP 3, bitfield, of a link that has just come."""
        self._last += 1
        said = random_half(self._rng, self._pieces)
        self.rig.open(self._last)
        cost = self.rig.cost(partial(self.rig.say, self._last, said))
        self.rig.leave(self._last)
        return cost

    def disconnect(self) -> float:
        """A link is gone, and another comes in its place."""
        gone = self._rng.randrange(len(self._links))
        cost = self.rig.cost(partial(self.rig.leave, self._links[gone]))
        self._last += 1
        self.rig.join(self._last, random_half(self._rng, self._pieces))
        self._links[gone] = self._last
        return cost

    def tell(self) -> float:
        """Each link is told of what became ours, if it was anything."""
        self.rig.now += HAVE_DELAY
        return self.rig.cost(lambda: self.rig.feed(events.Tick())) / len(self._links)


NAMES = ("block", "have", "reject", "interest", "nothing", "bitfield", "disconnect", "tell")


def cost_of_each(links: int, pieces: int, count: int) -> dict[str, float]:
    """Microseconds by event: medians over ``count`` of each."""
    happening = Events(links, pieces)
    found = {}
    for name in NAMES:
        event: Callable[[], float] = getattr(happening, name)
        if name == "tell":  # something has to become ours in between
            costs = []
            for _ in range(3):
                for _ in range(64):
                    happening.block()
                costs.append(event())
        else:
            costs = [event() for _ in range(count)]
        found[name] = statistics.median(costs) * MICRO
    return found


def growth(sizes: list[tuple[int, int]], axis: int, count: int) -> dict[str, Curve]:
    """Curves by event, over what stands at ``axis`` of (links, pieces)."""
    curves: dict[str, Curve] = {name: {} for name in NAMES}
    for size in sizes:
        for name, cost in apart(cost_of_each, *size, count).items():
            curves[name][size[axis]] = round(cost, 2)
    return curves


# --- Idle torrents ---------------------------------------------------------------------------


def session_of(idle: int) -> Session:
    """A session with so many torrents that nobody has a link to."""
    session = Session(PEER_ID, random.Random(1), SessionConfig())
    for number in range(idle):
        name = f"torrent {number}"
        builder = TorrentBuilder(
            name, [((name,), 100 * BLOCK_SIZE)], single_file=True, piece_length=BLOCK_SIZE
        )
        metainfo = builder.build(random.Random(number).randbytes(20 * 100))
        waiting: list[events.Event] = [events.AddTorrent(metainfo)]
        while waiting:
            for action in session.handle(waiting.pop(), 0.0):
                if isinstance(action, actions.StatFiles):
                    stated = events.FilesStated(action.torrent, action.job, (None,))
                    waiting.append(stated)
                elif isinstance(action, actions.CreateFiles):
                    waiting.append(events.Written(action.torrent, action.job))
    return session


def beside_idle(idle: int, count: int) -> float:
    """Microseconds of a block, and of what the driver asks after it, with idle torrents."""
    busy = Rig(with_pieces(1_000), session=session_of(idle))
    busy.join(0, HAVE_ALL)
    costs = []
    for _ in range(count):
        before = busy.spent
        came = busy.deliver(0)
        costs.append((busy.spent - before) / (came / BLOCK_SIZE))
    return statistics.median(costs) * MICRO


# --- Memory ----------------------------------------------------------------------------------


def resident_kib() -> int:
    """What this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4


def size_of_crowd(links: int, pieces: int) -> int:
    """KiB of a process with such a torrent."""
    kept = crowd(links, pieces)
    return resident_kib() if kept.torrent else 0


def size_of_session(idle: int) -> int:
    """KiB of a process with so many idle torrents."""
    kept = session_of(idle)
    return resident_kib() if kept.torrents is not None else 0


def memory(links: int, pieces: int, idle: int) -> dict[str, float]:
    """KiB by what takes it, and MiB of the whole processes."""
    few, many = apart(size_of_crowd, 1, 1_000), apart(size_of_crowd, 1, pieces)
    crowded = apart(size_of_crowd, links, 1_000)
    both = apart(size_of_crowd, links, pieces)
    none, idles = apart(size_of_session, 0), apart(size_of_session, idle)
    return {
        f"a link, of {links} with 1000 pieces, KiB": round((crowded - few) / links, 1),
        f"a link, of {links} with {pieces} pieces, KiB": round((both - many) / links, 1),
        f"1000 pieces, of {pieces}, KiB": round((many - few) / (pieces - 1_000) * 1_000, 1),
        f"an idle torrent, of {idle}, KiB": round((idles - none) / idle, 1),
        f"process with {links} links x {pieces} pieces, MiB": round(both / 1024, 1),
        f"process with {idle} idle torrents, MiB": round(idles / 1024, 1),
    }


# --- Running them ----------------------------------------------------------------------------


def apart(run: Callable[..., T], *given: object) -> T:
    """The outcome of ``run`` in a process of its own: nobody's garbage is another's cost."""
    with multiprocessing.get_context("spawn").Pool(1, _prepare, (rig.clock,)) as pool:
        return pool.apply(run, given)


def _prepare(clock: Callable[[], float]) -> None:
    rig.clock = clock


def measured(*, quick: bool) -> dict[str, object]:
    """Everything; with ``quick``, up to 100 links, 1,000 pieces and 10 idle torrents."""
    links, pieces, idle = (SMALL, PIECES[:2], IDLE[:2]) if quick else (LINKS, PIECES, IDLE)
    count = 30 if quick else 300
    middle = pieces[-1] if quick else AT_PIECES
    return {
        "links": growth([(few, middle) for few in links], 0, count),
        "pieces": growth([(min(AT_LINKS, links[-1]), few) for few in pieces], 1, count),
        "idle": {few: round(apart(beside_idle, few, count), 2) for few in idle},
        "memory": memory(links[-1], max(2_000, pieces[-1]), idle[-1]),
    }


def plotted(found: dict[str, object]) -> str:
    """The growth as SVG."""
    by_links, by_pieces, idle = found["links"], found["pieces"], found["idle"]
    assert isinstance(by_links, dict)
    assert isinstance(by_pieces, dict)
    assert isinstance(idle, dict)
    return drawn(
        [
            Panel(f"links, {AT_PIECES:,} pieces", by_links),
            Panel(f"pieces, {AT_LINKS} links", by_pieces),
            Panel(
                "idle torrents beside it, plus one", {"block": {n + 1: v for n, v in idle.items()}}
            ),
        ],
        "microseconds an event",
    )


def as_tables(found: dict[str, object]) -> str:
    """The same for people, as Markdown."""
    lines = []
    for axis in ("links", "pieces"):
        curves = found[axis]
        assert isinstance(curves, dict)
        given = list(curves["block"])
        lines += [f"| us an event, by {axis} | " + _numbers(given) + " |"]
        lines += ["|---" * (len(given) + 1) + "|"]
        for name, curve in curves.items():
            lines.append(f"| `{name}` | " + " | ".join(f"{v:.1f}" for v in curve.values()) + " |")
        lines.append("")
    idle, sizes = found["idle"], found["memory"]
    assert isinstance(idle, dict)
    assert isinstance(sizes, dict)
    lines += ["| idle torrents beside it | " + _numbers(idle) + " |"]
    lines += ["|---" * (len(idle) + 1) + "|"]
    lines += ["| `block` | " + " | ".join(f"{v:.1f}" for v in idle.values()) + " |", ""]
    lines += ["| memory of | |", "|---|---|"]
    lines += [f"| {name} | {value:,} |" for name, value in sizes.items()]
    return "\n".join(lines)


def _numbers(sizes: Iterable[int | str]) -> str:
    """Keys of a curve, which JSON makes text of."""
    return " | ".join(f"{int(size):,}" for size in sizes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--quick", action="store_true", help="small ones: does it run at all?")
    parser.add_argument("--busy", action="store_true", help="count processor time alone")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the growth here")
    given = parser.parse_args()
    if given.busy:
        rig.use_processor_time()
    found = measured(quick=given.quick)
    if given.plot:
        given.plot.write_text(plotted(found))
    print(json.dumps(found) if given.json else as_tables(found))


if __name__ == "__main__":
    main()
