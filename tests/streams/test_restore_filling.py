"""Goal: a store that is filled by whole tables is the one that is written row by row, whenever it is killed."""

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import RestartNeeded
from state import store_filling as store_filling_module
from state.native.loading import Library
from state.store import Store
from state.store_folder import RebuildReason
from streams import bulk as bulk_module
from streams import restore as restore_module
from tests.streams.restoring import ROWS, Disk, in_a_process, numbered_rows

pytestmark = pytest.mark.kafka


def test_a_store_that_is_filled_at_once_is_the_same_and_is_gone_on_with(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bool] = []
    open_store = Store.open

    def opening(path: Path, **named: Any) -> Store:
        opened.append(named["filling"])
        return open_store(path, **named)

    monkeypatch.setattr(Store, "open", opening)
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", ROWS)
    assert disk.restored() == (numbered_rows(), ROWS)
    assert opened == [False, True, False]
    disk.feed({b"row/0000": None, b"row/9999": b"new"})
    assert disk.restored() == (numbered_rows(1) | {b"row/9999": b"new"}, 2)
    assert opened == [False, True, False, False]


@pytest.mark.parametrize("table_size_bytes", [1, 10_000, store_filling_module.TABLE_SIZE_BYTES])
def test_a_store_that_is_filled_by_tables_is_the_same_as_one_that_is_written(
    disk: Disk, library: Library, table_size_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.feed({b"row/0000": None, b"row/0001": b"newer", b"row/9999": b""})
    disk.feed({b"row/0000": b"again", b"row/0002": None, b"row/0001": b"newest"})
    expected, records = disk.restored()
    assert expected == numbered_rows(3) | {b"row/0000": b"again", b"row/0001": b"newest", b"row/9999": b""}
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", 1)
    monkeypatch.setattr(bulk_module, "RECORDS_PER_READ_MAX", 100)
    monkeypatch.setattr(store_filling_module, "TABLE_SIZE_BYTES", table_size_bytes)
    # One that is made anew, and one that slept.
    shutil.rmtree(disk.path)
    disk.library = library
    assert disk.restored() == (expected, records)
    disk.feed({b"row/0003": None, b"row/0004": b"newer"})
    del expected[b"row/0003"]
    assert disk.restored() == (expected | {b"row/0004": b"newer"}, 2)
    assert not (disk.path / "filling").exists()


def test_rows_that_the_library_refuses_are_written_without_it(
    disk: Disk, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", 1)
    monkeypatch.setattr(Library, "write_table", lambda *_: False)
    disk.library = library
    assert disk.restored() == (numbered_rows(), ROWS)
    assert disk.restored() == (numbered_rows(), 0)


def test_a_restore_that_nobody_wants_leaves_no_tables(
    disk: Disk, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", 1)
    monkeypatch.setattr(bulk_module, "RECORDS_PER_READ_MAX", 100)
    monkeypatch.setattr(store_filling_module, "TABLE_SIZE_BYTES", 1)
    closing = threading.Event()
    take_in = Store.take_in

    def taking_in(store: Store, tables: Sequence[Path]) -> None:
        take_in(store, tables)
        closing.set()

    monkeypatch.setattr(Store, "take_in", taking_in)
    disk.library = library
    with pytest.raises(RestartNeeded, match="was closed while it was restored"):
        disk.restored(closing=closing)
    assert not (disk.path / "filling").exists()
    rows, records = disk.restored()
    assert rows == numbered_rows()
    assert records in (ROWS - 100, ROWS - 200)


@pytest.mark.parametrize(
    ("tables", "kill_at_and_batches"),
    # Tables that are written may be taken in together, so the store has one of these numbers of batches. The second of
    # them is taken in with the third batch or with the fourth.
    [("in between", (3, {1, 2})), ("before one is taken in", (4, {0, 1})), ("after one is taken in", (4, {2, 3}))],
)
def test_a_kill_while_tables_are_taken_in_leaves_what_the_next_goes_on_from(
    disk: Disk,
    library: Library,
    tables: str,
    kill_at_and_batches: tuple[int, set[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kill_at, batches = kill_at_and_batches
    monkeypatch.setenv("FILLING", "1")
    monkeypatch.setenv("TABLES", tables)
    assert in_a_process(disk, kill_at, "in tables").returncode == -9
    assert (disk.path / "filling").is_dir()
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", 1)
    disk.library = library
    rows, records = disk.restored()
    assert rows == numbered_rows()
    assert records in {ROWS - 100 * there for there in batches}
    assert not (disk.path / "filling").exists()
    assert disk.rebuilds(RebuildReason.DAMAGED) == 0
