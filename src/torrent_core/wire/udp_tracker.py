"""Datagrams between a client and a UDP tracker (BEP 15), with the options of BEP 41.

Numbers are big-endian.  What follows a datagram's known fields is ignored, as BEP 15 asks.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TypeAlias

from ..classes import frozen
from ..errors import LocalProtocolError, WireError
from ..types import Address, Buffer, Family, InfoHash, Totals
from .compact import pack_all, unpack

PROTOCOL_ID = 0x41727101980
"""What a connect request has in place of a connection id (BEP 15)."""

MAX_SCRAPED = 74
"""Torrents of one scrape (BEP 15: "up to about 74")."""

_CONNECT, _ANNOUNCE, _SCRAPE, _ERROR = range(4)
_HEAD = struct.Struct(">QII")
_ANSWER = struct.Struct(">II")
_CONNECTED = struct.Struct(">Q")
_ASKED = struct.Struct(">20s20sQQQIIIiH")
_ANNOUNCED = struct.Struct(">III")
_SCRAPED = struct.Struct(">III")

_END, _NOP, _URL_DATA = range(3)
_MAX_OPTION = 255


class AnnounceEvent(Enum):
    """Why a client announces; the value is BEP 15's number, the name BEP 3's word."""

    NONE = 0
    COMPLETED = 1
    STARTED = 2
    STOPPED = 3


@frozen
class ConnectRequest:
    """Asks for a connection id."""

    transaction_id: int


@frozen
class ConnectResponse:
    """Gives one, for CONNECTION_LIFE seconds."""

    transaction_id: int
    connection_id: int


@frozen
class AnnounceRequest:
    """Fields bear the names of BEP 15; its ``IP address`` is always 0, the default."""

    connection_id: int
    transaction_id: int
    info_hash: InfoHash
    peer_id: bytes
    totals: Totals
    event: AnnounceEvent
    key: int
    num_want: int
    """-1 leaves it to the tracker."""
    port: int
    url_data: bytes = b""
    """Path and query of the tracker's URL (BEP 41)."""


@frozen
class AnnounceResponse:
    """``peers`` are of the family over which the datagram came."""

    transaction_id: int
    interval: int
    leechers: int
    seeders: int
    peers: tuple[Address, ...]


@frozen
class ScrapeRequest:
    """Asks about torrents without taking part."""

    connection_id: int
    transaction_id: int
    info_hashes: tuple[InfoHash, ...]


@frozen
class ScrapeResponse:
    """(seeders, completed, leechers) of each torrent, in the order of the request."""

    transaction_id: int
    swarms: tuple[tuple[int, int, int], ...]


@frozen
class ErrorResponse:
    """The tracker will not; ``message`` as it came."""

    transaction_id: int
    message: bytes


Request: TypeAlias = ConnectRequest | AnnounceRequest | ScrapeRequest
Response: TypeAlias = ConnectResponse | AnnounceResponse | ScrapeResponse | ErrorResponse


def transaction_of(data: Buffer) -> int | None:
    """The transaction id of what may be a response; None if it is too short for one."""
    return int.from_bytes(data[4:8], "big") if len(data) >= _ANSWER.size else None


# --- What a client sends -----------------------------------------------------------------------


def encode_request(request: Request) -> bytes:
    """The datagram.  Raises LocalProtocolError for a number that does not fit its field, an
    id that is not of 20 bytes, or more than MAX_SCRAPED torrents."""
    try:
        if isinstance(request, ConnectRequest):
            return _HEAD.pack(PROTOCOL_ID, _CONNECT, request.transaction_id)
        if isinstance(request, AnnounceRequest):
            return _encode_announce(request)
        return _encode_scrape(request)
    except struct.error as error:
        raise LocalProtocolError(f"not in BEP 15: {error}") from error


def _encode_announce(request: AnnounceRequest) -> bytes:
    if len(request.info_hash) != 20 or len(request.peer_id) != 20:
        raise LocalProtocolError("info-hash and peer id have 20 bytes")
    uploaded, downloaded, left = request.totals
    return (
        _HEAD.pack(request.connection_id, _ANNOUNCE, request.transaction_id)
        + _ASKED.pack(
            *(request.info_hash, request.peer_id, downloaded, left, uploaded),
            *(request.event.value, 0, request.key, request.num_want, request.port),
        )
        + _encode_options(request.url_data)
    )


def _encode_options(url_data: bytes) -> bytes:
    """As many options as ``url_data`` needs (BEP 41); none if there is none."""
    parts = (url_data[at : at + _MAX_OPTION] for at in range(0, len(url_data), _MAX_OPTION))
    return b"".join(bytes((_URL_DATA, len(part))) + part for part in parts)


def _encode_scrape(request: ScrapeRequest) -> bytes:
    hashes = request.info_hashes
    if len(hashes) > MAX_SCRAPED or any(len(one) != 20 for one in hashes):
        raise LocalProtocolError(f"at most {MAX_SCRAPED} info-hashes of 20 bytes")
    head = _HEAD.pack(request.connection_id, _SCRAPE, request.transaction_id)
    return head + b"".join(hashes)


def decode_request(data: Buffer) -> Request:
    """What a client sent.  Raises WireError."""
    raw = bytes(data)
    if len(raw) < _HEAD.size:
        raise WireError("a request of less than 16 bytes", "offset 0")
    connection_id, action, transaction_id = _HEAD.unpack_from(raw)
    if action == _CONNECT and connection_id == PROTOCOL_ID:
        return ConnectRequest(transaction_id)
    if action == _ANNOUNCE:
        return _decode_announce(raw, connection_id, transaction_id)
    if action == _SCRAPE:
        ends = range(_HEAD.size + 20, len(raw) + 1, 20)
        hashes = tuple(raw[end - 20 : end] for end in ends)
        return ScrapeRequest(connection_id, transaction_id, hashes[:MAX_SCRAPED])
    raise WireError(f"no request of action {action}", "offset 8")


def _decode_announce(raw: bytes, connection_id: int, transaction_id: int) -> AnnounceRequest:
    end = _HEAD.size + _ASKED.size
    if len(raw) < end:
        raise WireError(f"an announce of less than {end} bytes", "offset 16")
    fields = _ASKED.unpack_from(raw, _HEAD.size)
    info_hash, peer_id, downloaded, left, uploaded, event, _, key, num_want, port = fields
    if event > AnnounceEvent.STOPPED.value:
        raise WireError(f"no event {event}", "offset 80")
    return AnnounceRequest(
        connection_id,
        transaction_id,
        info_hash,
        peer_id,
        Totals(uploaded, downloaded, left),
        AnnounceEvent(event),
        key,
        num_want,
        port,
        _decode_options(raw, end),
    )


def _decode_options(raw: bytes, at: int) -> bytes:
    """The URL data of all options together (BEP 41)."""
    url_data = b""
    while at < len(raw) and raw[at] != _END:
        if raw[at] == _NOP:
            at += 1
            continue
        start = at + 2
        end = start + (raw[at + 1] if start <= len(raw) else 1)
        if end > len(raw):
            raise WireError("an option longer than what is left", f"offset {at}")
        if raw[at] == _URL_DATA:
            url_data += raw[start:end]
        at = end
    return url_data


# --- What a tracker sends ----------------------------------------------------------------------


def encode_response(response: Response, family: Family) -> bytes:
    """The datagram; of an announce's peers those of ``family``.

    Raises LocalProtocolError for a number that does not fit its field."""
    try:
        action, body = _encode_body(response, family)
        return _ANSWER.pack(action, response.transaction_id) + body
    except struct.error as error:
        raise LocalProtocolError(f"not in BEP 15: {error}") from error


def _encode_body(response: Response, family: Family) -> tuple[int, bytes]:
    if isinstance(response, ConnectResponse):
        return _CONNECT, _CONNECTED.pack(response.connection_id)
    if isinstance(response, AnnounceResponse):
        numbers = _ANNOUNCED.pack(response.interval, response.leechers, response.seeders)
        return _ANNOUNCE, numbers + pack_all(response.peers, family)
    if isinstance(response, ScrapeResponse):
        return _SCRAPE, b"".join(_SCRAPED.pack(*swarm) for swarm in response.swarms)
    return _ERROR, response.message


def decode_response(data: Buffer, family: Family) -> Response:
    """What a tracker sent over this family.  Raises WireError."""
    raw = bytes(data)
    if len(raw) < _ANSWER.size:
        raise WireError("a response of less than 8 bytes", "offset 0")
    action, transaction_id = _ANSWER.unpack_from(raw)
    body = raw[_ANSWER.size :]
    if action == _CONNECT and len(body) >= _CONNECTED.size:
        return ConnectResponse(transaction_id, *_CONNECTED.unpack_from(body))
    if action == _ANNOUNCE and len(body) >= _ANNOUNCED.size:
        interval, leechers, seeders = _ANNOUNCED.unpack_from(body)
        peers = tuple(unpack(body[_ANNOUNCED.size :], family))
        return AnnounceResponse(transaction_id, interval, leechers, seeders, peers)
    if action == _SCRAPE:
        whole = len(body) // _SCRAPED.size * _SCRAPED.size
        return ScrapeResponse(transaction_id, tuple(_SCRAPED.iter_unpack(body[:whole])))
    if action == _ERROR:
        return ErrorResponse(transaction_id, body)
    raise WireError(f"no response of action {action} and {len(raw)} bytes", "offset 0")
