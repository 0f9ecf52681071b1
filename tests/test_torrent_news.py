"""HAVEs of the same pieces for many links, against one link at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrent_core.torrent.news import News
from torrent_core.wire.messages import encode_haves

PIECES = st.lists(st.integers(0, 300), unique=True, max_size=40)


@given(PIECES, st.sets(st.integers(0, 400)))
def test_a_peer_is_told_of_what_it_lacks_in_the_order_it_became_ours(
    ours: list[int], theirs: set[int]
) -> None:
    news = News(ours)
    assert news.pieces == sum(1 << index for index in ours)
    has = sum(1 << index for index in theirs)
    assert news.haves_for(has) == encode_haves([i for i in ours if i not in theirs])


@given(st.integers(0, 300))
def test_a_piece_named_twice_is_in_the_set_once(index: int) -> None:
    assert News([index, index]).pieces == 1 << index


@pytest.mark.parametrize("theirs", [0, 1])
def test_no_news_are_nothing_to_say(theirs: int) -> None:
    assert (News([]).pieces, News([]).haves_for(theirs)) == (0, b"")
