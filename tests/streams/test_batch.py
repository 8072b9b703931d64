"""Goal: a batch gives what its users take, from an offset on, and tells of one that was lost before it."""

import pytest

from schemas.errors import RestartNeeded
from streams.batch import Batch, PlacedRecord
from tests.streams.counting import InputRecord, batch_of


def _values(offsets: range) -> list[bytes]:
    return [b"key-%d|%d" % (offset % 2, offset) for offset in offsets]


@pytest.mark.parametrize(("start", "first"), [(0, 3), (3, 3), (5, 5), (9, 9)])
def test_columns_begin_at_an_offset(start: int, first: int) -> None:
    values, offsets = Batch("gt.routed", 0, 1, batch_of(range(3, 9))).columns(start)
    assert offsets == list(range(first, 9))
    assert values == _values(range(first, 9))


def test_a_record_without_a_value_has_an_empty_one() -> None:
    assert Batch("gt.routed", 0, 1, [InputRecord(4, None)]).columns(0) == ([b""], [4])


def test_placed_records_say_where_they_are_from() -> None:
    record = InputRecord(4, b"v", b"k", timestamp=7, headers=(("name", b"content"),))
    placed = Batch("gt.raw.web", 2, 1, [record], previous=3).placed()
    assert placed == [PlacedRecord("gt.raw.web", 2, 4, 7, b"k", b"v", (("name", b"content"),))]


def test_a_part_of_a_batch_has_its_place_and_those_records() -> None:
    batch = Batch("gt.raw.web", 2, 1, batch_of(range(3, 9)), previous=2)
    assert batch.part(0, 6) is batch
    assert batch.part(1, 4) == Batch("gt.raw.web", 2, 1, batch.records[1:4])


@pytest.mark.parametrize(
    ("previous", "expected", "lost"), [(None, None, False), (4, 5, False), (4, 4, True), (4, None, True)]
)
def test_a_batch_that_was_lost_is_told(previous: int | None, expected: int | None, lost: bool) -> None:
    batch = Batch("gt.routed", 0, 1, batch_of([7]), previous)
    if lost:
        with pytest.raises(RestartNeeded, match=r"gt\.routed/0@7: offset 4 was fetched before it"):
            batch.follow(expected)
    else:
        batch.follow(expected)
