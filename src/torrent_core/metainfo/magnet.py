"""Magnet links, read and written (BEP 9, "magnet URI format"; BEP 53)."""

from __future__ import annotations

from base64 import b32decode
from binascii import Error as Base32Error
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import quote, unquote_to_bytes

from ..classes import frozen
from ..errors import InvalidMagnet
from ..limits import MAX_FILES, MAX_HOST_NAME, MAX_MAGNET_ENTRIES, MAX_MAGNET_LENGTH
from ..types import Address, InfoHash
from .model import HASH_LENGTH

_T = TypeVar("_T")

_SCHEME = b"magnet:?"
_BTIH = b"urn:btih:"
_BTMH = b"urn:btmh:"
_HEX_LENGTH = 2 * HASH_LENGTH
_BASE32_LENGTH = 32
_MOST_DIGITS = len(str(MAX_FILES))

Run = tuple[int, int]
"""The first and the last index of neighbouring files."""


@frozen
class MagnetLink:
    """What a magnet link says of a torrent.  ``str`` of it is the link."""

    info_hash: InfoHash
    name: str = ""
    """What to show until the torrent's own name is known (``dn``)."""
    trackers: tuple[str, ...] = ()
    """Announce URLs, the best first (``tr``)."""
    peers: tuple[Address, ...] = ()
    """Peers that may have the metadata (``x.pe``)."""
    web_seeds: tuple[str, ...] = ()
    """URLs of the payload (``ws``)."""
    only: tuple[Run, ...] | None = None
    """The files that are wanted (``so``, BEP 53), as ascending runs of indices that do not
    touch; None for all."""

    def priorities(self, count: int) -> tuple[int, ...] | None:
        """The priority of each of ``count`` files; None for all normal.

        Also None where the link wants none of the files that there are: then it speaks of
        another torrent, and is not to be believed in this.
        """
        wanted = bytearray(count)
        for first, last in self.only or ():
            if first < count:
                end = min(last + 1, count)
                wanted[first:end] = b"\1" * (end - first)
        return tuple(wanted) if any(wanted) else None

    def __str__(self) -> str:
        parts = [f"magnet:?xt=urn:btih:{self.info_hash.hex()}"]
        parts += [f"dn={_quote(self.name)}"] if self.name else []
        parts += [f"tr={_quote(url)}" for url in self.trackers]
        parts += [f"ws={_quote(url)}" for url in self.web_seeds]
        parts += [f"x.pe={quote(str(peer), safe='[]:')}" for peer in self.peers]
        if self.only is not None:
            parts.append("so=" + ",".join(map(_run_text, self.only)))
        return "&".join(parts)


def parse_magnet(text: str) -> MagnetLink:
    """What a magnet link says.

    Parameters may come in any order, their names in any case and with a number behind a
    period, as libtorrent takes them.  Unknown ones are ignored, and so are values of optional
    ones that cannot be.  Raises InvalidMagnet, with the name of the parameter, for what is no
    magnet link or names no torrent of version 1, or several.
    """
    if len(text) > MAX_MAGNET_LENGTH:
        raise InvalidMagnet(f"more than {MAX_MAGNET_LENGTH} characters")
    raw = text.strip().encode("utf-8", "replace")
    if raw[: len(_SCHEME)].lower() != _SCHEME:
        raise InvalidMagnet("does not begin with magnet:?")
    fields: dict[bytes, list[bytes]] = {}
    for part in raw[len(_SCHEME) :].split(b"&"):
        name, _, value = part.partition(b"=")
        fields.setdefault(_plain(name), []).append(value)
    names = [_text(value.replace(b"+", b" ")) for value in fields.get(b"dn", ())]
    return MagnetLink(
        info_hash=_info_hash(fields.get(b"xt", [])),
        name="".join(filter(str.isprintable, next(filter(None, names), ""))),
        trackers=_first(map(_text, fields.get(b"tr", ()))),
        peers=_first(_peer(_text(value)) for value in fields.get(b"x.pe", ())),
        web_seeds=_first(map(_text, fields.get(b"ws", ()))),
        only=_runs(b",".join(fields.get(b"so", ()))),
    )


def _plain(name: bytes) -> bytes:
    """The name of a parameter without the number that may tell it from others like it."""
    head, _, number = name.lower().rpartition(b".")
    return head if number.isdigit() else name.lower()


def _text(value: bytes) -> str:
    return unquote_to_bytes(value).decode("utf-8", "replace").strip()


def _quote(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _first(items: Iterable[_T | None]) -> tuple[_T, ...]:
    """The items that are something, once each, and not too many."""
    return tuple(dict.fromkeys(item for item in items if item))[:MAX_MAGNET_ENTRIES]


# --- Which torrent ---------------------------------------------------------------------------


def _info_hash(topics: list[bytes]) -> InfoHash:
    topics = [unquote_to_bytes(topic) for topic in topics]
    hashes = [topic[len(_BTIH) :] for topic in topics if topic[: len(_BTIH)].lower() == _BTIH]
    named = dict.fromkeys(map(_digest, hashes))
    if len(named) > 1:
        raise InvalidMagnet("names several torrents", "xt")
    if named:
        return next(iter(named))
    if any(topic[: len(_BTMH)].lower() == _BTMH for topic in topics):
        raise InvalidMagnet("only for version 2 (BEP 52); version 1 is needed", "xt")
    raise InvalidMagnet("names no torrent (urn:btih:...)", "xt")


def _digest(digits: bytes) -> InfoHash:
    """Forty hexadecimal digits or thirty-two of base 32 (RFC 3548)."""
    try:
        if len(digits) == _HEX_LENGTH and digits.isalnum():
            return bytes.fromhex(digits.decode())
        if len(digits) == _BASE32_LENGTH:
            return b32decode(digits, casefold=True)
    except (ValueError, Base32Error) as error:
        raise InvalidMagnet("an info-hash that is no number", "xt") from error
    raise InvalidMagnet(f"an info-hash of {len(digits)} characters", "xt")


# --- Who has it ------------------------------------------------------------------------------


def _peer(text: str) -> Address | None:
    """``host:port`` or ``[address]:port``; None for what nobody can be dialled by."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_version_6(host):
            return None
    elif not _is_name(host):
        return None
    if not (port.isascii() and port.isdigit()) or len(port) > 5:
        return None
    return Address(host, int(port)) if 0 < int(port) <= 0xFFFF else None


def _is_version_6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def _is_name(host: str) -> bool:
    letters = host.replace("-", "").replace(".", "").replace("_", "")
    return len(host) <= MAX_HOST_NAME and letters.isascii() and letters.isalnum()


# --- Which files -----------------------------------------------------------------------------


def _runs(text: bytes) -> tuple[Run, ...] | None:
    """``0,2,4,6-8`` as runs that ascend and do not touch; None if it names nothing."""
    runs: list[Run] = []
    for first, last in sorted(filter(None, map(_run, unquote_to_bytes(text).split(b",")))):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = runs[-1][0], max(last, runs[-1][1])
        else:
            runs.append((first, last))
    return tuple(runs[:MAX_MAGNET_ENTRIES]) or None


def _run(token: bytes) -> Run | None:
    first, dash, last = token.partition(b"-")
    ends = [_index(first), _index(last if dash else first)]
    if ends[0] is None or ends[1] is None or ends[0] > ends[1]:
        return None
    return ends[0], ends[1]


def _index(digits: bytes) -> int | None:
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        return None
    index = int(digits)
    return index if index < MAX_FILES else None


def _run_text(run: Run) -> str:
    first, last = run
    return str(first) if first == last else f"{first}-{last}"
