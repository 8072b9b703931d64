"""The read-ahead: what is fetched and not done with has a bound in bytes, and an agent a pace where it is given one."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.read_ahead import RECORD_OVERHEAD_BYTES, UNBOUNDED, Pace, ReadAhead, Taking, size_bytes_of

RAW, OTHER, ROUTED = TP("raw.web", 0), TP("raw.web", 1), TP("routed", 0)
KIB = 1024


def _record(offset: int, size_bytes: int = 0) -> Any:
    return SimpleNamespace(offset=offset, key=None, value=b"x" * size_bytes, headers=())


@pytest.fixture
def read_ahead() -> ReadAhead:
    made = ReadAhead(128 * KIB)
    made.add(["raw.web"])
    made.add(["routed"])
    made.assigned([RAW, OTHER, ROUTED])
    return made


def _room(read_ahead: ReadAhead, tp: TP) -> int:
    return Taking(read_ahead).room_records(tp, ())


def test_a_record_counts_with_its_bytes_and_its_overhead() -> None:
    record = SimpleNamespace(offset=1, key=b"abc", value=None, headers=(("name", b"value"), ("none", None)))
    assert size_bytes_of([record]) == RECORD_OVERHEAD_BYTES + 3 + 9 + 4


def test_what_is_taken_is_room_less_until_it_is_acknowledged(read_ahead: ReadAhead) -> None:
    before = _room(read_ahead, RAW)
    read_ahead.took(RAW, [_record(7, 40 * KIB)])
    after = _room(read_ahead, RAW)
    assert after < before
    assert read_ahead.size_bytes([RAW.topic]) == 40 * KIB + RECORD_OVERHEAD_BYTES
    assert read_ahead.size_bytes([ROUTED.topic, "unknown"]) == 0
    read_ahead.release(RAW, 7)
    assert _room(read_ahead, RAW) == after
    read_ahead.release(RAW, 8)
    allowance = read_ahead.allowance(RAW.topic)
    assert allowance is not None
    assert (allowance.size_bytes, allowance.borrowed_bytes) == (0, 0)
    assert _room(read_ahead, RAW) == 1, "records of this size are expected, and one fits"


def test_a_full_partition_leaves_the_others_their_share_and_other_agents_all_of_theirs(read_ahead: ReadAhead) -> None:
    read_ahead.took(RAW, [_record(1, 200 * KIB)])
    assert _room(read_ahead, RAW) == 0
    # A quarter of an agent's 64 KiB is each partition's own, as it has two.
    assert _room(read_ahead, OTHER) == 16 * KIB // RECORD_OVERHEAD_BYTES
    assert _room(read_ahead, ROUTED) == 64 * KIB // RECORD_OVERHEAD_BYTES


def test_a_partition_that_holds_nothing_may_take_one_record_however_large() -> None:
    made = ReadAhead(2)
    made.add(["routed"])
    made.assigned([ROUTED])
    assert _room(made, ROUTED) == 1
    made.took(ROUTED, [_record(0, 900 * KIB)])
    assert _room(made, ROUTED) == 0


def test_records_that_were_done_with_before_they_came_are_not_held(read_ahead: ReadAhead) -> None:
    # After a crash between a commit and its acknowledgement the group's offset is behind the position.
    read_ahead.release(ROUTED, 500)
    read_ahead.took(ROUTED, [_record(498, 30 * KIB), _record(499, 30 * KIB)])
    allowance = read_ahead.allowance(ROUTED.topic)
    assert allowance is not None
    assert allowance.size_bytes == 0


def test_a_new_assignment_begins_anew_and_leaves_out_what_is_gone(read_ahead: ReadAhead) -> None:
    read_ahead.took(RAW, [_record(1, 60 * KIB)])
    read_ahead.assigned([OTHER])
    allowance = read_ahead.allowance(RAW.topic)
    assert allowance is not None
    assert allowance.size_bytes == 0
    read_ahead.took(RAW, [_record(2, 60 * KIB)])
    read_ahead.release(RAW, 3)
    assert (allowance.size_bytes, _room(read_ahead, RAW)) == (0, 0)


def test_topics_that_nobody_added_have_no_bound() -> None:
    made = ReadAhead(1)
    made.assigned([RAW])
    made.took(RAW, [_record(1, KIB)])
    made.release(RAW, 2)
    assert _room(made, RAW) == UNBOUNDED


@given(
    steps=st.lists(st.tuples(st.sampled_from([RAW, OTHER, ROUTED]), st.integers(0, 20_000), st.booleans()), max_size=80)
)
def test_never_more_is_held_than_the_whole_and_one_record_of_each_partition(steps: list[tuple[TP, int, bool]]) -> None:
    whole = 128 * KIB
    made = ReadAhead(whole)
    made.add(["raw.web"])
    made.add(["routed"])
    made.assigned([RAW, OTHER, ROUTED])
    allowances = {cast("Any", made.allowance(topic)) for topic in ("raw.web", "routed")}
    next_offset = 0
    largest = 0
    for tp, size_bytes, acknowledges in steps:
        if acknowledges:
            made.release(tp, next_offset)
        # One fetch takes record by record, as long as there is room.
        taking, records = Taking(made), list[Any]()
        while taking.room_records(tp, records) > 0 and len(records) < 50:
            records.append(_record(next_offset, size_bytes))
            next_offset += 1
            largest = max(largest, size_bytes_of(records[-1:]))
        if records:
            made.took(tp, records)
        for allowance in allowances:
            held = [each.size_bytes for each in allowance.held.values()]
            assert sum(held) <= whole / 2 + len(held) * largest
            assert allowance.borrowed_bytes == sum(map(allowance.beyond_share, held))


def test_a_pace_is_kept_over_time_in_steps_and_made_up_for_within_a_bound() -> None:
    now = [0.0]
    pace = Pace(1_000, lambda: now[0])
    taken = 0
    for _ in range(1_000):
        now[0] += 0.01
        room = pace.room_records()
        assert room == 0 or room >= 50
        pace.took(room)
        taken += room
    assert 9_900 <= taken <= 10_100
    now[0] += 60
    assert pace.room_records() == 250


def test_a_slow_pace_lets_single_records_through() -> None:
    now = [0.0]
    pace = Pace(2, lambda: now[0])
    assert pace.room_records() == 1
    pace.took(1)
    now[0] += 0.4
    assert pace.room_records() == 0
    now[0] += 0.2
    assert pace.room_records() == 1


def test_one_fetch_of_several_partitions_keeps_the_pace_of_their_agent() -> None:
    made = ReadAhead(1024 * KIB)
    made.add(["raw.web"], records_per_second_max=1_000)
    made.assigned([RAW, OTHER])
    taking = Taking(made)
    room = taking.room_records(RAW, ())
    assert room >= 50
    records = [_record(offset) for offset in range(30)]
    assert taking.room_records(RAW, records) == room - 30
    assert taking.room_records(OTHER, ()) == room - 30
