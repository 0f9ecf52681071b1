"""``assert_accounted`` names what is stranded and what happened to it; timelines can be read."""

from __future__ import annotations

import attrs
import pytest

from torrent_core import actions as act
from torrent_core import events as ev
from torrent_core.accounts import Account, Entry, Explanation
from torrent_core.deadlines import Deadline
from torrent_core.testing import (
    Honest,
    SessionWorld,
    Silent,
    Stalled,
    Step,
    TorrentWorld,
    assert_accounted,
)
from torrent_core.testing.payload import BLOCK
from torrent_core.testing.speech import messages_in, parse, phrase, requested
from torrent_core.testing.timeline import describe, history, timeline
from torrent_core.types import Address, BlockInfo, InfoHash, ReleaseCause, Span, TorrentState
from torrent_core.wire import messages as wire

NAME = b"x" * 20


@attrs.define
class Fake:
    """A machine that explains itself as it is told."""

    entries: tuple[Entry, ...]
    due: float | None = None
    session: bool = False

    def next_deadline(self) -> Deadline | None:
        return None if self.due is None else Deadline(self.due, "something")

    def explain(self, now: float) -> Explanation | dict[InfoHash, Explanation]:
        found = Explanation(NAME, now, TorrentState.DOWNLOADING, self.entries, ())
        return {NAME: found} if self.session else found


def entry(
    account: Account = Account.REQUESTED, until: float | None = None, within: int | None = None
) -> Entry:
    return Entry(account, "asked of somebody", 2, 0b100, within=within, until=until)


STRANDED = entry(Account.STRANDED, within=0b101)


@pytest.mark.parametrize("session", [False, True])
def test_a_stranded_block_is_named_with_its_piece(session: bool) -> None:
    with pytest.raises(Stalled, match=r"stranded at 7.0: blocks \[0, 2\] of piece 2"):
        assert_accounted(Fake((entry(), STRANDED), session=session), 7.0)


def test_whole_pieces_may_be_stranded() -> None:
    with pytest.raises(Stalled, match="all blocks of piece 2"):
        assert_accounted(Fake((entry(Account.STRANDED),)), 0.0)


@pytest.mark.parametrize("due", [None, 9.5])
def test_a_deadline_after_what_an_account_names_is_too_late(due: float | None) -> None:
    with pytest.raises(Stalled, match=r"asked of somebody, until 9.0, but .*deadline"):
        assert_accounted(Fake((entry(until=20.0), entry(until=9.0)), due=due), 1.0)


@pytest.mark.parametrize(("now", "due"), [(1.0, 9.0), (1.0, 2.0), (9.5, 9.5)])
def test_a_deadline_in_time_is_fine(now: float, due: float) -> None:
    assert_accounted(Fake((entry(until=9.0), entry()), due=due), now)


def test_nothing_missing_needs_no_deadline() -> None:
    assert_accounted(Fake(()), 0.0)


def test_the_history_of_a_stranded_piece_is_told() -> None:
    world = TorrentWorld()
    world.join(Honest)
    world.finish()
    with pytest.raises(Stalled) as stalled:
        assert_accounted(Fake((STRANDED,)), world.now, world.trace)
    text = str(stalled.value)
    assert "What happened to piece 2:" in text
    assert "2 x Request 2+0 to 2+16384" in text
    assert "PieceVerified piece=2" in text
    assert "piece=3" not in text


def test_a_machine_that_strands_a_block_is_caught_in_the_act() -> None:
    world = TorrentWorld()
    world.torrent.explain = lambda now: Fake((STRANDED,)).explain(now)  # type: ignore
    with pytest.raises(Stalled) as stalled:
        world.join(Silent)
    assert "LinkOpened" in stalled.value.__notes__[0]


def test_all_torrents_of_a_session_are_looked_at() -> None:
    world = SessionWorld(BLOCK, BLOCK)
    world.add(0, 1)
    world.check_accounts()


# --- Reading ---------------------------------------------------------------------------------


def encoded(*messages: wire.Message) -> bytes:
    return b"".join(map(wire.encode, messages))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"\xff" * 9, "9 bytes"),
        (b"\0\0\0\x01\x04", "5 bytes"),  # a HAVE without its piece
        (encoded(wire.KeepAlive()), "4 bytes (KeepAlive)"),
        (encoded(wire.Have(7)), "9 bytes (Have 7)"),
        (encoded(wire.Choke(), wire.Choke()), "10 bytes (2 x Choke)"),
        (
            encoded(wire.Request(1, 0, 5), wire.Request(1, 5, 5)),
            "34 bytes (2 x Request 1+0 to 1+5)",
        ),
        (encoded(wire.Piece(3, 16384, b"data"))[:-1], "16 bytes"),
        (b"\x13BitTorrent protocol" + bytes(48) + encoded(wire.HaveNone()), None),
        (encoded(*[wire.Choke(), wire.Unchoke()] * 4), None),
    ],
)
def test_bytes_as_words(data: bytes, words: str | None) -> None:
    if words is not None:
        assert phrase(data) == words
    else:
        assert phrase(data).endswith(("(HANDSHAKE, HaveNone)", "Unchoke, and 2 more)"))


def test_messages_are_read_as_far_as_they_are_whole() -> None:
    data = encoded(wire.Unchoke(), wire.Have(3))
    assert messages_in(data) == [wire.Unchoke(), wire.Have(3)]
    assert messages_in(memoryview(data)[:-1]) == [wire.Unchoke()]


def test_what_one_link_is_asked_for_can_be_read() -> None:
    actions = [
        act.Send("a", encoded(wire.Request(1, 0, 5), wire.Choke())),
        act.Send("b", encoded(wire.Request(2, 0, 5))),
    ]
    assert requested(actions, "a") == {BlockInfo(1, 0, 5)}
    assert list(parse(actions[0].data)) == [wire.Request(1, 0, 5), wire.Choke()]


BLOCKS = tuple(BlockInfo(1, number * BLOCK, BLOCK) for number in range(4))


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (ev.Tick(), "Tick"),
        (ev.SetPriorities(NAME, (0, 1)), "SetPriorities priorities=(0, 1)"),
        (ev.AddPeer(NAME, Address("::1", 2)), "AddPeer address=[::1]:2"),
        (
            act.BlocksReleased(NAME, "a", ReleaseCause.CHOKED, BLOCKS),
            "BlocksReleased link=a cause=ReleaseCause.CHOKED blocks=[1+0, 1+16384, 1+32768, ...]",
        ),
        (
            act.WriteBlocks(NAME, 3, 1, ((Span(0, 5, 2), memoryview(b"ab")),)),
            "WriteBlocks job=3 piece=1 chunks=[[Span(file=0, offset=5, length=2), 2 bytes]]",
        ),
        (act.Warned(NAME, "x" * 100), "Warned text=" + "x" * 60 + "..."),
        (act.SaveResume(NAME, bytearray(b"12")), "SaveResume data=2 bytes"),
    ],
)
def test_events_and_actions_in_one_line(what: ev.Event | act.Action, line: str) -> None:
    assert describe(what) == line


def test_a_timeline_has_a_line_for_each_event_and_action() -> None:
    step = Step(1.5, ev.Tick(), [act.CancelDial(4)])
    assert timeline([("me", step)]).splitlines() == [
        "      1.5000  me  Tick",
        "                    -> CancelDial dial_id=4",
    ]


def test_the_history_of_a_piece_leaves_out_what_is_about_others() -> None:
    other = act.PieceVerified(NAME, 9)
    released = act.BlocksReleased(NAME, "a", ReleaseCause.CHOKED, BLOCKS)
    steps = [
        Step(1.0, ev.Tick(), [other]),
        Step(2.0, ev.Tick(), [other, released]),
        Step(3.0, ev.BytesReceived("a", encoded(wire.Have(1))), [other]),
        Step(4.0, ev.BytesReceived("a", encoded(wire.Have(2))), []),
    ]
    assert history(steps, 1) == [
        steps[1]._replace(actions=[released]),
        steps[2]._replace(actions=[]),
    ]
