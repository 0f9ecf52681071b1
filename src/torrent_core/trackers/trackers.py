"""The trackers of all torrents of a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TypeAlias, cast

from ..actions import TrackerScraped, Warned
from ..deadlines import Deadline, Deadlines, soonest
from ..errors import LocalProtocolError
from ..events import DatagramReceived, Fetched, FetchFailed, Resolved, Tick
from ..limits import MAX_TRACKERS
from ..registry import Registry
from ..types import InfoHash, RandomSource, Totals
from .campaign import Campaign
from .config import TrackerConfig
from .desk import Began, Desk, Ourselves, Result, Settled
from .values import (
    AnnounceReply,
    Failure,
    Found,
    Job,
    Outcome,
    ScrapeReply,
    TrackerUrl,
    check_info_hash,
    parse_url,
)

TrackerEvent: TypeAlias = Fetched | FetchFailed | Resolved | DatagramReceived | Tick


class Trackers:
    """Announces torrents, tells of the peers that it hears of, and takes leave.

    ``peer_id`` and ``key`` (32 bits) name us to every tracker, over either family (BEP 7);
    ``totals`` says what we have moved of a torrent, for as long as it is announced;
    ``new_id`` numbers fetches and resolves, and may be shared with others.  Raises
    LocalProtocolError for a peer id or key that is none, here as for what else the caller
    gets wrong; then nothing has changed.
    """

    __slots__ = ("_campaigns", "_desk", "_due", "_now", "_random")

    def __init__(
        self,
        peer_id: bytes,
        key: int,
        random: RandomSource,
        totals: Callable[[InfoHash], Totals],
        config: TrackerConfig,
        new_id: Callable[[], int],
    ) -> None:
        if len(peer_id) != 20:
            raise LocalProtocolError("a peer id has 20 bytes")
        if not 0 <= key < 2**32:
            raise LocalProtocolError("a key has 32 bits")
        self._random = random
        self._desk = Desk(Ourselves(peer_id, key, totals), random, config, new_id)
        self._campaigns: Registry[InfoHash, Campaign] = Registry()
        self._due: Deadlines[InfoHash] = Deadlines()
        self._now = -inf

    # --- Torrents --------------------------------------------------------------------------

    def add(
        self,
        info_hash: InfoHash,
        tiers: Sequence[Sequence[str]],
        now: float,
        is_private: bool = False,
    ) -> list[Found]:
        """Announce a torrent from now on.  One that is taking leave begins anew.

        Trackers that cannot be used are left out with a ``Warned``, and so are those beyond
        MAX_TRACKERS.  A private torrent uses one tracker at a time (BEP 27).  Raises
        LocalProtocolError if it is announced already.
        """
        check_info_hash(info_hash)
        earlier = self._campaigns.get(info_hash)
        leave = None if earlier is None else earlier.leave
        if earlier is not None and leave is None:
            raise LocalProtocolError("this torrent is announced already")
        self._advance(now)
        if leave is not None:
            leave.abandon(self._now)
            self._campaigns.remove(info_hash)
        usable = self._usable(info_hash, tiers)
        campaign = Campaign(info_hash, usable, self._desk, self._random, is_private, self._now)
        self._campaigns.add(info_hash, campaign)
        campaign.tick(self._now)
        return self._settle(campaign)

    def completed(self, info_hash: InfoHash, now: float) -> list[Found]:
        """The torrent became complete: its trackers are told at once."""
        campaign = self._campaign(info_hash)
        self._advance(now)
        campaign.completed(self._now)
        return self._settle(campaign)

    def stop(self, info_hash: InfoHash, now: float) -> list[Found]:
        """Tell its trackers that we leave, for STOP_ANNOUNCE_TIMEOUT at the longest.

        ``totals`` is asked about it for the last time."""
        campaign = self._campaign(info_hash)
        self._advance(now)
        campaign.stop(self._now)
        return self._settle(campaign)

    def is_stopping(self, info_hash: InfoHash) -> bool:
        """Whether a tracker has yet to take our leave."""
        campaign = self._campaigns.get(info_hash)
        return campaign is not None and campaign.is_stopping

    def want_peers(self, info_hash: InfoHash, now: float) -> list[Found]:
        """The torrent is short of peers: announce as soon as the tracker in use allows."""
        campaign = self._campaign(info_hash)
        self._advance(now)
        campaign.want_peers()
        campaign.tick(self._now)
        return self._settle(campaign)

    def scrape(self, info_hash: InfoHash, url: str, now: float) -> list[Found]:
        """Ask this tracker about a swarm, ours or not.  Ends in a ``TrackerScraped``."""
        check_info_hash(info_hash)
        parsed = parse_url(url)
        if parsed is None:
            raise LocalProtocolError(f"{url!r} is no tracker")
        self._advance(now)
        self._desk.submit(Job(info_hash, parsed, None))
        return self._settle(None)

    # --- The world -------------------------------------------------------------------------

    def handle(self, event: TrackerEvent, now: float) -> list[Found]:
        """Take what happened.  A datagram that nobody waits for has no effect.

        Raises LocalProtocolError for an answer to what is not asked, or not any longer.
        """
        if isinstance(event, Fetched | FetchFailed) and not self.owns(event.fetch_id):
            raise LocalProtocolError(f"no fetch {event.fetch_id} is out")
        if isinstance(event, Resolved) and not self.owns(event.resolve_id):
            raise LocalProtocolError(f"no resolve {event.resolve_id} is out")
        self._advance(now)
        if not isinstance(event, Tick):
            self._desk.handle(event, self._now)
        return self._settle(None)

    def owns(self, number: int) -> bool:
        """Whether a fetch or resolve of this number is ours, and not answered."""
        return self._desk.owns(number)

    def takes(self, event: DatagramReceived) -> bool:
        """Whether a datagram is the answer of a tracker: it comes from the right address and
        has the transaction id that was sent there."""
        return self._desk.takes(event)

    def next_deadline(self) -> Deadline | None:
        """When a ``Tick`` is owed, and why; None if everything waits for others."""
        first, desk = self._due.soonest(), self._desk.due()
        return soonest(
            self.due(first[1]) if first else None,
            Deadline(desk, "a tracker does not answer") if desk is not None else None,
        )

    def due(self, info_hash: InfoHash) -> Deadline | None:
        """What is due next for this torrent; None if nothing is, or there is no such torrent."""
        campaign = self._campaigns.get(info_hash)
        return campaign.explain(self._desk.due()) if campaign is not None else None

    # --- Inside ----------------------------------------------------------------------------

    def _campaign(self, info_hash: InfoHash) -> Campaign:
        campaign = self._campaigns.get(info_hash)
        if campaign is None:
            raise LocalProtocolError("this torrent is not announced")
        return campaign

    def _usable(
        self, info_hash: InfoHash, tiers: Sequence[Sequence[str]]
    ) -> list[list[TrackerUrl]]:
        """The trackers that can be used, by tier."""
        usable: list[list[TrackerUrl]] = []
        refused: list[str] = []
        room = MAX_TRACKERS
        for tier in tiers:
            parsed = [(url, parse_url(url)) for url in tier]
            refused += [url for url, tracker in parsed if tracker is None]
            good = [tracker for _, tracker in parsed if tracker is not None]
            usable.append(good[:room])
            refused += [tracker.text for tracker in good[room:]]
            room -= len(usable[-1])
        if refused:
            self._desk.actions.append(Warned(info_hash, _left_out(refused)))
        return usable

    def _advance(self, now: float) -> None:
        """Everything that is due by now; time does not go back."""
        self._now = max(self._now, now)
        self._desk.tick(self._now)
        self._catch_up()

    def _catch_up(self) -> None:
        """Until nothing is due any more: what came of one thing may make another due at once."""
        self._conclude()
        while (info_hash := self._due.pop_due(self._now)) is not None:
            campaign = self._campaign(info_hash)
            campaign.tick(self._now)
            self._review(campaign)
            self._conclude()

    def _settle(self, touched: Campaign | None) -> list[Found]:
        """The end of every step: start what there is room for.  Returns the step's actions."""
        if touched is not None:
            self._review(touched)
        self._catch_up()
        actions = list(self._desk.actions)
        self._desk.actions.clear()
        return actions

    def _conclude(self) -> None:
        """Hand on what came of jobs, until there is room for no other."""
        self._desk.fill(self._now)
        while self._desk.results:
            results = list(self._desk.results)
            self._desk.results.clear()
            for result in results:
                self._hand_on(result)
            self._desk.fill(self._now)

    def _hand_on(self, result: Result) -> None:
        job = result.job
        campaign = self._campaigns.get(job.info_hash)
        if job.event is None:
            if isinstance(result, Settled):
                self._desk.actions.append(_scraped(job, result.outcome))
        elif campaign is not None and campaign.is_concerned(job):
            self._tell(campaign, result)
            self._review(campaign)

    def _tell(self, campaign: Campaign, result: Result) -> None:
        if isinstance(result, Began):
            campaign.began(result.job, self._now)
        elif isinstance(result.outcome, Failure):
            campaign.failed(result.job, result.outcome, self._now)
        else:  # a job with an event is an announce, and answered as one
            campaign.replied(result.job, cast(AnnounceReply, result.outcome), self._now)

    def _review(self, campaign: Campaign) -> None:
        """A torrent may be due at another moment now, or have left."""
        if campaign.is_over:
            self._due.clear(campaign.info_hash)
            self._campaigns.remove(campaign.info_hash)
        else:
            self._due.put(campaign.info_hash, campaign.due())


def _scraped(job: Job, outcome: Outcome) -> TrackerScraped:
    if isinstance(outcome, Failure):
        return TrackerScraped(job.info_hash, job.url.text, None, None, None, outcome.detail)
    reply = cast(ScrapeReply, outcome)  # a job without an event is a scrape
    return TrackerScraped(job.info_hash, job.url.text, reply.seeds, reply.completed, reply.leechers)


def _left_out(urls: list[str]) -> str:
    """What a person reads of URLs that are not used."""
    first = f"{urls[0][:100]!r}"
    if len(urls) == 1:
        return f"1 tracker is left out: {first}"
    return f"{len(urls)} trackers are left out, the first is {first}"
