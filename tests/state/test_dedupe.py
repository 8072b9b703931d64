"""Dedupe is exact for any order, any size of rows, and over restarts."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.messages import RoutedEvent
from schemas.rows import days_prefix
from state.dedupe import Dedupe, Verdict, _cached_bytes
from state.engine import MemoryRows
from tests.state.builders import ANN, DAY, MORNING, fragment_of, routed

#: Three entries fill a row of this size.
ROW_SIZE_BYTES = 40


def commit(dedupe: Dedupe, rows: MemoryRows) -> None:
    rows.write(dedupe.drain())
    dedupe.settled()


def visits(numbers: list[int]) -> list[RoutedEvent]:
    return [routed(id=f"e-{number}", time=MORNING + number % 2 * DAY) for number in numbers]


@given(st.lists(st.integers(0, 60), max_size=120), st.randoms(use_true_random=False), st.integers(1, 20))
def test_each_event_is_new_once_in_any_order_and_batching_with_equal_rows(
    numbers: list[int], random: Any, batch: int
) -> None:
    tables = []
    for _ in range(2):
        rows = MemoryRows()
        dedupe = Dedupe(rows, row_size_bytes_max=ROW_SIZE_BYTES, cached_size_bytes_max=500)
        verdicts = []
        for count, event in enumerate(visits(numbers)):
            verdicts.append(dedupe.judge(event))
            if count % batch == 0:
                commit(dedupe, rows)
        commit(dedupe, rows)
        held = sum(_cached_bytes(key, entries) for key, entries in dedupe._cache.items())
        assert dedupe._cached_size_bytes == held <= 500
        assert verdicts.count(Verdict.NEW) == len(set(numbers))
        assert verdicts.count(Verdict.DUPLICATE) == len(numbers) - len(set(numbers))
        tables.append(rows.rows)
        random.shuffle(numbers)
    assert tables[0] == tables[1]


@given(st.lists(st.integers(0, 60), max_size=80), st.integers(0, 80), st.integers(0, 80))
def test_what_was_not_committed_before_a_crash_is_new_again_and_nothing_else(
    numbers: list[int], committed: int, crashed: int
) -> None:
    rows = MemoryRows()
    dedupe = Dedupe(rows, row_size_bytes_max=ROW_SIZE_BYTES)
    for event in visits(numbers[:committed]):
        dedupe.judge(event)
    commit(dedupe, rows)
    for event in visits(numbers[committed:crashed]):
        dedupe.judge(event)
    dedupe.drain()
    reborn = Dedupe(rows, row_size_bytes_max=ROW_SIZE_BYTES)
    verdicts = [reborn.judge(event) for event in visits(numbers)]
    assert verdicts.count(Verdict.NEW) == len(set(numbers)) - len(set(numbers[:committed]))


def test_rows_split_before_they_pass_their_size() -> None:
    rows = MemoryRows()
    dedupe = Dedupe(rows)
    for number in range(3_000):
        assert dedupe.judge(routed(id=f"e-{number}")) is Verdict.NEW
    commit(dedupe, rows)
    sizes = [len(value) for _, value in rows.scan(days_prefix(fragment_of(ANN)))]
    assert len(sizes) == 17
    assert max(sizes) <= 4096


def test_the_same_name_with_other_content_is_a_conflict_and_the_first_stands() -> None:
    dedupe = Dedupe(MemoryRows())
    assert dedupe.judge(routed(content=b"aaaa0000")) is Verdict.NEW
    assert dedupe.judge(routed(content=b"bbbb0000")) is Verdict.CONFLICT
    assert dedupe.judge(routed(content=b"aaaa0000")) is Verdict.DUPLICATE


def test_names_that_run_together_alike_are_told_apart() -> None:
    dedupe = Dedupe(MemoryRows())
    assert dedupe.judge(routed(source="ab", id="c")) is Verdict.NEW
    assert dedupe.judge(routed(source="a", id="bc")) is Verdict.NEW


@given(st.permutations([0, 1, 2]))
def test_copies_with_assigned_times_count_once_within_the_horizon(days: list[int]) -> None:
    dedupe = Dedupe(MemoryRows())
    verdicts = [dedupe.judge(routed(assigned=True, time=MORNING + day * DAY)) for day in days]
    assert verdicts == [Verdict.NEW, Verdict.DUPLICATE, Verdict.DUPLICATE]


def test_an_event_of_another_day_with_its_own_time_is_another_event() -> None:
    dedupe = Dedupe(MemoryRows())
    assert dedupe.judge(routed(time=MORNING)) is Verdict.NEW
    assert dedupe.judge(routed(time=MORNING + DAY)) is Verdict.NEW


def test_eviction_deletes_whole_days_committed_or_not() -> None:
    rows = MemoryRows()
    dedupe = Dedupe(rows, row_size_bytes_max=ROW_SIZE_BYTES)
    today = MORNING // DAY
    for number in range(20):
        dedupe.judge(routed(id=f"e-{number}", time=MORNING))
    commit(dedupe, rows)
    dedupe.judge(routed(id="uncommitted", time=MORNING + DAY))
    dedupe.judge(routed(id="kept", time=MORNING + 2 * DAY))
    dedupe.evict(fragment_of(ANN), today + 2)
    commit(dedupe, rows)
    assert len(list(rows.scan(days_prefix(fragment_of(ANN))))) == 1
    assert dedupe.judge(routed(id="kept", time=MORNING + 2 * DAY)) is Verdict.DUPLICATE
