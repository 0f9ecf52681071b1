"""What may happen next in a world, and how it happens: the alphabet of all runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from ...limits import BLOCK_SIZE
from ...types import BlockInfo
from ...wire import messages as wire
from .choices import Choice, Path, What
from .peers import Peer
from .setting import CORRUPT, GOOD, Setting
from .world import World

Step: TypeAlias = Callable[[World, Choice], None]


def world_after(setting: Setting, path: Path) -> World:
    """The world at the end of a run.

    A run is repeated from its start whenever a world is needed: a torrent holds buffers,
    callbacks and what they close over, so a deep copy would still share state with its
    original, and costs more than the handful of calls that lead to it.
    """
    world = World(setting)
    for choice in path:
        take(world, choice)
    return world


def take(world: World, choice: Choice) -> None:
    """Let ``choice``, which must be one of ``choices(world)``, happen."""
    _STEPS[choice.what](world, choice)


def choices(world: World) -> list[Choice]:
    """Everything that may happen next."""
    found = [choice for peer in world.peers for choice in _of_peer(world, peer)]
    for number in range(len(world.disk.pending)):
        found.append(Choice(What.STORAGE, number))
        if world.failures:
            found.append(Choice(What.STORAGE_FAILS, number))
    if world.torrent.next_deadline() is not None:
        found.append(Choice(What.TICK))
    if world.waits:
        found += [Choice(What.WAIT, number) for number in range(len(world.setting.waits))]
    return found


def _of_peer(world: World, peer: Peer) -> Iterator[Choice]:
    setting = world.setting
    if peer.link is None:
        if peer.opened <= setting.reconnects:
            yield Choice(What.OPEN, peer.number)
            if setting.piecemeal:
                yield Choice(What.OPEN_EMPTY, peer.number)
        return
    yield Choice(What.UNCHOKE if peer.choking else What.CHOKE, peer.number)
    yield Choice(What.LEAVE, peer.number)
    for kind in _answers(world, peer):
        yield Choice(kind, peer.number)
    for piece in range(setting.pieces):
        if not peer.has >> piece & 1:
            yield Choice(What.HAVE, peer.number, piece)


def _answers(world: World, peer: Peer) -> Iterator[What]:
    if peer.asked:
        yield What.ANSWER
        if world.corruptions:
            yield What.CORRUPT
        if peer.fast:
            yield What.REJECT
    if len(peer.asked) > 1:
        yield What.ANSWER_NEWEST
        if world.corruptions:
            yield What.CORRUPT_NEWEST
    if peer.owed:
        yield What.LATE
        if peer.fast:
            yield What.REJECT_LATE


# --- Peers -----------------------------------------------------------------------------


def _open(world: World, choice: Choice) -> None:
    whole = choice.what is What.OPEN
    world.open(world.peers[choice.which], world.setting.all_pieces if whole else 0)


def _have(world: World, choice: Choice) -> None:
    peer = world.peers[choice.which]
    world.say(peer, peer.have(choice.piece))


def _unchoke(world: World, choice: Choice) -> None:
    peer = world.peers[choice.which]
    world.say(peer, peer.unchoke())


def _choke(world: World, choice: Choice) -> None:
    peer = world.peers[choice.which]
    world.say(peer, peer.choke())


def _leave(world: World, choice: Choice) -> None:
    world.leave(world.peers[choice.which])


def _answer(world: World, choice: Choice) -> None:
    peer = world.peers[choice.which]
    newest = choice.what in (What.ANSWER_NEWEST, What.CORRUPT_NEWEST)
    corrupt = choice.what in (What.CORRUPT, What.CORRUPT_NEWEST)
    world.corruptions -= corrupt
    answer(world, peer, peer.take(newest=newest), CORRUPT if corrupt else GOOD)


def answer(world: World, peer: Peer, block: BlockInfo, mark: bytes = GOOD) -> None:
    """A block comes from ``peer``."""
    world.say(peer, world.setting.messages[block, mark])


def _late(world: World, choice: Choice) -> None:
    peer = world.peers[choice.which]
    answer(world, peer, peer.take_late())


def _reject(world: World, choice: Choice) -> None:
    peer = world.peers[choice.which]
    late = choice.what is What.REJECT_LATE
    block = peer.owed.pop(0) if late else peer.take(newest=False)
    world.say(peer, wire.encode(wire.Reject(block.piece, block.begin, BLOCK_SIZE)))


# --- Storage and time ------------------------------------------------------------------


def _storage(world: World, choice: Choice) -> None:
    world.feed(world.disk.answer(choice.which))


def _storage_fails(world: World, choice: Choice) -> None:
    world.failures -= 1
    world.feed(world.disk.fail(choice.which))


def _tick(world: World, _choice: Choice) -> None:
    world.tick()


def _wait(world: World, choice: Choice) -> None:
    world.waits -= 1
    world.now += world.setting.waits[choice.which]


_STEPS: dict[What, Step] = {
    What.OPEN: _open,
    What.OPEN_EMPTY: _open,
    What.HAVE: _have,
    What.UNCHOKE: _unchoke,
    What.CHOKE: _choke,
    What.ANSWER: _answer,
    What.ANSWER_NEWEST: _answer,
    What.CORRUPT: _answer,
    What.CORRUPT_NEWEST: _answer,
    What.LATE: _late,
    What.REJECT: _reject,
    What.REJECT_LATE: _reject,
    What.LEAVE: _leave,
    What.STORAGE: _storage,
    What.STORAGE_FAILS: _storage_fails,
    What.TICK: _tick,
    What.WAIT: _wait,
}
