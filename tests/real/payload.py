"""Payloads and their torrents, made without the code under test."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import attrs

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen
class Payload:
    """A torrent on disk together with what it describes."""

    torrent: Path
    """The .torrent file."""
    folder: Path
    """Where the payload lies: what a client calls its download folder."""
    files: dict[str, bytes]
    """Contents by path relative to ``folder``."""
    info_hash: bytes
    piece_length: int

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(data) for data in self.files.values())

    def differences(self, folder: Path) -> list[str]:
        """The files that are missing from ``folder`` or differ there; empty when all is well."""
        return [
            path
            for path, data in self.files.items()
            if not (folder / path).is_file() or (folder / path).read_bytes() != data
        ]


def single_file(base: Path, size: int, piece_length: int, seed: int = 1) -> Payload:
    """One file of ``size`` bytes named ``payload.bin``."""
    data = random.Random(seed).randbytes(size)
    info = {b"name": b"payload.bin", b"length": size}
    return _write(base, {"payload.bin": data}, info, piece_length)


def multi_file(base: Path, sizes: dict[str, int], piece_length: int, seed: int = 1) -> Payload:
    """Several files, in the order given, under a folder named ``payload``."""
    rng = random.Random(seed)
    files = {f"payload/{path}": rng.randbytes(size) for path, size in sizes.items()}
    entries = [
        {b"path": [part.encode() for part in path.split("/")], b"length": size}
        for path, size in sizes.items()
    ]
    return _write(base, files, {b"name": b"payload", b"files": entries}, piece_length)


def _write(
    base: Path, files: dict[str, bytes], info: dict[bytes, object], piece_length: int
) -> Payload:
    folder = base / "origin"
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    joined = b"".join(files.values())
    info[b"piece length"] = piece_length
    info[b"pieces"] = b"".join(
        hashlib.sha1(joined[at : at + piece_length]).digest()
        for at in range(0, len(joined), piece_length)
    )
    torrent = base / "payload.torrent"
    torrent.write_bytes(bencode({b"info": info}))
    return Payload(torrent, folder, files, hashlib.sha1(bencode(info)).digest(), piece_length)


def bencode(value: object) -> bytes:
    """Without our own code, which is what is under test."""
    match value:
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%s" % (len(value), value)
        case list():
            return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():
            return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"
        case _:
            raise TypeError(f"cannot bencode {value!r}")
