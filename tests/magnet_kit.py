"""Peers that hand on metadata, and a ``world`` around a session with magnet links."""

from __future__ import annotations

from typing import Any

from torrent_core import events as ev
from torrent_core.metainfo import MagnetLink, Metainfo
from torrent_core.testing import Honest, SessionWorld
from torrent_core.types import Address, TorrentState
from torrent_core.wire import extended
from torrent_core.wire import messages as wire
from torrent_core.wire import metadata as meta
from torrent_core.wire.extended import ExtendedHandshake
from world import BLOCK

THEIR_ID = 7
"""What the peers here call ut_metadata."""


class Teller(Honest):
    """Honest, and gives metadata to who asks; ``info`` is what it gives, ``claims`` None is
    its size, 0 nothing."""

    def __init__(
        self,
        *where: Any,
        info: bytes | None = None,
        size: int | None = None,
        mute: bool = False,
        rejects: bool = False,
        speaks: bool = True,
        extended: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(*where, extended=extended, **options)
        self.info = self.meta.info if info is None else info
        self.size = len(self.info) if size is None else size
        self.mute = mute
        self.rejects = rejects
        self.speaks = speaks
        self.hellos: list[ExtendedHandshake] = []
        self.told: list[meta.MetadataMessage | None] = []
        """What it was told by ut_metadata."""
        self.links = 0

    def hello(self) -> None:
        self.links += 1
        super().hello()
        if self.extended and self.speaks:
            self.say_hello()

    def say_hello(self, **fields: Any) -> None:
        known = {"m": {meta.NAME: THEIR_ID}, "metadata_size": self.size or None}
        self.say(wire.Extended(0, extended.encode(ExtendedHandshake(**{**known, **fields}))))

    def tell(self, message: meta.MetadataMessage) -> None:
        self.say(wire.Extended(meta.OUR_ID, meta.encode(message)))

    @property
    def asked_for(self) -> list[int]:
        """Pieces of metadata that it was asked for."""
        return [said.piece for said in self.told if isinstance(said, meta.MetadataRequest)]

    def note(self, message: wire.Message) -> None:
        if not isinstance(message, wire.Extended):
            super().note(message)
        elif message.ext_id == 0:
            self.hellos.append(extended.decode(message.payload))
        else:
            assert message.ext_id == THEIR_ID
            said = meta.decode(message.payload)
            self.told.append(said)
            if isinstance(said, meta.MetadataRequest) and not self.mute:
                self.answer(said.piece)

    def answer(self, piece: int) -> None:
        if self.rejects:
            self.tell(meta.MetadataReject(piece))
            return
        start = piece * 2**14
        data = self.info[start : start + meta.piece_size(self.size, piece)]
        self.tell(meta.MetadataData(piece, self.size, data))


class Seeker(Teller):
    """Has only the name itself: it asks for metadata, and has nothing."""

    def __init__(self, *where: Any, **options: Any) -> None:
        super().__init__(*where, have=(), size=0, **options)
        self.found: dict[int, bytes] = {}

    def ask(self, piece: int) -> None:
        self.tell(meta.MetadataRequest(piece))

    def note(self, message: wire.Message) -> None:
        super().note(message)
        said = self.told[-1] if self.told and isinstance(message, wire.Extended) else None
        if isinstance(said, meta.MetadataData):
            self.found[said.piece] = said.data


class Fair(SessionWorld):
    """A session with one torrent to be found by its name."""

    def __init__(self, size: int = 8 * BLOCK, **options: Any) -> None:
        super().__init__(size, **options)

    @property
    def meta(self) -> Metainfo:
        return self.metas[0]

    @property
    def name(self) -> bytes:
        return self.meta.info_hash

    def seek(self, *peers: Address, resume: bytes | None = None, **fields: Any) -> None:
        """Add the magnet link."""
        self.feed(ev.AddMagnet(MagnetLink(self.name, peers=peers, **fields), resume))
        self.settle()

    def why(self) -> str:
        """What the explanation says."""
        return self.session.explain(self.now)[self.name].text()

    @property
    def is_resolved(self) -> bool:
        return self.name in self.session.torrents

    def resolve(self, seconds: float = 600.0) -> None:
        assert self.run(lambda: self.is_resolved, seconds=seconds), self.why()

    def finish_it(self) -> None:
        self.finish(0)
        assert self.state(0) is TorrentState.SEEDING
