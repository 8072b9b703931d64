"""The write-back cache between checkpoints: bounded in rows and in bytes, exact in what it counts."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity_policy import DEFAULT_POLICY
from schemas.rows import record_key
from state.context.entries import Entries, encoded_size_bytes
from state.context.standing import Standing
from state.engine import MemoryRows
from state.join import JoinRules

#: A step touches a fragment, with a sealed identifier of this size, and perhaps a member of it.
STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 3_000), st.none() | st.integers(0, 3), st.booleans()), max_size=60
)


RULES = JoinRules(DEFAULT_POLICY)
#: From so many members on a customer stays decoded.
LARGE_FROM_MEMBERS = 3


def _run(
    steps: list[tuple[int, int, int | None, bool]], rows_max: int, size_bytes_max: int
) -> tuple[Entries, MemoryRows]:
    committed = MemoryRows()
    entries = Entries(committed, rows_max, size_bytes_max)
    rows: dict[bytes, bytes | None] = {}
    for number, size_bytes, member, commits in [*steps, (0, 0, None, True)]:
        entry = entries.get(f"{number:032}")
        entry.record.sealed = b"x" * size_bytes
        if member is not None:
            entries.member(entry, f"{member:032}").sealed = b"y" * size_bytes
            entry.changed_members.add(f"{member:032}")
        is_large = len(entries.members(entry)) >= LARGE_FROM_MEMBERS
        entry.standing = (entry.standing or Standing(RULES)) if is_large and number % 2 else None
        entries.store(entry, rows)
        if commits:
            committed.write(rows)
            rows.clear()
            entries.settled()
    return entries, committed


@given(steps=STEPS)
def test_what_is_kept_stays_within_both_bounds_and_is_counted_exactly(
    steps: list[tuple[int, int, int | None, bool]],
) -> None:
    entries, _ = _run(steps, rows_max=6, size_bytes_max=12_000)
    members = [row for rows in entries._members.values() for row in rows.values()]
    decoded = entries._decoded.values()
    size_bytes = sum(map(encoded_size_bytes, [*entries._records.values(), *members]))
    assert entries._cached_size_bytes == size_bytes + sum(entry.decoded_bytes for entry in decoded) <= 12_000
    assert entries._cached_members == len(members) + sum(len(entry.members or ()) for entry in decoded)
    assert len(entries._records) + entries._cached_members <= 6
    assert entries._records.keys() >= entries._members.keys() | entries._decoded.keys()


@given(steps=STEPS)
def test_a_small_cache_gives_the_same_rows_as_a_large_one(steps: list[tuple[int, int, int | None, bool]]) -> None:
    _, small = _run(steps, rows_max=1, size_bytes_max=1)
    _, large = _run(steps, rows_max=1_000, size_bytes_max=1 << 30)
    assert small.rows == large.rows


def test_large_rows_leave_earlier_than_small_ones() -> None:
    small, _ = _run([(number, 10, None, True) for number in range(9)], 100, 20 * encoded_size_bytes(b"x" * 200))
    large, _ = _run([(number, 3_000, None, True) for number in range(9)], 100, 20 * encoded_size_bytes(b"x" * 200))
    assert len(small._records) == 9
    assert len(large._records) < 4


def test_what_is_cold_is_read_in_one_go_and_what_is_at_hand_is_not_read() -> None:
    entries, rows = _run([(number, 10, None, True) for number in range(9)], 100, 1 << 20)
    asked: list[list[bytes]] = []

    class Watched(MemoryRows):
        def get_many(self, keys: list[bytes]) -> list[bytes | None]:
            asked.append(keys)
            return super().get_many(keys)

    cold = Entries(Watched(rows.rows), 100, 1 << 20)
    fragments = [f"{number:032}" for number in range(12)]
    cold.read(fragments)
    assert [cold.get(each).record for each in fragments] == [entries.get(each).record for each in fragments]
    cold.read(fragments[3:])
    assert asked == [[record_key(fragment) for fragment in fragments]]
