"""Goal: what is asked for again and again stays, and all of it has its bound. Method: a model, and small bounds."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from state.recent import Recent


class _Making:
    """A recent whose values are their keys, twice; what was made, in order."""

    def __init__(self, size_bytes_max: int) -> None:
        self.made: list[bytes] = []
        self.recent = Recent(self._make, size_bytes_max)

    def _make(self, key: bytes) -> bytes:
        self.made.append(key)
        return key * 2


@given(st.lists(st.lists(st.binary(max_size=3))), st.integers(0, 2_000))
def test_each_key_has_its_value_whatever_is_forgotten(slices: list[list[bytes]], size_bytes_max: int) -> None:
    making = _Making(size_bytes_max)
    for keys in slices:
        assert making.recent.get_many(keys) == [key * 2 for key in keys]


def test_what_comes_twice_at_once_is_made_once() -> None:
    making = _Making(2_000)
    assert making.recent.get_many([b"a", b"b", b"a"]) == [b"aa", b"bb", b"aa"]
    assert making.made == [b"a", b"b"]


def test_what_is_used_stays_and_what_is_not_is_forgotten() -> None:
    making = _Making(20_000)
    making.recent.get_many([b"used", b"left"])
    for number in range(2_000):
        making.recent.get_many([b"%d" % number, b"used"])
    assert making.made.count(b"used") == 1
    making.made.clear()
    making.recent.get_many([b"left", b"used", b"1999", b"0"])
    assert making.made == [b"left", b"0"]


def test_a_value_larger_than_half_of_the_room_is_not_kept() -> None:
    making = _Making(1_000)
    for _ in range(2):
        assert making.recent.get_many([b"x" * 200]) == [b"x" * 400]
    assert len(making.made) == 2


def test_it_takes_what_it_says() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        recent = Recent(lambda key: key * 5, 2_000_000)
        for number in range(20_000):
            recent.get_many([b"identifier %d" % number])
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # A dictionary that grows has room for twice as many.
    assert 500_000 < taken < 2_400_000
