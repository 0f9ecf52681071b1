"""What the core reports, as named events with plain fields, and as notes for people."""

from __future__ import annotations

import attrs

from torrent_core import actions
from torrent_core.types import Address, BlockInfo, LinkId


@attrs.frozen
class Story:
    """One report told: the event's name and fields, and a line where people should know."""

    event: str
    fields: dict[str, object]
    note: str | None = None


class Narrator:
    """Turns reports into stories; remembers which link is which peer."""

    def __init__(self) -> None:
        self._addresses: dict[LinkId, Address] = {}

    def peer(self, link: LinkId) -> str:
        """The peer's address, or a question mark where the link was never ready."""
        address = self._addresses.get(link)
        return str(address) if address else "?"

    def tell(self, report: object) -> Story | None:
        """The story of one report; None for those that only count (verified pieces)."""
        match report:
            case actions.StateChanged(state=state):
                return Story("state", {"new_state": state.value})
            case actions.LinkReady(link=link, address=address):
                self._addresses[link] = address
                return Story("peer_connected", {"peer": str(address)})
            case actions.LinkLost():
                return self._lost(report)
            case actions.BlocksReleased(link=link, cause=cause, blocks=blocks):
                fields = self._blocks(link, blocks)
                return Story("blocks_released", fields | {"cause": cause.value})
            case actions.BlocksReassigned(link=link, blocks=blocks):
                return Story("blocks_reassigned", self._blocks(link, blocks))
            case _:
                return self._trouble(report)

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
                return Story("storage_trouble", {"message": text}, f"storage: {text}")
            case actions.Warned(text=text):
                return Story("warning", {"message": text}, f"warning: {text}")
        return None

    def _lost(self, report: actions.LinkLost) -> Story:
        self._addresses.pop(report.link, None)
        fields: dict[str, object] = {
            "peer": str(report.address),
            "reason": report.reason.value,
            "detail": report.detail,
        }
        return Story("peer_lost", fields)

    def _blocks(self, link: LinkId, blocks: tuple[BlockInfo, ...]) -> dict[str, object]:
        return {"peer": self.peer(link), "blocks": [list(block) for block in blocks]}
