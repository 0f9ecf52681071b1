"""Replaying: equal runs, the first step that differs, and traces that are not whole."""

from __future__ import annotations

from contextlib import nullcontext
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.errors import LocalProtocolError, TraceError
from torrent_core.limits import MIN_PIPELINE
from torrent_core.pieces import pace
from torrent_core.session import Session
from torrent_core.torrent import Torrent
from torrent_core.torrent.running import Running
from torrent_core.trace import Ending, Recorder, SessionSetup, TorrentSetup, replay
from torrent_core.trace.codec import EVENTS, FINGERPRINT, Codec
from torrent_core.trace.frames import FrameReader, FrameWriter
from torrent_core.trace.steps import BYTES, BYTES_BODY, HEAD
from torrent_core.trace.values import INT
from torrent_core.types import Address, TorrentState
from trace_kit import META, Pair, RecordedSwarm, small_trace
from world import BLOCK
from world_peers import Choker, Leaver, Seed
from world_swarm import OURS

SMALL = small_trace()


@settings(max_examples=20)
@given(
    st.integers(1, 6 * BLOCK),
    st.lists(st.one_of(st.integers(1, 100), st.integers(1, 3 * BLOCK)), min_size=1, max_size=5),
)
def test_a_download_between_two_sessions_replays_on_either_side(
    total: int, cuts: list[int]
) -> None:
    pair = Pair(total, cuts if max(cuts) > 2000 else [*cuts, BLOCK])
    pair.run()
    assert pair.disks["leech"] == pair.payload
    for name in pair.disks:
        report = replay(pair.trace(name))
        assert report.divergence is None
        assert report.ending is Ending.CLOSED
        assert report.links == 1
        assert isinstance(report.machine, Session)
        torrent = report.machine.torrents.get(pair.meta.info_hash)
        assert torrent is not None
        assert torrent.verified == pair.meta.geometry.all_pieces


def test_what_was_moved_is_counted() -> None:
    pair = Pair(5 * BLOCK)
    pair.run()
    there, here = replay(pair.trace("seed")), replay(pair.trace("leech"))
    assert there.sent == here.received > 5 * BLOCK
    assert there.received == here.sent < BLOCK


def test_a_trace_has_no_payload_in_it() -> None:
    pair = Pair(40 * BLOCK)
    pair.run()
    for name in pair.disks:
        trace = pair.trace(name)
        assert len(trace) < 40 * BLOCK / 100
        raw = b"".join(frame.data for frame in FrameReader([trace]))
        assert bytes(pair.payload[BLOCK : BLOCK + 32]) not in raw


def test_a_trace_may_come_in_chunks_of_any_kind() -> None:
    report = replay(SMALL)
    assert report.is_equal
    for chunks in ([SMALL], [SMALL[:9], b"", SMALL[9:]], (bytes([byte]) for byte in SMALL)):
        other = replay(chunks)
        assert (other.steps, other.ending) == (report.steps, report.ending)
    for whole in (bytearray(SMALL), memoryview(SMALL)):
        assert replay(whole).steps == report.steps


# --- What differs ----------------------------------------------------------------------------


def test_a_machine_that_was_changed_diverges_at_the_step_where_it_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swarm = RecordedSwarm()
    swarm.join(Leaver)
    swarm.join(Seed)
    swarm.finish()
    trace = swarm.finished()
    assert replay(trace).is_equal
    monkeypatch.setattr(pace, "MIN_PIPELINE", MIN_PIPELINE - 1)
    report = replay(trace)
    first = report.divergence
    assert first is not None
    assert report.ending is Ending.DIVERGED
    assert not report.is_equal
    assert report.steps == first.step < len(swarm.trace)
    was = swarm.trace[first.step - 1]
    assert first.now == was.now
    assert type(first.event) is type(was.event)
    assert first.expected != first.got
    assert list(first.actions) != was.actions
    assert 0 < first.offset < len(trace)
    (asked,) = [action for action in first.actions if isinstance(action, act.Send)]
    (asks,) = [action for action in was.actions if isinstance(action, act.Send)]
    assert len(asks.data) - len(asked.data) == 17


@pytest.mark.parametrize("change", ["refuses", "takes", "raises"])
def test_another_outcome_is_a_divergence(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = RecordedSwarm()
    event = ev.Recheck(swarm.name if change != "takes" else b"other" * 4)
    with pytest.raises(LocalProtocolError) if change == "takes" else nullcontext():
        swarm.recorder.handle(event, swarm.now)
    trace = swarm.finished()

    def handler(_running: Running, _event: ev.Recheck) -> None:
        if change == "refuses":
            raise LocalProtocolError("no re-check today")
        if change == "raises":
            raise KeyError("a bug")

    monkeypatch.setattr(Running, "recheck", handler)
    if change == "takes":
        monkeypatch.setattr(Torrent, "_check_name", lambda _torrent, _name: None)
    first = replay(trace).divergence
    assert first is not None
    assert first.event == event
    said = {"refuses": "LocalProtocolError", "raises": "KeyError"}.get(change, "digest ")
    assert first.got.startswith(said)
    assert first.expected.startswith("LocalProtocolError" if change == "takes" else "digest ")


# --- Up to a moment ----------------------------------------------------------------------------


def test_a_replay_stops_where_it_is_told_and_hands_the_machine_over() -> None:
    swarm = RecordedSwarm(config=None)
    swarm.now = 1000.0
    swarm.join(Choker)
    swarm.run(seconds=20)
    swarm.join(Seed)
    swarm.finish()
    trace = swarm.finished()
    began = swarm.trace[0].now
    early = replay(trace, until=swarm.trace[-1].now - began - 0.001)
    assert early.ending is Ending.UNTIL
    assert early.started == began
    assert early.now == pytest.approx(swarm.trace[-1].now - 0.001)
    assert 0 < early.steps < len(swarm.trace)
    assert isinstance(early.machine, Torrent)
    assert early.machine.state is TorrentState.DOWNLOADING
    before = replay(trace, until=1010.0 - began)
    assert isinstance(before.machine, Torrent)
    assert before.now == pytest.approx(1010.0)
    assert before.machine.verified == 0
    assert [peer.peer_choking for peer in before.machine.peers(before.now)] == [True]
    beyond = replay(trace, until=1e6)
    assert beyond.ending is Ending.CLOSED
    assert beyond.now == swarm.trace[-1].now


def test_what_is_damaged_after_the_moment_asked_for_does_not_matter() -> None:
    damaged = SMALL[:-20] + bytes(20)
    with pytest.raises(TraceError):
        replay(damaged)
    assert replay(damaged, until=0.5).ending is Ending.UNTIL


# --- What is not whole -------------------------------------------------------------------------


def test_cut_at_any_byte_it_replays_as_far_as_it_goes() -> None:
    whole = replay(SMALL).steps
    steps = 0
    frames = list(FrameReader([SMALL]))
    assert len(frames) > 3
    for cut in range(len(SMALL)):
        report = replay(SMALL[:cut])
        assert report.is_equal
        assert report.ending is Ending.CUT_SHORT
        assert report.read <= cut
        assert report.steps >= steps
        steps = report.steps
        assert (report.machine is None) == (cut < frames[1].offset)
        with pytest.raises(TraceError, match=f"cut short \\(at byte {report.read}\\)"):
            replay(SMALL[:cut], strict=True)
    assert steps == whole
    assert replay(SMALL, strict=True).steps == whole


@pytest.mark.uncovered
@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_any_byte_that_is_another_is_found(change: int) -> None:
    for at in range(len(SMALL)):
        damaged = bytearray(SMALL)
        damaged[at] ^= change
        with pytest.raises(TraceError) as caught:
            replay(damaged)
        assert int(caught.value.where.removeprefix("byte ")) <= at


@given(st.binary(max_size=200))
def test_noise_is_no_trace(noise: bytes) -> None:
    for data in (noise, SMALL[:8] + noise, SMALL[:200] + noise):
        try:
            report = replay(data)
        except TraceError:
            continue
        assert report.ending is Ending.CUT_SHORT


# --- What is forged: every check is right, and what it protects is not --------------------------


def header(fingerprint: int = FINGERPRINT, setup: bytes | None = None) -> bytes:
    out = bytearray()
    INT.write(out, fingerprint)
    if setup is None:
        SessionSetup(OURS).write(out)
    return bytes(out) + (setup or b"") + b"\0\0"


def forged(*frames: bytes) -> bytes:
    pieces: list[bytes] = []
    writer = FrameWriter(pieces.append)
    for frame in frames:
        writer.write(frame)
    return b"".join(pieces)


def an_event(event: ev.Event) -> bytes:
    out = bytearray(HEAD.pack(0, 1.0, 0))
    Codec("event", EVENTS, lambda link: 1).write(out, event)
    return bytes(out)


OPENED = an_event(ev.LinkOpened("any", Address("192.0.2.1", 1)))


@pytest.mark.parametrize(
    ("frames", "what"),
    [
        ([header(fingerprint=1)], "recorded by a version whose events or actions are others"),
        ([header(setup=b"\x07")], "no machine has the number 7"),
        ([header()[:-1]], "a record ends too early"),
        ([header(), b"\x0f" + bytes(12)], "no kind of record has the number 15"),
        ([header(), HEAD.pack(0, 1.0, 0) + b"\xee"], "no event has the number 238"),
        ([header(), HEAD.pack(BYTES, 1.0, 0) + BYTES_BODY.pack(9, 0, 0)], "bytes of no link"),
        (
            [header(), OPENED + HEAD.pack(BYTES, 1.0, 0) + BYTES_BODY.pack(1, 2**32 - 1, 0)],
            "bytes of no link, or too many",
        ),
        (
            [header(), OPENED + HEAD.pack(BYTES, 1.0, 0) + BYTES_BODY.pack(1, 5, 0)],
            "bytes that do not fit together",
        ),
    ],
)
def test_what_no_recorder_wrote_is_an_error_with_its_frame(frames: list[bytes], what: str) -> None:
    trace = forged(*frames)
    last = list(FrameReader([trace]))[-1].offset
    with pytest.raises(TraceError, match=what) as caught:
        replay(trace)
    assert caught.value.where == f"byte {last}"


def test_arguments_that_no_machine_takes_are_an_error() -> None:
    out = bytearray()
    SessionSetup(b"short").write(out)
    with pytest.raises(TraceError, match="the machine cannot be made again: a peer id has"):
        replay(forged(header(setup=bytes(out))))


@given(st.lists(st.binary(max_size=100), max_size=4))
def test_forged_noise_is_an_error_or_a_divergence(noise: list[bytes]) -> None:
    for frames in (noise, [header(), *noise], [header(), OPENED, *noise]):
        try:
            report = replay(forged(*filter(None, frames)))
        except TraceError:
            continue
        assert report.divergence is not None or not any(noise)


@given(st.data())
def test_a_forged_change_is_an_error_or_a_report(data: st.DataObject) -> None:
    frames = [bytearray(frame.data) for frame in FrameReader([SMALL])]
    frame = frames[data.draw(st.integers(0, len(frames) - 1))]
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        report = replay(forged(*map(bytes, frames)))
    except TraceError:
        return
    assert report.steps > 0


def test_a_digest_that_is_another_is_found_at_its_step() -> None:
    chunks: list[bytes] = []
    recorder = Recorder(TorrentSetup(META, OURS), Random(1), chunks.append)
    recorder.handle(ev.Tick(), 0.0)
    recorder.handle(ev.StartTorrent(META.info_hash), 0.0)
    recorder.flush()
    first, second = (frame.data for frame in FrameReader(chunks))
    tick, start = second[: HEAD.size], second[HEAD.size :]
    kind, now, digest = HEAD.unpack_from(start)
    changed = HEAD.pack(kind, now, digest ^ 1) + start[HEAD.size :]
    divergence = replay(forged(first, tick + changed)).divergence
    assert divergence is not None
    assert divergence.step == 2
    assert divergence.expected == f"digest {digest ^ 1:08x}"
    assert divergence.got == f"digest {digest:08x}"
    assert divergence.actions == (
        act.StateChanged(META.info_hash, TorrentState.CHECKING),
        act.StatFiles(META.info_hash, 1),
    )
