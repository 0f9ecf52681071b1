"""Recording: it changes nothing, loses nothing, and says so when it cannot."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from torrent_core import events as ev
from torrent_core.errors import LocalProtocolError
from torrent_core.torrent import Torrent, TorrentConfig
from torrent_core.trace import Ending, Recorder, ReplayReport, TorrentSetup, recorder, replay
from torrent_core.trace.frames import FrameReader
from torrent_core.types import Address, RandomSource
from trace_kit import META, RecordedSwarm
from world import BLOCK
from world_peers import Choker, Corrupter, Leaver, Leech, Peer, Rejecter, Seed, Silent
from world_swarm import OURS, Swarm

KINDS: list[type[Peer]] = [Seed, Leech, Leaver, Silent, Choker, Corrupter, Rejecter]
NAME = META.info_hash


def play(swarm: Swarm, kinds: list[type[Peer]], chunk: int) -> None:
    for port, kind in enumerate(kinds):
        if port % 2:
            swarm.dialled(kind, port=port + 1, chunk=chunk)
        else:
            swarm.join(kind, chunk=chunk)
        swarm.run(seconds=3)
    swarm.feed(ev.StopTorrent(swarm.name))
    swarm.run(seconds=20)


def shown(swarm: Swarm) -> list[object]:
    """All that was wanted, payload as its length, since its buffers are used again."""
    return [
        (type(action), plain(attrs.astuple(action, recurse=False)))
        for step in swarm.trace
        for action in step.actions
    ]


def plain(value: object) -> object:
    if isinstance(value, memoryview):
        return len(value)
    return tuple(map(plain, value)) if type(value) is tuple else value


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    st.sampled_from([0, 7, 1000, 20_000]),
    st.integers(0, 3),
)
@example([Rejecter, Rejecter, Leaver, Rejecter], 0, 1)  # a rest ends as another link refuses
def test_a_recorded_machine_does_what_it_does_alone_and_replays(
    kinds: list[type[Peer]], chunk: int, seed: int
) -> None:
    alone = Swarm(seed=seed)
    recorded = RecordedSwarm(random=Random(seed), check_every=0)  # its accounts are those of alone
    play(alone, kinds, chunk)
    play(recorded, kinds, chunk)
    assert shown(recorded) == shown(alone)
    report = replay(recorded.finished())
    assert report.divergence is None
    assert report.ending is Ending.CLOSED
    assert report.steps == len(recorded.trace)
    assert isinstance(report.machine, Torrent)
    assert report.machine.verified == recorded.torrent.verified
    assert report.machine.next_deadline() == recorded.torrent.next_deadline()


def test_the_deadline_is_the_machines() -> None:
    swarm = RecordedSwarm()
    swarm.join(Silent)
    assert swarm.recorder.next_deadline() == swarm.torrent.next_deadline()
    assert swarm.recorder.next_deadline() is not None


def test_a_refused_event_is_recorded_and_the_run_goes_on() -> None:
    swarm = RecordedSwarm(2 * BLOCK, BLOCK)
    refused: list[ev.Event] = [
        ev.StartTorrent(swarm.name),
        ev.StopTorrent(b"other" * 4),
        ev.LinkOpened("never", Address("192.0.2.1", 1), dial_id=77),
        ev.DialFailed(99),
        ev.Written(swarm.name, 12345),
    ]
    for event in refused:
        with pytest.raises(LocalProtocolError):
            swarm.recorder.handle(event, swarm.now)
    swarm.join(Seed)
    (line,) = swarm.lines.values()
    again = ev.LinkOpened(line.name, Address("192.0.2.1", 1))
    too_much = ev.Sent(line.name, 10**9)
    for event in (again, too_much):
        with pytest.raises(LocalProtocolError):
            swarm.recorder.handle(event, swarm.now)
    swarm.finish()
    report = replay(swarm.finished())
    assert report.is_equal
    assert report.refused == len(refused) + 2
    assert report.links == 1


def test_links_that_nobody_knows_are_recorded_as_gone() -> None:
    swarm = RecordedSwarm(2 * BLOCK, BLOCK)
    for event in (ev.BytesReceived("nobody", b"hello"), ev.Sent("nobody", 5)):
        with pytest.raises(LocalProtocolError, match="no link"):
            swarm.recorder.handle(event, 0.0)
    swarm.recorder.handle(ev.LinkClosed("nobody"), 0.0)
    report = replay(swarm.finished())
    assert report.is_equal
    assert (report.refused, report.links) == (2, 0)


class Odd:
    """No event at all."""


@pytest.mark.parametrize(
    "event",
    [
        Odd(),
        ev.DialFailed("seven"),  # type: ignore[arg-type]
        ev.DialFailed(2**64),
        ev.LinkOpened("link", "192.0.2.1:1"),  # type: ignore[arg-type]
        ev.Recheck(NAME[:19]),
        ev.Written(NAME[:19], 1),
        ev.AddPeer(NAME, None),  # type: ignore[arg-type]
        ev.StorageFailed(NAME, 1, "full"),  # type: ignore[arg-type]
        ev.BytesReceived("nobody", "text"),  # type: ignore[arg-type]
        ev.StartTorrent(NAME, 7),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_recorded_is_refused_before_the_machine_sees_it(event: Any) -> None:
    swarm = RecordedSwarm(2 * BLOCK, BLOCK)
    steps = swarm.written
    with pytest.raises(LocalProtocolError, match="cannot be recorded"):
        swarm.recorder.handle(event, 0.0)
    assert swarm.written == steps
    swarm.join(Seed)
    swarm.finish()
    report = replay(swarm.finished())
    assert report.is_equal
    assert report.refused == 0
    assert report.links == 1


def test_an_event_larger_than_a_record_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = RecordedSwarm()
    monkeypatch.setattr(recorder, "MAX_RECORD_BYTES", 1000)
    with pytest.raises(LocalProtocolError, match="cannot be recorded"):
        swarm.recorder.handle(ev.StartTorrent(swarm.name, bytes(1000)), 0.0)


def test_a_bug_is_recorded_at_once_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Torrent._event_table

    def broken(torrent: Torrent) -> Any:
        def fail(_event: object) -> None:
            raise ZeroDivisionError("oops")

        return {**whole(torrent), ev.Recheck: fail}

    monkeypatch.setattr(Torrent, "_event_table", broken)
    swarm = RecordedSwarm(2 * BLOCK, BLOCK)
    with pytest.raises(ZeroDivisionError):
        swarm.recorder.handle(ev.Recheck(swarm.name), 1.0)
    report = replay(swarm.written)
    assert report.is_equal
    assert report.ending is Ending.CUT_SHORT
    assert report.bug == "ZeroDivisionError"
    monkeypatch.setattr(Torrent, "_event_table", whole)
    first = replay(swarm.written).divergence
    assert first is not None
    assert first.expected == "ZeroDivisionError"
    assert first.got.startswith("digest ")


# --- When it is written ----------------------------------------------------------------------


def frames_of(swarm: RecordedSwarm) -> int:
    return len(list(FrameReader([swarm.written])))


def test_the_first_frame_is_there_before_anything_happens() -> None:
    swarm = RecordedSwarm(start=False)
    assert frames_of(swarm) == 1
    report = replay(swarm.written)
    assert isinstance(report.machine, Torrent)
    assert report.machine.info_hash == swarm.name
    assert (report.steps, report.started, report.now) == (0, 0.0, 0.0)


def test_steps_are_written_once_a_second_by_the_machines_own_clock() -> None:
    swarm = RecordedSwarm(start=False)
    for tenth in range(35):
        swarm.recorder.handle(ev.Tick(), 100 + tenth / 10)
    assert frames_of(swarm) == 1 + 3
    assert replay(swarm.written).steps == 33
    swarm.recorder.flush()
    swarm.recorder.flush()
    assert frames_of(swarm) == 1 + 4
    assert replay(swarm.written).steps == 35


def test_a_clock_that_goes_backwards_does_not_keep_steps_back() -> None:
    swarm = RecordedSwarm(start=False)
    for now in (50.0, 20.0, 49.0, 51.5):
        swarm.recorder.handle(ev.Tick(), now)
    assert frames_of(swarm) == 2
    report = replay(swarm.written)
    assert report.is_equal
    assert (report.started, report.now) == (50.0, 51.5)


def test_much_is_written_at_once() -> None:
    swarm = RecordedSwarm()
    before = frames_of(swarm)
    for _ in range(2):
        swarm.recorder.handle(ev.StopTorrent(swarm.name), swarm.now)
        assert frames_of(swarm) == before
        with pytest.raises(LocalProtocolError):
            swarm.recorder.handle(ev.StartTorrent(swarm.name, bytes(40_000)), swarm.now)
    assert frames_of(swarm) == before + 1


def test_after_closing_steps_are_taken_and_not_recorded() -> None:
    swarm = RecordedSwarm()
    whole = swarm.finished()
    steps = replay(whole).steps
    swarm.recorder.handle(ev.Tick(), swarm.now + 5)
    swarm.recorder.handle(ev.Tick(), swarm.now + 50)
    swarm.recorder.close()
    assert replay(swarm.written).steps == steps


# --- Randomness ------------------------------------------------------------------------------


class Dice:
    """Draws what it is told to, in place of a machine."""

    def __init__(self, random: RandomSource) -> None:
        self.random = random
        self.drawn = [random.getrandbits(70), random.random()]

    def handle(self, event: ev.Event, now: float) -> list[Any]:
        if isinstance(event, ev.DialFailed):
            self.drawn += [self.random.getrandbits(event.dial_id), self.random.random()]
        return []

    def next_deadline(self) -> None:
        return None


@attrs.frozen
class DiceSetup:
    """Says that it is a torrent."""

    told: TorrentSetup = attrs.field(factory=lambda: TorrentSetup(META, OURS))

    def build(self, random: RandomSource) -> Dice:
        return Dice(random)

    def write(self, out: bytearray) -> None:
        self.told.write(out)


class Table:
    """A recorder of dice."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.recorder: Recorder[Dice] = Recorder(DiceSetup(), Random(7), self.chunks.append)

    def replayed(self) -> ReplayReport:
        self.recorder.close()
        return replay(b"".join(self.chunks))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """What it records replays as dice."""
    monkeypatch.setattr(TorrentSetup, "build", lambda _setup, random: Dice(random))
    return Table()


def test_what_is_drawn_is_drawn_again_whatever_the_source(table: Table) -> None:
    for bits in (1, 8, 33, 3000):
        table.recorder.handle(ev.DialFailed(bits), 1.0)
        table.recorder.handle(ev.Tick(), 1.0)
    report = table.replayed()
    assert report.is_equal
    assert isinstance(report.machine, Dice)
    assert report.machine.drawn == table.recorder.machine.drawn
    assert len(report.machine.drawn) == 10


def _more_bits(source: RandomSource) -> None:
    source.getrandbits(9)


def _a_fraction(source: RandomSource) -> None:
    source.random()


def _nothing(source: RandomSource) -> None:
    pass


def _once_more(source: RandomSource) -> None:
    source.getrandbits(8)
    source.random()
    source.random()


@pytest.mark.parametrize(
    ("draw", "got"),
    [
        (_more_bits, "it draws other randomness"),
        (_a_fraction, "it draws other randomness"),
        (_once_more, "it draws other randomness"),
        (_nothing, "less randomness drawn"),
    ],
)
def test_other_randomness_is_a_divergence(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    draw: Callable[[RandomSource], None],
    got: str,
) -> None:
    table.recorder.handle(ev.DialFailed(8), 1.0)

    def handle(dice: Dice, _event: ev.Event, _now: float) -> list[Any]:
        draw(dice.random)
        return []

    monkeypatch.setattr(Dice, "handle", handle)
    first = table.replayed().divergence
    assert first is not None
    assert (first.step, first.got) == (1, got)


def test_the_settings_of_the_recording_are_those_of_the_replay() -> None:
    config = TorrentConfig(upload_slots=0, client_name="someone else")
    swarm = RecordedSwarm(config=config, full=True)
    leech = swarm.join(Leech, extended=True)
    swarm.run(seconds=5)
    assert not leech.blocks_got
    assert replay(swarm.finished()).is_equal
