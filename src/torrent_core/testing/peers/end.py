"""One end of a link as far as bytes go: a handshake, messages in, messages out."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ...bitfield import to_wire
from ...metainfo import Metainfo
from ...wire import messages as wire
from ...wire.handshake import HANDSHAKE_LENGTH, INFO_HASH_END, Handshake
from ...wire.handshake import encode as encode_handshake
from ..disk import Disk
from ..line import Line, LinkProfile
from ..payload import Content
from ..promises import ImpossibleParameter, count, expect
from ..world import World

_PREFIX = 4
_INFO_HASH = slice(INFO_HASH_END - 20, INFO_HASH_END)


class End:
    """Says hello, and hands every message on to ``note``."""

    def __init__(
        self,
        world: World,
        disk: Disk,
        payload: Content,
        *,
        have: Iterable[int] | None = None,
        fast: bool = True,
        extended: bool = False,
        profile: LinkProfile | None = None,
        latency: float | None = None,
        rate: float | None = None,
        chunk: int = 0,
        peer_id: bytes | None = None,
    ) -> None:
        """``have`` None is everything; ``fast`` and ``extended`` offer BEP 6 and BEP 10.

        ``disk`` is that of the machine at the other end.  ``latency`` and ``rate`` (bytes a
        second to the machine) go into ``profile``; ``chunk`` cuts what is sent into so many
        bytes.  Raises ImpossibleParameter.
        """
        self.world = world
        self.disk = disk
        self.meta: Metainfo = disk.metainfo
        self.payload = payload
        self.have = self._pieces("have", have)
        self.claims = self.have
        """What it says that it has."""
        self.fast = fast
        self.extended = extended
        self.profile = profile or LinkProfile()
        if latency is not None:
            self.latency = latency
        if rate is not None:
            self.rate = rate
        self.chunk = count("chunk", chunk)
        self.peer_id = peer_id or b"-PY0000-%012d" % next(world.ids)
        self.line: Line | None = None
        self.alive = False
        self.heard: list[wire.Message] = []
        self._head = b""
        self._shaken = False

    def _pieces(self, name: str, pieces: Iterable[int] | None) -> set[int]:
        every = range(self.meta.piece_count)
        found = set(every if pieces is None else pieces)
        if not found <= set(every):
            raise ImpossibleParameter(name, sorted(found), f"pieces below {len(every)}")
        return found

    @property
    def latency(self) -> float:
        """Seconds from one end to the other."""
        return self.profile.latency

    @latency.setter
    def latency(self, latency: float) -> None:
        self.profile = attrs.evolve(self.profile, latency=latency)

    @property
    def rate(self) -> float:
        """Bytes a second that it can send."""
        return self.profile.down

    @rate.setter
    def rate(self, rate: float) -> None:
        self.profile = attrs.evolve(self.profile, down=rate)

    # --- The link ------------------------------------------------------------------------

    def opened(self, line: Line) -> None:
        """A link stands: the handshake goes out, and what we have right behind it."""
        self.line = line
        self.alive = True
        self._head, self._shaken = b"", False
        self.hello()

    def hello(self) -> None:
        """The handshake, and which pieces we have."""
        self.say_bytes(encode_handshake(self.handshake()))
        self.say_pieces()

    def handshake(self) -> Handshake:
        """Ours."""
        reserved = bytearray(8)
        reserved[7] |= 4 * self.fast
        reserved[5] |= 16 * self.extended
        return Handshake(self.meta.info_hash, self.peer_id, bytes(reserved))

    def say_pieces(self) -> None:
        """HAVE ALL, HAVE NONE or BITFIELD."""
        whole = self.meta.piece_count
        if self.fast and len(self.claims) in (0, whole):
            self.say(wire.HaveAll() if self.claims else wire.HaveNone())
        elif self.claims:
            self.say(wire.Bitfield(to_wire(sum(1 << index for index in self.claims), whole)))

    def say(self, *messages: wire.Message) -> float:
        """Send messages; returns when the last byte has left."""
        return self.say_bytes(b"".join(map(wire.encode, messages)))

    def say_bytes(self, data: bytes) -> float:
        """Send bytes, in chunks if so told; returns when the last has left."""
        line = self._line()
        step = self.chunk or len(data) or 1
        left = self.world.now
        for at in range(0, len(data), step):
            left = line.send(data[at : at + step])
        return left

    def leave(self, detail: str = "") -> None:
        """Close the connection."""
        self.alive = False
        self._line().close(detail)

    def _line(self) -> Line:
        if self.line is None:
            raise ImpossibleParameter("line", None, "that of a connected peer")
        return self.line

    def closed(self) -> None:
        """The connection is gone."""
        self.alive = False

    def received(self, data: bytes) -> None:
        """Bytes came: split them, check them, act."""
        if not self.alive:
            return
        data = self._head + data if self._head else data
        at = 0
        if not self._shaken:
            if len(data) < HANDSHAKE_LENGTH:
                self._head = data
                return
            expect(data[_INFO_HASH] == self.meta.info_hash, "a handshake for another torrent")
            self._shaken, at = True, HANDSHAKE_LENGTH
        while len(data) - at >= _PREFIX:
            end = at + _PREFIX + int.from_bytes(data[at : at + _PREFIX], "big")
            if len(data) < end:
                break
            message = wire.decode(data[at + _PREFIX : end])
            at = end
            self.heard.append(message)
            self.note(message)
        self._head = data[at:]

    def note(self, message: wire.Message) -> None:
        """Act on a message."""
