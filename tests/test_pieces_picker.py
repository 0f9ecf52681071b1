from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from torrent_core.bitfield import from_indices, indices
from torrent_core.geometry import Geometry
from torrent_core.pieces import Availability, PieceManager, PiecePicker

# --- Availability --------------------------------------------------------------------------

PIECES = 9
ALL = (1 << PIECES) - 1
sets = st.integers(0, ALL) | st.just(ALL)


class AvailabilityMachine(RuleBasedStateMachine):
    """Bit-planes beside one set of pieces per link."""

    def __init__(self) -> None:
        super().__init__()
        self.availability = Availability(ALL)
        self.links: dict[int, int] = {}
        self.ordinal = 0

    @rule(pieces=sets)
    def join(self, pieces: int) -> None:
        self.ordinal += 1
        self.links[self.ordinal] = pieces
        self.availability.gain(self.ordinal, pieces, pieces)

    @rule(pick=st.integers(0, 99), pieces=sets)
    def gain(self, pick: int, pieces: int) -> None:
        if self.links:
            link = list(self.links)[pick % len(self.links)]
            gained = pieces & ~self.links[link]
            self.links[link] |= gained
            self.availability.gain(link, gained, self.links[link])

    @rule(pick=st.integers(0, 99))
    def lose(self, pick: int) -> None:
        if self.links:
            link = list(self.links)[pick % len(self.links)]
            self.availability.lose(link, self.links.pop(link))

    def counts(self) -> list[int]:
        return [sum(has >> piece & 1 for has in self.links.values()) for piece in range(PIECES)]

    @invariant()
    def every_answer_is_that_of_plain_counts(self) -> None:
        counts = self.counts()
        assert [self.availability.count(piece) for piece in range(PIECES)] == counts
        assert list(indices(self.availability.available)) == [
            piece for piece in range(PIECES) if counts[piece]
        ]
        for wanted in range(len(self.links) + 2):
            members = [piece for piece in range(PIECES) if counts[piece] == wanted]
            assert list(indices(self.availability.bucket(wanted))) == members

    @rule(candidates=st.integers(1, ALL))
    def rarest(self, candidates: int) -> None:
        counts = self.counts()
        among = list(indices(candidates))
        fewest = min(counts[piece] for piece in among)
        assert list(indices(self.availability.rarest(candidates))) == [
            piece for piece in among if counts[piece] == fewest
        ]


TestAvailabilityMachine = AvailabilityMachine.TestCase


def test_a_link_that_became_a_seed_piece_by_piece_leaves_as_it_came() -> None:
    availability = Availability(0b11)
    availability.gain(1, 0b01, 0b01)
    availability.gain(1, 0b10, 0b11)
    availability.gain(2, 0b11, 0b11)
    assert availability.bucket(2) == 0b11
    availability.lose(1, 0b11)
    assert availability.bucket(1) == 0b11
    availability.lose(2, 0b11)
    assert availability.available == 0


def test_links_with_nothing_come_and_go_without_a_trace() -> None:
    availability = Availability(0b11)
    availability.gain(1, 0, 0)
    availability.lose(1, 0)
    assert availability.bucket(0) == 0b11
    assert availability.bucket(1) == availability.bucket(9) == 0


# --- The picker, in strings ------------------------------------------------------------------
#
# As libtorrent's test_piece_picker does it: one character a piece.  ``availability`` is how
# many links have each piece, the other strings mark pieces by anything but a space or a dot.


def bits(marks: str) -> int:
    return from_indices([i for i, mark in enumerate(marks) if mark not in " ."], len(marks))


def picker(
    availability: str, *, have: str = "", active: str = "", wanted: str = "", seed: int = 0
) -> PiecePicker:
    count = len(availability)
    verified = PieceManager(Geometry(count * 10, 10), bytes(20 * count))
    made = PiecePicker(verified, Random(seed))
    for link in range(9):
        pieces = from_indices([i for i, c in enumerate(availability) if int(c) > link], count)
        made.availability.gain(link, pieces, pieces)
    for index in indices(bits(have)):
        verified.mark_verified(index)
    made.set_wanted(bits(wanted) if wanted else verified.geometry.all_pieces)
    for index in indices(bits(active)):
        made.activated(index)
    return made


def picked(
    availability: str,
    peer: str = "",
    *,
    have: str = "",
    active: str = "",
    wanted: str = "",
    suggested: str = "",
) -> str:
    """Which pieces may be picked, over many seeds; ``peer`` is what the link has."""
    usable = bits(peer) if peer else (1 << len(availability)) - 1
    chosen = {
        picker(availability, have=have, active=active, wanted=wanted, seed=seed).pick(
            usable, bits(suggested)
        )
        for seed in range(60)
    }
    if chosen == {None}:
        return "nothing"
    return "".join("x" if i in chosen else "." for i in range(len(availability)))


def test_the_rarest_piece_is_picked() -> None:
    assert picked("3213") == "..x."


def test_ties_between_the_rarest_are_settled_at_random() -> None:
    assert picked("2131311") == ".x.x.xx"


def test_a_piece_that_the_link_lacks_is_not_picked() -> None:
    assert picked("1223", peer=".xxx") == ".xx."


@pytest.mark.parametrize("state", ["have", "active"])
def test_a_piece_that_is_ours_or_being_fetched_is_not_picked(state: str) -> None:
    assert picked("1122", **{state: "xx  "}) == "..xx"


def test_a_piece_that_is_not_wanted_is_not_picked_however_rare() -> None:
    assert picked("1233", wanted="  xx") == "..xx"


def test_nothing_is_picked_when_nothing_is_left() -> None:
    assert picked("1111", have="x   ", active=" x  ", wanted="xxx ", peer="xx x") == "nothing"


def test_what_the_peer_suggests_comes_before_what_is_rare() -> None:
    assert picked("1333", suggested=" x x") == ".x.x"


def test_of_what_the_peer_suggests_the_rarest_comes_first() -> None:
    assert picked("1332", suggested=" x x") == "...x"


def test_a_suggestion_of_what_cannot_be_picked_is_passed_over() -> None:
    assert picked("2133", suggested="x", have="x") == ".x.."


def test_seeds_do_not_change_what_is_rare() -> None:
    made = picker("213")
    made.availability.gain(20, 0b111, 0b111)
    assert made.pick(0b111, 0) == 1


def test_the_same_seed_picks_the_same_pieces() -> None:
    first, second = (
        [picker("1" * 30, seed=seed).pick((1 << 30) - 1, 0) for seed in range(20)] for _ in range(2)
    )
    assert first == second
    assert len(set(first)) > 5


@pytest.mark.parametrize(("verified", "expected"), [(False, 0b111), (True, 0b101)])
def test_a_piece_that_is_let_go_may_be_picked_again_unless_it_is_ours(
    verified: bool, expected: int
) -> None:
    manager = PieceManager(Geometry(3, 1), bytes(60))
    made = PiecePicker(manager, Random(0))
    made.set_wanted(0b111)
    made.activated(1)
    assert made.candidates == 0b101
    if verified:
        manager.mark_verified(1)
    made.deactivated(1)
    assert made.candidates == expected


# --- The picker's one invariant ------------------------------------------------------------


class PickerMachine(RuleBasedStateMachine):
    """``candidates`` is wanted and not had and not active, whatever is called in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.verified = PieceManager(Geometry(PIECES, 1), bytes(20 * PIECES))
        self.picker = PiecePicker(self.verified, Random(0))
        self.active = 0

    @rule(wanted=sets)
    def want(self, wanted: int) -> None:
        self.picker.set_wanted(wanted)

    @rule(usable=sets, suggested=sets)
    def open_a_piece(self, usable: int, suggested: int) -> None:
        index = self.picker.pick(usable, suggested)
        if index is None:
            assert not self.picker.candidates & usable
            return
        assert (self.picker.candidates & usable) >> index & 1
        self.picker.activated(index)
        self.active |= 1 << index

    @rule(pick=st.integers(0, 99), verified=st.booleans())
    def close_a_piece(self, pick: int, verified: bool) -> None:
        if self.active:
            members = list(indices(self.active))
            index = members[pick % len(members)]
            if verified:
                self.verified.mark_verified(index)
            self.active &= ~(1 << index)
            self.picker.deactivated(index)

    @rule(found=sets, wanted=sets)
    def check_the_files(self, found: int, wanted: int) -> None:
        self.verified.replace(found)
        self.picker.set_wanted(wanted)

    @invariant()
    def candidates_are_wanted_not_had_and_not_active(self) -> None:
        missing = self.picker.wanted & ~self.verified.bitfield
        assert self.picker.missing == missing
        assert self.picker.candidates == missing & ~self.active


TestPickerMachine = PickerMachine.TestCase


# --- Verified state ------------------------------------------------------------------------


@given(
    checked=st.sets(st.integers(0, PIECES - 1)),
    found=st.lists(st.integers(0, PIECES - 1), unique=True),
)
def test_verified_pieces_are_those_a_check_found_and_those_marked(
    checked: set[int], found: list[int]
) -> None:
    manager = PieceManager(Geometry(PIECES * 10 - 3, 10), bytes(range(20)) * PIECES)
    manager.mark_verified(0)
    manager.replace(sum(1 << index for index in checked))
    for index in found:
        manager.mark_verified(index)
    left = checked | set(found)
    assert [manager.is_verified(index) for index in range(PIECES)] == [
        index in left for index in range(PIECES)
    ]
    assert manager.is_complete is (len(left) == PIECES)


def test_each_piece_has_its_own_hash_and_length() -> None:
    manager = PieceManager(Geometry(25, 10), b"a" * 20 + b"b" * 20 + b"c" * 20)
    assert [manager.expected_hash(index) for index in range(3)] == [
        b"a" * 20,
        b"b" * 20,
        b"c" * 20,
    ]
    assert [manager.piece_length(index) for index in range(3)] == [10, 10, 5]
