"""The paragraph that people read, account by account."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.accounts import MOST_DUE, MOST_REASONS, Account, Entry, Explanation
from torrent_core.types import Address, LinkId, TorrentState

ADDRESSES: dict[LinkId, Address] = {n: Address("192.0.2.1", n) for n in range(1, 9)}


def explanation(*entries: Entry, addresses: dict[LinkId, Address] = ADDRESSES) -> Explanation:
    state = TorrentState.DOWNLOADING
    return Explanation(b"x" * 20, 10.0, state, entries, ((10.25, "dial 192.0.2.9:1"),), addresses)


def said(*entries: Entry) -> str:
    """The text, without how much is missing, of these entries beside another one."""
    other = Entry(Account.HELD, "something else", 7, 2)
    text = explanation(*entries, other).text()
    return text.split("missing. ", 1)[1].replace("7 of them wait: something else.", "").strip()


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            Entry(Account.RECEIVED, "received, piece 3 waits for its other blocks", 1, 8, 1),
            "1 of them is received, piece 3 waits for its other blocks.",
        ),
        (
            Entry(Account.RECEIVED, "received, and its storage failed", 2, 8, until=15.0),
            "2 of them are received, and its storage failed, tried again in 5.0 s.",
        ),
        (
            Entry(Account.REQUESTED, "asked of 192.0.2.1:1", 2, 8, 3, (1,), 12.0),
            "2 of them are asked of 192.0.2.1:1, due in 2.0 s.",
        ),
        (
            Entry(Account.HELD, "reserved for one peer since a hash failed", 1, 8, 3, (1,), 12.0),
            "1 of them waits: reserved for one peer since a hash failed (192.0.2.1:1),"
            " looked at again in 2.0 s.",
        ),
        (
            Entry(Account.FULL, "every supplier is busy", 5, 8, None, (1, 2), 9.0),
            "5 of them wait: every supplier is busy (192.0.2.1:1 and 192.0.2.1:2),"
            " the first answer due in 0.0 s.",
        ),
        (
            Entry(Account.REFUSED, "every supplier refused", 5, 8, None, (1, 2, 3, 4, 5), 11.0),
            "5 of them wait: every supplier refused (192.0.2.1:1, 192.0.2.1:2, 192.0.2.1:3 and"
            " 2 others), asked again in 1.0 s.",
        ),
        (
            Entry(Account.NOBODY, "the peers that have them choke us", 1, 8, None, (4,)),
            "1 of them waits: the only peer that has it, 192.0.2.1:4, chokes us, and must unchoke"
            " us first. Next: dial 192.0.2.9:1, in 0.2 s.",
        ),
        (
            Entry(Account.NOBODY, "the peers that have them choke us", 1, 8, None, (77,)),
            "1 of them waits: the only peer that has it chokes us, and must unchoke us first."
            " Next: dial 192.0.2.9:1, in 0.2 s.",
        ),
        (
            Entry(Account.NOBODY, "the peers that have them choke us", 2, 8, None, (77, 78)),
            "2 of them wait: the 2 peers that have them choke us, and one must unchoke us first."
            " Next: dial 192.0.2.9:1, in 0.2 s.",
        ),
        (
            Entry(Account.NOBODY, "no connected peer has them", 1, 8),
            "1 of them waits: no connected peer has it. Next: dial 192.0.2.9:1, in 0.2 s.",
        ),
    ],
)
def test_each_account_reads_as_a_sentence(entry: Entry, text: str) -> None:
    assert said(entry) == text


def test_what_waits_for_one_reason_is_one_sentence_with_the_soonest_moment() -> None:
    entries = [
        Entry(Account.REQUESTED, "asked of a", 1, 1 << piece, 1, (1,), 10.0 + piece)
        for piece in (3, 2, 4)
    ]
    assert explanation(*entries).text() == (
        "3 blocks in 3 pieces are missing. All of them are asked of a, due in 2.0 s."
    )


def test_many_reasons_are_told_of_the_most_blocks_first_and_then_summed_up() -> None:
    entries = [Entry(Account.REQUESTED, f"asked of {n}", n, 1, None, (n,)) for n in range(1, 7)]
    assert explanation(*entries).text() == (
        "21 blocks in 1 piece are missing. 6 of them are asked of 6. 5 of them are asked of 5. "
        "4 of them are asked of 4. 6 more for like reasons."
    )


DUE = [(10.5, "dial 192.0.2.9:1"), (11.0, "announce to http://t"), (70.0, "a search in the DHT")]


def test_all_that_is_due_is_told_soonest_first_each_with_its_moment() -> None:
    nobody = explanation(Entry(Account.NOBODY, "", 1, 1))
    assert (
        attrs.evolve(nobody, scheduled=tuple(DUE))
        .text()
        .endswith(
            " Next: dial 192.0.2.9:1, in 0.5 s; then announce to http://t, in 1.0 s;"
            " then a search in the DHT, in 60.0 s."
        )
    )


def test_what_is_due_beyond_a_bound_is_counted() -> None:
    nobody = explanation(Entry(Account.NOBODY, "", 1, 1))
    many = tuple((20.0 + n, f"thing {n}") for n in range(MOST_DUE + 3))
    text = attrs.evolve(nobody, scheduled=many).text()
    assert f"; then thing {MOST_DUE - 1}, in {9.0 + MOST_DUE} s; and 3 more." in text
    assert f"thing {MOST_DUE}" not in text


def test_an_explanation_shown_as_a_string_is_its_text() -> None:
    why = explanation(Entry(Account.NOBODY, "", 1, 1))
    assert str(why) == why.text()


ENTRIES = st.lists(
    st.builds(
        Entry,
        st.sampled_from(list(Account)),
        st.sampled_from(["this", "that", "a third thing", "a fourth"]),
        st.integers(1, 1000),
        st.integers(1, 2**70),
        st.none(),
        st.lists(st.integers(1, 12), unique=True, max_size=6).map(tuple),
        st.none() | st.floats(0, 100),
    ),
    max_size=40,
)


@given(ENTRIES)
def test_the_text_is_one_short_paragraph_that_leaves_no_account_out(entries: list[Entry]) -> None:
    text = explanation(*entries).text()
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) <= 100 + len(Account) * (MOST_REASONS + 1) * 250
    for entry in entries:
        named = entry.account is Account.NOBODY or entry.why in text
        assert named or "more for like reasons" in text


@given(ENTRIES, st.floats(0, 1000))
def test_the_gist_is_the_same_while_only_time_goes_by(entries: list[Entry], later: float) -> None:
    now = explanation(*entries)
    then = [e if e.until is None else attrs.evolve(e, until=e.until + later) for e in entries]
    assert explanation(*then).gist == now.gist
    assert sum(entry.blocks for entry in now.reasons) == now.missing_blocks
    more = attrs.evolve(entries[0], blocks=entries[0].blocks + 1) if entries else None
    assert more is None or explanation(more, *entries[1:]).gist != now.gist
