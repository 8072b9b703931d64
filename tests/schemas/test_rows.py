"""Rows: keys that sort and split as they should, values that are read or refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import StateError
from schemas.rows import (
    FORMAT,
    EvidenceRow,
    LinkRow,
    PositionRow,
    RowDecoder,
    day_of_key,
    day_prefix,
    days_prefix,
    encode_row,
    evidence_key,
    evidence_prefix,
    fragment_bytes,
    fragment_of,
    is_evidence_key,
    is_record_key,
    link_row_key,
    member_key,
    member_prefix,
    record_key,
    split_evidence_key,
)

ONE, OTHER = "0" * 32, "f" * 32
FRAGMENTS = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(one=FRAGMENTS, other=FRAGMENTS, grade=st.integers(1, 3), source=st.text(max_size=20))
def test_an_evidence_key_splits_into_what_it_was_made_of(one: str, other: str, grade: int, source: str) -> None:
    key = evidence_key(one, other, grade, source)
    assert split_evidence_key(key) == (one, other, grade, source)
    assert key.startswith(evidence_prefix(one))
    assert is_evidence_key(key)
    assert not is_evidence_key(link_row_key(one))


@given(pairs=st.lists(st.tuples(st.integers(1, 3), FRAGMENTS), min_size=2, max_size=6))
def test_the_best_grade_of_a_fragment_sorts_first(pairs: list[tuple[int, str]]) -> None:
    keys = sorted(evidence_key(ONE, other, grade, "s") for grade, other in pairs)
    grades = [split_evidence_key(key)[2] for key in keys]
    assert grades == sorted(grades, reverse=True)


def test_all_rows_of_a_fragment_lie_side_by_side() -> None:
    keys = [record_key(ONE), day_prefix(ONE, 5) + b"0", member_key(ONE, OTHER)]
    assert {fragment_of(key) for key in keys} == {ONE}
    assert {fragment_bytes(key) for key in keys} == {ONE.encode()}
    assert all(key < record_key(OTHER) for key in keys)
    assert [is_record_key(key) for key in keys] == [True, False, False]
    assert member_key(ONE, OTHER).startswith(member_prefix(ONE))


def test_dedupe_rows_sort_by_day() -> None:
    keys = [day_prefix(ONE, day) + b"0" for day in (9, 10, 99_999, 100_000)]
    assert keys == sorted(keys)
    assert [day_of_key(key) for key in keys] == [9, 10, 99_999, 100_000]
    assert all(key.startswith(days_prefix(ONE)) for key in keys)


@pytest.mark.parametrize(
    "row",
    [
        PositionRow("id", 4, 0, 2**40),
        EvidenceRow(1, "e", 2, "email"),
        LinkRow("email", b"s", "home", ONE, 3, 1, 2, 3, 4, (ONE,), 1),
    ],
)
def test_a_row_is_read_as_it_was_written(row: PositionRow | EvidenceRow | LinkRow) -> None:
    assert encode_row(row)[:1] == FORMAT
    decoded: object = RowDecoder(type(row)).decode(encode_row(row))
    assert decoded == row


@pytest.mark.parametrize(
    ("value", "reason"),
    [(b"", "format none"), (b"\x02abc", "format 02, this version reads 01"), (b"\x01\xc1", "damaged"),
     (FORMAT + msgspec.msgpack.encode(["text", "no number"]), "damaged"),
     (FORMAT + b"\x94\xa1\xff\x01\x01\x01", "damaged"),
     (FORMAT + encode_row(PositionRow("t", 1, 1, 1))[1:].replace(b"\x94", b"\x95", 1) + b"\x91" * 100_000, "damaged")],
)  # fmt: skip
def test_a_row_that_can_not_be_read_is_refused(value: bytes, reason: str) -> None:
    with pytest.raises(StateError, match=reason):
        RowDecoder(PositionRow).decode(value)
