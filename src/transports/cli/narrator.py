"""What a client reports, as named events with plain fields, and as notes for people."""

from __future__ import annotations

from collections.abc import Iterable

from torrent_core import actions
from torrent_core.classes import frozen
from torrent_core.types import Address, BlockInfo, CloseReason, LinkId, PeerSource
from transports.client.dials import PeerUnreachable

from .render import plural


@frozen
class Story:
    """One report told: the event's name and fields, and a line where people should know."""

    event: str
    fields: dict[str, object]
    note: str | None = None


class Narrator:
    """Turns reports into stories; remembers which link is which peer, and what people know.

    A peer is dialled again and again, and a disk that is full fails for every piece: people
    are told once, until the reason changes or it has worked meanwhile.
    """

    def __init__(self, named: Iterable[Address] = ()) -> None:
        """``named`` are the peers that the user expects to hear of."""
        self._named = frozenset(named)
        self._addresses: dict[LinkId, Address] = {}
        self._failures: dict[Address, str] = {}
        self._trouble_told: set[str] = set()
        self._trackers_down: dict[str, str] = {}
        self._told: set[str] = set()

    def peer(self, link: LinkId) -> str:
        """The peer's address, or a question mark where the link was never ready."""
        address = self._addresses.get(link)
        return str(address) if address else "?"

    def failure_of(self, address: Address) -> str:
        """Why this peer could not be reached last, or empty."""
        return self._failures.get(address, "")

    def tell(self, report: object) -> Story | None:
        """The story of one report; None for what only counts or was told."""
        match report:
            case actions.PieceVerified():
                self._trouble_told.clear()  # the storage works again
                return None
            case actions.StateChanged(state=state):
                return Story("state", {"new_state": state.value})
            case PeerUnreachable(address=address, detail=detail):
                return self._unreachable(address, detail)
            case actions.LinkReady(link=link, address=address):
                self._addresses[link] = address
                self._failures.pop(address, None)
                return Story("peer_connected", {"peer": str(address)})
            case actions.LinkLost():
                return self._lost(report)
            case actions.BlocksReleased(link=link, cause=cause, blocks=blocks):
                fields = self._blocks(link, blocks)
                return Story("blocks_released", fields | {"cause": cause.value})
            case actions.BlocksReassigned(link=link, blocks=blocks):
                return Story("blocks_reassigned", self._blocks(link, blocks))
            case actions.PeersLearned():
                return self._learned(report)
            case actions.TrackerReplied() | actions.TrackerFailed():
                return self._tracker(report)
            case _:
                return self._trouble(report)

    def _learned(self, report: actions.PeersLearned) -> Story:
        """People are told of each source once: from then on the figures say it."""
        source = report.source
        whose = f" ({report.detail})" if source is PeerSource.TRACKER else ""
        note = f"{source.value}{whose} told of {plural(report.count, 'peer')}"
        fields: dict[str, object] = {
            "source": source.name.lower(),
            "count": report.count,
            "detail": report.detail,
        }
        return Story("peers_learned", fields, self._once(f"{source.name} {whose}", note))

    def _tracker(self, report: actions.TrackerReplied | actions.TrackerFailed) -> Story:
        url = report.url
        if isinstance(report, actions.TrackerFailed):
            note = self._failed_tracker(url, report.detail)
            return Story("tracker_failed", {"url": url, "message": report.detail}, note)
        self._trackers_down.pop(url, None)
        warned = f"{url} warns: {report.warning}"
        fields: dict[str, object] = {
            "url": url,
            "seeds": report.seeds,
            "leechers": report.leechers,
            "tracker_peers": report.peers,
            "message": report.warning,
        }
        return Story("tracker_replied", fields, self._once(warned) if report.warning else None)

    def _failed_tracker(self, url: str, why: str) -> str | None:
        known = self._trackers_down.get(url) == why
        self._trackers_down[url] = why
        return None if known else f"{url} does not help: {why}"

    def _once(self, what: str, text: str = "") -> str | None:
        """``text``, the first time that there is ``what`` to be told."""
        if what in self._told:
            return None
        self._told.add(what)
        return text or what

    def _trouble(self, report: object) -> Story | None:
        match report:
            case actions.PieceFailed(piece=piece, contributors=links):
                peers = [self.peer(link) for link in links]
                note = f"piece {piece} did not match its hash (from {', '.join(peers)})"
                return Story("piece_failed", {"piece": piece, "contributors": peers}, note)
            case actions.PeerBanned(piece=piece, peer=peer):
                note = f"{peer.host} is banned: it sent spoiled blocks of piece {piece}"
                return Story("peer_banned", {"peer": peer.host, "piece": piece}, note)
            case actions.DataWasted(link=link, why=why, count=count):
                return Story("waste", {"peer": self.peer(link), "why": why, "bytes": count})
            case actions.StorageTrouble(fault=fault, detail=detail):
                text = f"{fault.value}: {detail}" if detail else fault.value
                told = text in self._trouble_told
                self._trouble_told.add(text)
                note_once = None if told else f"storage: {text}"
                return Story("storage_trouble", {"message": text}, note_once)
            case actions.Warned(text=text):
                return Story("warning", {"message": text}, f"warning: {text}")
        return None

    def _lost(self, report: actions.LinkLost) -> Story:
        ready = self._addresses.pop(report.link, None) is not None
        why = report.reason.value + (f" ({report.detail})" if report.detail else "")
        quiet = ready or report.address not in self._named  # strangers come and go
        if not ready and report.reason is CloseReason.REMOTE_CLOSED:
            why += ": it may not have this torrent"
        note = None if quiet else self._failed(report.address, f"{report.address} {why}", why)
        fields: dict[str, object] = {
            "peer": str(report.address),
            "reason": report.reason.value,
            "detail": report.detail,
        }
        return Story("peer_lost", fields, note)

    def _unreachable(self, address: Address, detail: str) -> Story | None:
        """Nothing new is no story, for machines neither."""
        note = self._failed(address, f"cannot connect to {address}: {detail}", detail)
        fields: dict[str, object] = {"peer": str(address), "reason": detail}
        return None if note is None else Story("peer_unreachable", fields, note)

    def _failed(self, address: Address, text: str, why: str) -> str | None:
        """``text``, unless it was told already."""
        known = self._failures.get(address) == why
        self._failures[address] = why
        return None if known else text

    def _blocks(self, link: LinkId, blocks: tuple[BlockInfo, ...]) -> dict[str, object]:
        return {"peer": self.peer(link), "blocks": [list(block) for block in blocks]}
