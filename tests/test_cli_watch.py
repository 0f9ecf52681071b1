"""Being without a supplier, and saying why nothing moves."""

from __future__ import annotations

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import test_cli_render
from torrent_core.accounts import Account, Entry, Explanation
from torrent_core.types import Address, TorrentState
from transports.cli.narrator import Narrator
from transports.cli.screens import QuietScreen
from transports.cli.stillness import Stillness, as_fields, tell_why_still
from transports.cli.watch import SupplyWatch, require_supplier, without_supplier
from transports.client import PeerUnreachable

ADDRESS = Address("127.0.0.1", 1)


@attrs.frozen
class Status(test_cli_render.Status):
    state: TorrentState = TorrentState.DOWNLOADING


@attrs.frozen
class Peer:
    outstanding: int = 0
    snubbed: bool = False
    address: Address = ADDRESS


BUSY = Peer(outstanding=4)


def test_without_peers_the_idle_time_runs_from_the_start() -> None:
    watch = SupplyWatch(10.0)
    assert watch.idle(10.0, Status(), []) == 0.0
    assert watch.idle(15.0, Status(), []) == 5.0
    assert watch.idle(20.0, Status(), [Peer()]) == 10.0


def test_payload_resets_the_idle_time() -> None:
    watch = SupplyWatch(0.0)
    assert watch.idle(5.0, Status(downloaded=1), []) == 0.0
    assert watch.idle(8.0, Status(downloaded=1), []) == 3.0


def test_a_piece_found_while_checking_is_not_idleness() -> None:
    watch = SupplyWatch(0.0)
    assert watch.idle(50.0, Status(state=TorrentState.CHECKING), []) == 0.0
    assert watch.idle(60.0, Status(pieces_have=1), []) == 0.0


def test_a_link_that_owes_us_blocks_is_a_supplier() -> None:
    watch = SupplyWatch(0.0)
    assert watch.idle(5.0, Status(), []) == 5.0
    assert watch.idle(6.0, Status(), [Peer(), BUSY]) == 0.0
    assert watch.idle(9.0, Status(), [Peer()]) == 3.0


def test_a_link_that_fell_silent_over_what_it_owes_is_none() -> None:
    watch = SupplyWatch(0.0)
    assert watch.idle(5.0, Status(), [attrs.evolve(BUSY, snubbed=True)]) == 5.0


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.booleans())))
def test_idle_time_is_never_negative_and_never_longer_than_the_watch(
    steps: list[tuple[float, bool, bool]],
) -> None:
    watch = SupplyWatch(0.0)
    now, downloaded = 0.0, 0
    for gap, owed, delivered in steps:
        now += gap
        downloaded += delivered
        idle = watch.idle(now, Status(downloaded=downloaded), [BUSY] if owed else [])
        assert 0.0 <= idle <= now
        assert idle == 0.0 or not delivered


NOBODY = Entry(Account.NOBODY, "no connected peer has them", 8, 15)


def explanation(*entries: Entry, scheduled: tuple[tuple[float, str], ...] = ()) -> Explanation:
    return Explanation(bytes(20), 0.0, TorrentState.DOWNLOADING, entries, scheduled, {})


@attrs.define
class FakeTorrent:
    status: Status
    peers: list[Peer]
    account: Explanation | None = None

    def explain(self) -> Explanation:
        return self.account or explanation()


@pytest.mark.anyio
async def test_the_wait_ends_after_so_long_without_a_supplier() -> None:
    torrent = FakeTorrent(Status(), [Peer()])
    with anyio.fail_after(20):
        await require_supplier(torrent, 0.01)  # type: ignore[arg-type]


def test_giving_up_says_why_and_which_named_peers_are_not_connected() -> None:
    narrator = Narrator()
    narrator.tell(PeerUnreachable(ADDRESS, "Connection refused"))
    account = explanation(NOBODY, scheduled=((1.5, "dial 127.0.0.1:1"),))
    absent = [ADDRESS, Address("::1", 2)]
    assert without_supplier(0.5, account, absent, narrator) == (
        "no supplier for 0.5 s: 8 blocks in 4 pieces are missing. All of them wait: no connected "
        "peer has them. Next: dial 127.0.0.1:1, in 1.5 s. "
        "Not connected: 127.0.0.1:1 (Connection refused), [::1]:2."
    )


def test_giving_up_without_any_peer_says_how_to_name_one() -> None:
    text = without_supplier(3.0, explanation(NOBODY), [], Narrator())
    assert text.endswith("find another supplier. Name a peer with --peer.")
    met = attrs.evolve(explanation(NOBODY), addresses={1: ADDRESS})
    assert "--peer" not in without_supplier(3.0, met, [], Narrator())


# --- Nothing moves -----------------------------------------------------------------------------


def looks(stillness: Stillness, status: Status, until: float) -> list[float]:
    """When it looks for a reason, asked four times a second up to ``until``."""
    times = [n / 4 for n in range(int(4 * until) + 1)]
    return [now for now in times if stillness.is_due(now, status)]


def test_a_reason_is_looked_for_once_nothing_moved_for_five_seconds_and_then_each_second() -> None:
    assert looks(Stillness(0.0), Status(), 8.0) == [5.0, 6.0, 7.0, 8.0]


@pytest.mark.parametrize(
    "moved",
    [
        Status(downloaded=1),
        Status(pieces_have=1),
        Status(checking=0.5),
        Status(state=TorrentState.CHECKING),
    ],
)
def test_whatever_moves_starts_the_wait_again(moved: Status) -> None:
    stillness = Stillness(0.0)
    assert looks(stillness, Status(), 4.0) == []
    assert not stillness.is_due(4.5, moved)
    assert not stillness.is_due(9.25, moved)
    assert stillness.is_due(9.5, moved)
    assert stillness.since == 4.5


def test_a_reason_is_news_once_whatever_the_time() -> None:
    stillness = Stillness(0.0)
    assert not stillness.is_news(5.0, explanation())
    assert stillness.is_news(5.0, explanation(NOBODY))
    later = attrs.evolve(explanation(NOBODY), now=6.0)
    assert not stillness.is_news(6.0, later)
    fewer = explanation(attrs.evolve(NOBODY, blocks=7))
    assert stillness.is_news(7.0, fewer)
    assert not stillness.is_due(11.75, Status())
    assert not stillness.is_news(12.0, fewer)


@pytest.mark.anyio
async def test_people_and_machines_are_told_why_nothing_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transports.cli.stillness.STILL_AFTER", 0.01)
    entry = Entry(Account.FULL, "every supplier is busy", 8, 6, None, ("a", "b"), 2.0)
    account = attrs.evolve(explanation(entry), addresses={"a": ADDRESS})
    torrent = FakeTorrent(Status(), [], account)
    told = anyio.Event()
    events: list[tuple[str, dict[str, object]]] = []
    said: list[str] = []

    class Told(QuietScreen):
        def event(self, name, state, status, fields) -> None:
            events.append((name, fields))

        def note(self, text: str) -> None:
            said.append(text)
            told.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell_why_still, torrent, Told())
            await told.wait()
            tasks.cancel_scope.cancel()
    text = (
        "8 blocks in 2 pieces are missing. All of them wait: every supplier is busy "
        "(127.0.0.1:1), the first answer due in 2.0 s."
    )
    assert said == [f"nothing has moved for 0 s: {text}"]
    ((name, fields),) = events
    assert name == "explain"
    assert fields["explain"] == {
        "text": text,
        "missing_blocks": 8,
        "missing_pieces": 2,
        "entries": [
            {
                "account": "full",
                "why": "every supplier is busy",
                "blocks": 8,
                "pieces": 2,
                "first_piece": 1,
                "peers": ["127.0.0.1:1"],
                "until": 2.0,
            }
        ],
        "scheduled": [],
    }


def test_what_is_scheduled_is_told_in_seconds_from_now() -> None:
    account = explanation(NOBODY, scheduled=((1.5, "dial x"), (9.0, "a dial times out")))
    assert as_fields(attrs.evolve(account, now=1.0))["scheduled"] == [
        {"what": "dial x", "in": 0.5},
        {"what": "a dial times out", "in": 8.0},
    ]
