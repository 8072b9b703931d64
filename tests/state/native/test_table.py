"""Tables that the library writes are read by RocksDB as its own, row by row; whatever is asked of them."""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.native.loading import Library
from state.store import Store

FINGERPRINT = "f"
_KEYS = st.binary(max_size=40).filter(lambda key: not key.startswith(b"\xff"))
_ROWS = st.lists(st.tuples(_KEYS, st.none() | st.binary(max_size=300)), max_size=40)


def _batch(rows: Sequence[tuple[bytes, bytes | None]]) -> bytearray:
    return bytearray(msgspec.msgpack.encode(([key for key, _ in rows], [value for _, value in rows])))


@settings(max_examples=40, deadline=None)
@given(tables=st.lists(st.lists(_ROWS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_store_has_the_last_row_of_each_key_whatever_tables_it_took_in(
    library: Library, tables: list[list[list[tuple[bytes, bytes | None]]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store.open(tmp_path_factory.mktemp("store"), secret_fingerprint=FINGERPRINT)
    expected: dict[bytes, bytes] = {}
    keys: set[bytes] = set()
    for number, batches in enumerate(tables):
        path = store.path / f"{number}.table"
        written = library.write_table(path, [_batch(rows) for rows in batches])
        assert written == any(batches)
        for key, value in (row for rows in batches for row in rows):
            keys.add(key)
            if value is None:
                expected.pop(key, None)
            else:
                expected[key] = value
        if written:
            store.take_in([path])
            assert not path.exists()
        assert dict(store.rows()) == expected
        assert [key for key, _ in store.rows()] == sorted(expected)
        assert store.get_many(sorted(keys)) == [expected.get(key) for key in sorted(keys)]
    store.close()


def test_large_tables_are_merged_with_all_that_is_there_and_opened_again(library: Library, tmp_path: Path) -> None:
    dice = random.Random(5)
    sizes = [0, 10, 100, 1_000, 70_000]
    store = Store.open(tmp_path / "store", secret_fingerprint=FINGERPRINT)
    expected: dict[bytes, bytes] = {}
    for number in range(4):
        rows: dict[bytes, bytes | None] = {}
        for _ in range(5_000):
            key = b"%d/" % dice.randrange(3) + dice.randbytes(dice.choice([2, 16]))
            rows[key] = None if dice.random() < 0.1 else dice.randbytes(dice.choices(sizes, [20, 20, 40, 20, 0.1])[0])
        path = tmp_path / f"{number}.table"
        assert library.write_table(path, [_batch(list(rows.items()))])
        store.take_in([path])
        expected = {key: value for key, value in (expected | rows).items() if value is not None}
        # What is written as ever comes over what was taken in.
        first = min(expected)
        store.write({first: b"written"}, {})
        expected[first] = b"written"
    assert dict(store.rows()) == expected
    # Keys that are not there, of which the filter keeps most away from the blocks.
    assert store.get_many([dice.randbytes(16) for _ in range(2_000)]) == [None] * 2_000
    store._database.compact_range(None, None)
    store.close()
    store = Store.open(tmp_path / "store", secret_fingerprint=FINGERPRINT)
    assert dict(store.rows()) == expected
    assert dict(store.scan(b"1/")) == {key: value for key, value in expected.items() if key.startswith(b"1/")}
    store.close()


def test_of_tables_that_are_taken_in_together_the_last_one_counts(library: Library, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", secret_fingerprint=FINGERPRINT)
    expected: dict[bytes, bytes] = {}
    for together in range(3):
        tables = [tmp_path / f"{together}-{number}" for number in range(3)]
        for number, table in enumerate(tables):
            rows = [(b"%d" % key, b"%d in %d" % (number, together)) for key in range(0, 300, 3 - number)]
            assert library.write_table(table, [_batch(rows)])
            expected.update(rows)
        store.take_in(tables)
        assert dict(store.rows()) == expected
    store.close()


def test_the_filter_of_a_table_lets_hardly_a_key_through_that_is_not_there(library: Library, tmp_path: Path) -> None:
    dice = random.Random(7)
    store = Store.open(tmp_path / "store", secret_fingerprint=FINGERPRINT)
    rows: list[tuple[bytes, bytes | None]] = [(dice.randbytes(20), b"value" * 100) for _ in range(4_000)]
    assert library.write_table(tmp_path / "table", [_batch(rows)])
    store.take_in([tmp_path / "table"])
    database = store._database
    passed = sum(bool(database.key_may_exist(dice.randbytes(20))) for _ in range(4_000))
    assert passed < 4_000 * 0.03
    assert all(database.key_may_exist(key) for key, _ in rows)
    store.close()


def test_rows_that_do_not_add_up_are_refused(library: Library, tmp_path: Path) -> None:
    good = _batch([(b"a", b"1"), (b"b", None)])
    for batch in (
        good[:-1],
        good + b"\xc0",
        bytearray(),
        bytearray(msgspec.msgpack.encode(([b"a", b"b"], [b"1"]))),
        bytearray(msgspec.msgpack.encode(([b"a"], [b"1"], []))),
        bytearray(msgspec.msgpack.encode(([b"a"], ["1"]))),
        bytearray(msgspec.msgpack.encode(([None], [b"1"]))),
    ):
        assert not library.write_table(tmp_path / "table", [batch])
        assert not (tmp_path / "table").exists()
    assert not library.write_table(tmp_path / "table", [])


def test_what_the_system_does_not_allow_is_told(library: Library, tmp_path: Path) -> None:
    rows = [_batch([(b"a", b"1")])]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        library.write_table(tmp_path / "nowhere" / "table", rows)
    (tmp_path / "table").touch()
    with pytest.raises(FileExistsError):
        library.write_table(tmp_path / "table", rows)
    assert (tmp_path / "table").stat().st_size == 0
