"""What the parts of a magnet share."""

from __future__ import annotations

import attrs

from ..actions import Action, StateChanged
from ..candidates import Bans
from ..classes import define
from ..linkstate import LinkState
from ..metadata.transfer import MetadataTransfer
from ..metainfo import MagnetLink
from ..torrent import Budgets, TorrentConfig
from ..types import InfoHash, RandomSource, TorrentState


@define(eq=False)
class Context:
    """Shared by the parts of one magnet, as ``torrent.context`` by those of a torrent."""

    magnet: MagnetLink
    config: TorrentConfig
    budgets: Budgets
    peer_id: bytes
    """Our own."""
    random: RandomSource
    transfer: MetadataTransfer
    bans: Bans = attrs.field(factory=Bans)
    actions: list[Action] = attrs.field(factory=list)
    """What the step under way wants done; emptied by ``Magnet.handle``."""
    now: float = 0.0
    state: TorrentState = TorrentState.STOPPED
    extensions: dict[bytes, int] = attrs.field(factory=dict)
    """Our own number of each extension that we offer (BEP 10, ``m``)."""

    @property
    def info_hash(self) -> InfoHash:
        """The torrent's name in events and actions."""
        return self.magnet.info_hash

    @property
    def dht_port(self) -> int | None:
        """What peers are told of our node of the DHT; None if nothing."""
        return self.config.dht_port

    @property
    def is_running(self) -> bool:
        """Whether links are wanted."""
        return self.state is TorrentState.RESOLVING

    @property
    def may_dial(self) -> bool:
        """Whether peers are dialled: whenever links are wanted."""
        return self.is_running

    @property
    def is_private(self) -> bool:
        """Nobody knows yet: peers may come from anywhere (as libtorrent has it)."""
        return False

    @property
    def is_complete(self) -> bool:
        """Nothing is here."""
        return False

    def is_seed(self, state: LinkState) -> bool:
        """How many pieces that would take is not known."""
        return False

    def enter(self, state: TorrentState) -> None:
        """Change to another state, and report it."""
        self.state = state
        self.actions.append(StateChanged(self.info_hash, state))
