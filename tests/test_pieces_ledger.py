"""The requests that are no longer out, against a plain model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torrent_core.limits import MAX_WITHDRAWN
from torrent_core.pieces.ledger import Ledger

steps = st.lists(
    st.tuples(st.sampled_from(["withdraw", "void", "answered"]), st.integers(0, 4)), max_size=40
)


@given(steps)
def test_answers_are_owed_for_what_was_given_up_and_not_for_what_was_dropped(
    done: list[tuple[str, int]],
) -> None:
    ledger, owed = Ledger(), dict[int, int]()
    for verb, key in done:
        getattr(ledger, verb)(key)
        if verb == "withdraw":
            owed[key] = owed.get(key, 0) + 1
        elif verb == "void":
            owed[key] = 0
        elif owed.get(key, 0) > 1:
            owed[key] -= 1
        else:
            owed.pop(key, None)
        assert set(ledger) == set(owed)
        assert len(ledger) == len(owed)
        assert all(ledger.owed(other) == owed.get(other, 0) for other in range(5))
        assert all((other in ledger) == (other in owed) for other in range(5))


def test_no_more_is_remembered_than_the_bound_and_the_oldest_goes_first() -> None:
    ledger = Ledger()
    for key in range(MAX_WITHDRAWN + 3):
        ledger.withdraw(key)
    assert list(ledger) == list(range(3, MAX_WITHDRAWN + 3))
