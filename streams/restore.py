"""Restore: a partition's store, brought to the end of its changelog before the first record is applied."""

import threading
import time

from schemas.errors import RestartNeeded, StateError
from schemas.topics import TOMBSTONE_RETENTION_MS
from state.store import Store, StoredPosition
from streams.bulk import Record, partition_range, read_to_end
from streams.checkpoint_options import CheckpointOptions
from streams.faults import FaultPoint
from streams.logs import logger

log = logger(__name__)


class Restore:
    """Opens the store of one partition and brings it up to date. Blocks; belongs to one thread.

    `closing` is set by whoever no longer wants the partition: the restore then ends at its next batch.
    """

    def __init__(
        self, options: CheckpointOptions, partition: int, *, changelog_id: str, closing: threading.Event
    ) -> None:
        self._options = options
        self._partition = partition
        self._changelog = options.changelog_name
        self._changelog_id = changelog_id
        self._path = options.store_path(partition)
        self._closing = closing

    def run(self) -> tuple[Store, int]:
        """The store, and how many records were read into it.

        Raises:
            StateError: the changelog lost what the store was made from.
            RestartNeeded: the partition is not wanted any more.
        """
        store = self._open()
        try:
            stored = store.position(self._changelog, self._partition)
            if stored is not None and not self._is_fresh(stored):
                self._refuse_loss(stored.next_offset)
                log.warning("the local state is foreign or too old, restoring all of it", partition=self._partition)
                store.close()
                Store.destroy(self._path)
                store, stored = self._open(), None
            return store, self._read(store, 0 if stored is None else stored.next_offset)
        except BaseException:
            self._options.metrics.stores.forget(self._path.name)
            store.close()
            raise

    def position(self, next_offset: int) -> dict[tuple[str, int], StoredPosition]:
        """What a store that holds the changelog below an offset says of itself."""
        stored = StoredPosition(self._changelog_id, next_offset, int(time.time() * 1000))
        return {(self._changelog, self._partition): stored}

    def _open(self) -> Store:
        options = self._options
        store = Store.open(self._path, secret_fingerprint=options.secret_fingerprint, cache=options.cache)
        options.metrics.stores.watch(self._path.name, store)
        return store

    def _is_fresh(self, stored: StoredPosition) -> bool:
        oldest_ms = time.time() * 1000 - TOMBSTONE_RETENTION_MS / 2
        return stored.topic_id == self._changelog_id and stored.caught_up_ms >= oldest_ms

    def _read(self, store: Store, start: int) -> int:
        restored = 0
        metrics, stage = self._options.metrics, self._options.stage
        counted = metrics.restore_records.labels(stage)
        remaining = metrics.restore_remaining.labels(stage, str(self._partition))

        def apply(records: list[Record]) -> None:
            nonlocal restored
            if self._closing.is_set():
                remaining.set(0)
                raise RestartNeeded(f"{self._changelog}/{self._partition} was closed while it was restored")
            restored += len(records)
            counted.inc(len(records))
            rows = {record.key: record.value for record in records if record.key is not None}
            store.write(rows, self.position(records[-1].offset + 1))
            self._options.fault(FaultPoint.OPEN_DURING_RESTORE)

        end = read_to_end(
            self._options.kafka, self._changelog, self._partition, start, apply, on_progress=remaining.set
        )
        store.write({}, self.position(end))
        return restored

    def _refuse_loss(self, next_offset: int) -> None:
        """Keep what is here where the broker has nothing: it may be the last copy there is.

        Raises:
            StateError: the changelog is empty, the local state is not.
        """
        end = partition_range(self._options.kafka, self._changelog, self._partition)[1]
        if end == 0 and next_offset > 0:
            raise StateError(
                f"{self._changelog}/{self._partition} is empty, but {self._path} was made from {next_offset} of "
                "its records: the broker is another one, or lost its data. Bring the data back, or delete the data "
                "directory's stores to begin anew"
            )
