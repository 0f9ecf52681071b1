"""Puts a pure session to work: feeds it, carries out what it wants, wakes it when it asks.

There is no protocol decision here.  Whoever replaces this file (a thread, a game loop)
owes the core what ``torrent_core.events`` lists, and nothing else.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import cast

import anyio
import anyio.lowlevel

from torrent_core.actions import (
    Action,
    CancelDial,
    CancelFetch,
    Close,
    CreateFiles,
    Dial,
    Fetch,
    HashBlocks,
    HashPiece,
    ReadBlocks,
    Report,
    Resolve,
    SaveNodes,
    SaveResume,
    Send,
    SendDatagram,
    SendMulticast,
    StatFiles,
    WriteBlocks,
)
from torrent_core.errors import LocalProtocolError
from torrent_core.events import Command, Event, Tick
from torrent_core.types import LinkId

from .absent import NoDiscoverer
from .errors import ClientClosed
from .faces import Clock, Discoverer, Machine, Network, Storage

STORAGE_ACTIONS = (
    HashPiece,
    HashBlocks,
    WriteBlocks,
    ReadBlocks,
    StatFiles,
    CreateFiles,
    SaveResume,
)


class Driver:
    """One machine with its clock, disk and network.  For one thread: the event loop's.

    Without a ``discoverer``, fetches and lookups fail, and datagrams go nowhere.

    ``session`` may be replaced by a wrapper of the same face, to record or to inspect.
    """

    def __init__(
        self,
        session: Machine,
        clock: Clock,
        disk: Storage,
        network: Network,
        discoverer: Discoverer | None = None,
    ) -> None:
        self.session = session
        self.failure: Exception | None = None
        """A bug that came out of the core or of an adapter; ``run`` raises it."""
        self._clock = clock
        self._inbox: deque[Event] = deque()
        self._busy = False
        self._closed = False
        self._alarm = math.inf
        self._wake = anyio.Event()
        self._stirred: anyio.Event | None = None
        self._subscribers: list[Callable[[Report], None]] = []
        discoverer = discoverer or NoDiscoverer()
        self._carry: dict[type, Callable[..., None]] = {
            Send: network.send,
            Close: network.close,
            Dial: network.dial,
            CancelDial: network.cancel_dial,
            **dict.fromkeys(STORAGE_ACTIONS, disk.submit),
            **carried_by(discoverer),
        }
        network.attach(self.feed, self.receive_into)
        discoverer.attach(self.feed)
        disk.attach(self.feed, self.report)

    @property
    def now(self) -> float:
        """The driver's clock, in seconds."""
        return self._clock()

    def subscribe(self, subscriber: Callable[[Report], None]) -> None:
        """Call ``subscriber`` with each report, in order; it must be quick and not raise."""
        self._subscribers.append(subscriber)

    def report(self, report: Report) -> None:
        """Hand a report to every subscriber."""
        for subscriber in self._subscribers:
            subscriber(report)

    def feed(self, event: Event) -> None:
        """Tell the machine what happened, and carry out what follows.

        Called while an action is being carried out, it queues.  Never raises: a bug ends
        ``run``, since whoever feeds an event could only swallow it.
        """
        self._inbox.append(event)
        if not self._busy:
            self._drain()

    def receive_into(self, link: LinkId, most: int) -> list[memoryview]:
        """Where the machine would have the next bytes of a link, and be told by ``BytesPlaced``
        before anything else; none if it does not care.  Never raises, as ``feed``."""
        ask = getattr(self.session, "receive_into", None)
        if ask is None or self._busy or self.failure is not None:
            return []
        try:
            places: list[memoryview] = ask(link, most)
        except Exception as bug:
            self._fail(bug)
            return []
        return places

    def command(self, event: Command) -> None:
        """``feed`` for what the user wants: raises LocalProtocolError if it is not allowed.

        Raises ClientClosed after a failure or ``close``.
        """
        if self._closed or self.failure is not None:
            raise ClientClosed("the client is closed") from self.failure
        try:
            actions = self.session.handle(event, self._clock())
        except LocalProtocolError:
            raise
        except Exception as bug:
            self._fail(bug)
            raise
        self._drain(actions)

    def close(self) -> None:
        """Take no more commands."""
        self._closed = True

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once ``condition`` holds of the machine, or there is a failure."""
        while self.failure is None and not condition():
            self._stirred = self._stirred or anyio.Event()
            await self._stirred.wait()

    async def run(self) -> None:
        """Wake the machine at its deadlines, for ever; raises the failure if there is one."""
        while self.failure is None:
            self._wake = anyio.Event()
            deadline = self.session.next_deadline()
            self._alarm = math.inf if deadline is None else deadline.when
            delay = self._alarm - self._clock()
            if delay > 0:
                with anyio.move_on_after(delay):
                    await self._wake.wait()
            else:
                self.feed(Tick())
                await anyio.lowlevel.checkpoint()
        raise self.failure

    def _drain(self, actions: list[Action] | None = None) -> None:
        """Carry out ``actions``, then handle what is queued, until nothing is left to do."""
        self._busy = True
        try:
            self._carry_out(actions or [])
            while self._inbox and self.failure is None:
                event = self._inbox.popleft()
                self._carry_out(self.session.handle(event, self._clock()))
            self._rearm()
        except Exception as bug:
            self._fail(bug)
        finally:
            self._busy = False
            if self._stirred is not None:
                self._stirred.set()
                self._stirred = None

    def _carry_out(self, actions: list[Action]) -> None:
        carry = self._carry
        for action in actions:
            perform = carry.get(type(action))
            if perform is not None:
                perform(action)
            else:
                self.report(cast(Report, action))

    def _rearm(self) -> None:
        """Wake the timer only if it would sleep too long; a later deadline costs nothing."""
        deadline = self.session.next_deadline()
        if deadline is not None and deadline.when < self._alarm:
            self._wake.set()

    def _fail(self, bug: Exception) -> None:
        self.failure = bug
        self._inbox.clear()
        self._wake.set()


def carried_by(discoverer: Discoverer) -> dict[type, Callable[..., None]]:
    """Which of its methods carries out which action."""
    return {
        Fetch: discoverer.fetch,
        CancelFetch: discoverer.cancel_fetch,
        Resolve: discoverer.resolve,
        SendDatagram: discoverer.send_datagram,
        SendMulticast: discoverer.send_multicast,
        SaveNodes: discoverer.save_nodes,
    }
