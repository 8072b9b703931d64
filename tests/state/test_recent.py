"""Goal: what is asked for again and again stays, and all of it has its bound. Method: a model, and small bounds."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from state.recent import Recent


@given(st.lists(st.binary(max_size=3)), st.integers(0, 2_000))
def test_a_value_that_is_found_is_the_one_that_was_put(keys: list[bytes], size_bytes_max: int) -> None:
    recent = Recent(size_bytes_max)
    for key in keys:
        (found,) = recent.get_many([key])
        assert found in {None, key * 2}
        recent.put(key, key * 2)
    assert recent.get_many([]) == []


def test_what_is_used_stays_and_what_is_not_is_forgotten() -> None:
    recent = Recent(20_000)
    recent.put(b"used", b"1")
    recent.put(b"left", b"2")
    for number in range(2_000):
        recent.put(b"%d" % number, b"")
        assert recent.get_many([b"used"]) == [b"1"]
    assert recent.get_many([b"left", b"used", b"1999", b"0"]) == [None, b"1", b"", None]


def test_a_value_larger_than_half_of_the_room_is_not_kept() -> None:
    recent = Recent(1_000)
    recent.put(b"large", b"x" * 500)
    assert recent.get_many([b"large"]) == [None]


def test_it_takes_what_it_says() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        recent = Recent(2_000_000)
        for number in range(20_000):
            recent.put(b"identifier %d" % number, b"x" * 100 + b"%d" % number)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # A dictionary that grows has room for twice as many.
    assert 1_000_000 < taken < 2_400_000
