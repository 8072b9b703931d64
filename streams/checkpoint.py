"""The checkpoint: outputs and state of one partition, there together or not at all.

One transactional producer per partition writes everything; its transactional id fences a predecessor that was paused
and wakes up. The fault points lie between the steps, so that tests and drills can kill a worker at each.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rocksdict import Cache

from schemas.errors import RestartNeeded, StateError
from schemas.rows import PositionRow, RowDecoder, encode_row
from schemas.topics import POSITION_KEY, TOMBSTONE_RETENTION_MS, Catalogue, partition_of
from state.engine import Drained, Output
from state.store import Store, StoredPosition
from streams.bulk import BulkReader, Record, read_to_end
from streams.faults import FaultHook, FaultPoint, no_fault
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.metrics import Metrics
from streams.topics import topic_ids
from streams.transaction import TransactionalProducer
from streams.wire import Wire

log = logger(__name__)

_POSITIONS: Final = RowDecoder(PositionRow)


@dataclass(frozen=True)
class CheckpointOptions:
    """What all partitions of one stage have in common. Topics are names of the catalogue."""

    kafka: KafkaOptions
    catalogue: Catalogue
    application: str
    stage: str
    input_topic: str
    changelog_topic: str
    data_dir: Path
    secret_fingerprint: str
    metrics: Metrics
    cache: Cache
    fault: FaultHook = no_fault
    #: The form in which outputs go out.
    wire: Wire = field(default_factory=Wire)


class Checkpoint:
    """Commits one partition of one stage. Its methods block, so they run in a thread; one at a time."""

    def __init__(self, options: CheckpointOptions, partition: int) -> None:
        self.partition = partition
        self._options = options
        self._input = options.catalogue.name(options.input_topic)
        self._input_partitions = options.catalogue.partitions_of(options.input_topic)
        self._changelog = options.catalogue.name(options.changelog_topic)
        self._store_path = options.data_dir / f"{options.stage}-{partition}"
        self._busy = threading.Lock()
        self._closing = threading.Event()
        self._producer: TransactionalProducer | None = None
        self._store: Store | None = None
        self._ids: dict[str, str] = {}
        self.next_offset = 0
        self.era = 0

    @property
    def store(self) -> Store:
        """The committed rows; there after `open`."""
        if self._store is None:
            raise StateError(f"the store of {self._input}/{self.partition} is not open")
        return self._store

    def open(self, group_offset: int | None) -> None:
        """Take the partition over and bring its state to where the log stands.

        1. Fence: abort what a predecessor left open, and keep it from writing.
        2. Restore: read the changelog from the stored offset to its end.
        3. Take up the position, and hold it against the group's offset and the input log.

        Raises:
            StateError: the log lost what the state needs, or the other way round.
            Fenced, DeliveryFailed, BrokerUnreachable: the broker refused or did not answer.
        """
        with self._busy:
            if self._closing.is_set():
                return
            options = self._options
            started = time.monotonic()
            # Step 1.
            transactional_id = f"{options.application}.{options.stage}.{self.partition}"
            self._producer = TransactionalProducer(options.kafka, transactional_id)
            self._producer.fence()
            # Step 2.
            self._ids = topic_ids(options.kafka, [self._input, self._changelog])
            restored = self._restore()
            # Step 3.
            self._take_up_position(group_offset)
            seconds = time.monotonic() - started
            options.metrics.restore_seconds.labels(options.stage).observe(seconds)
            log.info(
                "partition restored",
                stage=options.stage,
                partition=self.partition,
                records=restored,
                next_offset=self.next_offset,
                seconds=round(seconds, 3),
            )

    def commit(self, drained: Drained, next_offset: int) -> None:
        """Write one checkpoint; the caller acknowledges `next_offset` to Faust afterwards, as the last step.

        1. Begin the transaction and produce the outputs.
        2. Produce one changelog record per changed row, and the position row.
        3. Commit the transaction, which waits for every acknowledgement.
        4. Write rows, position and changelog offset to RocksDB in one batch.

        A failure before the end of step 4 stops the worker; it restarts and restores, it never skips.

        Raises:
            Fenced: another worker has the partition.
            DeliveryFailed: a record was not acknowledged; nothing of the transaction is visible.
        """
        with self._busy:
            producer = self._producer
            if producer is None or next_offset < self.next_offset:
                raise StateError(f"offsets only grow, from an open checkpoint: {next_offset} after {self.next_offset}")
            fault = self._options.fault
            fault(FaultPoint.BEFORE_TRANSACTION)
            # Step 1.
            producer.begin()
            self._produce_outputs(producer, drained.outputs)
            fault(FaultPoint.AFTER_OUTPUTS)
            # Step 2.
            position = PositionRow(self._ids[self._input], self._input_partitions, self.era, next_offset)
            rows: dict[bytes, bytes | None] = {**drained.rows, POSITION_KEY: encode_row(position)}
            producer.produce_batch(self._changelog, self.partition, rows.items())
            fault(FaultPoint.AFTER_ROWS)
            # Step 3.
            producer.commit()
            fault(FaultPoint.AFTER_COMMIT)
            # Step 4. The store is never ahead of the changelog: only acknowledged rows get here.
            changelog_offset = producer.offsets[self._changelog, self.partition]
            self.store.write(rows, self._changelog_position(changelog_offset + 1))
            self.next_offset = next_offset
            fault(FaultPoint.AFTER_STORE)
            for topic, (records, size_bytes) in producer.sizes.items():
                self._options.metrics.records_written.labels(topic).inc(records)
                self._options.metrics.bytes_written.labels(topic).inc(size_bytes)

    def close(self) -> None:
        """Release store and producer; an open transaction is left to the next owner, who aborts it.

        A restore that is under way ends at its next batch: the partition went to another worker meanwhile.
        """
        self._closing.set()
        with self._busy:
            if self._store is not None:
                self._options.metrics.stores.forget(self._store_path.name)
                self._store.close()
                self._store = None
            if self._producer is not None:
                self._producer.close()
                self._producer = None

    def _produce_outputs(self, producer: TransactionalProducer, outputs: list[Output]) -> None:
        catalogue, wire = self._options.catalogue, self._options.wire
        counts: dict[str, int] = {}
        groups: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = {}
        for output in outputs:
            count = counts.get(output.topic)
            if count is None:
                count = counts[output.topic] = catalogue.partitions_of(output.topic)
            partition = 0 if output.key is None or count == 1 else partition_of(output.key, count)
            value = wire.value(output.topic, output.value)
            if output.headers:
                producer.produce(catalogue.name(output.topic), partition, output.key, value, output.headers)
            else:
                groups.setdefault((output.topic, partition), []).append((output.key, value))
        for (topic, partition), records in groups.items():
            producer.produce_batch(catalogue.name(topic), partition, records)

    def _open_store(self) -> Store:
        fingerprint = self._options.secret_fingerprint
        store = Store.open(self._store_path, secret_fingerprint=fingerprint, cache=self._options.cache)
        self._options.metrics.stores.watch(self._store_path.name, store)
        return store

    def _restore(self) -> int:
        store = self._store = self._open_store()
        stored = store.position(self._changelog, self.partition)
        oldest_ms = time.time() * 1000 - TOMBSTONE_RETENTION_MS / 2
        if stored is not None and (stored.topic_id != self._ids[self._changelog] or stored.caught_up_ms < oldest_ms):
            self._refuse_loss(stored.next_offset)
            log.warning("the local state is foreign or too old, restoring all of it", partition=self.partition)
            store.close()
            Store.destroy(self._store_path)
            store = self._store = self._open_store()
            stored = None
        restored = 0
        metrics = self._options.metrics
        counted = metrics.restore_records.labels(self._options.stage)
        remaining = metrics.restore_remaining.labels(self._options.stage, str(self.partition))

        def apply(records: list[Record]) -> None:
            nonlocal restored
            if self._closing.is_set():
                remaining.set(0)
                raise RestartNeeded(f"{self._changelog}/{self.partition} was closed while it was restored")
            restored += len(records)
            counted.inc(len(records))
            rows = {record.key: record.value for record in records if record.key is not None}
            store.write(rows, self._changelog_position(records[-1].offset + 1))

        start = 0 if stored is None else stored.next_offset
        end = read_to_end(self._options.kafka, self._changelog, self.partition, start, apply, on_progress=remaining.set)
        store.write({}, self._changelog_position(end))
        return restored

    def _refuse_loss(self, next_offset: int) -> None:
        """Keep what is here where the broker has nothing: it may be the last copy there is.

        Raises:
            StateError: the changelog is empty, the local state is not.
        """
        end = self._range(self._changelog)[1]
        if end == 0 and next_offset > 0:
            raise StateError(
                f"{self._changelog}/{self.partition} is empty, but {self._store_path} was made from {next_offset} of "
                "its records: the broker is another one, or lost its data. Bring the data back, or delete the data "
                "directory's stores to begin anew"
            )

    def _take_up_position(self, group_offset: int | None) -> None:
        where = f"{self._input}/{self.partition}"
        encoded = self.store.get(POSITION_KEY)
        if encoded is None:
            if group_offset:
                raise StateError(
                    f"{self._changelog}/{self.partition} holds no position, but the group committed offset "
                    f"{group_offset} of {where}: the state is gone; restore the changelog, or start anew with another "
                    "GOLDENTHREAD_TOPIC_PREFIX"
                )
            return
        position = _POSITIONS.decode(encoded)
        problem = None
        if position.topic_id != self._ids[self._input]:
            problem = f"{self._input} was made again: offsets of the topic that the state knows mean nothing in it"
        elif position.partitions != self._input_partitions:
            problem = (
                f"the state was made with {position.partitions} partitions, now there are {self._input_partitions}"
            )
        elif group_offset is not None and group_offset > position.next_offset:
            problem = (
                f"the group committed offset {group_offset} of {where}, the state ends at {position.next_offset}: the "
                "changelog lost its tail"
            )
        else:
            low, high = self._range(self._input)
            if not low <= position.next_offset <= high:
                problem = f"{where} holds offsets {low} to {high}, the state goes on at {position.next_offset}"
        if problem is not None:
            raise StateError(problem)
        self.next_offset = position.next_offset
        self.era = position.era

    def _range(self, topic: str) -> tuple[int, int]:
        reader = BulkReader(self._options.kafka, {})
        try:
            return reader.watermarks(topic, self.partition)
        finally:
            reader.close()

    def _changelog_position(self, next_offset: int) -> dict[tuple[str, int], StoredPosition]:
        position = StoredPosition(self._ids[self._changelog], next_offset, int(time.time() * 1000))
        return {(self._changelog, self.partition): position}
