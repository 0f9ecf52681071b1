"""What the parts of a torrent share: the facts, the siblings, and the list of actions.

The parts know this and each other through it, never the ``Torrent`` that owns them.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..actions import Action, StateChanged
from ..bitfield import without
from ..candidates import Bans
from ..classes import define
from ..deadlines import Deadlines
from ..events import FilesStated
from ..linkstate import LinkState
from ..metainfo import Metainfo
from ..pieces import ActivePieceManager, PieceManager, PiecePicker, RequestScheduler
from ..storage import FileMap
from ..types import InfoHash, RandomSource, TorrentState
from .config import Budgets, TorrentConfig
from .jobs import Jobs


@define(eq=False)
class Context:
    """Shared by the parts of one torrent; each field says who may write it."""

    metainfo: Metainfo
    config: TorrentConfig
    budgets: Budgets
    peer_id: bytes
    """Our own."""
    random: RandomSource
    files: FileMap
    verified: PieceManager
    """Written by finishing and checking."""
    picker: PiecePicker
    active: ActivePieceManager
    scheduler: RequestScheduler
    bans: Bans = attrs.field(factory=Bans)
    """Written by blaming."""
    jobs: Jobs = attrs.field(factory=Jobs)
    timers: Deadlines[tuple[str, int]] = attrs.field(factory=Deadlines)
    """Moments of the torrent itself: (what is due, of which piece or 0)."""
    actions: list[Action] = attrs.field(factory=list)
    """What the step under way wants done; emptied by ``Torrent.handle``."""
    now: float = 0.0
    """The step's time; written by ``Torrent.handle``, never going back."""
    state: TorrentState = TorrentState.STOPPED
    wanted: int = 0
    """Set of pieces with a priority above zero; written by checking."""
    priorities: tuple[int, ...] | None = None
    """One per file, as the caller set them; None for all normal."""
    checked: bool = False
    """Whether ``verified`` is all that the files hold; written by checking."""
    earlier: tuple[int, int] = (0, 0)
    """Payload bytes down and up of links that are gone, those of earlier runs included."""
    wasted: int = 0
    """Payload bytes that were of no use."""
    extensions: dict[bytes, int] = attrs.field(factory=dict)
    """Our own number of each extension that we offer (BEP 10, ``m``); its owner enters it."""

    @classmethod
    def make(
        cls,
        metainfo: Metainfo,
        *,
        peer_id: bytes,
        random: RandomSource,
        config: TorrentConfig,
        budgets: Budgets,
        on_detach: Callable[[int], None],
    ) -> Context:
        """That of a torrent of which nothing is here; ``on_detach`` as in
        ``ActivePieceManager``."""
        verified = PieceManager(metainfo.geometry, metainfo.piece_hashes)
        picker = PiecePicker(verified, random)
        active = ActivePieceManager(
            metainfo.geometry,
            config.active,
            budget=budgets.memory,
            owner=metainfo.info_hash,
            on_activated=picker.activated,
            on_deactivated=picker.deactivated,
            on_detach=on_detach,
        )
        return cls(
            metainfo=metainfo,
            config=config,
            budgets=budgets,
            peer_id=peer_id,
            random=random,
            files=FileMap(metainfo.files, metainfo.geometry),
            verified=verified,
            picker=picker,
            active=active,
            scheduler=RequestScheduler(picker, active),
        )

    @property
    def info_hash(self) -> InfoHash:
        """The torrent's name in events and actions."""
        return self.metainfo.info_hash

    @property
    def is_private(self) -> bool:
        """Whether peers may only come from the trackers (BEP 27)."""
        return self.metainfo.private

    @property
    def is_complete(self) -> bool:
        """Whether each piece is ours, wanted or not."""
        return self.verified.is_complete

    def is_seed(self, state: LinkState) -> bool:
        """Whether a peer has each piece."""
        return state.pieces == self.metainfo.geometry.all_pieces

    def enter(self, state: TorrentState) -> None:
        """Change state, and report it if it is another."""
        if state is not self.state:
            self.state = state
            self.actions.append(StateChanged(self.info_hash, state))

    def names_all_files(self, event: FilesStated) -> bool:
        """Whether the storage answered for each file of the torrent."""
        return len(event.files) == len(self.metainfo.files)

    @property
    def dht_port(self) -> int | None:
        """What peers are told of our node of the DHT; None if nothing."""
        return None if self.metainfo.private else self.config.dht_port

    @property
    def is_running(self) -> bool:
        """Whether links are wanted."""
        return self.state not in (TorrentState.STOPPING, TorrentState.STOPPED)

    @property
    def may_dial(self) -> bool:
        """Whether the peers that were named are dialled now."""
        return self.state in (TorrentState.DOWNLOADING, TorrentState.SEEDING)

    @property
    def missing(self) -> int:
        """Set of wanted pieces that are not ours yet."""
        return without(self.wanted, self.verified.bitfield)
