"""What a torrent may be given as."""

from __future__ import annotations

import os
from typing import TypeAlias

import anyio.to_thread

from torrent_core.limits import MAX_TORRENT_BYTES
from torrent_core.metainfo import MagnetLink, Metainfo, parse_magnet, parse_torrent

PathName: TypeAlias = str | os.PathLike[str]


URL_SCHEMES = ("http://", "https://")
"""How a text begins that names a torrent on the web."""


MAGNET_SCHEME = "magnet:"
"""How a text begins that is a magnet link."""

Source: TypeAlias = PathName | bytes | Metainfo | MagnetLink


async def load(source: Source) -> Metainfo | MagnetLink:
    """The torrent that ``source`` is, holds or names; of a magnet link, what that says.

    Reads and parses on a thread."""
    if isinstance(source, str) and source.lower().startswith(MAGNET_SCHEME):
        return parse_magnet(source)
    if isinstance(source, str) and source.lower().startswith(URL_SCHEMES):
        # Few fetch, and all the others need not have what it takes.
        from ..http.download import download

        source = await download(source)
    if isinstance(source, Metainfo | MagnetLink):
        return source
    if isinstance(source, bytes):
        return await anyio.to_thread.run_sync(parse_torrent, source)
    return await anyio.to_thread.run_sync(_parse_file, os.fspath(source))


def _parse_file(path: str) -> Metainfo:
    with open(path, "rb") as file:
        # One byte more than is allowed, so that the parser can say that it is too much.
        return parse_torrent(file.read(MAX_TORRENT_BYTES + 1))
