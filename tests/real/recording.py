"""What a session was told and what it answered, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import anyio
import attrs

from torrent_core import actions, events
from torrent_core.types import BlockInfo, LinkId
from transports import Client

A = TypeVar("A")

REQUEST = 6
REQUEST_SIZE = 17


@attrs.frozen
class Step:
    """One call of ``handle``."""

    event: events.Event
    actions: tuple[actions.Action, ...]

    def of_type(self, wanted: type[A]) -> list[A]:
        """The actions of one type, in order."""
        return [action for action in self.actions if isinstance(action, wanted)]

    def asked_of(self, link: LinkId) -> set[BlockInfo]:
        """Blocks in the REQUEST messages that this step sends to ``link``, read off the bytes."""
        sent = b"".join(send.data for send in self.of_type(actions.Send) if send.link == link)
        return set(_requests(sent))


def _requests(sent: bytes) -> Iterator[BlockInfo]:
    at = 0
    while at < len(sent):
        end = at + 4 + int.from_bytes(sent[at : at + 4], "big")
        if end - at == REQUEST_SIZE and sent[at + 4] == REQUEST:
            fields = (int.from_bytes(sent[n : n + 4], "big") for n in range(at + 5, end, 4))
            yield BlockInfo(*fields)
        at = end


class Recorder:
    """Stands in for the session of a client's driver and writes every step down.

    ``on_step`` is called after each one, before its actions are carried out; it may look at
    the session but not feed it.
    """

    def __init__(self, client: Client) -> None:
        self.steps: list[Step] = []
        self.on_step: Callable[[Step], None] = lambda _: None
        self._stepped = anyio.Event()
        self._session = client.driver.session
        client.driver.session = self  # type: ignore[assignment]

    def handle(self, event: events.Event, now: float) -> list[actions.Action]:
        answered = self._session.handle(event, now)
        step = Step(event, tuple(answered))
        self.steps.append(step)
        self.on_step(step)
        self._stepped.set()
        return answered

    async def next_step(self) -> None:
        """Return when at least one more step has been taken, and its actions carried out."""
        self._stepped = anyio.Event()
        await self._stepped.wait()

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def link_of(self, host: str) -> LinkId:
        """The link whose handshake with ``host`` was done last."""
        ready = [r for step in self.steps for r in step.of_type(actions.LinkReady)]
        return next(r.link for r in reversed(ready) if r.address.host == host)
