"""Goal: rows that are held can't be told from rows that are stored. Method: both at once, by dice; a manual clock."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.clock import ManualClock
from schemas.topics import Partition
from state.engine import MemoryRows
from state.held_rows import HELD_SECONDS, HeldRows
from state.store import Store, StoredPosition
from state.store_cache import shared_cache

FINGERPRINT = "fingerprint"
PLACE: Partition = ("state", 0)
KEYS = st.sampled_from([b"a", b"aa", b"ab", b"b", b"ba"])
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=8), max_size=4)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of its own."""
    opened = Store.open(tmp_path / "store", secret_fingerprint=FINGERPRINT, cache=shared_cache(8 * 1024 * 1024))
    yield opened
    opened.close()


def _stored(store: Store) -> dict[bytes, bytes]:
    return dict(store.rows())


def _position(offset: int) -> StoredPosition:
    return StoredPosition("id", offset)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(steps=st.lists(st.one_of(CHANGES, st.just("flush"), st.just("scan")), max_size=12))
def test_reads_are_those_of_a_store_that_got_each_row_at_once(store: Store, steps: list[Any]) -> None:
    store.write(dict.fromkeys(_stored(store)), {})
    held, plain = HeldRows(store), MemoryRows()
    for step in steps:
        if step == "flush":
            held.flush()
            assert _stored(store) == plain.rows
        elif step == "scan":
            assert list(held.scan(b"a")) == list(plain.scan(b"a"))
            assert list(held.scan(b"a", b"aa")) == list(plain.scan(b"a", b"aa"))
        else:
            held.write(step, {})
            plain.write(step)
        keys = [b"a", b"aa", b"ab", b"b", b"ba", b"never"]
        assert held.get_many(keys) == [held.get(key) for key in keys] == [plain.get(key) for key in keys]
    held.flush()
    assert _stored(store) == plain.rows


def test_rows_and_their_position_are_written_together_once_in_a_while(store: Store) -> None:
    clock = ManualClock()
    held = HeldRows(store, clock=clock.monotonic_s)
    held.write({b"a": b"1"}, {PLACE: _position(1)})
    held.write({b"a": b"2"}, {PLACE: _position(2)})
    assert (_stored(store), store.position(*PLACE)) == ({}, None)
    clock.advance(HELD_SECONDS)
    held.write({b"b": b"3"}, {PLACE: _position(3)})
    assert (_stored(store), store.position(*PLACE)) == ({b"a": b"2", b"b": b"3"}, _position(3))
    held.write({b"b": None}, {PLACE: _position(4)})
    assert store.get(b"b") == b"3"
    assert held.get(b"b") is None


def test_a_row_that_changes_again_and_again_takes_what_it_takes_once(store: Store) -> None:
    held = HeldRows(store, size_bytes_max=2_000)
    for _ in range(10):
        held.write({b"a": bytes(1_000)}, {})
    assert _stored(store) == {}


def test_a_copy_has_what_is_held(store: Store, tmp_path: Path) -> None:
    HeldRows(store).write({b"a": b"1"}, {PLACE: _position(1)})
    store.copy_to(tmp_path / "copy")
    copy = Store.open_to_read(tmp_path / "copy", secret_fingerprint=FINGERPRINT)
    assert (_stored(copy), copy.position(*PLACE)) == ({b"a": b"1"}, _position(1))
    copy.close()


def test_what_takes_too_much_is_written_at_once(store: Store) -> None:
    held = HeldRows(store, size_bytes_max=2_000)
    held.write({b"a": bytes(1_000)}, {})
    assert _stored(store) == {}
    held.write({b"b": bytes(1_000)}, {})
    assert _stored(store) == {b"a": bytes(1_000), b"b": bytes(1_000)}
    held.write({b"c": bytes(1_000)}, {})
    assert b"c" not in _stored(store)
