"""Reading the torrent that a command is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .failures import CommandFailed, describe_os_error

if TYPE_CHECKING:
    from torrent_core.metainfo import MagnetLink, Metainfo

MAGNET_SCHEME = "magnet"
WEB_SCHEMES = ("http", "https")
OTHER_SCHEMES = ("ftp", "udp")
HASH_DIGITS = 40


def load_source(source: str) -> Metainfo | MagnetLink:
    """What ``load_torrent`` reads, or what a magnet link says.

    Raises click.UsageError for a malformed link, and what ``load_torrent`` raises."""
    from torrent_core.errors import InvalidMagnet
    from torrent_core.metainfo import parse_magnet

    if _scheme(source) != MAGNET_SCHEME:
        return load_torrent(source)
    try:
        return parse_magnet(source)
    except InvalidMagnet as error:
        raise click.UsageError(f"not a usable magnet link: {error}") from error


def load_torrent(source: str) -> Metainfo:
    """Read and parse a .torrent from a path, from the web, or from stdin for ``-``.

    Raises CommandFailed with the source's name and what is wrong with it, and click.UsageError
    where it can name nothing.
    """
    from torrent_core.errors import InvalidData
    from torrent_core.metainfo import parse_torrent
    from transports.errors import FetchRefused

    name = "stdin" if source == "-" else source
    _refuse_none(source)
    _refuse_links(source)
    try:
        data = _read(source)
        if not data:
            raise CommandFailed(f"{name} is empty")
        return parse_torrent(data)
    except OSError as error:
        detail = error.strerror or str(error)
        raise CommandFailed(f"cannot read {name}: {detail}") from error
    except FetchRefused as error:
        raise CommandFailed(f"cannot fetch {name}: {error}") from error
    except InvalidData as error:
        raise CommandFailed(f"{name} is not a usable torrent: {error}") from error


def _refuse_none(source: str) -> None:
    """Raises click.UsageError for what can name nothing, CommandFailed for a bare info-hash."""
    if not source:
        raise click.UsageError("the source is empty: name a torrent file, a URL or a magnet link")
    if _scheme(source) in WEB_SCHEMES and not _host(source):
        raise click.UsageError(f"{source} is no URL: it names no host")
    info_hash = info_hash_of(source)
    if info_hash is not None and not Path(source).exists():
        link = f"magnet:?xt=urn:btih:{info_hash.hex()}"
        raise CommandFailed(f"there is no file {source}; a magnet link of it is {link}")


def _host(url: str) -> str | None:
    from urllib.parse import urlsplit

    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _refuse_links(source: str) -> None:
    scheme = _scheme(source)
    if scheme == MAGNET_SCHEME:
        raise CommandFailed(
            "a magnet link does not say what is in the torrent:"
            " torrent-core get --metadata-only gets the .torrent file"
        )
    if scheme in OTHER_SCHEMES:
        raise CommandFailed(
            f"{scheme} sources are not supported yet: fetch the .torrent file first,"
            " or pipe it in and name it -"
        )


def _scheme(source: str) -> str:
    return source.partition(":")[0].lower()


def _read(source: str) -> bytes:
    """At most one byte more than a torrent may have: enough for the parser to refuse it."""
    from torrent_core.limits import MAX_TORRENT_BYTES

    if source == "-":
        if sys.stdin is None:
            raise CommandFailed("stdin is closed")
        return sys.stdin.buffer.read(MAX_TORRENT_BYTES + 1)
    if _scheme(source) in WEB_SCHEMES:
        import anyio

        from transports.http.download import download

        return anyio.run(download, source)
    with Path(source).open("rb") as file:
        return file.read(MAX_TORRENT_BYTES + 1)


def make_folder(folder: Path) -> None:
    """The download folder, made if need be; CommandFailed where that is impossible."""
    if folder.is_file():
        raise CommandFailed(f"{folder} is a file: name the folder to download into")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(f"cannot use {describe_os_error(error)}") from error


def info_hash_of(text: str) -> bytes | None:
    """The info-hash that 40 hexadecimal digits are, or None."""
    digits = len(text) == HASH_DIGITS and text.isalnum() and text.isascii()
    try:
        return bytes.fromhex(text) if digits else None
    except ValueError:
        return None
