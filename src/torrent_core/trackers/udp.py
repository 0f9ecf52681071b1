"""One address of a UDP tracker: connection id, retransmission, what waits for an answer (BEP 15).

A request is sent up to UDP_TRIES times, 15 s * 2^n apart.  A connection id that has expired
meanwhile is asked for anew as one of these times, so that nothing goes on for ever; all that
wait for one share the question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import attrs

from ..actions import SendDatagram
from ..classes import define
from ..deadlines import Deadlines
from ..errors import WireError
from ..limits import CONNECTION_LIFE, MAX_REPLY_PEERS, UDP_RETRY, UDP_TRIES
from ..types import Address, Family, RandomSource
from ..wire.udp_tracker import (
    AnnounceRequest,
    AnnounceResponse,
    ConnectRequest,
    ConnectResponse,
    ErrorResponse,
    Request,
    Response,
    ScrapeRequest,
    ScrapeResponse,
    decode_response,
    encode_request,
)
from .values import AnnounceReply, Failure, Found, Job, Outcome, ScrapeReply, printable

Question: TypeAlias = AnnounceRequest | ScrapeRequest
"""What is asked; its connection id is put in as it leaves."""

SILENCE = Failure("no answer")


class HostKey(NamedTuple):
    """What tells UDP trackers apart."""

    host: str
    port: int


@define(eq=False)
class Wires:
    """What all UDP trackers share."""

    random: RandomSource
    actions: list[Found]
    """Where actions go."""
    settle: Callable[[Job, Outcome], None]
    """Told the outcome of each part of a job, once."""
    waiting: dict[tuple[Address, int], UdpChannel] = attrs.field(factory=dict)
    """Who waits for a datagram from this address with this transaction id."""


@define(eq=False)
class _Asked:
    """One part of a job, at one address."""

    job: Job
    question: Question
    sent: int = 0
    """Datagrams sent so far."""


@define(eq=False)
class _Connect:
    """The question for a connection id that is out."""

    transaction: int
    sent: int
    """Datagrams sent so far, those of the request that had to ask again included."""


class UdpChannel:
    """Exchanges with one address.  ``waiting`` of the wires leads datagrams to ``handle``."""

    __slots__ = (
        "_asked",
        "_connect",
        "_connection",
        "_due",
        "_expires",
        "_numbers",
        "_unsent",
        "_wires",
        "address",
        "family",
        "is_silent",
        "tracker",
    )

    def __init__(self, tracker: HostKey, address: Address, wires: Wires) -> None:
        self.tracker = tracker
        self.address = address
        self.family = Family.IPV6 if ":" in address.host else Family.IPV4
        self.is_silent = False
        """Something was given up; cleared by who looks for a better address."""
        self._wires = wires
        self._connection = 0
        self._expires: float | None = None
        self._connect: _Connect | None = None
        self._unsent: dict[Job, _Asked] = {}
        """Waiting for a connection id."""
        self._asked: dict[int, _Asked] = {}
        """Out, by transaction id."""
        self._numbers: dict[Job, int] = {}
        """Transaction ids of what is out."""
        self._due: Deadlines[int] = Deadlines()
        """When to send again or give up, by transaction id."""

    def ask(self, job: Job, question: Question, now: float) -> None:
        """Ask as soon as there is a connection id; the outcome goes to ``settle``."""
        self._send(_Asked(job, question), now)

    def forget(self, job: Job) -> None:
        """Nobody wants to know any longer; what comes of it is ignored."""
        if job in self._numbers:
            self._drop(self._numbers[job])
        self._unsent.pop(job, None)
        if not self._unsent:
            self._end_connect()

    def handle(self, transaction: int, data: bytes, now: float) -> None:
        """A datagram came for a transaction that is out.  One that makes no sense is as lost."""
        try:
            response = decode_response(data, self.family)
        except WireError:
            return
        if self._connect is not None and transaction == self._connect.transaction:
            self._connected(response, now)
        else:
            self._answered(transaction, response)

    def tick(self, now: float) -> None:
        """Send again what is due, or give it up."""
        while (transaction := self._due.pop_due(now)) is not None:
            if self._connect is not None and transaction == self._connect.transaction:
                self._retry_connect(self._connect, now)
            else:
                self._retry(transaction, now)

    def due(self) -> float | None:
        """When ``tick`` has something to do, or an idle connection is worth nothing more."""
        first = self._due.next_at()
        return self._expires if first is None else first

    def is_idle(self, now: float) -> bool:
        """Whether nothing would be lost with this object."""
        return not (self._due or self._has_connection(now))

    # --- Sending ---------------------------------------------------------------------------

    def _has_connection(self, now: float) -> bool:
        return self._expires is not None and now < self._expires

    def _send(self, asked: _Asked, now: float, transaction: int | None = None) -> None:
        """Ask; again under the same number, so that a late answer still counts."""
        if self._has_connection(now):
            chosen = self._reserve() if transaction is None else transaction
            self._asked[chosen] = asked
            self._numbers[asked.job] = chosen
            asked.sent += 1
            question = attrs.evolve(
                asked.question, connection_id=self._connection, transaction_id=chosen
            )
            self._transmit(chosen, question, asked.sent, now)
            return
        if transaction is not None:
            self._drop(transaction)
        self._unsent[asked.job] = asked
        if self._connect is None:
            self._connect = _Connect(self._reserve(), asked.sent)
            self._send_connect(self._connect, now)

    def _send_connect(self, connect: _Connect, now: float) -> None:
        connect.sent += 1
        self._transmit(connect.transaction, ConnectRequest(connect.transaction), connect.sent, now)

    def _transmit(self, transaction: int, request: Request, sent: int, now: float) -> None:
        """Send the datagram that is the ``sent``-th of its kind, and wait for 15 s * 2^n."""
        self._due.set(transaction, now + UDP_RETRY * 2.0 ** (sent - 1))
        self._wires.actions.append(SendDatagram(self.address, encode_request(request)))

    def _retry(self, transaction: int, now: float) -> None:
        asked = self._asked[transaction]
        if asked.sent < UDP_TRIES:
            self._send(asked, now, transaction)
        else:
            self._drop(transaction)
            self._give_up([asked])

    def _retry_connect(self, connect: _Connect, now: float) -> None:
        if connect.sent < UDP_TRIES:
            self._send_connect(connect, now)
        else:
            self._give_up(self._end_connect())

    def _give_up(self, many: list[_Asked]) -> None:
        self.is_silent = True
        self._settle(many, SILENCE)

    # --- Answers ---------------------------------------------------------------------------

    def _connected(self, response: Response, now: float) -> None:
        if isinstance(response, ConnectResponse):
            self._connection = response.connection_id
            self._expires = now + CONNECTION_LIFE
            for asked in self._end_connect():
                self._send(asked, now)
        elif isinstance(response, ErrorResponse):
            self._settle(self._end_connect(), _refused(response))

    def _answered(self, transaction: int, response: Response) -> None:
        """An error may mean that the connection id was not to the tracker's taste."""
        asked = self._asked[transaction]
        outcome = _meaning(asked.question, response)
        if outcome is None:
            return
        if isinstance(outcome, Failure):
            self._expires = None
        self._drop(transaction)
        self._settle([asked], outcome)

    def _settle(self, many: list[_Asked], outcome: Outcome) -> None:
        for asked in many:
            self._wires.settle(asked.job, outcome)

    # --- Transactions ----------------------------------------------------------------------

    def _reserve(self) -> int:
        """A transaction id that nobody else waits for at this address."""
        chosen = self._wires.random.getrandbits(32)
        while (self.address, chosen) in self._wires.waiting:
            chosen = (chosen + 1) & 0xFFFFFFFF
        self._wires.waiting[self.address, chosen] = self
        return chosen

    def _release(self, transaction: int) -> None:
        self._due.clear(transaction)
        del self._wires.waiting[self.address, transaction]

    def _drop(self, transaction: int) -> None:
        self._release(transaction)
        del self._numbers[self._asked.pop(transaction).job]

    def _end_connect(self) -> list[_Asked]:
        """The question for a connection id is settled.  Returns who waited for it."""
        if self._connect is not None:
            self._release(self._connect.transaction)
            self._connect = None
        many = list(self._unsent.values())
        self._unsent.clear()
        return many


def _meaning(question: Question, response: Response) -> Outcome | None:
    """What a response says to this question; None if it answers another."""
    if isinstance(response, ErrorResponse):
        return _refused(response)
    if isinstance(question, AnnounceRequest) and isinstance(response, AnnounceResponse):
        return AnnounceReply(
            interval=response.interval,
            min_interval=response.interval,  # BEP 15: not again before, but for events
            seeds=response.seeders,
            leechers=response.leechers,
            peers=tuple(dict.fromkeys(response.peers[:MAX_REPLY_PEERS])),
        )
    if isinstance(question, ScrapeRequest) and isinstance(response, ScrapeResponse):
        if not response.swarms:
            return Failure("the tracker does not know this torrent", answered=True)
        return ScrapeReply(*response.swarms[0])
    return None


def _refused(response: ErrorResponse) -> Failure:
    return Failure(printable(response.message) or "the tracker refused", answered=True)
