"""An announcement of local peer discovery and its bytes (BEP 14).

The form is that of an HTTP request: a request line, then headers, then an empty line.  The
``Infohash`` header may occur several times.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Sequence

from ..classes import frozen
from ..errors import LocalDiscoveryError
from ..limits import MAX_LSD_DATAGRAM, MAX_LSD_HASHES
from ..types import Address, InfoHash

REQUEST_LINE = b"BT-SEARCH * HTTP/1.1"
_METHOD = b"BT-SEARCH"
_HASH_DIGITS = 40
_MAX_PORT = 65535


@frozen
class Announcement:
    """Somebody listens on ``port`` and takes part in these torrents."""

    port: int
    info_hashes: tuple[InfoHash, ...]
    """At most ``MAX_LSD_HASHES``, each once."""
    cookie: bytes | None
    """What its sender knows it by, as it stands in the datagram; None without one."""


def format_announcement(
    group: Address, port: int, info_hashes: Sequence[InfoHash], cookie: bytes
) -> bytes:
    """The datagram to send to ``group``; ``cookie`` is printable ASCII without spaces."""
    lines = [REQUEST_LINE, b"Host: " + str(group).encode(), b"Port: %d" % port]
    lines += [b"Infohash: " + info_hash.hex().encode() for info_hash in info_hashes]
    lines += [b"cookie: " + cookie, b"", b"", b""]
    return b"\r\n".join(lines)


def parse_announcement(data: bytes) -> Announcement:
    """What a datagram announces.

    Header names are read in any case, unknown headers and hashes that cannot be are passed
    over (BEP 14 asks for the first; libtorrent does the second).  Raises
    LocalDiscoveryError.
    """
    if len(data) > MAX_LSD_DATAGRAM:
        raise LocalDiscoveryError("longer than any announcement", "the datagram")
    head, end, _ = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not end or lines[0].split(b" ", 1)[0].upper() != _METHOD:
        raise LocalDiscoveryError("no BT-SEARCH request", "the first line")
    headers = [_header(line) for line in lines[1:]]
    cookies = [value for name, value in headers if name == b"cookie"]
    return Announcement(
        _port([value for name, value in headers if name == b"port"]),
        _info_hashes([value for name, value in headers if name == b"infohash"]),
        cookies[0] if cookies else None,
    )


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()


def _port(values: list[bytes]) -> int:
    text = values[0] if values else b""
    if not (text.isdigit() and len(text) <= 5 and 0 < int(text) <= _MAX_PORT):
        raise LocalDiscoveryError("no port that can be", "Port")
    return int(text)


def _info_hashes(values: list[bytes]) -> tuple[InfoHash, ...]:
    found = dict.fromkeys(_info_hash(value) for value in values)
    found.pop(None, None)
    if not found:
        raise LocalDiscoveryError("no info-hash", "Infohash")
    return tuple(info_hash for info_hash in found if info_hash is not None)[:MAX_LSD_HASHES]


def _info_hash(text: bytes) -> InfoHash | None:
    if len(text) != _HASH_DIGITS:
        return None
    try:
        return unhexlify(text)
    except ValueError:
        return None
