"""Bencode: what goes in comes out, one form only, and nothing but BencodeError."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from torrent_core.bencode import Value, decode, decode_prefix, decode_with_span, encode
from torrent_core.errors import BencodeError
from torrent_core.limits import MAX_BENCODE_DEPTH

INT64 = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.binary(max_size=40) | INT64
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=6), inner),
    max_leaves=25,
)
TABLES = st.dictionaries(st.binary(max_size=6), VALUES, max_size=6)


def mutated(data: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    """``data`` with short runs put in place of what was at the given places."""
    for place, run in edits:
        at = place % (len(data) + 1)
        data = data[:at] + run + data[at + len(run) // 2 :]
    return data


# Letters that mean something in bencode come up often, so that edits reach deep states.
RUNS = st.text("ilde0123456789:-", max_size=4).map(str.encode) | st.binary(max_size=3)
EDITS = st.lists(st.tuples(st.integers(0, 10_000), RUNS), min_size=1, max_size=4)
GARBAGE = st.binary(max_size=60) | st.text("ilde012:-", max_size=40).map(str.encode)


# --- Properties ----------------------------------------------------------------------------


@given(VALUES)
def test_every_value_survives_the_round_trip(value: Value) -> None:
    assert decode(encode(value)) == value


@given(GARBAGE | st.builds(lambda v, e: mutated(encode(v), e), VALUES, EDITS))
def test_what_strict_decoding_accepts_is_exactly_what_encoding_makes(data: bytes) -> None:
    try:
        value = decode(data)
    except BencodeError:
        return
    assert encode(value) == data


@given(GARBAGE | st.builds(lambda v, e: mutated(encode(v), e), VALUES, EDITS))
def test_lenient_decoding_only_adds_to_what_is_accepted(data: bytes) -> None:
    where = ""
    try:
        value = decode(data)
    except BencodeError as error:
        where = error.where
    if where:
        assert where.startswith("offset ")
        assert 0 <= int(where.removeprefix("offset ")) <= len(data)
    else:
        assert decode(data, strict=False) == value


@given(GARBAGE | st.builds(lambda v, e: mutated(encode(v), e), TABLES, EDITS), st.booleans())
@example(b"d1:a0:1:a1:xe", False)
@example(b"di1e0:e", False)
@example(b"d", False)
def test_reading_with_a_span_accepts_the_same_dictionaries(data: bytes, strict: bool) -> None:
    try:
        plain: object = decode(data, strict=strict)
    except BencodeError:
        plain = None
    try:
        spanned, _ = decode_with_span(data, b"a", strict=strict)
    except BencodeError:
        assert not isinstance(plain, dict)
    else:
        assert spanned == plain


@given(TABLES, st.integers(0, 12), st.integers(0, 60))
def test_reading_with_a_span_keeps_the_same_limits(
    table: dict[bytes, Value], depth: int, tokens: int
) -> None:
    data = encode(table)

    def outcome(with_span: bool) -> object:
        try:
            if with_span:
                return decode_with_span(data, b"", max_depth=depth, max_tokens=tokens)[0]
            return decode(data, max_depth=depth, max_tokens=tokens)
        except BencodeError:
            return None

    assert outcome(True) == outcome(False)


@given(TABLES, st.data())
def test_a_span_holds_the_value_of_its_key(table: dict[bytes, Value], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([*table, b"absent!"]))
    raw = encode(table)
    found, span = decode_with_span(raw, key)
    assert found == table
    if span is None:
        assert key not in table
    else:
        assert decode(raw[slice(*span)]) == table[key]


@given(VALUES, st.binary(max_size=20))
def test_a_prefix_ends_where_its_value_ends(value: Value, rest: bytes) -> None:
    data = encode(value)
    assert decode_prefix(data + rest) == (value, len(data))


@given(VALUES, st.data())
def test_no_value_is_complete_before_its_last_byte(value: Value, data: st.DataObject) -> None:
    raw = encode(value)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(BencodeError):
        decode(raw[:cut])


@given(st.binary(max_size=300))
def test_any_kind_of_buffer_is_read_alike(data: bytes) -> None:
    raw = encode(data)
    assert decode(bytearray(raw)) == decode(memoryview(raw)) == data


# --- The rules one by one ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "value"),
    [
        # The examples of BEP 3.
        (b"4:spam", b"spam"),
        (b"i3e", 3),
        (b"i-3e", -3),
        (b"i0e", 0),
        (b"l4:spam4:eggse", [b"spam", b"eggs"]),
        (b"d3:cow3:moo4:spam4:eggse", {b"cow": b"moo", b"spam": b"eggs"}),
        (b"d4:spaml1:a1:bee", {b"spam": [b"a", b"b"]}),
        (b"0:", b""),
        (b"le", []),
        (b"de", {}),
        (b"i9223372036854775807e", 2**63 - 1),
        (b"i-9223372036854775808e", -(2**63)),
    ],
)
def test_valid_documents(data: bytes, value: Value) -> None:
    assert decode(data) == value
    assert encode(value) == data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "the end comes too early"),
        (b"l", "the end comes too early"),
        (b"d", "the end comes too early"),
        (b"d1:a", "the end comes too early"),
        (b"e", "no value"),
        (b"x", "no value"),
        (b"d1:ae", "no value"),
        (b"di1ei2ee", "a key that is no string"),
        (b"i03e", "no canonical number"),
        (b"i-0e", "no canonical number"),
        (b"i-03e", "no canonical number"),
        (b"ie", "no canonical number"),
        (b"i-e", "no canonical number"),
        (b"i--1e", "no canonical number"),
        (b"i+1e", "no canonical number"),
        (b"i 1e", "no canonical number"),
        (b"i1_0e", "no canonical number"),
        (b"i12", "no canonical number"),
        (b"i" + b"1" * 5000 + b"e", "no canonical number"),
        (b"i9223372036854775808e", "beyond 64 bits"),
        (b"i-9223372036854775809e", "beyond 64 bits"),
        (b"i99999999999999999999e", "beyond 64 bits"),
        (b"5:spam", "longer than what is left"),
        (b"99999999999999999999:a", "longer than what is left"),
        (b"1" * 5000 + b":", "whose length is no number"),
        (b"04:spam", "whose length is no number"),
        (b"00:", "whose length is no number"),
        (b"1x:a", "whose length is no number"),
        (b"12", "whose length is no number"),
        (b"-1:a", "no value"),
        (b"i1ei2e", "bytes after the end"),
        (b"le ", "bytes after the end"),
    ],
)
def test_refused_in_every_mode(data: bytes, what: str) -> None:
    for strict in (True, False):
        with pytest.raises(BencodeError, match=what):
            decode(data, strict=strict)


@pytest.mark.parametrize(
    ("data", "lenient"),
    [
        (b"d1:bi1e1:ai2ee", {b"b": 1, b"a": 2}),
        (b"d1:ai1e1:ai2ee", {b"a": 1}),
        (b"d1:ai1e1:ali2eee", {b"a": 1}),
        (b"d1:ali2ee1:ai1ee", {b"a": [2]}),
    ],
)
def test_only_lenient_mode_takes_keys_unsorted_or_repeated_and_then_the_first(
    data: bytes, lenient: Value
) -> None:
    with pytest.raises(BencodeError, match="out of order"):
        decode(data)
    assert decode(data, strict=False) == lenient


def test_keys_are_ordered_within_their_own_dictionary() -> None:
    data = b"d1:bd1:ai1ee1:cd1:ai1eee"
    assert decode(data) == {b"b": {b"a": 1}, b"c": {b"a": 1}}
    with pytest.raises(BencodeError, match="out of order"):
        decode(b"d1:bd1:zi1ee1:ai1ee")


def test_a_span_of_a_repeated_key_is_the_first_in_lenient_mode() -> None:
    data = b"d4:infoi1e4:infoi22e1:ai0ee"
    assert decode_with_span(data, b"info", strict=False) == ({b"info": 1, b"a": 0}, (7, 10))
    with pytest.raises(BencodeError, match="out of order"):
        decode_with_span(data, b"info")


def test_a_span_is_asked_only_of_a_dictionary_without_a_tail() -> None:
    with pytest.raises(BencodeError, match="not a dictionary"):
        decode_with_span(b"le", b"a")
    with pytest.raises(BencodeError, match="bytes after the end"):
        decode_with_span(b"dee", b"a")


def test_nesting_is_bounded_without_recursion() -> None:
    deepest = b"l" * MAX_BENCODE_DEPTH + b"e" * MAX_BENCODE_DEPTH
    assert encode(decode(deepest)) == deepest
    for opening, closing in ((b"l", b"e"), (b"d0:", b"e")):
        data = opening * 200_000 + closing * 200_000
        with pytest.raises(BencodeError, match="too many levels"):
            decode(data)
    assert decode(b"lle1:ae", max_depth=2) == [[], b"a"]
    with pytest.raises(BencodeError, match="too many levels"):
        decode(b"lle1:ae", max_depth=1)
    with pytest.raises(BencodeError, match="too many levels"):
        decode_with_span(b"de", b"a", max_depth=0)


def test_values_are_counted_with_their_keys() -> None:
    data = b"d1:al1:b1:ce1:xi1ee"  # the dictionary, a, its list, b, c, x, 1
    assert decode(data, max_tokens=7) == {b"a": [b"b", b"c"], b"x": 1}
    with pytest.raises(BencodeError, match="too many values"):
        decode(data, max_tokens=6)
    with pytest.raises(BencodeError, match="too many values"):
        decode_with_span(b"de", b"a", max_tokens=0)


# --- Encoding ------------------------------------------------------------------------------


def test_encoding_takes_text_tuples_and_mixed_keys_and_sorts_by_bytes() -> None:
    assert encode({"é": 1, b"z": ("a", b"b"), "a": []}) == b"d1:ale1:zl1:a1:be2:\xc3\xa9i1ee"


@pytest.mark.parametrize("value", [True, None, 1.5, bytearray(b"x"), {1: b""}, [{1, 2}], object()])
def test_encoding_refuses_types_that_bencode_has_not(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, {"a": 1, b"a": 2}])
def test_encoding_refuses_values_that_decoding_would(value: object) -> None:
    with pytest.raises(ValueError, match=r"64 bits|twice"):
        encode(value)  # type: ignore[arg-type]


def test_encoding_refuses_a_list_that_holds_itself() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="levels"):
        encode(endless)  # type: ignore[arg-type]
