"""Goal: what a checkpoint writes stays near its bound. Method: checkpoints of made-up sizes, one after the other."""

import pytest

from streams.checkpoint_size import CheckpointSize

MIB = 1024 * 1024


def test_the_first_checkpoint_is_small_and_small_records_let_the_next_ones_grow() -> None:
    size = CheckpointSize(64 * MIB)
    found = []
    for _ in range(6):
        found.append(size.records_max)
        size.wrote(4_096 * size.records_max, size.records_max)
    assert found == [256, 1_024, 4_096, 16_384, 16_384, 16_384]


def test_large_records_make_the_next_one_small_at_once() -> None:
    size = CheckpointSize(64 * MIB)
    for _ in range(4):
        size.wrote(1_000, 1)
    assert size.records_max > 60_000
    size.wrote(8 * MIB, 10)
    assert size.records_max == 80


def test_one_record_is_always_applied_and_a_checkpoint_without_any_says_nothing() -> None:
    size = CheckpointSize(1_000)
    assert size.records_max == 1
    size.wrote(100, 0)
    assert size.records_max == 1


def test_what_a_drain_takes_is_taken_from_those_before_the_newest_most() -> None:
    size = CheckpointSize(64 * MIB)
    assert size.drain_seconds(1_000) == 0
    for _ in range(20):
        size.wrote(1_000, 500, 0.01)
    assert size.drain_seconds(1_000) == pytest.approx(0.02, rel=0.01)
    # One slow drain counts, and is forgotten soon.
    size.wrote(1_000, 500, 0.11)
    assert size.drain_seconds(1_000) == pytest.approx(0.02 + 0.3 * 0.2, rel=0.01)
    for _ in range(20):
        size.wrote(1_000, 500, 0.01)
    assert size.drain_seconds(1_000) == pytest.approx(0.02, rel=0.01)
    # A checkpoint without records, such as one of markers, says nothing of them.
    size.wrote(1_000, 0, 5.0)
    assert size.drain_seconds(1_000) == pytest.approx(0.02, rel=0.01)
