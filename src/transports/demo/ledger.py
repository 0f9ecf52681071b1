"""Who was asked again, after whom and why, from the core's reports.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torrent_core import actions
from torrent_core.types import BlockInfo, LinkId, ReleaseCause


class Ledger:
    """Takes reports as they come; ``names`` are the peers' by port."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self.completed = False
        self._names = names
        self._links: dict[LinkId, str] = {}
        self._free: dict[BlockInfo, tuple[str, ReleaseCause]] = {}
        self._released: Counter[tuple[str, ReleaseCause]] = Counter()
        self._moved: Counter[tuple[str, ReleaseCause, str]] = Counter()

    def take(self, report: object) -> None:
        """Note one report; those of no interest are ignored."""
        match report:
            case actions.LinkReady(link=link, address=address):
                self._links[link] = self._names.get(address.port, str(address))
            case actions.BlocksReleased(link=link, cause=cause, blocks=blocks):
                origin = (self._name(link), cause)
                self._released[origin] += len(blocks)
                self._free.update(dict.fromkeys(blocks, origin))
            case actions.BlocksReassigned(link=link, blocks=blocks):
                for block in blocks:
                    if block in self._free:
                        self._moved[*self._free.pop(block), self._name(link)] += 1
            case actions.TorrentCompleted():
                self.completed = True

    def released_by(self, name: str) -> int:
        """Requests to this peer that became void."""
        return sum(count for (who, _), count in self._released.items() if who == name)

    def lines(self) -> list[str]:
        """One line for each peer and cause, in order of appearance."""
        return [
            f"{count} {'block' if count == 1 else 'blocks'} asked of {who}, void because"
            f" {cause.value}: {self._takers(who, cause, count)}"
            for (who, cause), count in self._released.items()
        ]

    def _takers(self, who: str, cause: ReleaseCause, count: int) -> str:
        moved = {to: n for (of, why, to), n in self._moved.items() if (of, why) == (who, cause)}
        parts = [f"{n} asked again of {to}" for to, n in moved.items()]
        rest = count - sum(moved.values())
        if rest:
            parts.append(f"{rest} came without asking again")
        return ", ".join(parts)

    def _name(self, link: LinkId) -> str:
        return self._links.get(link, "a peer that was never ready")
