"""Goal: whatever is on disk, a restored store is exactly its changelog, or an operator is asked. On a real broker."""

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog

from schemas.errors import RestartNeeded, StateError, StoreHeld, StoreUnusable
from schemas.topics import TOMBSTONE_RETENTION_MS
from state import store as store_module
from state.store import FORMAT_VERSION, Store, StoredPosition, StoreMeta
from state.store_folder import RebuildReason
from streams import restore_progress as progress_module
from streams import store_state as store_state_module
from streams.restore_progress import RestoreProgress
from tests.streams.restoring import FINGERPRINT, ROWS, Disk, in_a_process, numbered_rows

ANOTHER = "another"

pytestmark = pytest.mark.kafka


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is logged when a store is made anew."""
    capture = structlog.testing.LogCapture()
    monkeypatch.setattr(store_state_module, "log", structlog.wrap_logger(None, processors=[capture]))
    return capture.entries


def test_an_empty_disk_gets_all_of_the_changelog_and_a_stale_one_the_rest(disk: Disk) -> None:
    assert disk.restored() == (numbered_rows(), ROWS)
    disk.feed({b"row/0000": None, b"row/9999": b"new"})
    expected = numbered_rows(1) | {b"row/9999": b"new"}
    assert disk.restored() == (expected, 2)
    assert disk.restored() == (expected, 0)


def _flip_in_block(path: Path) -> None:
    table = min(path.glob("*.sst"))
    content = bytearray(table.read_bytes())
    # Not in the first block, which has the position: a start reads that.
    middle = len(content) // 3
    for place in range(middle, middle + 8):
        content[place] ^= 0xFF
    table.write_bytes(bytes(content))


def test_a_damaged_block_that_is_met_while_running_is_healed_by_the_next_start(disk: Disk, warnings: list[Any]) -> None:
    disk.restored()
    _flip_in_block(disk.path)
    store, records = disk.restore().run()
    assert records == 0
    with pytest.raises(StoreUnusable) as told:
        dict(store.rows())
    assert told.value.exit_code == 3
    store.close()
    assert disk.restored() == (numbered_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.DAMAGED) == 1
    (line,) = warnings
    assert line["log_level"] == "warning"
    assert line["store"] == str(disk.path)
    assert line["reason"] == "damaged"
    assert "Corruption" in line["detail"]
    assert Path(line["kept"]) == disk.path.with_name("context-0.set-aside")
    # It does not loop: the next start finds a store that is whole.
    assert disk.restored() == (numbered_rows(), 0)
    assert disk.rebuilds(RebuildReason.DAMAGED) == 1


def test_a_folder_that_is_not_whole_is_made_anew(disk: Disk) -> None:
    # tests/state/test_store_damage.py has all the ways in which one may not be whole.
    disk.restored()
    next(disk.path.glob("*.sst")).unlink()
    assert disk.restored() == (numbered_rows(), ROWS)
    (disk.path / "CURRENT").unlink()
    assert disk.restored() == (numbered_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.DAMAGED) == 2
    assert sorted(path.name for path in disk.folder.iterdir()) == ["context-0", "context-0.set-aside"]


@pytest.mark.parametrize("moved_ms", [-TOMBSTONE_RETENTION_MS // 2 - 1000, 30 * 86_400_000])
def test_a_store_that_slept_too_long_or_was_written_by_a_clock_that_was_ahead_is_made_anew(
    disk: Disk, moved_ms: int
) -> None:
    disk.restored()
    store = disk.store()
    position = store.position(disk.changelog, 0)
    assert position is not None
    moved = StoredPosition(position.topic_id, position.next_offset, position.caught_up_ms + moved_ms)
    # Its deletion may have come and gone meanwhile.
    store.write({b"ghost": b"1"}, {(disk.changelog, 0): moved})
    store.close()
    assert disk.restored() == (numbered_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.STALE) == 1


def test_an_older_format_is_made_anew_and_nothing_of_it_is_kept(disk: Disk) -> None:
    disk.restored()
    store = disk.store()
    store.write({store_module._META_KEY: msgspec.msgpack.encode(StoreMeta(0, "f")), b"ghost": b"1"}, {})
    store.close()
    assert disk.restored() == (numbered_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.OLDER_FORMAT) == 1
    assert [path.name for path in disk.folder.iterdir()] == ["context-0"]


def test_a_newer_format_is_refused_with_the_action_to_take(disk: Disk) -> None:
    disk.restored()
    store = disk.store()
    store.write({store_module._META_KEY: msgspec.msgpack.encode(StoreMeta(FORMAT_VERSION + 1, "f"))}, {})
    store.close()
    with pytest.raises(StateError, match=f"has format {FORMAT_VERSION + 1}, this version reads {FORMAT_VERSION}: up"):
        disk.restored()
    store, records = disk.restore().rebuild()
    assert (dict(store.rows()), records) == (numbered_rows(), ROWS)
    store.close()


@pytest.mark.parametrize("origin", ["another partition", "another stage", "another topic", "nobody's rows"])
def test_a_foreign_folder_is_set_aside(disk: Disk, origin: str) -> None:
    if origin == "another partition":
        disk.feed({b"other": b"1"}, partition=1)
        disk.restored(1)
        shutil.copytree(disk.folder / "context-1", disk.path)
    else:
        disk.restored()
        store = disk.store()
        place = (disk.changelog, 0)
        position = store.position(*place)
        assert position is not None
        if origin == "another stage":
            store.write({b"ghost": b"1"}, {place: None, ("identity.links", 0): position})
        elif origin == "another topic":
            store.write({b"ghost": b"1"}, {place: StoredPosition("another", 1, position.caught_up_ms)})
        else:
            store.write({b"ghost": b"1"}, {place: None})
        store.close()
    assert disk.restored() == (numbered_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.FOREIGN) == 1
    assert (disk.folder / "context-0.set-aside").is_dir()


def test_what_the_changelog_lost_is_not_thrown_away(disk: Disk) -> None:
    disk.restored()
    store = disk.store()
    position = store.position(disk.changelog, 0)
    assert position is not None
    # As after a broker that lost its data, and was given new topics and a few records since.
    store.write({b"last copy": b"1"}, {(disk.changelog, 0): StoredPosition("gone", 5_000, position.caught_up_ms)})
    store.close()
    with pytest.raises(StateError, match=r"ends at 400, but .*context-0 was made from 5000 .*rebuild context-0 --disc"):
        disk.restored()
    with pytest.raises(StateError, match="was made from 5000"):
        disk.restore().rebuild()
    rebuilt, _ = disk.restore().rebuild(discard=True)
    assert dict(rebuilt.rows()) == numbered_rows()
    rebuilt.close()
    kept = Store.open_to_read(disk.path.with_name("context-0.set-aside"), secret_fingerprint=FINGERPRINT)
    assert kept.get(b"last copy") == b"1"
    kept.close()


def test_a_damaged_store_of_an_empty_changelog_is_not_thrown_away(disk: Disk) -> None:
    disk.path.mkdir(parents=True)
    (disk.path / "000008.sst").write_bytes(b"what is left")
    shutil.move(disk.path, disk.folder / "context-1")
    with pytest.raises(StateError, match=r"/1 is empty, but .*context-1 was made from some of its records"):
        disk.restored(1)
    assert (disk.folder / "context-1" / "000008.sst").exists()


def test_a_store_ahead_of_its_changelog_says_what_to_do(disk: Disk) -> None:
    disk.restored()
    store = disk.store()
    position = store.position(disk.changelog, 0)
    assert position is not None
    ahead = StoredPosition(position.topic_id, ROWS + 1, position.caught_up_ms)
    store.write({}, {(disk.changelog, 0): ahead})
    store.close()
    with pytest.raises(StateError, match=r"position 401 is outside\. .*state rebuild context-0 --discard"):
        disk.restored()


def test_another_secret_is_refused(disk: Disk) -> None:
    Store.open(disk.path, secret_fingerprint=ANOTHER).close()
    with pytest.raises(StateError, match="another GOLDENTHREAD_SECRET"):
        disk.restored()


def test_a_store_that_is_held_is_left_alone(disk: Disk) -> None:
    disk.restored()
    store = disk.store()
    with pytest.raises(StoreHeld):
        disk.restored()
    store.close()
    assert disk.rebuilds(RebuildReason.DAMAGED) == 0


def test_a_restore_that_is_not_wanted_ends(disk: Disk) -> None:
    closing = threading.Event()
    closing.set()
    with pytest.raises(RestartNeeded, match="was closed while it was restored"):
        disk.restored(closing=closing)
    assert disk.restored() == (numbered_rows(), ROWS)


@pytest.mark.parametrize("filling", [False, True])
@pytest.mark.parametrize("when", ["in memory", "flushed", "while flushing"])
def test_a_kill_in_the_middle_of_a_restore_leaves_what_the_next_goes_on_from(
    disk: Disk, when: str, filling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if filling:
        monkeypatch.setenv("FILLING", "1")
    assert in_a_process(disk, 2, when).returncode == -9
    rows, records = disk.restored()
    assert rows == numbered_rows()
    assert records in ({ROWS - 200} if when == "flushed" else {ROWS, ROWS - 100, ROWS - 200})
    assert disk.rebuilds(RebuildReason.DAMAGED) == 0


@pytest.mark.parametrize("filling", [False, True])
@pytest.mark.usefixtures("library")
def test_a_full_disk_ends_a_restore_with_words_and_the_next_is_exact(
    disk: Disk, filling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if filling:
        monkeypatch.setenv("FILLING", "1")
        monkeypatch.setenv("TABLES", "in between")
    ended = in_a_process(disk, 0, "flushed", limit_bytes=3_000)
    assert ended.returncode == 3, ended.stderr
    assert ended.stdout.startswith("DiskRefused")
    assert disk.restored()[0] == numbered_rows()
    assert disk.rebuilds(RebuildReason.DAMAGED) == 0


def test_progress_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = structlog.testing.LogCapture()
    monkeypatch.setattr(progress_module, "log", structlog.wrap_logger(None, processors=[capture]))
    clock = iter([100.0, 100.0, 104.0, 110.0, 112.0, 116.0, 125.0])
    monkeypatch.setattr("streams.restore_progress.time", SimpleNamespace(monotonic=lambda: next(clock)))
    progress = RestoreProgress("context-0", interval_s=5.0)
    for left in (1_000, 900, 600, 500, 200, 0):
        progress.tell(left, 1_000 - left)
    assert [(line["remaining"], line["offsets_per_second"], line["seconds_left"]) for line in capture.entries] == [
        (600, 40, 15),
        (200, 50, 4),
    ]
    assert capture.entries[0]["records"] == 400
