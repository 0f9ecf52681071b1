"""Torrents made up on the spot, with a payload that need not lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Protocol

from ..limits import BLOCK_SIZE, MAX_PIECE_LENGTH
from ..metainfo import Metainfo
from ..metainfo.create import TorrentBuilder
from .promises import ImpossibleParameter, count

KIB = 1024
BLOCK = BLOCK_SIZE
_STAMP = 4
_STAMPED = 8
"""A block of at most so many bytes bears no stamp."""
MAX_PAYLOAD = 2**32
"""The stamps have four bytes."""


class Content(Protocol):
    """The whole payload of a torrent: ``bytes`` will do, and so will ``Payload``."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class Payload:
    """Bytes that differ from block to block and by name, made when they are asked for.

    A gigabyte of it takes no more memory than a kilobyte: one template, and a stamp of four
    bytes at the start of each block.
    """

    __slots__ = ("_length", "_template", "_unit")

    def __init__(self, length: int, name: str = "payload") -> None:
        """``length`` is in bytes, from 0 to ``MAX_PAYLOAD``."""
        if count("length", length) > MAX_PAYLOAD:
            raise ImpossibleParameter("length", length, f"at most {MAX_PAYLOAD}")
        seed = sha1(name.encode()).digest()
        unit = b"".join(sha1(seed + bytes([number])).digest() for number in range(13))
        self._length = length
        self._unit = len(unit)
        self._template = unit * (BLOCK // len(unit) + 2)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, step = part.indices(self._length)
        if step != 1:
            raise ImpossibleParameter("step", step, "1")
        parts = []
        while start < stop:
            at = start - start % BLOCK
            end = min(at + BLOCK, stop)
            parts.append(self._block(at)[start - at : end - at])
            start = end
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, at: int) -> bytes:
        """The block that begins at byte ``at``."""
        size, phase = min(BLOCK, self._length - at), at % self._unit
        if at + _STAMPED >= self._length:
            return self._template[phase : phase + size]
        return at.to_bytes(_STAMP, "big") + self._template[phase + _STAMP : phase + size]


def describe_torrent(
    payload: Content,
    piece_length: int,
    *,
    files: Sequence[int] | None = None,
    name: str = "payload",
) -> Metainfo:
    """The torrent of a payload; ``files`` has the length of each file, None means one file.

    Raises ImpossibleParameter.
    """
    if not 1 <= piece_length <= MAX_PIECE_LENGTH:
        what = f"from 1 to {MAX_PIECE_LENGTH}"
        raise ImpossibleParameter("piece_length", piece_length, what)
    count("the length of the payload", len(payload), least=1)
    if files is not None and (sum(files) != len(payload) or min(files) < 0):
        what = f"lengths that add up to {len(payload)}"
        raise ImpossibleParameter("files", list(files), what)
    lengths = [((str(index),), length) for index, length in enumerate(files or [])]
    builder = TorrentBuilder(
        name,
        lengths or [((name,), len(payload))],
        single_file=files is None,
        piece_length=piece_length,
    )
    for start in range(0, len(payload), 64 * BLOCK):
        builder.update(payload[start : start + 64 * BLOCK])
    return builder.finish()


def make_torrent(
    total: int,
    piece_length: int = 2 * BLOCK,
    *,
    files: Sequence[int] | None = None,
    name: str = "payload",
) -> tuple[Metainfo, bytes]:
    """A torrent of ``total`` bytes with its payload.  Raises ImpossibleParameter."""
    payload = Payload(total, name)[:]
    return describe_torrent(payload, piece_length, files=files, name=name), payload
