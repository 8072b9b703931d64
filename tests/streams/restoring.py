"""Restores of a test's own: into folders of this process, and of one that is killed."""

import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from schemas.topics import Catalogue, Topic
from state.native.loading import Library
from state.store import Store
from state.store_cache import shared_cache
from streams.checkpoint_options import CheckpointOptions
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.restore import Restore
from streams.topics import topic_ids
from tests.streams.feeding import send

ROOT = Path(__file__).parents[2]
FINGERPRINT = "f"
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
    def killed(store, taken):
        # Of some batches the last ones are being written, those before are there.
        is_it = any(table.name == "2.table" for table in taken)
        if is_it and tables == "before one is taken in":
            os.kill(os.getpid(), signal.SIGKILL)
        take_in(store, taken)
        if is_it and tables == "after one is taken in":
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


class Disk:
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


def numbered_rows(start: int = 0, end: int = ROWS, value: bytes = b"1") -> dict[bytes, bytes]:
    """Rows of keys with numbers in them."""
    return {b"row/%04d" % number: value * 100 for number in range(start, end)}


def in_a_process(
    disk: Disk, kill_at: int, when: str, limit_bytes: int | None = None
) -> subprocess.CompletedProcess[str]:
    """A restore of partition 0 that kills itself at so manieth batch, or ends by itself."""

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
