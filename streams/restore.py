"""Restore: a partition's store, brought to the end of its changelog before the first record is applied.

A store that can't be gone on with is made anew from its changelog, with a warning and a count: one that is damaged,
foreign (another topic's, partition's or stage's), of an older format, or that slept past the tombstones. Not where
that would lose what only this disk has: an operator decides then.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from schemas.errors import RestartNeeded, StateError, StoreUnusable
from schemas.rows import PositionRow, RowDecoder
from schemas.topics import POSITION_KEY, Partition
from state.native.loading import Library
from state.store import Store, StoredPosition
from state.store_filling import StoreFilling
from state.store_folder import RebuildReason, holds_tables
from streams.bulk import Rows, partition_range, rows_to_end
from streams.checkpoint_options import CheckpointOptions
from streams.faults import FaultPoint
from streams.gap_search import read_changelog
from streams.logs import logger
from streams.restore_progress import RestoreProgress
from streams.store_state import make_way, rebuild_reason

log = logger(__name__)

# From so many records on a store is opened to be filled, and then once more to be used: two openings take as long as
# some ten thousand records do.
FILLING_RECORDS_MIN: Final = 100_000

_POSITIONS: Final = RowDecoder(PositionRow)


class Restore:
    """Opens the store of one partition and brings it up to date. Blocks; belongs to one thread.

    `closing` is set by whoever no longer wants the partition: the restore then ends at its next batch. `on_progress` is
    told now and then how many offsets are left.
    """

    def __init__(
        self,
        options: CheckpointOptions,
        partition: int,
        *,
        changelog_id: str,
        closing: threading.Event,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self._options = options
        self._partition = partition
        self._changelog = options.changelog_name
        self._changelog_id = changelog_id
        self._path = options.store_path(partition)
        self._closing = closing
        self._on_progress = on_progress

    def run(self) -> tuple[Store, int]:
        """The store, and how many records were read into it.

        1. Open it; where it can't be gone on with, make it anew. 2. Read the changelog from where it is to the end.

        Raises:
            StateError: the changelog lost what the store was made from, or a newer version or another secret wrote it.
            RestartNeeded: the partition is not wanted any more.
        """
        # Step 1.
        try:
            store = self._open()
        except StoreUnusable as error:
            self._refuse_loss(None)
            store = self._anew(error.reason, str(error))
        else:
            store = self._usable(store)
        # Step 2.
        return self._read(store)

    def rebuild(self, *, discard: bool = False) -> tuple[Store, int]:
        """Make the store anew because an operator says so; `discard` also where the changelog has less than it.

        Raises:
            StateError: the changelog has less than the store.
        """
        stored, readable = None, True
        try:
            store = self._open()
        except (StoreUnusable, StateError):
            readable = False
        else:
            stored = store.position(self._changelog, self._partition)
            self._release(store)
        if not discard and (stored is not None or not readable):
            self._refuse_loss(None if stored is None else stored.next_offset)
        return self._read(self._anew(RebuildReason.ASKED, "an operator asked for it", keep=discard or not readable))

    def position(self, next_offset: int) -> dict[Partition, StoredPosition]:
        """What a store that holds the changelog below an offset says of itself."""
        stored = StoredPosition(self._changelog_id, next_offset, int(time.time() * 1000))
        return {(self._changelog, self._partition): stored}

    def _open(self, *, filling: bool = False) -> Store:
        options = self._options
        for reason in RebuildReason:
            options.metrics.store_rebuilds.labels(self._path.name, reason)
        store = Store.open(
            self._path, secret_fingerprint=options.secret_fingerprint, cache=options.cache, filling=filling
        )
        options.metrics.stores.watch(self._path.name, store)
        return store

    def _release(self, store: Store) -> None:
        self._options.metrics.stores.forget(self._path.name)
        store.close()

    def _usable(self, store: Store) -> Store:
        """The store, or one made anew where this one can't be gone on with."""
        try:
            place = (self._changelog, self._partition)
            reason = rebuild_reason(store, {place: self._changelog_id}, time.time() * 1000)
            stored = store.position(*place)
            if not self._is_of_this_era(store):
                # An operator has said so, whatever only this disk has; it is set aside.
                reason, detail = RebuildReason.FOREIGN, "a gap was accepted since it was written"
            elif reason is None:
                return store
            else:
                if stored is not None:
                    self._refuse_loss(stored.next_offset)
                foreign = reason is RebuildReason.FOREIGN
                detail = "it is not the one of this changelog" if foreign else "it slept too long"
        except StoreUnusable as error:
            self._release(store)
            self._refuse_loss(None)
            return self._anew(error.reason, str(error))
        except BaseException:
            self._release(store)
            raise
        self._release(store)
        return self._anew(reason, detail)

    def _is_of_this_era(self, store: Store) -> bool:
        """Whether no gap was accepted since: the state may have gone back, and offsets then have other rows."""
        held = store.get(POSITION_KEY)
        if held is None:
            return True
        position = read_changelog(self._options.kafka, self._changelog, self._partition).position
        return position is None or position.era == _POSITIONS.decode(held).era

    def _anew(self, reason: str, detail: str, *, keep: bool | None = None) -> Store:
        make_way(self._path, reason, detail, self._options.metrics, self._path.name, keep=keep)
        return self._open()

    def _read(self, store: Store) -> tuple[Store, int]:
        """Bring it to the end of the changelog; gives the store to go on with, and how many records were read."""
        reading = _Reading(store)
        try:
            self._read_into(reading)
        except BaseException:
            reading.drop()
            self._release(reading.store)
            raise
        return reading.store, reading.records

    def _read_into(self, reading: "_Reading") -> None:
        metrics, stage = self._options.metrics, self._options.stage
        counted = metrics.restore_records.labels(stage)
        remaining = metrics.restore_remaining.labels(stage, str(self._partition))
        progress = RestoreProgress(self._path.name)
        stored = reading.store.position(self._changelog, self._partition)

        def tell(left: int) -> None:
            remaining.set(left)
            progress.tell(left, reading.records)
            if self._on_progress is not None:
                self._on_progress(left)
            if left >= FILLING_RECORDS_MIN and reading.filling is None:
                if self._options.library is None:
                    self._reopen(reading, filling=True)
                reading.fill(self._options.library)

        def apply(read: Rows) -> None:
            if self._closing.is_set():
                remaining.set(0)
                raise RestartNeeded(f"{self._changelog}/{self._partition} was closed while it was restored")
            reading.records += read.records
            counted.inc(read.records)
            position = self.position(read.next_offset)
            if reading.filling is None:
                reading.store.write(dict(zip(read.keys, read.values, strict=True)), position)
            else:
                reading.filling.add(read.keys, read.values, position)
            self._options.fault(FaultPoint.OPEN_DURING_RESTORE)

        start = 0 if stored is None else stored.next_offset
        try:
            end = rows_to_end(self._options.kafka, self._changelog, self._partition, start, apply, on_progress=tell)
        except StateError as error:
            raise StateError(f"{error}. {self._what_to_do()}") from error
        if reading.finish() and self._options.library is None:
            self._reopen(reading, filling=False)
        reading.store.write({}, self.position(end))

    def _reopen(self, reading: "_Reading", *, filling: bool) -> None:
        self._release(reading.store)
        reading.store = self._open(filling=filling)

    def _refuse_loss(self, next_offset: int | None) -> None:
        """Keep what is here where the broker has less: it may be the last copy there is.

        Args:
            next_offset: How far the store had read the changelog; None where it can't be asked.

        Raises:
            StateError: the changelog is shorter than what the store was made from; empty, where that is not known.
        """
        end = partition_range(self._options.kafka, self._changelog, self._partition)[1]
        if next_offset is None:
            lost, made = end == 0 and holds_tables(self._path), "some"
        else:
            lost, made = end < next_offset, str(next_offset)
        if lost:
            has = "is empty" if end == 0 else f"ends at {end}"
            raise StateError(
                f"{self._changelog}/{self._partition} {has}, but {self._path} was made from {made} of its records: the "
                f"broker is another one, or lost its data. {self._what_to_do()}"
            )

    def _what_to_do(self) -> str:
        return (
            f"Bring the topic's data back; or, to go on with what it has, stop the worker and let `goldenthread state "
            f"rebuild {self._path.name} --discard` make the store anew (docs/state.md)"
        )


class _Reading:
    """A store while it is brought to the end: which may be opened anew on the way, to be filled."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.filling: StoreFilling | None = None
        self.records = 0

    def fill(self, library: Library | None) -> None:
        """Have a filling for the store, which was opened for it."""
        self.filling = StoreFilling(self.store, library)

    def finish(self) -> bool:
        """Have all rows in the store; gives whether it was filled."""
        if self.filling is None:
            return False
        self.filling.finish()
        self.drop()
        return True

    def drop(self) -> None:
        """End the filling, and with it what the store does not have yet."""
        if self.filling is not None:
            self.filling.close()
            self.filling = None
