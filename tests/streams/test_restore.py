"""Goal: whatever is on disk, a restored store is exactly its changelog, or an operator is asked. On a real broker."""

import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog

from schemas.errors import RestartNeeded, StateError, StoreHeld, StoreUnusable
from schemas.topics import TOMBSTONE_RETENTION_MS, Catalogue, Topic
from state import store as store_module
from state import store_filling as store_filling_module
from state.native.building import build
from state.native.loading import Library, load
from state.store import FORMAT_VERSION, Store, StoredPosition, StoreMeta
from state.store_cache import shared_cache
from state.store_folder import RebuildReason
from streams import bulk as bulk_module
from streams import restore as restore_module
from streams import restore_progress as progress_module
from streams import store_state as store_state_module
from streams.checkpoint_options import CheckpointOptions
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.restore import Restore
from streams.restore_progress import RestoreProgress
from streams.topics import topic_ids
from tests.streams.feeding import send

ROOT = Path(__file__).parents[2]
FINGERPRINT, ANOTHER = "f", "another"
ROWS = 400
RESTORE_IN_A_PROCESS = """
import os, signal, sys, threading
from pathlib import Path
from schemas.errors import GoldenthreadError
from schemas.topics import TOMBSTONE_RETENTION_MS, Catalogue, Topic
from state import store_filling
from state.native.loading import load
from state.store import Store
from state.store_cache import shared_cache
from streams import bulk, restore
from streams.checkpoint_options import CheckpointOptions
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.restore import Restore
brokers, prefix, folder, changelog_id, kill_at, when = sys.argv[1:]
bulk.RECORDS_PER_READ_MAX = 100
if os.environ.get("FILLING"):
    restore.FILLING_RECORDS_MIN = 1
passes = 0
def fault(point):
    global passes
    passes += 1
    if passes == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)
write, flush = Store.write, Store.flush
def flushing(store, *arguments):
    write(store, *arguments)
    flush(store)
if when == "flushed":
    Store.write = flushing
if when == "while flushing":
    def killed(store, *arguments):
        write(store, *arguments)
        if passes + 1 == int(kill_at):
            # RocksDB writes a table in a thread of its own; this one kills the process meanwhile.
            store._database.flush(False)
            os.kill(os.getpid(), signal.SIGKILL)
    Store.write = killed
tables = os.environ.get("TABLES")
if tables:
    # Each batch becomes a table.
    store_filling.TABLE_SIZE_BYTES = 1
    take_in = Store.take_in
    def killed(store, table):
        # Of some batches the last is being written, the one before is there.
        if tables == "before one is taken in":
            if table.name == "2.table":
                os.kill(os.getpid(), signal.SIGKILL)
            take_in(store, table)
        else:
            take_in(store, table)
            if table.name == "2.table" and tables == "after one is taken in":
                os.kill(os.getpid(), signal.SIGKILL)
    Store.take_in = killed
options = CheckpointOptions(
    KafkaOptions(brokers), Catalogue(prefix=prefix, partitions=2, channels=("web",)), prefix, "context",
    Topic.ROUTED, Topic.STATE, Path(folder), "f", Metrics("test", "1"), shared_cache(8 * 1024 * 1024), fault,
    library=load() if tables else None,
)
try:
    store, _ = Restore(options, 0, changelog_id=changelog_id, closing=threading.Event()).run()
    Store.flush(store)
except GoldenthreadError as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
"""

pytestmark = pytest.mark.kafka


class _Disk:
    """Restores of partitions of one stage, into folders of a test."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue, folder: Path) -> None:
        self.kafka = kafka
        self.catalogue = catalogue
        self.folder = folder
        self.changelog = catalogue.name(Topic.STATE)
        self.changelog_id = topic_ids(kafka, [self.changelog])[self.changelog]
        self.metrics = Metrics("test", "1")
        self.path = folder / "context-0"
        self.library: Library | None = None

    def feed(self, rows: dict[bytes, bytes | None], partition: int = 0) -> None:
        """Changelog records."""
        send(self.kafka, self.changelog, rows.items(), partition)

    def restore(self, partition: int = 0, stage: str = "context", **changes: Any) -> Restore:
        """A restore that has not begun."""
        options = CheckpointOptions(
            self.kafka, self.catalogue, self.catalogue.prefix, stage, Topic.ROUTED, Topic.STATE, self.folder, "f",
            self.metrics, shared_cache(8 * 1024 * 1024), library=self.library,
        )  # fmt: skip
        wanted: dict[str, Any] = {"changelog_id": self.changelog_id, "closing": threading.Event()}
        return Restore(options, partition, **(wanted | changes))

    def restored(self, partition: int = 0, **changes: Any) -> tuple[dict[bytes, bytes], int]:
        """All rows after a restore, and how many records it read."""
        store, records = self.restore(partition, **changes).run()
        rows = dict(store.rows())
        store.close()
        return rows, records

    def store(self) -> Store:
        """The folder as a store, past what a restore verifies."""
        return Store.open(self.path, secret_fingerprint=FINGERPRINT)

    def rebuilds(self, reason: str) -> float | None:
        """How often the store was made anew."""
        labels = {"store": "context-0", "reason": reason}
        return self.metrics.registry.get_sample_value("goldenthread_store_rebuilds_total", labels)


def _rows(start: int = 0, end: int = ROWS, value: bytes = b"1") -> dict[bytes, bytes]:
    return {b"row/%04d" % number: value * 100 for number in range(start, end)}


@pytest.fixture
def disk(kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path) -> _Disk:
    made = _Disk(kafka, catalogue, tmp_path / "worker-0")
    made.feed({**_rows()})
    return made


@pytest.fixture
def library() -> Library:
    """What writes tables."""
    said = build()
    found = load()
    if found is None:
        pytest.skip(said)
    return found


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is logged when a store is made anew."""
    capture = structlog.testing.LogCapture()
    monkeypatch.setattr(store_state_module, "log", structlog.wrap_logger(None, processors=[capture]))
    return capture.entries


def test_an_empty_disk_gets_all_of_the_changelog_and_a_stale_one_the_rest(disk: _Disk) -> None:
    assert disk.restored() == (_rows(), ROWS)
    disk.feed({b"row/0000": None, b"row/9999": b"new"})
    expected = _rows(1) | {b"row/9999": b"new"}
    assert disk.restored() == (expected, 2)
    assert disk.restored() == (expected, 0)


def test_a_store_that_is_filled_at_once_is_the_same_and_is_gone_on_with(
    disk: _Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bool] = []
    open_store = Store.open

    def opening(path: Path, **named: Any) -> Store:
        opened.append(named["filling"])
        return open_store(path, **named)

    monkeypatch.setattr(Store, "open", opening)
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", ROWS)
    assert disk.restored() == (_rows(), ROWS)
    assert opened == [False, True, False]
    disk.feed({b"row/0000": None, b"row/9999": b"new"})
    assert disk.restored() == (_rows(1) | {b"row/9999": b"new"}, 2)
    assert opened == [False, True, False, False]


@pytest.mark.parametrize("table_size_bytes", [1, 10_000, store_filling_module.TABLE_SIZE_BYTES])
def test_a_store_that_is_filled_by_tables_is_the_same_as_one_that_is_written(
    disk: _Disk, library: Library, table_size_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.feed({b"row/0000": None, b"row/0001": b"newer", b"row/9999": b""})
    disk.feed({b"row/0000": b"again", b"row/0002": None, b"row/0001": b"newest"})
    expected, records = disk.restored()
    assert expected == _rows(3) | {b"row/0000": b"again", b"row/0001": b"newest", b"row/9999": b""}
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
    disk: _Disk, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", 1)
    monkeypatch.setattr(Library, "write_table", lambda *_: False)
    disk.library = library
    assert disk.restored() == (_rows(), ROWS)
    assert disk.restored() == (_rows(), 0)


def test_a_restore_that_nobody_wants_leaves_no_tables(
    disk: _Disk, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", 1)
    monkeypatch.setattr(bulk_module, "RECORDS_PER_READ_MAX", 100)
    monkeypatch.setattr(store_filling_module, "TABLE_SIZE_BYTES", 1)
    closing = threading.Event()
    take_in = Store.take_in

    def taking_in(store: Store, table: Path) -> None:
        take_in(store, table)
        closing.set()

    monkeypatch.setattr(Store, "take_in", taking_in)
    disk.library = library
    with pytest.raises(RestartNeeded, match="was closed while it was restored"):
        disk.restored(closing=closing)
    assert not (disk.path / "filling").exists()
    assert disk.restored() == (_rows(), ROWS - 100)


def _flip_in_block(path: Path) -> None:
    table = min(path.glob("*.sst"))
    content = bytearray(table.read_bytes())
    # Not in the first block, which has the position: a start reads that.
    middle = len(content) // 3
    for place in range(middle, middle + 8):
        content[place] ^= 0xFF
    table.write_bytes(bytes(content))


def test_a_damaged_block_that_is_met_while_running_is_healed_by_the_next_start(
    disk: _Disk, warnings: list[Any]
) -> None:
    disk.restored()
    _flip_in_block(disk.path)
    store, records = disk.restore().run()
    assert records == 0
    with pytest.raises(StoreUnusable) as told:
        dict(store.rows())
    assert told.value.exit_code == 3
    store.close()
    assert disk.restored() == (_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.DAMAGED) == 1
    (line,) = warnings
    assert line["log_level"] == "warning"
    assert line["store"] == str(disk.path)
    assert line["reason"] == "damaged"
    assert "Corruption" in line["detail"]
    assert Path(line["kept"]) == disk.path.with_name("context-0.set-aside")
    # It does not loop: the next start finds a store that is whole.
    assert disk.restored() == (_rows(), 0)
    assert disk.rebuilds(RebuildReason.DAMAGED) == 1


def test_a_folder_that_is_not_whole_is_made_anew(disk: _Disk) -> None:
    # tests/state/test_store_damage.py has all the ways in which one may not be whole.
    disk.restored()
    next(disk.path.glob("*.sst")).unlink()
    assert disk.restored() == (_rows(), ROWS)
    (disk.path / "CURRENT").unlink()
    assert disk.restored() == (_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.DAMAGED) == 2
    assert sorted(path.name for path in disk.folder.iterdir()) == ["context-0", "context-0.set-aside"]


@pytest.mark.parametrize("moved_ms", [-TOMBSTONE_RETENTION_MS // 2 - 1000, 30 * 86_400_000])
def test_a_store_that_slept_too_long_or_was_written_by_a_clock_that_was_ahead_is_made_anew(
    disk: _Disk, moved_ms: int
) -> None:
    disk.restored()
    store = disk.store()
    position = store.position(disk.changelog, 0)
    assert position is not None
    moved = StoredPosition(position.topic_id, position.next_offset, position.caught_up_ms + moved_ms)
    # Its deletion may have come and gone meanwhile.
    store.write({b"ghost": b"1"}, {(disk.changelog, 0): moved})
    store.close()
    assert disk.restored() == (_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.STALE) == 1


def test_an_older_format_is_made_anew_and_nothing_of_it_is_kept(disk: _Disk) -> None:
    disk.restored()
    store = disk.store()
    store.write({store_module._META_KEY: msgspec.msgpack.encode(StoreMeta(0, "f")), b"ghost": b"1"}, {})
    store.close()
    assert disk.restored() == (_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.OLDER_FORMAT) == 1
    assert [path.name for path in disk.folder.iterdir()] == ["context-0"]


def test_a_newer_format_is_refused_with_the_action_to_take(disk: _Disk) -> None:
    disk.restored()
    store = disk.store()
    store.write({store_module._META_KEY: msgspec.msgpack.encode(StoreMeta(FORMAT_VERSION + 1, "f"))}, {})
    store.close()
    with pytest.raises(StateError, match=f"has format {FORMAT_VERSION + 1}, this version reads {FORMAT_VERSION}: up"):
        disk.restored()
    store, records = disk.restore().rebuild()
    assert (dict(store.rows()), records) == (_rows(), ROWS)
    store.close()


@pytest.mark.parametrize("origin", ["another partition", "another stage", "another topic", "nobody's rows"])
def test_a_foreign_folder_is_set_aside(disk: _Disk, origin: str) -> None:
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
    assert disk.restored() == (_rows(), ROWS)
    assert disk.rebuilds(RebuildReason.FOREIGN) == 1
    assert (disk.folder / "context-0.set-aside").is_dir()


def test_what_the_changelog_lost_is_not_thrown_away(disk: _Disk) -> None:
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
    assert dict(rebuilt.rows()) == _rows()
    rebuilt.close()
    kept = Store.open_to_read(disk.path.with_name("context-0.set-aside"), secret_fingerprint=FINGERPRINT)
    assert kept.get(b"last copy") == b"1"
    kept.close()


def test_a_damaged_store_of_an_empty_changelog_is_not_thrown_away(disk: _Disk) -> None:
    disk.path.mkdir(parents=True)
    (disk.path / "000008.sst").write_bytes(b"what is left")
    shutil.move(disk.path, disk.folder / "context-1")
    with pytest.raises(StateError, match=r"/1 is empty, but .*context-1 was made from some of its records"):
        disk.restored(1)
    assert (disk.folder / "context-1" / "000008.sst").exists()


def test_a_store_ahead_of_its_changelog_says_what_to_do(disk: _Disk) -> None:
    disk.restored()
    store = disk.store()
    position = store.position(disk.changelog, 0)
    assert position is not None
    ahead = StoredPosition(position.topic_id, ROWS + 1, position.caught_up_ms)
    store.write({}, {(disk.changelog, 0): ahead})
    store.close()
    with pytest.raises(StateError, match=r"position 401 is outside\. .*state rebuild context-0 --discard"):
        disk.restored()


def test_another_secret_is_refused(disk: _Disk) -> None:
    Store.open(disk.path, secret_fingerprint=ANOTHER).close()
    with pytest.raises(StateError, match="another GOLDENTHREAD_SECRET"):
        disk.restored()


def test_a_store_that_is_held_is_left_alone(disk: _Disk) -> None:
    disk.restored()
    store = disk.store()
    with pytest.raises(StoreHeld):
        disk.restored()
    store.close()
    assert disk.rebuilds(RebuildReason.DAMAGED) == 0


def test_a_restore_that_is_not_wanted_ends(disk: _Disk) -> None:
    closing = threading.Event()
    closing.set()
    with pytest.raises(RestartNeeded, match="was closed while it was restored"):
        disk.restored(closing=closing)
    assert disk.restored() == (_rows(), ROWS)


def _in_a_process(
    disk: _Disk, kill_at: int, when: str, limit_bytes: int | None = None
) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.run(
        [
            sys.executable, "-c", RESTORE_IN_A_PROCESS, disk.kafka.bootstrap_servers, disk.catalogue.prefix,
            str(disk.folder), disk.changelog_id, str(kill_at), when,
        ],
        cwd=ROOT, timeout=120, check=False, capture_output=True, text=True, preexec_fn=limit,
    )  # fmt: skip


@pytest.mark.parametrize("filling", [False, True])
@pytest.mark.parametrize("when", ["in memory", "flushed", "while flushing"])
def test_a_kill_in_the_middle_of_a_restore_leaves_what_the_next_goes_on_from(
    disk: _Disk, when: str, filling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if filling:
        monkeypatch.setenv("FILLING", "1")
    assert _in_a_process(disk, 2, when).returncode == -9
    rows, records = disk.restored()
    assert rows == _rows()
    assert records in ({ROWS - 200} if when == "flushed" else {ROWS, ROWS - 100, ROWS - 200})
    assert disk.rebuilds(RebuildReason.DAMAGED) == 0


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("tables", "left"),
    [("in between", ROWS - 200), ("before one is taken in", ROWS - 100), ("after one is taken in", ROWS - 200)],
)
def test_a_kill_while_tables_are_taken_in_leaves_what_the_next_goes_on_from(
    disk: _Disk, library: Library, tables: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILLING", "1")
    monkeypatch.setenv("TABLES", tables)
    assert _in_a_process(disk, 3, "in tables").returncode == -9
    assert (disk.path / "filling").is_dir()
    monkeypatch.setattr(restore_module, "FILLING_RECORDS_MIN", 1)
    disk.library = library
    assert disk.restored() == (_rows(), left)
    assert not (disk.path / "filling").exists()
    assert disk.rebuilds(RebuildReason.DAMAGED) == 0


@pytest.mark.parametrize("filling", [False, True])
@pytest.mark.usefixtures("library")
def test_a_full_disk_ends_a_restore_with_words_and_the_next_is_exact(
    disk: _Disk, filling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if filling:
        monkeypatch.setenv("FILLING", "1")
        monkeypatch.setenv("TABLES", "in between")
    ended = _in_a_process(disk, 0, "flushed", limit_bytes=3_000)
    assert ended.returncode == 3, ended.stderr
    assert ended.stdout.startswith("DiskRefused")
    assert disk.restored()[0] == _rows()
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
