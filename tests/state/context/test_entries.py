"""The write-back cache between checkpoints: bounded in rows and in bytes, exact in what it counts."""

from hypothesis import given
from hypothesis import strategies as st

from state.context.entries import Entries, decoded_size_bytes
from state.engine import MemoryRows

#: A step touches a fragment, with a sealed identifier of this size, and perhaps a member of it.
STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 3_000), st.none() | st.integers(0, 3), st.booleans()), max_size=60
)


def _run(
    steps: list[tuple[int, int, int | None, bool]], rows_max: int, size_bytes_max: int
) -> tuple[Entries, MemoryRows]:
    rows = MemoryRows()
    entries = Entries(rows, rows_max, size_bytes_max)
    for number, size_bytes, member, commits in steps:
        entry = entries.get(f"{number:032}")
        entry.record.sealed = b"x" * size_bytes
        if member is not None:
            entries.member(entry, f"{member:032}").sealed = b"y" * size_bytes
            entry.changed_members.add(f"{member:032}")
        entries.touched[entry.fragment] = entry
        if commits:
            rows.write(entries.drain())
            entries.settled()
    rows.write(entries.drain())
    entries.settled()
    return entries, rows


@given(steps=STEPS)
def test_what_is_kept_stays_within_both_bounds_and_is_counted_exactly(
    steps: list[tuple[int, int, int | None, bool]],
) -> None:
    entries, _ = _run(steps, rows_max=6, size_bytes_max=40_000)
    kept = list(entries._cache.values())
    assert len(kept) + sum(len(entry.members or ()) for entry in kept) <= 6
    assert sum(entry.size_bytes for entry in kept) <= 40_000
    assert entries._cached_size_bytes == sum(entry.size_bytes for entry in kept)
    assert entries._cached_members == sum(len(entry.members or ()) for entry in kept)


@given(steps=STEPS)
def test_a_small_cache_gives_the_same_rows_as_a_large_one(steps: list[tuple[int, int, int | None, bool]]) -> None:
    _, small = _run(steps, rows_max=1, size_bytes_max=1)
    _, large = _run(steps, rows_max=1_000, size_bytes_max=1 << 30)
    assert small.rows == large.rows


def test_large_rows_leave_earlier_than_small_ones() -> None:
    small, _ = _run([(number, 10, None, True) for number in range(9)], 100, 20 * decoded_size_bytes(100))
    large, _ = _run([(number, 3_000, None, True) for number in range(9)], 100, 20 * decoded_size_bytes(100))
    assert len(small._cache) == 9
    assert len(large._cache) < 4
