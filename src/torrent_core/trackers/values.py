"""What is said to a tracker and what it answers, whatever the protocol in between."""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import urlsplit

import attrs

from ..actions import Action
from ..classes import define, frozen
from ..errors import LocalProtocolError
from ..events import PeersFound
from ..limits import MAX_TRACKER_TEXT, MAX_TRACKER_URL
from ..types import Address, InfoHash, Totals
from ..wire.udp_tracker import AnnounceEvent

Found: TypeAlias = Action | PeersFound
"""What a source of peers answers: actions and reports for the driver, peers for the torrent."""

_UDP_PORT = 80


@frozen
class TrackerUrl:
    """An announce URL that can be used."""

    text: str
    """As it was given, without the space around it and without a fragment."""
    is_udp: bool
    host: str
    """A name in lower case, or a literal without brackets."""
    port: int
    """Where a UDP tracker listens (80 if the URL does not say); else 0, HTTP knows best."""
    url_data: bytes = b""
    """Path and query (BEP 41)."""


def parse_url(url: str) -> TrackerUrl | None:
    """The URL of an http, https or udp tracker; None for what is none.

    Only printable ASCII is taken, so that no URL can put a line into an HTTP request.
    """
    text = url.strip()
    if len(text) > MAX_TRACKER_URL or not all("!" <= char <= "~" for char in text):
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    is_udp = parts.scheme == "udp"
    if not host or port == 0 or not (is_udp or parts.scheme in ("http", "https")):
        return None
    query = f"?{parts.query}" if parts.query else ""
    return TrackerUrl(
        text=text.partition("#")[0],
        is_udp=is_udp,
        host=host,
        port=(port or _UDP_PORT) if is_udp else 0,
        url_data=(parts.path + query).encode() if is_udp else b"",
    )


@frozen
class Announce:
    """What we tell a tracker, in the words of BEP 3."""

    info_hash: InfoHash
    peer_id: bytes
    port: int
    totals: Totals
    event: AnnounceEvent
    key: int
    num_want: int
    tracker_id: bytes = b""


@frozen
class AnnounceReply:
    """What a tracker tells us; None where it is silent.  Times in seconds, as it said them."""

    interval: int | None = None
    min_interval: int | None = None
    seeds: int | None = None
    leechers: int | None = None
    peers: tuple[Address, ...] = ()
    external_ip: str = ""
    """Our own address as the tracker sees it (BEP 24)."""
    tracker_id: bytes = b""
    warning: str = ""


@frozen
class ScrapeReply:
    """What a tracker knows of one swarm; None where it is silent (BEP 48)."""

    seeds: int | None
    completed: int | None
    leechers: int | None


@frozen
class Failure:
    """A request that came to nothing; ``detail`` is for people."""

    detail: str
    answered: bool = False
    """The tracker is there, and said no or something that makes no sense."""
    retry_in: float | None = None
    """Seconds until the tracker wants to hear from us again (BEP 31)."""
    never: bool = False
    """It does not want to, ever (BEP 31)."""


Outcome: TypeAlias = AnnounceReply | ScrapeReply | Failure


@define(eq=False)
class Job:
    """One request to one tracker: an announce or, without an event, a scrape.

    It may go out in several parts, one for each family; the first good answer settles it,
    and each further one is good as well.
    """

    info_hash: InfoHash
    url: TrackerUrl
    event: AnnounceEvent | None
    tracker_id: bytes = b""
    totals: Totals | None = None
    """What to tell of us; None for whatever is true when it goes out."""
    serial: int = 0
    """Given by the desk; ascending."""
    parts: int = 0
    """Of them so many are not answered yet; written by the desk."""
    began: bool = False
    """It has left the line."""
    answered: bool = False
    """A good answer has come."""
    is_over: bool = False
    """All parts have their outcome, or nobody wants to know any longer."""
    fetches: list[int] = attrs.field(factory=list)
    """Its fetches, if its tracker speaks HTTP; written by the desk."""
    failure: Failure | None = None
    """The most telling of the failures so far."""

    @property
    def is_waiting(self) -> bool:
        """Whether it may still come to anything, and has not yet."""
        return not (self.answered or self.is_over)


def printable(text: bytes) -> str:
    """Words of a tracker, fit for a terminal."""
    decoded = text[: 4 * MAX_TRACKER_TEXT].decode(errors="replace")
    return "".join(filter(str.isprintable, decoded))[:MAX_TRACKER_TEXT]


def check_info_hash(info_hash: InfoHash) -> None:
    """Raise LocalProtocolError unless this is one."""
    if len(info_hash) != 20:
        raise LocalProtocolError("an info-hash has 20 bytes")
