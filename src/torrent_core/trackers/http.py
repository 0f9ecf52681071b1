"""HTTP trackers: URLs to fetch, and what their bodies mean (BEP 3, 7, 23, 24, 31, 48)."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import chain, islice
from urllib.parse import quote

from ..bencode import Value, decode
from ..errors import BencodeError
from ..limits import MAX_REPLY_PEERS, MAX_TRACKER_ID, MAX_TRACKER_TOKENS
from ..types import Address, Family, InfoHash
from ..wire.compact import from_dictionaries, unpack
from ..wire.udp_tracker import AnnounceEvent
from .values import Announce, AnnounceReply, Failure, ScrapeReply, printable

_MAX_COUNT = 2**32 - 1
_MAX_SECONDS = 2**32 - 1
_MINUTE = 60.0
_OK = 200


def announce_url(url: str, announce: Announce, supports_encryption: bool = False) -> str:
    """The URL that announces; parameters of its own that ``url`` has are kept."""
    uploaded, downloaded, left = announce.totals
    fields = [
        ("info_hash", quote(announce.info_hash, safe="")),
        ("peer_id", quote(announce.peer_id, safe="")),
        ("port", str(announce.port)),
        ("uploaded", str(uploaded)),
        ("downloaded", str(downloaded)),
        ("left", str(left)),
        ("key", f"{announce.key:08X}"),
        ("numwant", str(announce.num_want)),
        ("compact", "1"),
        ("no_peer_id", "1"),
    ]
    if announce.event is not AnnounceEvent.NONE:
        fields.append(("event", announce.event.name.lower()))
    if announce.tracker_id:
        fields.append(("trackerid", quote(announce.tracker_id, safe="")))
    if supports_encryption:
        fields.append(("supportcrypto", "1"))
    return _extended(url, fields)


def scrape_url(url: str, info_hash: InfoHash) -> str | None:
    """The URL that scrapes; None if there is no ``announce`` in the path to put another word
    for (BEP 48)."""
    base, mark, query = url.partition("?")
    scheme, slashes, rest = base.partition("://")
    host, slash, path = rest.partition("/")
    before, word, after = path.rpartition("announce")
    if not word:
        return None
    scrape = f"{scheme}{slashes}{host}{slash}{before}scrape{after}{mark}{query}"
    return _extended(scrape, [("info_hash", quote(info_hash, safe=""))])


def _extended(url: str, fields: list[tuple[str, str]]) -> str:
    if "?" not in url:
        joint = "?"
    else:
        joint = "" if url.endswith(("?", "&")) else "&"
    return url + joint + "&".join(f"{name}={value}" for name, value in fields)


def parse_announce(status: int, body: bytes) -> AnnounceReply | Failure:
    """What a tracker's answer to an announce means."""
    fields = _fields(status, body)
    if isinstance(fields, Failure):
        return fields
    return AnnounceReply(
        interval=_number(fields.get(b"interval"), _MAX_SECONDS),
        min_interval=_number(fields.get(b"min interval"), _MAX_SECONDS),
        seeds=_number(fields.get(b"complete"), _MAX_COUNT),
        leechers=_number(fields.get(b"incomplete"), _MAX_COUNT),
        peers=_peers(fields),
        external_ip=_external_ip(fields.get(b"external ip")),
        tracker_id=_tracker_id(fields.get(b"tracker id")),
        warning=_text(fields.get(b"warning message")),
    )


def parse_scrape(status: int, body: bytes, info_hash: InfoHash) -> ScrapeReply | Failure:
    """What a tracker's answer to a scrape says of this torrent."""
    fields = _fields(status, body)
    if isinstance(fields, Failure):
        return fields
    files = fields.get(b"files")
    swarm = files.get(info_hash) if isinstance(files, dict) else None
    if not isinstance(swarm, dict):
        return Failure("the tracker does not know this torrent", answered=True)
    return ScrapeReply(
        seeds=_number(swarm.get(b"complete"), _MAX_COUNT),
        completed=_number(swarm.get(b"downloaded"), _MAX_COUNT),
        leechers=_number(swarm.get(b"incomplete"), _MAX_COUNT),
    )


def _fields(status: int, body: bytes) -> dict[bytes, Value] | Failure:
    """The dictionary of a body that says yes.

    Some trackers say no with a status of their own and a body as well: the body says more.
    """
    try:
        fields = decode(body, strict=False, max_tokens=MAX_TRACKER_TOKENS)
    except BencodeError as error:
        what = f"an answer that is no bencode: {error}" if status == _OK else _status(status)
        return Failure(what, answered=True)
    if isinstance(fields, dict) and b"failure reason" in fields:
        return _refusal(fields)
    if status != _OK:
        return Failure(_status(status), answered=True)
    if not isinstance(fields, dict):
        return Failure("an answer that is no dictionary", answered=True)
    return fields


def _status(status: int) -> str:
    return f"HTTP status {status}"


def _refusal(fields: dict[bytes, Value]) -> Failure:
    """A failure, and when to ask again: minutes as a number or, as BEP 31 writes it, a string."""
    detail = _text(fields[b"failure reason"]) or "the tracker refused"
    retry = fields.get(b"retry in")
    if retry == b"never":
        return Failure(detail, answered=True, never=True)
    if isinstance(retry, bytes) and retry.isdigit() and len(retry) <= len(str(_MAX_SECONDS)):
        retry = int(retry)
    minutes = _number(retry, _MAX_SECONDS)
    return Failure(detail, answered=True, retry_in=minutes * _MINUTE if minutes else None)


def _peers(fields: dict[bytes, Value]) -> tuple[Address, ...]:
    """At most MAX_REPLY_PEERS of either form and family, none twice."""
    listed, listed6 = fields.get(b"peers"), fields.get(b"peers6")
    found = chain(
        unpack(listed, Family.IPV4) if isinstance(listed, bytes) else (),
        from_dictionaries(listed) if isinstance(listed, list) else (),
        unpack(listed6, Family.IPV6) if isinstance(listed6, bytes) else (),
    )
    return tuple(dict.fromkeys(islice(found, MAX_REPLY_PEERS)))


def _number(field: Value | None, most: int) -> int | None:
    return field if isinstance(field, int) and 0 <= field <= most else None


def _text(field: Value | None) -> str:
    return printable(field) if isinstance(field, bytes) else ""


def _tracker_id(field: Value | None) -> bytes:
    return field if isinstance(field, bytes) and len(field) <= MAX_TRACKER_ID else b""


def _external_ip(field: Value | None) -> str:
    """Four or sixteen bytes (BEP 24), as text."""
    return str(ip_address(field)) if isinstance(field, bytes) and len(field) in (4, 16) else ""
