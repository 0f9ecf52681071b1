"""Dialling the peers of the book: draws on the session's links and half-open dials."""

from __future__ import annotations

from collections.abc import Callable, Sized

from ..actions import CancelDial, Dial
from ..candidates import Bans, DialBook
from ..deadlines import Deadline
from ..limits import MAX_STRANGER_LINKS, MIN_LINKS_WANTED
from ..types import Address, PeerSource
from .live import LinkContext, LiveLink

OF_PRIVATE = (PeerSource.NAMED, PeerSource.MAGNET, PeerSource.TRACKER)
"""Who may tell of peers of a private torrent (BEP 27): its tracker, and its user."""


class Dialling:
    """Turns due candidates into ``Dial`` actions.

    ``new_dial_id`` numbers dials over the whole session, since the answers do not name the
    torrent.
    """

    def __init__(self, context: LinkContext, links: Sized, new_dial_id: Callable[[], int]) -> None:
        self._context = context
        self._links = links
        self._new_id = new_dial_id
        self._ours: dict[int, tuple[int, Address]] = {}  # the session's number -> the book's
        self._cancellable: dict[int, int] = {}  # and back, of dials not cancelled yet
        self.book = DialBook(context.random, is_barred=context.bans.bars)
        self.stale = True
        """Something happened that ``tick`` should look at."""
        self._is_waiting = False  # for others to return links or dials

    @property
    def bans(self) -> Bans:
        """Whom it does not dial."""
        return self._context.bans

    def move(self, context: LinkContext, links: Sized) -> None:
        """Go on for ``context``, which has the same name and the same ``bans``."""
        self._context = context
        self._links = links
        self.stale = True

    def add(self, address: Address) -> None:
        """Dial this peer, and again for as long as the torrent runs."""
        self.book.add(address, self._context.now)
        self.stale = True

    def drop(self, address: Address) -> None:
        """Do not dial it again."""
        under_way = self.book.drop(address)
        if under_way is not None:
            self._cancel(under_way)

    def turned_private(self) -> None:
        """Its trackers and its user alone may tell of peers (BEP 27): forget all others."""
        self.stale = True
        for under_way in self.book.keep_only(OF_PRIVATE):
            self._cancel(under_way)

    def review(self, hosts: list[str]) -> None:
        """The bans of these hosts have changed."""
        self.stale = True
        for host in hosts:
            self.book.review(host, self._context.now)

    def knows(self, dial_id: int) -> bool:
        """Whether that dial is ours and under way."""
        return dial_id in self._ours

    def opened(self, dial_id: int) -> tuple[Address, bool]:
        """The dial became a link: whose, as it was named, and whether it is still wanted."""
        number, address = self._answered(dial_id)
        return address, self.book.opened(number) is not None

    def failed(self, dial_id: int) -> None:
        """The dial came to nothing."""
        self.stale = True
        number, _ = self._answered(dial_id)
        self.book.failed(number, self._context.now)
        self._context.budgets.links.give(1)

    def link_lost(self, link: LiveLink) -> None:
        """A link is gone: those whose link it was wait for their next dial."""
        self.stale = True
        now, is_seed = self._context.now, self._context.is_seed(link.state)
        for address in link.candidates:
            if is_seed:
                self.book.note_seed(address, now)
            self.book.closed(address, now, now - link.opened_at, link.was_useful)

    def is_ourselves(self, link: LiveLink) -> None:
        """The link leads to ourselves: never dial that address again."""
        for address in link.candidates:
            self.book.turned_out_ours(address)

    def cancel_all(self) -> None:
        """The torrent stops; the dials under way are answered all the same."""
        for number in self.book.dialing():
            self._cancel(number)

    def tick(self) -> None:
        """Give up dials that take too long, and begin those that are due."""
        self.stale = self._is_waiting = False
        context = self._context
        for number in self.book.expired(context.now):
            self._cancel(number)
        if not context.may_dial:
            return
        self.book.set_complete(context.is_complete, context.now)
        for number, address in self.book.next_dials(context.now, self._room(), self._strangers()):
            context.budgets.links.take(1, context.info_hash)
            context.budgets.half_open.take(1, context.info_hash)
            dial_id = self._new_id()
            self._ours[dial_id] = number, address
            self._cancellable[number] = dial_id
            context.actions.append(Dial(dial_id, address))
        self._wait_for_room()

    def next_deadline(self) -> Deadline | None:
        """When ``tick`` has something to do.

        Without room a redial is still named until it is due, since others may return some
        before; from then on ``tick`` has us told when they do.
        """
        if self.book.is_idle:  # as for most of most downloads, and seen at a glance
            return None
        if not self._context.may_dial:
            return self.book.next_deadline(0)
        room = self._room() or (0 if self._is_waiting else 1)
        return self.book.next_deadline(room, self._strangers())

    def scheduled(self) -> tuple[Deadline | None, ...]:
        """The next dial, and when the longest of those under way is given up."""
        redial = self.book.next_redial() if self._context.may_dial else None
        return redial, self.book.next_deadline(room=0)

    @property
    def is_short(self) -> bool:
        """Whether there are few links, and nobody left to dial for more."""
        if len(self._links) + len(self._ours) >= MIN_LINKS_WANTED:
            return False
        return not self.book.has_due(self._context.now)

    def _room(self) -> int:
        budgets = self._context.budgets
        return min(budgets.links.room, budgets.half_open.room)

    def _strangers(self) -> int:
        """Strangers who may be dialled: a torrent does not take all links of the session."""
        return MAX_STRANGER_LINKS - len(self._links) - len(self._ours)

    def _wait_for_room(self) -> None:
        """Be told when others return what a due dial lacks."""
        context = self._context
        due = self.book.next_redial(self._strangers())
        if due is None or due.when > context.now:
            return
        for budget in (context.budgets.links, context.budgets.half_open):
            if not budget.room:
                self._is_waiting = True
                budget.wait(context.info_hash)

    def _cancel(self, number: int) -> None:
        """Once: a dial that was given up may be dropped as well before it is answered."""
        dial_id = self._cancellable.pop(number, None)
        if dial_id is not None:
            self._context.actions.append(CancelDial(dial_id))

    def _answered(self, dial_id: int) -> tuple[int, Address]:
        number, address = self._ours.pop(dial_id)
        self._cancellable.pop(number, None)
        self._context.budgets.half_open.give(1)
        return number, address
